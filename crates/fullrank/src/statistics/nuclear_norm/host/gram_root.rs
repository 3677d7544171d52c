//! `Q = (Y^T Y + delta^2)^{-1/2}` from a few shifted inverses, and the nuclear norm with it.
//!
//! With `A = (Y^T Y + delta^2) / u`, `u` at least its largest eigenvalue, the poles of [`InverseRoot`] give
//!
//! ```text
//! R = M (1 + sum_j a_j X_j) ~ A^{-1/2},      X_j = (A + c_j)^{-1}
//! H = A R = M (A + sum_j a_j (1 - c_j X_j)) ~ A^{1/2}
//! ```
//!
//! Each `X_j` is the inverse of a positive definite matrix by Cholesky's factorization; they are
//! independent and run in parallel. `H`, whose trace is the sum of the singular values, costs no product.
//! There are two ways to have `Q` of them.
//!
//! # One step, in f32
//!
//! For a batch whose condition number is below 100 by the [ends](Ends) of its spectrum: squaring `Y` into its
//! Gram matrix doubles the digits that small singular values need, and its least eigenvalue is then still a
//! thousand times the noise. `Q` is `R` with as many poles as that spectrum needs. They give the singular value
//! `t` the push `f(t)` in place of 1, `|f - 1| <= e`. `tr H = sum t f` is as far off as that, but
//!
//! ```text
//! (3 tr H - <H, R H>) / 2 = sum t (3 f - f^3) / 2 = sum t (1 - 3/2 (f - 1)^2 - ..)
//! ```
//!
//! only by `3/2 e^2`, for half a product of `r x r` matrices, which costs less than one more pole. So
//! pushes to 7.5e-3 come with a value to 8e-5.
//!
//! # Two steps, for every spectrum
//!
//! No eigenvalue of `A` falls below `delta^2 / u`, and Zolotarev's functions [compose](super::zolotarev): two poles in
//! f64, where the noise is far below `delta^2`, take whatever is between to a matrix of condition number 10 or less,
//!
//! ```text
//! A' = R H        the squares of f(t), in [(1 - e)^2, (1 + e)^2]
//! ```
//!
//! whose inverse root `R'` takes a few poles in f32. All are functions of one matrix, hence
//!
//! ```text
//! Q = R R',       sum_i t_i = <H, R'>
//! ```
//!
//! for one and a half products. One step would take ten poles in f64 and close bounds of the spectrum. The time
//! is the same whatever the spectrum, so that a collapse does not slow a training down.

use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatRef, Par};
use rayon::prelude::*;

use super::ends::Ends;
use super::zolotarev::{InverseRoot, Pole};
use super::{Batch, GREATEST_PUSH};
use crate::host::cholesky::inverse;
use crate::host::symmetric::{
    Scalar, add_scaled, cast, contiguous, contiguous_mut, mirrored, parts, precise_dot,
    symmetric_dot, symmetric_product, trace,
};

/// The largest error of a push of one step in f32: what a value to 1e-4, `3/2 e^2`, needs. A cosine of the
/// gradient of 0.9999, at worst `1 - e^2 / 2`, needs less.
const ONE_STEP: f64 = 7.5e-3;

/// Poles of the first of two steps, side by side on two cores.
const FIRST_POLES: usize = 2;

/// The largest relative error, of pushes and value, that the second step leaves in f32.
const SINGLE: f64 = 5e-5;

/// The same in f64.
const DOUBLE: f64 = 1e-10;

/// Up to this rank f64 costs next to nothing.
const SMALL_RANK: usize = 64;

/// A smallest eigenvalue of at least this share of the largest is not hurt by rounding in f32, which
/// puts noise of about 1e-7 on a Gram matrix.
const ENOUGH_FOR_SINGLE_GRAM: f64 = 1e-4;

/// A matrix with more columns than this share of its rows: random ones have a condition number above 55.
const NEARLY_SQUARE: f64 = 0.93;

/// What f32 may add to `P = Y Q` at most, in its Frobenius norm; that of `P` is about the root of the rank.
const ROUNDING: f64 = 0.01;

/// The greatest push grows by up to half of that; by this share of it in what was tried, twice as much as was seen.
const ROUNDING_IN_PUSH: f64 = 0.125;

/// The inverse root of a Gram matrix.
pub(crate) struct GramRoot {
    /// `(Y^T Y + delta^2)^{-1/2}`.
    root: Root,
    /// `sum_i sqrt(s_i^2 + delta^2)`.
    pub(super) nuclear_norm: f64,
    /// What no push exceeds.
    greatest_push: f64,
}

