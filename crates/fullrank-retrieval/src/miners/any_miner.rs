//! Every miner of this crate by name.

use fullrank::HyperParameterError;
use serde::{Deserialize, Serialize};

use super::{BatchHardMiner, Miner, MultiSimilarityMiner, PairMarginMiner, TripletMarginMiner};
use crate::{Distance, Tuples};

/// Any miner of this crate, as it stands in a configuration file. A miner has nothing but its settings: it is its own
/// configuration.
///
/// What a file leaves out has its default, and a name that nothing has is an error that lists the known
/// ones. In a `Module` it is a field with `#[module(skip)]`.
///
/// ```
/// use fullrank_retrieval::{AnyMiner, Miner, TripletMarginMiner, TripletSelection};
///
/// let miner: AnyMiner = serde_json::from_str(r#"{"triplet-margin": {"selection": "semi-hard"}}"#)?;
/// miner.check()?;
/// let same = TripletMarginMiner::default().with_selection(TripletSelection::SemiHard);
/// assert_eq!(miner, AnyMiner::TripletMargin(same));
/// assert_eq!(miner.choose(&[0.0; 4], &[0, 1]).to_triplets().0.len(), 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AnyMiner {
    /// [`BatchHardMiner`].
    BatchHard(BatchHardMiner),
    /// [`TripletMarginMiner`].
    TripletMargin(TripletMarginMiner),
    /// [`PairMarginMiner`].
    PairMargin(PairMarginMiner),
    /// [`MultiSimilarityMiner`].
    MultiSimilarity(MultiSimilarityMiner),
}

impl AnyMiner {
    /// Whether every hyper-parameter is in its range.
    ///
    /// # Errors
    ///
    /// If one is not.
    pub fn check(&self) -> Result<(), HyperParameterError> {
        let checked = match self {
            Self::BatchHard(_) => Ok(()),
            Self::TripletMargin(miner) => miner.check(),
            Self::PairMargin(miner) => miner.check(),
            Self::MultiSimilarity(miner) => miner.check(),
        };
        checked.map_err(|error| error.within(self.name()))
    }

    /// The name this choice has in a configuration file.
    pub fn name(&self) -> &'static str {
        match self {
            Self::BatchHard(_) => "batch-hard",
            Self::TripletMargin(_) => "triplet-margin",
            Self::PairMargin(_) => "pair-margin",
            Self::MultiSimilarity(_) => "multi-similarity",
        }
    }

    fn chosen(&self) -> &dyn Miner {
        match self {
            Self::BatchHard(miner) => miner,
            Self::TripletMargin(miner) => miner,
            Self::PairMargin(miner) => miner,
            Self::MultiSimilarity(miner) => miner,
        }
    }
}

impl Miner for AnyMiner {
    fn normalize(&self) -> bool {
        self.chosen().normalize()
    }

    fn distance(&self) -> Distance {
        self.chosen().distance()
    }

    fn choose(&self, distances: &[f64], labels: &[i64]) -> Tuples {
        self.chosen().choose(distances, labels)
    }
}
