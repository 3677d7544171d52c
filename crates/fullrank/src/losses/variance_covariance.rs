//! VICReg's variance and covariance terms of a single embedding.

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

/// Configuration of [`VarianceCovariance`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Setters)]
#[serde(default, deny_unknown_fields)]
#[setters(prefix = "with_")]
pub struct VarianceCovarianceConfig {
    /// The weight of the variance term. Default: `12.5`, the share of one view in VICReg's 25
    pub variance_weight: f64,
    /// The weight of the covariance term. Default: `1.0`
    pub covariance_weight: f64,
    /// The standard deviation gamma that every dimension should reach. Default: `1.0`
    pub margin: f64,
    /// Added to the variance inside the root. Default: `1e-4`
    pub epsilon: f64,
    /// Where to compute the statistics. Default: `Solver::Auto`
    pub solver: Solver,
}

impl Default for VarianceCovarianceConfig {
    fn default() -> Self {
        Self {
            variance_weight: 12.5,
            covariance_weight: 1.0,
            margin: 1.0,
            epsilon: 1e-4,
            solver: Solver::Auto,
        }
    }
}

burn_config!(VarianceCovarianceConfig);

impl VarianceCovarianceConfig {
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
    pub fn init(&self) -> VarianceCovariance {
        self.check().unwrap_or_else(|error| panic!("{error}"));
        VarianceCovariance {
            variance_weight: self.variance_weight,
            covariance_weight: self.covariance_weight,
            margin: self.margin,
            epsilon: self.epsilon,
            solver: self.solver,
        }
    }
}

/// VICReg without its invariance term: a regularizer of one embedding, beside any loss.
///
/// ```text
/// loss = variance_weight * v(Z) + covariance_weight * c(Z)
/// ```
///
/// with `v` as in [`Variance`](crate::Variance) and `c` as in [`Covariance`](crate::Covariance),
/// edge cases included. With the default weights, the official VICReg loss of two views is `25 *
/// mse(Z, Z')` plus this loss of each view.
///
/// # Terms
///
/// `variance`, `covariance` (unweighted).
///
/// # Source
///
/// Bardes, Ponce and LeCun, "VICReg", 2021, [arXiv 2105.04906](https://arxiv.org/abs/2105.04906);
/// on its own as VCReg: Zhu et al., 2023, [arXiv 2306.13292](https://arxiv.org/abs/2306.13292).
#[derive(Module, Debug)]
#[module(custom_display)]
pub struct VarianceCovariance {
    /// The weight of the variance term.
    pub variance_weight: f64,
    /// The weight of the covariance term.
    pub covariance_weight: f64,
    /// The standard deviation every dimension should reach.
    pub margin: f64,
    /// Added to the variance inside the root.
    pub epsilon: f64,
    /// Where the statistics are computed.
    #[module(skip)]
    pub solver: Solver,
}

one_line_display!(VarianceCovariance {
    variance_weight,
    covariance_weight,
    margin,
    epsilon,
    solver
});

impl VarianceCovariance {
    /// The loss.
    ///
    /// # Shapes
    ///
    /// - embeddings: `[batch, dim]`
    /// - output: `[1]`, in f32, or in f64 for f64 input
    ///
    /// # Panics
    ///
    /// If `batch` or `dim` is zero.
    pub fn forward(&self, embeddings: Tensor<2>) -> Tensor<1> {
        surrogate::forward(self, [embeddings])
    }

    /// The loss and its named terms; shapes and panics as in [`forward`](Self::forward).
    pub fn forward_terms(&self, embeddings: Tensor<2>) -> Terms {
        surrogate::forward_terms(self, [embeddings])
    }

    /// The names of the terms, in their order.
    pub fn term_names(&self) -> Vec<String> {
        ["variance", "covariance"].map(str::to_owned).to_vec()
    }

    /// The loss and its gradient on plain tensors; shapes and panics as in [`forward`](Self::forward).
    pub fn evaluate(&self, embeddings: Tensor<2>) -> Surrogate<1> {
        surrogate::evaluate(self, [embeddings], true)
    }

    /// What the other shards of a batch of `batch` rows must know of this one, shape `[rows, dim]`: see
    /// [`shards`](crate::shards).
    pub fn shard_statistics(&self, shard: Tensor<2>, batch: usize) -> ShardStatistics {
        surrogate::shard_statistics(self, [shard], batch)
    }

    /// The loss of the whole batch on the graph of one of its shards; as in
    /// [`Regularizer::forward_shard`](crate::Regularizer::forward_shard).
    pub fn forward_shard(&self, shard: Tensor<2>, batch: &BatchStatistics) -> Terms {
        surrogate::forward_shard(self, [shard], batch)
    }
}

impl Default for VarianceCovariance {
    /// The loss with its default configuration.
    fn default() -> Self {
        VarianceCovarianceConfig::new().init()
    }
}

impl MomentLoss<1> for VarianceCovariance {
    fn moment_terms(&self, _: [usize; 2]) -> Vec<NamedTerm> {
        let variance = MomentTerms::variance(1.0, self.margin, self.epsilon);
        let covariance = MomentTerms::covariance(1.0);
        vec![
            ("variance", self.variance_weight, variance),
            ("covariance", self.covariance_weight, covariance),
        ]
    }

    fn solver(&self) -> Solver {
        self.solver
    }
}
