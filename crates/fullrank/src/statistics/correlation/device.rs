//! The cross-correlation of two views on their device: see [`correlation`](super).

use burn::tensor::Tensor;

use super::CorrelationTerms;
use crate::statistics::{clamped, diagonal_mask};
use crate::surrogate::{Surrogate, scalar};

/// With `A`, `B` the standardized views and `M = A^T B / n`,
///
/// ```text
/// d/dA sum_{i != j} M_ij^2 = (2 / n) B (M - diag(M))^T       d <= n
///                          = (2 / n) (B B^T A / n - B diag(M))
/// ```
///
/// and likewise in `B`; for `n < d`, `sum_ij M_ij^2 = <A A^T, B B^T> / n^2`.
pub(super) fn cross_correlation(
    views: &[Tensor<2>; 2],
    epsilon: f64,
    terms: CorrelationTerms,
    gradient: bool,
) -> Surrogate<2> {
    let [batch, dim] = views[0].dims();
    let n = batch as f64;
    let [first, second] = views
        .each_ref()
        .map(|view| StandardizedView::new(view.clone(), epsilon));
    let (a, b) = (first.rows.clone(), second.rows.clone());
    let diagonal = (a.clone() * b.clone()).sum_dim(0).div_scalar(n);

    let mut value = scalar(&views[0], 0.0);
    // The terms of the other view's columns in the gradient.
    let mut columns = diagonal.zeros_like();
    if let Some(factor) = terms.invariance {
        let missing = diagonal.clone().neg().add_scalar(1.0);
        value = value + missing.clone().square().sum().mul_scalar(factor);
        columns = missing.mul_scalar(-2.0 / n * factor);
    }
    let gradients = match terms.redundancy {
        None => gradient.then(|| [b * columns.clone(), a * columns]),
        Some(factor) if batch < dim => {
            let [gram_a, gram_b] =
                [&a, &b].map(|x| x.clone().matmul(x.clone().transpose()).div_scalar(n));
            let all = (gram_a.clone() * gram_b.clone()).sum();
            let squares = diagonal.clone().square().sum();
            value = value + clamped(all - squares).mul_scalar(factor);
            gradient.then(|| {
                let slope = 2.0 / n * factor;
                let columns = columns - diagonal.mul_scalar(slope);
                [
                    gram_b.mul_scalar(slope).matmul(a.clone()) + b.clone() * columns.clone(),
                    gram_a.mul_scalar(slope).matmul(b) + a * columns,
                ]
            })
        }
        Some(factor) => {
            let cross = a.clone().transpose().matmul(b.clone()).div_scalar(n);
            let on_diagonal = diagonal_mask(&a);
            let cross = cross.mask_fill(on_diagonal.clone(), 0.0);
            // The diagonal does not count, but a NaN in it is to be seen.
            let nothing = diagonal.mul_scalar(0.0).sum();
            value = value + (cross.clone().square().sum() + nothing).mul_scalar(factor);
            gradient.then(|| {
                let side = cross
                    .mul_scalar(2.0 / n * factor)
                    .mask_where(on_diagonal, columns.expand([dim, dim]));
                [b.matmul(side.clone().transpose()), a.matmul(side)]
            })
        }
    };
    Surrogate {
        value,
        coefficients: gradients
            .map(|[in_first, in_second]| [first.gradient(in_first), second.gradient(in_second)]),
    }
}

/// A batch whose columns have mean 0 and (biased) variance 1.
struct StandardizedView {
    rows: Tensor<2>,
    /// `1 / sqrt(Var + epsilon)`, shape `[1, dim]`.
    scale: Tensor<2>,
}

/// Deviations whose squares are well within the range of f32.
const LARGE: f64 = 1e10;

impl StandardizedView {
    fn new(embeddings: Tensor<2>, epsilon: f64) -> Self {
        let mean = embeddings.clone().mean_dim(0);
        let centred = embeddings - mean;
        // So that no square leaves the range of the type; 1 for most columns.
        let sizes = centred.clone().abs().max_dim(0);
        let sizes = sizes.div_scalar(LARGE).clamp_min(1.0);
        let centred = centred / sizes.clone();
        let variance = centred.clone().square().mean_dim(0);
        let epsilon = sizes.clone().square().recip().mul_scalar(epsilon);
        let scale = (variance + epsilon).sqrt().recip();
        Self {
            rows: centred * scale.clone(),
            scale: scale / sizes,
        }
    }

    /// The gradient in the embeddings, given that in the standardized rows.
    fn gradient(&self, standardized: Tensor<2>) -> Tensor<2> {
        let mean = standardized.clone().mean_dim(0);
        let along = (standardized.clone() * self.rows.clone()).mean_dim(0);
        (standardized - mean - self.rows.clone() * along) * self.scale.clone()
    }
}
