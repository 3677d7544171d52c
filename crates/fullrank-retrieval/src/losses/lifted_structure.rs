//! The lifted structure loss.

use burn::module::Module;
use burn::tensor::{Int, Tensor};
use derive_setters::Setters;
use fullrank::internals::{burn_config, finite, one_line_display};
use fullrank::{HyperParameterError, Solver};
use serde::{Deserialize, Serialize};

use super::masks::{LogSumExp, Masks, above_zero, any_in_row, log_add_exp, mean_weights, only};
use super::pair_loss::{PairLoss, Summand};
use crate::Distance;
use crate::RankingLoss;
use crate::kernel::{Kernel, KernelMatrix};

/// Configuration of [`LiftedStructureLoss`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Setters)]
#[serde(default, deny_unknown_fields)]
#[setters(prefix = "with_")]
pub struct LiftedStructureLossConfig {
    /// The distance that negatives should keep. Default: `1.0`
    pub margin: f64,
    /// Whether the rows are divided by their 2-norm first; the source does not. Default: `true`
    pub normalize: bool,
    /// Where to compute the statistics. Default: `Solver::Auto`
    pub solver: Solver,
}

impl Default for LiftedStructureLossConfig {
    fn default() -> Self {
        Self {
            margin: 1.0,
            normalize: true,
            solver: Solver::Auto,
        }
    }
}

burn_config!(LiftedStructureLossConfig);

impl LiftedStructureLossConfig {
    /// The default configuration.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether every hyper-parameter is in its range.
    ///
    /// # Errors
    ///
    /// If the margin is not finite.
    pub fn check(&self) -> Result<(), HyperParameterError> {
        finite("margin of the lifted structure loss", self.margin)
    }

    /// Initializes the loss.
    ///
    /// # Panics
    ///
    /// If [`check`](Self::check) finds an error.
    pub fn init(&self) -> LiftedStructureLoss {
        self.check().unwrap_or_else(|error| panic!("{error}"));
        LiftedStructureLoss {
            margin: self.margin,
            normalize: self.normalize,
            solver: self.solver,
        }
    }
}

/// The lifted structure loss: each positive pair against all negatives of both its rows.
///
/// ```text
/// J(a, p) = d(a, p) + log( sum_n exp(margin - d(a, n)) + sum_m exp(margin - d(p, m)) )
/// loss = mean over positive pairs of 1/2 max(J, 0)^2
/// ```
///
/// with the Euclidean distance, `n` over the negatives of `a` and `m` over those of `p`. A pair without
/// a negative does not count.
///
/// # Gradient
///
/// With `R_a = log(sum_n exp(margin - d(a, n)))`, `J(a, p) = d(a, p) + log(exp R_a + exp R_p)`,
/// `g(a, p) = max(J(a, p), 0) / P` over `P` pairs and the share
/// `q(a, p) = exp R_a / (exp R_a + exp R_p)`,
///
/// ```text
/// dloss/dd_ap = g(a, p)
/// dloss/dd_an = -exp(margin - d_an - R_a) sum_p q(a, p) (g(a, p) + g(p, a))
/// ```
///
/// # Terms
///
/// `lifted_structure`, which is the loss.
///
/// # Source
///
/// Song, Xiang, Jegelka and Savarese, "Deep Metric Learning via Lifted Structured Feature Embedding",
/// 2015, [arXiv 1511.06452](https://arxiv.org/abs/1511.06452).
#[derive(Module, Debug)]
#[module(custom_display)]
pub struct LiftedStructureLoss {
    /// The distance that negatives should keep.
    pub margin: f64,
    /// Whether the rows are divided by their 2-norm first.
    pub normalize: bool,
    /// Where the statistics are computed.
    #[module(skip)]
    pub solver: Solver,
}

one_line_display!(LiftedStructureLoss {
    margin,
    normalize,
    solver
});

impl LiftedStructureLoss {
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

impl Default for LiftedStructureLoss {
    /// The loss with its default configuration.
    fn default() -> Self {
        LiftedStructureLossConfig::new().init()
    }
}

impl PairLoss for LiftedStructureLoss {
    fn kernel(&self) -> (Kernel, bool) {
        (Kernel::Distance(Distance::Euclidean), self.normalize)
    }

    fn solver(&self) -> Solver {
        self.solver
    }

    fn term_names(&self) -> &'static [&'static str] {
        &["lifted_structure"]
    }

    fn of_pairs(&self, kernel: &KernelMatrix, pairs: &Masks) -> Vec<Summand> {
        let distances = kernel.values.clone();
        let shape = distances.dims();
        let logits = distances.clone().neg().add_scalar(self.margin);
        let against = LogSumExp::new(logits, &pairs.negative);
        let of_anchor = against.log.clone().expand(shape);
        let of_positive = against.log.transpose().expand(shape);
        let of_pair = log_add_exp(of_anchor.clone(), of_positive);

        let has_negative = any_in_row(&pairs.negative);
        let either = has_negative
            .clone()
            .expand(shape)
            .bool_or(has_negative.transpose().expand(shape));
        let valid = pairs.positive.clone().bool_and(either);
        let weights = mean_weights(&valid, &distances);
        let costs = of_pair.clone() + distances;
        let active = above_zero(&costs).bool_and(valid);
        let costs = only(costs, &active);
        let pull = costs.clone() * weights;
        let value = (costs * pull.clone()).sum().div_scalar(2.0);

        // q(a, p) is asked for wherever (a, p) or (p, a) counts.
        let pulls = pull.clone() + pull.clone().transpose();
        let either_way = active.clone().bool_or(active.transpose());
        let shares = only((of_anchor - of_pair).exp(), &either_way);
        let push = against.shares * (shares * pulls).sum_dim(1);
        vec![Summand::new("lifted_structure", 1.0, value, pull - push)]
    }
}
