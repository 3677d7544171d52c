//! CIFAR-10 and CIFAR-100 in their binary form: colour photographs, 32 x 32.
//!
//! ```text
//! CIFAR-10:         label | 1,024 red | 1,024 green | 1,024 blue
//! CIFAR-100: coarse, fine | 1,024 red | 1,024 green | 1,024 blue
//! ```
//!
//! One byte each, the planes row-major. CIFAR-100's labels here are the fine ones.
//!
//! Source: A. Krizhevsky, *Learning Multiple Layers of Features from Tiny Images*, 2009.

use std::path::Path;

use crate::error::read_file;
use crate::{Error, ImageSet, TrainTest};

const SHAPE: [usize; 3] = [3, 32, 32];
const IMAGE_SIZE: usize = 3 * 32 * 32;

const CIFAR10: Format = Format {
    folder: "cifar-10-batches-bin",
    train: &[
        "data_batch_1.bin",
        "data_batch_2.bin",
        "data_batch_3.bin",
        "data_batch_4.bin",
        "data_batch_5.bin",
    ],
    test: "test_batch.bin",
    names: "batches.meta.txt",
    labels: &[10],
};

const CIFAR100: Format = Format {
    folder: "cifar-100-binary",
    train: &["train.bin"],
    test: "test.bin",
    names: "fine_label_names.txt",
    labels: &[20, 100],
};

/// The published order, for folders without `batches.meta.txt`.
const CIFAR10_CLASSES: [&str; 10] = [
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
];

/// Reads CIFAR-10 from `dir`, or from `cifar-10-batches-bin` in it: `data_batch_1.bin` to
/// `data_batch_5.bin`, `test_batch.bin` and, if it is there, `batches.meta.txt` for the class names.
///
/// # Errors
///
/// [`Error::Missing`], [`Error::Io`], and [`Error::Malformed`] for an empty file, a size that is not
/// a multiple of 3,073, a label beyond 9, or another number of names than 10.
pub fn load_cifar10(dir: impl AsRef<Path>) -> Result<TrainTest, Error> {
    load(&CIFAR10, dir.as_ref(), || {
        CIFAR10_CLASSES.map(String::from).to_vec()
    })
}

/// Reads CIFAR-100 from `dir`, or from `cifar-100-binary` in it: `train.bin`, `test.bin` and
/// `fine_label_names.txt` for the class names; without it they are `0` to `99`.
///
/// # Errors
///
/// [`Error::Missing`], [`Error::Io`], and [`Error::Malformed`] for an empty file, a size that is not
/// a multiple of 3,074, a coarse label beyond 19 or a fine one beyond 99, or another number of names
/// than 100.
pub fn load_cifar100(dir: impl AsRef<Path>) -> Result<TrainTest, Error> {
    load(&CIFAR100, dir.as_ref(), || {
        (0..100).map(|class| class.to_string()).collect()
    })
}

struct Format {
    folder: &'static str,
    train: &'static [&'static str],
    test: &'static str,
    names: &'static str,
    /// The number of values of each label byte; the last byte is the class.
    labels: &'static [usize],
}

impl Format {
    fn class_count(&self) -> usize {
        self.labels.last().copied().unwrap_or_default()
    }

    /// Appends the records of one file.
    fn append(
        &self,
        bytes: &[u8],
        path: &Path,
        pixels: &mut Vec<u8>,
        labels: &mut Vec<usize>,
    ) -> Result<(), Error> {
        let record = self.labels.len() + IMAGE_SIZE;
        let rest = bytes.len() % record;
        if bytes.is_empty() {
            return Err(Error::malformed(path, 0, "the file is empty"));
        }
        if rest > 0 {
            let problem = format!("{rest} bytes of a record of {record}");
            return Err(Error::malformed(path, (bytes.len() - rest) as u64, problem));
        }
        for (index, record_bytes) in bytes.chunks_exact(record).enumerate() {
            let (label_bytes, image) = record_bytes.split_at(self.labels.len());
            let mut class = 0;
            for (at, (&label, &count)) in label_bytes.iter().zip(self.labels).enumerate() {
                class = usize::from(label);
                if class >= count {
                    let offset = (index * record + at) as u64;
                    let problem = format!("label {label} of image {index}, of {count} classes");
                    return Err(Error::malformed(path, offset, problem));
                }
            }
            labels.push(class);
            pixels.extend_from_slice(image);
        }
        Ok(())
    }

