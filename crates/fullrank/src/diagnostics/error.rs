//! What keeps a matrix from being diagnosed.

use serde::{Deserialize, Serialize};

/// Why there are no [`Diagnostics`](super::Diagnostics) of a matrix.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum DiagnosticsError {
    /// No rows or no dimensions.
    #[error("diagnostics need at least one row and one dimension, got {rows} x {dims}")]
    Empty {
        /// Rows.
        rows: usize,
        /// Numbers of a row.
        dims: usize,
    },
    /// The numbers do not make up whole rows.
    #[error("{values} numbers do not make up rows of {dims}")]
    Shape {
        /// How many numbers there are.
        values: usize,
        /// Numbers of a row.
        dims: usize,
    },
    /// Not one label for each row.
    #[error("there are {rows} rows but {labels} labels")]
    Labels {
        /// Rows.
        rows: usize,
        /// Labels.
        labels: usize,
    },
    /// Entries that are NaN or infinite.
    #[error("{0}")]
    NotFinite(NonFinite),
    /// An entry whose square, summed over the rows, could leave the range of f64.
    #[error(
        "the entry at row {row}, column {column} is {value:e}: entries above {limit:e} in size are refused, their squares overflow",
        limit = super::LARGEST_ENTRY
    )]
    TooLarge {
        /// Its row, from 0.
        row: usize,
        /// Its column, from 0.
        column: usize,
        /// What it is.
        value: f64,
    },
    /// A matrix with more dimensions than Gram matrices are formed of, and more rows than are kept.
    #[error(
        "{dims} dimensions are too many for a matrix of this many rows: give at most {most_rows} rows, or project them to at most {limit} dimensions",
        limit = super::LARGEST_GRAM
    )]
    TooManyDimensions {
        /// Numbers of a row.
        dims: usize,
        /// The most rows of this many numbers that are kept.
        most_rows: usize,
    },
    /// The iteration for the singular values or eigenvalues did not converge.
    #[error("the iteration for the singular values did not converge")]
    NoConvergence,
}

/// The entries of a matrix that are NaN or infinite: how many, and where the first are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NonFinite {
    /// Entries that are NaN.
    pub nan: usize,
    /// Entries that are plus or minus infinity.
    pub infinite: usize,
    /// Entries of the matrix.
    pub entries: usize,
    /// `[row, column]`, from 0, of the first [`NonFinite::POSITIONS`] of them, in the order of the
    /// rows.
    pub first: Vec<[usize; 2]>,
}

impl NonFinite {
    /// How many positions are kept.
    pub const POSITIONS: usize = 8;

    /// Counts the entries of some rows, of which the first is row `row` of the matrix.
    pub(super) fn scan(&mut self, rows: &[f64], dims: usize, row: usize) {
        self.entries += rows.len();
        for (k, entry) in rows.iter().enumerate().filter(|(_, x)| !x.is_finite()) {
            if entry.is_nan() {
                self.nan += 1;
            } else {
                self.infinite += 1;
            }
            if self.first.len() < Self::POSITIONS {
                self.first.push([row + k / dims, k % dims]);
            }
        }
    }

    /// NaN and infinite entries together.
    pub fn count(&self) -> usize {
        self.nan + self.infinite
    }
}

impl std::fmt::Display for NonFinite {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} of {} entries are not finite ({} NaN, {} infinite)",
            self.count(),
            self.entries,
            self.nan,
            self.infinite
        )?;
        let places: Vec<String> = (self.first.iter())
            .map(|[row, column]| format!("row {row}, column {column}"))
            .collect();
        let more = if self.count() > places.len() {
            "; ..."
        } else {
            ""
        };
        write!(f, ", at {}{more}", places.join("; "))
    }
}
