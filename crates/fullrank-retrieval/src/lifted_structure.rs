//! The lifted structure loss.

use burn::config::Config;
use burn::module::Module;

use crate::Distance;
use crate::kernel::{Kernel, KernelMatrix};
use crate::masks::{LogSumExp, Masks, above_zero, any_in_row, log_add_exp, mean_weights, only};
use crate::methods::{assert_finite, loss_module};
use crate::pair_loss::{PairLoss, Summand};

/// Configuration of [`LiftedStructure`].
#[derive(Config, Debug, PartialEq)]
pub struct LiftedStructureConfig {
    /// The distance that negatives should keep. Default: `1.0`
    #[config(default = 1.0)]
    pub margin: f64,
    /// Whether the rows are divided by their 2-norm first; the source does not. Default: `true`
    #[config(default = true)]
    pub normalize: bool,
}

impl LiftedStructureConfig {
    /// Initializes the loss.
    ///
    /// # Panics
    ///
    /// If the margin is not finite.
    pub fn init(&self) -> LiftedStructure {
        assert_finite("margin of the lifted structure loss", self.margin);
        LiftedStructure {
            margin: self.margin,
            normalize: self.normalize,
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
pub struct LiftedStructure {
    /// The distance that negatives should keep.
    pub margin: f64,
    /// Whether the rows are divided by their 2-norm first.
    pub normalize: bool,
}

loss_module!(LiftedStructure, LiftedStructureConfig { margin, normalize });

impl PairLoss for LiftedStructure {
    fn kernel(&self) -> (Kernel, bool) {
        (Kernel::Distance(Distance::Euclidean), self.normalize)
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
