//! The smoothed nuclear norm on the host, from the smaller Gram matrix.
//!
//! Two products with `Y` that no exact method can avoid, the Gram matrix and `Y Q`, and the inverse root
//! `Q` of the [Gram matrix](gram_root) between them.

mod ends;
mod gram_root;
mod lanczos;
mod zolotarev;

use std::borrow::Cow;

use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatMut, MatRef};
use rayon::prelude::*;

use self::gram_root::{GramRoot, Root};
use crate::host::matrix::{HostMatrix, tall};
use crate::host::memory::keep_freed;
use crate::host::symmetric::{Scalar, cast, parts, precise_dot};

/// The approximation may push a little too hard; not more than this.
const GREATEST_PUSH: f64 = 1.0005;

/// A row-major batch.
pub(super) struct Batch<'a, T: Clone> {
    entries: Cow<'a, [T]>,
    shape: [usize; 2],
}

impl<T: Scalar> Batch<'_, T> {
    /// The batch, transposed if it has more columns than rows.
    pub(super) fn tall(&self) -> MatRef<'_, T> {
        tall(&self.entries, self.shape)
    }

    /// The same in another precision.
    fn cast<S: Scalar>(&self) -> Batch<'static, S> {
        let entries = self.entries.par_iter().map(|&x| S::from_f64(x.into()));
        Batch {
            entries: Cow::Owned(entries.collect()),
            shape: self.shape,
        }
    }
}

/// An input type of the host solver.
pub(super) trait Entry: Scalar {
    /// The inverse root of the Gram matrix of `batch / norm`.
    fn gram_root(batch: &Batch<'_, Self>, norm: f64, delta: f64) -> Option<GramRoot>;

    /// `scale batch root`, of the shape of [`Batch::tall`].
    fn times_root(batch: &Batch<'_, Self>, root: &Root, scale: f64, product: MatMut<'_, Self>);
}

impl Entry for f32 {
    fn gram_root(batch: &Batch<'_, Self>, norm: f64, delta: f64) -> Option<GramRoot> {
        GramRoot::single(batch.tall(), || batch.cast::<f64>(), norm, delta)
    }

    fn times_root(batch: &Batch<'_, Self>, root: &Root, scale: f64, mut product: MatMut<'_, Self>) {
        match root {
            Root::Single(root) => multiply(batch.tall(), root, scale, product),
            Root::Double(root) => {
                let double = batch.cast::<f64>();
                let mut precise = Mat::zeros(product.nrows(), product.ncols());
                multiply(double.tall(), root, scale, precise.as_mut());
                product.copy_from(cast::<f64, f32>(&precise));
            }
        }
    }
}

impl Entry for f64 {
    fn gram_root(batch: &Batch<'_, Self>, norm: f64, delta: f64) -> Option<GramRoot> {
        GramRoot::double(batch.tall(), norm, delta)
    }

