//! VICReg's variance term.

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

/// Configuration of [`Variance`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Setters)]
#[serde(default, deny_unknown_fields)]
#[setters(prefix = "with_")]
pub struct VarianceConfig {
    /// The weight of the term. Default: `1.0`
    pub weight: f64,
    /// The standard deviation gamma that every dimension should reach. Default: `1.0`
    pub margin: f64,
    /// Added to the variance inside the root. Default: `1e-4`
    pub epsilon: f64,
    /// Where to compute the statistics. Default: `Solver::Auto`
    pub solver: Solver,
}

impl Default for VarianceConfig {
    fn default() -> Self {
        Self {
            weight: 1.0,
            margin: 1.0,
            epsilon: 1e-4,
            solver: Solver::Auto,
        }
    }
}

burn_config!(VarianceConfig);

impl VarianceConfig {
    /// The default configuration.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether every hyper-parameter is in its range.
    ///
    /// # Errors
    ///
    /// If the weight is not finite, the margin not positive or epsilon not positive.
    pub fn check(&self) -> Result<(), HyperParameterError> {
        finite("weight of the variance term", self.weight)?;
        finite_and_positive("margin of the variance term", self.margin)?;
        finite_and_positive("epsilon", self.epsilon)?;
        self.solver.check()
    }

    /// Initializes the loss.
    ///
    /// # Panics
    ///
    /// If [`check`](Self::check) finds an error.
    pub fn init(&self) -> Variance {
        self.check().unwrap_or_else(|error| panic!("{error}"));
        Variance {
            weight: self.weight,
            margin: self.margin,
            epsilon: self.epsilon,
            solver: self.solver,
        }
    }
}

/// The hinge on each dimension's standard deviation: no dimension may go quiet.
///
/// ```text
/// v(Z) = (1/d) sum_j max(0, margin - sqrt(Var(z_j) + epsilon)),   loss = weight * v(Z)
/// ```
///
/// with the unbiased variance of column `z_j` over the batch. The rows are not normalized: on unit
/// rows a standard deviation of 1 in every dimension cannot be had.
///
/// # Edge cases
///
/// - A batch of one row has no spread: its variance counts as 0. The loss is `margin -
///   sqrt(epsilon)` times the weight, without gradient; the same holds when all rows are equal.
/// - A NaN in the input makes the value NaN.
///
/// # Terms
///
/// `variance` (unweighted).
///
/// # Source
///
/// Bardes, Ponce and LeCun, "VICReg", 2021, [arXiv 2105.04906](https://arxiv.org/abs/2105.04906),
/// Eq. 1-2.
#[derive(Module, Debug)]
#[module(custom_display)]
pub struct Variance {
    /// The weight of the term.
    pub weight: f64,
    /// The standard deviation every dimension should reach.
    pub margin: f64,
    /// Added to the variance inside the root.
    pub epsilon: f64,
    /// Where the statistics are computed.
    #[module(skip)]
    pub solver: Solver,
}

one_line_display!(Variance {
    weight,
    margin,
    epsilon,
    solver
});

impl Variance {
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
        ["variance"].map(str::to_owned).to_vec()
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

impl Default for Variance {
    /// The loss with its default configuration.
    fn default() -> Self {
        VarianceConfig::new().init()
    }
}

impl MomentLoss<1> for Variance {
    fn moment_terms(&self, _: [usize; 2]) -> Vec<NamedTerm> {
        let variance = MomentTerms::variance(1.0, self.margin, self.epsilon);
        vec![("variance", self.weight, variance)]
    }

    fn solver(&self) -> Solver {
        self.solver
    }
}
