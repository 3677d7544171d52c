//! Matrices of numpy's .npz files: zip archives of .npy files.

use std::io::{Cursor, Read};

use anyhow::{Context, Result};
use npyz::Order;
use npyz::npz::array_name_from_file_name;
use zip::ZipArchive;

use super::labels::choose_labels;
use super::npy::Header;
use super::source::{ReadSeek, Source};
use super::{Sink, blocks, choose, labels_shape, matrix_shape};

type Archive = ZipArchive<Box<dyn ReadSeek>>;

/// Reads a matrix of a .npz file: that of the name, or the only one.
pub(super) fn read_matrix(source: Source, name: Option<&str>, sink: &mut dyn Sink) -> Result<()> {
    let mut archive = ZipArchive::new(source.reader).context("not an .npz file")?;
    let arrays = arrays(&mut archive)?;
    let name = choose(&arrays, name)?;
    let entry = archive.by_name(&format!("{name}.npy"))?;
    read_entry(entry, sink).with_context(|| format!("in array '{name}'"))
}

/// Reads the labels of a .npz file: those of the name, or the only vector that may be labels.
pub(super) fn read_labels(source: Source, name: Option<&str>) -> Result<Vec<i64>> {
    let mut archive = ZipArchive::new(source.reader).context("not an .npz file")?;
    let arrays = arrays(&mut archive)?;
    let vectors: Vec<String> = (arrays.iter())
        .filter(|(_, shape)| labels_shape(shape).is_ok())
        .map(|(name, _)| name.clone())
        .collect();
    let all: Vec<String> = (arrays.iter())
        .map(|(name, shape)| format!("{name} {shape:?}"))
        .collect();
    let name = choose_labels(&vectors, name, &all)?;
    let mut entry = archive.by_name(&format!("{name}.npy"))?;
    let length = entry.size();
    let header = Header::read(&mut entry, length)?;
    let labels = header.labels(&mut entry);
    // To its end, where the check sum is compared.
    std::io::copy(&mut entry, &mut std::io::sink())
        .map_err(anyhow::Error::from)
        .and(labels)
        .with_context(|| format!("in array '{name}'"))
}

/// The arrays of an archive that can be read, by their names, with their shapes.
fn arrays(archive: &mut Archive) -> Result<Vec<(String, Vec<u64>)>> {
    let names: Vec<String> = (archive.file_names())
        .filter_map(|file| array_name_from_file_name(file).map(str::to_owned))
        .collect();
    let mut arrays = Vec::new();
    let mut unread = None;
    for name in names {
        let entry = archive.by_name(&format!("{name}.npy"));
        let header = entry.map_err(anyhow::Error::from).and_then(|mut entry| {
            let length = entry.size();
            Header::read(&mut entry, length)
        });
        match header.with_context(|| format!("in array '{name}'")) {
            Ok(header) => arrays.push((name, header.shape().to_vec())),
            Err(error) => unread = Some(error),
        }
    }
    // Others in the archive may be of any kind.
    if let (true, Some(error)) = (arrays.is_empty(), unread) {
        return Err(error);
    }
    arrays.sort();
    Ok(arrays)
}

fn read_entry(mut entry: zip::read::ZipFile<'_>, sink: &mut dyn Sink) -> Result<()> {
    let length = entry.size();
    let header = Header::read(&mut entry, length)?;
    let (element, shape) = (header.element()?, matrix_shape(header.shape())?);
    header.check_length("entries", element.width())?;
    match header.order() {
        Order::C => {
            blocks::by_rows(&mut entry, shape, element, sink)?;
            // The end of the entry, where its checksum is verified.
            entry.read_to_end(&mut Vec::new())?;
            Ok(())
        }
        Order::Fortran => {
            // Grows with what there is, not with what is claimed.
            let mut bytes = Vec::new();
            entry.take(length).read_to_end(&mut bytes)?;
            blocks::by_columns(Cursor::new(bytes), 0, shape, element, sink)
        }
    }
}
