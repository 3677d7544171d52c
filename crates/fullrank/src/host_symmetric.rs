//! Symmetric matrices on the host, of which faer computes the lower triangle.

use burn::tensor::Element;
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::cholesky::llt;
use faer::linalg::matmul::triangular::{self, BlockStructure};
use faer::traits::RealField;
use faer::{Accum, ColMut, Mat, MatRef, Par};
use rayon::prelude::*;

/// The type of a matrix on the host: f32 or f64.
pub(crate) trait Scalar: RealField + Element + Copy + Into<f64> {
    fn from_f64(number: f64) -> Self;
}

impl Scalar for f32 {
    fn from_f64(number: f64) -> Self {
        number as f32
    }
}

impl Scalar for f64 {
    fn from_f64(number: f64) -> Self {
        number
    }
}

/// `scale A B`, known to be symmetric; the lower triangle.
pub(crate) fn symmetric_product<T: Scalar>(
    a: MatRef<'_, T>,
    b: MatRef<'_, T>,
    scale: f64,
    par: Par,
) -> Mat<T> {
    let mut product = Mat::zeros(a.nrows(), b.ncols());
    triangular::matmul(
        &mut product,
        BlockStructure::TriangularLower,
        Accum::Replace,
        a,
        BlockStructure::Rectangular,
        b,
        BlockStructure::Rectangular,
        T::from_f64(scale),
        par,
    );
    product
}

/// `(sum_{i > j} A_ij B_ij, sum_i A_ii B_ii)` of square matrices.
pub(crate) fn lower_dots<T: Scalar>(a: &Mat<T>, b: &Mat<T>) -> (f64, f64) {
    let columns: Vec<[f64; 2]> = (0..a.ncols())
        .into_par_iter()
        .map(|j| {
            let (a, b) = (a.col(j), b.col(j));
            let product = |i: usize| a[i].into() * b[i].into();
            [((j + 1)..a.nrows()).map(product).sum(), product(j)]
        })
        .collect();
    let total = |part: usize| columns.iter().map(|column| column[part]).sum();
    (total(0), total(1))
}

/// `<A, B>` of two symmetric matrices from their lower triangles, in f64.
pub(crate) fn symmetric_dot<T: Scalar>(a: &Mat<T>, b: &Mat<T>) -> f64 {
    let (below, diagonal) = lower_dots(a, b);
    2.0 * below + diagonal
}

pub(crate) fn trace<T: Scalar>(matrix: &Mat<T>) -> f64 {
    (0..matrix.nrows()).map(|j| matrix[(j, j)].into()).sum()
}

/// The matrix in another precision.
pub(crate) fn cast<T: Scalar, S: Scalar>(matrix: &Mat<T>) -> Mat<S> {
    let mut other = Mat::zeros(matrix.nrows(), matrix.ncols());
    (other.par_col_iter_mut().enumerate()).for_each(|(j, column)| {
        let pairs = contiguous_mut(column).iter_mut().zip(contiguous(matrix, j));
        pairs.for_each(|(to, &from)| *to = S::from_f64(from.into()));
    });
    other
}

/// Column `j` as a slice.
pub(crate) fn contiguous<T>(matrix: &Mat<T>, j: usize) -> &[T] {
    let column = matrix.col(j).try_as_col_major();
    column.expect("owned matrices are column-major").as_slice()
}

/// A column of an owned matrix as a slice.
pub(crate) fn contiguous_mut<T>(column: ColMut<'_, T>) -> &mut [T] {
    let column = column.try_as_col_major_mut();
    column
        .expect("owned matrices are column-major")
        .as_slice_mut()
}

/// The whole symmetric matrix of a lower triangle, times `scale`.
pub(crate) fn mirrored<T: Scalar>(mut lower: Mat<T>, scale: f64) -> Mat<T> {
    /// Small enough that a block and its mirror image stay in the first cache.
    const BLOCK: usize = 32;
    let scale = T::from_f64(scale);
    let size = lower.nrows();
    for left in (0..size).step_by(BLOCK) {
        for top in (left..size).step_by(BLOCK) {
            for j in left..(left + BLOCK).min(size) {
                for i in top.max(j)..(top + BLOCK).min(size) {
                    let entry = lower[(i, j)] * scale;
                    lower[(i, j)] = entry;
                    lower[(j, i)] = entry;
                }
            }
        }
    }
    lower
}

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
    let factor = cholesky(lower, par)?;
    let mut inverse = Mat::zeros(size, size);
    let scratch = llt::inverse::inverse_scratch::<T>(size, par);
    llt::inverse::inverse(
        inverse.as_mut(),
        factor.as_ref(),
        par,
        MemStack::new(&mut MemBuffer::new(scratch)),
    );
    Some(inverse)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn positive_definite(size: usize) -> Mat<f64> {
        Mat::from_fn(size, size, |i, j| {
            let diagonal = if i == j { 2.0 + i as f64 } else { 0.0 };
            diagonal + 1.0 / (1.0 + i.abs_diff(j) as f64)
        })
    }

    #[test]
    fn inverse_of_a_positive_definite_matrix() {
        let matrix = positive_definite(70);
        let inverse = inverse(matrix.clone(), Par::Seq).unwrap();
        let inverse = mirrored(inverse, 1.0);
        let error = (&matrix * &inverse - Mat::<f64>::identity(70, 70)).norm_max();
        assert!(error < 1e-13, "{error}");
    }

    #[test]
    fn an_indefinite_matrix_has_none() {
        let matrix = Mat::from_fn(3, 3, |i, j| if i == j { 1.0 } else { -2.0 });
        assert!(inverse::<f64>(matrix.clone(), Par::Seq).is_none());
    }

    #[test]
    fn products_of_commuting_matrices() {
        let matrix = positive_definite(40);
        let square = symmetric_product(matrix.as_ref(), matrix.as_ref(), 0.5, Par::Seq);
        let square = mirrored(square, 1.0);
        let error = (&square - 0.5 * (&matrix * &matrix)).norm_max();
        assert!(error < 1e-11, "{error}");
    }
}
