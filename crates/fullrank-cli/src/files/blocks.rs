//! Matrices of entries one after another, in either order.

use std::io::{Read, Seek, SeekFrom};

use anyhow::{Context, Result};

use super::{Element, Sink};

/// Entries read at once.
const BLOCK: usize = 1 << 19;

/// Reads a matrix in C order: row after row.
pub(super) fn by_rows(
    mut reader: impl Read,
    [rows, dims]: [u64; 2],
    element: Element,
    sink: &mut dyn Sink,
) -> Result<()> {
    let dims = usize::try_from(dims)?;
    let block = (BLOCK / dims).max(1) as u64;
    sink.start(dims, element.epsilon())?;
    let mut bytes = Vec::new();
    let mut entries = Vec::new();
    let mut row = 0;
    while row < rows {
        let count = block.min(rows - row);
        bytes.resize(count as usize * dims * element.width(), 0);
        reader
            .read_exact(&mut bytes)
            .with_context(|| format!("reading the rows from {row} on"))?;
        entries.clear();
        element.decode(&bytes, &mut entries);
        sink.rows(&entries)?;
        row += count;
    }
    Ok(())
}

/// Reads a matrix in Fortran order: the columns one after another, the first at byte `offset`.
pub(super) fn by_columns(
    mut reader: impl Read + Seek,
    offset: u64,
    [rows, dims]: [u64; 2],
    element: Element,
    sink: &mut dyn Sink,
) -> Result<()> {
    let dims = usize::try_from(dims)?;
    let width = element.width() as u64;
    let block = (BLOCK / dims).max(1) as u64;
    sink.start(dims, element.epsilon())?;
    let mut bytes = Vec::new();
    let mut column = Vec::new();
    let mut row = 0;
    while row < rows {
        let count = block.min(rows - row);
        bytes.resize((count * width) as usize, 0);
        let mut entries = vec![0.0; count as usize * dims];
        for j in 0..dims {
            reader.seek(SeekFrom::Start(offset + (j as u64 * rows + row) * width))?;
            reader
                .read_exact(&mut bytes)
                .with_context(|| format!("reading column {j}"))?;
            column.clear();
            element.decode(&bytes, &mut column);
            for (row, x) in entries.chunks_exact_mut(dims).zip(&column) {
                row[j] = *x;
            }
        }
        sink.rows(&entries)?;
        row += count;
    }
    Ok(())
}
