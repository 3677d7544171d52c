//! Which pairs of a batch are positive and which negative, as matrices on the embeddings' device, and
//! sums over the pairs that count.
//!
//! Everything a loss does with labels goes through these masks, so that a training step reads
//! nothing back from the device.

use burn::tensor::{Bool, DType, Device, Int, Tensor, TensorData};

use crate::Pairs;

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
    /// If there is no label for each of the `batch` rows.
    pub(crate) fn of_labels(batch: usize, labels: &Tensor<1, Int>) -> Self {
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
    /// If an index is not below `batch`.
    pub(crate) fn of_pairs(batch: usize, pairs: &Pairs, device: &Device) -> Self {
        let mask = |pairs: &[[usize; 2]]| {
            let mut mask = vec![false; batch * batch];
            for &[anchor, other] in pairs {
                assert!(
                    anchor < batch && other < batch,
                    "the pair ({anchor}, {other}) is not one of a batch of {batch}"
                );
                mask[anchor * batch + other] = true;
            }
            Tensor::<2, Bool>::from_data(TensorData::new(mask, [batch, batch]), device)
        };
        Self {
            positive: mask(&pairs.positive),
            negative: mask(&pairs.negative),
        }
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
    mask.clone().any_dim(1)
}

/// The entries above zero. A NaN is one: it must stay visible.
pub(crate) fn above_zero<const D: usize>(values: &Tensor<D>) -> Tensor<D, Bool> {
    values.clone().lower_equal_elem(0.0).bool_not()
}

/// The chosen entries; 0 in place of the others, whatever they were.
pub(crate) fn only<const D: usize>(values: Tensor<D>, mask: &Tensor<D, Bool>) -> Tensor<D> {
    values.mask_fill(mask.clone().bool_not(), 0.0)
}

/// How many entries are chosen, 1 at least, shape `[1]`, in the precision of `like`.
pub(crate) fn count<const D: usize, const E: usize>(
    mask: &Tensor<D, Bool>,
    like: &Tensor<E>,
) -> Tensor<1> {
    indicator(mask, like).sum().clamp_min(1.0)
}

/// The weight of each entry in the mean of the chosen ones: 1 by their number, 0 for the others.
pub(crate) fn mean_weights<const D: usize, const E: usize>(
    mask: &Tensor<D, Bool>,
    like: &Tensor<E>,
) -> Tensor<D> {
    let weights = indicator(mask, like);
    weights.clone() / weights.sum().clamp_min(1.0).unsqueeze::<D>()
}

/// `log(sum of exp(logits))` over the chosen entries of each row.
pub(crate) struct LogSumExp {
    /// Shape `[rows, 1]`; far below every other number, but finite, where none is chosen: a GPU need not
    /// know infinities.
    pub(crate) log: Tensor<2>,
    /// Its derivative in the logits, of their shape: the share of each in the sum.
    pub(crate) shares: Tensor<2>,
}

impl LogSumExp {
    pub(crate) fn new(logits: Tensor<2>, mask: &Tensor<2, Bool>) -> Self {
        let unchosen = mask.clone().bool_not();
        let least = match logits.dtype() {
            DType::F64 => -f64::MAX / 4.0,
            _ => f64::from(-f32::MAX / 4.0),
        };
        let logits = logits.mask_fill(unchosen.clone(), least);
        let top = logits.clone().max_dim(1);
        let beyond = top.clone().is_inf();
        let top = top.mask_fill(beyond, 0.0);
        let powers = (logits - top.clone()).exp().mask_fill(unchosen, 0.0);
        let sum = powers.clone().sum_dim(1);
        let none = any_in_row(mask).bool_not();
        let sum = sum.mask_fill(none.clone(), 1.0);
        Self {
            log: (sum.clone().log() + top).mask_fill(none, least),
            shares: powers / sum,
        }
    }
}

/// `log(exp(a) + exp(b))`
pub(crate) fn log_add_exp(a: Tensor<2>, b: Tensor<2>) -> Tensor<2> {
    let apart = (a.clone() - b.clone()).abs();
    a.max_pair(b) + apart.neg().exp().log1p()
}

/// `log(1 + exp(x))`
pub(crate) fn softplus<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    x.clone().clamp_min(0.0) + x.abs().neg().exp().log1p()
}

/// `1 / (1 + exp(-x))`, the derivative of [`softplus`].
pub(crate) fn sigmoid<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    let negative = x.clone().lower_elem(0.0);
    let power = x.abs().neg().exp();
    let upper = power.clone().add_scalar(1.0).recip();
    upper.clone().mask_where(negative, power * upper)
}
