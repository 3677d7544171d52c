//! SVMax: maximize the mean singular value.

use burn::module::Module;
#[cfg(feature = "host-solver")]
use burn::tensor::Device;
use burn::tensor::Tensor;
use derive_setters::Setters;
use serde::{Deserialize, Serialize};

use super::hyper_parameters::{HyperParameterError, finite, finite_and_not_negative, require};
#[cfg(feature = "host-solver")]
use crate::host::is_host;
#[cfg(feature = "host-solver")]
use crate::shards::MomentSums;
use crate::shards::{BatchStatistics, ShardStatistics};
use crate::statistics::nuclear_norm::mean_singular_value;
#[cfg(feature = "host-solver")]
use crate::statistics::nuclear_norm::{mean_singular_value_of_shard, with_gram};
use crate::statistics::{Bounds, Solver, UnitRows};
#[cfg(feature = "host-solver")]
use crate::surrogate::SumsOverRows;
use crate::surrogate::{self, Part, Parts, Surrogate, Terms};
use crate::{burn_config, one_line_display};

/// How the mean singular value `s_mu` becomes a penalty; `L` and `U` are its [`Bounds`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SvMaxForm {
    /// `-s_mu` (Taha et al., Eq. 1): the one form for rows that are not unit vectors.
    Linear,
    /// `exp((U - s_mu) / (U - L))` (Eq. 4): from 1 at a flat spectrum to e at rank one. The form of
    /// the paper's retrieval experiments; it pushes hardest when the collapse is worst.
    Bounded,
    /// `-(s_mu - L) / (U - L)`: from -1 at a flat spectrum to 0 at rank one, with a gradient of the
    /// same size everywhere.
    Normalized,
}

/// Configuration of [`SvMax`].
///
/// # The default
///
/// Weight 0.3 and a floor of the norm at 1: chosen so that a classifier without a normalization before
/// the layer still learns while the layer's rank rises, where weight 1 with the exact gradient, as
/// published, destroys it. The measurements are in the repository's `docs/guide.md`, section 4, by
/// `examples/default_weight.rs`. [`SvMaxConfig::paper`] is the loss as published.
///
/// # Weights from the paper
///
/// With the bounded form and unit rows: 1 beside contrastive and N-pair losses, 0.1 beside triplet,
/// 2 beside angular losses; in the linear form, 0.01 on a GAN's generator. The right weight depends
/// on the loss it stands beside: a weight of 1 costs the triplet loss 8 points of Recall@1 on
/// Stanford Online Products (Taha et al., section 4.1 and Table 2).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Setters)]
#[serde(default, deny_unknown_fields)]
#[setters(prefix = "with_")]
pub struct SvMaxConfig {
    /// The weight lambda of the penalty. Default: `0.3`
    pub weight: f64,
    /// The form of the penalty. Default: `SvMaxForm::Bounded`
    pub form: SvMaxForm,
    /// Whether the rows are divided by their 2-norm first, as part of the gradient. The bounds hold
    /// for unit rows only: `false` goes with `SvMaxForm::Linear` alone. Default: `true`
    pub normalize: bool,
    /// How to compute it. Default: `Solver::Auto`
    pub solver: Solver,
    /// The norm below which a row's gradient no longer grows: it is the exact one times
    /// `min(1, norm / norm_floor)`, as [`SvMax`] explains. `0` for the exact one everywhere. Without
    /// effect on rows that are not normalized. Default: `1.0`
    pub norm_floor: f64,
}

impl Default for SvMaxConfig {
    fn default() -> Self {
        Self {
            weight: 0.3,
            form: SvMaxForm::Bounded,
            normalize: true,
            solver: Solver::Auto,
            norm_floor: 1.0,
        }
    }
}

burn_config!(SvMaxConfig);

impl SvMaxConfig {
    /// The default configuration.
    pub fn new() -> Self {
        Self::default()
    }

    /// The loss as the paper has it: weight 1, and the exact gradient of rows of any norm.
    pub fn paper() -> Self {
        Self::new().with_weight(1.0).with_norm_floor(0.0)
    }

    /// Whether every hyper-parameter is in its range.
    ///
    /// # Errors
    ///
    /// If the weight is not finite, the norm floor negative or not finite, the form another than
    /// [`Linear`](SvMaxForm::Linear) though the rows are not normalized, or the host solver is asked for
    /// and the feature `host-solver` is off.
    pub fn check(&self) -> Result<(), HyperParameterError> {
        finite("weight of SVMax", self.weight)?;
        finite_and_not_negative("norm floor of SVMax", self.norm_floor)?;
        require(self.normalize || self.form == SvMaxForm::Linear, || {
            format!(
                "the bounds of SvMaxForm::{:?} hold for unit rows only: with normalize = false, use \
                 SvMaxForm::Linear",
                self.form
            )
        })?;
        self.solver.check()
    }

