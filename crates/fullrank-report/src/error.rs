//! What can go wrong in a report.

use fullrank_files::FileError;

/// Why a report cannot be made. Each message names the embedding or the file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The numbers do not make up whole rows.
    #[error("{name}: {values} numbers do not make up rows of {dims}")]
    Shape {
        /// Whose embedding it is.
        name: String,
        /// How many numbers there are.
        values: usize,
        /// Numbers of a row.
        dims: usize,
    },
    /// Too few rows for a spectrum about their mean.
    #[error("{name}: a report needs at least two rows, got {rows}")]
    TooFewRows {
        /// Whose embedding it is.
        name: String,
        /// How many there are.
        rows: usize,
    },
    /// A number that is none.
    #[error("{name}: the entry at row {row}, column {column} is {value}")]
    NotFinite {
        /// Whose embedding it is.
        name: String,
        /// What stands there.
        value: f32,
        /// Its row, from 0.
        row: usize,
        /// Its column, from 0.
        column: usize,
    },
    /// Not one label for each row.
    #[error("{name}: {rows} rows but {labels} labels")]
    Labels {
        /// Whose embedding it is.
        name: String,
        /// Labels.
        labels: usize,
        /// Rows.
        rows: usize,
    },
    /// The figures cannot be computed.
    #[error("{name}")]
    Diagnostics {
        /// Whose embedding it is.
        name: String,
        /// Why not.
        source: fullrank::diagnostics::DiagnosticsError,
    },
    /// An image that is not there.
    #[error("image {index} of a set of {images}")]
    Image {
        /// Which one.
        index: usize,
        /// How many there are.
        images: usize,
    },
    /// The file cannot be written.
    #[error(transparent)]
    Write(#[from] FileError),
}
