//! The contrastive loss of pairs.

use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Int, Tensor, activation::relu};
use fullrank::Terms;

use crate::distance::prepared;
use crate::masks::Masks;
use crate::methods::{assert_finite, loss_module};
use crate::ranking_loss::{RankingLoss, Reduction, active_share};
use crate::{Distance, Tuples};

/// Configuration of [`Contrastive`].
#[derive(Config, Debug, PartialEq)]
pub struct ContrastiveConfig {
    /// A positive pair closer than this costs nothing. Default: `0.0`
    #[config(default = 0.0)]
    pub positive_margin: f64,
    /// A negative pair farther apart than this costs nothing. Default: `1.0`
    #[config(default = 1.0)]
    pub negative_margin: f64,
    /// Whether the hinges are squared, as in the source; pytorch-metric-learning does not.
    /// Default: `true`
    #[config(default = true)]
    pub squared_hinge: bool,
    /// The distance of the pairs. Default: `Distance::Euclidean`
    #[config(default = "Distance::Euclidean")]
    pub distance: Distance,
    /// Whether the rows are divided by their 2-norm first. Default: `true`
    #[config(default = true)]
    pub normalize: bool,
    /// How the pairs become one number, the positive and the negative ones each for itself.
    /// Default: `Reduction::Mean`
    #[config(default = "Reduction::Mean")]
    pub reduction: Reduction,
}

impl ContrastiveConfig {
    /// Initializes the loss.
    ///
    /// # Panics
    ///
    /// If a margin is not finite.
    pub fn init(&self) -> Contrastive {
        assert_finite(
            "positive margin of the contrastive loss",
            self.positive_margin,
        );
        assert_finite(
            "negative margin of the contrastive loss",
            self.negative_margin,
        );
        Contrastive {
            positive_margin: self.positive_margin,
            negative_margin: self.negative_margin,
            squared_hinge: self.squared_hinge,
            distance: self.distance,
            normalize: self.normalize,
            reduction: self.reduction,
        }
    }
}

/// The contrastive loss: positive pairs together, negative pairs at least a margin apart.
///
/// ```text
/// loss = mean over positive pairs of max(d - positive_margin, 0)^2
///      + mean over negative pairs of max(negative_margin - d, 0)^2
/// ```
///
/// With labels, over all ordered pairs of two rows. The two means are taken apart, so that the many
/// negative pairs of a batch do not outvote the few positive ones. The gradient is finite at `d = 0`.
///
/// # Terms
///
/// `positive` and `negative`, whose sum is the loss, and `active`: the share of negative pairs inside
/// the margin.
///
/// # Source
///
/// Hadsell, Chopra and LeCun, "Dimensionality reduction by learning an invariant mapping", CVPR 2006,
/// Eq. 4 (twice its value, and the two means apart).
#[derive(Module, Debug)]
#[module(custom_display)]
pub struct Contrastive {
    /// A positive pair closer than this costs nothing.
    pub positive_margin: f64,
    /// A negative pair farther apart than this costs nothing.
    pub negative_margin: f64,
    /// Whether the hinges are squared.
    pub squared_hinge: bool,
    /// The distance of the pairs.
    #[module(skip)]
    pub distance: Distance,
    /// Whether the rows are divided by their 2-norm first.
    pub normalize: bool,
    /// How the pairs become one number.
    #[module(skip)]
    pub reduction: Reduction,
}

loss_module!(
    Contrastive,
    ContrastiveConfig {
        positive_margin,
        negative_margin,
        squared_hinge,
        distance,
        normalize,
        reduction
    }
);

impl Contrastive {
    fn of_masks(&self, embeddings: Tensor<2>, masks: &Masks) -> Terms {
        let distances = self.distance.matrix(&prepared(embeddings, self.normalize));
        let hinge = |excess: Tensor<2>| {
            let hinge = relu(excess);
            if self.squared_hinge {
                hinge.square()
            } else {
                hinge
            }
        };
        let far = hinge(distances.clone().sub_scalar(self.positive_margin));
        let near = hinge(distances.neg().add_scalar(self.negative_margin));
        let active = active_share(&near, &masks.negative);
        let positive = self.reduction.apply(far, &masks.positive);
        let negative = self.reduction.apply(near, &masks.negative);
        Terms::new(positive.clone() + negative.clone())
            .with("positive", positive)
            .with("negative", negative)
            .with("active", active)
    }
}

impl RankingLoss for Contrastive {
    fn forward_terms(&self, embeddings: Tensor<2>, labels: Tensor<1, Int>) -> Terms {
        let masks = Masks::of_labels(&embeddings, &labels);
        self.of_masks(embeddings, &masks)
    }

    fn forward_tuples(&self, embeddings: Tensor<2>, tuples: &Tuples) -> Terms {
        let masks = Masks::of_pairs(&embeddings, &tuples.to_pairs());
        self.of_masks(embeddings, &masks)
    }
}