    /// The class names, one a line; blank lines may follow them.
    fn class_names(&self, bytes: &[u8], path: &Path) -> Result<Vec<String>, Error> {
        let text = std::str::from_utf8(bytes).map_err(|error| {
            Error::malformed(
                path,
                error.valid_up_to() as u64,
                "a class name is not UTF-8",
            )
        })?;
        let count = self.class_count();
        let mut names = Vec::with_capacity(count);
        let mut offset = 0;
        for line in text.trim_end().split_inclusive('\n') {
            if names.len() == count {
                let problem = format!("more than {count} class names");
                return Err(Error::malformed(path, offset, problem));
            }
            if line.trim().is_empty() {
                return Err(Error::malformed(
                    path,
                    offset,
                    "a blank line for a class name",
                ));
            }
            names.push(line.trim().to_owned());
            offset += line.len() as u64;
        }
        if names.len() < count {
            let problem = format!("{} class names of {count}", names.len());
            return Err(Error::malformed(path, offset, problem));
        }
        Ok(names)
    }
}

fn load(
    format: &Format,
    dir: &Path,
    known_names: impl Fn() -> Vec<String>,
) -> Result<TrainTest, Error> {
    let inner = dir.join(format.folder);
    let dir = if inner.is_dir() { inner.as_path() } else { dir };
    let names_path = dir.join(format.names);
    let classes = if names_path.exists() {
        format.class_names(&read_file(&names_path)?, &names_path)?
    } else {
        known_names()
    };
    let read = |names: &[&str]| {
        let (mut pixels, mut labels) = (Vec::new(), Vec::new());
        for name in names {
            let path = dir.join(name);
            if !path.exists() {
                let problem = format!("expected the files of {} here", format.folder);
                return Err(Error::missing(&path, problem));
            }
            format.append(&read_file(&path)?, &path, &mut pixels, &mut labels)?;
        }
        Ok(ImageSet::new(SHAPE, pixels, labels, classes.clone()))
    };
    Ok(TrainTest {
        train: read(format.train)?,
        test: read(&[format.test])?,
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use proptest::prelude::*;
    use tempfile::TempDir;

    use super::*;

    /// A record whose planes hold `value`, `value + 1` and `value + 2`.
    fn record(labels: &[u8], value: u8) -> Vec<u8> {
        let mut bytes = labels.to_vec();
        for plane in 0..3 {
            bytes.extend([value + plane; 1024]);
        }
        bytes
    }

    /// CIFAR-10's layout: one image a training file, two test images.
    fn small_cifar10() -> TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (class, name) in (0..).zip(CIFAR10.train) {
            fs::write(dir.path().join(name), record(&[class], 10 * class)).unwrap();
        }
        let test = [record(&[9], 90), record(&[8], 80)].concat();
        fs::write(dir.path().join(CIFAR10.test), test).unwrap();
        dir
    }

    fn append(format: &Format, bytes: &[u8]) -> Result<(Vec<u8>, Vec<usize>), Error> {
        let (mut pixels, mut labels) = (Vec::new(), Vec::new());
        format.append(bytes, Path::new("x.bin"), &mut pixels, &mut labels)?;
        Ok((pixels, labels))
    }

    fn message<T: std::fmt::Debug>(result: Result<T, Error>) -> String {
        result.unwrap_err().to_string()
    }

    #[test]
    fn cifar10_joins_the_batches_in_order() {
        let dir = small_cifar10();
        let TrainTest { train, test } = load_cifar10(dir.path()).unwrap();
        assert_eq!(train.shape(), [3, 32, 32]);
        assert_eq!(train.labels(), [0, 1, 2, 3, 4]);
        assert_eq!(test.labels(), [9, 8]);
        assert_eq!(train.classes(), CIFAR10_CLASSES);
        assert_eq!(train.image(3)[..1024], [30; 1024]);
        assert_eq!(train.image(3)[1024..2048], [31; 1024]);
        assert_eq!(train.image(3)[2048..], [32; 1024]);
    }

    #[test]
    fn published_folder_may_be_inside() {
        let dir = small_cifar10();
        let parent = tempfile::tempdir().unwrap();
        fs::rename(dir.path(), parent.path().join("cifar-10-batches-bin")).unwrap();
        assert_eq!(load_cifar10(parent.path()).unwrap().train.len(), 5);
    }

    #[test]
    fn cifar100_has_fine_labels_and_names() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("train.bin"), record(&[19, 99], 1)).unwrap();
        fs::write(dir.path().join("test.bin"), record(&[0, 7], 2)).unwrap();
        let set = load_cifar100(dir.path()).unwrap();
        assert_eq!(
            (set.train.labels(), set.test.labels()),
            (&[99][..], &[7][..])
        );
        assert_eq!(set.train.classes()[99], "99");

        let names: String = (0..100).map(|class| format!("name {class}\r\n")).collect();
        fs::write(dir.path().join("fine_label_names.txt"), names + "\r\n").unwrap();
        assert_eq!(
            load_cifar100(dir.path()).unwrap().test.classes()[7],
            "name 7"
        );
    }

    #[test]
    fn bad_records_are_placed() {
        let one = record(&[3], 0);
        assert_eq!(
            message(append(&CIFAR10, &[])),
            "x.bin: at byte 0: the file is empty"
        );
        let long = [&one[..], &one[..100]].concat();
        assert_eq!(
            message(append(&CIFAR10, &long)),
            "x.bin: at byte 3073: 100 bytes of a record of 3073"
        );
        let labelled = [one, record(&[10], 0)].concat();
        assert_eq!(
            message(append(&CIFAR10, &labelled)),
            "x.bin: at byte 3073: label 10 of image 1, of 10 classes"
        );
        assert_eq!(
            message(append(&CIFAR100, &record(&[20, 0], 0))),
            "x.bin: at byte 0: label 20 of image 0, of 20 classes"
        );
        assert_eq!(
            message(append(&CIFAR100, &record(&[0, 100], 0))),
            "x.bin: at byte 1: label 100 of image 0, of 100 classes"
        );
    }

    #[test]
    fn bad_class_names_are_placed() {
        let names = |text: &[u8]| CIFAR10.class_names(text, Path::new("n.txt"));
        assert_eq!(
            names(b"a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n\n").unwrap().len(),
            10
        );
        assert_eq!(
            message(names(b"a\nb\n")),
            "n.txt: at byte 3: 2 class names of 10"
        );
        assert_eq!(
            message(names(b"a\n\nb")),
            "n.txt: at byte 2: a blank line for a class name"
        );
        assert_eq!(
            message(names(b"a\nb\nc\nd\ne\nf\ng\nh\ni\nj\nk")),
            "n.txt: at byte 20: more than 10 class names"
        );
        assert_eq!(
            message(names(b"a\n\xff")),
            "n.txt: at byte 2: a class name is not UTF-8"
        );
    }

    #[test]
    fn missing_batch_is_named() {
        let dir = small_cifar10();
        let path = dir.path().join("data_batch_4.bin");
        fs::remove_file(&path).unwrap();
        match load_cifar10(dir.path()) {
            Err(Error::Missing { path: named, .. }) => assert_eq!(named, path),
            other => panic!("{other:?}"),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn any_bytes_are_records_or_an_error(
            bytes in prop::collection::vec(any::<u8>(), 0..7000),
            whole in any::<bool>(),
        ) {
            for format in [&CIFAR10, &CIFAR100] {
                let record = format.labels.len() + IMAGE_SIZE;
                let mut bytes = bytes.clone();
                if whole {
                    bytes.truncate(bytes.len() / record * record);
                }
                if let Ok((pixels, labels)) = append(format, &bytes) {
                    prop_assert_eq!(labels.len() * record, bytes.len());
                    prop_assert_eq!(labels.len() * IMAGE_SIZE, pixels.len());
                    prop_assert!(labels.iter().all(|&label| label < format.class_count()));
                }
            }
        }

        #[test]
        fn truncated_file_is_an_error(at in 0_usize..6146) {
            let whole = [record(&[1], 0), record(&[2], 0)].concat();
            prop_assert_eq!(append(&CIFAR10, &whole[..at]).is_ok(), at == 3073);
        }

        #[test]
        fn flipped_bit_changes_one_value_or_is_an_error(
            at in any::<prop::sample::Index>(),
            in_label in any::<bool>(),
            bit in 0_u32..8,
        ) {
            let whole = record(&[19, 99], 7);
            let mut flipped = whole.clone();
            flipped[at.index(if in_label { 2 } else { whole.len() })] ^= 1_u8 << bit;
            if let Ok((pixels, labels)) = append(&CIFAR100, &flipped) {
                prop_assert!(labels[0] < 100);
                let (before, _) = append(&CIFAR100, &whole).unwrap();
                prop_assert!(before.iter().zip(&pixels).filter(|(a, b)| a != b).count() <= 1);
            }
        }

        #[test]
        fn any_text_is_names_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            if let Ok(names) = CIFAR10.class_names(&bytes, Path::new("n.txt")) {
                prop_assert_eq!(names.len(), 10);
            }
        }
    }
}
