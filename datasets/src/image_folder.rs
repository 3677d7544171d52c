//! Images sorted into one folder per class.
//!
//! ```text
//! <root>/train/<class>/**/*
//! <root>/test/<class>/**/*     or <root>/val/... where there is no test
//! ```
//!
//! or, to be split by classes,
//!
//! ```text
//! <root>/<class>/**/*
//! ```
//!
//! Every image below a class's folder is of the class, in folders of its own too. Images are PNG,
//! JPEG, GIF (the first picture), WebP and BMP, told by their content; a file is taken for one
//! if its name ends as theirs do (`.png`, `.jpg`, `.jpeg`, `.jpe`, `.jfif`, `.gif`, `.webp`, `.bmp`,
//! `.tif`, `.tiff`, which are refused) or its content starts as theirs. Other files are passed over, and so is what
//! systems leave behind: names that start with a dot, `__MACOSX`, `Thumbs.db` and the like.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::zero_shot::{Listing, first_half, sort_classes};
use crate::{Error, ImageSet, TrainTest, ZeroShot, decode};

pub use crate::options::{ImageFolderOptions, LoadOptions};

const EXTENSIONS: [&str; 10] = [
    "png", "jpg", "jpeg", "jpe", "jfif", "gif", "webp", "bmp", "tif", "tiff",
];
/// Folders of systems and of programs that pack or index files.
const JUNK: [&str; 4] = [
    "__MACOSX",
    "@eaDir",
    "$RECYCLE.BIN",
    "System Volume Information",
];

/// Reads the set under `root`, decoding each image once, in parallel.
///
/// The classes are the folders of `train`, in the order of their numbers if all of their names are
/// whole numbers (1, 2, .., 10), else of their names; the images of a class are sorted by path. The
/// format is told by the content. An image is turned as its EXIF orientation says, 16 bits are
/// brought to 8, CMYK to red, green and blue, transparency is blended over white, and the image
/// resized with a triangle filter, without keeping its proportions. Files beside the class folders
/// are passed over.
///
/// # Errors
///
/// [`Error::Options`] for a shape out of range; [`Error::Missing`] without a `train` folder or a
/// `test` or `val` folder, and for a link to nothing; [`Error::Folder`] without class folders, for a
/// class folder without images, for a test class that is not a training class, for a link to a
/// folder around it and for a class name that is not UTF-8; [`Error::Io`] and [`Error::Image`] for
/// the first file that cannot be read or decoded, unless those are [skipped](LoadOptions), then
/// [`Error::Folder`] for a class that is left without images.
pub fn load(root: impl AsRef<Path>, options: impl Into<LoadOptions>) -> Result<TrainTest, Error> {
    let options = options.into();
    options.shape.check()?;
    let root = root.as_ref();
    let train_dir = root.join("train");
    let test_dir = [root.join("test"), root.join("val")]
        .into_iter()
        .find(|dir| dir.is_dir());
    if !train_dir.is_dir() {
        return Err(Error::missing(
            &train_dir,
            "expected a folder with one folder per class",
        ));
    }
    let Some(test_dir) = test_dir else {
        let problem = "expected a folder test or val with one folder per class";
        return Err(Error::missing(&root.join("test"), problem));
    };

    let train = class_folders(&train_dir)?;
    let test = class_folders(&test_dir)?;
    let classes: Vec<String> = train.iter().map(|(name, _)| name.clone()).collect();
    for (name, dir) in &test {
        if !classes.contains(name) {
            let problem = format!("class {name:?} is not in {}", train_dir.display());
            return Err(Error::folder(dir, problem));
        }
    }
    Ok(TrainTest {
        train: decode_all(&train, &classes, options)?,
        test: decode_all(&test, &classes, options)?,
    })
}

