//! Cholesky factors of positive definite matrices on the host, solutions and inverses by them.

use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::cholesky::llt;
use faer::linalg::matmul::triangular::{self, BlockStructure};
use faer::linalg::triangular_inverse::invert_lower_triangular;
use faer::{Accum, Mat, Par};

use crate::host::symmetric::{Scalar, contiguous, dot};

/// The Cholesky factor of the positive definite matrix with this lower triangle; the upper triangle
/// of the result means nothing. [`None`] if it is not positive definite in this precision.
pub(crate) fn cholesky<T: Scalar>(mut lower: Mat<T>, par: Par) -> Option<Mat<T>> {
    let size = lower.nrows();
    let scratch = llt::factor::cholesky_in_place_scratch::<T>(size, par, Default::default());
    llt::factor::cholesky_in_place(
        lower.as_mut(),
        Default::default(),
        par,
        MemStack::new(&mut MemBuffer::new(scratch)),
        Default::default(),
    )
    .ok()?;
    Some(lower)
}

/// The lower triangle of the inverse, likewise.
pub(crate) fn inverse<T: Scalar>(lower: Mat<T>, par: Par) -> Option<Mat<T>> {
    let size = lower.nrows();
    let mut factor = cholesky(lower, par)?;
    let mut root = Mat::zeros(size, size);
    invert_lower_triangular(root.as_mut(), factor.as_ref(), par);
    // The factor's place is free again.
    triangular::matmul(
        factor.as_mut(),
        BlockStructure::TriangularLower,
        Accum::Replace,
        root.transpose(),
        BlockStructure::TriangularUpper,
        root.as_ref(),
        BlockStructure::TriangularLower,
        T::from_f64(1.0),
        par,
    );
    Some(factor)
}

/// Solves `L L^T x = b` in place, for `L` [mirrored](crate::host::symmetric::mirrored): both ways go along
/// columns.
pub(crate) fn solve_vector<T: Scalar>(factor: &Mat<T>, x: &mut [T]) {
    let size = x.len();
    for j in 0..size {
        let along = dot(&contiguous(factor, j)[..j], &x[..j]);
        x[j] = (x[j] - along) / factor[(j, j)];
    }
    for j in (0..size).rev() {
        let along = dot(&contiguous(factor, j)[j + 1..], &x[j + 1..]);
        x[j] = (x[j] - along) / factor[(j, j)];
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::symmetric::mirrored;
    use crate::host::symmetric::tests::positive_definite;

    #[test]
    fn inverse_of_a_positive_definite_matrix() {
        let matrix = positive_definite(70);
        let inverse = inverse(matrix.clone(), Par::Seq).unwrap();
        let inverse = mirrored(inverse);
        let error = (&matrix * &inverse - Mat::<f64>::identity(70, 70)).norm_max();
        assert!(error < 1e-13, "{error}");
    }

    #[test]
    fn an_indefinite_matrix_has_none() {
        let matrix = Mat::from_fn(3, 3, |i, j| if i == j { 1.0 } else { -2.0 });
        assert!(inverse::<f64>(matrix.clone(), Par::Seq).is_none());
    }

    #[test]
    fn solution_of_a_system() {
        let matrix = positive_definite(45);
        let exact: Vec<f64> = (0..45).map(|i| (i as f64).cos()).collect();
        let mut x: Vec<f64> = (0..45)
            .map(|i| (0..45).map(|j| matrix[(i, j)] * exact[j]).sum())
            .collect();
        solve_vector(&mirrored(cholesky(matrix, Par::Seq).unwrap()), &mut x);
        for (x, exact) in x.into_iter().zip(exact) {
            approx::assert_relative_eq!(x, exact, epsilon = 1e-13);
        }
    }
}
