//! Emoji retrieval: each class is one emoji as several vendors drew it, a drawing of each.
//!
//! ```text
//! <dir>/train.png    a sheet of square drawings: a row for each class, a column for each vendor
//! <dir>/train.csv    code_points,name,<vendor>,..: a line for each row, 1 for a drawing or 0
//! <dir>/test.png     the same for the test classes
//! <dir>/test.csv
//! ```
//!
//! These are drawings, not photographs. As in Stanford Online Products there are many classes with
//! few images each, and the training and test classes are disjoint. The example `prepare_emoji`
//! writes such folders.

use std::collections::BTreeSet;
use std::io::Cursor;
use std::path::Path;

use image::{ImageFormat, ImageReader};

use crate::error::read_file;
use crate::table::Table;
use crate::{Error, ImageSet, ZeroShot};

/// The vendors of the shipped part, in the order of their numbers.
pub const VENDORS: [&str; 6] = [
    "emojione",
    "fluent-emoji-flat",
    "fxemoji",
    "noto",
    "noto-v1",
    "twemoji",
];

/// The height and width of a drawing of the shipped part.
pub const SIDE: usize = 32;

/// The drawings of the emoji set, and who drew them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Emoji {
    /// The drawings, 3 x side x side, and their classes. The images of a class are in the order of
    /// the vendors; the classes in the order of their code points.
    pub images: ZeroShot,
    /// The vendors' names.
    pub vendors: Vec<String>,
    /// The vendor of each training image, an index into `vendors`.
    pub train_vendors: Vec<usize>,
    /// The vendor of each test image, an index into `vendors`.
    pub test_vendors: Vec<usize>,
}

macro_rules! shipped {
    ($part:literal) => {
        PartFiles {
            sheet: (
                include_bytes!(concat!("../data/emoji-mini/", $part, ".png")),
                Path::new(concat!("data/emoji-mini/", $part, ".png")),
            ),
            table: (
                include_bytes!(concat!("../data/emoji-mini/", $part, ".csv")),
                Path::new(concat!("data/emoji-mini/", $part, ".csv")),
            ),
        }
    };
}

/// The shipped part: the 562 emoji that all of [`VENDORS`] drew, 3 x 32 x 32; 281 classes to train
/// on and 281 others to test on, 6 drawings of each.
pub fn mini() -> Emoji {
    join(&shipped!("train"), &shipped!("test")).expect("the shipped files are sound")
}

/// Reads the four files that `prepare_emoji` writes from `dir`; the drawings have the size that the
/// sheet's width says.
///
/// # Errors
///
/// [`Error::Missing`] names the file that is not there; [`Error::Image`] a sheet that is not a PNG;
/// [`Error::Malformed`] a table or a sheet that does not fit the other files: another header, a
/// number of columns or a cell that is not as above, a class without drawings or without its own
/// name, a class of both parts, other vendors in the two parts, or a sheet of another size than its
/// table asks for.
pub fn load(dir: impl AsRef<Path>) -> Result<Emoji, Error> {
    let dir = dir.as_ref();
    let read = |name: &str| {
        let path = dir.join(name);
        if !path.exists() {
            let problem = "expected train.png, train.csv, test.png and test.csv here, as \
                           prepare_emoji writes them";
            return Err(Error::missing(&path, problem));
        }
        Ok((read_file(&path)?, path))
    };
    let [train_sheet, train_table] = [read("train.png")?, read("train.csv")?];
    let [test_sheet, test_table] = [read("test.png")?, read("test.csv")?];
    join(
        &PartFiles {
            sheet: (&train_sheet.0, &train_sheet.1),
            table: (&train_table.0, &train_table.1),
        },
        &PartFiles {
            sheet: (&test_sheet.0, &test_sheet.1),
            table: (&test_table.0, &test_table.1),
        },
    )
}

/// The contents of the two files of one part, each with the path that names it in errors.
struct PartFiles<'a> {
    sheet: (&'a [u8], &'a Path),
    table: (&'a [u8], &'a Path),
}

/// What a table says.
struct Rows {
    vendors: Vec<String>,
    classes: Vec<String>,
    /// For each class, whether each vendor drew it.
    drawn: Vec<Vec<bool>>,
}

