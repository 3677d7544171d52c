//! Symmetric matrices on the host, of which faer computes the lower triangle.

use burn::tensor::Element;
use faer::diag::Diag;
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::evd::{self, ComputeEigenvectors};
use faer::linalg::matmul::triangular::{self, BlockStructure};
use faer::prelude::ReborrowMut;
use faer::traits::RealField;
use faer::{Accum, ColMut, ColRef, Mat, MatMut, MatRef, Par};
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

/// The parts that work is divided into for so many multiplications: below some millions, waking another
/// thread takes longer than it helps.
///
/// Where faer divides a matrix, its sums have another order. So the parts are always as many, whatever
/// the number of threads that take them: same input, same bits.
pub(crate) fn parts(multiplications: usize) -> Par {
    const ENOUGH: usize = 10_000_000;
    if multiplications < ENOUGH {
        Par::Seq
    } else {
        Par::rayon(PARTS)
    }
}

/// As many threads are of use to one product or factorization.
const PARTS: usize = 8;

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
pub(crate) fn lower_dots<T: Scalar, S: Scalar>(a: &Mat<T>, b: &Mat<S>) -> (f64, f64) {
    let column = |j: usize| {
        let (a, b) = (&contiguous(a, j)[j..], &contiguous(b, j)[j..]);
        [precise_dot(&a[1..], &b[1..]), a[0].into() * b[0].into()]
    };
    let columns: Vec<[f64; 2]> = match parts(a.ncols() * a.ncols()) {
        Par::Seq => (0..a.ncols()).map(column).collect(),
        _ => (0..a.ncols()).into_par_iter().map(column).collect(),
    };
    let total = |part: usize| columns.iter().map(|column| column[part]).sum();
    (total(0), total(1))
}

/// Sums side by side, that no addition waits for the one before.
const LANES: usize = 16;

/// `<a, b>`, in f64.
pub(crate) fn precise_dot<T: Scalar, S: Scalar>(a: &[T], b: &[S]) -> f64 {
    let mut sums = [0.0; LANES];
    let (a, a_rest) = a.as_chunks::<LANES>();
    let (b, b_rest) = b.as_chunks::<LANES>();
    for (a, b) in a.iter().zip(b) {
        for ((sum, &a), &b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a.into() * b.into();
        }
    }
    let rest = a_rest
        .iter()
        .zip(b_rest)
        .map(|(&a, &b)| a.into() * b.into());
    sums.into_iter().chain(rest).sum()
}

