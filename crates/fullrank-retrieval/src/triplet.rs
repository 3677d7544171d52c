//! The triplet loss, with the usual choices of triplets in a batch.

use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Bool, Int, Tensor, TensorData, activation::relu};
use fullrank::Terms;
use serde::{Deserialize, Serialize};

use crate::distance::prepared;
use crate::masks::{Masks, any_in_row, softplus};
use crate::methods::{assert_finite, loss_module};
use crate::ranking_loss::{RankingLoss, Reduction, active_share};
use crate::{Distance, Triplets, Tuples};

/// Beyond every distance.
const FAR: f64 = 1e30;

/// Which triplets of a labelled batch count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TripletMining {
    /// Every anchor with every positive and every negative. Holds `[batch, batch, batch]` numbers.
    BatchAll,
    /// Every anchor with its farthest positive and its nearest negative (Hermans et al.).
    BatchHard,
    /// Every anchor and positive with the nearest of the negatives farther away than the positive, or
    /// the farthest negative if none is (Schroff et al.; the fallback is that of TensorFlow's
    /// semi-hard loss). Holds `[batch, batch, batch]` numbers.
    SemiHard,
}

/// Configuration of [`Triplet`].
#[derive(Config, Debug, PartialEq)]
pub struct TripletConfig {
    /// The negative should be farther away than the positive by this. Default: `0.2`
    #[config(default = 0.2)]
    pub margin: f64,
    /// Whether `log(1 + exp(x))` stands in place of the hinge `max(x, 0)`; the margin is added all the
    /// same, and usually 0 here. Default: `false`
    #[config(default = false)]
    pub soft_margin: bool,
    /// Which triplets of a labelled batch count. Default: `TripletMining::BatchHard`
    #[config(default = "TripletMining::BatchHard")]
    pub mining: TripletMining,
    /// The distance. Default: `Distance::Euclidean`
    #[config(default = "Distance::Euclidean")]
    pub distance: Distance,
    /// Whether the rows are divided by their 2-norm first. Default: `true`
    #[config(default = true)]
    pub normalize: bool,
    /// How the triplets become one number. Default: `Reduction::Mean`
    #[config(default = "Reduction::Mean")]
    pub reduction: Reduction,
}

impl TripletConfig {
    /// Initializes the loss.
    ///
    /// # Panics
    ///
    /// If the margin is not finite.
    pub fn init(&self) -> Triplet {
        assert_finite("margin of the triplet loss", self.margin);
        Triplet {
            margin: self.margin,
            soft_margin: self.soft_margin,
            mining: self.mining,
            distance: self.distance,
            normalize: self.normalize,
            reduction: self.reduction,
        }
    }
}

/// The triplet loss: the negative farther from the anchor than the positive, by a margin.
///
/// ```text
/// loss = mean over triplets of max(d(a, p) - d(a, n) + margin, 0)
/// ```
///
/// With labels, over the triplets of its [mining](TripletMining); an anchor without a positive or
/// without a negative has none. The gradient is finite at `d = 0`.
///
/// # Terms
///
/// `triplet`, which is the loss, and `active`: the share of the triplets that are not zero, a plain
/// tensor. (With a soft margin none is.)
///
/// # Source
///
/// Schroff, Kalenichenko and Philbin, "FaceNet", 2015,
/// [arXiv 1503.03832](https://arxiv.org/abs/1503.03832) (there with squared distances); Hermans, Beyer
/// and Leibe, "In Defense of the Triplet Loss", 2017,
/// [arXiv 1703.07737](https://arxiv.org/abs/1703.07737).
#[derive(Module, Debug)]
#[module(custom_display)]
pub struct Triplet {
    /// The negative should be farther away than the positive by this.
    pub margin: f64,
    /// Whether `log(1 + exp(x))` stands in place of the hinge.
    pub soft_margin: bool,
    /// Which triplets of a labelled batch count.
    #[module(skip)]
    pub mining: TripletMining,
    /// The distance.
    #[module(skip)]
    pub distance: Distance,
    /// Whether the rows are divided by their 2-norm first.
    pub normalize: bool,
    /// How the triplets become one number.
    #[module(skip)]
    pub reduction: Reduction,
}

