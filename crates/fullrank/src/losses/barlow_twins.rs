//! Barlow Twins: the cross-correlation of two views should be the identity.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use derive_setters::Setters;
use serde::{Deserialize, Serialize};

use super::hyper_parameters::{HyperParameterError, finite, finite_and_positive};
use crate::shards::{BatchStatistics, MomentSums, ShardStatistics};
use crate::statistics::Solver;
use crate::statistics::correlation::{
    self, CorrelationTerms, cross_correlation, cross_correlation_of_shard,
};
use crate::surrogate::{self, Part, Parts, SumsOverRows, Surrogate, Terms};
use crate::{burn_config, one_line_display};

/// Configuration of [`BarlowTwinsLoss`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Setters)]
#[serde(default, deny_unknown_fields)]
#[setters(prefix = "with_")]
pub struct BarlowTwinsLossConfig {
    /// The weight lambda of the redundancy term. Default: `5e-3`
    pub redundancy_weight: f64,
    /// The weight of the invariance term. Default: `1.0`
    pub invariance_weight: f64,
    /// Added to the variance inside the root of the standardization. Default: `1e-5`, as in batch
    /// normalization
    pub epsilon: f64,
    /// Where to compute the statistics. Default: `Solver::Auto`
    pub solver: Solver,
}

impl Default for BarlowTwinsLossConfig {
    fn default() -> Self {
        Self {
            redundancy_weight: 5e-3,
            invariance_weight: 1.0,
            epsilon: 1e-5,
            solver: Solver::Auto,
        }
    }
}

burn_config!(BarlowTwinsLossConfig);

impl BarlowTwinsLossConfig {
    /// The default configuration.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether every hyper-parameter is in its range.
    ///
    /// # Errors
    ///
    /// If a weight is not finite or epsilon not positive.
    pub fn check(&self) -> Result<(), HyperParameterError> {
        finite("weight of the redundancy term", self.redundancy_weight)?;
        finite("weight of the invariance term", self.invariance_weight)?;
        finite_and_positive("epsilon", self.epsilon)?;
        self.solver.check()
    }

    /// Initializes the loss.
    ///
    /// # Panics
    ///
    /// If [`check`](Self::check) finds an error.
    pub fn init(&self) -> BarlowTwinsLoss {
        self.check().unwrap_or_else(|error| panic!("{error}"));
        BarlowTwinsLoss {
            redundancy_weight: self.redundancy_weight,
            invariance_weight: self.invariance_weight,
            epsilon: self.epsilon,
            solver: self.solver,
        }
    }
}

/// Barlow Twins, from which VICReg takes its covariance term.
///
/// ```text
/// z_j = (e_j - mean_j) / sqrt(Var_j + epsilon)      columns standardized, biased variance
/// M   = Z^T Z' / n                                  cross-correlation, d x d
/// loss = invariance_weight * sum_i (1 - M_ii)^2 + redundancy_weight * sum_{i != j} M_ij^2
/// ```
///
/// `M` is formed only if `d <= n`; otherwise n x n Gram matrices give the same value and gradient. Either
/// way the gradient takes one more product a view.
///
/// # Edge cases
///
/// - A dimension without spread in either view counts as uncorrelated with everything: `M_ii = 0`. It
///   gets a gradient, of the order of `1 / sqrt(epsilon)`, if it has spread in the other view. Both
///   views without spread, or a single row: an invariance term of `d`, no gradient.
/// - A NaN in the input makes the value NaN.
///
/// # Terms
///
/// `invariance`, `redundancy` (unweighted).
///
/// # Source
///
/// Zbontar et al., "Barlow Twins", 2021, [arXiv 2103.03230](https://arxiv.org/abs/2103.03230),
/// Eq. 1-2 and the official code, which standardizes by batch normalization without affine part.
#[derive(Module, Debug)]
#[module(custom_display)]
pub struct BarlowTwinsLoss {
    /// The weight of the redundancy term.
    pub redundancy_weight: f64,
    /// The weight of the invariance term.
    pub invariance_weight: f64,
    /// Added to the variance inside the root of the standardization.
    pub epsilon: f64,
    /// Where the statistics are computed.
    #[module(skip)]
    pub solver: Solver,
}

one_line_display!(BarlowTwinsLoss {
    redundancy_weight,
    invariance_weight,
    epsilon,
    solver
});

impl BarlowTwinsLoss {
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
        ["invariance", "redundancy"].map(str::to_owned).to_vec()
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

impl Default for BarlowTwinsLoss {
    /// The loss with its default configuration.
    fn default() -> Self {
        BarlowTwinsLossConfig::new().init()
    }
}

impl Parts<2> for BarlowTwinsLoss {
    fn parts(&self, embeddings: [Tensor<2>; 2], gradient: bool) -> Vec<Part<2>> {
        self.parts_by(|terms| self.weighted(&embeddings, terms, gradient))
    }

    fn total(&self, embeddings: [Tensor<2>; 2], gradient: bool) -> Surrogate<2> {
        self.weighted(&embeddings, self.terms(), gradient)
    }

    fn sums_over_rows(&self, _: &Device) -> Option<&dyn SumsOverRows<2>> {
        Some(self)
    }
}

impl SumsOverRows<2> for BarlowTwinsLoss {
    fn numbers(&self, dim: usize) -> usize {
        dim * (dim + 4)
    }

    fn sums(&self, shard: &[Tensor<2>; 2]) -> MomentSums {
        correlation::sums(shard)
    }

    fn parts_of_shard(
        &self,
        shard: &[Tensor<2>; 2],
        batch: &MomentSums,
        gradient: bool,
    ) -> Vec<Part<2>> {
        self.parts_by(|terms| {
            cross_correlation_of_shard(shard, batch, self.epsilon, terms, gradient)
        })
    }

    fn total_of_shard(
        &self,
        shard: &[Tensor<2>; 2],
        batch: &MomentSums,
        gradient: bool,
    ) -> Surrogate<2> {
        cross_correlation_of_shard(shard, batch, self.epsilon, self.terms(), gradient)
    }
}

impl BarlowTwinsLoss {
    /// Each part by what computes a weighted sum of the terms.
    fn parts_by(&self, weighted: impl Fn(CorrelationTerms) -> Surrogate<2>) -> Vec<Part<2>> {
        let part = |name, weight, invariance, redundancy| {
            let terms = CorrelationTerms {
                invariance,
                redundancy,
            };
            Part {
                name,
                weight,
                surrogate: weighted(terms),
            }
        };
        vec![
            part("invariance", self.invariance_weight, Some(1.0), None),
            part("redundancy", self.redundancy_weight, None, Some(1.0)),
        ]
    }

    /// All that counts, with its weights.
    fn terms(&self) -> CorrelationTerms {
        let counted = |weight: f64| (weight != 0.0).then_some(weight);
        CorrelationTerms {
            invariance: counted(self.invariance_weight),
            redundancy: counted(self.redundancy_weight),
        }
    }

    fn weighted(
        &self,
        views: &[Tensor<2>; 2],
        terms: CorrelationTerms,
        gradient: bool,
    ) -> Surrogate<2> {
        cross_correlation(views, self.epsilon, terms, gradient, self.solver)
    }
}
