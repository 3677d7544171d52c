//! The figures of any number of rows from sums over them: the Gram matrices of the rows and of the
//! unit rows.

use faer::linalg::matmul::triangular::{self, BlockStructure};
use faer::{Accum, Mat, MatRef};
use rayon::prelude::*;

use super::labels::{Class, Classes, alignment, between_scatter, lidar};
use super::unit::normalize;
use super::{DiagnosticsError, LabelFigures, Summary, dimensions, spectrum};

/// What is summed over the rows.
///
/// Everything is relative to the mean of the first rows, which is close to that of all: the
/// scatter about the mean then loses nothing where the mean is large, and
/// `E^T E = scatter + b mean mean^T` is a sum of positive parts.
pub(super) struct Moments {
    dims: usize,
    rows: usize,
    zero_rows: usize,
    origin: Vec<f64>,
    unit_origin: Vec<f64>,
    sums: Sums,
    /// Lower triangles.
    scatter: Mat<f64>,
    unit_gram: Mat<f64>,
    classes: Classes,
}

/// Sums over rows, a number for each dimension.
#[derive(Clone)]
struct Sums {
    rows: Vec<f64>,
    unit: Vec<f64>,
    unit_squares: Vec<f64>,
}

impl Sums {
    fn new(dims: usize) -> Self {
        let zeros = || vec![0.0; dims];
        Self {
            rows: zeros(),
            unit: zeros(),
            unit_squares: zeros(),
        }
    }

    fn add(&mut self, other: &Self) {
        let parts = [
            (&mut self.rows, &other.rows),
            (&mut self.unit, &other.unit),
            (&mut self.unit_squares, &other.unit_squares),
        ];
        for (sums, others) in parts {
            for (sum, other) in sums.iter_mut().zip(others) {
                *sum += other;
            }
        }
    }
}

impl Moments {
    /// Sums relative to the mean of `first` rows, which are not added.
    pub(super) fn new(dims: usize, first: &[f64]) -> Self {
        let mut unit = vec![0.0; first.len()];
        for (unit, row) in unit.chunks_exact_mut(dims).zip(first.chunks_exact(dims)) {
            normalize(row, unit);
        }
        Self {
            dims,
            rows: 0,
            zero_rows: 0,
            origin: dimensions::means(first, dims),
            unit_origin: dimensions::means(&unit, dims),
            sums: Sums::new(dims),
            scatter: Mat::zeros(dims, dims),
            unit_gram: Mat::zeros(dims, dims),
            classes: Classes::new(),
        }
    }

    /// Adds a block of rows. `labels` has one for each, or none.
    pub(super) fn add(&mut self, rows: &[f64], labels: &[i64]) {
        /// Rows of a task.
        const TASK: usize = 64;
        let dims = self.dims;
        let mut shifted = vec![0.0; rows.len()];
        let mut unit = vec![0.0; rows.len()];
        let parts: Vec<(Sums, Vec<bool>)> = (shifted.par_chunks_mut(TASK * dims))
            .zip(unit.par_chunks_mut(TASK * dims))
            .zip(rows.par_chunks(TASK * dims))
            .map(|((shifted, unit), rows)| self.prepare(rows, shifted, unit))
            .collect();
        let mut zero = Vec::with_capacity(rows.len() / dims);
        for (sums, zero_rows) in parts {
            self.sums.add(&sums);
            zero.extend(zero_rows);
        }
        self.rows += zero.len();
        self.zero_rows += zero.iter().filter(|zero| **zero).count();
        add_gram(&mut self.scatter, &shifted, dims);
        add_gram(&mut self.unit_gram, &unit, dims);
        let rows = shifted
            .chunks_exact(dims)
            .zip(unit.chunks_exact(dims))
            .zip(zero);
        for (((row, unit), zero), label) in rows.zip(labels) {
            let class = self
                .classes
                .entry(*label)
                .or_insert_with(|| Class::new(dims));
            class.add(row, unit, zero);
        }
    }