loss_module!(
    Triplet,
    TripletConfig {
        margin,
        soft_margin,
        mining,
        distance,
        normalize,
        reduction
    }
);

impl Triplet {
    /// From `d(a, p) - d(a, n)` of the triplets and which of them count.
    fn of_differences<const D: usize>(
        &self,
        differences: Tensor<D>,
        valid: &Tensor<D, Bool>,
    ) -> Terms {
        // What does not count may lie beyond every distance.
        let excess = differences
            .mask_fill(valid.clone().bool_not(), 0.0)
            .add_scalar(self.margin);
        let losses = if self.soft_margin {
            softplus(excess)
        } else {
            relu(excess)
        };
        let active = active_share(&losses, valid);
        let loss = self.reduction.apply(losses, valid);
        Terms::new(loss.clone())
            .with("triplet", loss)
            .with("active", active)
    }
}

impl RankingLoss for Triplet {
    fn forward_terms(&self, embeddings: Tensor<2>, labels: Tensor<1, Int>) -> Terms {
        let masks = Masks::of_labels(&embeddings, &labels);
        let [batch, _] = embeddings.dims();
        let distances = self.distance.matrix(&prepared(embeddings, self.normalize));
        let not_positive = masks.positive.clone().bool_not();
        let not_negative = masks.negative.clone().bool_not();
        match self.mining {
            TripletMining::BatchAll => {
                let differences =
                    distances.clone().unsqueeze_dim::<3>(2) - distances.unsqueeze_dim::<3>(1);
                self.of_differences(differences, &masks.triplets())
            }
            TripletMining::BatchHard => {
                let farthest = distances.clone().mask_fill(not_positive, -FAR).max_dim(1);
                let nearest = distances.mask_fill(not_negative, FAR).min_dim(1);
                let valid = any_in_row(&masks.positive).bool_and(any_in_row(&masks.negative));
                self.of_differences(farthest - nearest, &valid)
            }
            TripletMining::SemiHard => {
                let shape = [batch, batch, batch];
                let plain = distances.clone().without_autodiff();
                let farther = plain
                    .clone()
                    .unsqueeze_dim::<3>(1)
                    .expand(shape)
                    .greater(plain.unsqueeze_dim::<3>(2).expand(shape));
                let candidates = farther.bool_and(masks.triplets());
                let semi_hard = distances
                    .clone()
                    .unsqueeze_dim::<3>(1)
                    .expand(shape)
                    .mask_fill(candidates.bool_not(), FAR)
                    .min_dim(2)
                    .squeeze_dim::<2>(2);
                let none = semi_hard.clone().without_autodiff().greater_equal_elem(FAR);
                let easiest = distances
                    .clone()
                    .mask_fill(not_negative, -FAR)
                    .max_dim(1)
                    .expand([batch, batch]);
                let negative = semi_hard.mask_where(none, easiest);
                let has_negative = any_in_row(&masks.negative).expand([batch, batch]);
                let valid = masks.positive.bool_and(has_negative);
                self.of_differences(distances - negative, &valid)
            }
        }
    }

    fn forward_tuples(&self, embeddings: Tensor<2>, tuples: &Tuples) -> Terms {
        let rows = prepared(embeddings, self.normalize);
        let Triplets(triplets) = tuples.to_triplets();
        if triplets.is_empty() {
            let zero = rows.mul_scalar(0.0).sum();
            return Terms::new(zero.clone())
                .with("triplet", zero.clone())
                .with("active", zero.without_autodiff());
        }
        let [batch, _] = rows.dims();
        let device = rows.device().without_autodiff();
        let [anchor, positive, negative] = [0, 1, 2].map(|place| {
            let indices: Vec<i64> = triplets
                .iter()
                .map(|triplet| {
                    assert!(
                        triplet[place] < batch,
                        "the triplet {triplet:?} is not one of a batch of {batch}"
                    );
                    triplet[place] as i64
                })
                .collect();
            let indices = TensorData::new(indices, [triplets.len()]);
            rows.clone()
                .select(0, Tensor::<1, Int>::from_data(indices, &device))
        });
        let differences =
            self.distance.rows(anchor.clone(), positive) - self.distance.rows(anchor, negative);
        let all = Tensor::<2>::ones([triplets.len(), 1], &device).greater_elem(0.0);
        self.of_differences(differences, &all)
    }
}