/// Reads the images under `root`, split by classes: no class is both trained and tested on.
///
/// With folders `train` and `test` (or `val`) in `root`, their classes are the split, and must
/// differ. Otherwise the folders of `root` are the classes: the first half of them, in the order of
/// [`load`], is trained on, the second half tested on; the larger half of an odd number is trained
/// on. Images are found, decoded and resized as by [`load`].
///
/// # Errors
///
/// As for [`load`], but [`Error::Folder`] for a test class that is a training class too, for fewer
/// than two classes, and where a folder to be a class is called as a part (`Testing`, `valid`).
pub fn load_zero_shot(
    root: impl AsRef<Path>,
    options: impl Into<LoadOptions>,
) -> Result<ZeroShot, Error> {
    let options = options.into();
    options.shape.check()?;
    let root = root.as_ref();
    if !root.is_dir() {
        return Err(Error::missing(
            root,
            "expected a folder with one folder per class",
        ));
    }
    let train_dir = root.join("train");
    let test_dir = ["test", "val"].map(|name| root.join(name));
    let (folders, train_classes) = match test_dir.into_iter().find(|dir| dir.is_dir()) {
        Some(test_dir) if train_dir.is_dir() => {
            let mut folders = class_folders(&train_dir)?;
            let train_classes = folders.len();
            for (name, dir) in class_folders(&test_dir)? {
                let trained = &folders[..train_classes];
                if trained.iter().any(|(other, _)| *other == name) {
                    let problem = format!("class {name:?} is in {} too", train_dir.display());
                    return Err(Error::folder(&dir, problem));
                }
                folders.push((name, dir));
            }
            (folders, train_classes)
        }
        _ => {
            let folders = class_folders(root)?;
            if let Some((name, dir)) = folders.iter().find(|(name, _)| is_part(name)) {
                let problem = format!(
                    "{name:?} is the name of a part, not of a class; a split is in folders train \
                     and test, or train and val"
                );
                return Err(Error::folder(dir, problem));
            }
            let train_classes = first_half(folders.len());
            (folders, train_classes)
        }
    };
    let (mut classes, mut images) = (Vec::new(), Vec::new());
    for (label, (name, dir)) in folders.into_iter().enumerate() {
        images.extend(image_files(&dir)?.into_iter().map(|file| (file, label)));
        classes.push(name);
    }
    let listing = Listing {
        classes,
        train_classes,
        images,
    };
    listing.decode(root, options)
}

/// Whether a folder's name is one that parts of a set have.
fn is_part(name: &str) -> bool {
    const PARTS: [&str; 7] = [
        "train",
        "training",
        "test",
        "testing",
        "val",
        "valid",
        "validation",
    ];
    PARTS.iter().any(|part| name.eq_ignore_ascii_case(part))
}

/// What `dir` holds, sorted by name, without hidden entries and what systems leave behind.
fn entries(dir: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(dir).map_err(|source| Error::io(dir, source))? {
        let entry = entry.map_err(|source| Error::io(dir, source))?;
        let name = entry.file_name();
        if !name.as_encoded_bytes().starts_with(b".") && !JUNK.iter().any(|junk| name == *junk) {
            paths.push(entry.path());
        }
    }
    paths.sort();
    Ok(paths)
}

/// The class folders of one part, in the order of the classes.
pub(crate) fn class_folders(part: &Path) -> Result<Vec<(String, PathBuf)>, Error> {
    let mut folders = Vec::new();
    for dir in entries(part)? {
        if dir.is_symlink() && !dir.exists() {
            let problem = "this is a link to a folder that is not there";
            return Err(Error::missing(&dir, problem));
        }
        if !dir.is_dir() {
            continue;
        }
        match dir.file_name().and_then(|name| name.to_str()) {
            Some(name) => folders.push((name.to_owned(), dir)),
            None => return Err(Error::folder(&dir, "the class name is not UTF-8")),
        }
    }
    if folders.is_empty() {
        return Err(Error::folder(part, "no class folders"));
    }
    sort_classes(&mut folders, |(name, _)| name);
    Ok(folders)
}

/// The image files of one class, in its folder and those in it, sorted by path.
pub(crate) fn image_files(dir: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut files = Vec::new();
    find_images(dir, &mut Vec::new(), &mut files)?;
    if files.is_empty() {
        let problem = "no image in this class folder (PNG, JPEG, GIF, WebP or BMP)";
        return Err(Error::folder(dir, problem));
    }
    files.sort();
    Ok(files)
}

