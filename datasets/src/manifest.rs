//! Any images, listed in a table of their paths and labels.
//!
//! ```text
//! path,label
//! car_ims/000001.jpg,1
//! ```
//!
//! Fields are separated by commas and quoted where they contain one; a relative path starts at the
//! table's folder.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::error::read_file;
use crate::options::LoadOptions;
use crate::table::Table;
use crate::zero_shot::{Listing, expect_file, first_half, ordered};
use crate::{Error, ZeroShot};

/// Reads the images that the table at `path` lists, in its order, with the first half of the
/// classes to train on and the second half to test on; the larger half of an odd number is trained
/// on. Labels are ordered as numbers if all of them are whole numbers, else as text.
///
/// # Errors
///
/// [`Error::Options`] for a shape out of range; [`Error::Missing`] for a table or a listed image
/// that is not there; [`Error::Malformed`] for a table without the header `path,label` or a line
/// that is not a path and a label; [`Error::Folder`] for fewer than two classes; [`Error::Io`] and
/// [`Error::Image`] for the first file that cannot be read or decoded.
pub fn load_zero_shot(
    path: impl AsRef<Path>,
    options: impl Into<LoadOptions>,
) -> Result<ZeroShot, Error> {
    let options = options.into();
    options.shape.check()?;
    let path = path.as_ref();
    expect_file(path, "expected a table with the header path,label")?;
    let table = Table::parse(&read_file(path)?, path)?;
    let Some((_, records)) = table
        .records()
        .split_first()
        .filter(|(head, _)| head.fields == ["path", "label"])
    else {
        return Err(Error::malformed(path, 0, "expected the header path,label"));
    };
    let dir = path.parent().unwrap_or(Path::new(""));
    let mut listed = Vec::with_capacity(records.len());
    for record in records {
        let [image, label] = &record.fields[..] else {
            let problem = format!("{} fields, not a path and a label", record.fields.len());
            return Err(Error::malformed(path, record.offset, problem));
        };
        if image.is_empty() || label.is_empty() {
            let problem = "an empty path or label";
            return Err(Error::malformed(path, record.offset, problem));
        }
        let image = dir.join(image);
        expect_file(&image, &format!("{} lists this image", path.display()))?;
        listed.push((image, label));
    }
    let labels: BTreeSet<String> = listed.iter().map(|(_, label)| (*label).clone()).collect();
    let classes = ordered(labels);
    let numbers: BTreeMap<&String, usize> = classes.iter().zip(0..).collect();
    let images = listed
        .into_iter()
        .map(|(image, label)| (image, numbers[label]))
        .collect();
    let listing = Listing {
        train_classes: first_half(classes.len()),
        classes,
        images,
    };
    listing.decode(path, options)
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;
    use crate::zero_shot::tests::{RGB, first_values, png, text};

    /// Images 1 to 5 in `images`, and a table.
    fn small_set(table: &str) -> TempDir {
        let root = tempfile::tempdir().unwrap();
        for value in 1..=5 {
            png(&root, &format!("images/{value}.png"), value);
        }
        text(&root, "cars.csv", table);
        root
    }

    fn load(root: &TempDir) -> Result<ZeroShot, Error> {
        load_zero_shot(root.path().join("cars.csv"), RGB)
    }

    #[test]
    fn table_order_and_label_order_are_kept() {
        let rows = [(4, 10), (1, 9), (2, 100), (5, 9), (3, 10)];
        let rows: String = rows
            .iter()
            .map(|(image, label)| format!("images/{image}.png,{label}\n"))
            .collect();
        let root = small_set(&format!("path,label\n{rows}"));
        let ZeroShot { train, test } = load(&root).unwrap();
        assert_eq!(train.classes(), ["9", "10"]);
        assert_eq!(train.labels(), [1, 0, 0, 1]);
        assert_eq!(first_values(&train), [4, 1, 5, 3]);
        assert_eq!(
            (test.classes(), first_values(&test)),
            (&["100".to_owned()][..], vec![2])
        );
    }

    #[test]
    fn quoted_labels_and_absolute_paths_are_read() {
        let root = small_set("");
        let first = root.path().join("images/1.png");
        let table = format!(
            "path,label\n\"{}\",\"b, c\"\nimages/2.png,a\n",
            first.display()
        );
        text(&root, "cars.csv", &table);
        let ZeroShot { train, test } = load(&root).unwrap();
        assert_eq!(
            (train.classes(), first_values(&train)),
            (&["a".to_owned()][..], vec![2])
        );
        assert_eq!(
            (test.classes(), first_values(&test)),
            (&["b, c".to_owned()][..], vec![1])
        );
    }

    #[test]
    fn bad_tables_are_placed() {
        for (table, expected) in [
            (
                "images/1.png,a\n",
                "at byte 0: expected the header path,label",
            ),
            ("", "at byte 0: expected the header path,label"),
            (
                "path,label\nx\n",
                "at byte 11: 1 fields, not a path and a label",
            ),
            (
                "path,label\nimages/1.png,\n",
                "at byte 11: an empty path or label",
            ),
            (
                "path,label\nimages/1.png,a\n",
                "expected at least two classes, one to train on and one to test on, found 1",
            ),
        ] {
            let root = small_set(table);
            let expected = format!("{}: {expected}", root.path().join("cars.csv").display());
            assert_eq!(load(&root).unwrap_err().to_string(), expected);
        }
    }

    #[test]
    fn missing_files_are_named_with_what_was_expected() {
        let root = small_set("path,label\nimages/1.png,a\nimages/6.png,b\n");
        let error = load(&root).unwrap_err().to_string();
        let image = root.path().join("images/6.png");
        assert!(error.starts_with(&image.display().to_string()), "{error}");
        assert!(error.contains("cars.csv lists this image"), "{error}");
        let error = load_zero_shot(root.path().join("no.csv"), RGB)
            .unwrap_err()
            .to_string();
        assert!(
            error.ends_with("no.csv: not found; expected a table with the header path,label"),
            "{error}"
        );
    }
}
