//! The smoothed nuclear norm on the device, by matrix products alone.
//!
//! `P = Y (Y^T Y + delta^2)^{-1/2}` is the upper block of the polar factor of `[Y; delta I]`, and its lower
//! block `delta (Y^T Y + delta^2)^{-1/2}`. The singular values of `[Y; delta I]` lie between `delta` and,
//! up to rounding, `||Y||_F`, a known interval. [Minimax steps](super::minimax) from there reach rounding
//! accuracy after a number of steps fixed beforehand (11 to 14 for r from 64 to 8192, in f32), so that nothing
//! is ever read back. The matrix is scaled by `||G^2||_F^{1/4}`, `G = Y^T Y`, an upper bound of its
//! largest singular value that costs nothing since the first step needs `G^2` anyway. Working on `Y`, not
//! on its Gram matrix, keeps the accuracy of small singular values: squaring would halve the digits.

use burn::tensor::{DType, Tensor};

use super::minimax::steps_to_one;
use crate::statistics::unit_rows::safe_scale;
use crate::surrogate::Surrogate;

/// `N(embeddings) / r` and its gradient; `delta = smoothing ||Y||_F`.
pub(super) fn mean_singular_value(
    embeddings: &Tensor<2>,
    smoothing: f64,
    gradient: bool,
) -> Surrogate<1> {
    let [batch, dim] = embeddings.dims();
    // The Gram matrix is taken on the shorter side.
    let wide = batch < dim;
    let tall = if wide {
        embeddings.clone().transpose()
    } else {
        embeddings.clone()
    };
    let [rows, rank] = tall.dims();

    // So that no square leaves the range of the type; 1 for most batches.
    let scale = safe_scale(tall.clone().abs().max());
    let tall = tall / scale.clone().unsqueeze::<2>();
    let norm = tall.clone().square().sum().sqrt();
    // A zero matrix stays zero.
    let divisor = norm.clone().mask_fill(norm.clone().equal_elem(0.0), 1.0);
    let unit = tall / divisor.unsqueeze::<2>();

    let identity = Tensor::<2>::eye(rank, &unit.device()).cast(unit.dtype());
    let ridge = identity.clone().mul_scalar(smoothing);
    let factor = polar_factor(Tensor::cat(vec![unit.clone(), ridge], 0), smoothing);
    let upper = factor.clone().narrow(0, 0, rows);
    // delta tr(Q), both of what the ridge adds to the value and of what delta adds to the gradient.
    let ridge_share = (factor.narrow(0, rows, rank) * identity)
        .sum()
        .mul_scalar(smoothing);

    let mean = 1.0 / rank as f64;
    let sum = ((unit.clone() * upper.clone()).sum() + ridge_share.clone()) * norm;
    let value = sum.mul_scalar(mean) * scale;
    let coefficients = gradient.then(|| {
        let coefficients = (upper + unit * ridge_share.unsqueeze::<2>()).mul_scalar(mean);
        [if wide {
            coefficients.transpose()
        } else {
            coefficients
        }]
    });
    Surrogate {
        value,
        coefficients,
    }
}

/// The polar factor of a tall matrix with Frobenius norm 1 and singular values of at least `smallest`.
fn polar_factor(matrix: Tensor<2>, smallest: f64) -> Tensor<2> {
    let tolerance = match matrix.dtype() {
        DType::F64 => 1e-12,
        _ => 1e-8,
    };
    let mut factor = matrix;
    for (i, step) in steps_to_one(smallest, tolerance).into_iter().enumerate() {
        let mut gram = factor.clone().transpose().matmul(factor.clone());
        let mut gram_squared = gram.clone().matmul(gram.clone());
        if i == 0 {
            // ||G^2||_F^{1/4} bounds the largest singular value from above.
            let square = gram_squared
                .clone()
                .square()
                .sum()
                .sqrt()
                .sqrt()
                .unsqueeze::<2>();
            gram = gram / square.clone();
            gram_squared = gram_squared / square.clone().square();
            factor = factor / square.sqrt();
        }
        factor = factor.clone().mul_scalar(step.a)
            + factor.matmul(gram.mul_scalar(step.b) + gram_squared.mul_scalar(step.c));
    }
    factor
}