/// Adds the images in `dir` and below; `above` are the folders around it, without links.
fn find_images(
    dir: &Path,
    above: &mut Vec<PathBuf>,
    files: &mut Vec<PathBuf>,
) -> Result<(), Error> {
    let real = fs::canonicalize(dir).map_err(|source| Error::io(dir, source))?;
    if above.contains(&real) {
        let problem = "this is a link to a folder around it";
        return Err(Error::folder(dir, problem));
    }
    above.push(real);
    for path in entries(dir)? {
        if path.is_dir() {
            find_images(&path, above, files)?;
        } else if is_image_file(&path)? {
            files.push(path);
        }
    }
    above.pop();
    Ok(())
}

/// Whether a file is to be decoded: by its name, or else by its content. A link to nothing is, to
/// fail under its name.
fn is_image_file(path: &Path) -> Result<bool, Error> {
    let extension = path.extension().and_then(|extension| extension.to_str());
    let by_name =
        extension.is_some_and(|given| EXTENSIONS.iter().any(|e| given.eq_ignore_ascii_case(e)));
    if by_name || !path.exists() {
        return Ok(true);
    }
    if !path.is_file() {
        return Ok(false);
    }
    let mut start = Vec::new();
    File::open(path)
        .and_then(|file| file.take(decode::START as u64).read_to_end(&mut start))
        .map_err(|source| Error::io(path, source))?;
    Ok(decode::is_image(&start))
}

fn decode_all(
    folders: &[(String, PathBuf)],
    classes: &[String],
    options: LoadOptions,
) -> Result<ImageSet, Error> {
    let (mut files, mut labels) = (Vec::new(), Vec::new());
    for (name, dir) in folders {
        let images = image_files(dir)?;
        let label = classes.iter().position(|class| class == name);
        let label = label.expect("the name of a class");
        labels.extend(std::iter::repeat_n(label, images.len()));
        files.extend(images);
    }
    decode::image_set(&files, labels, classes.to_vec(), options)
}

#[cfg(test)]
mod tests {
    use image::{GrayImage, Luma, Rgb, RgbImage, Rgba, RgbaImage};
    use tempfile::TempDir;

    use super::*;

    const RGB: ImageFolderOptions = ImageFolderOptions {
        height: 2,
        width: 3,
        channels: 3,
    };

    /// A png of one colour, 3 wide and 2 high.
    fn png(root: &TempDir, path: &str, colour: [u8; 3]) {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        RgbImage::from_pixel(3, 2, Rgb(colour)).save(path).unwrap();
    }

    /// Classes `ant` and `bee`, two training images of each, one test image of `bee`.
    fn small_set() -> TempDir {
        let root = tempfile::tempdir().unwrap();
        png(&root, "train/bee/1.png", [10, 20, 30]);
        png(&root, "train/bee/0.PNG", [40, 50, 60]);
        png(&root, "train/ant/0.png", [1, 2, 3]);
        png(&root, "train/ant/1.png", [4, 5, 6]);
        png(&root, "test/bee/0.png", [7, 8, 9]);
        fs::write(root.path().join("train/bee/notes.txt"), "no image").unwrap();
        fs::write(root.path().join("train/bee/.hidden.png"), "no image").unwrap();
        fs::write(root.path().join("train/README"), "no class").unwrap();
        root
    }