/// `<a, b>`, in the precision of the vectors.
pub(crate) fn dot<T: Scalar>(a: &[T], b: &[T]) -> T {
    let mut sums = [T::from_f64(0.0); LANES];
    let (a, a_rest) = a.as_chunks::<LANES>();
    let (b, b_rest) = b.as_chunks::<LANES>();
    for (a, b) in a.iter().zip(b) {
        for ((sum, &a), &b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
    let rest = a_rest.iter().zip(b_rest).map(|(&a, &b)| a * b);
    sums.into_iter()
        .chain(rest)
        .fold(T::from_f64(0.0), |sum, x| sum + x)
}

/// Adds `factor` times `vector`.
pub(crate) fn add_scaled<T: Scalar>(to: &mut [T], factor: T, vector: &[T]) {
    for (to, &x) in to.iter_mut().zip(vector) {
        *to += factor * x;
    }
}

/// The product of a whole symmetric matrix with a vector.
pub(crate) fn times_vector<T: Scalar>(matrix: &Mat<T>, x: &[T]) -> Vec<T> {
    let rows = 0..x.len();
    rows.map(|j| dot(contiguous(matrix, j), x)).collect()
}

/// `<A, B>` of two symmetric matrices from their lower triangles, in f64.
pub(crate) fn symmetric_dot<T: Scalar, S: Scalar>(a: &Mat<T>, b: &Mat<S>) -> f64 {
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
    slice(matrix.col(j))
}

/// A column of a matrix with contiguous columns.
pub(crate) fn slice<T>(column: ColRef<'_, T>) -> &[T] {
    let column = column.try_as_col_major();
    column.expect("owned matrices are column-major").as_slice()
}

/// A column of an owned matrix as a slice.
pub(crate) fn contiguous_mut<T>(column: ColMut<'_, T>) -> &mut [T] {
    let column = column.try_as_col_major_mut();
    column
        .expect("owned matrices are column-major")
        .as_slice_mut()
}

/// The whole symmetric matrix of a lower triangle.
pub(crate) fn mirrored<T: Scalar>(mut lower: Mat<T>) -> Mat<T> {
    mirror(lower.as_mut());
    lower
}

fn mirror<T: Scalar>(matrix: MatMut<'_, T>) {
    /// Large enough for another thread.
    const PARALLEL: usize = 384;
    let size = matrix.nrows();
    if size < 2 {
        return;
    }
    if size <= TILE {
        mirror_tile(matrix);
        return;
    }
    let half = (size / 2).next_multiple_of(TILE);
    let (first, right, below, second) = matrix.split_at_mut(half, half);
    if size < PARALLEL {
        transpose(below.as_ref(), right);
        mirror(first);
        mirror(second);
    } else {
        let (left, middle) = right.split_at_col_mut((size - half) / 2);
        let (upper, lower) = below.as_ref().split_at_row((size - half) / 2);
        rayon::join(
            || {
                transpose(upper, left);
                mirror(first);
            },
            || {
                transpose(lower, middle);
                mirror(second);
            },
        );
    }
}

/// Small enough that a tile and its mirror image stay in the first cache.
const TILE: usize = 16;

fn mirror_tile<T: Scalar>(mut matrix: MatMut<'_, T>) {
    for j in 0..matrix.ncols() {
        for i in j + 1..matrix.nrows() {
            matrix[(j, i)] = matrix[(i, j)];
        }
    }
}

/// Tile by tile: a column of the one is a row of the other.
fn transpose<T: Scalar>(from: MatRef<'_, T>, mut to: MatMut<'_, T>) {
    let (rows, columns) = from.shape();
    for left in (0..columns).step_by(TILE) {
        for top in (0..rows).step_by(TILE) {
            let (width, height) = (TILE.min(columns - left), TILE.min(rows - top));
            let mut tile = [[T::from_f64(0.0); TILE]; TILE];
            for (j, tile) in tile[..width].iter_mut().enumerate() {
                let column = slice(from.col(left + j));
                tile[..height].copy_from_slice(&column[top..top + height]);
            }
            for i in 0..height {
                let column = contiguous_mut(to.rb_mut().col_mut(top + i));
                for (to, tile) in column[left..left + width].iter_mut().zip(&tile) {
                    *to = tile[i];
                }
            }
        }
    }
}

/// The eigenvalues of a small symmetric matrix, by rising value, and their vectors, one a column.
/// [`None`] if they cannot be found, as when an entry is not finite.
pub(crate) fn eigenpairs(lower: &Mat<f64>) -> Option<(Vec<f64>, Mat<f64>)> {
    let (size, par) = (lower.nrows(), Par::Seq);
    let mut values = Diag::<f64>::zeros(size);
    let mut vectors = Mat::zeros(size, size);
    let scratch = evd::self_adjoint_evd_scratch::<f64>(
        size,
        ComputeEigenvectors::Yes,
        par,
        Default::default(),
    );
    evd::self_adjoint_evd(
        lower.as_ref(),
        values.as_mut(),
        Some(vectors.as_mut()),
        par,
        MemStack::new(&mut MemBuffer::new(scratch)),
        Default::default(),
    )
    .ok()?;
    let values: Vec<f64> = values.column_vector().iter().copied().collect();
    values
        .iter()
        .all(|value| value.is_finite())
        .then_some((values, vectors))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn positive_definite(size: usize) -> Mat<f64> {
        Mat::from_fn(size, size, |i, j| {
            let diagonal = if i == j { 2.0 + i as f64 } else { 0.0 };
            diagonal + 1.0 / (1.0 + i.abs_diff(j) as f64)
        })
    }

    #[test]
    fn products_of_commuting_matrices() {
        let matrix = positive_definite(40);
        let square = symmetric_product(matrix.as_ref(), matrix.as_ref(), 0.5, Par::Seq);
        let square = mirrored(square);
        let error = (&square - 0.5 * (&matrix * &matrix)).norm_max();
        assert!(error < 1e-11, "{error}");
    }

    #[test]
    fn a_mirror_image_of_any_size() {
        for size in [1, 2, 15, 16, 17, 33, 100, 513] {
            let lower = Mat::from_fn(size, size, |i, j| {
                if i < j {
                    f64::NAN
                } else {
                    (i * size + j) as f64
                }
            });
            let whole = mirrored(lower.clone());
            for j in 0..size {
                for i in 0..size {
                    assert_eq!(whole[(i, j)], lower[(i.max(j), i.min(j))]);
                }
            }
        }
    }

    #[test]
    fn a_product_with_a_vector() {
        let matrix = positive_definite(53);
        let x: Vec<f64> = (0..53).map(|i| (i as f64).sin()).collect();
        let product = times_vector(&matrix, &x);
        for (i, entry) in product.into_iter().enumerate() {
            let exact: f64 = (0..53).map(|j| matrix[(i, j)] * x[j]).sum();
            approx::assert_relative_eq!(entry, exact, epsilon = 1e-12);
        }
    }

    #[test]
    fn eigenpairs_of_a_symmetric_matrix() {
        let matrix = positive_definite(20);
        let (values, vectors) = eigenpairs(&matrix).unwrap();
        let diagonal = Mat::from_fn(20, 20, |i, j| if i == j { values[i] } else { 0.0 });
        let error = (&matrix * &vectors - &vectors * diagonal).norm_max();
        assert!(error < 1e-12, "{error}");
        assert!(values.is_sorted());
    }
}
