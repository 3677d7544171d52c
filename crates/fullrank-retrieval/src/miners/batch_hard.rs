//! The hardest triplet of each anchor.

use derive_setters::Setters;
use serde::{Deserialize, Serialize};

use super::{Batch, Miner, metric};
use crate::{Distance, Triplets, Tuples};

/// One triplet for each anchor that has a positive and a negative: the farthest positive and the
/// nearest negative, the first among equally far ones.
///
/// Source: Hermans, Beyer and Leibe, 2017, [arXiv 1703.07737](https://arxiv.org/abs/1703.07737).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Setters)]
#[serde(default, deny_unknown_fields)]
#[setters(prefix = "with_")]
pub struct BatchHardMiner {
    /// The distance. Default: `Distance::Euclidean`
    pub distance: Distance,
    /// Whether the rows are divided by their 2-norm first. Default: `true`
    pub normalize: bool,
}

impl Default for BatchHardMiner {
    fn default() -> Self {
        Self {
            distance: Distance::Euclidean,
            normalize: true,
        }
    }
}

impl Miner for BatchHardMiner {
    metric!();

    fn choose(&self, distances: &[f64], labels: &[i64]) -> Tuples {
        let batch = Batch::new(distances, labels);
        let triplets = (0..batch.len()).filter_map(|anchor| {
            let positive = batch.farthest(anchor, batch.positives(anchor))?;
            let negative = batch.nearest(anchor, batch.negatives(anchor))?;
            Some([anchor, positive, negative])
        });
        Triplets(triplets.collect()).into()
    }
}
