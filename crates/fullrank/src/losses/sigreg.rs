//! SIGReg: the embedding should look normal along every direction.

use std::fmt;

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use derive_setters::Setters;
use serde::{Deserialize, Serialize};

use super::hyper_parameters::{HyperParameterError, finite, require};
use crate::shards::{BatchStatistics, MomentSums, ShardStatistics};
use crate::statistics::Solver;
use crate::statistics::epps_pulley::{self, Knots, epps_pulley, epps_pulley_of_shard};
use crate::statistics::slices;
use crate::surrogate::{self, Part, Parts, SumsOverRows, Surrogate, Terms};
use crate::{burn_config, one_line_display};

/// The rule by which SIGReg integrates over the characteristic function. The paper and the code it came with
/// differ: the same weight is a different loss in each.
///
/// Both are the trapezoidal rule over equally spaced `t`, with the window `exp(-t^2 / 2)`:
///
/// | quadrature | from | spacing | distinct `t >= 0` | used by |
/// |---|---|---|---|---|
/// | `Official` | -3 to 3 | 3/16 | 17 | galilai-group/lejepa, lightly |
/// | `Paper` | -5 to 5 | 5/8 | 9 | the paper, Algorithm 1 |
///
/// The integrand is even in `t`, so only `t >= 0` is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SigRegQuadrature {
    /// The code released with the paper: 17 knots on [0, 3], each counted with its mirror image.
    Official,
    /// The listing in the paper: 17 knots on [-5, 5].
    Paper,
}

impl SigRegQuadrature {
    pub(crate) fn knots(self) -> Knots {
        match self {
            Self::Official => Knots {
                limit: 3.0,
                count: 17,
            },
            Self::Paper => Knots {
                limit: 5.0,
                count: 9,
            },
        }
    }
}

/// The directions that SIGReg looks along.
#[derive(Clone)]
pub enum Slices {
    /// Drawn anew for each step, uniform on the sphere: a function of these three numbers and of the dimension
    /// alone, the same on every device and on every shard of a batch.
    Drawn {
        /// How many.
        count: usize,
        /// One for a training.
        seed: u64,
        /// The step of the training.
        step: u64,
    },
    /// Given ones, the same in every step: the columns of a matrix `[dim, slices]`, which should be unit vectors.
    Given(Box<Tensor<2>>),
}

/// Given ones by their shape.
impl fmt::Debug for Slices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Drawn { count, seed, step } => f
                .debug_struct("Drawn")
                .field("count", count)
                .field("seed", seed)
                .field("step", step)
                .finish(),
            Self::Given(slices) => write!(f, "Given({:?})", slices.dims()),
        }
    }
}

impl Slices {
    /// Those of step 0.
    pub(crate) fn drawn(count: usize, seed: u64) -> Self {
        let step = 0;
        Self::Drawn { count, seed, step }
    }

    pub(crate) fn given(slices: Tensor<2>) -> Self {
        Self::Given(Box::new(slices))
    }

    /// How many.
    pub(crate) fn count(&self) -> usize {
        match self {
            Self::Drawn { count, .. } => *count,
            Self::Given(slices) => slices.dims()[1],
        }
    }

    /// The same for another step; given ones stay.
    pub(crate) fn at_step(&self, step: u64) -> Self {
        match *self {
            Self::Drawn { count, seed, .. } => Self::Drawn { count, seed, step },
            Self::Given(ref slices) => Self::Given(slices.clone()),
        }
    }

    /// Beside embeddings of their dimension.
    ///
    /// # Panics
    ///
    /// If given ones are of another dimension.
    pub(crate) fn beside(&self, embeddings: &Tensor<2>) -> Tensor<2> {
        match self {
            Self::Drawn { count, seed, step } => slices::drawn(*seed, *step, *count, embeddings),
            Self::Given(slices) => {
                assert_eq!(
                    slices.dims()[0],
                    embeddings.dims()[1],
                    "the slices must have as many rows as the embeddings have dimensions"
                );
                let slices = slices.as_ref().clone().without_autodiff();
                slices
                    .to_device(&embeddings.device())
                    .cast(embeddings.dtype())
            }
        }
    }
}

