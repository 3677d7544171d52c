//! Pairs that violate a margin.

use derive_setters::Setters;
use fullrank::HyperParameterError;
use fullrank::internals::finite;
use serde::{Deserialize, Serialize};

use super::{Batch, Miner, metric};
use crate::{Distance, Pairs, Tuples};

/// Positive pairs farther apart than one margin and negative pairs nearer than another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Setters)]
#[serde(default, deny_unknown_fields)]
#[setters(prefix = "with_")]
pub struct PairMarginMiner {
    /// Positive pairs farther apart than this are chosen. Default: `0.2`
    pub positive_margin: f64,
    /// Negative pairs nearer than this are chosen. Default: `0.8`
    pub negative_margin: f64,
    /// The distance. Default: `Distance::Euclidean`
    pub distance: Distance,
    /// Whether the rows are divided by their 2-norm first. Default: `true`
    pub normalize: bool,
}

impl Default for PairMarginMiner {
    fn default() -> Self {
        Self {
            positive_margin: 0.2,
            negative_margin: 0.8,
            distance: Distance::Euclidean,
            normalize: true,
        }
    }
}

impl PairMarginMiner {
    /// Whether every hyper-parameter is in its range.
    ///
    /// # Errors
    ///
    /// If a margin is not finite.
    pub fn check(&self) -> Result<(), HyperParameterError> {
        finite("positive margin", self.positive_margin)?;
        finite("negative margin", self.negative_margin)?;
        Ok(())
    }
}

impl Miner for PairMarginMiner {
    metric!();

    fn choose(&self, distances: &[f64], labels: &[i64]) -> Tuples {
        let batch = Batch::new(distances, labels);
        let mut pairs = Pairs::default();
        for anchor in 0..batch.len() {
            let far = |&i: &usize| batch.distance(anchor, i) > self.positive_margin;
            let positives = batch.positives(anchor).filter(far);
            pairs.positive.extend(positives.map(|i| [anchor, i]));
            let near = |&i: &usize| batch.distance(anchor, i) < self.negative_margin;
            let negatives = batch.negatives(anchor).filter(near);
            pairs.negative.extend(negatives.map(|i| [anchor, i]));
        }
        pairs.into()
    }
}
