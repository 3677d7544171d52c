//! The triplet loss, with the usual choices of triplets in a batch.

use burn::module::Module;
use burn::tensor::{Bool, Int, Tensor, TensorData};
use derive_setters::Setters;
use fullrank::internals::{burn_config, finite, one_line_display};
use fullrank::{HyperParameterError, Solver};
use serde::{Deserialize, Serialize};

use super::masks::{
    Masks, above_zero, any_in_row, count, indicator, mean_weights, only, sigmoid, softplus,
};
use super::pair_loss::{PairLoss, Summand};
use super::positive_pairs::{PositivePairs, add_at, add_rows, entries_at};
use super::ranking_loss::TupleReduction;
use crate::RankingLoss;
use crate::kernel::{Kernel, KernelMatrix};
use crate::{Distance, Tuples};

/// Which triplets of a labelled batch count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TripletMining {
    /// Every anchor with every positive and every negative.
    BatchAll,
    /// Every anchor with its farthest positive and its nearest negative (Hermans et al.).
    BatchHard,
    /// Every anchor and positive with the nearest of the negatives farther away than the positive, or
    /// the farthest negative if none is (Schroff et al.; the fallback is that of TensorFlow's
    /// semi-hard loss).
    SemiHard,
}

/// Configuration of [`TripletLoss`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Setters)]
#[serde(default, deny_unknown_fields)]
#[setters(prefix = "with_")]
pub struct TripletLossConfig {
    /// The negative should be farther away than the positive by this. Default: `0.2`
    pub margin: f64,
    /// Whether `log(1 + exp(x))` stands in place of the hinge `max(x, 0)`; the margin is added all the
    /// same, and usually 0 here. Default: `false`
    pub soft_margin: bool,
    /// Which triplets of a labelled batch count. Default: `TripletMining::BatchHard`
    pub mining: TripletMining,
    /// The distance. Default: `Distance::Euclidean`
    pub distance: Distance,
    /// Whether the rows are divided by their 2-norm first. Default: `true`
    pub normalize: bool,
    /// How the triplets become one number. Default: `TupleReduction::Mean`
    pub reduction: TupleReduction,
    /// Where to compute the statistics. Default: `Solver::Auto`
    pub solver: Solver,
}

impl Default for TripletLossConfig {
    fn default() -> Self {
        Self {
            margin: 0.2,
            soft_margin: false,
            mining: TripletMining::BatchHard,
            distance: Distance::Euclidean,
            normalize: true,
            reduction: TupleReduction::Mean,
            solver: Solver::Auto,
        }
    }
}

burn_config!(TripletLossConfig);

impl TripletLossConfig {
    /// The default configuration.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether every hyper-parameter is in its range.
    ///
    /// # Errors
    ///
    /// If the margin is not finite.
    pub fn check(&self) -> Result<(), HyperParameterError> {
        finite("margin of the triplet loss", self.margin)
    }