fn join(train: &PartFiles<'_>, test: &PartFiles<'_>) -> Result<Emoji, Error> {
    let train_rows = rows(train.table)?;
    let test_rows = rows(test.table)?;
    if train_rows.vendors != test_rows.vendors {
        let problem = format!(
            "the vendors {} are not those of {}, {}",
            test_rows.vendors.join(","),
            train.table.1.display(),
            train_rows.vendors.join(",")
        );
        return Err(Error::malformed(test.table.1, 0, problem));
    }
    let trained: BTreeSet<&String> = train_rows.classes.iter().collect();
    if let Some(name) = test_rows.classes.iter().find(|name| trained.contains(name)) {
        let problem = format!("class {name:?} is in {} too", train.table.1.display());
        return Err(Error::malformed(test.table.1, 0, problem));
    }
    let (train_images, train_vendors) = images(train.sheet, &train_rows)?;
    let (test_images, test_vendors) = images(test.sheet, &test_rows)?;
    if train_images.shape() != test_images.shape() {
        let [_, height, width] = train_images.shape();
        let problem =
            format!("drawings of another size than {height} x {width}, the training part's");
        return Err(Error::malformed(test.sheet.1, 0, problem));
    }
    Ok(Emoji {
        images: ZeroShot {
            train: train_images,
            test: test_images,
        },
        vendors: train_rows.vendors,
        train_vendors,
        test_vendors,
    })
}

fn rows((bytes, path): (&[u8], &Path)) -> Result<Rows, Error> {
    let table = Table::parse(bytes, path)?;
    let Some((head, records)) = table.records().split_first() else {
        return Err(Error::malformed(path, 0, "the file is empty"));
    };
    if head.fields.len() < 3 || head.fields[..2] != ["code_points", "name"] {
        let problem = "expected the header code_points,name,<vendor>,..";
        return Err(Error::malformed(path, 0, problem));
    }
    let vendors = head.fields[2..].to_vec();
    let (mut classes, mut drawn) = (Vec::new(), Vec::new());
    let mut seen = [BTreeSet::new(), BTreeSet::new()];
    for record in records {
        let malformed = |problem: String| Err(Error::malformed(path, record.offset, problem));
        let cells = &record.fields[..];
        if cells.len() != head.fields.len() {
            return malformed(format!("{} fields, not {}", cells.len(), head.fields.len()));
        }
        for (name, seen) in cells.iter().zip(&mut seen) {
            if name.is_empty() || !seen.insert(name.clone()) {
                return malformed(format!("{name:?} does not name this class alone"));
            }
        }
        let mut row = Vec::with_capacity(vendors.len());
        for (cell, vendor) in cells[2..].iter().zip(&vendors) {
            match cell.as_str() {
                "0" => row.push(false),
                "1" => row.push(true),
                _ => return malformed(format!("{cell:?} for {vendor}, not 0 or 1")),
            }
        }
        if !row.contains(&true) {
            return malformed(format!("no vendor drew {:?}", cells[1]));
        }
        classes.push(cells[1].clone());
        drawn.push(row);
    }
    if classes.is_empty() {
        return Err(Error::malformed(path, 0, "no classes below the header"));
    }
    Ok(Rows {
        vendors,
        classes,
        drawn,
    })
}

