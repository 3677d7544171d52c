//! Whatever the bytes, a file is read or refused: no panic, and no memory beyond the file's size.

use std::fs;
use std::io::{Cursor, Write};

use ::safetensors::tensor::{Dtype, TensorView};
use fullrank::diagnostics::Accumulator;
use npyz::WriterBuilder;
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

/// Takes the rows and makes diagnostics of them, as the command does.
#[derive(Default)]
struct Figures {
    accumulator: Option<Accumulator>,
    entries: usize,
}

impl Sink for Figures {
    fn start(&mut self, dims: usize, entry_epsilon: f64) -> Result<()> {
        assert!(self.accumulator.is_none());
        self.accumulator = Some(Accumulator::new(dims).entry_epsilon(entry_epsilon));
        Ok(())
    }

    fn rows(&mut self, rows: &[f64]) -> Result<()> {
        self.entries += rows.len();
        self.accumulator.as_mut().unwrap().push(rows)?;
        Ok(())
    }
}

/// Reads bytes as a file of a format; the number of entries if they are one.
fn read_bytes(extension: &str, bytes: &[u8]) -> Result<usize> {
    let folder = TempDir::new()?;
    let path = folder.path().join(format!("e.{extension}"));
    fs::write(&path, bytes)?;
    let mut figures = Figures::default();
    stream(&path, None, &mut figures)?;
    let diagnostics = figures.accumulator.unwrap().finish();
    if let Ok(diagnostics) = diagnostics {
        let numbers = diagnostics.figures();
        assert!(
            numbers.iter().all(|(_, x)| x.is_none_or(f64::is_finite)),
            "{diagnostics}"
        );
        assert_eq!(diagnostics.rows * diagnostics.dims, figures.entries);
    }
    Ok(figures.entries)
}

fn npy_bytes() -> Vec<u8> {
    let mut bytes = Vec::new();
    let options = npyz::WriteOptions::new().default_dtype().shape(&[4, 3]);
    let mut writer = options.writer(&mut bytes).begin_nd().unwrap();
    writer.extend((0..12).map(|k| (k as f32).sin())).unwrap();
    writer.finish().unwrap();
    bytes
}

fn npz_bytes() -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, method) in [
        ("a.npy", zip::CompressionMethod::Deflated),
        ("b.txt", zip::CompressionMethod::Stored),
    ] {
        let options = zip::write::FileOptions::default().compression_method(method);
        archive.start_file(name, options).unwrap();
        archive.write_all(&npy_bytes()).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

fn safetensors_bytes() -> Vec<u8> {
    let data: Vec<u8> = (0..12)
        .flat_map(|k| (k as f32).sin().to_le_bytes())
        .collect();
    let view = |shape: &[usize]| TensorView::new(Dtype::F32, shape.to_vec(), &data).unwrap();
    ::safetensors::serialize([("a", view(&[4, 3])), ("b", view(&[12]))], None).unwrap()
}

fn csv_bytes() -> Vec<u8> {
    b"a,b,c\n1,2.5,-3e2\n4,5,6\n\"7\", 8 ,9\n".to_vec()
}

/// A file of a format, and that format.
fn valid() -> impl Strategy<Value = (&'static str, Vec<u8>)> {
    prop_oneof![
        Just(("npy", npy_bytes())),
        Just(("npz", npz_bytes())),
        Just(("safetensors", safetensors_bytes())),
        Just(("csv", csv_bytes())),
    ]
}

#[test]
fn the_files_are_valid() {
    for (extension, bytes) in [
        ("npy", npy_bytes()),
        ("npz", npz_bytes()),
        ("safetensors", safetensors_bytes()),
    ] {
        assert_eq!(read_bytes(extension, &bytes).unwrap(), 12, "{extension}");
    }
    assert_eq!(read_bytes("csv", &csv_bytes()).unwrap(), 9);
}

/// A matrix as a whole is in the precision of its file.
#[test]
fn matrices_keep_their_precision() {
    let folder = TempDir::new().unwrap();
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    };
    let entries: Vec<f32> = (0..12).map(|k| (k as f32).sin()).collect();
    let matrix = read(&file("e.npy", &npy_bytes()), None).unwrap();
    assert_eq!((matrix.rows, matrix.dims), (4, 3));
    assert_eq!(matrix.entries, Entries::F32(entries));
    let matrix = read(&file("e.csv", &csv_bytes()), None).unwrap();
    let entries = vec![1.0, 2.5, -300.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0];
    assert_eq!(matrix.entries, Entries::F64(entries));
    assert!(read(&file("e.safetensors", &safetensors_bytes()), Some("a")).is_ok());
    let error = read(&file("nan.csv", b"1.5,2.5\n3.5,nan\n"), None).unwrap_err();
    assert!(
        format!("{error:#}")
            .ends_with("nan.csv: 1 of 4 entries are not finite, the first at row 1, column 1"),
        "{error:#}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, ..ProptestConfig::default() })]

    #[test]
    fn changed_files(
        (extension, mut bytes) in valid(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in prop::option::weighted(0.2, any::<prop::sample::Index>()),
        tail in prop::option::weighted(0.2, prop::collection::vec(any::<u8>(), 1..40)),
    ) {
        for (place, byte) in changes {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        bytes.extend(tail.unwrap_or_default());
        let _ = read_bytes(extension, &bytes);
    }

    #[test]
    fn changed_digits(
        (extension, mut bytes) in valid(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), b'0'..=b'9'), 1..4),
    ) {
        let digits: Vec<usize> = (0..bytes.len()).filter(|&k| bytes[k].is_ascii_digit()).collect();
        for (place, digit) in changes {
            bytes[digits[place.index(digits.len())]] = digit;
        }
        let _ = read_bytes(extension, &bytes);
    }

    #[test]
    fn any_bytes(
        (extension, start) in valid(),
        kept in 0usize..80,
        bytes in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let start = &start[..kept.min(start.len())];
        let _ = read_bytes(extension, &[start, &bytes].concat());
    }

    #[test]
    fn any_table(text in "[0-9,.\\-e \"\n\rna;\t#=]{0,80}") {
        let _ = read_bytes("csv", text.as_bytes());
    }

    #[test]
    fn any_json(text in "[0-9,.\\-e \"\n\\[\\]{}:a]{0,80}") {
        let _ = read_bytes("jsonl", text.as_bytes());
        let _ = read_bytes("json", text.as_bytes());
    }
}
