//! The second moments that the variance, covariance and Barlow Twins terms share.

use burn::tensor::Tensor;

/// A batch with its column means removed, and the variances of its columns.
#[derive(Clone)]
pub(crate) struct Centred {
    /// `Z - mean`, shape `[batch, dim]`.
    pub(crate) rows: Tensor<2>,
    /// Unbiased variances, shape `[1, dim]`; 0 for a batch of one.
    pub(crate) variance: Tensor<2>,
}

impl Centred {
    pub(crate) fn new(embeddings: Tensor<2>) -> Self {
        let mean = embeddings.clone().mean_dim(0);
        let rows = embeddings - mean;
        let variance = rows
            .clone()
            .square()
            .sum_dim(0)
            .div_scalar(degrees_of_freedom(rows.dims()[0]));
        Self { rows, variance }
    }

    pub(crate) fn degrees_of_freedom(&self) -> f64 {
        degrees_of_freedom(self.rows.dims()[0])
    }
}

/// `batch - 1`, and 1 for a batch of one, whose deviations are all zero.
fn degrees_of_freedom(batch: usize) -> f64 {
    (batch.max(2) - 1) as f64
}

/// `sum_{i != j} M_ij^2` for `M = A^T B / n` (A, B both b x d), with its gradient in `A` and in `B`.
///
/// The d x d matrix is formed only if `d <= b`. Otherwise, with the b x b Gram matrices,
///
/// ```text
/// sum_ij M_ij^2 = <A A^T, B B^T> / n^2,      sum_i M_ii^2 = sum_i (A^T B)_ii^2 / n^2
/// dA = (2 / n) (B B^T A / n - B diag(M)),    dB = (2 / n) (A A^T B / n - A diag(M))
/// ```
///
/// (Garrido et al., [arXiv 2206.02574](https://arxiv.org/abs/2206.02574), Theorem 3.3, for A = B.)
/// A difference of sums never falls below zero by rounding: the value is clamped.
pub(crate) struct OffDiagonal {
    /// `sum_{i != j} M_ij^2`, shape `[1]`.
    pub(crate) value: Tensor<1>,
    /// Its gradients in `A` and `B`.
    pub(crate) gradients: Option<[Tensor<2>; 2]>,
}

impl OffDiagonal {
    pub(crate) fn new(a: &Tensor<2>, b: &Tensor<2>, n: f64, gradient: bool) -> Self {
        let [batch, dim] = a.dims();
        if dim <= batch {
            let cross = a.clone().transpose().matmul(b.clone()).div_scalar(n);
            let identity = Tensor::<2>::eye(dim, &cross.device()).cast(cross.dtype());
            let cross = cross.clone() - cross * identity;
            let gradients = gradient.then(|| {
                [
                    b.clone()
                        .matmul(cross.clone().transpose())
                        .mul_scalar(2.0 / n),
                    a.clone().matmul(cross.clone()).mul_scalar(2.0 / n),
                ]
            });
            return Self {
                value: cross.square().sum(),
                gradients,
            };
        }
        let gram_a = a.clone().matmul(a.clone().transpose()).div_scalar(n);
        let gram_b = b.clone().matmul(b.clone().transpose()).div_scalar(n);
        let diagonal = (a.clone() * b.clone()).sum_dim(0).div_scalar(n);
        let all = (gram_a.clone() * gram_b.clone()).sum();
        let value = all - diagonal.clone().square().sum();
        let gradients = gradient.then(|| {
            [
                (gram_b.matmul(a.clone()) - b.clone() * diagonal.clone()).mul_scalar(2.0 / n),
                (gram_a.matmul(b.clone()) - a.clone() * diagonal).mul_scalar(2.0 / n),
            ]
        });
        Self {
            value: value.clone().mask_fill(value.lower_elem(0.0), 0.0),
            gradients,
        }
    }
}
