//! Rows that come in blocks.

use super::duplicates::Duplicates;
use super::gram::Moments;
use super::unit::Sample;
use super::{
    Diagnostics, DiagnosticsError, LARGEST_ENTRY, LARGEST_GRAM, LARGEST_KEPT, Method, NonFinite,
    Pairs, Summary, exact,
};

/// The [`Diagnostics`] of rows that come in blocks, for matrices larger than memory.
///
/// ```
/// use fullrank::diagnostics::{Accumulator, Diagnostics};
///
/// let rows: Vec<f64> = (0..60).map(|k| (k as f64 * 1.7).sin()).collect();
/// let mut accumulator = Accumulator::new(3);
/// for block in rows.chunks(12) {
///     accumulator.push(block)?;
/// }
/// assert_eq!(accumulator.finish()?, Diagnostics::new(&rows, 3, None)?);
/// # Ok::<(), fullrank::diagnostics::DiagnosticsError>(())
/// ```
///
/// Three ways, by the size of the matrix, `b x d`:
///
/// - **whole**: while `b d <= 2^23` and `b d min(b, d) <= 2^32` (16,384 rows of 512), the rows are
///   kept and decomposed by an SVD in f64. Every singular value is right to about 1e-16 of the
///   largest.
/// - **Gram**: beyond that the Gram matrices of the rows and of the unit rows are summed in f64, in
///   blocks, relative to the mean of the first. Memory is some `d x d` matrices and blocks of 8
///   MiB, two vectors for each class and 16 bytes for each row. Singular values are roots of eigenvalues and right to
///   about `1e-15 (s_max / s)^2`, relative to `s`; those below `1e-7 s_max` are zero. `d` may be
///   8192 at most.
/// - **Gram of the rows**: where there are no more rows than dimensions, `b <= d`, the rows are kept
///   up to `b d <= 2^26` (2674 rows of 25,088), and their `b x b` Gram matrices decomposed: raw, of
///   the unit rows and centred, each as precise as above. Memory is some four times that of the rows
///   in f64.
///
/// The figures depend neither on how the rows are cut into blocks nor on the number of threads.
pub struct Accumulator {
    dims: usize,
    entry_epsilon: f64,
    gram_from_start: bool,
    rows: usize,
    /// Rows not yet summed: all of them while they are few.
    kept: Vec<f64>,
    kept_labels: Vec<i64>,
    labels: usize,
    moments: Option<Moments>,
    sample: Sample,
    duplicates: Duplicates,
    non_finite: NonFinite,
    error: Option<DiagnosticsError>,
}

impl Accumulator {
    /// For rows of `dims` numbers.
    ///
    /// # Panics
    ///
    /// If `dims` is zero.
    pub fn new(dims: usize) -> Self {
        assert!(dims > 0, "rows need at least one dimension, got 0");
        Self {
            dims,
            entry_epsilon: f64::EPSILON,
            gram_from_start: false,
            rows: 0,
            kept: Vec::new(),
            kept_labels: Vec::new(),
            labels: 0,
            moments: None,
            sample: Sample::new(dims),
            duplicates: Duplicates::new(dims),
            non_finite: NonFinite::default(),
            error: None,
        }
    }

    /// The relative spacing of the numbers the entries were stored as, if that was not f64: 2^-23
    /// for f32, 2^-10 for f16, 2^-7 for bf16. Singular values below it, relative to the largest,
    /// are rounding, and do not count in [`Diagnostics::numerical_rank`]. Default: `2^-52`
    ///
    /// # Panics
    ///
    /// If it is not between 0 and 1.
    #[must_use]
    pub fn entry_epsilon(mut self, epsilon: f64) -> Self {
        assert!(
            (0.0..1.0).contains(&epsilon),
            "entry_epsilon must be in [0, 1), got {epsilon}"
        );
        self.entry_epsilon = epsilon;
        self
    }

    /// Sums Gram matrices from the first row on, however few there are: less memory, and less
    /// precision.
    #[must_use]
    pub fn by_gram(mut self) -> Self {
        self.gram_from_start = true;
        self
    }

    /// Adds rows, one after another.
    ///
    /// Entries that are not finite are counted, and end the accumulation: [`finish`](Self::finish)
    /// reports them.
    ///
    /// # Errors
    ///
    /// If `rows` is not whole rows, or earlier rows had labels.
    pub fn push(&mut self, rows: &[f64]) -> Result<(), DiagnosticsError> {
        self.push_rows(rows, &[])
    }

    /// Adds rows with their labels.
    ///
    /// # Errors
    ///
    /// If `rows` is not whole rows, or there is not one label for each of these rows and of the
    /// earlier.
    pub fn push_labelled(&mut self, rows: &[f64], labels: &[i64]) -> Result<(), DiagnosticsError> {
        let count = rows.len() / self.dims;
        if labels.len() != count {
            return Err(DiagnosticsError::Labels {
                rows: count,
                labels: labels.len(),
            });
        }
        self.push_rows(rows, labels)
    }

