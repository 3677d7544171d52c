//! The spread-out regularizer: pairs that do not match point in all directions alike.

use burn::module::Module;
use burn::tensor::{Int, Tensor};
use derive_setters::Setters;
use fullrank::internals::{burn_config, finite, one_line_display};
use fullrank::{HyperParameterError, Solver};
use serde::{Deserialize, Serialize};

use super::masks::{Masks, above_zero, mean_weights, only};
use super::pair_loss::{PairLoss, Summand};
use crate::RankingLoss;
use crate::kernel::{Kernel, KernelMatrix};

/// Configuration of [`SpreadOut`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Setters)]
#[serde(default, deny_unknown_fields)]
#[setters(prefix = "with_")]
pub struct SpreadOutConfig {
    /// The weight alpha. Default: `1.0`
    pub weight: f64,
    /// Whether the rows are divided by their 2-norm first; `1/d` is the second moment of unit rows.
    /// Default: `true`
    pub normalize: bool,
    /// Where to compute the statistics. Default: `Solver::Auto`
    pub solver: Solver,
}

impl Default for SpreadOutConfig {
    fn default() -> Self {
        Self {
            weight: 1.0,
            normalize: true,
            solver: Solver::Auto,
        }
    }
}

burn_config!(SpreadOutConfig);

impl SpreadOutConfig {
    /// The default configuration.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether every hyper-parameter is in its range.
    ///
    /// # Errors
    ///
    /// If the weight is not finite.
    pub fn check(&self) -> Result<(), HyperParameterError> {
        finite("weight of the spread-out regularizer", self.weight)
    }

    /// Initializes the regularizer.
    ///
    /// # Panics
    ///
    /// If [`check`](Self::check) finds an error.
    pub fn init(&self) -> SpreadOut {
        self.check().unwrap_or_else(|error| panic!("{error}"));
        SpreadOut {
            weight: self.weight,
            normalize: self.normalize,
            solver: self.solver,
        }
    }
}

/// The global orthogonal regularizer, to add to a ranking loss: the inner products of pairs that do
/// not match should have the first two moments of two independent directions, `0` and `1/d`.
///
/// ```text
/// m1 = mean over non-matching pairs of <x, y>,   m2 = mean of <x, y>^2
/// loss = weight * (m1^2 + max(0, m2 - 1/d))
/// ```
///
/// With labels, over all pairs of two classes in the batch. The publication takes the negative of each
/// triplet, SVMax's paper a random row of another class for each row: samples of these pairs, with the
/// same moments on average.
///
/// A row is at most one direction: a batch whose classes collapse each to a point, in different
/// directions, costs nothing. No pair of two classes: 0.
///
/// # Gradient
///
/// In the inner products `K` of `N` pairs, `2 m1 / N` for the first moment and `2 K_ij / N` for the
/// second, if it exceeds `1/d`.
///
/// # Terms
///
/// `squared_mean`, `m1^2`, and `excess`, `max(0, m2 - 1/d)`: unweighted.
///
/// # Source
///
/// Zhang, Yu, Kumar and Chang, "Learning Spread-out Local Feature Descriptors", ICCV 2017,
/// [arXiv 1708.06320](https://arxiv.org/abs/1708.06320). The authors' code
/// (github.com/ColumbiaDVMM/Spread-out_Local_Feature_Descriptor, `patch_cnn_triplet.py`) has
/// `alpha = 1` and `mean^2 + max(m2 - 1/d, 0)`, where in `m2` the larger square counts of those that
/// anchor and positive have with the negative.
#[derive(Module, Debug)]
#[module(custom_display)]
pub struct SpreadOut {
    /// The weight alpha.
    pub weight: f64,
    /// Whether the rows are divided by their 2-norm first.
    pub normalize: bool,
    /// Where the statistics are computed.
    #[module(skip)]
    pub solver: Solver,
}

one_line_display!(SpreadOut {
    weight,
    normalize,
    solver
});

impl SpreadOut {
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

impl Default for SpreadOut {
    /// The loss with its default configuration.
    fn default() -> Self {
        SpreadOutConfig::new().init()
    }
}

impl PairLoss for SpreadOut {
    fn kernel(&self) -> (Kernel, bool) {
        (Kernel::Product, self.normalize)
    }

    fn solver(&self) -> Solver {
        self.solver
    }

    fn term_names(&self) -> &'static [&'static str] {
        &["squared_mean", "excess"]
    }

    fn of_pairs(&self, kernel: &KernelMatrix, pairs: &Masks) -> Vec<Summand> {
        let products = only(kernel.values.clone(), &pairs.negative);
        let weights = mean_weights(&pairs.negative, &products);
        let mean = (products.clone() * weights.clone()).sum();
        let alike = weights.clone() * mean.clone().mul_scalar(2.0).unsqueeze::<2>();

        let each = products.clone() * weights;
        let excess = (products * each.clone())
            .sum()
            .sub_scalar(1.0 / kernel.dim() as f64);
        let active = above_zero(&excess);
        let spread = only(
            each.clone().mul_scalar(2.0),
            &active.clone().unsqueeze::<2>().expand(each.dims()),
        );
        vec![
            Summand::new("squared_mean", self.weight, mean.square(), alike),
            Summand::new("excess", self.weight, only(excess, &active), spread),
        ]
    }
}
