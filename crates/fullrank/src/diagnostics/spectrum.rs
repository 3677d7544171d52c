//! Singular values on the host, and the figures that are functions of a spectrum alone.

use faer::diag::Diag;
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::matmul::triangular::{self, BlockStructure};
use faer::linalg::{evd, svd};
use faer::{Accum, Mat, MatRef, Par};

use super::DiagnosticsError;
use crate::statistics::entropy_rank;

/// The singular values, descending.
///
/// By one thread: the bidiagonalization sums over the threads it has, and the figures must not
/// depend on their number. Callers decompose several matrices side by side.
pub(super) fn singular_values(matrix: MatRef<'_, f64>) -> Result<Vec<f64>, DiagnosticsError> {
    let (rows, columns) = matrix.shape();
    let mut values = Diag::zeros(rows.min(columns));
    let no = svd::ComputeSvdVectors::No;
    let scratch = svd::svd_scratch::<f64>(rows, columns, no, no, Par::Seq, Default::default());
    svd::svd(
        matrix,
        values.as_mut(),
        None,
        None,
        Par::Seq,
        MemStack::new(&mut MemBuffer::new(scratch)),
        Default::default(),
    )
    .map_err(|_| DiagnosticsError::NoConvergence)?;
    Ok(values.column_vector().iter().copied().collect())
}

/// The eigenvalues of the symmetric matrix with this lower triangle, descending, by one thread.
pub(super) fn eigenvalues(lower: MatRef<'_, f64>) -> Result<Vec<f64>, DiagnosticsError> {
    let size = lower.nrows();
    let mut values = Diag::zeros(size);
    let no = evd::ComputeEigenvectors::No;
    let scratch = evd::self_adjoint_evd_scratch::<f64>(size, no, Par::Seq, Default::default());
    evd::self_adjoint_evd(
        lower,
        values.as_mut(),
        None,
        Par::Seq,
        MemStack::new(&mut MemBuffer::new(scratch)),
        Default::default(),
    )
    .map_err(|_| DiagnosticsError::NoConvergence)?;
    let mut values: Vec<f64> = values.column_vector().iter().copied().collect();
    values.sort_unstable_by(|a, b| b.total_cmp(a));
    Ok(values)
}

/// Relative to the largest, the singular values that a Gram matrix still tells from zero: its own
/// rounding is some units of 1e-16, and they are its roots.
pub(super) const GRAM_RESOLUTION: f64 = 1e-7;

/// The first `count` singular values of a matrix from the lower triangle of its Gram matrix,
/// descending; those below [`GRAM_RESOLUTION`] of the largest are zero.
pub(super) fn from_gram(lower: &Mat<f64>, count: usize) -> Result<Vec<f64>, DiagnosticsError> {
    let mut values = eigenvalues(lower.as_ref())?;
    values.truncate(count);
    let floor = values
        .first()
        .map_or(0.0, |largest| largest * GRAM_RESOLUTION.powi(2));
    let root = |value: f64| if value > floor { value.sqrt() } else { 0.0 };
    Ok(values.into_iter().map(root).collect())
}

/// The singular values of a matrix with fewer rows than columns, descending, from the Gram matrix
/// of its rows; those below [`GRAM_RESOLUTION`] of the largest are zero.
pub(super) fn from_row_gram(matrix: MatRef<'_, f64>) -> Result<Vec<f64>, DiagnosticsError> {
    /// Columns multiplied at once.
    const BLOCK: usize = 2048;
    let (rows, columns) = matrix.shape();
    let largest = (0..rows)
        .flat_map(|i| (0..columns).map(move |j| matrix[(i, j)]))
        .fold(0.0f64, |largest, x| largest.max(x.abs()));
    if largest == 0.0 {
        return Ok(vec![0.0; rows.min(columns)]);
    }
    // A power of two: nothing is rounded, and no square leaves the range of f64.
    let scale = largest.log2().floor().exp2();
    let mut lower = Mat::zeros(rows, rows);
    for start in (0..columns).step_by(BLOCK) {
        let block = matrix.subcols(start, BLOCK.min(columns - start));
        let block = Mat::from_fn(rows, block.ncols(), |i, j| block[(i, j)] / scale);
        triangular::matmul(
            &mut lower,
            BlockStructure::TriangularLower,
            Accum::Add,
            block.as_ref(),
            BlockStructure::Rectangular,
            block.as_ref().transpose(),
            BlockStructure::Rectangular,
            1.0,
            super::parts(),
        );
    }
    let values = from_gram(&lower, rows.min(columns))?;
    Ok(values.into_iter().map(|value| value * scale).collect())
}

/// Roy & Vetterli's effective rank; 0 if all singular values are zero.
pub(super) fn effective_rank(singular_values: &[f64]) -> f64 {
    entropy_rank(singular_values, 0.0)
}

/// The entropy of the shares of the first `r` squares in their sum, divided by `log r`: 0 if all are zero, 1 for a
/// single one that is not.
pub(super) fn spectral_entropy(singular_values: &[f64], r: usize) -> f64 {
    let values = &singular_values[..r.min(singular_values.len())];
    match values {
        [] | [0.0, ..] => 0.0,
        [_] => 1.0,
        [largest, ..] => {
            // Relative to the largest, that no power leaves the range of f64.
            let squares: Vec<f64> = values.iter().map(|s| (s / largest).powi(2)).collect();
            entropy_rank(&squares, 0.0).ln() / (values.len() as f64).ln()
        }
    }
}

