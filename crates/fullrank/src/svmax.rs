//! SVMax: maximise the mean singular value.

use burn::config::Config;
use burn::module::Module;
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use crate::Bounds;
use crate::methods::{loss_methods, one_line_display};
use crate::nuclear_norm::mean_singular_value;
use crate::surrogate::{Evaluation, Part, Parts, scalar};
use crate::unit_rows::UnitRows;

/// How the mean singular value `s_mu` becomes a penalty; `L` and `U` are its [`Bounds`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SvMaxForm {
    /// `-s_mu` (Taha et al., Eq. 1): unbounded scale, used where the rows are not unit vectors.
    Linear,
    /// `exp((U - s_mu) / (U - L))` (Eq. 4): from 1 at a flat spectrum to e at rank one. The form of
    /// the paper's retrieval experiments; it pushes hardest when the collapse is worst.
    Bounded,
    /// `-(s_mu - L) / (U - L)`: from -1 at a flat spectrum to 0 at rank one, with a gradient of the
    /// same size everywhere.
    Normalized,
}

/// How the mean singular value is computed. Both ways have the same value and gradient, to the accuracy
/// stated in [`SvMax`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SvMaxSolver {
    /// `Host` on CPU devices, `Device` elsewhere.
    #[default]
    Auto,
    /// On the host, from a few inverses of the shifted Gram matrix, as many as the spectrum needs: the
    /// fastest on a CPU. On any other device the batch is read back, which waits for it.
    Host,
    /// On the embeddings' device, by a fixed number of matrix products: nothing is read back, and a
    /// training step never waits.
    Device,
}

impl SvMaxSolver {
    /// Whether to solve on the host for embeddings on `device`.
    #[cfg(feature = "host-solver")]
    pub(crate) fn on_host(self, device: &burn::tensor::Device) -> bool {
        match self {
            Self::Host => true,
            Self::Device => false,
            Self::Auto => crate::host_device::is_host(device),
        }
    }
}

/// Configuration of [`SvMax`].
///
/// # Weights from the paper
///
/// With the bounded form and unit rows: 1 beside contrastive and N-pair losses, 0.1 beside triplet,
/// 2 beside angular losses; in the linear form, 0.01 on a GAN's generator. The right weight depends
/// on the loss it stands beside: a weight of 1 costs the triplet loss 8 points of Recall@1 on
/// Stanford Online Products (Taha et al., section 4.1 and Table 2).
#[derive(Config, Debug, PartialEq)]
pub struct SvMaxConfig {
    /// The weight lambda of the penalty. Default: `1.0`
    #[config(default = 1.0)]
    pub weight: f64,
    /// The form of the penalty. Default: `SvMaxForm::Bounded`
    #[config(default = "SvMaxForm::Bounded")]
    pub form: SvMaxForm,
    /// Whether the rows are divided by their 2-norm first, as part of the gradient. The bounds hold
    /// for unit rows only: with `false`, use `SvMaxForm::Linear`. Default: `true`
    #[config(default = true)]
    pub normalize: bool,
    /// How to compute it. Default: `SvMaxSolver::Auto`
    #[config(default = "SvMaxSolver::Auto")]
    pub solver: SvMaxSolver,
}

impl SvMaxConfig {
    /// Initializes the loss.
    ///
    /// # Panics
    ///
    /// If the weight is not finite, or the host solver is asked for and the feature `host-solver` is
    /// off.
    pub fn init(&self) -> SvMax {
        assert!(
            self.weight.is_finite(),
            "the weight of SVMax must be finite, got {}",
            self.weight
        );
        assert!(
            cfg!(feature = "host-solver") || self.solver != SvMaxSolver::Host,
            "SvMaxSolver::Host needs the feature `host-solver` of fullrank"
        );
        SvMax {
            weight: self.weight,
            form: self.form,
            normalize: self.normalize,
            solver: self.solver,
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
/// # Accuracy
///
/// No SVD is computed on any device; see [`SvMaxSolver`] for the two ways. Both compute the same smoothed
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
///   `r = 2000`), and no singular direction is pushed by more than `1.001 / r`.
///
/// Directions with singular values well above `delta` are pushed alike, by `1 / r`, the small ones as
/// hard as the large: that is what revives them. (To 0.6% on the device; on the host for `r > 64` to
/// 1.5%.) One far below `delta`, where rounding noise decides on the
/// singular vectors, gets `s / (delta r)`.
///
/// On the host the same input gives the same bits, whatever the number of threads.
///
/// # Edge cases
///
/// - `r = 1` (one row or one dimension): the bounds coincide and nothing can spread. The bounded
///   penalty is 1, the normalized -1, both without gradient.
/// - With `normalize`, the size of a row does not count, from the smallest to the largest that the type
///   holds, one beside another: the gradient in a row times `t` is `1/t` of that in the row. (Where that
///   is above the range of the type it is infinite, below it zero.) Without, neither is a batch of any
///   size too large or too small. Only rows whose entries are all zero are zero rows: they stay zero and
///   get no gradient.
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
    pub solver: SvMaxSolver,
}

one_line_display!(SvMax {
    weight,
    form,
    normalize,
    solver
});
loss_methods!(SvMax, SvMaxConfig, 1, embeddings);

impl SvMax {
    fn mean_singular_value(&self, embeddings: Tensor<2>, gradient: bool) -> Evaluation<1> {
        if !self.normalize {
            return mean_singular_value(&embeddings, gradient, self.solver);
        }
        let unit = UnitRows::of(embeddings);
        let mean = mean_singular_value(&unit.rows, gradient, self.solver);
        Evaluation {
            value: mean.value,
            coefficients: mean.coefficients.map(|[free]| [unit.gradient(free)]),
        }
    }
}

impl Parts<1> for SvMax {
    fn parts(&self, [embeddings]: [Tensor<2>; 1], gradient: bool) -> Vec<Part<1>> {
        let [batch, dim] = embeddings.dims();
        let bounds = Bounds::new(batch, dim);
        let lower = scalar(&embeddings, bounds.lower);
        let upper = scalar(&embeddings, bounds.upper);
        let mean = self.mean_singular_value(embeddings, gradient);

        let penalty = match self.form {
            SvMaxForm::Linear => mean.clone().scale(-1.0),
            SvMaxForm::Bounded if bounds.rank == 1 => flat(&mean, 1.0),
            SvMaxForm::Normalized if bounds.rank == 1 => flat(&mean, -1.0),
            SvMaxForm::Normalized => {
                let range = bounds.upper - bounds.lower;
                let scaled = mean.clone().scale(-1.0 / range);
                Evaluation {
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
                Evaluation {
                    value: exponential,
                    coefficients: mean.coefficients.clone().map(|[c]| [c * slope]),
                }
            }
        };
        vec![
            Part {
                name: "mean_singular_value",
                weight: 0.0,
                evaluation: mean,
            },
            Part {
                name: "lower_bound",
                weight: 0.0,
                evaluation: Evaluation::constant(lower),
            },
            Part {
                name: "upper_bound",
                weight: 0.0,
                evaluation: Evaluation::constant(upper),
            },
            Part {
                name: "penalty",
                weight: self.weight,
                evaluation: penalty,
            },
        ]
    }
}

/// `level` where the mean singular value is a number: a NaN stays visible.
fn flat(mean: &Evaluation<1>, level: f64) -> Evaluation<1> {
    let scaled = mean.clone().scale(0.0);
    Evaluation {
        value: scaled.value.add_scalar(level),
        ..scaled
    }
}
