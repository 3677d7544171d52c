//! Fashion-MNIST: grayscale photographs of ten kinds of clothing, 28 x 28.
//!
//! Source: H. Xiao, K. Rasul, R. Vollgraf, *Fashion-MNIST: a Novel Image Dataset for Benchmarking
//! Machine Learning Algorithms*, 2017, arXiv:1708.07747.

use std::path::{Path, PathBuf};

use crate::error::read_file;
use crate::{Error, ImageSet, TrainTest, idx};

/// The names of the ten classes, by label.
pub const CLASSES: [&str; 10] = [
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
];

/// The height and width of an image.
pub const SIDE: usize = 28;

/// The images file and the labels file of each part, without `.gz`.
const TRAIN: [&str; 2] = ["train-images-idx3-ubyte", "train-labels-idx1-ubyte"];
const TEST: [&str; 2] = ["t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"];

/// Where Debian's package `dataset-fashion-mnist` installs the files.
const DEBIAN: &str = "/usr/share/datasets/fashion-mnist";

macro_rules! shipped {
    ($name:literal) => {{
        const NAME: &str = concat!("data/fashion-mnist-mini/", $name, "-ubyte.gz");
        let bytes = include_bytes!(concat!("../data/fashion-mnist-mini/", $name, "-ubyte.gz"));
        (&bytes[..], Path::new(NAME))
    }};
}

/// The shipped part: the first 600 images of each class of the training file and the first 100 of
/// each class of the test file, in the files' order.
pub fn mini() -> TrainTest {
    let train = part(shipped!("train-images-idx3"), shipped!("train-labels-idx1"));
    let test = part(shipped!("t10k-images-idx3"), shipped!("t10k-labels-idx1"));
    TrainTest {
        train: train.expect("the shipped files are sound"),
        test: test.expect("the shipped files are sound"),
    }
}

/// Reads the four IDX files in `dir`, each plain or gzip, named with or without `.gz`.
///
/// # Errors
///
/// [`Error::Missing`] names the file that is not there; [`Error::Malformed`] the one that is not
/// what its name says, or whose images are not 28 x 28.
pub fn load(dir: impl AsRef<Path>) -> Result<TrainTest, Error> {
    let dir = dir.as_ref();
    let read = |names: [&str; 2]| {
        let [images, labels] = names.map(|name| {
            file(dir, name).ok_or_else(|| {
                Error::missing(&dir.join(name), "expected this file, with or without .gz")
            })
        });
        let (images, labels) = (images?, labels?);
        part(
            (&read_file(&images)?, &images),
            (&read_file(&labels)?, &labels),
        )
    };
    Ok(TrainTest {
        train: read(TRAIN)?,
        test: read(TEST)?,
    })
}

/// The first folder that holds the four files: `data_dir`, `data_dir/fashion-mnist`, then
/// `/usr/share/datasets/fashion-mnist`, where Debian's package `dataset-fashion-mnist` puts them.
pub fn find(data_dir: Option<&Path>) -> Option<PathBuf> {
    let given = data_dir
        .into_iter()
        .flat_map(|dir| [dir.into(), dir.join("fashion-mnist")]);
    given.chain([DEBIAN.into()]).find(|dir| {
        TRAIN
            .into_iter()
            .chain(TEST)
            .all(|name| file(dir, name).is_some())
    })
}

/// The file `name` in `dir`, or else `name.gz`.
fn file(dir: &Path, name: &str) -> Option<PathBuf> {
    [dir.join(name), dir.join(format!("{name}.gz"))]
        .into_iter()
        .find(|path| path.is_file())
}

