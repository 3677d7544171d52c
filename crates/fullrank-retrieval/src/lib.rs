#![doc = include_str!("../README.md")]

mod all_rows;
mod distance;
mod host_rows;
mod kernel;
mod losses;
mod miners;
mod samplers;
pub mod scores;
mod tuples;

pub use all_rows::AllRows;
pub use distance::Distance;
pub use losses::{
    AngularLoss, AngularLossConfig, AngularPairs, AnyRankingLoss, ContrastiveLoss,
    ContrastiveLossConfig, LiftedStructureLoss, LiftedStructureLossConfig, MultiSimilarityLoss,
    MultiSimilarityLossConfig, NPairLoss, NPairLossConfig, RankingLoss, RankingLossConfig,
    Regularized, RegularizedConfig, SpreadOut, SpreadOutConfig, TripletLoss, TripletLossConfig,
    TripletMining, TupleReduction,
};
pub use miners::{
    AnyMiner, BatchHardMiner, Miner, MultiSimilarityMiner, PairMarginMiner, TripletMarginMiner,
    TripletSelection,
};
pub use samplers::{
    ClassBalancedDataset, ClassBalancedLoader, ClassBalancedSampler, ClassBalancedSamplerConfig,
    StepBatcher,
};
pub use tuples::{Pairs, Triplets, Tuples};
