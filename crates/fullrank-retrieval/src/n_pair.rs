//! The N-pair loss.

use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Bool, Int, Tensor};
use fullrank::Terms;

use crate::Tuples;
use crate::distance::{prepared, products};
use crate::masks::{Masks, log_sum_exp, masked_mean, softplus};
use crate::methods::{assert_not_negative, loss_module};
use crate::ranking_loss::RankingLoss;

/// Configuration of [`NPair`].
#[derive(Config, Debug, PartialEq)]
pub struct NPairConfig {
    /// The weight of the mean squared norm of the rows as they are given, for use without
    /// normalisation. Default: `0.0`
    #[config(default = 0.0)]
    pub l2_weight: f64,
    /// Whether the rows are divided by their 2-norm first. Default: `true`
    #[config(default = true)]
    pub normalize: bool,
}

impl NPairConfig {
    /// Initializes the loss.
    ///
    /// # Panics
    ///
    /// If the weight is negative or not finite.
    pub fn init(&self) -> NPair {
        assert_not_negative("l2 weight of the N-pair loss", self.l2_weight);
        NPair {
            l2_weight: self.l2_weight,
            normalize: self.normalize,
        }
    }
}

/// The N-pair loss: one pair of each class, each anchor against the positives of all other classes.
///
/// ```text
/// loss = mean over pairs (a, p) of log(1 + sum_n exp(<a, n> - <a, p>)) + l2_weight * mean |row|^2
/// ```
///
/// With labels, the first two rows of a class in the batch are its anchor and its positive, and `n`
/// runs over the positives of the other classes; further rows and classes with one row count only in
/// the mean of the squared norms. With [pairs](crate::Pairs), `n` runs over the negatives of the anchor.
///
/// # Terms
///
/// `n_pair`, and `l2`: the mean squared norm of the rows.
///
/// # Source
///
/// Sohn, "Improved Deep Metric Learning with Multi-class N-pair Loss Objective", NeurIPS 2016
/// (N-pair-mc).
#[derive(Module, Debug)]
#[module(custom_display)]
pub struct NPair {
    /// The weight of the mean squared norm.
    pub l2_weight: f64,
    /// Whether the rows are divided by their 2-norm first.
    pub normalize: bool,
}

loss_module!(
    NPair,
    NPairConfig {
        l2_weight,
        normalize
    }
);

/// The masks of one pair of each class: the first row of a class is the anchor, the second the
/// positive; the negatives of an anchor are the positives of the other classes.
pub(crate) fn first_pairs(masks: &Masks) -> Masks {
    let [batch, _] = masks.positive.dims();
    let device = masks.positive.device();
    // `tril_mask` is false on and below the diagonal shifted by -1, that is where j < i.
    let earlier = Tensor::<2, Bool>::tril_mask([batch, batch], -1, &device).bool_not();
    let rank = masks.positive.clone().bool_and(earlier).int().sum_dim(1);
    let first = rank.clone().equal_elem(0).expand([batch, batch]);
    let second = rank.equal_elem(1).transpose().expand([batch, batch]);
    let chosen = first.bool_and(second);
    Masks {
        positive: masks.positive.clone().bool_and(chosen.clone()),
        negative: masks.negative.clone().bool_and(chosen),
    }
}

impl NPair {
    fn of_masks(&self, embeddings: Tensor<2>, masks: &Masks) -> Terms {
        let norms = prepared(embeddings.clone(), false)
            .square()
            .sum_dim(1)
            .mean();
        let rows = prepared(embeddings, self.normalize);
        let similarities = products(&rows);
        // Of each anchor, log(sum_n exp(s_n)) once; log(1 + exp(that - s_p)) for each positive.
        let against = log_sum_exp(similarities.clone(), &masks.negative);
        let losses = softplus(against - similarities);
        let loss = masked_mean(losses, &masks.positive);
        let mut total = loss.clone();
        if self.l2_weight != 0.0 {
            total = total + norms.clone().mul_scalar(self.l2_weight);
        }
        Terms::new(total).with("n_pair", loss).with("l2", norms)
    }
}

impl RankingLoss for NPair {
    fn forward_terms(&self, embeddings: Tensor<2>, labels: Tensor<1, Int>) -> Terms {
        let masks = first_pairs(&Masks::of_labels(&embeddings, &labels));
        self.of_masks(embeddings, &masks)
    }

    fn forward_tuples(&self, embeddings: Tensor<2>, tuples: &Tuples) -> Terms {
        let masks = Masks::of_pairs(&embeddings, &tuples.to_pairs());
        self.of_masks(embeddings, &masks)
    }
}
