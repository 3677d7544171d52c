//! The two ends of the spectrum of a Gram matrix.

use faer::{Mat, Par};

use super::lanczos::largest_eigenpairs;
use crate::host::cholesky::{cholesky, solve_vector};
use crate::host::symmetric::{Scalar, mirrored, parts, times_vector};

/// The two ends of the spectrum of a positive definite matrix.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ends {
    /// A close lower bound of the eigenvalues.
    pub(super) least: f64,
    /// A close upper bound of the eigenvalues.
    pub(super) greatest: f64,
}

impl Ends {
    /// The least by the greatest.
    pub(super) fn ratio(&self) -> f64 {
        (self.least / self.greatest).min(1.0)
    }

    /// From a few steps of Lanczos' method with the matrix and with its inverse; [`None`] if it is not
    /// positive definite in this precision.
    pub(super) fn of<T: Scalar>(lower: &Mat<T>) -> Option<Self> {
        let below = || least(&mirrored(cholesky(lower.clone(), Par::Seq)?));
        let above = || greatest(lower);
        let (least, greatest) = match parts(lower.nrows().pow(3) / 6) {
            Par::Seq => (below(), above()),
            _ => rayon::join(below, above),
        };
        Some(Self {
            least: least?,
            greatest: greatest?,
        })
    }
}

/// A close upper bound of the eigenvalues of the symmetric matrix with this lower triangle.
fn greatest<T: Scalar>(lower: &Mat<T>) -> Option<f64> {
    let size = lower.nrows();
    let whole = mirrored(lower.clone());
    let product = |x: &[f64]| numbers(&times_vector(&whole, &entries(x)));
    Some(largest_eigenpairs(size, steps(size), 0, product)?[0].safe_bound())
}

/// A close lower bound of the eigenvalues of the matrix of this Cholesky factor, mirrored.
fn least<T: Scalar>(factor: &Mat<T>) -> Option<f64> {
    let size = factor.nrows();
    let solution = |x: &[f64]| {
        let mut x = entries(x);
        solve_vector(factor, &mut x);
        numbers(&x)
    };
    let pairs = largest_eigenpairs(size, steps(size), 1, solution)?;
    Some(pairs[0].bound().recip())
}

/// A few, and more where they cost nothing.
fn steps(size: usize) -> usize {
    5 + 256 / size
}

fn entries<T: Scalar>(x: &[f64]) -> Vec<T> {
    x.iter().map(|&x| T::from_f64(x)).collect()
}

fn numbers<T: Scalar>(x: &[T]) -> Vec<f64> {
    x.iter().map(|&x| x.into()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix() -> Mat<f64> {
        Mat::from_fn(90, 90, |i, j| {
            let diagonal = if i == j { 2.0 + i as f64 } else { 0.0 };
            diagonal + 1.0 / (1.0 + i.abs_diff(j) as f64)
        })
    }

    #[test]
    fn ends_of_a_spectrum() {
        let matrix = matrix();
        let exact = matrix.self_adjoint_eigenvalues(faer::Side::Lower).unwrap();
        let ends = Ends::of(&matrix).unwrap();
        assert!((0.7..=1.0 + 1e-12).contains(&(ends.least / exact[0])));
        assert!((1.0..=1.3).contains(&(ends.greatest / exact[89])));
        let single = Mat::from_fn(90, 90, |i, j| matrix[(i, j)] as f32);
        let ends = Ends::of(&single).unwrap();
        assert!((0.7..=1.0 + 1e-5).contains(&(ends.least / exact[0])));
    }

    #[test]
    fn an_indefinite_matrix_has_none() {
        let matrix = Mat::from_fn(3, 3, |i, j| if i == j { 1.0 } else { -2.0 });
        assert!(Ends::of(&matrix).is_none());
    }
}