/// A symmetric matrix in the precision that products with it need.
pub(crate) enum Root {
    Single(Mat<f32>),
    Double(Mat<f64>),
}

impl Root {
    fn trace(&self) -> f64 {
        match self {
            Self::Single(matrix) => trace(matrix),
            Self::Double(matrix) => trace(matrix),
        }
    }

    /// Adds a multiple of the identity.
    fn shift(&mut self, by: f64) {
        fn shift<T: Scalar>(matrix: &mut Mat<T>, by: f64) {
            for j in 0..matrix.nrows() {
                matrix[(j, j)] += T::from_f64(by);
            }
        }
        match self {
            Self::Single(matrix) => shift(matrix, by),
            Self::Double(matrix) => shift(matrix, by),
        }
    }
}

/// A positive definite matrix, and bounds of its eigenvalues.
struct Gram<T> {
    /// The lower triangle.
    matrix: Mat<T>,
    ends: Ends,
}

impl GramRoot {
    /// For `Y = tall / norm` of Frobenius norm 1, in f32; `double` is the same batch in f64.
    pub(super) fn single(
        tall: MatRef<'_, f32>,
        double: impl FnOnce() -> Batch<'static, f64>,
        norm: f64,
        delta: f64,
    ) -> Option<Self> {
        if tall.ncols() <= SMALL_RANK {
            return Self::double(double().tall(), norm, delta);
        }
        match Gram::single(tall, norm, delta) {
            Some(gram) => gram.one_step(),
            None => Gram::double(double().tall(), norm, delta).two_steps(SINGLE, single_or_double),
        }
    }

    /// For `Y = tall / norm` of Frobenius norm 1, in f64.
    pub(super) fn double(tall: MatRef<'_, f64>, norm: f64, delta: f64) -> Option<Self> {
        Gram::double(tall, norm, delta).two_steps(DOUBLE, double)
    }

    /// What keeps every push below the greatest that there may be.
    pub(super) fn damping(&self) -> f64 {
        (GREATEST_PUSH / self.greatest_push).min(1.0)
    }

    /// `Q + delta^2 tr(Q)`, with which the batch is multiplied for its gradient.
    pub(super) fn with_its_trace(mut self, delta: f64) -> Root {
        self.root.shift(delta * delta * self.root.trace());
        self.root
    }

    /// Of `Y^T Y` for a `Y` of Frobenius norm 1 and so many rows, at least as many as columns, in the way and to the
    /// accuracy of [`single`](Self::single).
    pub(super) fn single_of(gram: Mat<f64>, rows: usize, delta: f64) -> Option<Self> {
        let gram = ridged(gram, delta * delta);
        if gram.nrows() <= SMALL_RANK {
            return Gram::<f64>::of(gram, delta).two_steps(DOUBLE, double);
        }
        let single = match nearly_square(rows, gram.nrows()) {
            true => None,
            false => Gram::<f32>::of(cast(&gram)),
        };
        match single {
            Some(gram) => gram.one_step(),
            None => Gram::<f64>::of(gram, delta).two_steps(SINGLE, single_or_double),
        }
    }

    /// The same in the way of [`double`](Self::double).
    pub(super) fn double_of(gram: Mat<f64>, delta: f64) -> Option<Self> {
        Gram::<f64>::of(ridged(gram, delta * delta), delta).two_steps(DOUBLE, double)
    }
}

/// Whether a batch is taken to be ill-conditioned without trying f32 first.
fn nearly_square(rows: usize, columns: usize) -> bool {
    columns as f64 > NEARLY_SQUARE * rows as f64
}

impl Gram<f32> {
    /// If f32 is enough.
    fn single(tall: MatRef<'_, f32>, norm: f64, delta: f64) -> Option<Self> {
        if nearly_square(tall.nrows(), tall.ncols()) {
            return None;
        }
        Self::of(ridged_gram(tall, norm, delta * delta))
    }

    /// If f32 is enough.
    fn of(matrix: Mat<f32>) -> Option<Self> {
        // Of eigenvalues none of which is below a share of the largest, which is at least ||A||^2 / tr A.
        let largest = symmetric_dot(&matrix, &matrix) / trace(&matrix);
        let others = (matrix.nrows() - 1) as f64;
        if trace(&matrix) < largest * (1.0 + others * ENOUGH_FOR_SINGLE_GRAM) {
            return None;
        }
        let ends = Ends::of(&matrix)?;
        let enough = ends.least.is_finite() && ends.least >= ENOUGH_FOR_SINGLE_GRAM * ends.greatest;
        enough.then_some(Self { matrix, ends })
    }

