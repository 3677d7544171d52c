//! The angular loss.

use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Int, Tensor};
use fullrank::Terms;
use serde::{Deserialize, Serialize};

use crate::Tuples;
use crate::distance::{prepared, products};
use crate::masks::{Masks, any_in_row, log_one_plus_sum_exp, masked_mean};
use crate::methods::loss_module;
use crate::n_pair::first_pairs;
use crate::ranking_loss::RankingLoss;

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
/// A pair whose anchor has no negative does not count. Holds `[batch, batch, batch]` numbers.
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

impl Angular {
    fn of_masks(&self, embeddings: Tensor<2>, masks: &Masks) -> Terms {
        let products = products(&prepared(embeddings, self.normalize));
        let [batch, _] = products.dims();
        let square = self.angle.to_radians().tan().powi(2);
        // <a, n> + <p, n> - <a, p>, each with its factor, as [a, p, n].
        let near = products.clone().mul_scalar(4.0 * square);
        let logits = near.clone().unsqueeze_dim::<3>(1) + near.unsqueeze_dim::<3>(0)
            - products
                .mul_scalar(2.0 * (1.0 + square))
                .unsqueeze_dim::<3>(2);
        let triplets = masks.triplets();
        let losses = log_one_plus_sum_exp(logits, &triplets).squeeze_dim::<2>(2);
        let has_negative = any_in_row(&masks.negative).expand([batch, batch]);
        let loss = masked_mean(losses, &masks.positive.clone().bool_and(has_negative));
        Terms::new(loss.clone()).with("angular", loss)
    }
}

impl RankingLoss for Angular {
    fn forward_terms(&self, embeddings: Tensor<2>, labels: Tensor<1, Int>) -> Terms {
        let masks = Masks::of_labels(&embeddings, &labels);
        let masks = match self.pairs {
            AngularPairs::All => masks,
            AngularPairs::NPair => first_pairs(&masks),
        };
        self.of_masks(embeddings, &masks)
    }

    fn forward_tuples(&self, embeddings: Tensor<2>, tuples: &Tuples) -> Terms {
        let masks = Masks::of_pairs(&embeddings, &tuples.to_pairs());
        self.of_masks(embeddings, &masks)
    }
}
