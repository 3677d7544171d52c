#![doc = include_str!("../README.md")]

mod angular;
mod class_balanced;
mod contrastive;
mod distance;
mod host_rows;
mod kernel;
mod lifted_structure;
mod masks;
mod methods;
mod miners;
mod multi_similarity;
mod n_pair;
mod pair_loss;
mod positive_pairs;
mod ranking_loss;
mod regularized;
pub mod scores;
mod spread_out;
mod triplet;
mod tuples;

pub use angular::{Angular, AngularConfig, AngularPairs};
pub use class_balanced::{
    ClassBalancedDataset, ClassBalancedLoader, ClassBalancedSampler, ClassBalancedSamplerConfig,
    StepBatcher,
};
pub use contrastive::{Contrastive, ContrastiveConfig};
pub use distance::Distance;
pub use lifted_structure::{LiftedStructure, LiftedStructureConfig};
pub use miners::{
    BatchHardMiner, Miner, MultiSimilarityMiner, PairMarginMiner, TripletMarginMiner,
    TripletSelection,
};
pub use multi_similarity::{MultiSimilarity, MultiSimilarityConfig};
pub use n_pair::{NPair, NPairConfig};
pub use ranking_loss::{RankingLoss, RankingLossConfig, Reduction};
pub use regularized::{Regularized, RegularizedConfig};
pub use spread_out::{SpreadOut, SpreadOutConfig};
pub use triplet::{Triplet, TripletConfig, TripletMining};
pub use tuples::{Pairs, Triplets, Tuples};
