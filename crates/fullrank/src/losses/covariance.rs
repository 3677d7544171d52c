//! VICReg's covariance term.

use burn::module::Module;
use burn::tensor::Tensor;
use derive_setters::Setters;
use serde::{Deserialize, Serialize};

use super::hyper_parameters::{HyperParameterError, finite};
use super::moment_loss::{MomentLoss, NamedTerm};
use crate::shards::{BatchStatistics, ShardStatistics};
use crate::statistics::Solver;
use crate::statistics::moments::MomentTerms;
use crate::surrogate::{self, Surrogate, Terms};
use crate::{burn_config, one_line_display};

/// Configuration of [`Covariance`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Setters)]
#[serde(default, deny_unknown_fields)]
#[setters(prefix = "with_")]
pub struct CovarianceConfig {
    /// The weight of the term. Default: `1.0`
    pub weight: f64,
    /// Where to compute the statistics. Default: `Solver::Auto`
    pub solver: Solver,
}

impl Default for CovarianceConfig {
    fn default() -> Self {
        Self {
            weight: 1.0,
            solver: Solver::Auto,
        }
    }
}

burn_config!(CovarianceConfig);

impl CovarianceConfig {
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
        finite("weight of the covariance term", self.weight)?;
        self.solver.check()
    }

    /// Initializes the loss.
    ///
    /// # Panics
    ///
    /// If [`check`](Self::check) finds an error.
    pub fn init(&self) -> Covariance {
        self.check().unwrap_or_else(|error| panic!("{error}"));
        Covariance {
            weight: self.weight,
            solver: self.solver,
        }
    }
}

/// The squared covariances between different dimensions: no two may say the same.
///
/// ```text
/// C(Z) = (Z - mean)^T (Z - mean) / (n - 1),   c(Z) = (1/d) sum_{i != j} C(Z)_ij^2
/// loss = weight * c(Z)
/// ```
///
/// The d x d matrix is formed only if `d <= n`; otherwise the n x n Gram matrix gives the same value
/// and gradient, at `n / d` of the cost and `(n / d)^2` of the memory.
///
/// # Edge cases
///
/// - One row, one dimension, or all rows equal: value and gradient 0.
/// - A NaN in the input makes the value NaN.
///
/// # Terms
///
/// `covariance` (unweighted).
///
/// # Source
///
/// Bardes, Ponce and LeCun, "VICReg", 2021, [arXiv 2105.04906](https://arxiv.org/abs/2105.04906),
/// Eq. 3-4; the Gram side: Garrido et al., [arXiv 2206.02574](https://arxiv.org/abs/2206.02574),
/// Theorem 3.3.
#[derive(Module, Debug)]
#[module(custom_display)]
pub struct Covariance {
    /// The weight of the term.
    pub weight: f64,
    /// Where the statistics are computed.
    #[module(skip)]
    pub solver: Solver,
}

one_line_display!(Covariance { weight, solver });

impl Covariance {
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
        ["covariance"].map(str::to_owned).to_vec()
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

impl Default for Covariance {
    /// The loss with its default configuration.
    fn default() -> Self {
        CovarianceConfig::new().init()
    }
}

impl MomentLoss<1> for Covariance {
    fn moment_terms(&self, _: [usize; 2]) -> Vec<NamedTerm> {
        let covariance = MomentTerms::covariance(1.0);
        vec![("covariance", self.weight, covariance)]
    }

    fn solver(&self) -> Solver {
        self.solver
    }
}
