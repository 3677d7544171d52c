//! Cars196: photographs of 196 models of cars, 16,185 in all, in the layout of Kaggle's *Stanford
//! Car Dataset by classes folder*.
//!
//! ```text
//! <dir>/names.csv                                        line n names class n
//! <dir>/car_data/car_data/train/<name>/*.jpg             "/" in a name is "-" in its folder
//! <dir>/car_data/car_data/test/<name>/*.jpg
//! <dir>/anno_train.csv, anno_test.csv                    (optional) <file>,..,<class>
//! ```
//!
//! For the original layout, whose labels are in MATLAB files, write a table for
//! [`manifest`](crate::manifest).
//!
//! Source: J. Krause, M. Stark, J. Deng, L. Fei-Fei, *3D Object Representations for Fine-Grained
//! Categorization*, 3dRR-13, 2013.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::error::read_file;
use crate::image_folder::{class_folders, image_files};
use crate::options::LoadOptions;
use crate::table::Table;
use crate::zero_shot::{Listing, expect_file, first_half};
use crate::{Error, ZeroShot};

/// Reads the set from `dir` with the zero-shot split: the folders `train` and `test` are merged,
/// then the first half of the classes by number (1 to 98: 8,054 images) is trained on, the second
/// half (99 to 196: 8,131 images) tested on. `train` and `test` may lie in `car_data/car_data`, in
/// `car_data` or in `dir`. The images are sorted by class, part and name. Where the `anno` files
/// are there, every image that they list must be in the folder of its class.
///
/// # Errors
///
/// [`Error::Options`] for a shape out of range; [`Error::Missing`] for `names.csv`, the folders or
/// a listed image that is not there; [`Error::Malformed`] for a class named twice or a line that is
/// not as above; [`Error::Folder`] for a folder whose name is not in `names.csv`, a class folder
/// or a class without images and for fewer than two classes; [`Error::Io`] and [`Error::Image`] for
/// the first file that cannot be read or decoded.
pub fn load(dir: impl AsRef<Path>, options: impl Into<LoadOptions>) -> Result<ZeroShot, Error> {
    let options = options.into();
    options.shape.check()?;
    let dir = dir.as_ref();
    let name_list = dir.join("names.csv");
    expect_file(
        &name_list,
        "expected Cars196 by class folders here: names.csv and car_data/car_data/{train,test}",
    )?;
    let places = ["car_data/car_data", "car_data", ""].map(|place| dir.join(place));
    let is_place = |place: &&PathBuf| place.join("train").is_dir() && place.join("test").is_dir();
    let Some(place) = places.iter().find(is_place) else {
        let problem = "expected the folders train and test here, with one folder per class";
        return Err(Error::missing(&places[0], problem));
    };

    let (mut classes, mut labels) = (Vec::new(), BTreeMap::new());
    for record in Table::parse(&read_file(&name_list)?, &name_list)?.records() {
        let name = record.fields.join(", ");
        if labels
            .insert(name.replace('/', "-"), classes.len())
            .is_some()
        {
            let problem = format!("class {name:?} is named twice");
            return Err(Error::malformed(&name_list, record.offset, problem));
        }
        classes.push(name);
    }
    let folders: Vec<String> = classes.iter().map(|name| name.replace('/', "-")).collect();

    let mut images = Vec::new();
    for part in ["train", "test"] {
        for (name, folder) in class_folders(&place.join(part))? {
            let Some(&label) = labels.get(&name) else {
                let problem = format!("{name:?} is no class of {}", name_list.display());
                return Err(Error::folder(&folder, problem));
            };
            images.extend(image_files(&folder)?.into_iter().map(|file| (file, label)));
        }
        check_listed(dir, part, &place.join(part), &folders)?;
    }
    // Stable: the images of a class stay in the order of parts and names.
    images.sort_by_key(|&(_, label)| label);
    let listing = Listing {
        train_classes: first_half(classes.len()),
        classes,
        images,
    };
    listing.decode(&name_list, options)
}

