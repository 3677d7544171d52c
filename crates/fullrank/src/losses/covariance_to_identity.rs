//! The covariance of a batch towards the identity.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use derive_setters::Setters;
use serde::{Deserialize, Serialize};

use super::hyper_parameters::{HyperParameterError, finite};
use crate::shards::{BatchStatistics, MomentSums, ShardStatistics};
use crate::statistics::Solver;
use crate::statistics::identity_distance::{self, identity_distance, identity_distance_of_shard};
use crate::surrogate::{self, Part, Parts, SumsOverRows, Surrogate, Terms};
use crate::{burn_config, one_line_display};

/// Configuration of [`CovarianceToIdentity`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Setters)]
#[serde(default, deny_unknown_fields)]
#[setters(prefix = "with_")]
pub struct CovarianceToIdentityConfig {
    /// The weight of the term. Default: `1.0`
    pub weight: f64,
    /// Where to compute the statistics. Default: `Solver::Auto`
    pub solver: Solver,
}

impl Default for CovarianceToIdentityConfig {
    fn default() -> Self {
        Self {
            weight: 1.0,
            solver: Solver::Auto,
        }
    }
}

burn_config!(CovarianceToIdentityConfig);

impl CovarianceToIdentityConfig {
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
        finite("weight of the covariance to the identity", self.weight)?;
        self.solver.check()
    }

    /// Initializes the loss.
    ///
    /// # Panics
    ///
    /// If [`check`](Self::check) finds an error.
    pub fn init(&self) -> CovarianceToIdentity {
        self.check().unwrap_or_else(|error| panic!("{error}"));
        CovarianceToIdentity {
            weight: self.weight,
            solver: self.solver,
        }
    }
}

/// The distance of the covariance from the identity: every dimension with variance 1, no two of them
/// correlated.
///
/// ```text
/// C(Z) = (Z - mean)^T (Z - mean) / (n - 1),   loss = weight * ||C(Z) - I||_F
/// ```
///
/// Where [`Variance`](crate::Variance) asks for a least spread, this asks for one spread, from both
/// sides. The rows are not normalized: on unit rows a variance of 1 in every dimension cannot be had. With
/// `n <= d` rows the covariance has at most `n - 1` eigenvalues above zero, and the distance is at least
/// `sqrt(d - n + 1)`.
///
/// The d x d matrix is formed only if `d <= n`, else the n x n Gram matrix. The paper sketches a large `d` to
/// 64 random columns first; with the smaller of the two matrices there is nothing to save by it, and the
/// distance is exact.
///
/// # Edge cases
///
/// - One row, or all rows equal: value `weight * sqrt(d)`, gradient 0. Near there the gradient is short, of
///   the size of the spread: it does not revive a batch that has collapsed as fast as
///   [`SvMax`](crate::SvMax) does.
/// - The covariance is the identity: value 0, and of the directions in which it grows none is better:
///   gradient 0.
/// - A NaN in the input makes the value NaN.
///
/// # Terms
///
/// `distance` (unweighted).
///
/// # Source
///
/// "Weak-SIGReg", 2026, [arXiv 2603.05924](https://arxiv.org/abs/2603.05924), without its sketch.
#[derive(Module, Debug)]
#[module(custom_display)]
pub struct CovarianceToIdentity {
    /// The weight of the term.
    pub weight: f64,
    /// Where the statistics are computed.
    #[module(skip)]
    pub solver: Solver,
}

one_line_display!(CovarianceToIdentity { weight, solver });

impl CovarianceToIdentity {
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
        ["distance"].map(str::to_owned).to_vec()
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

impl Default for CovarianceToIdentity {
    /// The loss with its default configuration.
    fn default() -> Self {
        CovarianceToIdentityConfig::new().init()
    }
}

impl Parts<1> for CovarianceToIdentity {
    fn parts(&self, [embeddings]: [Tensor<2>; 1], gradient: bool) -> Vec<Part<1>> {
        self.one_part(identity_distance(&embeddings, gradient, self.solver))
    }

    fn sums_over_rows(&self, _: &Device) -> Option<&dyn SumsOverRows<1>> {
        Some(self)
    }
}

impl SumsOverRows<1> for CovarianceToIdentity {
    fn numbers(&self, dim: usize) -> usize {
        dim * (dim + 2)
    }

    fn sums(&self, [shard]: &[Tensor<2>; 1]) -> MomentSums {
        identity_distance::sums(shard)
    }

    fn parts_of_shard(
        &self,
        [shard]: &[Tensor<2>; 1],
        batch: &MomentSums,
        gradient: bool,
    ) -> Vec<Part<1>> {
        self.one_part(identity_distance_of_shard(shard, batch, gradient))
    }
}

impl CovarianceToIdentity {
    fn one_part(&self, distance: Surrogate<1>) -> Vec<Part<1>> {
        vec![Part {
            name: "distance",
            weight: self.weight,
            surrogate: distance,
        }]
    }
}
