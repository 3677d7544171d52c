//! The multi-similarity loss.

use burn::module::Module;
use burn::tensor::{Bool, Int, Tensor};
use derive_setters::Setters;
use fullrank::internals::{
    burn_config, finite, finite_and_not_negative, finite_and_positive, one_line_display,
};
use fullrank::{HyperParameterError, Solver};
use serde::{Deserialize, Serialize};

use super::masks::{LogSumExp, Masks, sigmoid, softplus};
use super::pair_loss::{PairLoss, Summand};
use crate::RankingLoss;
use crate::kernel::{Kernel, KernelMatrix};

/// Configuration of [`MultiSimilarityLoss`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Setters)]
#[serde(default, deny_unknown_fields)]
#[setters(prefix = "with_")]
pub struct MultiSimilarityLossConfig {
    /// The sharpness of the positive term. Default: `2.0`
    pub alpha: f64,
    /// The sharpness of the negative term. Default: `50.0`
    pub beta: f64,
    /// The similarity lambda that separates the two; 0.5 as in pytorch-metric-learning.
    /// Default: `0.5`
    pub base: f64,
    /// If set, the pair mining of the source with this epsilon (there 0.1): of the pairs of an anchor,
    /// only positives less similar than its most similar negative plus epsilon, and negatives more
    /// similar than its least similar positive minus epsilon. Default: `None`
    pub mining_epsilon: Option<f64>,
    /// Whether the rows are divided by their 2-norm first. Default: `true`
    pub normalize: bool,
    /// Where to compute the statistics. Default: `Solver::Auto`
    pub solver: Solver,
}

impl Default for MultiSimilarityLossConfig {
    fn default() -> Self {
        Self {
            alpha: 2.0,
            beta: 50.0,
            base: 0.5,
            mining_epsilon: None,
            normalize: true,
            solver: Solver::Auto,
        }
    }
}

burn_config!(MultiSimilarityLossConfig);

impl MultiSimilarityLossConfig {
    /// The default configuration.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether every hyper-parameter is in its range.
    ///
    /// # Errors
    ///
    /// If a sharpness is not positive, the base not finite or epsilon negative.
    pub fn check(&self) -> Result<(), HyperParameterError> {
        finite_and_positive("alpha of the multi-similarity loss", self.alpha)?;
        finite_and_positive("beta of the multi-similarity loss", self.beta)?;
        finite("base of the multi-similarity loss", self.base)?;
        match self.mining_epsilon {
            Some(epsilon) => {
                finite_and_not_negative("mining epsilon of the multi-similarity loss", epsilon)
            }
            None => Ok(()),
        }
    }

    /// Initializes the loss.
    ///
    /// # Panics
    ///
    /// If [`check`](Self::check) finds an error.
    pub fn init(&self) -> MultiSimilarityLoss {
        self.check().unwrap_or_else(|error| panic!("{error}"));
        MultiSimilarityLoss {
            alpha: self.alpha,
            beta: self.beta,
            base: self.base,
            mining_epsilon: self.mining_epsilon,
            normalize: self.normalize,
            solver: self.solver,
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
/// # Gradient
///
/// In the inner products `K` of `b` rows,
///
/// ```text
/// dloss/dK_ap = -1/b exp(-alpha (K_ap - base)) / (1 + sum_q exp(-alpha (K_aq - base)))
/// dloss/dK_an =  1/b exp(beta (K_an - base)) / (1 + sum_m exp(beta (K_am - base)))
/// ```
///
/// Which pairs the mining leaves is taken as given.
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
pub struct MultiSimilarityLoss {
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
    /// Where the statistics are computed.
    #[module(skip)]
    pub solver: Solver,
}

one_line_display!(MultiSimilarityLoss {
    alpha,
    beta,
    base,
    mining_epsilon,
    normalize,
    solver
});

impl MultiSimilarityLoss {
    /// The loss of a labelled batch.
    ///
    /// # Shapes
    ///
    /// - embeddings: `[batch, dim]`
    /// - labels: `[batch]`; equal labels belong together
    /// - output: `[1]`, in f32, or in f64 for f64 input
    ///
    /// # Panics
    ///
    /// If `batch` or `dim` is zero, or the labels are not `batch`.
    pub fn forward(&self, embeddings: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
        RankingLoss::forward(self, embeddings, labels)
    }
}

impl Default for MultiSimilarityLoss {
    /// The loss with its default configuration.
    fn default() -> Self {
        MultiSimilarityLossConfig::new().init()
    }
}

/// The pairs that the mining of the source leaves.
fn mined(similarities: &Tensor<2>, pairs: Masks, epsilon: f64) -> Masks {
    let shape = similarities.dims();
    let among = |mask: &Tensor<2, Bool>, otherwise: f64| {
        let others = mask.clone().bool_not();
        similarities.clone().mask_fill(others, otherwise)
    };
    let hardest_negative = among(&pairs.negative, f64::NEG_INFINITY).max_dim(1);
    let hardest_negative = hardest_negative.add_scalar(epsilon).expand(shape);
    let hardest_positive = among(&pairs.positive, f64::INFINITY).min_dim(1);
    let hardest_positive = hardest_positive.sub_scalar(epsilon).expand(shape);
    // What is not too easy: so a NaN, which compares with nothing, stays.
    let easy_positive = similarities.clone().greater_equal(hardest_negative);
    let easy_negative = similarities.clone().lower_equal(hardest_positive);
    Masks {
        positive: pairs.positive.bool_and(easy_positive.bool_not()),
        negative: pairs.negative.bool_and(easy_negative.bool_not()),
    }
}

impl PairLoss for MultiSimilarityLoss {
    fn kernel(&self) -> (Kernel, bool) {
        (Kernel::Product, self.normalize)
    }

    fn solver(&self) -> Solver {
        self.solver
    }

    fn term_names(&self) -> &'static [&'static str] {
        &["positive", "negative"]
    }

    fn of_pairs(&self, kernel: &KernelMatrix, pairs: &Masks) -> Vec<Summand> {
        let batch = kernel.batch() as f64;
        // Falling with the similarity for a negative sharpness.
        let term = |name, sharpness: f64, mask| {
            let similarities = kernel.values.clone().sub_scalar(self.base);
            let sum = LogSumExp::new(similarities.mul_scalar(sharpness), mask);
            let value = softplus(sum.log.clone()).div_scalar(batch * sharpness.abs());
            let slope = sigmoid(sum.log).mul_scalar(sharpness.signum() / batch);
            Summand::new(name, 1.0, value.sum(), sum.shares * slope)
        };
        vec![
            term("positive", -self.alpha, &pairs.positive),
            term("negative", self.beta, &pairs.negative),
        ]
    }

    fn of_labels(&self, kernel: &KernelMatrix, pairs: Masks) -> Vec<Summand> {
        match self.mining_epsilon {
            Some(epsilon) => self.of_pairs(kernel, &mined(&kernel.values, pairs, epsilon)),
            None => self.of_pairs(kernel, &pairs),
        }
    }
}