/// Configuration of [`SigReg`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Setters)]
#[serde(default, deny_unknown_fields)]
#[setters(prefix = "with_")]
pub struct SigRegConfig {
    /// The weight of the term. Default: `1.0`
    pub weight: f64,
    /// How many directions are drawn for each step. Default: `1024`, as in the official code; the paper's
    /// Algorithm 1 has `256`
    pub slices: usize,
    /// The seed of the directions. Default: `0`
    pub seed: u64,
    /// The rule of the integral. Default: `SigRegQuadrature::Official`
    pub quadrature: SigRegQuadrature,
    /// Where to compute the statistics. Default: `Solver::Auto`
    pub solver: Solver,
}

impl Default for SigRegConfig {
    fn default() -> Self {
        Self {
            weight: 1.0,
            slices: 1024,
            seed: 0,
            quadrature: SigRegQuadrature::Official,
            solver: Solver::Auto,
        }
    }
}

burn_config!(SigRegConfig);

impl SigRegConfig {
    /// The default configuration.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether every hyper-parameter is in its range.
    ///
    /// # Errors
    ///
    /// If the weight is not finite or there is no slice.
    pub fn check(&self) -> Result<(), HyperParameterError> {
        finite("weight of SIGReg", self.weight)?;
        at_least_one_slice(self.slices)?;
        self.solver.check()
    }

    /// Initializes the loss, at step 0.
    ///
    /// # Panics
    ///
    /// If [`check`](Self::check) finds an error.
    pub fn init(&self) -> SigReg {
        self.check().unwrap_or_else(|error| panic!("{error}"));
        SigReg {
            weight: self.weight,
            slices: Slices::drawn(self.slices, self.seed),
            quadrature: self.quadrature,
            solver: self.solver,
        }
    }
}

/// # Errors
///
/// If there is none.
pub(crate) fn at_least_one_slice(slices: usize) -> Result<(), HyperParameterError> {
    require(slices > 0, || {
        format!("SIGReg needs at least one slice, got {slices}")
    })
}

/// SIGReg, sketched isotropic Gaussian regularization: seen along any direction, the rows should be distributed as
/// standard normal numbers.
///
/// ```text
/// u = Z A                                A: k unit columns, drawn anew for each step
/// T_m = n integral |mean_i exp(i t u_im) - exp(-t^2 / 2)|^2 exp(-t^2 / 2) dt       (Epps and Pulley)
/// loss = weight / k * sum_m T_m          the integral by a SigRegQuadrature
/// ```
///
/// The rows are not normalized: on unit rows no variance of 1 in every dimension can be had. `T_m` grows with the
/// number of rows `n`, at a given distribution; on rows that are standard normal its mean does not depend on it.
///
/// # The step
///
/// The slices are a function of the seed, the step and the dimension, of nothing else: there is no state that
/// counts, and the same loss twice has the same value twice. So the caller says which step it is:
///
/// ```
/// use burn::tensor::{Device, Distribution, Tensor};
/// use fullrank::SigRegConfig;
///
/// let sigreg = SigRegConfig::new().with_slices(64).init();
/// for step in 0..3 {
///     let embeddings = Tensor::random([32, 8], Distribution::Default, &Device::default());
///     let loss = sigreg.at_step(step).forward(embeddings);
///     assert_eq!(loss.dims(), [1]);
/// }
/// ```
///
/// Without that every step has the slices of step 0. Shards of a batch and trainings that resume need the number
/// of the step, which they have, and no other thing.
///
/// The numbers are drawn on the host and sent to the embeddings' device, `dim * slices` of them a step. Nothing is
/// read back.
///
/// # Memory
///
/// A few matrices `[batch, slices]` at a time: the knots of the integral are taken one after the other.
///
/// # Accuracy
///
/// A cosine of an angle `t u` far from 0 is known to its rounding: in f32 to about `6e-8 |t u|`. So value and
/// gradient of rows of norm 1e4 have three digits, and those of rows above 1e7 none; both stay bounded.
///
/// # Edge cases
///
/// - All rows equal: the value is finite, and the gradient the same for every row: it moves them together, and
///   apart not at all. Near there it is short, of the size of the spread.
/// - One row: a sample of one, whose distribution cannot be normal; it is moved towards 0.
/// - A NaN in the input makes the value NaN.
///
/// # Terms
///
/// `normality` (unweighted).
///
/// # Source
///
/// Balestriero and LeCun, "LeJEPA", 2025, [arXiv 2511.08544](https://arxiv.org/abs/2511.08544), Algorithm 1,
/// which seeds its slices by the step too; the statistic: Epps and Pulley, "A test for normality based on the
/// empirical characteristic function", 1983.
#[derive(Module, Debug)]
#[module(custom_display)]
pub struct SigReg {
    /// The weight of the term.
    pub weight: f64,
    /// The directions.
    #[module(skip)]
    pub slices: Slices,
    /// The rule of the integral.
    #[module(skip)]
    pub quadrature: SigRegQuadrature,
    /// Where the statistics are computed.
    #[module(skip)]
    pub solver: Solver,
}

