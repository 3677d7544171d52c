//! VICReg: variance, invariance, covariance of two views.

use burn::module::Module;
use burn::tensor::Tensor;
use derive_setters::Setters;
use serde::{Deserialize, Serialize};

use super::hyper_parameters::{HyperParameterError, finite, finite_and_positive};
use super::moment_loss::{MomentLoss, NamedTerm};
use crate::shards::{BatchStatistics, ShardStatistics};
use crate::statistics::Solver;
use crate::statistics::moments::MomentTerms;
use crate::surrogate::{self, Surrogate, Terms};
use crate::{burn_config, one_line_display};

/// What the three terms are averages of. The paper and the code it came with differ, and the code
/// that followed differs from both: the same 25/25/1 is a different loss in each.
///
/// With `mse` the mean over rows and dimensions, `v`, `v'` the [variance](crate::Variance) and `c`,
/// `c'` the [covariance](crate::Covariance) terms of the two views:
///
/// | scaling | invariance | variance | covariance | used by |
/// |---|---|---|---|---|
/// | `Official` | mse | (v + v') / 2 | c + c' | facebookresearch/vicreg, lightly, pytorch-metric-learning (since 1.3.1), stable-pretraining |
/// | `Paper` | d mse | v + v' | c + c' | the paper, Eq. 1-6 |
/// | `SummedVariance` | mse | v + v' | c + c' | solo-learn, jepa-rs |
/// | `Halved` | mse | (v + v') / 2 | (c + c') / 2 | facebookresearch/VICRegL, vicreg-loss |
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VicRegScaling {
    /// The code released with the paper, for which 25/25/1 was tuned.
    Official,
    /// The equations of the paper: the invariance term sums over dimensions.
    Paper,
    /// The variance terms of the views are summed, not averaged.
    SummedVariance,
    /// The covariance terms of the views are averaged, not summed.
    Halved,
}

/// Configuration of [`VicRegLoss`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Setters)]
#[serde(default, deny_unknown_fields)]
#[setters(prefix = "with_")]
pub struct VicRegLossConfig {
    /// The weight lambda of the invariance term. Default: `25.0`
    pub invariance_weight: f64,
    /// The weight mu of the variance term. Default: `25.0`
    pub variance_weight: f64,
    /// The weight nu of the covariance term. Default: `1.0`
    pub covariance_weight: f64,
    /// The standard deviation gamma that every dimension should reach. Default: `1.0`
    pub margin: f64,
    /// Added to the variance inside the root. Default: `1e-4`
    pub epsilon: f64,
    /// What the terms are averages of. Default: `VicRegScaling::Official`
    pub scaling: VicRegScaling,
    /// Where to compute the statistics. Default: `Solver::Auto`
    pub solver: Solver,
}

impl Default for VicRegLossConfig {
    fn default() -> Self {
        Self {
            invariance_weight: 25.0,
            variance_weight: 25.0,
            covariance_weight: 1.0,
            margin: 1.0,
            epsilon: 1e-4,
            scaling: VicRegScaling::Official,
            solver: Solver::Auto,
        }
    }
}

burn_config!(VicRegLossConfig);

impl VicRegLossConfig {
    /// The default configuration.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether every hyper-parameter is in its range.
    ///
    /// # Errors
    ///
    /// If a weight is not finite, the margin not positive or epsilon not positive.
    pub fn check(&self) -> Result<(), HyperParameterError> {
        finite("weight of the invariance term", self.invariance_weight)?;
        finite("weight of the variance term", self.variance_weight)?;
        finite("weight of the covariance term", self.covariance_weight)?;
        finite_and_positive("margin of the variance term", self.margin)?;
        finite_and_positive("epsilon", self.epsilon)?;
        self.solver.check()
    }

    /// Initializes the loss.
    ///
    /// # Panics
    ///
    /// If [`check`](Self::check) finds an error.
    pub fn init(&self) -> VicRegLoss {
        self.check().unwrap_or_else(|error| panic!("{error}"));
        VicRegLoss {
            invariance_weight: self.invariance_weight,
            variance_weight: self.variance_weight,
            covariance_weight: self.covariance_weight,
            margin: self.margin,
            epsilon: self.epsilon,
            scaling: self.scaling,
            solver: self.solver,
        }
    }
}

