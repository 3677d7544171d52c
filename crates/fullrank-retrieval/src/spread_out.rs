//! The spread-out regularizer: pairs that do not match point in all directions alike.

use burn::config::Config;
use burn::module::Module;

use crate::kernel::{Kernel, KernelMatrix};
use crate::masks::{Masks, above_zero, mean_weights, only};
use crate::methods::{assert_finite, loss_module};
use crate::pair_loss::{PairLoss, Summand};

/// Configuration of [`SpreadOut`].
#[derive(Config, Debug, PartialEq)]
pub struct SpreadOutConfig {
    /// The weight alpha. Default: `1.0`
    #[config(default = 1.0)]
    pub weight: f64,
    /// Whether the rows are divided by their 2-norm first; `1/d` is the second moment of unit rows.
    /// Default: `true`
    #[config(default = true)]
    pub normalize: bool,
}

impl SpreadOutConfig {
    /// Initializes the regularizer.
    ///
    /// # Panics
    ///
    /// If the weight is not finite.
    pub fn init(&self) -> SpreadOut {
        assert_finite("weight of the spread-out regularizer", self.weight);
        SpreadOut {
            weight: self.weight,
            normalize: self.normalize,
        }
    }
}

/// The global orthogonal regularizer, to add to a ranking loss: the inner products of pairs that do
/// not match should have the first two moments of two independent directions, `0` and `1/d`.
///
/// ```text
/// m1 = mean over non-matching pairs of <x, y>,   m2 = mean of <x, y>^2
/// loss = weight * (m1^2 + max(0, m2 - 1/d))
/// ```
///
/// With labels, over all pairs of two classes in the batch. The publication takes the negative of each
/// triplet, SVMax's paper a random row of another class for each row: samples of these pairs, with the
/// same moments on average.
///
/// A row is at most one direction: a batch whose classes collapse each to a point, in different
/// directions, costs nothing. No pair of two classes: 0.
///
/// # Gradient
///
/// In the inner products `K` of `N` pairs, `2 m1 / N` for the first moment and `2 K_ij / N` for the
/// second, if it exceeds `1/d`.
///
/// # Terms
///
/// `squared_mean`, `m1^2`, and `excess`, `max(0, m2 - 1/d)`: unweighted.
///
/// # Source
///
/// Zhang, Yu, Kumar and Chang, "Learning Spread-out Local Feature Descriptors", ICCV 2017,
/// [arXiv 1708.06320](https://arxiv.org/abs/1708.06320). The authors' code
/// (github.com/ColumbiaDVMM/Spread-out_Local_Feature_Descriptor, `patch_cnn_triplet.py`) has
/// `alpha = 1` and `mean^2 + max(m2 - 1/d, 0)`, where in `m2` the larger square counts of those that
/// anchor and positive have with the negative.
#[derive(Module, Debug)]
#[module(custom_display)]
pub struct SpreadOut {
    /// The weight alpha.
    pub weight: f64,
    /// Whether the rows are divided by their 2-norm first.
    pub normalize: bool,
}

loss_module!(SpreadOut, SpreadOutConfig { weight, normalize });

impl PairLoss for SpreadOut {
    fn kernel(&self) -> (Kernel, bool) {
        (Kernel::Product, self.normalize)
    }

    fn of_pairs(&self, kernel: &KernelMatrix, pairs: &Masks) -> Vec<Summand> {
        let products = only(kernel.values.clone(), &pairs.negative);
        let weights = mean_weights(&pairs.negative, &products);
        let mean = (products.clone() * weights.clone()).sum();
        let alike = weights.clone() * mean.clone().mul_scalar(2.0).unsqueeze::<2>();

        let each = products.clone() * weights;
        let excess = (products * each.clone())
            .sum()
            .sub_scalar(1.0 / kernel.dim() as f64);
        let active = above_zero(&excess);
        let spread = only(
            each.clone().mul_scalar(2.0),
            &active.clone().unsqueeze::<2>().expand(each.dims()),
        );
        vec![
            Summand::new("squared_mean", self.weight, mean.square(), alike),
            Summand::new("excess", self.weight, only(excess, &active), spread),
        ]
    }
}