one_line_display!(SigReg {
    weight,
    slices,
    quadrature,
    solver
});

impl SigReg {
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
    /// - embeddings: `[batch, dim]`
    /// - output: `[1]`, in f32, or in f64 for f64 input
    ///
    /// # Panics
    ///
    /// If `batch` or `dim` is zero, or given slices are of another dimension.
    pub fn forward(&self, embeddings: Tensor<2>) -> Tensor<1> {
        surrogate::forward(self, [embeddings])
    }

    /// The loss and its named terms; shapes and panics as in [`forward`](Self::forward).
    pub fn forward_terms(&self, embeddings: Tensor<2>) -> Terms {
        surrogate::forward_terms(self, [embeddings])
    }

    /// The names of the terms, in their order.
    pub fn term_names(&self) -> Vec<String> {
        ["normality"].map(str::to_owned).to_vec()
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

impl Default for SigReg {
    /// The loss with its default configuration.
    fn default() -> Self {
        SigRegConfig::new().init()
    }
}

impl Parts<1> for SigReg {
    fn parts(&self, [embeddings]: [Tensor<2>; 1], gradient: bool) -> Vec<Part<1>> {
        let slices = self.slices.beside(&embeddings);
        let knots = self.quadrature.knots();
        self.one_part(epps_pulley(
            &embeddings,
            &slices,
            knots,
            gradient,
            self.solver,
        ))
    }

    fn sums_over_rows(&self, _: &Device) -> Option<&dyn SumsOverRows<1>> {
        Some(self)
    }
}

impl SumsOverRows<1> for SigReg {
    fn numbers(&self, _: usize) -> usize {
        self.quadrature.knots().numbers(self.slices.count())
    }

    fn sums(&self, [shard]: &[Tensor<2>; 1]) -> MomentSums {
        let sums = MomentSums::of_rows(shard.dims()[0]);
        let slices = self.slices.beside(shard);
        epps_pulley::with_sums(sums, shard, &slices, self.quadrature.knots())
    }

    fn parts_of_shard(
        &self,
        [shard]: &[Tensor<2>; 1],
        batch: &MomentSums,
        gradient: bool,
    ) -> Vec<Part<1>> {
        let (slices, knots) = (self.slices.beside(shard), self.quadrature.knots());
        self.one_part(epps_pulley_of_shard(
            shard,
            &slices,
            knots,
            (batch, 0),
            gradient,
        ))
    }
}

impl SigReg {
    fn one_part(&self, normality: Surrogate<1>) -> Vec<Part<1>> {
        vec![Part {
            name: "normality",
            weight: self.weight,
            surrogate: normality,
        }]
    }
}