/// One part from the contents of its two files, each with the path that names it in errors.
fn part(images: (&[u8], &Path), labels: (&[u8], &Path)) -> Result<ImageSet, Error> {
    let set = idx::image_set(images, labels, &CLASSES)?;
    let [_, height, width] = set.shape();
    if [height, width] != [SIDE; 2] {
        let problem = format!("images of {height} x {width}, not {SIDE} x {SIDE}");
        return Err(Error::malformed(images.1, 8, problem));
    }
    Ok(set)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::TempDir;

    use super::*;

    /// FNV-1a, 64 bits.
    fn fnv1a(bytes: impl IntoIterator<Item = u8>) -> u64 {
        bytes.into_iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        })
    }

    fn checksum(set: &ImageSet) -> u64 {
        fnv1a(
            set.pixels()
                .iter()
                .copied()
                .chain(set.labels().iter().map(|&label| label as u8)),
        )
    }

    fn mean(set: &ImageSet) -> f64 {
        let sum: u64 = set.pixels().iter().map(|&pixel| u64::from(pixel)).sum();
        sum as f64 / set.pixels().len() as f64
    }

    /// A folder with a small set of the right layout: 3 training images, 2 test images.
    fn small_set(suffix: &str) -> TempDir {
        let dir = tempfile::tempdir().unwrap();
        for ([images, labels], count) in [(TRAIN, 3), (TEST, 2)] {
            let pixels: Vec<u8> = (0..count * SIDE * SIDE).map(|i| (i % 251) as u8).collect();
            let write = |name: &str, bytes| {
                fs::write(dir.path().join(format!("{name}{suffix}")), bytes).unwrap();
            };
            write(images, idx::encode(&[count, SIDE, SIDE], &pixels));
            write(labels, idx::encode(&[count], &[0, 9, 3][..count]));
        }
        dir
    }

    /// FNV-1a's published test vectors.
    #[test]
    fn fnv1a_known_values() {
        assert_eq!(fnv1a([]), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a(*b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(fnv1a(*b"foobar"), 0x8594_4171_f739_67e8);
    }

    /// Counts by construction; means and checksums measured when the files were cut.
    #[test]
    fn shipped_data_is_unchanged() {
        let TrainTest { train, test } = mini();
        for (set, per_class) in [(&train, 600), (&test, 100)] {
            assert_eq!(set.shape(), [1, 28, 28]);
            assert_eq!(set.len(), 10 * per_class);
            assert_eq!(set.class_counts(), [per_class; 10]);
            assert_eq!(set.classes(), CLASSES);
        }
        assert_eq!(
            (checksum(&train), checksum(&test)),
            (0x7cf9_67b9_8a8b_da77, 0x4c6f_8aa3_fe5d_94f6)
        );
        assert!((mean(&train) - 73.163_309).abs() < 1e-6, "{}", mean(&train));
        assert!((mean(&test) - 72.670_894).abs() < 1e-6, "{}", mean(&test));
    }

    #[test]
    fn loads_with_and_without_gz() {
        let plain = load(small_set("").path()).unwrap();
        assert_eq!((plain.train.len(), plain.test.len()), (3, 2));
        assert_eq!(plain.train.labels(), [0, 9, 3]);
        // The content says whether a file is packed: these are plain files named .gz.
        assert_eq!(load(small_set(".gz").path()).unwrap(), plain);
    }

    #[test]
    fn finds_the_folder_that_is_complete() {
        let dir = small_set("");
        assert_eq!(find(Some(dir.path())).unwrap(), dir.path());

        let parent = tempfile::tempdir().unwrap();
        let inner = parent.path().join("fashion-mnist");
        fs::rename(dir.path(), &inner).unwrap();
        assert_eq!(find(Some(parent.path())).unwrap(), inner);

        fs::remove_file(inner.join(TEST[1])).unwrap();
        assert_ne!(find(Some(parent.path())), Some(inner));
    }

    #[test]
    fn missing_file_is_named() {
        let dir = small_set("");
        let path = dir.path().join(TEST[1]);
        fs::remove_file(&path).unwrap();
        match load(dir.path()) {
            Err(Error::Missing { path: named, .. }) => assert_eq!(named, path),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn swapped_and_foreign_files_are_refused() {
        let dir = small_set("");
        let [images, labels] = TRAIN.map(|name| dir.path().join(name));
        // The test labels under the training labels' name.
        fs::copy(dir.path().join(TEST[1]), &labels).unwrap();
        match load(dir.path()) {
            Err(Error::Malformed {
                path, offset: 4, ..
            }) => assert_eq!(path, labels),
            other => panic!("{other:?}"),
        }
        // Labels under the images' name.
        fs::copy(&labels, &images).unwrap();
        match load(dir.path()) {
            Err(Error::Malformed {
                path, offset: 0, ..
            }) => assert_eq!(path, images),
            other => panic!("{other:?}"),
        }
        // Images of another size.
        fs::write(&images, idx::encode(&[2, 8, 8], &[0; 128])).unwrap();
        match load(dir.path()) {
            Err(Error::Malformed {
                path, offset: 8, ..
            }) => assert_eq!(path, images),
            other => panic!("{other:?}"),
        }
    }
}
