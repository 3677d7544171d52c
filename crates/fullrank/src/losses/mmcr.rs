//! MMCR: the nuclear norm of the centroids of the views.

use burn::module::Module;
#[cfg(feature = "host-solver")]
use burn::tensor::Device;
use burn::tensor::Tensor;
use derive_setters::Setters;
use serde::{Deserialize, Serialize};

use super::hyper_parameters::{HyperParameterError, finite_and_not_negative};
#[cfg(feature = "host-solver")]
use crate::host::is_host;
#[cfg(feature = "host-solver")]
use crate::shards::MomentSums;
use crate::shards::{BatchStatistics, ShardStatistics};
use crate::statistics::nuclear_norm::mean_singular_value;
#[cfg(feature = "host-solver")]
use crate::statistics::nuclear_norm::{mean_singular_value_of_shard, with_gram};
use crate::statistics::{Solver, UnitRows};
#[cfg(feature = "host-solver")]
use crate::surrogate::SumsOverRows;
use crate::surrogate::{self, Part, Parts, Surrogate, Terms, assert_same_shape};
use crate::{burn_config, one_line_display};

/// Configuration of [`MmcrLoss`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Setters)]
#[serde(default, deny_unknown_fields)]
#[setters(prefix = "with_")]
pub struct MmcrLossConfig {
    /// The weight lambda of the local term. Default: `0.0`: the centroids alone
    pub local_weight: f64,
    /// How to compute the nuclear norm of the centroids. Default: `Solver::Auto`
    pub solver: Solver,
}

impl Default for MmcrLossConfig {
    fn default() -> Self {
        Self {
            local_weight: 0.0,
            solver: Solver::Auto,
        }
    }
}

burn_config!(MmcrLossConfig);

impl MmcrLossConfig {
    /// The default configuration.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether every hyper-parameter is in its range.
    ///
    /// # Errors
    ///
    /// If the weight is negative or not finite.
    pub fn check(&self) -> Result<(), HyperParameterError> {
        finite_and_not_negative("weight of MMCR's local term", self.local_weight)?;
        self.solver.check()
    }

    /// Initializes the loss.
    ///
    /// # Panics
    ///
    /// If [`check`](Self::check) finds an error.
    pub fn init(&self) -> MmcrLoss {
        self.check().unwrap_or_else(|error| panic!("{error}"));
        MmcrLoss {
            local_weight: self.local_weight,
            solver: self.solver,
        }
    }
}

/// Maximum manifold capacity: the means of the views of the samples should span as much as they can, which they
/// do if the views of one sample agree and those of different samples do not.
///
/// ```text
/// c_i  = (u_i + v_i) / 2                          the centroid: the mean of the views' unit rows
/// loss = -||C||_* + local_weight / b * sum_i ||[u_i; v_i]||_*
/// ```
///
/// `||.||_*` is the sum of the singular values: of `C`, `[batch, dim]`, and of the two views of one sample,
/// `[2, dim]`. It is a sum, not a mean: on `b` samples that agree in everything the loss is `-sqrt(b)`, at best
/// `-sqrt(b min(b, d))`.
///
/// As in the paper and its code the rows are divided by their 2-norm first; lightly's `MMCRLoss` takes them as
/// they are, with a local weight of 5e-3, and has the same value on unit rows.
///
/// More than two views: [`forward_views`](Self::forward_views).
///
/// # Accuracy
///
/// No SVD is computed, so that none can fail to converge. `||C||_*` is [`SvMax`](crate::SvMax)'s smoothed sum, by
/// either [`Solver`], with the accuracy stated there: `sum_i sqrt(s_i^2 + delta^2)`, `delta = c ||C||_F / r`. The
/// local term is smoothed alike, with `delta = 5e-4`, in closed form: with `D = |u|^2 |v|^2 - (u.v)^2`,
///
/// ```text
/// ||[u; v]||_* = sqrt(|u|^2 + |v|^2 + 2 delta^2 + 2 sqrt(D + delta^2 (|u|^2 + |v|^2) + delta^4))
/// ```
///
/// # Edge cases
///
/// - All rows of both views equal: the gradient is zero, for no direction is better than another.
/// - A sample whose views are opposite has a centroid of zero, a row like any other.
/// - The size of a row does not count, from the smallest to the largest that the type holds. A row of zeros
///   stays zero and gets no gradient.
/// - A NaN in the input makes the value NaN.
///
/// # Terms
///
/// `centroids` (`-||C||_*`), `local` (unweighted, averaged over the samples).
///
/// # Source
///
/// Yerxa, Kuang, Simoncelli and Chung, "Learning Efficient Coding of Natural Images with Maximum Manifold
/// Capacity Representations", 2023, [arXiv 2303.03307](https://arxiv.org/abs/2303.03307). BNM (Cui et al., 2020)
/// is the same of the softmax of a classifier.
#[derive(Module, Debug)]
#[module(custom_display)]
pub struct MmcrLoss {
    /// The weight of the local term.
    pub local_weight: f64,
    /// How the nuclear norm of the centroids is computed.
    #[module(skip)]
    pub solver: Solver,
}

