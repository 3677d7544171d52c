//! Triplets by how far they violate a margin.

use derive_setters::Setters;
use fullrank::HyperParameterError;
use fullrank::internals::finite;
use serde::{Deserialize, Serialize};

use super::{Batch, Miner, metric};
use crate::{Distance, Triplets, Tuples};

/// Which triplets, by the gap `d(a, n) - d(a, p)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TripletSelection {
    /// Those that violate the margin: gap at most the margin.
    All,
    /// The negative no farther than the positive: gap at most 0.
    Hard,
    /// The negative farther, but not by more than the margin: gap above 0 and at most the margin.
    SemiHard,
    /// Those that satisfy the margin: gap above the margin.
    Easy,
}

/// All triplets of a batch whose gap is in a range.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Setters)]
#[serde(default, deny_unknown_fields)]
#[setters(prefix = "with_")]
pub struct TripletMarginMiner {
    /// The margin. Default: `0.2`
    pub margin: f64,
    /// Which triplets. Default: `TripletSelection::All`
    pub selection: TripletSelection,
    /// The distance. Default: `Distance::Euclidean`
    pub distance: Distance,
    /// Whether the rows are divided by their 2-norm first. Default: `true`
    pub normalize: bool,
}

impl Default for TripletMarginMiner {
    fn default() -> Self {
        Self {
            margin: 0.2,
            selection: TripletSelection::All,
            distance: Distance::Euclidean,
            normalize: true,
        }
    }
}

impl TripletMarginMiner {
    /// Whether every hyper-parameter is in its range.
    ///
    /// # Errors
    ///
    /// If the margin is not finite.
    pub fn check(&self) -> Result<(), HyperParameterError> {
        finite("margin", self.margin)
    }
}

impl Miner for TripletMarginMiner {
    metric!();

    fn choose(&self, distances: &[f64], labels: &[i64]) -> Tuples {
        let batch = Batch::new(distances, labels);
        let mut triplets = Vec::new();
        for anchor in 0..batch.len() {
            for positive in batch.positives(anchor) {
                for negative in batch.negatives(anchor) {
                    let gap = batch.distance(anchor, negative) - batch.distance(anchor, positive);
                    let chosen = match self.selection {
                        TripletSelection::All => gap <= self.margin,
                        TripletSelection::Hard => gap <= 0.0,
                        TripletSelection::SemiHard => gap > 0.0 && gap <= self.margin,
                        TripletSelection::Easy => gap > self.margin,
                    };
                    if chosen {
                        triplets.push([anchor, positive, negative]);
                    }
                }
            }
        }
        Triplets(triplets).into()
    }
}
