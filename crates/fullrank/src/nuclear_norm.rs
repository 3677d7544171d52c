//! The smoothed nuclear norm and its gradient, by matrix products alone.
//!
//! # What is computed
//!
//! For `Y` (b x d) with singular values `s_i`, `r = min(b, d)` of them, and root mean square
//! `rho = ||Y||_F / sqrt(r)`,
//!
//! ```text
//! N(Y) = sum_i s_i p_i,   p_i = s_i / sqrt(s_i^2 + delta^2),   delta = 3e-4 rho
//! ```
//!
//! `N` is the nuclear norm `sum_i s_i` but for singular values near `delta`: `s - s p` is 0 at
//! `s = 0`, at most `0.301 delta`, and `delta^2 / 2 s` for `s >> delta`. So `N / r` is below the mean
//! singular value by at most `1e-4 rho`, whatever the spectrum.
//!
//! The gradient is exact:
//!
//! ```text
//! dN/dY = U diag(p (2 - p^2)) V^T - (sum_i p_i^2 sqrt(1 - p_i^2)) delta Y / ||Y||_F^2
//! ```
//!
//! where the second term, parallel to `Y`, comes from `delta`. A singular value far above `delta`
//! gets the full push of the nuclear norm, 1, one near `delta` at most 1.09 (at `sqrt(2) delta`), and
//! one far below `2 s / delta`: the direction of a vanishing singular vector is rounding noise, and
//! this leaves it alone,
//! with no division by small differences anywhere.
//!
//! # How
//!
//! `P = Y (Y^T Y + delta^2)^{-1/2}` is the upper block of the polar factor of `[Y; delta I]`, whose
//! singular values lie between `delta` and `||Y||_F` (up to rounding), a known interval.
//! [Minimax steps](crate::minimax) from there reach rounding accuracy after a number of steps fixed
//! beforehand (8 to 11 in f32, up to r = 8192). The
//! matrix is scaled by `||G^2||_F^{1/4}`, `G = Y^T Y`, an upper bound of its largest singular value
//! that costs nothing since the first step needs `G^2` anyway. Working on `Y`, not on its Gram
//! matrix, keeps the accuracy of small singular values: squaring would halve the digits.

use burn::tensor::{DType, Tensor};

use crate::minimax::steps_to_one;
use crate::surrogate::Evaluation;

/// `delta` as a share of the root mean square singular value.
const SMOOTHING: f64 = 3e-4;

/// `N(embeddings)` and its gradient.
///
/// A zero matrix has value and gradient zero; a NaN anywhere makes both NaN.
pub(crate) fn nuclear_norm(embeddings: &Tensor<2>, gradient: bool) -> Evaluation<1> {
    let [batch, dim] = embeddings.dims();
    // The Gram matrix is taken on the shorter side.
    let wide = batch < dim;
    let tall = if wide {
        embeddings.clone().transpose()
    } else {
        embeddings.clone()
    };
    let [rows, rank] = tall.dims();

    let norm = tall.clone().square().sum().sqrt();
    // A zero matrix stays zero.
    let divisor = norm.clone().mask_fill(norm.clone().equal_elem(0.0), 1.0);
    let unit = tall / divisor.unsqueeze::<2>();

    let delta = SMOOTHING / (rank as f64).sqrt();
    let identity = Tensor::<2>::eye(rank, &unit.device()).cast(unit.dtype());
    let ridge = identity.clone().mul_scalar(delta);
    let polar = polar_factor(Tensor::cat(vec![unit.clone(), ridge], 0), delta);
    let upper = polar.clone().narrow(0, 0, rows);

    let value = (unit.clone() * upper.clone()).sum() * norm;
    let coefficients = gradient.then(|| {
        // The polar factor has orthonormal columns: lower^2 = I - upper^T upper, lower = sqrt(1 - p^2).
        let lower = polar.narrow(0, rows, rank);
        let lower_squared = lower.clone().matmul(lower.clone());
        // sum_i p_i^2 sqrt(1 - p_i^2) = trace(lower - lower^3)
        let tilt = (lower * (identity - lower_squared.clone())).sum();
        let towards_polar = upper.clone() + upper.matmul(lower_squared);
        let coefficients = towards_polar - unit * tilt.mul_scalar(delta).unsqueeze::<2>();
        [if wide {
            coefficients.transpose()
        } else {
            coefficients
        }]
    });
    Evaluation {
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
