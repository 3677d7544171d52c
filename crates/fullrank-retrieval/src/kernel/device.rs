//! Rows on the embeddings' device, in their precision, by Burn's tensors: nothing is read back.

use std::ops::Range;

use burn::tensor::{Bool, Tensor};

use super::Kernel;
use crate::Distance;

/// So many differences or products of entries are held at once, 32 MB in f32; those of one row at least.
const HELD: usize = 1 << 23;

/// The rows of a batch as they are compared.
pub(super) struct RowsOnDevice {
    entries: Tensor<2>,
    norms: Option<Norms>,
}

/// The 2-norms of rows, `top * scaled` each, since their squares may be beyond every number.
struct Norms {
    /// The largest entry in absolute value, 1 for a row of zeros.
    top: Tensor<2>,
    /// The norm of the row divided by that, 1 for a row of zeros.
    scaled: Tensor<2>,
    /// The rows of zeros, shape `[batch, 1]`.
    zero: Tensor<2, Bool>,
}

impl RowsOnDevice {
    /// The rows of a matrix, divided by their 2-norm if asked for.
    pub(super) fn new(embeddings: &Tensor<2>, unit: bool) -> Self {
        if !unit {
            return Self {
                entries: embeddings.clone(),
                norms: None,
            };
        }
        let top = embeddings.clone().abs().max_dim(1);
        let zero = top.clone().equal_elem(0.0);
        let top = top.mask_fill(zero.clone(), 1.0);
        let entries = embeddings.clone() / top.clone();
        let scaled = entries.clone().square().sum_dim(1).sqrt();
        let scaled = scaled.mask_fill(zero.clone(), 1.0);
        Self {
            entries: entries / scaled.clone(),
            norms: Some(Norms { top, scaled, zero }),
        }
    }

    pub(super) fn dim(&self) -> usize {
        self.entries.dims()[1]
    }

    /// `f` of some rows, shape `[some, 1, dim]`, of all, shape `[1, batch, dim]`, and of the range of the
    /// former; its results, one row each, one below the other.
    fn by_blocks(&self, f: impl Fn(Tensor<3>, Tensor<3>, Range<usize>) -> Tensor<2>) -> Tensor<2> {
        let [batch, dim] = self.entries.dims();
        let block = (HELD / (batch * dim)).max(1);
        let all = self.entries.clone().unsqueeze_dim::<3>(0);
        let blocks = (0..batch).step_by(block).map(|start| {
            let rows = start..batch.min(start + block);
            let some = self.entries.clone().slice([rows.clone()]);
            f(some.unsqueeze_dim::<3>(1), all.clone(), rows)
        });
        Tensor::cat(blocks.collect(), 0)
    }

    /// The pairs with a row of zeros, shape `[batch, batch]`, if rows are divided by their norms.
    fn without_direction(&self) -> Option<Tensor<2, Bool>> {
        let [batch, _] = self.entries.dims();
        let shape = [batch, batch];
        self.norms.as_ref().map(|norms| {
            let zero = norms.zero.clone();
            let across = zero.clone().transpose().expand(shape);
            zero.expand(shape).bool_or(across)
        })
    }

    /// The kernel of all rows. For the cosine distance they must be divided by their norms.
    pub(super) fn kernel(&self, kernel: Kernel) -> Tensor<2> {
        let Kernel::Distance(kind) = kernel else {
            // Not as a product of matrices: a GPU may round the factors of one.
            return self.by_blocks(|some, all, _| (some * all).sum_dim(2).squeeze_dim::<2>(2));
        };
        let distances = self.by_blocks(|some, all, _| {
            let differences = some - all;
            let top = differences.clone().abs().max_dim(2);
            let zero = top.clone().equal_elem(0.0);
            let scaled = differences / top.clone().mask_fill(zero, 1.0);
            let norms = scaled.square().sum_dim(2).sqrt();
            (top * norms).squeeze_dim::<2>(2)
        });
        match kind {
            Distance::Euclidean => distances,
            Distance::SquaredEuclidean => distances.square(),
            Distance::Cosine => {
                let halves = distances.square().div_scalar(2.0);
                match self.without_direction() {
                    Some(pairs) => {
                        // Not 1 beside a NaN.
                        let ones = halves.clone().mul_scalar(0.0).add_scalar(1.0);
                        halves.mask_where(pairs, ones)
                    }
                    None => halves,
                }
            }
        }
    }

    /// The derivative in the embeddings from that in the kernel.
    pub(super) fn gradient(
        &self,
        kernel: Kernel,
        values: &Tensor<2>,
        weights: &Tensor<2>,
    ) -> Tensor<2> {
        let weights = weights.clone() + weights.clone().transpose();
        let slopes = match kernel {
            Kernel::Product => {
                return self.by_blocks(|_, all, rows| {
                    let weights = weights.clone().slice([rows]).unsqueeze_dim::<3>(2);
                    (all * weights).sum_dim(1).squeeze_dim::<2>(1)
                });
            }
            Kernel::Distance(Distance::Euclidean) => {
                let zero = values.clone().equal_elem(0.0);
                let distances = values.clone().mask_fill(zero.clone(), 1.0);
                (weights / distances).mask_fill(zero, 0.0)
            }
            Kernel::Distance(Distance::SquaredEuclidean) => weights.mul_scalar(2.0),
            Kernel::Distance(Distance::Cosine) => match self.without_direction() {
                Some(pairs) => weights.mask_fill(pairs, 0.0),
                None => weights,
            },
        };
        let gradient = self.by_blocks(|some, all, rows| {
            let slopes = slopes.clone().slice([rows]).unsqueeze_dim::<3>(2);
            ((some - all) * slopes).sum_dim(1).squeeze_dim::<2>(1)
        });
        let Some(Norms { top, scaled, zero }) = &self.norms else {
            return gradient;
        };
        let along = (gradient.clone() * self.entries.clone()).sum_dim(1);
        let across = gradient - self.entries.clone() * along;
        let gradient = across / scaled.clone() / top.clone();
        gradient.mask_fill(zero.clone().expand(self.entries.dims()), 0.0)
    }
}