    /// Initializes the loss.
    ///
    /// # Panics
    ///
    /// If [`check`](Self::check) finds an error.
    pub fn init(&self) -> TripletLoss {
        self.check().unwrap_or_else(|error| panic!("{error}"));
        TripletLoss {
            margin: self.margin,
            soft_margin: self.soft_margin,
            mining: self.mining,
            distance: self.distance,
            normalize: self.normalize,
            reduction: self.reduction,
            solver: self.solver,
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
/// without a negative has none. The gradient is finite at `d = 0`. With [pairs](crate::Pairs), each
/// positive pair with every negative pair of its anchor. All triplets are gone through in blocks: no
/// `[batch, batch, batch]` numbers are held.
///
/// # Gradient
///
/// With the slope `s` of the hinge (0 or 1) or of the soft margin, `1 / (1 + exp(-x))`, in each of `T`
/// triplets,
///
/// ```text
/// dloss/dd_ap =  sum_n s(a, p, n) / T,      dloss/dd_an = -sum_p s(a, p, n) / T
/// ```
///
/// Which triplets count is taken as given.
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
pub struct TripletLoss {
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
    pub reduction: TupleReduction,
    /// Where the statistics are computed.
    #[module(skip)]
    pub solver: Solver,
}

one_line_display!(TripletLoss {
    margin,
    soft_margin,
    mining,
    distance,
    normalize,
    reduction,
    solver
});

impl TripletLoss {
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

impl Default for TripletLoss {
    /// The loss with its default configuration.
    fn default() -> Self {
        TripletLossConfig::new().init()
    }
}

/// What triplets come to: with `count` the number of those that count, 1 at least,
struct Sums {
    /// the sum of their losses by `count`, shape `[1]`,
    value: Tensor<1>,
    /// its derivative in the distances, shape `[batch, batch]`,
    slopes: Tensor<2>,
    /// and the number of those that are not zero, shape `[1]`.
    active: Tensor<1>,
}

impl TripletLoss {
    /// The losses of triplets from `d(a, p) - d(a, n)`, their derivative in that, and which of those that
    /// count are not zero; 0 where one does not count.
    fn losses(
        &self,
        differences: Tensor<2>,
        valid: &Tensor<2, Bool>,
    ) -> (Tensor<2>, Tensor<2>, Tensor<2, Bool>) {
        let excess = differences.add_scalar(self.margin);
        if self.soft_margin {
            // None of them is zero, whatever rounding makes of it.
            let losses = only(softplus(excess.clone()), valid);
            (losses, only(sigmoid(excess), valid), valid.clone())
        } else {
            let active = above_zero(&excess).bool_and(valid.clone());
            let slopes = indicator(&active, &excess);
            (only(excess, &active), slopes, active)
        }
    }

    fn summands(&self, sums: Sums, count: Tensor<1>) -> Vec<Summand> {
        let factor = self.reduction.factor(count.clone(), sums.active.clone());
        let slopes = sums.slopes * factor.clone().unsqueeze::<2>();
        vec![
            Summand::new("triplet", 1.0, sums.value * factor, slopes),
            Summand::report("active", sums.active / count),
        ]
    }

    /// Of single triplets, by the places of `(a, p)` and `(a, n)` in the matrix of distances, and
    /// whether each counts, shape `[triplets, 1]`.
    fn of_listed(
        &self,
        distances: &Tensor<2>,
        [positive, negative]: [Tensor<1, Int>; 2],
        valid: &Tensor<2, Bool>,
    ) -> Vec<Summand> {
        let differences = entries_at(distances, &positive) - entries_at(distances, &negative);
        let (losses, slopes, active) = self.losses(differences, valid);
        let weights = mean_weights(valid, distances);
        let slopes = slopes * weights.clone();
        let sums = Sums {
            value: (losses * weights).sum(),
            slopes: add_at(
                add_at(distances.zeros_like(), &positive, slopes.clone()),
                &negative,
                slopes.neg(),
            ),
            active: indicator(&active, distances).sum(),
        };
        self.summands(sums, count(valid, distances))
    }

    /// Each anchor with its farthest positive and its nearest negative.
    fn batch_hard(&self, distances: &Tensor<2>, pairs: &Masks) -> Vec<Summand> {
        let [batch, _] = distances.dims();
        let valid = any_in_row(&pairs.positive).bool_and(any_in_row(&pairs.negative));
        let of_row = Tensor::arange(0..batch as i64, &distances.device()).mul_scalar(batch as i64);
        let place = |column: Tensor<2, Int>| column.reshape([batch]) + of_row.clone();
        let farthest = farthest(distances, &pairs.positive);
        let nearest = nearest(distances, &pairs.negative);
        self.of_listed(distances, [place(farthest), place(nearest)], &valid)
    }

    /// Each positive pair with its semi-hard negative.
    fn semi_hard(&self, kernel: &KernelMatrix, pairs: &Masks) -> Vec<Summand> {
        let distances = &kernel.values;
        let batch = kernel.batch();
        let easiest = farthest(distances, &pairs.negative);
        let (mut positives, mut negatives, mut valid) = (Vec::new(), Vec::new(), Vec::new());
        for block in PositivePairs::blocks(kernel, pairs) {
            let [count] = block.places.dims();
            let of_anchor = distances.clone().select(0, block.anchors.clone());
            let positive = entries_at(distances, &block.places).expand([count, batch]);
            let farther = of_anchor.clone().greater(positive);
            let negative = pairs.negative.clone().select(0, block.anchors.clone());
            let candidates = farther.bool_and(negative);
            let none = any_in_row(&candidates).bool_not();
            let chosen = nearest(&of_anchor, &candidates);
            let chosen = chosen.mask_where(none, easiest.clone().select(0, block.anchors.clone()));
            let of_row = block.anchors.mul_scalar(batch as i64);
            negatives.push(chosen.reshape([count]) + of_row);
            positives.push(block.places);
            valid.push(block.valid);
        }
        if valid.is_empty() {
            return self.of_none(distances);
        }
        let places = [Tensor::cat(positives, 0), Tensor::cat(negatives, 0)];
        self.of_listed(distances, places, &Tensor::cat(valid, 0))
    }

    fn of_none(&self, distances: &Tensor<2>) -> Vec<Summand> {
        let zero = Tensor::<1>::zeros([1], (&distances.device(), distances.dtype()));
        let sums = Sums {
            value: zero.clone(),
            slopes: distances.zeros_like(),
            active: zero.clone(),
        };
        self.summands(sums, zero.add_scalar(1.0))
    }
}

/// The column of the largest chosen entry of each row, shape `[rows, 1]`; any where none is chosen.
fn farthest(distances: &Tensor<2>, mask: &Tensor<2, Bool>) -> Tensor<2, Int> {
    let others = mask.clone().bool_not();
    let distances = distances.clone().mask_fill(others, f64::NEG_INFINITY);
    distances.argmax(1)
}

/// The column of the smallest chosen entry of each row, shape `[rows, 1]`; any where none is chosen.
fn nearest(distances: &Tensor<2>, mask: &Tensor<2, Bool>) -> Tensor<2, Int> {
    let others = mask.clone().bool_not();
    let distances = distances.clone().mask_fill(others, f64::INFINITY);
    distances.argmin(1)
}

impl PairLoss for TripletLoss {
    fn kernel(&self) -> (Kernel, bool) {
        (Kernel::Distance(self.distance), self.normalize)
    }

    fn solver(&self) -> Solver {
        self.solver
    }

    fn term_names(&self) -> &'static [&'static str] {
        &["triplet", "active"]
    }

    /// Every positive pair with every negative pair of its anchor.
    fn of_pairs(&self, kernel: &KernelMatrix, pairs: &Masks) -> Vec<Summand> {
        let distances = &kernel.values;
        let of_rows = |mask| indicator(mask, distances).sum_dim(1);
        let count = of_rows(&pairs.positive) * of_rows(&pairs.negative);
        let count = count.sum().clamp_min(1.0);
        let weight = count.clone().recip().unsqueeze::<2>();
        let zero = count.zeros_like();
        let mut sums = Sums {
            value: zero.clone(),
            slopes: distances.zeros_like(),
            active: zero,
        };
        for block in PositivePairs::blocks(kernel, pairs) {
            let of_anchor = distances.clone().select(0, block.anchors.clone());
            let negative = pairs.negative.clone().select(0, block.anchors.clone());
            let valid = negative.bool_and(block.valid.expand(of_anchor.dims()));
            let differences = entries_at(distances, &block.places) - of_anchor;
            let (losses, slopes, active) = self.losses(differences, &valid);
            let slopes = slopes * weight.clone();
            sums.value = sums.value + (losses.sum_dim(1) * weight.clone()).sum();
            sums.active = sums.active + indicator(&active, distances).sum();
            sums.slopes = add_at(sums.slopes, &block.places, slopes.clone().sum_dim(1));
            sums.slopes = add_rows(sums.slopes, &block.anchors, slopes.neg());
        }
        self.summands(sums, count)
    }

    fn of_labels(&self, kernel: &KernelMatrix, pairs: Masks) -> Vec<Summand> {
        match self.mining {
            TripletMining::BatchAll => self.of_pairs(kernel, &pairs),
            TripletMining::BatchHard => self.batch_hard(&kernel.values, &pairs),
            TripletMining::SemiHard => self.semi_hard(kernel, &pairs),
        }
    }

    fn of_tuples(&self, kernel: &KernelMatrix, tuples: &Tuples) -> Vec<Summand> {
        let distances = &kernel.values;
        let batch = kernel.batch();
        let triplets = match tuples {
            Tuples::Triplets(triplets) => &triplets.0,
            Tuples::Pairs(pairs) => {
                let pairs = Masks::of_pairs(batch, pairs, &distances.device());
                return self.of_pairs(kernel, &pairs);
            }
        };
        if triplets.is_empty() {
            return self.of_none(distances);
        }
        let count = triplets.len();
        let places = [1, 2].map(|other| {
            let places = triplets.iter().map(|triplet| {
                assert!(
                    triplet.iter().all(|&row| row < batch),
                    "the triplet {triplet:?} is not one of a batch of {batch}"
                );
                (triplet[0] * batch + triplet[other]) as i64
            });
            let places = TensorData::new(places.collect::<Vec<_>>(), [count]);
            Tensor::from_data(places, &distances.device())
        });
        let all = Tensor::<2, Int>::zeros([count, 1], &distances.device()).equal_elem(0);
        self.of_listed(distances, places, &all)
    }
}
