//! Stanford Online Products: photographs of 22,634 things for sale, 120,053 in all.
//!
//! ```text
//! <dir>/Ebay_train.txt     image_id class_id super_class_id path
//!                          1 1 1 bicycle_final/111085122871_0.JPG
//! <dir>/Ebay_test.txt      the same
//! <dir>/bicycle_final/*.JPG, cabinet_final/*.JPG, ..
//! ```
//!
//! Source: H. Oh Song, Y. Xiang, S. Jegelka, S. Savarese, *Deep Metric Learning via Lifted
//! Structured Feature Embedding*, CVPR 2016.

use std::collections::BTreeSet;
use std::path::Path;

use crate::error::read_file;
use crate::lines::lines;
use crate::options::LoadOptions;
use crate::zero_shot::{Listing, expect_file};
use crate::{Error, ZeroShot};

const HEADER: [&str; 4] = ["image_id", "class_id", "super_class_id", "path"];

/// Reads the set from `dir`, or from `Stanford_Online_Products` in it, with its own split:
/// `Ebay_train.txt` (59,551 images of 11,318 classes) to train on, `Ebay_test.txt` (60,502 images
/// of 11,316 other classes) to test on. A class is named by its number.
///
/// # Errors
///
/// [`Error::Options`] for a shape out of range; [`Error::Missing`] for a list that is not there and
/// for an image that is listed and not there; [`Error::Malformed`] for a list without the header or
/// without images, for a line that is not as above, and for a test class that is trained on;
/// [`Error::Io`] and [`Error::Image`] for the first file that cannot be read or decoded.
pub fn load(dir: impl AsRef<Path>, options: impl Into<LoadOptions>) -> Result<ZeroShot, Error> {
    let options = options.into();
    options.shape.check()?;
    let dir = dir.as_ref();
    let inner = dir.join("Stanford_Online_Products");
    let dir = if inner.is_dir() { inner.as_path() } else { dir };
    let lists = ["Ebay_train.txt", "Ebay_test.txt"].map(|name| dir.join(name));
    for list in &lists {
        let problem = "expected Stanford Online Products in this folder: Ebay_train.txt, \
                       Ebay_test.txt and folders such as bicycle_final";
        expect_file(list, problem)?;
    }

    let (mut classes, mut train_classes, mut images) = (Vec::new(), 0, Vec::new());
    for list in &lists {
        let bytes = read_file(list)?;
        let entries = lines(&bytes, list)?;
        let Some((_, entries)) = entries
            .split_first()
            .filter(|(head, _)| head.fields == HEADER)
        else {
            let problem = format!("expected the header {:?}", HEADER.join(" "));
            return Err(Error::malformed(list, 0, problem));
        };
        let mut listed = Vec::with_capacity(entries.len());
        for line in entries {
            let [image, class, super_class, path] = line.fields(&HEADER.join(" "), list)?;
            line.number(image, "image_id", list)?;
            line.number(super_class, "super_class_id", list)?;
            let class = line.number(class, "class_id", list)?;
            if classes.binary_search(&class).is_ok() {
                let problem = format!("class {class} is in {} too", lists[0].display());
                return Err(Error::malformed(list, line.offset, problem));
            }
            let path = dir.join(path);
            expect_file(&path, "a list of the set names this image")?;
            listed.push((path, class));
        }
        if listed.is_empty() {
            return Err(Error::malformed(list, 0, "no images below the header"));
        }
        let own: BTreeSet<u64> = listed.iter().map(|&(_, class)| class).collect();
        let own: Vec<u64> = own.into_iter().collect();
        let first = classes.len();
        images.extend(listed.into_iter().map(|(path, class)| {
            let label = first + own.partition_point(|&other| other < class);
            (path, label)
        }));
        if first == 0 {
            train_classes = own.len();
        }
        classes.extend(own);
    }
    let listing = Listing {
        classes: classes.iter().map(u64::to_string).collect(),
        train_classes,
        images,
    };
    listing.decode(dir, options)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::TempDir;

    use super::*;
    use crate::zero_shot::tests::{RGB, first_values, png, text, without_folder};

    const HEAD: &str = "image_id class_id super_class_id path\n";

    fn small_set() -> TempDir {
        let root = tempfile::tempdir().unwrap();
        text(
            &root,
            "Ebay_train.txt",
            &format!(
                "{HEAD}1 10 1 sofa_final/a.png\n2 9 1 sofa_final/b.png\n3 9 1 sofa_final/c.png\n"
            ),
        );
        text(
            &root,
            "Ebay_test.txt",
            &format!("{HEAD}4 2 2 lamp_final/d.png\n"),
        );
        for (name, value) in [
            ("sofa_final/a", 1),
            ("sofa_final/b", 2),
            ("sofa_final/c", 3),
        ] {
            png(&root, &format!("{name}.png"), value);
        }
        png(&root, "lamp_final/d.png", 4);
        root
    }

    fn message(name: &str, content: &str) -> String {
        let root = small_set();
        text(&root, name, content);
        without_folder(load(root.path(), RGB).unwrap_err(), &root)
    }

    #[test]
    fn lists_make_the_split() {
        let root = small_set();
        let ZeroShot { train, test } = load(root.path(), RGB).unwrap();
        assert_eq!(
            (train.classes(), test.classes()),
            (&["9", "10"].map(String::from)[..], &["2".to_owned()][..])
        );
        assert_eq!((train.labels(), test.labels()), (&[1, 0, 0][..], &[0][..]));
        assert_eq!(
            (first_values(&train), first_values(&test)),
            (vec![1, 2, 3], vec![4])
        );
        let parent = tempfile::tempdir().unwrap();
        fs::rename(root.path(), parent.path().join("Stanford_Online_Products")).unwrap();
        assert_eq!(load(parent.path(), RGB).unwrap(), ZeroShot { train, test });
    }

    /// As published: some files of the set named .JPG are GIFs.
    #[test]
    fn a_gif_named_jpg_is_decoded_whatever_the_line_ends() {
        for end in ["\n", "\r\n"] {
            let root = small_set();
            let list = format!("{HEAD}4 2 2 lamp_final/d.JPG\n5 2 2 lamp_final/d.png");
            text(&root, "Ebay_test.txt", &list.replace('\n', end));
            image::RgbImage::from_pixel(4, 4, image::Rgb([10, 200, 90]))
                .save_with_format(
                    root.path().join("lamp_final/d.JPG"),
                    image::ImageFormat::Gif,
                )
                .unwrap();
            let test = load(root.path(), RGB).unwrap().test;
            assert_eq!(test.labels(), [0, 0]);
            assert_eq!(test.image(0), [[10; 6], [200; 6], [90; 6]].concat());
            assert_eq!(test.image(1), [4; 18]);
        }
    }

    #[test]
    fn missing_files_are_named_with_what_was_expected() {
        for (name, expected) in [
            (
                "Ebay_train.txt",
                "expected Stanford Online Products in this folder",
            ),
            (
                "Ebay_test.txt",
                "expected Stanford Online Products in this folder",
            ),
            ("lamp_final/d.png", "a list of the set names this image"),
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
        for (content, expected) in [
            (
                "",
                "at byte 0: expected the header \"image_id class_id super_class_id path\"",
            ),
            (
                "1 2 3 x\n",
                "at byte 0: expected the header \"image_id class_id super_class_id path\"",
            ),
            (HEAD, "at byte 0: no images below the header"),
            (
                &format!("{HEAD}4 2 lamp_final/d.png\n"),
                "at byte 38: expected image_id class_id super_class_id path, found \"4 2 \
                 lamp_final/d.png\"",
            ),
            (
                &format!("{HEAD}4 x 2 lamp_final/d.png\n"),
                "at byte 38: \"x\" for class_id, not a whole number",
            ),
            (
                &format!("{HEAD}4 9 2 lamp_final/d.png\n"),
                "at byte 38: class 9 is in Ebay_train.txt too",
            ),
        ] {
            assert_eq!(
                message("Ebay_test.txt", content),
                format!("Ebay_test.txt: {expected}")
            );
        }
    }
}
