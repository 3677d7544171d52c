//! The multi-similarity loss.

use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Int, Tensor};
use fullrank::Terms;

use crate::Tuples;
use crate::distance::{prepared, products};
use crate::masks::{Masks, log_one_plus_sum_exp};
use crate::methods::{assert_finite, assert_not_negative, assert_positive, loss_module};
use crate::ranking_loss::RankingLoss;

/// Beyond every similarity.
const FAR: f64 = 1e30;

/// Configuration of [`MultiSimilarity`].
#[derive(Config, Debug, PartialEq)]
pub struct MultiSimilarityConfig {
    /// The sharpness of the positive term. Default: `2.0`
    #[config(default = 2.0)]
    pub alpha: f64,
    /// The sharpness of the negative term. Default: `50.0`
    #[config(default = 50.0)]
    pub beta: f64,
    /// The similarity lambda that separates the two; 0.5 as in pytorch-metric-learning.
    /// Default: `0.5`
    #[config(default = 0.5)]
    pub base: f64,
    /// If set, the pair mining of the source with this epsilon (there 0.1): of the pairs of an anchor,
    /// only positives less similar than its most similar negative plus epsilon, and negatives more
    /// similar than its least similar positive minus epsilon. Default: `None`
    pub mining_epsilon: Option<f64>,
    /// Whether the rows are divided by their 2-norm first. Default: `true`
    #[config(default = true)]
    pub normalize: bool,
}

impl MultiSimilarityConfig {
    /// Initializes the loss.
    ///
    /// # Panics
    ///
    /// If a sharpness is not positive, the base not finite or epsilon negative.
    pub fn init(&self) -> MultiSimilarity {
        assert_positive("alpha of the multi-similarity loss", self.alpha);
        assert_positive("beta of the multi-similarity loss", self.beta);
        assert_finite("base of the multi-similarity loss", self.base);
        if let Some(epsilon) = self.mining_epsilon {
            assert_not_negative("mining epsilon of the multi-similarity loss", epsilon);
        }
        MultiSimilarity {
            alpha: self.alpha,
            beta: self.beta,
            base: self.base,
            mining_epsilon: self.mining_epsilon,
            normalize: self.normalize,
        }
    }
}

/// The multi-similarity loss: every pair weighted by its similarity and by the others of its anchor.
///
/// ```text
/// loss = mean over rows a of  1/alpha log(1 + sum_p exp(-alpha (<a, p> - base)))
///                           + 1/beta  log(1 + sum_n exp(beta (<a, n> - base)))
/// ```
///
/// The mean is over all rows of the batch; one without pairs counts as 0.
///
/// # Terms
///
/// `positive` and `negative`, whose sum is the loss.
///
/// # Source
///
/// Wang, Han, Huang, Dong and Scott, "Multi-Similarity Loss with General Pair Weighting for Deep
/// Metric Learning", 2019, [arXiv 1904.06627](https://arxiv.org/abs/1904.06627).
#[derive(Module, Debug)]
#[module(custom_display)]
pub struct MultiSimilarity {
    /// The sharpness of the positive term.
    pub alpha: f64,
    /// The sharpness of the negative term.
    pub beta: f64,
    /// The similarity that separates the two.
    pub base: f64,
    /// The epsilon of the pair mining, if there is one.
    pub mining_epsilon: Option<f64>,
    /// Whether the rows are divided by their 2-norm first.
    pub normalize: bool,
}

loss_module!(
    MultiSimilarity,
    MultiSimilarityConfig {
        alpha,
        beta,
        base,
        mining_epsilon,
        normalize
    }
);

impl MultiSimilarity {
    fn of_masks(&self, similarities: Tensor<2>, masks: &Masks) -> Terms {
        let term = |sharpness: f64, mask| {
            let logits = similarities
                .clone()
                .sub_scalar(self.base)
                .mul_scalar(sharpness);
            log_one_plus_sum_exp(logits, mask)
                .mean()
                .div_scalar(sharpness.abs())
        };
        let positive = term(-self.alpha, &masks.positive);
        let negative = term(self.beta, &masks.negative);
        Terms::new(positive.clone() + negative.clone())
            .with("positive", positive)
            .with("negative", negative)
    }
}

/// The pairs that the mining of the source leaves.
fn mined(similarities: &Tensor<2>, masks: Masks, epsilon: f64) -> Masks {
    let plain = similarities.clone().without_autodiff();
    let [batch, _] = plain.dims();
    let hardest_negative = plain
        .clone()
        .mask_fill(masks.negative.clone().bool_not(), -FAR)
        .max_dim(1)
        .add_scalar(epsilon)
        .expand([batch, batch]);
    let hardest_positive = plain
        .clone()
        .mask_fill(masks.positive.clone().bool_not(), FAR)
        .min_dim(1)
        .sub_scalar(epsilon)
        .expand([batch, batch]);
    // What is not too easy: so a NaN, which compares with nothing, stays.
    let easy_positive = plain.clone().greater_equal(hardest_negative);
    let easy_negative = plain.lower_equal(hardest_positive);
    Masks {
        positive: masks.positive.bool_and(easy_positive.bool_not()),
        negative: masks.negative.bool_and(easy_negative.bool_not()),
    }
}

impl RankingLoss for MultiSimilarity {
    fn forward_terms(&self, embeddings: Tensor<2>, labels: Tensor<1, Int>) -> Terms {
        let masks = Masks::of_labels(&embeddings, &labels);
        let similarities = products(&prepared(embeddings, self.normalize));
        let masks = match self.mining_epsilon {
            Some(epsilon) => mined(&similarities, masks, epsilon),
            None => masks,
        };
        self.of_masks(similarities, &masks)
    }

    fn forward_tuples(&self, embeddings: Tensor<2>, tuples: &Tuples) -> Terms {
        let masks = Masks::of_pairs(&embeddings, &tuples.to_pairs());
        let similarities = products(&prepared(embeddings, self.normalize));
        self.of_masks(similarities, &masks)
    }
}
