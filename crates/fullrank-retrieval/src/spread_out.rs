//! The spread-out regularizer: pairs that do not match point in all directions alike.

use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Int, Tensor, activation::relu};
use fullrank::Terms;

use crate::Tuples;
use crate::distance::{prepared, products};
use crate::masks::{Masks, masked_mean};
use crate::methods::{assert_finite, loss_module};
use crate::ranking_loss::RankingLoss;

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
/// # Terms
///
/// `squared_mean`, `m1^2`, and `excess`, `max(0, m2 - 1/d)`: unweighted.
///
/// # Source
///
/// Zhang, Yu, Kumar and Chang, "Learning Spread-out Local Feature Descriptors", ICCV 2017, where it
/// stands with alpha = 1; the formula from the publication as remembered, its equation numbers were not
/// looked up.
#[derive(Module, Debug)]
#[module(custom_display)]
pub struct SpreadOut {
    /// The weight alpha.
    pub weight: f64,
    /// Whether the rows are divided by their 2-norm first.
    pub normalize: bool,
}

loss_module!(SpreadOut, SpreadOutConfig { weight, normalize });

impl SpreadOut {
    fn of_masks(&self, embeddings: Tensor<2>, masks: &Masks) -> Terms {
        let [_, dim] = embeddings.dims();
        let products = products(&prepared(embeddings, self.normalize));
        let squared_mean = masked_mean(products.clone(), &masks.negative).square();
        let second = masked_mean(products.square(), &masks.negative);
        let excess = relu(second.sub_scalar(1.0 / dim as f64));
        let total = (squared_mean.clone() + excess.clone()).mul_scalar(self.weight);
        Terms::new(total)
            .with("squared_mean", squared_mean)
            .with("excess", excess)
    }
}

impl RankingLoss for SpreadOut {
    fn forward_terms(&self, embeddings: Tensor<2>, labels: Tensor<1, Int>) -> Terms {
        let masks = Masks::of_labels(&embeddings, &labels);
        self.of_masks(embeddings, &masks)
    }

    fn forward_tuples(&self, embeddings: Tensor<2>, tuples: &Tuples) -> Terms {
        let masks = Masks::of_pairs(&embeddings, &tuples.to_pairs());
        self.of_masks(embeddings, &masks)
    }
}
