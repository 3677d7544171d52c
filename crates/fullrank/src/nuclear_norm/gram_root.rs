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
//! Cholesky's factorisation; they are independent and run in parallel. `H`, whose trace is the sum of
//! the singular values, costs no product.
//!
//! # Accuracy
//!
//! There are as many poles as the spectrum needs: its [ends](Ends) are bounded first. They give the
//! singular value `t` the push `f(t)` in place of 1, `|f - 1| <= e`. `tr H = sum t f` is as far off as
//! that, but
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
//! Squaring `Y` into its Gram matrix doubles the digits that small singular values need. What keeps
//! the work in f32:
//!
//! - A batch whose condition number is below 100 needs no more (its least eigenvalue is a thousand
//!   times the noise).
//! - A few singular values far below the others, as square random batches have, are
//!   [lifted](super::lifted): the matrix gets its greatest eigenvalue in their place, and they come from
//!   the batch itself.
//! - Any other batch gets a Gram matrix in f64. A pole does not see what is far below its shift: only the
//!   poles of small shift are computed in f64. What rounding then does to the pushes of the smallest
//!   singular values is measured by the caller.

use faer::{Mat, MatRef, Par};
use rayon::prelude::*;

use super::ends::{Ends, greatest};
use super::host::Batch;
use super::lifted::{Lifted, Scaled};
use super::zolotarev::InverseRoot;
use crate::host_cholesky::inverse;
use crate::host_symmetric::{
    Scalar, add_scaled, cast, contiguous, contiguous_mut, mirrored, symmetric_dot,
    symmetric_product, threads, trace,
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

/// A shift of at least this share of the largest eigenvalue leaves f32 enough digits for the sum of
/// all poles to be right to a few percent at the smallest singular values.
const ENOUGH_FOR_SINGLE_POLE: f64 = 3e-5;

/// A smallest singular value below this share of the largest makes products with `Q` lose too many
/// digits in f32.
const TOO_SMALL_FOR_SINGLE_PRODUCTS: f64 = 1e-4;

/// A matrix with more columns than this share of its rows is taken to be ill-conditioned without
/// trying f32 first: random ones have a condition number above 55.
const NEARLY_SQUARE: f64 = 0.93;

/// The inverse root of a Gram matrix.
pub(super) struct GramRoot {
    /// `(Y^T Y + delta^2)^{-1/2}`, but for the lifted directions.
    pub(super) root: Root,
    /// These, and what the root has in their place.
    pub(super) lifted: Option<(Lifted, f64)>,
    /// `sum_i sqrt(s_i^2 + delta^2)`.
    pub(super) nuclear_norm: f64,
    /// What no push exceeds, if rounding does not count.
    pub(super) greatest_push: Option<f64>,
}

/// A symmetric matrix in the precision that products with it need.
pub(super) enum Root {
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

/// A Gram matrix, lower triangle, in one precision or both.
enum Precision {
    Single(Mat<f32>),
    Double(Mat<f64>),
    Both(Mat<f32>, Mat<f64>),
}

struct Gram {
    matrix: Precision,
    /// A lower bound of the eigenvalues.
    least: f64,
    /// An upper bound of the eigenvalues.
    greatest: f64,
    /// What has been taken out of the matrix, which has `greatest` in its place.
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
            let gram = Gram::double(double().tall(), norm, delta)?;
            return gram.root(SMALL, Root::Double);
        }
        let batch = Scaled {
            tall,
            norm,
            ridge: delta * delta,
        };
        if let Some(gram) = Gram::single(batch) {
            return gram.root(SINGLE, Root::Single);
        }
        let gram = Gram::both(double().tall(), norm, delta)?;
        let root = if (gram.least / gram.greatest).sqrt() < TOO_SMALL_FOR_SINGLE_PRODUCTS {
            gram.root(SINGLE, Root::Double)
        } else {
            gram.root(SINGLE, Root::Single)
        };
        root.map(|root| Self {
            greatest_push: None,
            ..root
        })
    }

    /// For `Y = tall / norm` of Frobenius norm 1, in f64.
    pub(super) fn double(tall: MatRef<'_, f64>, norm: f64, delta: f64) -> Option<Self> {
        Gram::double(tall, norm, delta)?.root(DOUBLE, Root::Double)
    }
}

