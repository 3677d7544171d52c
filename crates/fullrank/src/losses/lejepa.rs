//! LeJEPA: two views together, and SIGReg against the collapse.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use derive_setters::Setters;
use serde::{Deserialize, Serialize};

use super::hyper_parameters::{HyperParameterError, finite};
use super::sigreg::{SigRegQuadrature, Slices, at_least_one_slice};
use crate::shards::{BatchStatistics, MomentSums, ShardStatistics};
use crate::statistics::Solver;
use crate::statistics::epps_pulley::{self, epps_pulley, epps_pulley_of_shard};
use crate::statistics::moments::{MomentTerms, Moments};
use crate::surrogate::{self, Part, Parts, SumsOverRows, Surrogate, Terms, assert_same_shape};
use crate::{burn_config, one_line_display};

/// Configuration of [`LeJepaLoss`].
///
/// The paper has one number lambda, the weights `lambda` and `1 - lambda`. Its range is 0.01 to 0.1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Setters)]
#[serde(default, deny_unknown_fields)]
#[setters(prefix = "with_")]
pub struct LeJepaLossConfig {
    /// The weight of SIGReg. Default: `0.05`
    pub sigreg_weight: f64,
    /// The weight of the invariance term. Default: `0.95`
    pub invariance_weight: f64,
    /// How many directions are drawn for each step. Default: `1024`
    pub slices: usize,
    /// The seed of the directions. Default: `0`
    pub seed: u64,
    /// The rule of SIGReg's integral. Default: `SigRegQuadrature::Official`
    pub quadrature: SigRegQuadrature,
    /// Where to compute the statistics. Default: `Solver::Auto`
    pub solver: Solver,
}

impl Default for LeJepaLossConfig {
    fn default() -> Self {
        Self {
            sigreg_weight: 0.05,
            invariance_weight: 0.95,
            slices: 1024,
            seed: 0,
            quadrature: SigRegQuadrature::Official,
            solver: Solver::Auto,
        }
    }
}

burn_config!(LeJepaLossConfig);

impl LeJepaLossConfig {
    /// The default configuration.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether every hyper-parameter is in its range.
    ///
    /// # Errors
    ///
    /// If a weight is not finite or there is no slice.
    pub fn check(&self) -> Result<(), HyperParameterError> {
        finite("weight of SIGReg", self.sigreg_weight)?;
        finite("weight of the invariance term", self.invariance_weight)?;
        at_least_one_slice(self.slices)?;
        self.solver.check()
    }

    /// Initializes the loss, at step 0.
    ///
    /// # Panics
    ///
    /// If [`check`](Self::check) finds an error.
    pub fn init(&self) -> LeJepaLoss {
        self.check().unwrap_or_else(|error| panic!("{error}"));
        LeJepaLoss {
            sigreg_weight: self.sigreg_weight,
            invariance_weight: self.invariance_weight,
            slices: Slices::drawn(self.slices, self.seed),
            quadrature: self.quadrature,
            solver: self.solver,
        }
    }
}

/// LeJEPA: each view of a sample close to the mean of its views, and [`SigReg`](crate::SigReg) on each view.
///
/// ```text
/// loss = sigreg_weight     * [SIGReg(Z) + SIGReg(Z')] / 2
///      + invariance_weight * [mse(Z, M) + mse(Z', M)] / 2,    M = (Z + Z') / 2
/// ```
///
/// with `mse` the mean over rows and dimensions; the second bracket is half the `mse` of the two views. No target
/// network, no predictor and no stopped gradient keep it from collapsing, SIGReg alone does.
///
/// # Conventions
///
/// - SIGReg is of each view on its own, with the same slices for both, and averaged, as in the paper's
///   Algorithm 2, the official code and lightly. Implementations that put the views' rows into one batch have another
///   loss: its statistic is of twice the rows.
/// - The invariance term averages over the dimensions, as they all do. The paper's equations sum over them: for
///   these, multiply `invariance_weight` by the dimension.
/// - Both views are global views: with two there are no others.
/// - The integral: [`SigRegQuadrature`].
///
/// # The step
///
/// The slices are those of a step, which the caller says: `loss.at_step(step)`, as [`SigReg`](crate::SigReg)
/// explains. What is said there of memory, accuracy and edge cases holds here.
///
/// # Terms
///
/// `sigreg`, `invariance` (unweighted).
///
/// # Source
///
/// Balestriero and LeCun, "LeJEPA", 2025, [arXiv 2511.08544](https://arxiv.org/abs/2511.08544), Algorithm 2.
#[derive(Module, Debug)]
#[module(custom_display)]
pub struct LeJepaLoss {
    /// The weight of SIGReg.
    pub sigreg_weight: f64,
    /// The weight of the invariance term.
    pub invariance_weight: f64,
    /// The directions of SIGReg.
    #[module(skip)]
    pub slices: Slices,
    /// The rule of SIGReg's integral.
    #[module(skip)]
    pub quadrature: SigRegQuadrature,
    /// Where the statistics are computed.
    #[module(skip)]
    pub solver: Solver,
}

