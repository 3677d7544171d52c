//! Matrices of .csv files, with or without a header line.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use csv::{ReaderBuilder, StringRecord, Trim};

use super::{Sink, matrix_shape};

/// Reads the matrix of a .csv file: a row a line, numbers between commas. A first line without any
/// number is a header.
pub(super) fn read_matrix(path: &Path, sink: &mut dyn Sink) -> Result<()> {
    /// Entries handed on at once.
    const BLOCK: usize = 1 << 16;
    let mut reader = ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .trim(Trim::All)
        .from_path(path)?;
    let mut record = StringRecord::new();
    let mut dims = None;
    let mut rows = Vec::new();
    let mut first = true;
    while reader.read_record(&mut record)? {
        let line = record.position().map_or(0, csv::Position::line);
        let numbers = || record.iter().map(str::parse::<f64>);
        if std::mem::take(&mut first) && numbers().all(|number| number.is_err()) {
            continue;
        }
        if dims.is_none() {
            matrix_shape(&[1, record.len() as u64])?;
            sink.start(record.len(), f64::EPSILON)?;
        }
        let dims = *dims.get_or_insert(record.len());
        ensure!(
            record.len() == dims,
            "line {line} has {} fields, the first row {dims}",
            record.len()
        );
        for (column, number) in numbers().enumerate() {
            let number = number.ok().with_context(|| {
                let field: String = record[column].chars().take(40).collect();
                format!(
                    "line {line}, column {}: '{field}' is not a number",
                    column + 1
                )
            })?;
            rows.push(number);
        }
        if rows.len() >= BLOCK {
            sink.rows(&rows)?;
            rows.clear();
        }
    }
    ensure!(
        dims.is_some(),
        "expected a matrix with entries, found no rows"
    );
    sink.rows(&rows)
}