    /// The root by the poles of one step.
    fn one_step(self) -> Option<GramRoot> {
        let poles = InverseRoot::new(self.ends.ratio().sqrt(), ONE_STEP);
        let inverses = self.inverses(&poles)?;
        let root = self.root(&poles, &inverses, 1.0);
        let half = self.half(&poles, &inverses, 1.0);
        let par = parts(self.size().pow(3) / 2);
        let cube = symmetric_product(root.as_ref(), half.as_ref(), 1.0, par);
        let sum = 1.5 * self.trace_of_half(&poles, &inverses) - 0.5 * symmetric_dot(&half, &cube);
        let bound = self.ends.greatest.sqrt();
        Some(GramRoot {
            root: Root::Single(root * faer::Scale(bound.recip() as f32)),
            nuclear_norm: bound * sum,
            greatest_push: 1.0 + poles.error,
        })
    }
}

impl Gram<f64> {
    /// Of any spectrum: its ends are what holds for every one.
    fn double(tall: MatRef<'_, f64>, norm: f64, delta: f64) -> Self {
        Self::of(ridged_gram(tall, norm, delta * delta), delta)
    }

    fn of(matrix: Mat<f64>, delta: f64) -> Self {
        // A norm of the matrix is above its eigenvalues, and finds a NaN.
        let greatest = symmetric_dot(&matrix, &matrix).sqrt() * (1.0 + 1e-12);
        let ends = Ends {
            least: delta * delta,
            greatest,
        };
        Self { matrix, ends }
    }

    /// The root by two steps, the second in `S`; `product` makes it of the roots of both.
    fn two_steps<S: Scalar>(self, tolerance: f64, product: Product<S>) -> Option<GramRoot> {
        let first = InverseRoot::with_poles(self.ends.ratio().sqrt(), FIRST_POLES);
        let inverses = self.inverses(&first)?;
        // Divided by the largest push, so that none is above 1.
        let (least, greatest) = (1.0 - first.error, 1.0 + first.error);
        let root = self.root(&first, &inverses, greatest.recip());
        let half = self.half(&first, &inverses, greatest.recip());
        drop(inverses);
        let par = parts(self.size().pow(3) / 2);
        let pushed = symmetric_product(root.as_ref(), half.as_ref(), 1.0, par);
        let pushed = Gram::<S> {
            matrix: cast(&pushed),
            ends: Ends {
                least: (least / greatest).powi(2),
                greatest: 1.0,
            },
        };
        let second = InverseRoot::new(least / greatest, tolerance);
        let inverses = pushed.inverses(&second)?;
        let rest = pushed.root(&second, &inverses, 1.0);
        drop(inverses);
        let bound = self.ends.greatest.sqrt();
        let (whole, rounding) = product(&root, &rest, bound.recip());
        Some(GramRoot {
            nuclear_norm: bound * symmetric_dot(&half, &rest),
            root: whole,
            greatest_push: 1.0 + second.error + ROUNDING_IN_PUSH * rounding,
        })
    }
}

/// Of the roots of both steps and a scale, and what rounding adds to `P`.
type Product<S> = fn(&Mat<f64>, &Mat<S>, f64) -> (Root, f64);

/// In f32 if its rounding adds little.
fn single_or_double(root: &Mat<f64>, rest: &Mat<f32>, scale: f64) -> (Root, f64) {
    let single = product(&cast(root), rest, scale);
    let rounding = f64::from(f32::EPSILON) * norm(&single);
    match rounding <= ROUNDING {
        true => (Root::Single(single), rounding),
        false => double(root, &cast(rest), scale),
    }
}

fn double(root: &Mat<f64>, rest: &Mat<f64>, scale: f64) -> (Root, f64) {
    (Root::Double(product(root, rest, scale)), 0.0)
}

/// `scale R R'`. All of it, not a triangle: in this order alone, what rounding has left of `R'` is not multiplied by
/// the norm of `R`.
fn product<T: Scalar>(root: &Mat<T>, rest: &Mat<T>, scale: f64) -> Mat<T> {
    let size = root.nrows();
    let mut product = Mat::zeros(size, size);
    let (par, scale) = (parts(size.pow(3)), T::from_f64(scale));
    matmul(&mut product, Accum::Replace, root, rest, scale, par);
    product
}

/// Frobenius norm.
fn norm(matrix: &Mat<f32>) -> f64 {
    let square = |j| precise_dot(contiguous(matrix, j), contiguous(matrix, j));
    let squares: Vec<f64> = (0..matrix.ncols()).into_par_iter().map(square).collect();
    squares.into_iter().sum::<f64>().sqrt()
}