one_line_display!(LeJepaLoss {
    sigreg_weight,
    invariance_weight,
    slices,
    quadrature,
    solver
});

impl LeJepaLoss {
    /// The same loss at this step of the training, with its slices.
    #[must_use]
    pub fn at_step(&self, step: u64) -> Self {
        Self {
            slices: self.slices.at_step(step),
            ..self.clone()
        }
    }

    /// The same loss along the columns of a matrix `[dim, slices]`, which should be unit vectors, in every step.
    #[must_use]
    pub fn along(self, slices: Tensor<2>) -> Self {
        Self {
            slices: Slices::given(slices),
            ..self
        }
    }

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
    /// If `batch` or `dim` is zero, the shapes of the two views differ, or given slices are of another dimension.
    pub fn forward(&self, first: Tensor<2>, second: Tensor<2>) -> Tensor<1> {
        surrogate::forward(self, [first, second])
    }

    /// The loss and its named terms; shapes and panics as in [`forward`](Self::forward).
    pub fn forward_terms(&self, first: Tensor<2>, second: Tensor<2>) -> Terms {
        surrogate::forward_terms(self, [first, second])
    }

    /// The names of the terms, in their order.
    pub fn term_names(&self) -> Vec<String> {
        ["sigreg", "invariance"].map(str::to_owned).to_vec()
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

impl Default for LeJepaLoss {
    /// The loss with its default configuration.
    fn default() -> Self {
        LeJepaLossConfig::new().init()
    }
}

impl Parts<2> for LeJepaLoss {
    fn parts(&self, views: [Tensor<2>; 2], gradient: bool) -> Vec<Part<2>> {
        assert_same_shape(&views[0], &views[1]);
        let slices = self.slices.beside(&views[0]);
        let knots = self.quadrature.knots();
        let sigreg =
            (views.each_ref()).map(|view| epps_pulley(view, &slices, knots, gradient, self.solver));
        self.two_parts(sigreg, self.invariance(views, gradient))
    }

    fn sums_over_rows(&self, _: &Device) -> Option<&dyn SumsOverRows<2>> {
        Some(self)
    }
}

impl SumsOverRows<2> for LeJepaLoss {
    fn numbers(&self, dim: usize) -> usize {
        2 * (2 * dim + self.quadrature.knots().numbers(self.slices.count()))
    }

    fn sums(&self, shard: &[Tensor<2>; 2]) -> MomentSums {
        let slices = self.slices.beside(&shard[0]);
        let knots = self.quadrature.knots();
        (shard.iter()).fold(Moments::sums(shard, false), |sums, view| {
            epps_pulley::with_sums(sums, view, &slices, knots)
        })
    }

    fn parts_of_shard(
        &self,
        shard: &[Tensor<2>; 2],
        batch: &MomentSums,
        gradient: bool,
    ) -> Vec<Part<2>> {
        let slices = self.slices.beside(&shard[0]);
        let knots = self.quadrature.knots();
        // Behind the distance of the views, two sums of each.
        let sigreg = [(&shard[0], 1), (&shard[1], 3)].map(|(view, place)| {
            epps_pulley_of_shard(view, &slices, knots, (batch, place), gradient)
        });
        let moments = Moments::of_shard(shard.clone(), batch, false);
        let invariance = invariance(batch.rows() * shard[0].dims()[1]);
        self.two_parts(sigreg, moments.evaluate(invariance, gradient))
    }
}

impl LeJepaLoss {
    /// Of SIGReg of each view, of which the loss has the mean, and the invariance.
    fn two_parts(&self, sigreg: [Surrogate<1>; 2], invariance: Surrogate<2>) -> Vec<Part<2>> {
        let [first, second] = sigreg.map(|view| view.scale(0.5));
        let coefficients = first.coefficients.zip(second.coefficients);
        let sigreg = Surrogate {
            value: first.value + second.value,
            coefficients: coefficients.map(|([first], [second])| [first, second]),
        };
        vec![
            Part {
                name: "sigreg",
                weight: self.sigreg_weight,
                surrogate: sigreg,
            },
            Part {
                name: "invariance",
                weight: self.invariance_weight,
                surrogate: invariance,
            },
        ]
    }

    fn invariance(&self, views: [Tensor<2>; 2], gradient: bool) -> Surrogate<2> {
        let entries = views[0].shape().num_elements();
        Moments::new(views, self.solver).evaluate(invariance(entries), gradient)
    }
}

/// `(1/4) mse(Z, Z')`: each of the views is half their difference away from their mean.
fn invariance(entries: usize) -> MomentTerms {
    MomentTerms::invariance(0.25 / entries as f64)
}