one_line_display!(MmcrLoss {
    local_weight,
    solver
});

impl MmcrLoss {
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
        ["centroids", "local"].map(str::to_owned).to_vec()
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

    /// The loss of any number of views of the same samples, shapes `[batch, dim]`, without local term.
    ///
    /// # Panics
    ///
    /// As [`forward`](Self::forward), and if there is a local term and not two views: it has a closed form for
    /// two alone.
    pub fn forward_views<const N: usize>(&self, views: [Tensor<2>; N]) -> Tensor<1> {
        surrogate::forward(self, views)
    }

    /// The loss of any number of views and its gradient on plain tensors; panics as in
    /// [`forward_views`](Self::forward_views).
    pub fn evaluate_views<const N: usize>(&self, views: [Tensor<2>; N]) -> Surrogate<N> {
        surrogate::evaluate(self, views, true)
    }
}

impl Default for MmcrLoss {
    /// The loss with its default configuration.
    fn default() -> Self {
        MmcrLossConfig::new().init()
    }
}

impl<const N: usize> Parts<N> for MmcrLoss {
    fn parts(&self, views: [Tensor<2>; N], gradient: bool) -> Vec<Part<N>> {
        let unit = self.unit_views(views);
        let centroids = self.centroids(&unit, gradient);
        self.parts_of(centroids, || local(&unit, unit[0].rows.dims()[0], gradient))
    }

    fn total(&self, views: [Tensor<2>; N], gradient: bool) -> Surrogate<N> {
        let unit = self.unit_views(views);
        let centroids = self.centroids(&unit, gradient);
        if self.local_weight == 0.0 {
            return centroids;
        }
        centroids + local(&unit, unit[0].rows.dims()[0], gradient).scale(self.local_weight)
    }

    #[cfg(feature = "host-solver")]
    fn sums_over_rows(&self, device: &Device) -> Option<&dyn SumsOverRows<N>> {
        // As for SVMax.
        let on_host = self.solver.on_host(device) && is_host(device);
        on_host.then_some(self as _)
    }
}

#[cfg(feature = "host-solver")]
impl<const N: usize> SumsOverRows<N> for MmcrLoss {
    fn numbers(&self, dim: usize) -> usize {
        dim * dim + 1
    }

    fn sums(&self, shard: &[Tensor<2>; N]) -> MomentSums {
        let unit = self.unit_views(shard.clone());
        let sums = MomentSums::of_rows(shard[0].dims()[0]);
        let sums = with_gram(sums, &centroids(&unit));
        match N {
            2 => sums.with(local(&unit, 1, false).value.unsqueeze()),
            _ => sums,
        }
    }

    fn parts_of_shard(
        &self,
        shard: &[Tensor<2>; N],
        batch: &MomentSums,
        gradient: bool,
    ) -> Vec<Part<N>> {
        let unit = self.unit_views(shard.clone());
        let rank = shard[0].dims()[1] as f64;
        let norm = mean_singular_value_of_shard(&centroids(&unit), batch, gradient);
        self.parts_of(in_the_views(norm.scale(-rank), &unit), || {
            let sum = batch.sum(1, &shard[0]).reshape([1]);
            Surrogate {
                value: sum.div_scalar(batch.rows() as f64),
                ..local(&unit, batch.rows(), gradient)
            }
        })
    }
}