    /// The folder that an [`Error::Folder`] names, below the root.
    fn bad_folder(root: &TempDir) -> PathBuf {
        match load(root.path(), RGB) {
            Err(Error::Folder { path, .. }) => path.strip_prefix(root.path()).unwrap().into(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn classes_and_images_are_sorted() {
        let root = small_set();
        let TrainTest { train, test } = load(root.path(), RGB).unwrap();
        assert_eq!(train.classes(), ["ant", "bee"]);
        assert_eq!(train.labels(), [0, 0, 1, 1]);
        assert_eq!(test.labels(), [1]);
        assert_eq!(train.shape(), [3, 2, 3]);
        let first: Vec<u8> = (0..4).map(|index| train.image(index)[0]).collect();
        assert_eq!(first, [1, 4, 40, 10]);
        // Planar: six red values, six green, six blue.
        assert_eq!(test.pixels(), [[7; 6], [8; 6], [9; 6]].concat());
        assert_eq!(load(root.path(), RGB).unwrap().train, train);
    }

    #[test]
    fn rows_stay_rows() {
        let root = small_set();
        let gray = GrayImage::from_fn(3, 2, |x, y| Luma([(10 * y + x) as u8]));
        gray.save(root.path().join("test/bee/0.png")).unwrap();
        for channels in [1, 3] {
            let set = load(root.path(), ImageFolderOptions { channels, ..RGB })
                .unwrap()
                .test;
            assert_eq!(set.shape(), [channels, 2, 3]);
            assert_eq!(set.pixels(), [0, 1, 2, 10, 11, 12].repeat(channels));
        }
    }

    #[test]
    fn resizes_and_takes_val_for_test() {
        let root = small_set();
        fs::rename(root.path().join("test"), root.path().join("val")).unwrap();
        let options = ImageFolderOptions {
            height: 5,
            width: 4,
            channels: 3,
        };
        let set = load(root.path(), options).unwrap().test;
        assert_eq!(set.shape(), [3, 5, 4]);
        // A uniform image stays uniform.
        assert_eq!(set.pixels(), [[7; 20], [8; 20], [9; 20]].concat());
    }

    #[test]
    fn jpeg_is_read_and_told_by_content() {
        let root = small_set();
        let path = root.path().join("train/ant/2.jpeg");
        RgbImage::from_pixel(16, 16, Rgb([200, 100, 50]))
            .save(&path)
            .unwrap();
        fs::copy(&path, root.path().join("train/ant/3.png")).unwrap();
        let train = load(root.path(), RGB).unwrap().train;
        assert_eq!(train.len(), 6);
        assert_eq!(train.image(2), train.image(3));
        // Jpeg is lossy: a uniform colour comes back within a few levels.
        assert!(
            train.image(2)[0].abs_diff(200) <= 4,
            "{}",
            train.image(2)[0]
        );
    }

    #[test]
    fn transparency_is_blended_over_white() {
        let root = small_set();
        let pixel = |alpha| Rgba([0, 100, 255, alpha]);
        let image = RgbaImage::from_fn(3, 2, |x, _| pixel([0, 51, 255][x as usize]));
        image.save(root.path().join("test/bee/0.png")).unwrap();
        let set = load(root.path(), RGB).unwrap().test;
        // 51 / 255 = 0.2: 255 * 0.8 = 204 and 100 * 0.2 + 204 = 224.
        assert_eq!(set.image(0)[..3], [255, 204, 0]);
        assert_eq!(set.image(0)[6..9], [255, 224, 100]);
        assert_eq!(set.image(0)[12..15], [255; 3]);
    }

    #[test]
    fn undecodable_image_is_named() {
        let root = small_set();
        let path = root.path().join("train/bee/1.png");
        let whole = fs::read(&path).unwrap();
        for content in [
            &b""[..],
            b"not an image",
            &whole[..20],
            &whole[..whole.len() / 2],
        ] {
            fs::write(&path, content).unwrap();
            match load(root.path(), RGB) {
                Err(Error::Image { path: named, .. }) => assert_eq!(named, path),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn first_bad_image_is_the_one_reported() {
        let root = small_set();
        for name in ["train/ant/1.png", "train/bee/0.PNG", "train/bee/1.png"] {
            fs::write(root.path().join(name), "bad").unwrap();
        }
        let error = load(root.path(), RGB).unwrap_err().to_string();
        assert!(error.contains("ant") && error.contains("1.png"), "{error}");
    }

    #[test]
    fn empty_class_folder_is_named() {
        let root = small_set();
        fs::create_dir(root.path().join("train/cat")).unwrap();
        assert_eq!(bad_folder(&root), Path::new("train/cat"));
    }

    #[test]
    fn part_without_classes_is_named() {
        let root = small_set();
        fs::remove_dir_all(root.path().join("test/bee")).unwrap();
        assert_eq!(bad_folder(&root), Path::new("test"));
    }

    #[test]
    fn test_class_that_is_not_trained_is_named() {
        let root = small_set();
        png(&root, "test/wasp/0.png", [0; 3]);
        assert_eq!(bad_folder(&root), Path::new("test/wasp"));
    }

    #[test]
    fn missing_parts_are_named() {
        let root = small_set();
        for part in ["test", "train"] {
            fs::remove_dir_all(root.path().join(part)).unwrap();
            match load(root.path(), RGB) {
                Err(Error::Missing { path, .. }) => assert_eq!(path, root.path().join(part)),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn classes_are_halved() {
        let root = tempfile::tempdir().unwrap();
        for (value, path) in [
            "d/1.png", "b/2.png", "a/1.png", "b/1.png", "c/1.png", "e/1.png",
        ]
        .into_iter()
        .enumerate()
        {
            png(&root, path, [value as u8; 3]);
        }
        let ZeroShot { train, test } = load_zero_shot(root.path(), RGB).unwrap();
        assert_eq!(train.classes(), ["a", "b", "c"]);
        assert_eq!(test.classes(), ["d", "e"]);
        assert_eq!(
            (train.labels(), test.labels()),
            (&[0, 1, 1, 2][..], &[0, 1][..])
        );
        let values = |set: &ImageSet| (0..set.len()).map(|i| set.image(i)[0]).collect::<Vec<_>>();
        assert_eq!(
            (values(&train), values(&test)),
            (vec![2, 3, 1, 4], vec![0, 5])
        );
    }

    #[test]
    fn train_and_test_with_other_classes_are_a_split() {
        let root = tempfile::tempdir().unwrap();
        for path in ["train/b/1.png", "train/c/1.png", "val/a/1.png"] {
            png(&root, path, [1; 3]);
        }
        let ZeroShot { train, test } = load_zero_shot(root.path(), RGB).unwrap();
        assert_eq!(
            (train.classes(), test.classes()),
            (&["b", "c"].map(String::from)[..], &["a".to_owned()][..])
        );
        assert_eq!((train.labels(), test.labels()), (&[0, 1][..], &[0][..]));

        png(&root, "val/c/1.png", [1; 3]);
        match load_zero_shot(root.path(), RGB) {
            Err(Error::Folder { path, .. }) => assert_eq!(path, root.path().join("val/c")),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn layouts_without_two_classes_are_refused() {
        let root = tempfile::tempdir().unwrap();
        let message = || load_zero_shot(root.path(), RGB).unwrap_err().to_string();
        assert!(message().ends_with("no class folders"), "{}", message());
        png(&root, "a/1.png", [0; 3]);
        assert!(
            message().contains("expected at least two classes"),
            "{}",
            message()
        );
        fs::create_dir(root.path().join("b")).unwrap();
        assert!(
            message().contains("no image in this class folder"),
            "{}",
            message()
        );
        let missing = load_zero_shot(root.path().join("none"), RGB);
        assert!(matches!(missing, Err(Error::Missing { .. })), "{missing:?}");
    }

    #[test]
    fn impossible_options_are_refused() {
        for (options, problem) in [
            (
                ImageFolderOptions { channels: 2, ..RGB },
                "channels is 2, not 1 or 3",
            ),
            (
                ImageFolderOptions { height: 0, ..RGB },
                "height is 0, not 1 to 4096",
            ),
            (
                ImageFolderOptions { width: 5000, ..RGB },
                "width is 5000, not 1 to 4096",
            ),
        ] {
            let root = small_set();
            assert_eq!(load(root.path(), options).unwrap_err().to_string(), problem);
        }
    }

    #[test]
    fn images_in_folders_of_a_class_are_of_the_class() {
        let root = small_set();
        png(&root, "train/ant/more/2.png", [20; 3]);
        png(&root, "train/ant/more/deep/3.png", [30; 3]);
        fs::create_dir(root.path().join("train/ant/0.png.d")).unwrap();
        let train = load(root.path(), RGB).unwrap().train;
        assert_eq!(train.class_counts(), [4, 2]);
        let first: Vec<u8> = (0..4).map(|index| train.image(index)[0]).collect();
        assert_eq!(first, [1, 4, 20, 30]);
    }

    #[test]
    fn what_systems_leave_behind_is_passed_over() {
        let root = small_set();
        let expected = load(root.path(), RGB).unwrap();
        for path in [
            "train/.ipynb_checkpoints/1.png",
            "train/ant/.ipynb_checkpoints/1.png",
            "train/__MACOSX/ant/1.png",
            "train/ant/__MACOSX/1.png",
        ] {
            png(&root, path, [9; 3]);
        }
        for path in [
            "train/.DS_Store",
            "train/ant/._1.png",
            "train/ant/Thumbs.db",
            "train/ant/desktop.ini",
        ] {
            fs::write(root.path().join(path), "x").unwrap();
        }
        assert_eq!(load(root.path(), RGB).unwrap(), expected);
    }

    /// Every format under its own name, under another's and under none.
    #[test]
    fn the_content_tells_the_format() {
        use image::ImageFormat::{Bmp, Gif, Jpeg, Png, WebP};
        for (format, names) in [
            (Gif, ["a.gif", "a.JPG", "a"]),
            (WebP, ["a.webp", "a.png", "a.img"]),
            (Bmp, ["a.BMP", "a.jpeg", "a.0"]),
            (Jpeg, ["a.jpe", "a.tiff", "a"]),
            (Png, ["a.png", "a.gif", "a"]),
        ] {
            for name in names {
                let root = small_set();
                fs::remove_file(root.path().join("test/bee/0.png")).unwrap();
                RgbImage::from_pixel(3, 2, Rgb([200, 100, 50]))
                    .save_with_format(root.path().join("test/bee").join(name), format)
                    .unwrap();
                let test = load(root.path(), RGB).unwrap().test;
                assert_eq!(test.len(), 1, "{name}");
                for (plane, value) in test.image(0).chunks(6).zip([200u8, 100, 50]) {
                    let near = |pixel: &u8| pixel.abs_diff(value) <= 4;
                    assert!(plane.iter().all(near), "{format:?} {name}: {plane:?}");
                }
            }
        }
    }

    #[test]
    fn sixteen_bits_are_brought_to_eight() {
        let root = small_set();
        let image = image::ImageBuffer::from_fn(3, 2, |x, y| Luma([257 * (10 * y + x) as u16]));
        image.save(root.path().join("test/bee/0.png")).unwrap();
        let set = load(root.path(), RGB).unwrap().test;
        assert_eq!(set.pixels(), [0, 1, 2, 10, 11, 12].repeat(3));
    }

    /// A JPEG of one colour in cyan, magenta, yellow and black (0, 200, 100, 30), inverted under an
    /// Adobe marker as image editors write them.
    const CMYK: &str = "\
        ffd8ffee000e41646f626500640000000000ffdb0043000302020302020303030304030304050805\
        050404050a070706080c0a0c0c0b0a0b0b0d0e12100d0e110e0b0b1016101113141515150c0f1718\
        16141812141514ffc000140800080008044311004d11005911004b1100ffc4001600010101000000\
        00000000000000000000090708ffc40014100100000000000000000000000000000000ffda000e04\
        43004d0059004b00003f0054d8f148206fffd9";

    #[test]
    fn cmyk_is_brought_to_rgb() {
        let digits = |k: usize| u8::from_str_radix(&CMYK[k..k + 2], 16).unwrap();
        let jpeg: Vec<u8> = (0..CMYK.len()).step_by(2).map(digits).collect();
        let root = small_set();
        fs::write(root.path().join("test/bee/0.png"), jpeg).unwrap();
        let set = load(root.path(), RGB).unwrap().test;
        // (255 - ink) (255 - black) / 255
        for (plane, value) in set.image(0).chunks(6).zip([225u8, 49, 137]) {
            assert!(plane.iter().all(|x| x.abs_diff(value) <= 4), "{plane:?}");
        }
    }

    /// A JPEG with the EXIF orientation `turn`.
    fn turned(image: &RgbImage, turn: u8) -> Vec<u8> {
        let mut jpeg = Vec::new();
        let encoder = image::codecs::jpeg::JpegEncoder::new_with_quality(&mut jpeg, 100);
        image.write_with_encoder(encoder).unwrap();
        // One entry in the first directory: 0x0112, a short.
        let mut exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
        exif.extend([turn, 0, 0, 0, 0, 0, 0]);
        let length = (exif.len() as u16 + 2).to_be_bytes();
        let segment = [&[0xff, 0xe1][..], &length, &exif].concat();
        jpeg.splice(2..2, segment);
        jpeg
    }

    #[test]
    fn exif_orientation_is_applied() {
        // Left half black, right half white.
        let image = RgbImage::from_fn(16, 16, |x, _| Rgb([if x < 8 { 0 } else { 255 }; 3]));
        let options = ImageFolderOptions {
            height: 2,
            width: 2,
            channels: 1,
        };
        for (turn, expected) in [
            (1, [0, 255, 0, 255]),
            // Mirrored, turned by half, and by a quarter to the right.
            (2, [255, 0, 255, 0]),
            (3, [255, 0, 255, 0]),
            (6, [0, 0, 255, 255]),
            (8, [255, 255, 0, 0]),
        ] {
            let root = small_set();
            fs::write(root.path().join("test/bee/0.png"), turned(&image, turn)).unwrap();
            let set = load(root.path(), options).unwrap().test;
            for (found, expected) in set.pixels().iter().zip(expected) {
                assert!(found.abs_diff(expected) < 60, "{turn}: {:?}", set.pixels());
            }
        }
    }

    #[test]
    fn a_jpeg_that_is_cut_off_is_an_error() {
        let root = small_set();
        let path = root.path().join("train/ant/2.jpg");
        let image = RgbImage::from_fn(64, 64, |x, y| Rgb([(x * y) as u8, x as u8, y as u8]));
        image.save(&path).unwrap();
        let whole = fs::read(&path).unwrap();
        assert!(load(root.path(), RGB).is_ok());
        // With a film behind it, in which any markers may stand.
        let film = [&whole[..], &[0, 0xff, 0xd9, 7, 0xff, 0xda, 3, 9]].concat();
        fs::write(&path, film).unwrap();
        assert!(load(root.path(), RGB).is_ok());
        fs::write(&path, &whole[..whole.len() / 2]).unwrap();
        let error = load(root.path(), RGB).unwrap_err().to_string();
        assert!(
            error.contains("2.jpg") && error.contains("cut off"),
            "{error}"
        );
    }

    #[test]
    fn a_file_that_is_no_image_is_named_with_what_it_is() {
        for (content, expected) in [
            (&b""[..], "the file is empty"),
            (b"<!DOCTYPE html><html>", "a web page"),
            (b"<svg xmlns=\"\"/>", "SVG"),
            (b"\0\0\0\x18ftypheic\0\0\0\0", "HEIC"),
            (b"II*\0\x08\0\0\0", "Tiff is not supported"),
            (b"hello", "no PNG, JPEG, GIF, WebP or BMP"),
        ] {
            let root = small_set();
            fs::write(root.path().join("train/ant/1.png"), content).unwrap();
            let error = load(root.path(), RGB).unwrap_err().to_string();
            assert!(
                error.contains("1.png") && error.contains(expected),
                "{error}"
            );
        }
    }

    #[test]
    fn bad_images_are_skipped_on_demand_and_listed() {
        let root = small_set();
        let bad = root.path().join("train/ant/0.png");
        fs::write(&bad, "").unwrap();
        let options = RGB.skipping_bad_images();
        let TrainTest { train, test } = load(root.path(), options).unwrap();
        assert_eq!((train.labels(), test.labels()), (&[0, 1, 1][..], &[1][..]));
        let first: Vec<u8> = (0..3).map(|index| train.image(index)[0]).collect();
        assert_eq!(first, [4, 40, 10]);
        assert_eq!(train.skipped().len(), 1);
        assert_eq!(train.skipped()[0].path, bad);
        assert!(train.skipped()[0].reason.ends_with("the file is empty"));
        assert!(test.skipped().is_empty() && train.subset(&[0]).skipped().is_empty());
        // Not a whole class.
        fs::write(root.path().join("train/ant/1.png"), "x").unwrap();
        match load(root.path(), options) {
            Err(Error::Folder { path, problem }) => {
                assert_eq!(path, root.path().join("train/ant"));
                assert!(
                    problem.contains("no image of the class \"ant\""),
                    "{problem}"
                );
            }
            other => panic!("{other:?}"),
        }
    }

    #[cfg(unix)]
    #[test]
    fn links_are_followed_and_broken_ones_named() {
        use std::os::unix::fs::symlink;

        let root = small_set();
        let at = |path: &str| root.path().join(path);
        symlink(at("train/bee"), at("train/wasp")).unwrap();
        symlink(at("train/bee/1.png"), at("train/ant/9.png")).unwrap();
        let train = load(root.path(), RGB).unwrap().train;
        assert_eq!(train.classes(), ["ant", "bee", "wasp"]);
        assert_eq!(train.class_counts(), [3, 2, 2]);

        let named = |link: &str, to: &str| {
            symlink(at(to), at(link)).unwrap();
            let error = load(root.path(), RGB).unwrap_err().to_string();
            assert!(error.contains(link.rsplit('/').next().unwrap()), "{error}");
            fs::remove_file(at(link)).unwrap();
            error
        };
        let error = named("train/ant/broken.png", "nowhere.png");
        assert!(
            error.contains("a link to a file that is not there"),
            "{error}"
        );
        named("train/ant/broken", "nowhere");
        assert!(named("train/yak", "nowhere").contains("a link to a folder that is not there"));
        assert!(named("train/ant/loop", "train/ant").contains("a link to a folder around it"));
    }

    #[test]
    fn numbered_classes_are_in_the_order_of_their_numbers() {
        let root = tempfile::tempdir().unwrap();
        let mut table = "path,label\n".to_owned();
        for class in 1..=12u8 {
            for part in ["parts/train", "parts/test", "halves"] {
                png(&root, &format!("{part}/{class}/1.png"), [class; 3]);
            }
            table.push_str(&format!("halves/{class}/1.png,{class}\n"));
        }
        fs::write(root.path().join("table.csv"), table).unwrap();
        let numbers: Vec<String> = (1..=12).map(|class| class.to_string()).collect();
        let parts = load(root.path().join("parts"), RGB).unwrap();
        for set in [&parts.train, &parts.test] {
            assert_eq!(set.classes(), numbers);
            for (index, &label) in set.labels().iter().enumerate() {
                assert_eq!(set.image(index)[0] as usize, label + 1);
            }
        }
        let folders = load_zero_shot(root.path().join("halves"), RGB).unwrap();
        assert_eq!(folders.train.classes(), &numbers[..6]);
        // The same rule for a table.
        let listed = crate::manifest::load_zero_shot(root.path().join("table.csv"), RGB).unwrap();
        assert_eq!(listed, folders);
    }

    #[test]
    fn parts_are_no_classes() {
        let root = tempfile::tempdir().unwrap();
        for path in ["Training/cat/1.png", "Testing/dog/1.png"] {
            png(&root, path, [1; 3]);
        }
        let error = load_zero_shot(root.path(), RGB).unwrap_err().to_string();
        assert!(
            error.contains("\"Testing\" is the name of a part, not of a class"),
            "{error}"
        );
    }
}
