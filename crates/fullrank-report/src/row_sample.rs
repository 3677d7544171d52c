//! Some rows of a matrix that is too large to be held.

use fullrank::diagnostics::Diagnostics;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::{Embedding, SEED};

/// Rows that are kept at the most.
const ROWS: usize = 10_000;
/// Numbers that are kept at the most.
const NUMBERS: usize = 1 << 24;

/// A sample of the rows of a matrix that comes in blocks, for the pictures of a report whose figures
/// are of all rows.
///
/// At most 10,000 rows and about 16 million numbers are kept, each row with the same probability: all
/// of a matrix that has no more. The seed is fixed, and how the matrix is cut into blocks does not matter.
#[derive(Clone, Debug)]
pub struct RowSample {
    dims: usize,
    most: usize,
    seen: usize,
    /// The index of each row that is kept, with the row.
    kept: Vec<(usize, Vec<f64>)>,
    random: ChaCha8Rng,
}

impl RowSample {
    /// A sample of rows of `dims` numbers.
    ///
    /// # Panics
    ///
    /// If `dims` is 0.
    pub fn new(dims: usize) -> Self {
        assert!(dims > 0, "rows of 0 numbers");
        Self {
            dims,
            most: ROWS.min(NUMBERS / dims).max(2),
            seen: 0,
            kept: Vec::new(),
            random: ChaCha8Rng::seed_from_u64(SEED),
        }
    }

    /// Takes the next rows.
    ///
    /// # Panics
    ///
    /// If `rows` does not hold whole rows.
    pub fn push(&mut self, rows: &[f64]) {
        let dims = self.dims;
        assert!(
            rows.len().is_multiple_of(dims),
            "{} numbers do not make up rows of {dims}",
            rows.len()
        );
        for row in rows.chunks_exact(dims) {
            let place = match self.kept.len() < self.most {
                true => {
                    self.kept.push((0, Vec::new()));
                    self.seen
                }
                false => self.random.random_range(0..=self.seen),
            };
            if let Some(place) = self.kept.get_mut(place) {
                *place = (self.seen, row.to_vec());
            }
            self.seen += 1;
        }
    }

    /// The sample as an embedding, with the figures of all rows, and the label of each of these if there
    /// are labels. Rows beyond the range of f32 are brought to a largest entry of 1, which changes neither
    /// correlations nor directions.
    ///
    /// # Panics
    ///
    /// If there are fewer labels than rows.
    pub fn into_embedding(
        mut self,
        name: impl Into<String>,
        diagnostics: Diagnostics,
        labels: Option<&[i64]>,
    ) -> Embedding<'static> {
        self.kept.sort_unstable_by_key(|row| row.0);
        let numbers = || self.kept.iter().flat_map(|row| &row.1);
        let largest = numbers().fold(0.0_f64, |largest, x| largest.max(x.abs()));
        let scale = match largest {
            1e-30..1e30 => 1.0,
            _ if largest > 0.0 => largest,
            _ => 1.0,
        };
        let rows: Vec<f32> = numbers().map(|x| (x / scale) as f32).collect();
        let embedding = Embedding::new(name, rows, self.dims).with_diagnostics(diagnostics);
        match labels {
            Some(labels) => {
                let kept: Vec<i64> = self.kept.iter().map(|row| labels[row.0]).collect();
                embedding.with_numbered_labels(&kept)
            }
            None => embedding,
        }
    }
}