/// `(sum s^2)^2 / sum s^4`; 0 if all singular values are zero.
pub(super) fn participation_ratio(singular_values: &[f64]) -> f64 {
    let largest = singular_values.first().copied().unwrap_or(0.0);
    if largest == 0.0 {
        return 0.0;
    }
    // Relative to the largest, that no power leaves the range of f64.
    let shares = || singular_values.iter().map(|s| (s / largest).powi(2));
    shares().sum::<f64>().powi(2) / shares().map(|share| share * share).sum::<f64>()
}

/// How many singular values exceed `tolerance` times the largest.
pub(super) fn rank(singular_values: &[f64], tolerance: f64) -> usize {
    let limit = tolerance * singular_values.first().copied().unwrap_or(0.0);
    singular_values.iter().filter(|s| **s > limit).count()
}

/// The decay of the eigenvalues `s_i^2` with their index: see [`Diagnostics::alpha_req`].
///
/// [`Diagnostics::alpha_req`]: super::Diagnostics::alpha_req
pub(super) fn alpha_req(singular_values: &[f64], rank: usize) -> Option<f64> {
    const FIRST: usize = 5;
    const LAST: usize = 100;
    const LEAST_POINTS: usize = 5;
    let last = rank.min(LAST);
    if last + 1 < FIRST + LEAST_POINTS {
        return None;
    }
    let points: Vec<[f64; 3]> = (FIRST..=last)
        .map(|i| {
            [
                1.0 / i as f64,
                (i as f64).ln(),
                2.0 * singular_values[i - 1].ln(),
            ]
        })
        .collect();
    let weights: f64 = points.iter().map(|[w, ..]| w).sum();
    let mean = |k: usize| points.iter().map(|point| point[0] * point[k]).sum::<f64>() / weights;
    let (x_mean, y_mean) = (mean(1), mean(2));
    let (mut xy, mut xx) = (0.0, 0.0);
    for [w, x, y] in points {
        xy += w * (x - x_mean) * (y - y_mean);
        xx += w * (x - x_mean).powi(2);
    }
    Some(-xy / xx)
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;

    #[test]
    fn ranks_of_known_spectra() {
        assert_relative_eq!(effective_rank(&[3.0; 4]), 4.0, max_relative = 1e-14);
        assert_eq!(effective_rank(&[7.0, 0.0, 0.0]), 1.0);
        assert_eq!(effective_rank(&[0.0, 0.0]), 0.0);
        assert_relative_eq!(spectral_entropy(&[3.0; 4], 4), 1.0, max_relative = 1e-14);
        // Of the shares 4/5 and 1/5, and of four values of which two are there.
        let entropy = -(0.8f64 * 0.8f64.ln() + 0.2 * 0.2f64.ln());
        let values = [2e200, 1e200, 0.0, 0.0];
        assert_relative_eq!(
            spectral_entropy(&values, 4),
            entropy / 4f64.ln(),
            max_relative = 1e-12
        );
        assert_eq!(spectral_entropy(&[7.0, 0.0, 0.0], 3), 0.0);
        assert_eq!(spectral_entropy(&[0.0, 0.0], 2), 0.0);
        assert_eq!(spectral_entropy(&[5.0, 0.0], 1), 1.0);
        assert_eq!(participation_ratio(&[2.0, 2.0, 0.0]), 2.0);
        assert_eq!(participation_ratio(&[0.0]), 0.0);
        // Eigenvalues 4 and 1: 25 / 17.
        assert_relative_eq!(
            participation_ratio(&[2e100, 1e100]),
            25.0 / 17.0,
            max_relative = 1e-14
        );
        assert_eq!(rank(&[1.0, 1e-3, 1e-5], 1e-4), 2);
        assert_eq!(rank(&[0.0, 0.0], 1e-4), 0);
    }

    #[test]
    fn a_power_law_has_its_exponent() {
        let values: Vec<f64> = (1..=60).map(|i| f64::from(i).powf(-0.6)).collect();
        assert_relative_eq!(alpha_req(&values, 60).unwrap(), 1.2, max_relative = 1e-12);
        assert!(alpha_req(&values, 9).is_some());
        assert_eq!(alpha_req(&values, 8), None);
    }

    #[test]
    fn all_ways_to_the_singular_values() {
        let matrix = Mat::from_fn(9, 4, |i, j| ((1 + 3 * i + j * j + i * i * j) as f64).sin());
        let values = singular_values(matrix.as_ref()).unwrap();
        let gram = matrix.transpose() * &matrix;
        for (a, b) in values.iter().zip(from_gram(&gram, 4).unwrap()) {
            assert_relative_eq!(*a, b, max_relative = 1e-12);
        }
        assert_eq!(from_gram(&Mat::zeros(3, 3), 2).unwrap(), [0.0, 0.0]);
        for scale in [1.0, 1e-200, 1e130] {
            let scaled = Mat::from_fn(4, 9, |i, j| scale * matrix[(j, i)]);
            let by_rows = from_row_gram(scaled.as_ref()).unwrap();
            assert_eq!(by_rows.len(), 4);
            for (a, b) in values.iter().zip(by_rows) {
                assert_relative_eq!(*a, b / scale, max_relative = 1e-12);
            }
        }
        let zeros = Mat::<f64>::zeros(2, 3);
        assert_eq!(from_row_gram(zeros.as_ref()).unwrap(), [0.0, 0.0]);
    }
}
