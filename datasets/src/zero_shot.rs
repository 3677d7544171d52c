//! Parts with disjoint classes, for retrieval of classes that were never trained on.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::options::LoadOptions;
use crate::{Error, ImageSet, decode};

/// A set's training and test parts, with the same image shape and disjoint classes: the zero-shot
/// protocol of metric learning, in which the test classes are not seen in training.
///
/// The labels of each part are indices into that part's own classes, from 0.
///
/// Source of the protocol: H. Oh Song, Y. Xiang, S. Jegelka, S. Savarese, *Deep Metric Learning via
/// Lifted Structured Feature Embedding*, CVPR 2016, section 5.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZeroShot {
    /// The images to train on.
    pub train: ImageSet,
    /// The images to test on, of other classes.
    pub test: ImageSet,
}

/// The files of an image set before they are decoded, in the set's order of classes.
pub(crate) struct Listing {
    /// The class names, training classes first.
    pub(crate) classes: Vec<String>,
    /// How many of `classes` are trained on.
    pub(crate) train_classes: usize,
    /// Each image file and its class, an index into `classes`.
    pub(crate) images: Vec<(PathBuf, usize)>,
}

/// The number of training classes where the first half of `classes` is trained on: the larger half
/// of an odd number.
pub(crate) fn first_half(classes: usize) -> usize {
    classes.div_ceil(2)
}

impl Listing {
    /// Decodes the listed files; `source` is the file or folder that an error about the whole set
    /// names.
    pub(crate) fn decode(self, source: &Path, options: LoadOptions) -> Result<ZeroShot, Error> {
        if self.train_classes == 0 || self.train_classes >= self.classes.len() {
            let problem = format!(
                "expected at least two classes, one to train on and one to test on, found {}",
                self.classes.len()
            );
            return Err(Error::folder(source, problem));
        }
        let mut counts = vec![0_usize; self.classes.len()];
        for &(_, class) in &self.images {
            counts[class] += 1;
        }
        if let Some(class) = counts.iter().position(|&count| count == 0) {
            let problem = format!("class {:?} has no image", self.classes[class]);
            return Err(Error::folder(source, problem));
        }
        let (train, test): (Vec<_>, Vec<_>) = self
            .images
            .into_iter()
            .partition(|&(_, class)| class < self.train_classes);
        let (train_names, test_names) = self.classes.split_at(self.train_classes);
        let part = |images: Vec<(PathBuf, usize)>, first: usize, names: &[String]| {
            let (files, labels): (Vec<_>, Vec<_>) = images
                .into_iter()
                .map(|(file, class)| (file, class - first))
                .unzip();
            decode::image_set(&files, labels, names.to_vec(), options)
        };
        Ok(ZeroShot {
            train: part(train, 0, train_names)?,
            test: part(test, self.train_classes, test_names)?,
        })
    }
}

/// Class names in order: see [`sort_classes`].
pub(crate) fn ordered(names: BTreeSet<String>) -> Vec<String> {
    let mut names: Vec<String> = names.into_iter().collect();
    sort_classes(&mut names, |name| name);
    names
}

/// Sorts classes by their names: as numbers if all of them are whole numbers (1, 2, .., 10), else as
/// text. The one rule for folders and tables.
pub(crate) fn sort_classes<T>(classes: &mut [T], name: impl Fn(&T) -> &str) {
    classes.sort_by(|a, b| name(a).cmp(name(b)));
    let number = |class: &T| name(class).parse::<u64>();
    if classes.iter().all(|class| number(class).is_ok()) {
        classes.sort_by_key(|class| number(class).unwrap_or(u64::MAX));
    }
}

/// Refuses a path that is not a file; `expected` says what should be there.
pub(crate) fn expect_file(path: &Path, expected: &str) -> Result<(), Error> {
    if path.is_file() {
        Ok(())
    } else {
        Err(Error::missing(path, expected))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::fs;

    use image::{Rgb, RgbImage};
    use tempfile::TempDir;

    use super::*;
    use crate::options::ImageFolderOptions;

    pub(crate) const RGB: ImageFolderOptions = ImageFolderOptions {
        height: 2,
        width: 3,
        channels: 3,
    };

    /// Writes a png, 3 wide and 2 high, all of whose values are `value`.
    pub(crate) fn png(root: &TempDir, path: &str, value: u8) {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        RgbImage::from_pixel(3, 2, Rgb([value; 3]))
            .save(path)
            .unwrap();
    }

    pub(crate) fn text(root: &TempDir, path: &str, content: &str) {
        fs::write(root.path().join(path), content).unwrap();
    }

    /// The message of an error, its paths from `root`.
    pub(crate) fn without_folder(error: Error, root: &TempDir) -> String {
        let folder = format!("{}{}", root.path().display(), std::path::MAIN_SEPARATOR);
        error.to_string().replace(&folder, "")
    }

    /// The first value of each image, which tells the images of [`png`] apart.
    pub(crate) fn first_values(set: &ImageSet) -> Vec<u8> {
        (0..set.len()).map(|index| set.image(index)[0]).collect()
    }

    #[test]
    fn larger_half_is_trained_on() {
        assert_eq!([2, 3, 196, 200].map(first_half), [1, 2, 98, 100]);
    }

    #[test]
    fn numbers_are_ordered_as_numbers() {
        let order = |names: &[&str]| ordered(names.iter().map(|&name| name.into()).collect());
        assert_eq!(order(&["10", "9", "100"]), ["9", "10", "100"]);
        assert_eq!(order(&["10", "9", "x"]), ["10", "9", "x"]);
    }
}
