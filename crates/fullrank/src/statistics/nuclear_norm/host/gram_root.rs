//! `(Y^T Y + delta^2)^{-1/2}` from a few shifted inverses, and the nuclear norm with it.
//!
//! With `A = (Y^T Y + delta^2) / u`, `u` above its largest eigenvalue,
//!
//! ```text
//! Q = M (1 + sum_j a_j X_j) ~ A^{-1/2},      X_j = (A + c_j)^{-1}
//! H = A Q = M (A + sum_j a_j (1 - c_j X_j)) ~ A^{1/2}
//! ```
//!
//! by the poles of [`InverseRoot`]. Each `X_j` is the inverse of a positive definite matrix by
//! Cholesky's factorization; they are independent and run in parallel. `H`, whose trace is the sum of
//! the singular values, costs no product.
//!
//! # Accuracy
//!
//! There are as many poles as the spectrum needs. They give the singular value `t` the push `f(t)` in
//! place of 1, `|f - 1| <= e`. `tr H = sum t f` is as far off as that, but
//!
//! ```text
//! (3 tr H - <H, Q H>) / 2 = sum t (3 f - f^3) / 2 = sum t (1 - 3/2 (f - 1)^2 - ..)
//! ```
//!
//! only by `3/2 e^2`, for half a product of `r x r` matrices, which costs less than one more pole. So
//! pushes to 7.5e-3 come with a value to 8e-5.
//!
//! # Precision
//!
//! Squaring `Y` into its Gram matrix doubles the digits that small singular values need. In f32, where
//! the noise is 1e-7 of the largest eigenvalue, there are enough of them for
//!
//! - a batch whose condition number is below 100 by the [ends](Ends) of its spectrum: its least eigenvalue
//!   is a thousand times the noise;
//! - one that is so but for a few singular values far below the others, as square random batches have
//!   them. These are [lifted](super::lifted): the matrix gets its greatest eigenvalue in their place, and
//!   they come from the batch itself.
//!
//! Any other batch, nearly collapsed or not, gets a Gram matrix, poles and a product in f64. There every
//! spectrum is good enough: the noise is far below `delta^2`, which no eigenvalue falls below.

use faer::{Mat, MatRef, Par};
use rayon::prelude::*;

use super::Batch;
use super::ends::{Ends, greatest};
use super::lifted::{Lifted, Scaled};
use super::zolotarev::{InverseRoot, Pole};
use crate::host::cholesky::inverse;
use crate::host::symmetric::{
    Scalar, add_scaled, contiguous, contiguous_mut, mirrored, parts, symmetric_dot,
    symmetric_product, trace,
};

/// What is asked of the poles.
#[derive(Clone, Copy)]
struct Accuracy {
    /// The largest error of a push.
    push: f64,
    /// The largest relative error of the value.
    value: f64,
}

/// A batch in f32: what a value to 1e-4, `3/2 e^2`, needs. A cosine of the gradient of 0.9999, at worst
/// `1 - e^2 / 2`, needs less.
const SINGLE: Accuracy = Accuracy {
    push: 7.5e-3,
    value: 9e-5,
};

/// Up to this rank f64 and a few more poles cost next to nothing.
const SMALL_RANK: usize = 64;

/// A batch of small rank.
const SMALL: Accuracy = Accuracy {
    push: 1e-6,
    value: 1e-10,
};

/// A batch in f64.
const DOUBLE: Accuracy = Accuracy {
    push: 1e-10,
    value: 1e-15,
};

/// A smallest eigenvalue of at least this share of the largest is not hurt by rounding in f32, which
/// puts noise of about 1e-7 on a Gram matrix.
const ENOUGH_FOR_SINGLE_GRAM: f64 = 1e-4;

/// A matrix with more columns than this share of its rows is taken to be ill-conditioned without
/// trying f32 first: random ones have a condition number above 55.
const NEARLY_SQUARE: f64 = 0.93;

/// The inverse root of a Gram matrix.
pub(crate) struct GramRoot {
    /// `(Y^T Y + delta^2)^{-1/2}`, but for the lifted directions.
    pub(super) root: Root,
    /// These, and what the root has in their place.
    pub(super) lifted: Option<(Lifted, f64)>,
    /// `sum_i sqrt(s_i^2 + delta^2)`.
    pub(super) nuclear_norm: f64,
    /// What no push exceeds.
    pub(super) greatest_push: f64,
}

/// A symmetric matrix in the precision that products with it need.
pub(crate) enum Root {
    Single(Mat<f32>),
    Double(Mat<f64>),
}

impl Root {
    pub(super) fn trace(&self) -> f64 {
        match self {
            Self::Single(matrix) => trace(matrix),
            Self::Double(matrix) => trace(matrix),
        }
    }

    /// Adds a multiple of the identity.
    pub(super) fn shift(&mut self, by: f64) {
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

/// A Gram matrix in the precision of the poles.
struct Gram<T> {
    /// The lower triangle.
    matrix: Mat<T>,
    /// Bounds of the eigenvalues.
    ends: Ends,
    /// What has been taken out of the matrix, which has the greatest eigenvalue in its place.
    lifted: Option<Lifted>,
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
            let gram = Gram::double(double().tall(), norm, delta);
            return gram.root(SMALL, Root::Double);
        }
        let batch = Scaled {
            tall,
            norm,
            ridge: delta * delta,
        };
        match Gram::single(batch) {
            Some(gram) => gram.root(SINGLE, Root::Single),
            None => Gram::double(double().tall(), norm, delta).root(SINGLE, Root::Double),
        }
    }