impl Gram {
    /// In f32 alone, if that is enough, with or without lifting.
    fn single(batch: Scaled<'_>) -> Option<Self> {
        let tall = batch.tall;
        let enough = |least: f64, greatest: f64| {
            least.is_finite() && least >= ENOUGH_FOR_SINGLE_GRAM * greatest
        };
        let mut gram = ridged_gram(tall, batch.norm, batch.ridge);
        let nearly_square = tall.ncols() as f64 > NEARLY_SQUARE * tall.nrows() as f64;
        let ends = (!nearly_square).then(|| Ends::of(&gram)).flatten();
        let (least, greatest, lifted) = match ends {
            Some(Ends { least, greatest }) if enough(least, greatest) => (least, greatest, None),
            _ => {
                let greatest = greatest(&gram)?;
                let (lifted, least) = Lifted::out_of(&mut gram, batch, greatest)?;
                (least, greatest, Some(lifted))
            }
        };
        enough(least, greatest).then_some(Self {
            matrix: Precision::Single(gram),
            least,
            greatest,
            lifted,
        })
    }

    fn double(tall: MatRef<'_, f64>, norm: f64, delta: f64) -> Option<Self> {
        let gram = ridged_gram(tall, norm, delta * delta);
        Self::with_ends(Ends::of(&gram)?, Precision::Double(gram))
    }

    /// In both precisions.
    fn both(tall: MatRef<'_, f64>, norm: f64, delta: f64) -> Option<Self> {
        let gram = ridged_gram(tall, norm, delta * delta);
        Self::with_ends(Ends::of(&gram)?, Precision::Both(cast(&gram), gram))
    }

    fn with_ends(ends: Ends, matrix: Precision) -> Option<Self> {
        Some(Self {
            matrix,
            least: ends.least,
            greatest: ends.greatest,
            lifted: None,
        })
    }
}

/// `(A + c)^{-1}`, lower triangle.
enum Inverse {
    Single(Mat<f32>),
    Double(Mat<f64>),
}

impl Gram {
    fn size(&self) -> usize {
        match &self.matrix {
            Precision::Single(gram) => gram.nrows(),
            Precision::Double(gram) | Precision::Both(_, gram) => gram.nrows(),
        }
    }

    /// `(G / u + shift)^{-1}` in the precision the shift needs.
    fn shifted_inverse(&self, shift: f64, par: Par) -> Option<Inverse> {
        match &self.matrix {
            Precision::Both(gram, _) if shift >= ENOUGH_FOR_SINGLE_POLE => {
                self.inverse_of(gram, shift, par).map(Inverse::Single)
            }
            Precision::Single(gram) => self.inverse_of(gram, shift, par).map(Inverse::Single),
            Precision::Double(gram) | Precision::Both(_, gram) => {
                self.inverse_of(gram, shift, par).map(Inverse::Double)
            }
        }
    }

    fn inverse_of<T: Scalar>(&self, gram: &Mat<T>, shift: f64, par: Par) -> Option<Mat<T>> {
        let scale = T::from_f64(self.greatest.recip());
        let mut shifted = Mat::zeros(gram.nrows(), gram.ncols());
        for (j, column) in shifted.col_iter_mut().enumerate() {
            let column = &mut contiguous_mut(column)[j..];
            add_scaled(column, scale, &contiguous(gram, j)[j..]);
            column[0] += T::from_f64(shift);
        }
        inverse(shifted, par)
    }

    /// One for each pole; side by side, the threads shared among them.
    fn inverses(&self, poles: &InverseRoot) -> Option<Vec<Inverse>> {
        let poles = &poles.poles;
        match threads(self.size().pow(3) * poles.len()) {
            Par::Seq => (poles.iter())
                .map(|pole| self.shifted_inverse(pole.shift, Par::Seq))
                .collect(),
            par => {
                let share = Par::rayon(par.degree().div_ceil(poles.len()));
                (poles.par_iter())
                    .map(|pole| self.shifted_inverse(pole.shift, share))
                    .collect()
            }
        }
    }

