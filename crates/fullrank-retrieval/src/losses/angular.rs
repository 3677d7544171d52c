//! The angular loss.

use burn::module::Module;
use burn::tensor::{Int, Tensor};
use derive_setters::Setters;
use fullrank::internals::{burn_config, one_line_display, require};
use fullrank::{HyperParameterError, Solver};
use serde::{Deserialize, Serialize};

use super::masks::{LogSumExp, Masks, any_in_row, count, only, sigmoid, softplus};
use super::n_pair::first_pairs;
use super::pair_loss::{PairLoss, Summand};
use super::positive_pairs::{PositivePairs, add_at, add_rows, entries_at};
use crate::RankingLoss;
use crate::kernel::{Kernel, KernelMatrix};

/// Which pairs of a labelled batch the angular loss takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AngularPairs {
    /// Every ordered positive pair against every negative of its anchor, as in
    /// pytorch-metric-learning.
    All,
    /// One pair of each class against the positives of the other classes, as in
    /// [`NPairLoss`](crate::NPairLoss) and the source.
    NPair,
}

/// Configuration of [`AngularLoss`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Setters)]
#[serde(default, deny_unknown_fields)]
#[setters(prefix = "with_")]
pub struct AngularLossConfig {
    /// The angle alpha in degrees. SVMax's experiments have 45.
    /// Default: `45.0`
    pub angle: f64,
    /// Which pairs of a labelled batch count. Default: `AngularPairs::NPair`
    pub pairs: AngularPairs,
    /// Whether the rows are divided by their 2-norm first. Default: `true`
    pub normalize: bool,
    /// Where to compute the statistics. Default: `Solver::Auto`
    pub solver: Solver,
}

impl Default for AngularLossConfig {
    fn default() -> Self {
        Self {
            angle: 45.0,
            pairs: AngularPairs::NPair,
            normalize: true,
            solver: Solver::Auto,
        }
    }
}

burn_config!(AngularLossConfig);

impl AngularLossConfig {
    /// The default configuration.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether every hyper-parameter is in its range.
    ///
    /// # Errors
    ///
    /// If the angle is not above 0 and below 90 degrees.
    pub fn check(&self) -> Result<(), HyperParameterError> {
        require(self.angle > 0.0 && self.angle < 90.0, || {
            format!(
                "the angle of the angular loss must be above 0 and below 90 degrees, got {}",
                self.angle
            )
        })
    }

    /// Initializes the loss.
    ///
    /// # Panics
    ///
    /// If [`check`](Self::check) finds an error.
    pub fn init(&self) -> AngularLoss {
        self.check().unwrap_or_else(|error| panic!("{error}"));
        AngularLoss {
            angle: self.angle,
            pairs: self.pairs,
            normalize: self.normalize,
            solver: self.solver,
        }
    }
}

/// The angular loss: bounds the angle at the negative of each triangle of anchor, positive and
/// negative, whatever the triangle's size.
///
/// ```text
/// f(a, p, n) = 4 tan^2(alpha) <a + p, n> - 2 (1 + tan^2(alpha)) <a, p>
/// loss = mean over pairs (a, p) of log(1 + sum_n exp f(a, p, n))
/// ```
///
/// A pair whose anchor has no negative does not count. The pairs are gone through in blocks: no
/// `[batch, batch, batch]` numbers are held.
///
/// # Gradient
///
/// With `t = tan^2(alpha)` and the share `g(a, p, n) = exp f(a, p, n) / (1 + sum_m exp f(a, p, m))`,
/// each of `P` pairs adds, to the derivative in the inner products `K`,
///
/// ```text
/// 4 t g(a, p, n) / P to that in K_an and in K_pn,   -2 (1 + t) sum_n g(a, p, n) / P to that in K_ap
/// ```
///
/// # Terms
///
/// `angular`, which is the loss.
///
/// # Source
///
/// Wang, Zhou, Wen, Liu and Lin, "Deep Metric Learning with Angular Loss", 2017,
/// [arXiv 1708.01682](https://arxiv.org/abs/1708.01682).
#[derive(Module, Debug)]
#[module(custom_display)]
pub struct AngularLoss {
    /// The angle alpha in degrees.
    pub angle: f64,
    /// Which pairs of a labelled batch count.
    #[module(skip)]
    pub pairs: AngularPairs,
    /// Whether the rows are divided by their 2-norm first.
    pub normalize: bool,
    /// Where the statistics are computed.
    #[module(skip)]
    pub solver: Solver,
}

one_line_display!(AngularLoss {
    angle,
    pairs,
    normalize,
    solver
});

impl AngularLoss {
    /// The loss of a labelled batch.
    ///
    /// # Shapes
    ///
    /// - embeddings: `[batch, dim]`
    /// - labels: `[batch]`; equal labels belong together
    /// - output: `[1]`, in f32, or in f64 for f64 input
    ///
    /// # Panics
    ///
    /// If `batch` or `dim` is zero, or the labels are not `batch`.
    pub fn forward(&self, embeddings: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
        RankingLoss::forward(self, embeddings, labels)
    }
}

impl Default for AngularLoss {
    /// The loss with its default configuration.
    fn default() -> Self {
        AngularLossConfig::new().init()
    }
}

impl PairLoss for AngularLoss {
    fn kernel(&self) -> (Kernel, bool) {
        (Kernel::Product, self.normalize)
    }

    fn solver(&self) -> Solver {
        self.solver
    }

    fn term_names(&self) -> &'static [&'static str] {
        &["angular"]
    }

    fn of_pairs(&self, kernel: &KernelMatrix, pairs: &Masks) -> Vec<Summand> {
        let products = &kernel.values;
        let [batch, _] = products.dims();
        let square = self.angle.to_radians().tan().powi(2);
        let (outer, inner) = (4.0 * square, 2.0 * (1.0 + square));
        let has_negative = any_in_row(&pairs.negative).expand([batch, batch]);
        let counted = pairs.positive.clone().bool_and(has_negative);
        let weight = count(&counted, products).recip().unsqueeze::<2>();
        let mut value = Tensor::zeros([1], (&products.device(), products.dtype()));
        let mut slopes = products.zeros_like();
        for block in PositivePairs::blocks(kernel, pairs) {
            let rows = |of| products.clone().select(0, of);
            let outwards = rows(block.anchors.clone()) + rows(block.positives.clone());
            let across = entries_at(products, &block.places);
            let logits = outwards.mul_scalar(outer) - across.mul_scalar(inner);
            let negative = pairs.negative.clone().select(0, block.anchors.clone());
            let sum = LogSumExp::new(logits, &negative);
            let losses = only(softplus(sum.log.clone()), &block.valid);
            value = value + (losses * weight.clone()).sum();
            let slope = only(sigmoid(sum.log), &block.valid) * weight.clone();
            let pull = slope.clone().mul_scalar(-inner);
            let push = sum.shares * slope.mul_scalar(outer);
            slopes = add_at(slopes, &block.places, pull);
            slopes = add_rows(slopes, &block.anchors, push.clone());
            slopes = add_rows(slopes, &block.positives, push);
        }
        vec![Summand::new("angular", 1.0, value, slopes)]
    }

    fn of_labels(&self, kernel: &KernelMatrix, pairs: Masks) -> Vec<Summand> {
        match self.pairs {
            AngularPairs::All => self.of_pairs(kernel, &pairs),
            AngularPairs::NPair => self.of_pairs(kernel, &first_pairs(&pairs)),
        }
    }
}
