//! NT-Xent: each view of a sample against all other rows of the batch.

use burn::module::Module;
use burn::tensor::Tensor;
use derive_setters::Setters;
use serde::{Deserialize, Serialize};

use super::hyper_parameters::{HyperParameterError, finite_and_positive};
use crate::shards::{BatchStatistics, ShardStatistics};
use crate::statistics::UnitRows;
use crate::statistics::similarity::log_sum_exp;
use crate::surrogate::{self, Part, Parts, Surrogate, Terms, assert_same_shape};
use crate::{burn_config, one_line_display};

/// Configuration of [`NtXentLoss`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Setters)]
#[serde(default, deny_unknown_fields)]
#[setters(prefix = "with_")]
pub struct NtXentLossConfig {
    /// The temperature tau that divides the similarities. Default: `0.5`, SimCLR's on CIFAR-10 and lightly's
    /// default; on ImageNet SimCLR has `0.1`
    pub temperature: f64,
}

impl Default for NtXentLossConfig {
    fn default() -> Self {
        Self { temperature: 0.5 }
    }
}

burn_config!(NtXentLossConfig);

impl NtXentLossConfig {
    /// The default configuration.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether every hyper-parameter is in its range.
    ///
    /// # Errors
    ///
    /// If the temperature is not positive and finite.
    pub fn check(&self) -> Result<(), HyperParameterError> {
        finite_and_positive("temperature of NT-Xent", self.temperature)
    }

    /// Initializes the loss.
    ///
    /// # Panics
    ///
    /// If [`check`](Self::check) finds an error.
    pub fn init(&self) -> NtXentLoss {
        self.check().unwrap_or_else(|error| panic!("{error}"));
        NtXentLoss {
            temperature: self.temperature,
        }
    }
}

/// NT-Xent, the loss of SimCLR and the InfoNCE of two views: tells each row's other view from all other rows
/// of the batch.
///
/// ```text
/// U    = the 2b rows of both views, divided by their 2-norm
/// S    = U U^T / temperature
/// loss = (1/2b) sum_i [ log sum_{k != i} exp(S_ik) - S_i,p(i) ]      p(i): the other view of row i
/// ```
///
/// Both views are anchors, the mean is over all `2b` of them, and no row is compared with itself; the other view
/// of an anchor is in its sum. That is the convention of SimCLR (Eq. 1), of lightly's `NTXentLoss` without
/// memory bank and of pytorch-metric-learning's `NTXentLoss` of both views together. One that takes the
/// anchors from one view, or the negatives from the other view alone, as CLIP does, is another loss.
///
/// The matrices formed are `2b x 2b`, whatever the dimension: this loss compares every two rows.
///
/// # Edge cases
///
/// - One sample: nothing to tell it from, value and gradient 0.
/// - All rows equal: `log(2b - 1)`, without gradient.
/// - The size of a row does not count, from the smallest to the largest that the type holds. A row of zeros is
///   as like to any row as any other, stays zero and gets no gradient.
/// - A NaN in the input makes the value NaN.
///
/// # Terms
///
/// `alignment` (`-S_i,p(i)`) and `uniformity` (the logarithm), both averaged over the rows: the loss is their
/// sum.
///
/// # Source
///
/// Chen, Kornblith, Norouzi and Hinton, "A Simple Framework for Contrastive Learning of Visual
/// Representations", 2020, [arXiv 2002.05709](https://arxiv.org/abs/2002.05709), Eq. 1 and Algorithm 1; its
/// two terms: Wang and Isola, 2020, [arXiv 2005.10242](https://arxiv.org/abs/2005.10242).
#[derive(Module, Debug)]
#[module(custom_display)]
pub struct NtXentLoss {
    /// The temperature that divides the similarities.
    pub temperature: f64,
}

one_line_display!(NtXentLoss { temperature });

impl NtXentLoss {
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
        ["alignment", "uniformity"].map(str::to_owned).to_vec()
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

    /// `alignment` and `uniformity`, functions of the unit rows.
    fn of_unit_rows(&self, rows: [Tensor<2>; 2], gradient: bool) -> [Surrogate<2>; 2] {
        let [batch, dim] = rows[0].dims();
        let mean = -1.0 / (batch as f64 * self.temperature);
        let [first, second] = rows.clone();
        let alignment = Surrogate {
            value: (first.clone() * second.clone()).sum().mul_scalar(mean),
            coefficients: gradient.then(|| [second, first].map(|other| other.mul_scalar(mean))),
        };
        let all = log_sum_exp(&Tensor::cat(rows.to_vec(), 0), self.temperature, gradient);
        let uniformity = Surrogate {
            value: all.value,
            coefficients: all.coefficients.map(|[all]| {
                [0, batch].map(|from| all.clone().slice([from..from + batch, 0..dim]))
            }),
        };
        [alignment, uniformity]
    }
}

impl Default for NtXentLoss {
    /// The loss with its default configuration.
    fn default() -> Self {
        NtXentLossConfig::new().init()
    }
}

impl Parts<2> for NtXentLoss {
    fn parts(&self, views: [Tensor<2>; 2], gradient: bool) -> Vec<Part<2>> {
        let unit = unit_views(views);
        let [alignment, uniformity] =
            self.of_unit_rows(unit.each_ref().map(|view| view.rows.clone()), gradient);
        let part = |name, surrogate| Part {
            name,
            weight: 1.0,
            surrogate: in_the_rows(surrogate, &unit),
        };
        vec![part("alignment", alignment), part("uniformity", uniformity)]
    }

    fn total(&self, views: [Tensor<2>; 2], gradient: bool) -> Surrogate<2> {
        let unit = unit_views(views);
        let [alignment, uniformity] =
            self.of_unit_rows(unit.each_ref().map(|view| view.rows.clone()), gradient);
        in_the_rows(alignment + uniformity, &unit)
    }
}

fn unit_views(views: [Tensor<2>; 2]) -> [UnitRows; 2] {
    assert_same_shape(&views[0], &views[1]);
    views.map(UnitRows::of)
}

/// A function of unit rows as one of the rows they come from.
fn in_the_rows(of_unit: Surrogate<2>, unit: &[UnitRows; 2]) -> Surrogate<2> {
    Surrogate {
        value: of_unit.value,
        coefficients: of_unit.coefficients.map(|[first, second]| {
            let [first_unit, second_unit] = unit.clone();
            [
                first_unit.gradient(first, 0.0),
                second_unit.gradient(second, 0.0),
            ]
        }),
    }
}