    /// Initializes the loss.
    ///
    /// # Panics
    ///
    /// If [`check`](Self::check) finds an error.
    pub fn init(&self) -> SvMax {
        self.check().unwrap_or_else(|error| panic!("{error}"));
        SvMax {
            weight: self.weight,
            form: self.form,
            normalize: self.normalize,
            solver: self.solver,
            norm_floor: self.norm_floor,
        }
    }
}

/// SVMax: a penalty on embeddings that leave dimensions unused, however they are labelled.
///
/// ```text
/// s_mu = (1/r) sum_i s_i(E),   r = min(b, d),   rows of E divided by their 2-norm
/// loss = weight * exp((U - s_mu) / (U - L))          (form Bounded; see SvMaxForm)
/// ```
///
/// The rows are not centred: a constant offset counts as one direction in use.
///
/// # Gradient
///
/// The value does not depend on the norms of the rows, so the exact gradient in a row `x`,
///
/// ```text
/// dloss/dx = (dloss/ds_mu) (I - u u^T) p / |x|,      u = x / |x|,   p = ds_mu/du
/// ```
///
/// is orthogonal to the row and grows without limit as the row gets short. The one handed on has
/// `max(|x|, norm_floor)` in place of that `|x|`. So for rows of norm `norm_floor` and above value and
/// gradient are an exact pair. For a shorter row they are not: its gradient has the exact direction and is
/// `|x| / norm_floor` times as long. `norm_floor = 0` is exact for every row.
///
/// Why: a layer without a normalization before it starts with rows that are short and nearly parallel.
/// What the penalty takes away is what they have in common, so they get shorter still, and the exact
/// gradient longer, until it outweighs the task's many times over and the layer is noise. The rows of a
/// layer of `d` dimensions after LayerNorm or BatchNorm have norms of about `sqrt(d)`: there the floor
/// changes nothing.
///
/// # Accuracy
///
/// No SVD is computed on any device; see [`Solver`] for the two ways. Both compute the same smoothed
/// function of the singular values,
///
/// ```text
/// s_mu = (1/r) sum_i sqrt(s_i^2 + delta^2),     delta = c ||E||_F / r   (c L on unit rows)
/// ```
///
/// with `c = 1e-4` on the host (`5e-8 r` from `r = 2000` on) and `8e-4` on the device, and its gradient,
/// with these guarantees in f32:
///
/// - `cond(E) <= 100`: `s_mu` to 1e-4 of the exact mean singular value, the gradient to a cosine of 0.9999.
/// - Any input, collapsed or nearly so: `s_mu` to 1e-3 of the exact value, on the host to 2e-4 (up to
///   `r = 2000`), and no singular direction is pushed by more than `1.001 / r`. It takes the host solver about
///   three times as long as a tall random batch, whatever the spectrum.
///
/// Directions with singular values well above `delta` are pushed alike, by `1 / r`, the small ones as
/// hard as the large: that is what revives them. (To 0.6% on the device, to 1.5% on the host.) One far below `delta`, where rounding noise decides on the
/// singular vectors, gets `s / (delta r)`.
///
/// On the host the same input gives the same bits, whatever the number of threads.
///
/// # Edge cases
///
/// - `r = 1` (one row or one dimension): the bounds coincide and nothing can spread. The bounded
///   penalty is 1, the normalized -1, both without gradient.
/// - With `normalize`, the size of a row does not count, from the smallest to the largest that the type
///   holds, one beside another: the exact gradient in a row times `t` is `1/t` of that in the row. (Where
///   that is above the range of the type it is the largest number, below it zero.)
///   Without, neither is a batch of any size too large or too small. Only rows whose entries are all zero
///   are zero rows: they stay zero and get no gradient.
/// - All rows equal: `s_mu = L`, and the gradient is zero, for no direction is better than another.
///   Any noise that the type can hold breaks the tie and grows.
/// - A NaN in the input makes value and gradient NaN.
///
/// # Terms
///
/// `mean_singular_value`, `lower_bound`, `upper_bound`, `penalty` (unweighted).
///
/// # Source
///
/// Taha, Hanson, Shrivastava and Davis, "SVMax: A Feature Embedding Regularizer", 2021,
/// [arXiv 2103.02770](https://arxiv.org/abs/2103.02770).
#[derive(Module, Debug)]
#[module(custom_display)]
pub struct SvMax {
    /// The weight of the penalty.
    pub weight: f64,
    /// The form of the penalty.
    #[module(skip)]
    pub form: SvMaxForm,
    /// Whether the rows are divided by their 2-norm first.
    pub normalize: bool,
    /// How the mean singular value is computed.
    #[module(skip)]
    pub solver: Solver,
    /// The norm below which a row's gradient stops growing.
    pub norm_floor: f64,
}