/// VICReg: pulls two views of the same samples together and keeps the embedding from collapsing.
///
/// ```text
/// loss = invariance_weight  * s(Z, Z')        mean squared difference of the views
///      + variance_weight   * [v(Z) + v(Z')]   hinge on each dimension's standard deviation
///      + covariance_weight * [c(Z) + c(Z')]   squared covariances between dimensions
/// ```
///
/// up to the factors of the [scaling](VicRegScaling). The embeddings are not normalized (to do so
/// costs 3.5 points on ImageNet, ibid., Table 8). Training collapses without the variance term, and
/// unless the invariance and variance weights are alike and above the covariance weight (1/1/1, 10/1/1
/// and 1/10/1 collapse; ibid., Table 7). Neither a d x d matrix for `b < d` nor a b x b matrix for `d <=
/// b` is formed; each view takes two products, one for its value and one for its gradient.
///
/// Edge cases are those of [`Variance`](crate::Variance) and [`Covariance`](crate::Covariance).
///
/// # Terms
///
/// `invariance`, `variance`, `covariance`: each with the factors of the scaling, without its weight.
///
/// # Source
///
/// Bardes, Ponce and LeCun, "VICReg: Variance-Invariance-Covariance Regularization for
/// Self-Supervised Learning", 2021, [arXiv 2105.04906](https://arxiv.org/abs/2105.04906), Eq. 1-6.
#[derive(Module, Debug)]
#[module(custom_display)]
pub struct VicRegLoss {
    /// The weight of the invariance term.
    pub invariance_weight: f64,
    /// The weight of the variance term.
    pub variance_weight: f64,
    /// The weight of the covariance term.
    pub covariance_weight: f64,
    /// The standard deviation every dimension should reach.
    pub margin: f64,
    /// Added to the variance inside the root.
    pub epsilon: f64,
    /// What the terms are averages of.
    #[module(skip)]
    pub scaling: VicRegScaling,
    /// Where the statistics are computed.
    #[module(skip)]
    pub solver: Solver,
}

one_line_display!(VicRegLoss {
    invariance_weight,
    variance_weight,
    covariance_weight,
    margin,
    epsilon,
    scaling,
    solver
});

impl VicRegLoss {
    /// The loss.
    ///
    /// # Shapes
    ///
    /// - first: `[batch, dim]`
    /// - second: `[batch, dim]`
    /// - output: `[1]`, in f32, or in f64 for f64 input
    ///
    /// # Panics
    ///
    /// If `batch` or `dim` is zero, or the shapes of the two views differ.
    pub fn forward(&self, first: Tensor<2>, second: Tensor<2>) -> Tensor<1> {
        surrogate::forward(self, [first, second])
    }

    /// The loss and its named terms; shapes and panics as in [`forward`](Self::forward).
    pub fn forward_terms(&self, first: Tensor<2>, second: Tensor<2>) -> Terms {
        surrogate::forward_terms(self, [first, second])
    }

    /// The names of the terms, in their order.
    pub fn term_names(&self) -> Vec<String> {
        ["invariance", "variance", "covariance"]
            .map(str::to_owned)
            .to_vec()
    }

    /// The loss and its gradient on plain tensors; shapes and panics as in [`forward`](Self::forward).
    pub fn evaluate(&self, first: Tensor<2>, second: Tensor<2>) -> Surrogate<2> {
        surrogate::evaluate(self, [first, second], true)
    }

    /// What the other shards of a batch of `batch` samples must know of this one, shapes `[rows, dim]`: see
    /// [`shards`](crate::shards).
    pub fn shard_statistics(
        &self,
        first: Tensor<2>,
        second: Tensor<2>,
        batch: usize,
    ) -> ShardStatistics {
        surrogate::shard_statistics(self, [first, second], batch)
    }

    /// The loss of the whole batch on the graph of one of its shards; as in
    /// [`TwoViewLoss::forward_shard`](crate::TwoViewLoss::forward_shard).
    pub fn forward_shard(
        &self,
        first: Tensor<2>,
        second: Tensor<2>,
        batch: &BatchStatistics,
    ) -> Terms {
        surrogate::forward_shard(self, [first, second], batch)
    }
}

impl Default for VicRegLoss {
    /// The loss with its default configuration.
    fn default() -> Self {
        VicRegLossConfig::new().init()
    }
}

impl MomentLoss<2> for VicRegLoss {
    fn moment_terms(&self, [batch, dim]: [usize; 2]) -> Vec<NamedTerm> {
        let per_entry = match self.scaling {
            VicRegScaling::Paper => batch as f64,
            _ => (batch * dim) as f64,
        };
        let per_variance = match self.scaling {
            VicRegScaling::Official | VicRegScaling::Halved => 0.5,
            VicRegScaling::Paper | VicRegScaling::SummedVariance => 1.0,
        };
        let per_covariance = match self.scaling {
            VicRegScaling::Halved => 0.5,
            _ => 1.0,
        };
        let invariance = MomentTerms::invariance(1.0 / per_entry);
        let variance = MomentTerms::variance(per_variance, self.margin, self.epsilon);
        let covariance = MomentTerms::covariance(per_covariance);
        vec![
            ("invariance", self.invariance_weight, invariance),
            ("variance", self.variance_weight, variance),
            ("covariance", self.covariance_weight, covariance),
        ]
    }

    fn solver(&self) -> Solver {
        self.solver
    }
}
