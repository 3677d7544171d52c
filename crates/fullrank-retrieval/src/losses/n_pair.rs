//! The N-pair loss.

use burn::module::Module;
use burn::tensor::{Bool, Int, Tensor};
use derive_setters::Setters;
use fullrank::internals::{Part, burn_config, finite_and_not_negative, one_line_display};
use fullrank::{HyperParameterError, Solver, Surrogate};
use serde::{Deserialize, Serialize};

use super::masks::{LogSumExp, Masks, mean_weights, only, sigmoid, softplus};
use super::pair_loss::{PairLoss, Summand};
use crate::RankingLoss;
use crate::kernel::{Kernel, KernelMatrix};

/// Configuration of [`NPairLoss`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Setters)]
#[serde(default, deny_unknown_fields)]
#[setters(prefix = "with_")]
pub struct NPairLossConfig {
    /// The weight of the mean squared norm of the rows as they are given, for use without
    /// normalization. Default: `0.0`
    pub l2_weight: f64,
    /// Whether the rows are divided by their 2-norm first. Default: `true`
    pub normalize: bool,
    /// Where to compute the statistics. Default: `Solver::Auto`
    pub solver: Solver,
}

impl Default for NPairLossConfig {
    fn default() -> Self {
        Self {
            l2_weight: 0.0,
            normalize: true,
            solver: Solver::Auto,
        }
    }
}

burn_config!(NPairLossConfig);

impl NPairLossConfig {
    /// The default configuration.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether every hyper-parameter is in its range.
    ///
    /// # Errors
    ///
    /// If the weight is negative or not finite.
    pub fn check(&self) -> Result<(), HyperParameterError> {
        finite_and_not_negative("l2 weight of the N-pair loss", self.l2_weight)
    }

    /// Initializes the loss.
    ///
    /// # Panics
    ///
    /// If [`check`](Self::check) finds an error.
    pub fn init(&self) -> NPairLoss {
        self.check().unwrap_or_else(|error| panic!("{error}"));
        NPairLoss {
            l2_weight: self.l2_weight,
            normalize: self.normalize,
            solver: self.solver,
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
/// # Gradient
///
/// With `q(n | a) = exp(K_an) / sum_m exp(K_am)` and `s(a, p)` the slope of the logarithm, that is
/// `sum_n exp(K_an - K_ap) / (1 + sum_n exp(K_an - K_ap))`, in the inner products `K` of `P` pairs,
///
/// ```text
/// dloss/dK_ap = -s(a, p) / P,      dloss/dK_an = q(n | a) sum_p s(a, p) / P
/// ```
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
pub struct NPairLoss {
    /// The weight of the mean squared norm.
    pub l2_weight: f64,
    /// Whether the rows are divided by their 2-norm first.
    pub normalize: bool,
    /// Where the statistics are computed.
    #[module(skip)]
    pub solver: Solver,
}

one_line_display!(NPairLoss {
    l2_weight,
    normalize,
    solver
});

impl NPairLoss {
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

impl Default for NPairLoss {
    /// The loss with its default configuration.
    fn default() -> Self {
        NPairLossConfig::new().init()
    }
}

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

impl PairLoss for NPairLoss {
    fn kernel(&self) -> (Kernel, bool) {
        (Kernel::Product, self.normalize)
    }

    fn solver(&self) -> Solver {
        self.solver
    }

    fn term_names(&self) -> &'static [&'static str] {
        &["n_pair", "l2"]
    }

    fn of_pairs(&self, kernel: &KernelMatrix, pairs: &Masks) -> Vec<Summand> {
        let products = kernel.values.clone();
        // Of each anchor, log(sum_n exp(K_an)) once; log(1 + exp(that - K_ap)) for each positive.
        let against = LogSumExp::new(products.clone(), &pairs.negative);
        let excess = against.log - products.clone();
        let weights = mean_weights(&pairs.positive, &products);
        let losses = only(softplus(excess.clone()), &pairs.positive);
        let value = (losses * weights.clone()).sum();
        let pull = only(sigmoid(excess), &pairs.positive) * weights;
        let push = against.shares * pull.clone().sum_dim(1);
        vec![Summand::new("n_pair", 1.0, value, push - pull)]
    }

    fn of_labels(&self, kernel: &KernelMatrix, pairs: Masks) -> Vec<Summand> {
        self.of_pairs(kernel, &first_pairs(&pairs))
    }

    fn beside(&self, embeddings: &Tensor<2>) -> Option<Part<1>> {
        let [batch, _] = embeddings.dims();
        // By the root of their number, that the sum is no larger than the mean.
        let shares = embeddings.clone().div_scalar((batch as f64).sqrt());
        Some(Part {
            name: "l2",
            weight: self.l2_weight,
            surrogate: Surrogate {
                value: shares.square().sum(),
                coefficients: Some([embeddings.clone().mul_scalar(2.0 / batch as f64)]),
            },
        })
    }
}
