//! The ranking losses, one file each, and what composes them.

mod angular;
mod any_ranking_loss;
mod contrastive;
mod lifted_structure;
mod masks;
mod multi_similarity;
mod n_pair;
mod pair_loss;
mod positive_pairs;
mod ranking_loss;
mod regularized;
mod spread_out;
mod triplet;

pub use angular::{AngularLoss, AngularLossConfig, AngularPairs};
pub use any_ranking_loss::{AnyRankingLoss, RankingLossConfig};
pub use contrastive::{ContrastiveLoss, ContrastiveLossConfig};
pub use lifted_structure::{LiftedStructureLoss, LiftedStructureLossConfig};
pub use multi_similarity::{MultiSimilarityLoss, MultiSimilarityLossConfig};
pub use n_pair::{NPairLoss, NPairLossConfig};
pub use ranking_loss::{RankingLoss, TupleReduction};
pub use regularized::{Regularized, RegularizedConfig};
pub use spread_out::{SpreadOut, SpreadOutConfig};
pub use triplet::{TripletLoss, TripletLossConfig, TripletMining};