impl<T: Scalar> Gram<T> {
    fn size(&self) -> usize {
        self.matrix.nrows()
    }

    /// `(G / u + shift)^{-1}`, lower triangle.
    fn shifted_inverse(&self, shift: f64, par: Par) -> Option<Mat<T>> {
        let scale = T::from_f64(self.ends.greatest.recip());
        let mut shifted = Mat::zeros(self.size(), self.size());
        for (j, column) in shifted.col_iter_mut().enumerate() {
            let column = &mut contiguous_mut(column)[j..];
            add_scaled(column, scale, &contiguous(&self.matrix, j)[j..]);
            column[0] += T::from_f64(shift);
        }
        inverse(shifted, par)
    }

    /// One for each pole, side by side; large ones are divided as well.
    fn inverses(&self, poles: &InverseRoot) -> Option<Vec<Mat<T>>> {
        const LARGE: usize = 1024;
        let size = self.size();
        let own = match size {
            ..LARGE => Par::Seq,
            _ => parts(size.pow(3)),
        };
        let inverse = |pole: &Pole| self.shifted_inverse(pole.shift, own);
        match parts(size.pow(3) * poles.poles.len()) {
            Par::Seq => poles.poles.iter().map(inverse).collect(),
            _ => poles.poles.par_iter().map(inverse).collect(),
        }
    }

    /// `scale M (1 + sum_j a_j X_j)`
    fn root(&self, poles: &InverseRoot, inverses: &[Mat<T>], scale: f64) -> Mat<T> {
        let scale = scale * poles.scale;
        self.combine(|j, root: &mut [T]| {
            root[0] = T::from_f64(scale);
            for (pole, inverse) in poles.poles.iter().zip(inverses) {
                add_column(inverse, j, scale * pole.residue, root);
            }
        })
    }

    /// `scale M (A + sum_j a_j (1 - c_j X_j))`
    fn half(&self, poles: &InverseRoot, inverses: &[Mat<T>], scale: f64) -> Mat<T> {
        let scale = scale * poles.scale;
        self.combine(|j, half: &mut [T]| {
            add_column(&self.matrix, j, scale / self.ends.greatest, half);
            for (pole, inverse) in poles.poles.iter().zip(inverses) {
                let factor = scale * pole.residue;
                add_column(inverse, j, -factor * pole.shift, half);
                half[0] += T::from_f64(factor);
            }
        })
    }

    /// `tr H`, in f64.
    fn trace_of_half(&self, poles: &InverseRoot, inverses: &[Mat<T>]) -> f64 {
        let size = self.size() as f64;
        let sum = (poles.poles.iter().zip(inverses))
            .map(|(pole, inverse)| pole.residue * (size - pole.shift * trace(inverse)));
        poles.scale * (trace(&self.matrix) / self.ends.greatest + sum.sum::<f64>())
    }

    /// The symmetric matrix whose columns, from the diagonal down, `fill` adds up.
    fn combine(&self, fill: impl Fn(usize, &mut [T]) + Sync) -> Mat<T> {
        let mut matrix = Mat::<T>::zeros(self.size(), self.size());
        let fill = |(j, column)| fill(j, &mut contiguous_mut(column)[j..]);
        match parts(4 * self.size().pow(2)) {
            Par::Seq => matrix.col_iter_mut().enumerate().for_each(fill),
            _ => matrix.par_col_iter_mut().enumerate().for_each(fill),
        }
        mirrored(matrix)
    }
}

/// Adds `factor` times the part of column `j` from the diagonal down.
fn add_column<T: Scalar>(from: &Mat<T>, j: usize, factor: f64, to: &mut [T]) {
    add_scaled(to, T::from_f64(factor), &contiguous(from, j)[j..]);
}

/// `Y^T Y + ridge` for `Y = tall / norm`, lower triangle.
fn ridged_gram<T: Scalar>(tall: MatRef<'_, T>, norm: f64, ridge: f64) -> Mat<T> {
    let scale = (norm * norm).recip();
    let (rows, size) = tall.shape();
    let par = parts(rows * size * size / 2);
    ridged(symmetric_product(tall.transpose(), tall, scale, par), ridge)
}

fn ridged<T: Scalar>(mut gram: Mat<T>, ridge: f64) -> Mat<T> {
    for j in 0..gram.nrows() {
        gram[(j, j)] += T::from_f64(ridge);
    }
    gram
}
