//! The contrastive loss of pairs.

use burn::module::Module;
use burn::tensor::{Bool, Int, Tensor};
use derive_setters::Setters;
use fullrank::internals::{burn_config, finite, one_line_display};
use fullrank::{HyperParameterError, Solver};
use serde::{Deserialize, Serialize};

use super::masks::{Masks, above_zero, count, indicator, mean_weights, only};
use super::pair_loss::{PairLoss, Summand};
use super::ranking_loss::TupleReduction;
use crate::Distance;
use crate::RankingLoss;
use crate::kernel::{Kernel, KernelMatrix};

/// Configuration of [`ContrastiveLoss`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Setters)]
#[serde(default, deny_unknown_fields)]
#[setters(prefix = "with_")]
pub struct ContrastiveLossConfig {
    /// A positive pair closer than this costs nothing. Default: `0.0`
    pub positive_margin: f64,
    /// A negative pair farther apart than this costs nothing. Default: `1.0`
    pub negative_margin: f64,
    /// Whether the hinges are squared, as in the source; pytorch-metric-learning does not.
    /// Default: `true`
    pub squared_hinge: bool,
    /// The distance of the pairs. Default: `Distance::Euclidean`
    pub distance: Distance,
    /// Whether the rows are divided by their 2-norm first. Default: `true`
    pub normalize: bool,
    /// How the pairs become one number, the positive and the negative ones each for itself.
    /// Default: `TupleReduction::Mean`
    pub reduction: TupleReduction,
    /// Where to compute the statistics. Default: `Solver::Auto`
    pub solver: Solver,
}

impl Default for ContrastiveLossConfig {
    fn default() -> Self {
        Self {
            positive_margin: 0.0,
            negative_margin: 1.0,
            squared_hinge: true,
            distance: Distance::Euclidean,
            normalize: true,
            reduction: TupleReduction::Mean,
            solver: Solver::Auto,
        }
    }
}

burn_config!(ContrastiveLossConfig);

impl ContrastiveLossConfig {
    /// The default configuration.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether every hyper-parameter is in its range.
    ///
    /// # Errors
    ///
    /// If a margin is not finite.
    pub fn check(&self) -> Result<(), HyperParameterError> {
        finite(
            "positive margin of the contrastive loss",
            self.positive_margin,
        )?;
        finite(
            "negative margin of the contrastive loss",
            self.negative_margin,
        )
    }

    /// Initializes the loss.
    ///
    /// # Panics
    ///
    /// If [`check`](Self::check) finds an error.
    pub fn init(&self) -> ContrastiveLoss {
        self.check().unwrap_or_else(|error| panic!("{error}"));
        ContrastiveLoss {
            positive_margin: self.positive_margin,
            negative_margin: self.negative_margin,
            squared_hinge: self.squared_hinge,
            distance: self.distance,
            normalize: self.normalize,
            reduction: self.reduction,
            solver: self.solver,
        }
    }
}

/// The contrastive loss: positive pairs together, negative pairs at least a margin apart.
///
/// ```text
/// loss = mean over positive pairs of max(d - positive_margin, 0)^2
///      + mean over negative pairs of max(negative_margin - d, 0)^2
/// ```
///
/// With labels, over all ordered pairs of two rows. The two means are taken apart, so that the many
/// negative pairs of a batch do not outvote the few positive ones. The gradient is finite at `d = 0`.
///
/// # Gradient
///
/// With `h(x) = max(x, 0)^2`, or the hinge itself, and `P`, `N` positive and negative pairs,
///
/// ```text
/// dloss/dd_ij =  h'(d_ij - positive_margin) / P     for a positive pair
///               -h'(negative_margin - d_ij) / N     for a negative pair
/// ```
///
/// or, over pairs that are not zero, by the number of these.
///
/// # Terms
///
/// `positive` and `negative`, whose sum is the loss, and `active`: the share of negative pairs inside
/// the margin.
///
/// # Source
///
/// Hadsell, Chopra and LeCun, "Dimensionality reduction by learning an invariant mapping", CVPR 2006,
/// Eq. 4 (twice its value, and the two means apart).
#[derive(Module, Debug)]
#[module(custom_display)]
pub struct ContrastiveLoss {
    /// A positive pair closer than this costs nothing.
    pub positive_margin: f64,
    /// A negative pair farther apart than this costs nothing.
    pub negative_margin: f64,
    /// Whether the hinges are squared.
    pub squared_hinge: bool,
    /// The distance of the pairs.
    #[module(skip)]
    pub distance: Distance,
    /// Whether the rows are divided by their 2-norm first.
    pub normalize: bool,
    /// How the pairs become one number.
    #[module(skip)]
    pub reduction: TupleReduction,
    /// Where the statistics are computed.
    #[module(skip)]
    pub solver: Solver,
}

one_line_display!(ContrastiveLoss {
    positive_margin,
    negative_margin,
    squared_hinge,
    distance,
    normalize,
    reduction,
    solver
});

impl ContrastiveLoss {
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

impl Default for ContrastiveLoss {
    /// The loss with its default configuration.
    fn default() -> Self {
        ContrastiveLossConfig::new().init()
    }
}

impl ContrastiveLoss {
    /// The hinge of what each pair exceeds its margin by: its reduced value, its slopes and the share of
    /// the chosen pairs that are not zero.
    fn hinge(
        &self,
        excess: Tensor<2>,
        mask: &Tensor<2, Bool>,
    ) -> (Tensor<1>, Tensor<2>, Tensor<1>) {
        let active = above_zero(&excess).bool_and(mask.clone());
        let (losses, slopes) = if self.squared_hinge {
            (excess.clone().square(), excess.clone().mul_scalar(2.0))
        } else {
            (excess.clone(), excess.ones_like())
        };
        let (all, counted) = (count(mask, &excess), indicator(&active, &excess).sum());
        let factor = self.reduction.factor(all.clone(), counted.clone());
        let weights = mean_weights(mask, &excess) * factor.unsqueeze::<2>();
        let value = (only(losses, &active) * weights.clone()).sum();
        (value, only(slopes, &active) * weights, counted / all)
    }
}

impl PairLoss for ContrastiveLoss {
    fn kernel(&self) -> (Kernel, bool) {
        (Kernel::Distance(self.distance), self.normalize)
    }

    fn solver(&self) -> Solver {
        self.solver
    }

    fn term_names(&self) -> &'static [&'static str] {
        &["positive", "negative", "active"]
    }

    fn of_pairs(&self, kernel: &KernelMatrix, pairs: &Masks) -> Vec<Summand> {
        let distances = kernel.values.clone();
        let far = distances.clone().sub_scalar(self.positive_margin);
        let near = distances.neg().add_scalar(self.negative_margin);
        let (positive, pull, _) = self.hinge(far, &pairs.positive);
        let (negative, push, active) = self.hinge(near, &pairs.negative);
        vec![
            Summand::new("positive", 1.0, positive, pull),
            Summand::new("negative", 1.0, negative, push.neg()),
            Summand::report("active", active),
        ]
    }
}