    /// For `Y = tall / norm` of Frobenius norm 1, in f64.
    pub(super) fn double(tall: MatRef<'_, f64>, norm: f64, delta: f64) -> Option<Self> {
        Gram::double(tall, norm, delta).root(DOUBLE, Root::Double)
    }
}

impl Gram<f32> {
    /// If f32 is enough, with or without lifting.
    fn single(batch: Scaled<'_>) -> Option<Self> {
        let tall = batch.tall;
        let enough = |ends: &Ends| {
            ends.least.is_finite() && ends.least >= ENOUGH_FOR_SINGLE_GRAM * ends.greatest
        };
        let mut matrix = ridged_gram(tall, batch.norm, batch.ridge);
        let nearly_square = tall.ncols() as f64 > NEARLY_SQUARE * tall.nrows() as f64;
        let ends = (!nearly_square).then(|| Ends::of(&matrix)).flatten();
        let (ends, lifted) = match ends {
            Some(ends) if enough(&ends) => (ends, None),
            _ => {
                let greatest = greatest(&matrix)?;
                let floor = ENOUGH_FOR_SINGLE_GRAM * greatest;
                if !Lifted::may_help(&matrix, greatest, floor) {
                    return None;
                }
                let (lifted, least) = Lifted::out_of(&mut matrix, batch, greatest)?;
                (Ends { least, greatest }, Some(lifted))
            }
        };
        enough(&ends).then_some(Self {
            matrix,
            ends,
            lifted,
        })
    }
}

impl Gram<f64> {
    /// Of any spectrum: its ends are bounded closely, for the sake of fewer poles, but never beyond what
    /// holds for every Gram matrix.
    fn double(tall: MatRef<'_, f64>, norm: f64, delta: f64) -> Self {
        let matrix = ridged_gram(tall, norm, delta * delta);
        let (least, greatest) = (delta * delta, trace(&matrix));
        let ends = match Ends::of(&matrix) {
            Some(ends) => Ends {
                least: ends.least.max(least),
                greatest: ends.greatest.min(greatest),
            },
            None => Ends { least, greatest },
        };
        Self {
            matrix,
            ends,
            lifted: None,
        }
    }
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

    /// The root, in the precision of the poles.
    fn root(self, accuracy: Accuracy, wrap: fn(Mat<T>) -> Root) -> Option<GramRoot> {
        let lower = (self.ends.least / self.ends.greatest).min(1.0).sqrt();
        let poles = InverseRoot::new(lower, accuracy.push);
        let inverses = self.inverses(&poles)?;

        // Q by the eigenvalues of A is Q by those of the Gram matrix times the root of u.
        let bound = self.ends.greatest;
        let scale = poles.scale / bound.sqrt();
        let mut sum = self.trace_of_half(&poles, &inverses);
        let mut root = self.combine(|j, root: &mut [T]| {
            // Q = M (1 + sum_j a_j X_j)
            root[0] = T::from_f64(scale);
            for (pole, inverse) in poles.poles.iter().zip(&inverses) {
                add_column(inverse, j, scale * pole.residue, root);
            }
        });
        root = mirrored(root);
        let correct = poles.error > accuracy.value;
        if correct {
            let half = self.combine(|j, half: &mut [T]| {
                // H = M (A + sum_j a_j (1 - c_j X_j))
                add_column(&self.matrix, j, poles.scale / bound, half);
                for (pole, inverse) in poles.poles.iter().zip(&inverses) {
                    let factor = poles.scale * pole.residue;
                    add_column(inverse, j, -factor * pole.shift, half);
                    half[0] += T::from_f64(factor);
                }
            });
            let half = mirrored(half);
            let cube = symmetric_product(
                root.as_ref(),
                half.as_ref(),
                bound.sqrt(),
                parts(self.size().pow(3) / 2),
            );
            sum = 1.5 * sum - 0.5 * symmetric_dot(&half, &cube);
        }
        let mut nuclear_norm = bound.sqrt() * sum;
        // The push of the greatest, and what the sum has of it.
        let push = 1.0 + poles.error;
        let there = match correct {
            true => 0.5 * push * (3.0 - push * push),
            false => push,
        };
        let lifted = self.lifted.map(|lifted| {
            nuclear_norm += lifted.sum() - lifted.count() as f64 * there * bound.sqrt();
            (lifted, push / bound.sqrt())
        });
        Some(GramRoot {
            root: wrap(root),
            lifted,
            nuclear_norm,
            greatest_push: push,
        })
    }

    /// `tr H`, in f64.
    fn trace_of_half(&self, poles: &InverseRoot, inverses: &[Mat<T>]) -> f64 {
        let size = self.size() as f64;
        let sum = (poles.poles.iter().zip(inverses))
            .map(|(pole, inverse)| pole.residue * (size - pole.shift * trace(inverse)));
        poles.scale * (trace(&self.matrix) / self.ends.greatest + sum.sum::<f64>())
    }

    /// The symmetric matrix whose columns, from the diagonal down, `fill` adds up; its lower triangle.
    fn combine(&self, fill: impl Fn(usize, &mut [T]) + Sync) -> Mat<T> {
        let mut matrix = Mat::<T>::zeros(self.size(), self.size());
        let fill = |(j, column)| fill(j, &mut contiguous_mut(column)[j..]);
        match parts(4 * self.size().pow(2)) {
            Par::Seq => matrix.col_iter_mut().enumerate().for_each(fill),
            _ => matrix.par_col_iter_mut().enumerate().for_each(fill),
        }
        matrix
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
    let mut gram = symmetric_product(tall.transpose(), tall, scale, par);
    for j in 0..size {
        gram[(j, j)] += T::from_f64(ridge);
    }
    gram
}