/// Checks that the images listed in the part's `anno` file, if there is one, are in place.
fn check_listed(dir: &Path, part: &str, images: &Path, folders: &[String]) -> Result<(), Error> {
    let list = dir.join(format!("anno_{part}.csv"));
    if !list.exists() {
        return Ok(());
    }
    for record in Table::parse(&read_file(&list)?, &list)?.records() {
        let class = record
            .fields
            .last()
            .and_then(|last| last.parse::<usize>().ok());
        let folder = class.and_then(|class| folders.get(class.checked_sub(1)?));
        let (Some(folder), Some(file)) = (folder, record.fields.first()) else {
            let problem = format!(
                "expected <file>,..,<class>, a class of 1 to {}",
                folders.len()
            );
            return Err(Error::malformed(&list, record.offset, problem));
        };
        expect_file(
            &images.join(folder).join(file),
            &format!("{} lists this image", list.display()),
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::TempDir;

    use super::*;
    use crate::zero_shot::tests::{RGB, first_values, png, text, without_folder};

    const PLACE: &str = "car_data/car_data";

    /// Four classes that are not in the order of their names, with an image in each part.
    fn small_set() -> TempDir {
        let root = tempfile::tempdir().unwrap();
        text(
            &root,
            "names.csv",
            "Zeta C/V 2012\nAlfa 2010\nMika 2011\nBeta 2009\n",
        );
        let folders = ["Zeta C-V 2012", "Alfa 2010", "Mika 2011", "Beta 2009"];
        for (class, folder) in (1..).zip(folders) {
            png(&root, &format!("{PLACE}/train/{folder}/1.png"), class);
            png(&root, &format!("{PLACE}/test/{folder}/1.png"), 10 + class);
        }
        text(
            &root,
            "anno_train.csv",
            "1.png,0,0,2,2,1\n1.png,0,0,2,2,4\n",
        );
        root
    }

    fn message(name: &str, content: &str) -> String {
        let root = small_set();
        text(&root, name, content);
        without_folder(load(root.path(), RGB).unwrap_err(), &root)
    }

    #[test]
    fn classes_are_numbered_as_named_and_the_parts_merged() {
        let root = small_set();
        let ZeroShot { train, test } = load(root.path(), RGB).unwrap();
        assert_eq!(train.classes(), ["Zeta C/V 2012", "Alfa 2010"]);
        assert_eq!(test.classes(), ["Mika 2011", "Beta 2009"]);
        assert_eq!(
            (train.labels(), test.labels()),
            (&[0, 0, 1, 1][..], &[0, 0, 1, 1][..])
        );
        assert_eq!(first_values(&train), [1, 11, 2, 12]);
        assert_eq!(first_values(&test), [3, 13, 4, 14]);

        let outer = root.path().join("car_data");
        fs::rename(outer.join("car_data/train"), root.path().join("train")).unwrap();
        fs::rename(outer.join("car_data/test"), root.path().join("test")).unwrap();
        assert_eq!(load(root.path(), RGB).unwrap(), ZeroShot { train, test });
    }

    #[test]
    fn missing_files_are_named_with_what_was_expected() {
        let root = small_set();
        let expect = |name: &str, expected: &str| match load(root.path(), RGB) {
            Err(Error::Missing { path, problem }) => {
                assert_eq!(path, root.path().join(name));
                assert!(problem.contains(expected), "{problem}");
            }
            other => panic!("{other:?}"),
        };
        text(&root, "anno_test.csv", "2.png,0,0,2,2,3\n");
        expect(
            &format!("{PLACE}/test/Mika 2011/2.png"),
            "anno_test.csv lists this image",
        );
        fs::remove_dir_all(root.path().join(PLACE).join("test")).unwrap();
        expect(PLACE, "expected the folders train and test");
        fs::remove_file(root.path().join("names.csv")).unwrap();
        expect("names.csv", "expected Cars196 by class folders");
    }

    #[test]
    fn folders_and_names_must_agree() {
        let three = "Zeta C/V 2012\nAlfa 2010\nMika 2011\n";
        assert_eq!(
            message("names.csv", three).replace(std::path::MAIN_SEPARATOR, "/"),
            "car_data/car_data/train/Beta 2009: \"Beta 2009\" is no class of names.csv"
        );
        assert_eq!(
            message("names.csv", &format!("{three}Beta 2009\nOmega 2008\n")),
            "names.csv: class \"Omega 2008\" has no image"
        );
        assert_eq!(
            message("names.csv", &format!("{three}Alfa 2010\n")),
            "names.csv: at byte 34: class \"Alfa 2010\" is named twice"
        );
    }

    #[test]
    fn bad_annotations_are_placed() {
        for bad in ["1.png,0,0,2,2,5\n", "1.png,0,0,2,2,0\n", "1.png,class\n"] {
            assert_eq!(
                message("anno_train.csv", &format!("1.png,0,0,2,2,1\n{bad}")),
                "anno_train.csv: at byte 16: expected <file>,..,<class>, a class of 1 to 4"
            );
        }
    }
}
