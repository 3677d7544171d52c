//! CUB-200-2011: photographs of 200 species of birds, 11,788 in all.
//!
//! ```text
//! <dir>/images.txt                 <image> <path below images>
//! <dir>/image_class_labels.txt     <image> <class>
//! <dir>/classes.txt                <class> <name>
//! <dir>/images/001.Black_footed_Albatross/*.jpg
//! ```
//!
//! Source: C. Wah, S. Branson, P. Welinder, P. Perona, S. Belongie, *The Caltech-UCSD
//! Birds-200-2011 Dataset*, Technical Report CNS-TR-2011-001, California Institute of Technology,
//! 2011.

use std::collections::BTreeMap;
use std::path::Path;

use crate::error::read_file;
use crate::lines::lines;
use crate::options::LoadOptions;
use crate::zero_shot::{Listing, expect_file, first_half};
use crate::{Error, ZeroShot};

/// Reads the set from `dir`, or from `CUB_200_2011` in it, with the zero-shot split: the first half
/// of the classes by number (1 to 100: 5,864 images) to train on, the second half (101 to 200:
/// 5,924 images) to test on. `train_test_split.txt` divides the images of each class and takes no
/// part in it. Images are whole, not cut to the birds' bounding boxes.
///
/// # Errors
///
/// [`Error::Options`] for a shape out of range; [`Error::Missing`] for a list that is not there and
/// for an image that is listed and not there; [`Error::Malformed`] for a line that is not as above,
/// a number given twice, an image without a class or of a class that is not listed;
/// [`Error::Folder`] for a class without images and for fewer than two classes; [`Error::Io`] and
/// [`Error::Image`] for the first file that cannot be read or decoded.
pub fn load(dir: impl AsRef<Path>, options: impl Into<LoadOptions>) -> Result<ZeroShot, Error> {
    let options = options.into();
    options.shape.check()?;
    let dir = dir.as_ref();
    let inner = dir.join("CUB_200_2011");
    let dir = if inner.is_dir() { inner.as_path() } else { dir };
    let names = ["images.txt", "image_class_labels.txt", "classes.txt"];
    let [image_list, label_list, class_list] = names.map(|name| dir.join(name));
    for list in [&image_list, &label_list, &class_list] {
        let problem = "expected CUB-200-2011 in this folder: images.txt, image_class_labels.txt, \
                       classes.txt and the folder images";
        expect_file(list, problem)?;
    }

    let mut classes = BTreeMap::new();
    let bytes = read_file(&class_list)?;
    for line in lines(&bytes, &class_list)? {
        let [class, name] = line.fields("<class> <name>", &class_list)?;
        let class = line.number(class, "the class", &class_list)?;
        if classes.insert(class, name.to_owned()).is_some() {
            let problem = format!("class {class} is listed twice");
            return Err(Error::malformed(&class_list, line.offset, problem));
        }
    }
    let numbers: BTreeMap<u64, usize> = classes.keys().copied().zip(0..).collect();

    let mut labels = BTreeMap::new();
    let bytes = read_file(&label_list)?;
    for line in lines(&bytes, &label_list)? {
        let [image, class] = line.fields("<image> <class>", &label_list)?;
        let image = line.number(image, "the image", &label_list)?;
        let class = line.number(class, "the class", &label_list)?;
        let Some(&label) = numbers.get(&class) else {
            let problem = format!("class {class} is not in {}", class_list.display());
            return Err(Error::malformed(&label_list, line.offset, problem));
        };
        if labels.insert(image, label).is_some() {
            let problem = format!("image {image} is listed twice");
            return Err(Error::malformed(&label_list, line.offset, problem));
        }
    }

    let mut images = Vec::new();
    let bytes = read_file(&image_list)?;
    for line in lines(&bytes, &image_list)? {
        let [image, path] = line.fields("<image> <path>", &image_list)?;
        let image = line.number(image, "the image", &image_list)?;
        // A label serves one image, so that an image listed twice finds none.
        let Some(label) = labels.remove(&image) else {
            let problem = format!(
                "image {image} is listed twice or has no class in {}",
                label_list.display()
            );
            return Err(Error::malformed(&image_list, line.offset, problem));
        };
        let path = dir.join("images").join(path);
        expect_file(&path, "images.txt lists this image")?;
        images.push((path, label));
    }
    let listing = Listing {
        train_classes: first_half(classes.len()),
        classes: classes.into_values().collect(),
        images,
    };
    listing.decode(&class_list, options)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::TempDir;

    use super::*;
    use crate::zero_shot::tests::{RGB, first_values, png, text, without_folder};

    /// Four classes, listed out of order; the value of each pixel is the image's number.
    fn small_set() -> TempDir {
        let root = tempfile::tempdir().unwrap();
        text(
            &root,
            "classes.txt",
            "2 002.B\n1 001.A\n10 010.D\n3 003.C\n",
        );
        text(
            &root,
            "images.txt",
            "1 001.A/x.png\n2 002.B/x.png\n3 003.C/x.png\n4 010.D/x.png\n5 001.A/y.png\n",
        );
        text(
            &root,
            "image_class_labels.txt",
            "1 1\n2 2\n5 1\n3 3\n4 10\n",
        );
        for (name, value) in [
            ("001.A/x", 1),
            ("002.B/x", 2),
            ("003.C/x", 3),
            ("010.D/x", 4),
        ] {
            png(&root, &format!("images/{name}.png"), value);
        }
        png(&root, "images/001.A/y.png", 5);
        root
    }

    fn message(name: &str, content: &str) -> String {
        let root = small_set();
        text(&root, name, content);
        without_folder(load(root.path(), RGB).unwrap_err(), &root)
    }

    #[test]
    fn first_half_of_the_classes_is_trained_on() {
        let root = small_set();
        let ZeroShot { train, test } = load(root.path(), RGB).unwrap();
        assert_eq!(train.classes(), ["001.A", "002.B"]);
        assert_eq!(test.classes(), ["003.C", "010.D"]);
        assert_eq!(
            (train.labels(), test.labels()),
            (&[0, 1, 0][..], &[0, 1][..])
        );
        assert_eq!(
            (first_values(&train), first_values(&test)),
            (vec![1, 2, 5], vec![3, 4])
        );
        assert_eq!(train.shape(), [3, 2, 3]);
    }

    #[test]
    fn published_folder_may_be_inside() {
        let root = small_set();
        let parent = tempfile::tempdir().unwrap();
        fs::rename(root.path(), parent.path().join("CUB_200_2011")).unwrap();
        assert_eq!(load(parent.path(), RGB).unwrap().train.len(), 3);
    }

    #[test]
    fn missing_files_are_named_with_what_was_expected() {
        for (name, expected) in [
            ("images.txt", "expected CUB-200-2011 in this folder"),
            (
                "image_class_labels.txt",
                "expected CUB-200-2011 in this folder",
            ),
            ("classes.txt", "expected CUB-200-2011 in this folder"),
            ("images/003.C/x.png", "images.txt lists this image"),
        ] {
            let root = small_set();
            fs::remove_file(root.path().join(name)).unwrap();
            match load(root.path(), RGB) {
                Err(Error::Missing { path, problem }) => {
                    assert_eq!(path, root.path().join(name));
                    assert!(problem.starts_with(expected), "{problem}");
                }
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn bad_lists_are_placed() {
        for (name, content, expected) in [
            (
                "classes.txt",
                "1\n",
                "classes.txt: at byte 0: expected <class> <name>, found \"1\"",
            ),
            (
                "classes.txt",
                "1 a\n1 b\n",
                "classes.txt: at byte 4: class 1 is listed twice",
            ),
            (
                "image_class_labels.txt",
                "1 1\n2 7\n",
                "image_class_labels.txt: at byte 4: class 7 is not in classes.txt",
            ),
            (
                "image_class_labels.txt",
                "1 one\n",
                "image_class_labels.txt: at byte 0: \"one\" for the class, not a whole number",
            ),
            (
                "images.txt",
                "1 001.A/x.png\n1 001.A/y.png\n",
                "images.txt: at byte 14: image 1 is listed twice or has no class in \
                 image_class_labels.txt",
            ),
            (
                "images.txt",
                "1 001.A/x.png\n3 003.C/x.png\n4 010.D/x.png\n",
                "classes.txt: class \"002.B\" has no image",
            ),
        ] {
            assert_eq!(message(name, content), expected);
        }
    }
}
