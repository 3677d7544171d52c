//! Miners: which pairs or triplets of a batch a loss should see.

mod any_miner;
mod batch_hard;
mod multi_similarity;
mod pair_margin;
mod triplet_margin;

use std::fmt::Debug;

use burn::tensor::{Int, Tensor};

use crate::kernel::{Kernel, RowsOnHost};
use crate::{Distance, Tuples};

pub use any_miner::AnyMiner;
pub use batch_hard::BatchHardMiner;
pub use multi_similarity::MultiSimilarityMiner;
pub use pair_margin::PairMarginMiner;
pub use triplet_margin::{TripletMarginMiner, TripletSelection};

/// Chooses pairs or triplets of a batch by the distances of its embeddings.
///
/// The choice is made on the host: [`mine`](Self::mine) reads labels and embeddings back from the device
/// and takes the distances from the entries' differences in f64. Equal rows are equally far from every
/// other. (The losses' own mining, [`TripletMining`](crate::TripletMining)
/// and the epsilon of [`MultiSimilarityLoss`](crate::MultiSimilarityLoss), reads nothing back.) No gradient flows
/// through a choice. Tuples come in ascending order.
///
/// ```
/// use burn::tensor::{Device, Distribution, Tensor};
/// use fullrank_retrieval::{BatchHardMiner, LiftedStructureLoss, Miner, RankingLoss};
///
/// let device = Device::default();
/// let embeddings = Tensor::<2>::random([6, 8], Distribution::Default, &device);
/// let labels = Tensor::from_ints([0, 0, 1, 1, 2, 2], &device);
/// let tuples = BatchHardMiner::default().mine(&embeddings, &labels);
/// let loss = LiftedStructureLoss::default().forward_tuples(embeddings, &tuples);
/// assert_eq!(loss.dims(), [1]);
/// ```
pub trait Miner: Debug + Send + Sync {
    /// Whether the rows are divided by their 2-norm first.
    fn normalize(&self) -> bool;

    /// The distance by which it chooses.
    fn distance(&self) -> Distance;

    /// Chooses by the distances, row-major `[batch, batch]`, and the labels, `[batch]`.
    ///
    /// # Panics
    ///
    /// If there are not `batch * batch` distances.
    fn choose(&self, distances: &[f64], labels: &[i64]) -> Tuples;

    /// Chooses among the rows of `embeddings`, shape `[batch, dim]`, with `labels`, shape `[batch]`.
    ///
    /// # Panics
    ///
    /// If the labels are not `batch`.
    fn mine(&self, embeddings: &Tensor<2>, labels: &Tensor<1, Int>) -> Tuples {
        let [batch, _] = embeddings.dims();
        assert_eq!(
            labels.dims(),
            [batch],
            "there must be one label for each of the {batch} rows"
        );
        if batch == 0 {
            return self.choose(&[], &[]);
        }
        let unit = self.normalize() || self.distance() == Distance::Cosine;
        let rows = RowsOnHost::new(&embeddings.clone().without_autodiff(), unit);
        let distances = rows.kernel(Kernel::Distance(self.distance()));
        let labels: Vec<i64> = labels.clone().into_data().iter().collect();
        self.choose(&distances, &labels)
    }
}

/// The distances of a batch and its labels.
struct Batch<'a> {
    distances: &'a [f64],
    labels: &'a [i64],
}

impl<'a> Batch<'a> {
    fn new(distances: &'a [f64], labels: &'a [i64]) -> Self {
        assert_eq!(
            distances.len(),
            labels.len() * labels.len(),
            "a batch of {} has that many distances squared",
            labels.len()
        );
        Self { distances, labels }
    }

    fn len(&self) -> usize {
        self.labels.len()
    }

    fn distance(&self, i: usize, j: usize) -> f64 {
        self.distances[i * self.len() + j]
    }

    fn positives(&self, anchor: usize) -> impl Iterator<Item = usize> + Clone + '_ {
        (0..self.len()).filter(move |&i| i != anchor && self.labels[i] == self.labels[anchor])
    }

    fn negatives(&self, anchor: usize) -> impl Iterator<Item = usize> + Clone + '_ {
        (0..self.len()).filter(move |&i| self.labels[i] != self.labels[anchor])
    }

    /// The nearest of these rows to the anchor, the first among equals.
    fn nearest(&self, anchor: usize, rows: impl Iterator<Item = usize>) -> Option<usize> {
        rows.min_by(|&i, &j| {
            self.distance(anchor, i)
                .total_cmp(&self.distance(anchor, j))
        })
    }

    /// The farthest of these rows from the anchor, the first among equals.
    fn farthest(&self, anchor: usize, rows: impl Iterator<Item = usize>) -> Option<usize> {
        rows.min_by(|&i, &j| {
            self.distance(anchor, j)
                .total_cmp(&self.distance(anchor, i))
        })
    }
}

/// The two fields of every miner.
macro_rules! metric {
    () => {
        fn normalize(&self) -> bool {
            self.normalize
        }

        fn distance(&self) -> $crate::Distance {
            self.distance
        }
    };
}

use metric;
