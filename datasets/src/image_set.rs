//! A labelled image set held in memory.

use std::fmt;
use std::path::PathBuf;

/// Labelled images of one size, decoded once and held in memory.
///
/// Pixels are `u8` in `0..=255`. An image is planar, `[channels, height, width]`, row-major; the
/// images follow one another in one buffer.
#[derive(Clone, PartialEq, Eq)]
pub struct ImageSet {
    shape: [usize; 3],
    pixels: Vec<u8>,
    labels: Vec<usize>,
    classes: Vec<String>,
    skipped: Vec<SkippedImage>,
}

/// An image that could not be read and was left out of a set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SkippedImage {
    /// The file.
    pub path: PathBuf,
    /// Why, with the file's name.
    pub reason: String,
}

/// A set's training and test parts, with the same image shape and the same classes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrainTest {
    /// The images to train on.
    pub train: ImageSet,
    /// The images to test on.
    pub test: ImageSet,
}

impl ImageSet {
    /// A set from its parts; `shape` is `[channels, height, width]`, and a label is an index into
    /// `classes`.
    ///
    /// # Panics
    ///
    /// If a side of `shape` is zero, `pixels` does not hold exactly one image per label, or a label
    /// names no class.
    pub fn new(
        shape: [usize; 3],
        pixels: Vec<u8>,
        labels: Vec<usize>,
        classes: Vec<String>,
    ) -> Self {
        assert!(!shape.contains(&0), "image shape {shape:?} has a zero side");
        let values = labels.len().checked_mul(shape.iter().product());
        assert_eq!(
            Some(pixels.len()),
            values,
            "{} images of shape {shape:?} need another number of pixels",
            labels.len()
        );
        if let Some(label) = labels.iter().find(|&&label| label >= classes.len()) {
            panic!("label {label} in a set of {} classes", classes.len());
        }
        Self {
            shape,
            pixels,
            labels,
            classes,
            skipped: Vec::new(),
        }
    }

    /// The set, with what it lacks.
    pub(crate) fn with_skipped(mut self, skipped: Vec<SkippedImage>) -> Self {
        self.skipped = skipped;
        self
    }

    /// The images that the loader left out because they could not be read, in the order of the
    /// files; none unless it was [told to](crate::image_folder::LoadOptions), and none of a subset.
    pub fn skipped(&self) -> &[SkippedImage] {
        &self.skipped
    }

    /// The number of images.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether the set holds no image.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The shape of each image, `[channels, height, width]`.
    pub fn shape(&self) -> [usize; 3] {
        self.shape
    }

    /// The pixels of image `index`, planar `[channels, height, width]`.
    ///
    /// # Panics
    ///
    /// If `index` is not below [`len`](Self::len).
    pub fn image(&self, index: usize) -> &[u8] {
        assert!(
            index < self.len(),
            "image {index} of a set of {}",
            self.len()
        );
        let size = self.image_size();
        &self.pixels[index * size..][..size]
    }

    /// The pixels of all images, one image after another.
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// The class of image `index`, an index into [`classes`](Self::classes).
    ///
    /// # Panics
    ///
    /// If `index` is not below [`len`](Self::len).
    pub fn label(&self, index: usize) -> usize {
        self.labels[index]
    }

    /// The class of each image.
    pub fn labels(&self) -> &[usize] {
        &self.labels
    }

    /// The names of the classes.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// The number of images of each class.
    pub fn class_counts(&self) -> Vec<usize> {
        let mut counts = vec![0; self.classes.len()];
        for &label in &self.labels {
            counts[label] += 1;
        }
        counts
    }

    /// The images named by `indices`, in that order, with all the set's classes.
    ///
    /// # Panics
    ///
    /// If an index is not below [`len`](Self::len).
    pub fn subset(&self, indices: &[usize]) -> Self {
        let mut pixels = Vec::with_capacity(indices.len() * self.image_size());
        for &index in indices {
            pixels.extend_from_slice(self.image(index));
        }
        let labels = indices.iter().map(|&index| self.labels[index]).collect();
        Self {
            shape: self.shape,
            pixels,
            labels,
            classes: self.classes.clone(),
            skipped: Vec::new(),
        }
    }

    /// The first `n` images of each class, or all of a class that has fewer, in the set's order.
    pub fn first_per_class(&self, n: usize) -> Self {
        let mut taken = vec![0; self.classes.len()];
        let indices: Vec<usize> = (0..self.len())
            .filter(|&index| {
                let count = &mut taken[self.labels[index]];
                *count += 1;
                *count <= n
            })
            .collect();
        self.subset(&indices)
    }

    fn image_size(&self) -> usize {
        self.shape.iter().product()
    }
}

impl fmt::Debug for ImageSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ImageSet")
            .field("len", &self.len())
            .field("shape", &self.shape)
            .field("classes", &self.classes)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set() -> ImageSet {
        let labels = vec![1, 0, 1, 1, 0, 1];
        let classes = ["a", "b", "unused"].map(String::from).to_vec();
        ImageSet::new([2, 1, 3], (0..36).collect(), labels, classes)
    }

    #[test]
    fn images_are_consecutive_slices() {
        let set = set();
        assert_eq!((set.len(), set.shape()), (6, [2, 1, 3]));
        assert_eq!(set.image(0), [0, 1, 2, 3, 4, 5]);
        assert_eq!(set.image(5), [30, 31, 32, 33, 34, 35]);
        assert_eq!(set.class_counts(), [2, 4, 0]);
    }

    #[test]
    fn subset_follows_the_indices() {
        let part = set().subset(&[4, 1, 4]);
        assert_eq!(part.labels(), [0, 0, 0]);
        assert_eq!(part.image(0), set().image(4));
        assert_eq!(part.image(1), set().image(1));
        assert_eq!(part.image(2), set().image(4));
        assert_eq!(part.classes(), set().classes());
        assert!(set().subset(&[]).is_empty());
    }

    #[test]
    fn first_per_class_keeps_the_order() {
        assert_eq!(set().first_per_class(2), set().subset(&[0, 1, 2, 4]));
        assert_eq!(set().first_per_class(3), set().subset(&[0, 1, 2, 3, 4]));
        assert_eq!(set().first_per_class(99), set());
        assert!(set().first_per_class(0).is_empty());
    }

    #[test]
    #[should_panic(expected = "label 2 in a set of 2 classes")]
    fn label_without_a_class_is_refused() {
        ImageSet::new([1, 1, 1], vec![0], vec![2], vec!["a".into(), "b".into()]);
    }

    #[test]
    #[should_panic(expected = "need another number of pixels")]
    fn wrong_number_of_pixels_is_refused() {
        ImageSet::new([1, 2, 2], vec![0; 7], vec![0, 0], vec!["a".into()]);
    }
}