impl MmcrLoss {
    fn parts_of<const N: usize>(
        &self,
        centroids: Surrogate<N>,
        local: impl FnOnce() -> Surrogate<N>,
    ) -> Vec<Part<N>> {
        let mut parts = vec![Part {
            name: "centroids",
            weight: 1.0,
            surrogate: centroids,
        }];
        if N == 2 {
            parts.push(Part {
                name: "local",
                weight: self.local_weight,
                surrogate: local(),
            });
        }
        parts
    }
    fn unit_views<const N: usize>(&self, views: [Tensor<2>; N]) -> [UnitRows; N] {
        assert!(N > 0, "MMCR takes at least one view, got none");
        assert!(
            N == 2 || self.local_weight == 0.0,
            "MMCR's local term is of two views, got {N}: set its weight to 0"
        );
        for view in &views[1..] {
            assert_same_shape(&views[0], view);
        }
        views.map(UnitRows::of)
    }

    /// `-||C||_*` and its gradient.
    fn centroids<const N: usize>(&self, unit: &[UnitRows; N], gradient: bool) -> Surrogate<N> {
        let centroids = centroids(unit);
        let [batch, dim] = centroids.dims();
        let rank = batch.min(dim) as f64;
        let norm = mean_singular_value(&centroids, gradient, self.solver).scale(-rank);
        in_the_views(norm, unit)
    }
}

/// The means of the views' rows.
fn centroids<const N: usize>(unit: &[UnitRows; N]) -> Tensor<2> {
    let sum = unit.iter().map(|view| view.rows.clone());
    let sum = sum.reduce(|sum, rows| sum + rows);
    sum.expect("at least one view").div_scalar(N as f64)
}

/// A function of the centroids as one of the views, of which each has its share.
fn in_the_views<const N: usize>(of_centroids: Surrogate<1>, unit: &[UnitRows; N]) -> Surrogate<N> {
    Surrogate {
        value: of_centroids.value,
        coefficients: of_centroids.coefficients.map(|[in_centroids]| {
            let share = in_centroids.div_scalar(N as f64);
            unit.each_ref()
                .map(|view| view.clone().gradient(share.clone(), 0.0))
        }),
    }
}

/// The smoothing of the local term: well above what f32 leaves of the angle between two unit rows.
const LOCAL_SMOOTHING: f64 = 5e-4;

/// The sum of `||[u_i; v_i]||_*` by the number of the samples, of two views.
///
/// With `c = u.v`, `D' = D + ...` the inner root's argument and `S` the norm, `dS/du = -c / (S sqrt(D')) v` but for
/// what is along `u`, which unit rows drop. `D` is `|u - v|^2 |u + v|^2 / 4`: of views that nearly agree `1 - c^2`
/// would have no digits left.
fn local<const N: usize>(unit: &[UnitRows; N], samples: usize, gradient: bool) -> Surrogate<N> {
    let [u, v] = [0, 1].map(|view| unit[view].rows.clone());
    let samples = samples as f64;
    let dot = |a: &Tensor<2>, b: &Tensor<2>| (a.clone() * b.clone()).sum_dim(1);
    // 1, or 0 for a row of zeros.
    let [in_u, in_v] = [&u, &v].map(|rows| dot(rows, rows));
    let (apart, together) = (u.clone() - v.clone(), u.clone() + v.clone());
    let angle = dot(&apart, &apart) * dot(&together, &together);
    let determinant = (in_u.clone() * in_v.clone() * angle).mul_scalar(0.25);
    let smoothing = LOCAL_SMOOTHING * LOCAL_SMOOTHING;
    let trace = in_u + in_v;
    let root = (determinant + trace.clone().mul_scalar(smoothing))
        .add_scalar(smoothing * smoothing)
        .sqrt();
    let norm = (trace + root.clone().mul_scalar(2.0))
        .add_scalar(2.0 * smoothing)
        .sqrt();
    let value = norm.clone().sum().div_scalar(samples);
    let coefficients = gradient.then(|| {
        let slope = (dot(&u, &v) / (norm * root)).mul_scalar(-1.0 / samples);
        std::array::from_fn(|view| {
            let other = [&v, &u][view].clone();
            unit[view].clone().gradient(other * slope.clone(), 0.0)
        })
    });
    Surrogate {
        value,
        coefficients,
    }
}
