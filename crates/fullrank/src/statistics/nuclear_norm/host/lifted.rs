//! The few smallest singular values of a batch, taken out of its Gram matrix.
//!
//! Squaring `Y` into `G = Y^T Y + delta^2` puts noise of about 1e-7 of the largest eigenvalue on the
//! others in f32. A square random batch has some singular values of a thousandth of the largest and less,
//! whose squares drown in it; their vectors hardly do, for the noise turns them only towards one another
//! and, by its ratio to the eigenvalues between, towards the rest. So
//!
//! 1. a block Krylov space of `(G + tau)^{-1}` is spanned that holds these vectors, in f32;
//! 2. the singular values and vectors are those of `Y` itself on this space (Rayleigh-Ritz: `V` of `r x k`
//!    and `W = Y V` with orthogonal columns), without squaring what is small;
//! 3. with the residual `R = G V - V Theta`, `G` is exactly decoupled from `V`, and has its greatest
//!    eigenvalue there: `G + V B^T + B V^T`, `B = V (u - Theta) / 2 - R`. What is left of it is
//!    well-conditioned in f32, so that few poles are enough;
//! 4. of the product `P` with the rest of `Y`, the columns of `W` lose what they have along it, which is
//!    what `V` still lacked; then `W (W^T W + delta^2)^{-1/2} V^T` is their share.
//!
//! By the last step the pushes are right to first order in `R / t^2`, `t` the smallest singular value of
//! the rest, and none is too large: both sides are orthogonal to the rest. The value, a sum of Ritz
//! values, is right to second order.

use faer::linalg::matmul::matmul;
use faer::linalg::matmul::triangular::{self, BlockStructure};
use faer::linalg::triangular_solve::{
    solve_lower_triangular_in_place, solve_upper_triangular_in_place,
};
use faer::prelude::{Reborrow, ReborrowMut};
use faer::{Accum, Mat, MatMut, MatRef, Par};

use super::ends::least;
use super::lanczos::noise;
use crate::host::cholesky::cholesky;
use crate::host::symmetric::{
    add_scaled, cast, contiguous, contiguous_mut, dot, eigenpairs, mirrored, parts, slice,
    symmetric_product, trace,
};

/// The columns of a block, but for very large batches, which have more small singular values.
const BLOCK: usize = 8;

/// Blocks of the Krylov space.
const BLOCKS: usize = 4;

/// The shift that makes every Gram matrix of f32 positive definite: above the noise, of the greatest
/// eigenvalue.
const SHIFT: f64 = 1e-6;

/// The residual of a lifted eigenpair, as a share of the least eigenvalue of the rest: what its push may
/// be off by.
const CONVERGED: f64 = 0.03;

/// The batch divided by its norm, and what makes its Gram matrix.
#[derive(Clone, Copy)]
pub(super) struct Scaled<'a> {
    pub(super) tall: MatRef<'a, f32>,
    pub(super) norm: f64,
    /// `delta^2`
    pub(super) ridge: f64,
}

/// Singular values of the batch far below the others, and their vectors.
pub(crate) struct Lifted {
    /// `s^2 + delta^2`, rising.
    pub(super) eigenvalues: Vec<f64>,
    /// `V`
    vectors: Mat<f32>,
    /// `W`
    images: Mat<f32>,
    ridge: f64,
}

impl Lifted {
    /// Whether lifting can leave a Gram matrix of this greatest eigenvalue no eigenvalue below `enough`: not
    /// if its trace is less than the others would make. So a nearly collapsed batch is seen at once.
    pub(super) fn may_help(gram: &Mat<f32>, greatest: f64, enough: f64) -> bool {
        let size = gram.nrows();
        let others = size - 1 - block(size) * BLOCKS / 2;
        trace(gram) >= greatest + enough * others as f64
    }

    /// Takes out of `gram`, of the greatest eigenvalue `greatest`, what is worth it; also a lower bound
    /// of the eigenvalues that are left. [`None`] if there is too much of it to be found.
    pub(super) fn out_of(
        gram: &mut Mat<f32>,
        batch: Scaled<'_>,
        greatest: f64,
    ) -> Option<(Self, f64)> {
        let size = gram.nrows();
        let tau = SHIFT * greatest;
        let mut shifted = gram.clone();
        for j in 0..size {
            shifted[(j, j)] += tau as f32;
        }
        let factor = mirrored(cholesky(shifted, Par::Seq)?);
        let pairs = RitzPairs::on(&krylov_space(&factor)?, batch)?;
        let count = pairs.worth_lifting()?;
        let residuals = pairs.residuals.subcols(0, count).to_owned();
        let lifted = Self {
            eigenvalues: pairs.eigenvalues[..count].to_vec(),
            vectors: pairs.vectors.subcols(0, count).to_owned(),
            images: pairs.images.subcols(0, count).to_owned(),
            ridge: batch.ridge,
        };
        // Of an eigenvalue that is there more often than a block has columns, the space holds some.
        let rest = least(&factor, &lifted.vectors)? - tau;
        lifted.decouple(gram, &residuals, greatest);
        Some((lifted, rest))
    }

