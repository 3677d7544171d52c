//! Which pairs of a batch are positive and which negative, as matrices on the embeddings' device.
//!
//! Everything a loss does with labels goes through these masks, so that a training step reads
//! nothing back from the device.

use burn::tensor::{Bool, Int, Tensor, TensorData};

use crate::Pairs;

/// A logit that no softmax sees.
const NEVER: f64 = -1e30;

/// The positive and the negative pairs of a batch: entry `[i, j]` stands for anchor `i` and other `j`.
#[derive(Clone, Debug)]
pub(crate) struct Masks {
    /// Shape `[batch, batch]`.
    pub(crate) positive: Tensor<2, Bool>,
    /// Shape `[batch, batch]`.
    pub(crate) negative: Tensor<2, Bool>,
}

impl Masks {
    /// All ordered pairs of two different rows.
    ///
    /// # Panics
    ///
    /// If there is no label for each row.
    pub(crate) fn of_labels(embeddings: &Tensor<2>, labels: &Tensor<1, Int>) -> Self {
        let [batch, dim] = embeddings.dims();
        assert!(
            batch > 0 && dim > 0,
            "the embeddings must have at least one row and one dimension, got [{batch}, {dim}]"
        );
        assert_eq!(
            labels.dims(),
            [batch],
            "there must be one label for each of the {batch} rows"
        );
        let labels = labels.clone().without_autodiff();
        let same = labels
            .clone()
            .unsqueeze_dim::<2>(1)
            .equal(labels.unsqueeze_dim::<2>(0));
        Self {
            // `diag_mask` is false on the diagonal.
            positive: same
                .clone()
                .bool_and(Tensor::diag_mask([batch, batch], 0, &same.device())),
            negative: same.bool_not(),
        }
    }

    /// The listed pairs.
    ///
    /// # Panics
    ///
    /// If an index is not one of a row.
    pub(crate) fn of_pairs(embeddings: &Tensor<2>, pairs: &Pairs) -> Self {
        let [batch, _] = embeddings.dims();
        let device = embeddings.device().without_autodiff();
        let mask = |pairs: &[[usize; 2]]| {
            let mut mask = vec![false; batch * batch];
            for &[anchor, other] in pairs {
                assert!(
                    anchor < batch && other < batch,
                    "the pair ({anchor}, {other}) is not one of a batch of {batch}"
                );
                mask[anchor * batch + other] = true;
            }
            Tensor::<2, Bool>::from_data(TensorData::new(mask, [batch, batch]), &device)
        };
        Self {
            positive: mask(&pairs.positive),
            negative: mask(&pairs.negative),
        }
    }

    /// Entry `[a, p, n]`: whether `(a, p)` is positive and `(a, n)` negative, shape
    /// `[batch, batch, batch]`.
    pub(crate) fn triplets(&self) -> Tensor<3, Bool> {
        let [batch, _] = self.positive.dims();
        let shape = [batch, batch, batch];
        let positive = self.positive.clone().unsqueeze_dim::<3>(2).expand(shape);
        let negative = self.negative.clone().unsqueeze_dim::<3>(1).expand(shape);
        positive.bool_and(negative)
    }
}

/// A mask as numbers 0 and 1, in the precision of `like`.
pub(crate) fn indicator<const D: usize, const E: usize>(
    mask: &Tensor<D, Bool>,
    like: &Tensor<E>,
) -> Tensor<D> {
    mask.clone().float().cast(like.dtype())
}

/// The rows that have an entry, shape `[.., 1]` in the last dimension.
pub(crate) fn any_in_row(mask: &Tensor<2, Bool>) -> Tensor<2, Bool> {
    mask.clone().int().sum_dim(1).greater_elem(0)
}

/// The sum of the chosen entries, shape `[1]`. A chosen NaN stays; an entry that is not chosen
/// contributes neither value nor gradient.
pub(crate) fn masked_sum<const D: usize>(values: Tensor<D>, mask: &Tensor<D, Bool>) -> Tensor<1> {
    values.mask_fill(mask.clone().bool_not(), 0.0).sum()
}

/// How many entries are chosen, shape `[1]`, in the precision of `like`.
pub(crate) fn count<const D: usize, const E: usize>(
    mask: &Tensor<D, Bool>,
    like: &Tensor<E>,
) -> Tensor<1> {
    indicator(mask, like).sum()
}

/// The mean of the chosen entries, shape `[1]`; exactly 0 if there are none.
pub(crate) fn masked_mean<const D: usize>(values: Tensor<D>, mask: &Tensor<D, Bool>) -> Tensor<1> {
    let count = count(mask, &values).clamp_min(1.0);
    masked_sum(values, mask) / count
}

/// `log(sum of exp(logits))` over the chosen entries of the last dimension, which becomes 1; -1e30
/// where none is chosen.
pub(crate) fn log_sum_exp<const D: usize>(logits: Tensor<D>, mask: &Tensor<D, Bool>) -> Tensor<D> {
    let unchosen = mask.clone().bool_not();
    let logits = logits.mask_fill(unchosen.clone(), NEVER);
    let top = logits.clone().without_autodiff().max_dim(D - 1);
    let sum = (logits - top.clone())
        .exp()
        .mask_fill(unchosen, 0.0)
        .sum_dim(D - 1);
    // No entry: the logarithm of 1, for its gradient is finite, far below every other number.
    let empty = sum.clone().lower_equal_elem(0.0);
    sum.mask_fill(empty, 1.0).log() + top
}

/// `log(1 + sum of exp(logits))` over the chosen entries of the last dimension, which becomes 1; 0
/// where none is chosen.
pub(crate) fn log_one_plus_sum_exp<const D: usize>(
    logits: Tensor<D>,
    mask: &Tensor<D, Bool>,
) -> Tensor<D> {
    let unchosen = mask.clone().bool_not();
    let logits = logits.mask_fill(unchosen.clone(), NEVER);
    let top = logits
        .clone()
        .without_autodiff()
        .max_dim(D - 1)
        .clamp_min(0.0);
    let sum = (logits - top.clone())
        .exp()
        .mask_fill(unchosen, 0.0)
        .sum_dim(D - 1);
    (sum + top.clone().neg().exp()).log() + top
}

/// `log(exp(a) + exp(b))`.
pub(crate) fn log_add_exp(a: Tensor<2>, b: Tensor<2>) -> Tensor<2> {
    let top = a
        .clone()
        .without_autodiff()
        .max_pair(b.clone().without_autodiff());
    ((a - top.clone()).exp() + (b - top.clone()).exp()).log() + top
}

/// `log(1 + exp(x))` without overflow.
pub(crate) fn softplus<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    let top = x.clone().without_autodiff().clamp_min(0.0);
    ((x - top.clone()).exp() + top.clone().neg().exp()).log() + top
}