/// Cuts a sheet into its drawings; also the vendor of each.
fn images((bytes, path): (&[u8], &Path), rows: &Rows) -> Result<(ImageSet, Vec<usize>), Error> {
    let sheet = ImageReader::with_format(Cursor::new(bytes), ImageFormat::Png)
        .decode()
        .map_err(|source| Error::Image {
            path: path.to_path_buf(),
            source,
        })?
        .into_rgb8();
    let (width, height) = (sheet.width() as usize, sheet.height() as usize);
    let side = width / rows.vendors.len();
    let [columns, lines] = [rows.vendors.len(), rows.classes.len()];
    if side == 0 || [width, height] != [columns * side, lines * side] {
        let problem = format!(
            "a sheet of {width} x {height} pixels is not {columns} x {lines} squares, one for each \
             vendor and class"
        );
        return Err(Error::malformed(path, 0, problem));
    }
    let sheet = sheet.as_raw();
    let (mut pixels, mut labels, mut vendors) = (Vec::new(), Vec::new(), Vec::new());
    for (class, row) in rows.drawn.iter().enumerate() {
        for (vendor, _) in row.iter().enumerate().filter(|&(_, &drawn)| drawn) {
            for channel in 0..3 {
                for line in class * side..(class + 1) * side {
                    let start = 3 * (line * width + vendor * side);
                    let values = &sheet[start..][..3 * side];
                    pixels.extend(values.iter().skip(channel).step_by(3));
                }
            }
            labels.push(class);
            vendors.push(vendor);
        }
    }
    let set = ImageSet::new([3, side, side], pixels, labels, rows.classes.clone());
    Ok((set, vendors))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use image::{Rgb, RgbImage};
    use sha2::{Digest, Sha256};
    use tempfile::TempDir;

    use super::*;
    use crate::zero_shot::tests::without_folder;

    fn sha256(bytes: &[u8]) -> String {
        let digest = Sha256::digest(bytes);
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The colour of each pixel of a small sheet: its place, and its part in blue.
    fn sheet(columns: u32, lines: u32, blue: u8) -> RgbImage {
        RgbImage::from_fn(2 * columns, 2 * lines, |x, y| Rgb([x as u8, y as u8, blue]))
    }

    /// Drawings of 2 x 2; vendors `p`, `q`; `ant` and `bee` to train on, `cat` to test on.
    fn small_set() -> TempDir {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
        write(
            "train.csv",
            "code_points,name,p,q\n1,ant,1,1\n2-3,bee,0,1\n",
        );
        write("test.csv", "code_points,name,p,q\n4,cat,1,0\n");
        sheet(2, 2, 100).save(dir.path().join("train.png")).unwrap();
        sheet(2, 1, 200).save(dir.path().join("test.png")).unwrap();
        dir
    }

    /// The message about a small set with another content of one file, without the folder.
    fn message(name: &str, content: &[u8]) -> String {
        let dir = small_set();
        fs::write(dir.path().join(name), content).unwrap();
        without_folder(load(dir.path()).unwrap_err(), &dir)
    }

    /// Counts by construction; checksums of the pixels as they were when the set was prepared.
    #[test]
    fn shipped_data_is_unchanged() {
        let emoji = mini();
        assert_eq!(emoji.vendors, VENDORS);
        for (set, vendors) in [
            (&emoji.images.train, &emoji.train_vendors),
            (&emoji.images.test, &emoji.test_vendors),
        ] {
            assert_eq!(set.shape(), [3, SIDE, SIDE]);
            assert_eq!(set.classes().len(), 281);
            assert_eq!(set.class_counts(), [6; 281]);
            assert_eq!(*vendors, [0, 1, 2, 3, 4, 5].repeat(281));
        }
        assert_eq!(
            sha256(emoji.images.train.pixels()),
            "f6aab159b59f1f012150229d3d86da59b1dc4a31ce9a64d7851527c29f083f3d"
        );
        assert_eq!(
            sha256(emoji.images.test.pixels()),
            "e0b7108dc4c68185da71eeeda76a046e4aebed30f6cb58dc85d62410bad9c16d"
        );
    }

    #[test]
    fn shipped_files_have_the_sums_beside_them() {
        // Of this checkout, also if another one shares its build.
        let package = std::env::var("CARGO_MANIFEST_DIR").unwrap();
        let dir = Path::new(&package).join("data/emoji-mini");
        let sums = fs::read_to_string(dir.join("SHA256SUMS")).unwrap();
        let mut names: Vec<&str> = Vec::new();
        let mut size = 0;
        for line in sums.lines() {
            let (sum, name) = line.split_once("  ").unwrap();
            let bytes = fs::read(dir.join(name)).unwrap();
            assert_eq!(sha256(&bytes), sum, "{name}");
            size += bytes.len();
            names.push(name);
        }
        names.sort_unstable();
        assert_eq!(names, ["test.csv", "test.png", "train.csv", "train.png"]);
        assert!(size <= 5_000_000, "{size} bytes");
        assert_eq!(load(dir).unwrap(), mini());
    }

    #[test]
    fn shipped_classes_are_disjoint_and_no_drawing_is_repeated() {
        let ZeroShot { train, test } = mini().images;
        let names: BTreeSet<&String> = train.classes().iter().chain(test.classes()).collect();
        assert_eq!(names.len(), 562);
        let images = |set: &ImageSet| (0..set.len()).map(|i| set.image(i).to_vec()).collect();
        let drawings: [Vec<Vec<u8>>; 2] = [images(&train), images(&test)];
        assert_eq!(
            drawings.concat().into_iter().collect::<BTreeSet<_>>().len(),
            6 * 562
        );
    }

    #[test]
    fn drawings_are_cut_from_their_row_and_column() {
        let dir = small_set();
        let emoji = load(dir.path()).unwrap();
        let ZeroShot { train, test } = &emoji.images;
        assert_eq!(emoji.vendors, ["p", "q"]);
        assert_eq!(
            (train.classes(), test.classes()),
            (
                &["ant", "bee"].map(String::from)[..],
                &["cat".to_owned()][..]
            )
        );
        assert_eq!(
            (train.labels(), &emoji.train_vendors[..]),
            (&[0, 0, 1][..], &[0, 1, 1][..])
        );
        assert_eq!(
            (test.labels(), &emoji.test_vendors[..]),
            (&[0][..], &[0][..])
        );
        // Red is the column, green the row: planar, row-major.
        assert_eq!(train.image(0), [0, 1, 0, 1, 0, 0, 1, 1, 100, 100, 100, 100]);
        assert_eq!(train.image(1), [2, 3, 2, 3, 0, 0, 1, 1, 100, 100, 100, 100]);
        assert_eq!(train.image(2), [2, 3, 2, 3, 2, 2, 3, 3, 100, 100, 100, 100]);
        assert_eq!(test.image(0), [0, 1, 0, 1, 0, 0, 1, 1, 200, 200, 200, 200]);
    }

    #[test]
    fn missing_file_is_named() {
        for name in ["train.png", "train.csv", "test.png", "test.csv"] {
            let dir = small_set();
            fs::remove_file(dir.path().join(name)).unwrap();
            match load(dir.path()) {
                Err(Error::Missing { path, .. }) => assert_eq!(path, dir.path().join(name)),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn bad_tables_are_placed() {
        let head = "code_points,name,p,q\n";
        for (rows, expected) in [
            ("", "train.csv: at byte 0: no classes below the header"),
            ("1,ant,1\n", "train.csv: at byte 21: 3 fields, not 4"),
            (
                "1,ant,1,2\n",
                "train.csv: at byte 21: \"2\" for q, not 0 or 1",
            ),
            (
                "1,ant,0,0\n",
                "train.csv: at byte 21: no vendor drew \"ant\"",
            ),
            (
                "1,ant,1,1\n2,ant,1,1\n",
                "train.csv: at byte 31: \"ant\" does not name this class alone",
            ),
            (
                "4,cat,1,1\n",
                "test.csv: at byte 0: class \"cat\" is in train.csv too",
            ),
        ] {
            let found = message("train.csv", format!("{head}{rows}").as_bytes());
            assert!(
                found.starts_with("train.csv") || found.starts_with("test.csv"),
                "{found}"
            );
            // Another file's path is in the folder too.
            assert_eq!(found, expected);
        }
        assert_eq!(
            message("test.csv", b"name,p,q\ncat,1,0\n"),
            "test.csv: at byte 0: expected the header code_points,name,<vendor>,.."
        );
        assert_eq!(
            message("test.csv", b"code_points,name,p,r\n4,cat,1,0\n"),
            "test.csv: at byte 0: the vendors p,r are not those of train.csv, p,q"
        );
    }

    #[test]
    fn sheets_that_do_not_fit_are_refused() {
        let png = |sheet: RgbImage| {
            let mut bytes = Cursor::new(Vec::new());
            sheet.write_to(&mut bytes, ImageFormat::Png).unwrap();
            bytes.into_inner()
        };
        assert_eq!(
            message("train.png", &png(sheet(2, 3, 0))),
            "train.png: at byte 0: a sheet of 4 x 6 pixels is not 2 x 2 squares, one for each \
             vendor and class"
        );
        assert_eq!(
            message("test.png", &png(RgbImage::new(6, 3))),
            "test.png: at byte 0: drawings of another size than 2 x 2, the training part's"
        );
        assert!(message("test.png", b"no png").starts_with("test.png: cannot decode the image"));
        assert!(message("test.png", &png(RgbImage::new(1, 1))).contains("1 x 1 pixels"));
    }
}