    /// `G + V B^T + B V^T`, `B = V (u - Theta) / 2 - R`
    fn decouple(&self, gram: &mut Mat<f32>, residuals: &Mat<f32>, greatest: f64) {
        let count = self.count();
        let mut right = residuals.clone();
        for j in 0..count {
            let half = (0.5 * (greatest - self.eigenvalues[j])) as f32;
            let column = contiguous_mut(right.col_mut(j));
            column.iter_mut().for_each(|x| *x = -*x);
            add_scaled(column, half, contiguous(&self.vectors, j));
        }
        let (v, b) = (self.vectors.as_ref(), right.as_ref());
        add_to_lower(gram.as_mut(), v, b.transpose(), 1.0);
        add_to_lower(gram.as_mut(), b, v.transpose(), 1.0);
    }

    /// Puts the share of the lifted directions into `product`, which is `scale Y Q` with a `Q` that has
    /// the value `there` on them.
    pub(super) fn add_share(
        &self,
        mut product: MatMut<'_, f32>,
        scale: f64,
        there: f64,
    ) -> Option<()> {
        let (rows, size) = product.shape();
        let count = self.count();
        let par = parts(rows * size * count);
        let (one, images) = (1.0, self.images.as_ref());

        // P^T W for the product P with the rest, scaled.
        let mut along = Mat::<f32>::zeros(size, count);
        let others = product.rb();
        matmul(
            &mut along,
            Accum::Replace,
            others.transpose(),
            images,
            one,
            par,
        );
        for (j, &eigenvalue) in self.eigenvalues.iter().enumerate() {
            let own = scale * there * (eigenvalue - self.ridge);
            let column = contiguous_mut(along.col_mut(j));
            add_scaled(column, -own as f32, contiguous(&self.vectors, j));
        }
        let mut left = self.images.clone();
        let back = (-1.0 / (scale * scale)) as f32;
        matmul(&mut left, Accum::Add, others, &along, back, par);

        let (values, vectors) = eigenpairs(&gram_of(&left))?;
        let roots = Mat::<f64>::from_fn(count, count, |i, j| {
            vectors[(i, j)] / (values[j].max(0.0) + self.ridge).sqrt()
        });
        let roots = cast::<f64, f32>(&(roots * vectors.transpose()));
        let mut share = self.images.clone();
        share *= faer::Scale((-scale * there) as f32);
        matmul(&mut share, Accum::Add, &left, &roots, scale as f32, par);
        let right = self.vectors.transpose();
        matmul(product.rb_mut(), Accum::Add, &share, right, one, par);
        Some(())
    }

    pub(super) fn count(&self) -> usize {
        self.eigenvalues.len()
    }

    /// The sum of the singular values, smoothed.
    pub(super) fn sum(&self) -> f64 {
        self.eigenvalues.iter().map(|x| x.sqrt()).sum()
    }

    /// The sum of their inverses.
    pub(super) fn sum_of_inverses(&self) -> f64 {
        self.eigenvalues.iter().map(|x| x.sqrt().recip()).sum()
    }
}

/// The smallest eigenpairs of the Gram matrix on a space, as the batch has them.
struct RitzPairs {
    /// With the ridge, rising.
    eigenvalues: Vec<f64>,
    vectors: Mat<f32>,
    images: Mat<f32>,
    residuals: Mat<f32>,
}

