//! Images sorted into one folder per class.
//!
//! ```text
//! <root>/train/<class>/*.{png,jpg,jpeg}
//! <root>/test/<class>/*.{png,jpg,jpeg}     or <root>/val/... where there is no test
//! ```
//!
//! or, to be split by classes,
//!
//! ```text
//! <root>/<class>/*.{png,jpg,jpeg}
//! ```

use std::fs;
use std::path::{Path, PathBuf};

use crate::zero_shot::{Listing, first_half};
use crate::{Error, ImageSet, TrainTest, ZeroShot, decode};

const EXTENSIONS: [&str; 3] = ["png", "jpg", "jpeg"];
const MAX_SIDE: usize = 4096;

/// The shape that every image of a folder set is brought to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageFolderOptions {
    /// Height in pixels, 1 to 4096.
    pub height: usize,
    /// Width in pixels, 1 to 4096.
    pub width: usize,
    /// 1 for gray (ITU-R BT.709 luma) or 3 for red, green and blue.
    pub channels: usize,
}

/// Reads the set under `root`, decoding each image once, in parallel.
///
/// The classes are the folders of `train`, sorted by name; the images of a class are sorted by
/// name too. The format is told by the content, png or jpeg. Transparency is blended over white,
/// and the image resized with a triangle filter, without keeping its proportions. Names that start
/// with a dot, files of other extensions and files beside the class folders are passed over.
///
/// # Errors
///
/// [`Error::Options`] for a shape out of range; [`Error::Missing`] without a `train` folder or a
/// `test` or `val` folder; [`Error::Folder`] without class folders, for a class folder without
/// images, for a test class that is not a training class and for a class name that is not UTF-8;
/// [`Error::Io`] and [`Error::Image`] for the first file that cannot be read or decoded.
pub fn load(root: impl AsRef<Path>, options: ImageFolderOptions) -> Result<TrainTest, Error> {
    options.check()?;
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
        if classes.binary_search(name).is_err() {
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
/// differ. Otherwise the folders of `root` are the classes: the first half of them, sorted by name,
/// is trained on, the second half tested on; the larger half of an odd number is trained on.
/// Images are found, decoded and resized as by [`load`].
///
/// # Errors
///
/// As for [`load`], but [`Error::Folder`] for a test class that is a training class too, and for
/// fewer than two classes.
pub fn load_zero_shot(
    root: impl AsRef<Path>,
    options: ImageFolderOptions,
) -> Result<ZeroShot, Error> {
    options.check()?;
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
                if trained
                    .binary_search_by(|(other, _)| other.cmp(&name))
                    .is_ok()
                {
                    let problem = format!("class {name:?} is in {} too", train_dir.display());
                    return Err(Error::folder(&dir, problem));
                }
                folders.push((name, dir));
            }
            (folders, train_classes)
        }
        _ => {
            let folders = class_folders(root)?;
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

impl ImageFolderOptions {
    pub(crate) fn check(self) -> Result<(), Error> {
        for (name, side) in [("height", self.height), ("width", self.width)] {
            if !(1..=MAX_SIDE).contains(&side) {
                let problem = format!("{name} is {side}, not 1 to {MAX_SIDE}");
                return Err(Error::Options { problem });
            }
        }
        if ![1, 3].contains(&self.channels) {
            let problem = format!("channels is {}, not 1 or 3", self.channels);
            return Err(Error::Options { problem });
        }
        Ok(())
    }
}

/// What `dir` holds, sorted by name, without hidden entries.
fn entries(dir: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(dir).map_err(|source| Error::io(dir, source))? {
        let entry = entry.map_err(|source| Error::io(dir, source))?;
        if !entry.file_name().as_encoded_bytes().starts_with(b".") {
            paths.push(entry.path());
        }
    }
    paths.sort();
    Ok(paths)
}

/// The class folders of one part, sorted by name.
pub(crate) fn class_folders(part: &Path) -> Result<Vec<(String, PathBuf)>, Error> {
    let mut folders = Vec::new();
    for dir in entries(part)?.into_iter().filter(|path| path.is_dir()) {
        match dir.file_name().and_then(|name| name.to_str()) {
            Some(name) => folders.push((name.to_owned(), dir)),
            None => return Err(Error::folder(&dir, "the class name is not UTF-8")),
        }
    }
    if folders.is_empty() {
        return Err(Error::folder(part, "no class folders"));
    }
    Ok(folders)
}

/// The image files of one class, sorted by name.
pub(crate) fn image_files(dir: &Path) -> Result<Vec<PathBuf>, Error> {
    let is_image = |path: &PathBuf| {
        let extension = path.extension().and_then(|extension| extension.to_str());
        extension.is_some_and(|given| EXTENSIONS.iter().any(|e| given.eq_ignore_ascii_case(e)))
    };
    let files: Vec<PathBuf> = entries(dir)?.into_iter().filter(is_image).collect();
    if files.is_empty() {
        return Err(Error::folder(
            dir,
            "no .png, .jpg or .jpeg file in this class folder",
        ));
    }
    Ok(files)
}

fn decode_all(
    folders: &[(String, PathBuf)],
    classes: &[String],
    options: ImageFolderOptions,
) -> Result<ImageSet, Error> {
    let (mut files, mut labels) = (Vec::new(), Vec::new());
    for (name, dir) in folders {
        let images = image_files(dir)?;
        let label = classes.partition_point(|class| class < name);
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
            message().contains("no .png, .jpg or .jpeg file"),
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
}