one_line_display!(SvMax {
    weight,
    form,
    normalize,
    solver,
    norm_floor
});

impl SvMax {
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
        [
            "mean_singular_value",
            "lower_bound",
            "upper_bound",
            "penalty",
        ]
        .map(str::to_owned)
        .to_vec()
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

impl Default for SvMax {
    /// The loss with its default configuration.
    fn default() -> Self {
        SvMaxConfig::new().init()
    }
}

impl SvMax {
    /// The mean singular value by `of_rows`, of unit rows or of those that there are.
    fn mean_singular_value(
        &self,
        embeddings: Tensor<2>,
        of_rows: impl FnOnce(&Tensor<2>) -> Surrogate<1>,
    ) -> Surrogate<1> {
        if !self.normalize {
            return of_rows(&embeddings);
        }
        let unit = UnitRows::of(embeddings);
        let mean = of_rows(&unit.rows);
        Surrogate {
            value: mean.value,
            coefficients: mean
                .coefficients
                .map(|[free]| [unit.gradient(free, self.norm_floor)]),
        }
    }
}

impl Parts<1> for SvMax {
    fn parts(&self, [embeddings]: [Tensor<2>; 1], gradient: bool) -> Vec<Part<1>> {
        let [batch, dim] = embeddings.dims();
        let mean = self.mean_singular_value(embeddings, |rows| {
            mean_singular_value(rows, gradient, self.solver)
        });
        self.parts_of(mean, Bounds::new(batch, dim))
    }

    #[cfg(feature = "host-solver")]
    fn sums_over_rows(&self, device: &Device) -> Option<&dyn SumsOverRows<1>> {
        // Elsewhere the Gram matrix is not in f64, and has not the digits.
        let on_host = self.solver.on_host(device) && is_host(device);
        on_host.then_some(self as _)
    }
}

#[cfg(feature = "host-solver")]
impl SumsOverRows<1> for SvMax {
    fn numbers(&self, dim: usize) -> usize {
        dim * dim
    }

    fn sums(&self, [shard]: &[Tensor<2>; 1]) -> MomentSums {
        let rows = match self.normalize {
            true => UnitRows::of(shard.clone()).rows,
            false => shard.clone(),
        };
        with_gram(MomentSums::of_rows(shard.dims()[0]), &rows)
    }

    fn parts_of_shard(
        &self,
        [shard]: &[Tensor<2>; 1],
        batch: &MomentSums,
        gradient: bool,
    ) -> Vec<Part<1>> {
        let mean = self.mean_singular_value(shard.clone(), |rows| {
            mean_singular_value_of_shard(rows, batch, gradient)
        });
        self.parts_of(mean, Bounds::new(batch.rows(), shard.dims()[1]))
    }
}

impl SvMax {
    fn parts_of(&self, mean: Surrogate<1>, bounds: Bounds) -> Vec<Part<1>> {
        let [lower, upper] = [bounds.lower, bounds.upper].map(|bound| mean.value.full_like(bound));
        let penalty = match self.form {
            SvMaxForm::Linear => mean.clone().scale(-1.0),
            SvMaxForm::Bounded if bounds.rank == 1 => flat(&mean, 1.0),
            SvMaxForm::Normalized if bounds.rank == 1 => flat(&mean, -1.0),
            SvMaxForm::Normalized => {
                let range = bounds.upper - bounds.lower;
                let scaled = mean.clone().scale(-1.0 / range);
                Surrogate {
                    value: scaled.value.add_scalar(bounds.lower / range),
                    ..scaled
                }
            }
            SvMaxForm::Bounded => {
                let range = bounds.upper - bounds.lower;
                let exponential = (mean.value.clone().neg().add_scalar(bounds.upper))
                    .div_scalar(range)
                    .exp();
                let slope = exponential.clone().div_scalar(-range).unsqueeze::<2>();
                Surrogate {
                    value: exponential,
                    coefficients: mean.coefficients.clone().map(|[c]| [c * slope]),
                }
            }
        };
        vec![
            Part {
                name: "mean_singular_value",
                weight: 0.0,
                surrogate: mean,
            },
            Part {
                name: "lower_bound",
                weight: 0.0,
                surrogate: Surrogate::constant(lower),
            },
            Part {
                name: "upper_bound",
                weight: 0.0,
                surrogate: Surrogate::constant(upper),
            },
            Part {
                name: "penalty",
                weight: self.weight,
                surrogate: penalty,
            },
        ]
    }
}

/// `level` where the mean singular value is a number: a NaN stays visible.
fn flat(mean: &Surrogate<1>, level: f64) -> Surrogate<1> {
    let scaled = mean.clone().scale(0.0);
    Surrogate {
        value: scaled.value.add_scalar(level),
        ..scaled
    }
}