    fn times_root(batch: &Batch<'_, Self>, root: &Root, scale: f64, product: MatMut<'_, Self>) {
        match root {
            Root::Single(root) => multiply(batch.tall(), &cast(root), scale, product),
            Root::Double(root) => multiply(batch.tall(), root, scale, product),
        }
    }
}

fn multiply<T: Scalar>(a: MatRef<'_, T>, b: &Mat<T>, scale: f64, product: MatMut<'_, T>) {
    let par = parts(a.nrows() * a.ncols() * b.ncols());
    matmul(product, Accum::Replace, a, b, T::from_f64(scale), par);
}

/// The smoothed nuclear norm of a batch, by the number of singular values, and its gradient.
pub(super) struct Solution<T> {
    /// `N / r`
    pub(super) mean: f64,
    /// `dN/dY`
    pub(super) gradient: Option<HostMatrix<T>>,
}

/// For the row-major matrix `entries`, shape `[batch, dim]`; `delta = smoothing ||Y||_F`.
///
/// [`None`] if its Gram matrix has no Cholesky factor, which takes more rounding than f64 has.
pub(super) fn nuclear_norm<T: Entry>(
    entries: &[T],
    shape: [usize; 2],
    smoothing: f64,
    gradient: bool,
) -> Option<Solution<T>> {
    keep_freed();
    let (exponent, norm, entries) = scaled(entries);
    if norm == 0.0 || !norm.is_finite() {
        // Nothing to spread; or a NaN, which must stay visible.
        let nothing = norm * 0.0;
        return Some(Solution {
            mean: nothing,
            gradient: gradient.then(|| HostMatrix {
                entries: vec![T::from_f64(nothing); entries.len()],
                shape,
            }),
        });
    }
    let matrix = Batch { entries, shape };

    let root = T::gram_root(&matrix, norm, smoothing)?;
    Some(Solution {
        mean: norm * root.nuclear_norm / shape[0].min(shape[1]) as f64 * 2f64.powi(exponent),
        gradient: gradient.then(|| gradient_of(&matrix, norm, smoothing, root)),
    })
}

fn gradient_of<T: Entry>(
    matrix: &Batch<'_, T>,
    norm: f64,
    smoothing: f64,
    root: GramRoot,
) -> HostMatrix<T> {
    let [batch, dim] = matrix.shape;
    let damping = root.damping();
    let root = root.with_its_trace(smoothing);
    let mut entries = vec![T::from_f64(0.0); batch * dim];
    let out = MatMut::from_row_major_slice_mut(&mut entries, batch, dim);
    let out = if batch < dim {
        out.transpose_mut()
    } else {
        out
    };
    T::times_root(matrix, &root, damping / norm, out);
    HostMatrix {
        entries,
        shape: matrix.shape,
    }
}

/// The smoothed nuclear norm of a batch of which only the Gram matrix is at hand.
pub(super) struct OfGram {
    /// `N / r`
    pub(super) mean: f64,
    /// What the batch is multiplied with for `dN/dY`, row-major.
    pub(super) side: Vec<f64>,
    /// Whether that product takes f64.
    pub(super) double: bool,
}

/// Of `gram = Y^T Y`, row-major, for a `Y` of so many rows, at least as many as columns; `single` to the accuracy that
/// the batch in f32 has. Otherwise as [`nuclear_norm`].
pub(super) fn nuclear_norm_of_gram(
    gram: &[f64],
    [rows, dim]: [usize; 2],
    smoothing: f64,
    single: bool,
) -> Option<OfGram> {
    let squares: f64 = (0..dim).map(|j| gram[j * dim + j]).sum();
    let norm = squares.sqrt();
    if norm == 0.0 || !norm.is_finite() {
        return Some(OfGram {
            mean: norm * 0.0,
            side: vec![norm * 0.0; dim * dim],
            double: false,
        });
    }
    let of_unit_norm = Mat::from_fn(dim, dim, |i, j| gram[i * dim + j] / squares);
    let root = match single {
        true => GramRoot::single_of(of_unit_norm, rows, smoothing)?,
        false => GramRoot::double_of(of_unit_norm, smoothing)?,
    };
    let (damping, nuclear_norm) = (root.damping(), root.nuclear_norm);
    let root = root.with_its_trace(smoothing);
    let (double, root) = match root {
        Root::Single(root) => (false, cast::<f32, f64>(&root)),
        Root::Double(root) => (true, root),
    };
    let entry = |k: usize| root[(k / dim, k % dim)] * damping / norm;
    Some(OfGram {
        mean: norm * nuclear_norm / dim as f64,
        side: (0..dim * dim).map(entry).collect(),
        double,
    })
}

/// In f64, the same whatever the number of threads.
fn frobenius_norm<T: Scalar>(entries: &[T]) -> f64 {
    /// Entries of a task.
    const BLOCK: usize = 1 << 15;
    let blocks = entries.par_chunks(BLOCK).with_min_len(2);
    let squares: Vec<f64> = match entries.len() {
        ..=BLOCK => vec![precise_dot(entries, entries)],
        _ => blocks.map(|block| precise_dot(block, block)).collect(),
    };
    squares.into_iter().sum::<f64>().sqrt()
}

/// The entries, their Frobenius norm, and the power of 2 that both have been divided by: 0, the entries
/// as they are, unless their squares would leave the range of the type.
fn scaled<T: Scalar>(entries: &[T]) -> (i32, f64, Cow<'_, [T]>) {
    const SAFE: std::ops::Range<f64> = 1e-10..1e10;
    let norm = frobenius_norm(entries);
    if SAFE.contains(&norm) || norm.is_nan() {
        return (0, norm, Cow::Borrowed(entries));
    }
    let size = |x: &T| -> f64 { (*x).into().abs() };
    let largest = entries.iter().map(size).fold(0.0, f64::max);
    if largest == 0.0 || largest.is_infinite() {
        return (0, largest, Cow::Borrowed(entries));
    }
    // Within the range of f64 itself: of its largest numbers the root of the norm is not.
    let exponent = (largest.log2().floor() as i32).clamp(-1000, 1000);
    let factor = 2f64.powi(-exponent);
    let entries: Vec<T> = (entries.iter())
        .map(|&x| T::from_f64(x.into() * factor))
        .collect();
    (exponent, frobenius_norm(&entries), Cow::Owned(entries))
}