    fn push_rows(&mut self, rows: &[f64], labels: &[i64]) -> Result<(), DiagnosticsError> {
        if !rows.len().is_multiple_of(self.dims) {
            return Err(DiagnosticsError::Shape {
                values: rows.len(),
                dims: self.dims,
            });
        }
        let count = rows.len() / self.dims;
        let (all_rows, all_labels) = (self.rows + count, self.labels + labels.len());
        if all_labels != 0 && all_labels != all_rows {
            return Err(DiagnosticsError::Labels {
                rows: all_rows,
                labels: all_labels,
            });
        }
        let block = self.block_rows();
        let mut labels = labels.chunks(block);
        for rows in rows.chunks(block * self.dims) {
            self.push_block(rows, labels.next().unwrap_or(&[]));
        }
        Ok(())
    }

    /// Rows that are summed at once: 2^20 entries.
    fn block_rows(&self) -> usize {
        const ENTRIES: usize = 1 << 20;
        (ENTRIES / self.dims).max(1)
    }

    fn push_block(&mut self, rows: &[f64], labels: &[i64]) {
        self.check(rows);
        self.rows += rows.len() / self.dims;
        self.labels += labels.len();
        if self.non_finite.count() > 0 || self.error.is_some() {
            return;
        }
        self.sample.offer(rows);
        self.duplicates.add(rows);
        self.kept.extend_from_slice(rows);
        self.kept_labels.extend_from_slice(labels);
        if self.moments.is_none() && self.too_large_for_svd() {
            if self.keeps_all_rows() {
                return;
            }
            if self.dims > LARGEST_GRAM {
                self.error = Some(DiagnosticsError::TooManyDimensions {
                    dims: self.dims,
                    most_rows: LARGEST_KEPT / self.dims,
                });
                self.kept = Vec::new();
                return;
            }
            if self.kept.len() < self.block_rows() * self.dims {
                return;
            }
            let first = &self.kept[..self.block_rows() * self.dims];
            self.moments = Some(Moments::new(self.dims, first));
        }
        self.sum_blocks();
    }

    /// Whether there are entries that no figure can be made of.
    fn check(&mut self, rows: &[f64]) {
        self.non_finite.scan(rows, self.dims, self.rows);
        if self.error.is_none()
            && let Some(k) = rows
                .iter()
                .position(|x| x.is_finite() && x.abs() > LARGEST_ENTRY)
        {
            self.error = Some(DiagnosticsError::TooLarge {
                row: self.rows + k / self.dims,
                column: k % self.dims,
                value: rows[k],
            });
        }
    }

    fn too_large_for_svd(&self) -> bool {
        const ENTRIES: usize = 1 << 23;
        const WORK: usize = 1 << 32;
        let entries = self.rows.saturating_mul(self.dims);
        let work = entries.saturating_mul(self.rows.min(self.dims));
        self.gram_from_start || entries > ENTRIES || work > WORK
    }

    /// Whether there are no more rows than dimensions, and few enough to keep.
    fn keeps_all_rows(&self) -> bool {
        !self.gram_from_start
            && self.rows <= self.dims
            && self.rows.saturating_mul(self.dims) <= LARGEST_KEPT
    }

    /// Sums what is kept, in whole blocks counted from the first row.
    fn sum_blocks(&mut self) {
        let block = self.block_rows();
        let Some(moments) = &mut self.moments else {
            return;
        };
        let whole = self.kept.len() / (block * self.dims);
        for k in 0..whole {
            let rows = &self.kept[k * block * self.dims..][..block * self.dims];
            let labels = self.kept_labels.get(k * block..(k + 1) * block);
            moments.add(rows, labels.unwrap_or(&[]));
        }
        self.kept.drain(..whole * block * self.dims);
        let labels = (whole * block).min(self.kept_labels.len());
        self.kept_labels.drain(..labels);
    }

    /// The figures of all rows.
    ///
    /// # Errors
    ///
    /// If there was no row, an entry was not finite or too large, or there are too many dimensions.
    pub fn finish(mut self) -> Result<Diagnostics, DiagnosticsError> {
        if self.rows == 0 {
            return Err(DiagnosticsError::Empty {
                rows: 0,
                dims: self.dims,
            });
        }
        if self.non_finite.count() > 0 {
            return Err(DiagnosticsError::NotFinite(self.non_finite));
        }
        if let Some(error) = self.error.take() {
            return Err(error);
        }
        let by_gram = self.moments.is_some() || self.too_large_for_svd();
        let method = if by_gram { Method::Gram } else { Method::Svd };
        let sample = std::mem::replace(&mut self.sample, Sample::new(self.dims));
        let duplicates = std::mem::replace(&mut self.duplicates, Duplicates::new(self.dims));
        let epsilon = self.entry_epsilon;
        let summary = self.summary(method)?;
        let pairs = Pairs {
            compared_rows: sample.len(),
            mean_cosine_centred: sample.mean_cosine_without(&summary.means),
            uniformity: sample.uniformity(),
            repeated: duplicates.finish(),
        };
        Ok(Diagnostics::from_summary(summary, method, pairs, epsilon))
    }

    fn summary(self, method: Method) -> Result<Summary, DiagnosticsError> {
        if method == Method::Svd || (self.moments.is_none() && self.keeps_all_rows()) {
            return exact::summary(&self.kept, self.dims, &self.kept_labels, method);
        }
        let mut moments = match self.moments {
            Some(moments) => moments,
            None => Moments::new(self.dims, &self.kept),
        };
        if !self.kept.is_empty() {
            moments.add(&self.kept, &self.kept_labels);
        }
        moments.summary()
    }
}