    /// The root, with products in `T`.
    fn root<T: Scalar>(self, accuracy: Accuracy, wrap: fn(Mat<T>) -> Root) -> Option<GramRoot> {
        let lower = (self.least / self.greatest).min(1.0).sqrt();
        let poles = InverseRoot::new(lower, accuracy.push);
        let inverses = self.inverses(&poles)?;

        // Q by the eigenvalues of A is Q by those of the Gram matrix times the root of u.
        let bound = self.greatest;
        let scale = poles.scale / bound.sqrt();
        let mut sum = self.trace_of_half(&poles, &inverses);
        let mut root = self.combine(|j, root: &mut [T]| {
            // Q = M (1 + sum_j a_j X_j)
            root[0] = T::from_f64(scale);
            for (pole, inverse) in poles.poles.iter().zip(&inverses) {
                inverse.add_column(j, scale * pole.residue, root);
            }
        });
        root = mirrored(root);
        let correct = poles.error > accuracy.value;
        if correct {
            let half = self.combine(|j, half: &mut [T]| {
                // H = M (A + sum_j a_j (1 - c_j X_j))
                self.add_column(j, poles.scale / bound, half);
                for (pole, inverse) in poles.poles.iter().zip(&inverses) {
                    let factor = poles.scale * pole.residue;
                    inverse.add_column(j, -factor * pole.shift, half);
                    half[0] += T::from_f64(factor);
                }
            });
            let half = mirrored(half);
            let cube = symmetric_product(
                root.as_ref(),
                half.as_ref(),
                bound.sqrt(),
                threads(self.size().pow(3) / 2),
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
            greatest_push: Some(push),
        })
    }

    /// `tr H`, in f64.
    fn trace_of_half(&self, poles: &InverseRoot, inverses: &[Inverse]) -> f64 {
        let (size, bound) = (self.size(), self.greatest);
        let own = match &self.matrix {
            Precision::Single(gram) => trace(gram),
            Precision::Double(gram) | Precision::Both(_, gram) => trace(gram),
        };
        let sum = poles.poles.iter().zip(inverses).map(|(pole, inverse)| {
            let trace = match inverse {
                Inverse::Single(inverse) => trace(inverse),
                Inverse::Double(inverse) => trace(inverse),
            };
            pole.residue * (size as f64 - pole.shift * trace)
        });
        poles.scale * (own / bound + sum.sum::<f64>())
    }

    /// The symmetric matrix whose columns, from the diagonal down, `fill` adds up; its lower triangle.
    fn combine<T: Scalar>(&self, fill: impl Fn(usize, &mut [T]) + Sync) -> Mat<T> {
        let mut matrix = Mat::<T>::zeros(self.size(), self.size());
        let fill = |(j, column)| fill(j, &mut contiguous_mut(column)[j..]);
        match threads(4 * self.size().pow(2)) {
            Par::Seq => matrix.col_iter_mut().enumerate().for_each(fill),
            _ => matrix.par_col_iter_mut().enumerate().for_each(fill),
        }
        matrix
    }

    /// Adds `factor` times the part of column `j` from the diagonal down.
    fn add_column<T: Scalar>(&self, j: usize, factor: f64, to: &mut [T]) {
        match &self.matrix {
            Precision::Single(gram) => add(&contiguous(gram, j)[j..], factor, to),
            Precision::Double(gram) | Precision::Both(_, gram) => {
                add(&contiguous(gram, j)[j..], factor, to);
            }
        }
    }
}

impl Inverse {
    /// Adds `factor` times the part of column `j` from the diagonal down.
    fn add_column<T: Scalar>(&self, j: usize, factor: f64, to: &mut [T]) {
        match self {
            Self::Single(inverse) => add(&contiguous(inverse, j)[j..], factor, to),
            Self::Double(inverse) => add(&contiguous(inverse, j)[j..], factor, to),
        }
    }
}

fn add<T: Scalar, S: Scalar>(from: &[S], factor: f64, to: &mut [T]) {
    let factor = T::from_f64(factor);
    for (to, &from) in to.iter_mut().zip(from) {
        *to += factor * T::from_f64(from.into());
    }
}

/// `Y^T Y + ridge` for `Y = tall / norm`, lower triangle.
fn ridged_gram<T: Scalar>(tall: MatRef<'_, T>, norm: f64, ridge: f64) -> Mat<T> {
    let scale = (norm * norm).recip();
    let (rows, size) = tall.shape();
    let par = threads(rows * size * size / 2);
    let mut gram = symmetric_product(tall.transpose(), tall, scale, par);
    for j in 0..size {
        gram[(j, j)] += T::from_f64(ridge);
    }
    gram
}