impl RitzPairs {
    /// The smaller half.
    fn on(space: &Mat<f32>, batch: Scaled<'_>) -> Option<Self> {
        let (rows, size) = batch.tall.shape();
        let (all, count) = (space.ncols(), space.ncols() / 2);
        let scale = batch.norm.recip() as f32;
        let mut images = Mat::<f32>::zeros(rows, all);
        let par = parts(rows * size * all);
        matmul(&mut images, Accum::Replace, batch.tall, space, scale, par);
        let (mut eigenvalues, turn) = eigenpairs(&gram_of(&images))?;
        eigenvalues.truncate(count);

        let turn = Mat::<f32>::from_fn(all, count, |i, j| turn[(i, j)] as f32);
        let turned = |matrix: &Mat<f32>| {
            let mut turned = Mat::<f32>::zeros(matrix.nrows(), count);
            matmul(&mut turned, Accum::Replace, matrix, &turn, 1.0, Par::Seq);
            turned
        };
        let (vectors, images) = (turned(space), turned(&images));
        let mut residuals = Mat::<f32>::zeros(size, count);
        for (j, &eigenvalue) in eigenvalues.iter().enumerate() {
            let column = contiguous_mut(residuals.col_mut(j));
            add_scaled(column, -eigenvalue as f32, contiguous(&vectors, j));
        }
        let (turned, par) = (batch.tall.transpose(), parts(rows * size * count));
        matmul(&mut residuals, Accum::Add, turned, &images, scale, par);
        eigenvalues.iter_mut().for_each(|x| *x += batch.ridge);
        Some(Self {
            eigenvalues,
            vectors,
            images,
            residuals,
        })
    }

    /// How many of them: as many as are known well, beside the next.
    fn worth_lifting(&self) -> Option<usize> {
        let norm = |j: usize| {
            let column = contiguous(&self.residuals, j);
            f64::from(dot(column, column)).sqrt()
        };
        let norms: Vec<f64> = (0..self.eigenvalues.len()).map(norm).collect();
        (1..norms.len()).rev().find(|&count| {
            let next = self.eigenvalues[count];
            norms[..count].iter().all(|norm| *norm <= CONVERGED * next)
        })
    }
}

/// Columns of a block.
fn block(size: usize) -> usize {
    BLOCK.max(size / 64).min(size / BLOCKS)
}

/// An orthonormal basis of the space that the first powers of the inverse make of a pseudo-random block.
fn krylov_space(factor: &Mat<f32>) -> Option<Mat<f32>> {
    let size = factor.nrows();
    let block = block(size);
    let start = noise(size * block, 0);
    let mut next = Mat::<f32>::from_fn(size, block, |i, j| start[j * size + i] as f32);
    let mut basis = Mat::<f32>::zeros(size, block * BLOCKS);
    for step in 0..BLOCKS {
        let (lower, upper) = (factor.as_ref(), factor.transpose());
        solve_lower_triangular_in_place(lower, next.as_mut(), Par::Seq);
        solve_upper_triangular_in_place(upper, next.as_mut(), Par::Seq);
        let (before, mut from_here) = basis.as_mut().split_at_col_mut(block * step);
        // Twice is enough to be orthogonal to rounding.
        for _ in 0..2 {
            let mut along = Mat::<f32>::zeros(before.ncols(), block);
            let before = before.rb();
            matmul(
                &mut along,
                Accum::Replace,
                before.transpose(),
                &next,
                1.0,
                Par::Seq,
            );
            matmul(&mut next, Accum::Add, before, &along, -1.0, Par::Seq);
            orthonormalize(&mut next)?;
        }
        from_here.rb_mut().subcols_mut(0, block).copy_from(&next);
    }
    Some(basis)
}

/// Gram and Schmidt's method; [`None`] if nothing is left of a column, or no number.
fn orthonormalize(block: &mut Mat<f32>) -> Option<()> {
    for j in 0..block.ncols() {
        let (before, mut rest) = block.as_mut().split_at_col_mut(j);
        let column = contiguous_mut(rest.rb_mut().col_mut(0));
        for i in 0..j {
            let vector = slice(before.rb().col(i));
            let along = dot(column, vector);
            add_scaled(column, -along, vector);
        }
        let norm = dot(column, column).sqrt();
        if !(norm.is_finite() && norm > 0.0) {
            return None;
        }
        column.iter_mut().for_each(|x| *x /= norm);
    }
    Some(())
}

/// `A^T A` in f64.
fn gram_of(matrix: &Mat<f32>) -> Mat<f64> {
    let double = cast::<f32, f64>(matrix);
    mirrored(symmetric_product(
        double.transpose(),
        double.as_ref(),
        1.0,
        Par::Seq,
    ))
}

/// Adds `scale A B`, known to be symmetric in sum, to a lower triangle.
fn add_to_lower(to: MatMut<'_, f32>, a: MatRef<'_, f32>, b: MatRef<'_, f32>, scale: f32) {
    let par = parts(a.nrows() * a.ncols() * b.ncols() / 2);
    triangular::matmul(
        to,
        BlockStructure::TriangularLower,
        Accum::Add,
        a,
        BlockStructure::Rectangular,
        b,
        BlockStructure::Rectangular,
        scale,
        par,
    );
}