    /// The rows less the origin, the unit rows, the sums of both, and which rows are zero.
    fn prepare(&self, rows: &[f64], shifted: &mut [f64], unit: &mut [f64]) -> (Sums, Vec<bool>) {
        let mut sums = Sums::new(self.dims);
        let mut zero = Vec::new();
        let chunks = (rows.chunks_exact(self.dims))
            .zip(shifted.chunks_exact_mut(self.dims))
            .zip(unit.chunks_exact_mut(self.dims));
        for ((row, shifted), unit) in chunks {
            zero.push(normalize(row, unit));
            let raw = shifted
                .iter_mut()
                .zip(row)
                .zip(sums.rows.iter_mut().zip(&self.origin));
            for ((shifted, x), (sum, origin)) in raw {
                *shifted = x - origin;
                *sum += *shifted;
            }
            let squares = sums.unit.iter_mut().zip(&mut sums.unit_squares);
            for ((x, origin), (sum, square)) in unit.iter().zip(&self.unit_origin).zip(squares) {
                let x = x - origin;
                *sum += x;
                *square += x * x;
            }
        }
        (sums, zero)
    }

    pub(super) fn summary(mut self) -> Result<Summary, DiagnosticsError> {
        let (dims, rows) = (self.dims, self.rows);
        let count = rows as f64;
        // From about the origin to about the mean.
        let shift: Vec<f64> = self.sums.rows.iter().map(|sum| sum / count).collect();
        add_outer(&mut self.scatter, -count, &shift);
        let scatter = self.scatter;
        let mean: Vec<f64> = self.origin.iter().zip(&shift).map(|(a, b)| a + b).collect();
        let mut gram = scatter.clone();
        add_outer(&mut gram, count, &mean);

        let rank = rows.min(dims);
        let (raw_values, (unit_values, centred_values)) = rayon::join(
            || spectrum::from_gram(&gram, rank),
            || {
                rayon::join(
                    || spectrum::from_gram(&self.unit_gram, rank),
                    || spectrum::from_gram(&scatter, rank),
                )
            },
        );
        let diagonal =
            |matrix: &Mat<f64>| -> Vec<f64> { (0..dims).map(|j| matrix[(j, j)]).collect() };
        let raw_squares = diagonal(&gram);
        let mut std = Vec::new();
        let mut unit_std = Vec::new();
        if rows > 1 {
            std = dimensions::from_squares(rows, &diagonal(&scatter), &raw_squares);
            let centred: Vec<f64> = (self.sums.unit_squares.iter().zip(&self.sums.unit))
                .map(|(square, sum)| square - sum * sum / count)
                .collect();
            unit_std = dimensions::from_squares(rows, &centred, &diagonal(&self.unit_gram));
        }
        let unit_square_of_sum = (self.sums.unit.iter().zip(&self.unit_origin))
            .map(|(sum, origin)| (sum + count * origin).powi(2))
            .sum();
        let mean_abs_correlation = dimensions::mean_abs_correlation_of(&scatter, &std);
        let labels =
            (!self.classes.is_empty()).then(|| label_figures(self.classes, scatter, &shift, rows));
        Ok(Summary {
            rows,
            dims,
            singular_values: raw_values?,
            unit_singular_values: unit_values?,
            centred_singular_values: centred_values?,
            resolution: spectrum::GRAM_RESOLUTION,
            mean_square: raw_squares.iter().sum::<f64>() / (count * dims as f64),
            mean_abs_correlation,
            means: mean,
            std,
            unit_std,
            unit_square_of_sum,
            zero_rows: self.zero_rows,
            labels,
        })
    }
}

fn label_figures(
    mut classes: Classes,
    scatter: Mat<f64>,
    shift: &[f64],
    rows: usize,
) -> LabelFigures {
    for class in classes.values_mut() {
        for (sum, shift) in class.sum.iter_mut().zip(shift) {
            *sum -= class.count as f64 * shift;
        }
    }
    let distances = classes.values().map(Class::squared_distances).sum();
    let within = &scatter - between_scatter(&classes, shift.len());
    LabelFigures {
        classes: classes.len(),
        alignment: alignment(&classes, distances),
        lidar: lidar(&classes, within, rows),
    }
}

/// Adds `rows^T rows` to a lower triangle.
fn add_gram(lower: &mut Mat<f64>, rows: &[f64], dims: usize) {
    let rows = MatRef::from_row_major_slice(rows, rows.len() / dims, dims);
    triangular::matmul(
        lower,
        BlockStructure::TriangularLower,
        Accum::Add,
        rows.transpose(),
        BlockStructure::Rectangular,
        rows,
        BlockStructure::Rectangular,
        1.0,
        super::parts(),
    );
}

/// Adds `factor v v^T` to a lower triangle.
fn add_outer(lower: &mut Mat<f64>, factor: f64, vector: &[f64]) {
    for (j, y) in vector.iter().enumerate() {
        for (i, x) in vector.iter().enumerate().skip(j) {
            lower[(i, j)] += factor * x * y;
        }
    }
}
