//! The pair mining of the multi-similarity loss.

use derive_setters::Setters;
use fullrank::HyperParameterError;
use fullrank::internals::finite;
use serde::{Deserialize, Serialize};

use super::{Batch, Miner, metric};
use crate::{Distance, Pairs, Tuples};

/// Of the pairs of each anchor: the positives farther than its nearest negative less epsilon, and the
/// negatives nearer than its farthest positive plus epsilon. An anchor without negatives keeps no
/// positives, one without positives no negatives.
///
/// With the cosine distance this is Wang et al., 2019,
/// [arXiv 1904.06627](https://arxiv.org/abs/1904.06627) (its pair mining).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Setters)]
#[serde(default, deny_unknown_fields)]
#[setters(prefix = "with_")]
pub struct MultiSimilarityMiner {
    /// How much easier than the hardest a pair may be. Default: `0.1`
    pub epsilon: f64,
    /// The distance. Default: `Distance::Cosine`
    pub distance: Distance,
    /// Whether the rows are divided by their 2-norm first. Default: `true`
    pub normalize: bool,
}

impl Default for MultiSimilarityMiner {
    fn default() -> Self {
        Self {
            epsilon: 0.1,
            distance: Distance::Cosine,
            normalize: true,
        }
    }
}

impl MultiSimilarityMiner {
    /// Whether every hyper-parameter is in its range.
    ///
    /// # Errors
    ///
    /// If the epsilon is not finite.
    pub fn check(&self) -> Result<(), HyperParameterError> {
        finite("epsilon", self.epsilon)
    }
}

impl Miner for MultiSimilarityMiner {
    metric!();

    fn choose(&self, distances: &[f64], labels: &[i64]) -> Tuples {
        let batch = Batch::new(distances, labels);
        let mut pairs = Pairs::default();
        for anchor in 0..batch.len() {
            let (Some(farthest), Some(nearest)) = (
                batch.farthest(anchor, batch.positives(anchor)),
                batch.nearest(anchor, batch.negatives(anchor)),
            ) else {
                continue;
            };
            let farthest = batch.distance(anchor, farthest) + self.epsilon;
            let nearest = batch.distance(anchor, nearest) - self.epsilon;
            let far = |&i: &usize| batch.distance(anchor, i) > nearest;
            let positives = batch.positives(anchor).filter(far);
            pairs.positive.extend(positives.map(|i| [anchor, i]));
            let near = |&i: &usize| batch.distance(anchor, i) < farthest;
            let negatives = batch.negatives(anchor).filter(near);
            pairs.negative.extend(negatives.map(|i| [anchor, i]));
        }
        pairs.into()
    }
}
