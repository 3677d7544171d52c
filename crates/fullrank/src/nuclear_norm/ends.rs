//! The two ends of the spectrum of a Gram matrix.

use faer::linalg::matmul::triangular::{self, BlockStructure};
use faer::linalg::triangular_solve;
use faer::{Accum, Mat, Par};

use super::lanczos::{Ritz, dot, largest_eigenpairs, subtract, unit};
use crate::host_symmetric::{Scalar, cholesky};

/// The two ends of the spectrum of a positive definite matrix.
#[derive(Clone, Debug)]
pub(super) struct Ends {
    /// A close lower bound of the eigenvalues but for those that stand out.
    pub(super) least: f64,
    /// A close upper bound of the eigenvalues.
    pub(super) greatest: f64,
    /// The smallest eigenvalues, with their vectors, where they are below a share of the greatest and
    /// known well.
    pub(super) standing_out: Vec<(f64, Vec<f64>)>,
}

impl Ends {
    /// From a few steps of Lanczos' method with the matrix and with its inverse; [`None`] if it is not
    /// positive definite in this precision. Eigenvalues below `share` of the greatest may stand out.
    pub(super) fn of<T: Scalar>(lower: &Mat<T>, share: f64) -> Option<Self> {
        /// From this size on a second thread helps the factorisation.
        const PARALLEL: usize = 1024;
        /// The residual, relative to the value, of an eigenpair known well.
        const CONVERGED: f64 = 1e-4;
        /// How far above the eigenvalues that stand out the others must be.
        const WORTH_IT: f64 = 10.0;
        let size = lower.nrows();
        // Where they cost nothing, more.
        let steps = 4 + 256 / size;
        let par = if size < PARALLEL {
            Par::Seq
        } else {
            Par::rayon(0)
        };
        let factor = cholesky(lower.clone(), par)?;
        let (l, l_transposed) = (factor.as_ref(), factor.transpose());

        let product = |x: &[f64]| {
            let mut half = Mat::zeros(size, 1);
            let mut whole = Mat::zeros(size, 1);
            let vector = Mat::from_fn(size, 1, |i, _| T::from_f64(x[i]));
            triangular::matmul(
                &mut half,
                BlockStructure::Rectangular,
                Accum::Replace,
                l_transposed,
                BlockStructure::TriangularUpper,
                &vector,
                BlockStructure::Rectangular,
                T::from_f64(1.0),
                Par::Seq,
            );
            triangular::matmul(
                &mut whole,
                BlockStructure::Rectangular,
                Accum::Replace,
                l,
                BlockStructure::TriangularLower,
                &half,
                BlockStructure::Rectangular,
                T::from_f64(1.0),
                Par::Seq,
            );
            numbers(&whole)
        };
        let solution = |x: &[f64]| {
            let mut vector = Mat::from_fn(size, 1, |i, _| T::from_f64(x[i]));
            triangular_solve::solve_lower_triangular_in_place(l, vector.as_mut(), Par::Seq);
            triangular_solve::solve_upper_triangular_in_place(
                l_transposed,
                vector.as_mut(),
                Par::Seq,
            );
            numbers(&vector)
        };
        let greatest = largest_eigenpairs(size, steps, 0, &product)?[0].bound();
        // For their vectors the pairs must have converged.
        let more = if share > 0.0 { 4 } else { 1 };
        let pairs = largest_eigenpairs(size, steps + more, 0, &solution)?;
        let stands_out = |pair: &&Ritz| {
            pair.residual <= CONVERGED * pair.value && 1.0 < share * greatest * pair.value
        };
        // One more solution takes what is left of the large eigenvalues out of the vectors.
        let mut standing_out: Vec<(f64, Vec<f64>)> = Vec::new();
        for pair in pairs.iter().take_while(stands_out) {
            let Some(vector) = orthonormal(solution(&pair.vector), &standing_out) else {
                break;
            };
            let eigenvalue = dot(&vector, &product(&vector));
            standing_out.push((eigenvalue, vector));
        }
        let mut least = pairs[0].bound().recip();
        if !standing_out.is_empty() {
            // Of an eigenvalue that is there several times, one start sees one copy.
            let rest = |x: &[f64]| {
                let x = without(x.to_vec(), &standing_out);
                without(solution(&x), &standing_out)
            };
            let rest = largest_eigenpairs(size, steps, 1, rest)?[0].bound().recip();
            if rest > WORTH_IT * least {
                least = rest;
            } else {
                standing_out.clear();
            }
        }
        Some(Self {
            least,
            greatest,
            standing_out,
        })
    }
}

/// `x` without its parts along orthonormal vectors.
fn without(mut x: Vec<f64>, vectors: &[(f64, Vec<f64>)]) -> Vec<f64> {
    for (_, vector) in vectors {
        let along = dot(&x, vector);
        subtract(&mut x, along, vector);
    }
    x
}

/// The same, of norm 1; [`None`] if nothing is left.
fn orthonormal(x: Vec<f64>, vectors: &[(f64, Vec<f64>)]) -> Option<Vec<f64>> {
    unit(without(without(x, vectors), vectors))
}

fn numbers<T: Scalar>(column: &Mat<T>) -> Vec<f64> {
    column.col(0).iter().map(|&x| x.into()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_of_a_spectrum() {
        let matrix = Mat::from_fn(90, 90, |i, j| {
            let diagonal = if i == j { 2.0 + i as f64 } else { 0.0 };
            diagonal + 1.0 / (1.0 + i.abs_diff(j) as f64)
        });
        let exact = matrix.self_adjoint_eigenvalues(faer::Side::Lower).unwrap();
        let ends = Ends::of(&matrix, 0.0).unwrap();
        assert!((0.7..=1.0 + 1e-12).contains(&(ends.least / exact[0])));
        assert!((1.0 - 1e-12..=1.3).contains(&(ends.greatest / exact[89])));
        let single = Mat::from_fn(90, 90, |i, j| matrix[(i, j)] as f32);
        let ends = Ends::of(&single, 0.0).unwrap();
        assert!((0.7..=1.0 + 1e-5).contains(&(ends.least / exact[0])));
    }

    #[test]
    fn an_indefinite_matrix_has_none() {
        let matrix = Mat::from_fn(3, 3, |i, j| if i == j { 1.0 } else { -2.0 });
        assert!(Ends::of(&matrix, 0.0).is_none());
    }
}
