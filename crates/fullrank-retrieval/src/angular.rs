//! The angular loss.

use burn::config::Config;
use burn::module::Module;
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use crate::kernel::{Kernel, KernelMatrix};
use crate::masks::{LogSumExp, Masks, any_in_row, count, only, sigmoid, softplus};
use crate::methods::loss_module;
use crate::n_pair::first_pairs;
use crate::pair_loss::{PairLoss, Summand};
use crate::positive_pairs::{PositivePairs, add_at, add_rows, entries_at};

/// Which pairs of a labelled batch the angular loss takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AngularPairs {
    /// Every ordered positive pair against every negative of its anchor, as in
    /// pytorch-metric-learning.
    All,
    /// One pair of each class against the positives of the other classes, as in
    /// [`NPair`](crate::NPair) and the source.
    NPair,
}

/// Configuration of [`Angular`].
#[derive(Config, Debug, PartialEq)]
pub struct AngularConfig {
    /// The angle alpha in degrees. SVMax's experiments have 45.
    /// Default: `45.0`
    #[config(default = 45.0)]
    pub angle: f64,
    /// Which pairs of a labelled batch count. Default: `AngularPairs::NPair`
    #[config(default = "AngularPairs::NPair")]
    pub pairs: AngularPairs,
    /// Whether the rows are divided by their 2-norm first. Default: `true`
    #[config(default = true)]
    pub normalize: bool,
}

impl AngularConfig {
    /// Initializes the loss.
    ///
    /// # Panics
    ///
    /// If the angle is not above 0 and below 90 degrees.
    pub fn init(&self) -> Angular {
        assert!(
            self.angle > 0.0 && self.angle < 90.0,
            "the angle of the angular loss must be above 0 and below 90 degrees, got {}",
            self.angle
        );
        Angular {
            angle: self.angle,
            pairs: self.pairs,
            normalize: self.normalize,
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
pub struct Angular {
    /// The angle alpha in degrees.
    pub angle: f64,
    /// Which pairs of a labelled batch count.
    #[module(skip)]
    pub pairs: AngularPairs,
    /// Whether the rows are divided by their 2-norm first.
    pub normalize: bool,
}

loss_module!(
    Angular,
    AngularConfig {
        angle,
        pairs,
        normalize
    }
);

impl PairLoss for Angular {
    fn kernel(&self) -> (Kernel, bool) {
        (Kernel::Product, self.normalize)
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
