//! Every ranking loss of this crate as a configuration, and as a module.

use burn::module::Module;
use fullrank::HyperParameterError;
use serde::{Deserialize, Serialize};

use super::{
    AngularLoss, AngularLossConfig, ContrastiveLoss, ContrastiveLossConfig, LiftedStructureLoss,
    LiftedStructureLossConfig, MultiSimilarityLoss, MultiSimilarityLossConfig, NPairLoss,
    NPairLossConfig, RankingLoss, TripletLoss, TripletLossConfig,
};

/// Every ranking loss of this crate by name, as it stands in a configuration file.
///
/// What a file leaves out has its default, and a name that nothing has is an error that lists the known
/// ones.
///
/// ```
/// use burn::tensor::{Device, Distribution, Tensor};
/// use fullrank_retrieval::{RankingLoss, RankingLossConfig};
///
/// let config: RankingLossConfig =
///     serde_json::from_str(r#"{"lifted-structure": {"margin": 1.0}}"#)?;
/// let device = Device::default();
/// let embeddings = Tensor::<2>::random([6, 8], Distribution::Default, &device);
/// let labels = Tensor::from_ints([0, 0, 1, 1, 2, 2], &device);
/// let loss = config.init().forward(embeddings, labels);
/// assert_eq!(loss.dims(), [1]);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RankingLossConfig {
    /// [`ContrastiveLoss`](crate::ContrastiveLoss).
    Contrastive(ContrastiveLossConfig),
    /// [`TripletLoss`](crate::TripletLoss).
    Triplet(TripletLossConfig),
    /// [`NPairLoss`](crate::NPairLoss).
    NPair(NPairLossConfig),
    /// [`AngularLoss`](crate::AngularLoss).
    Angular(AngularLossConfig),
    /// [`LiftedStructureLoss`](crate::LiftedStructureLoss).
    LiftedStructure(LiftedStructureLossConfig),
    /// [`MultiSimilarityLoss`](crate::MultiSimilarityLoss).
    MultiSimilarity(MultiSimilarityLossConfig),
}

impl RankingLossConfig {
    /// Whether every hyper-parameter is in its range.
    ///
    /// # Errors
    ///
    /// If one is not.
    pub fn check(&self) -> Result<(), HyperParameterError> {
        let checked = match self {
            Self::Contrastive(config) => config.check(),
            Self::Triplet(config) => config.check(),
            Self::NPair(config) => config.check(),
            Self::Angular(config) => config.check(),
            Self::LiftedStructure(config) => config.check(),
            Self::MultiSimilarity(config) => config.check(),
        };
        checked.map_err(|error| error.within(self.name()))
    }

    /// Initializes the loss.
    ///
    /// # Panics
    ///
    /// If [`check`](Self::check) finds an error.
    pub fn init(&self) -> AnyRankingLoss {
        match self {
            Self::Contrastive(config) => AnyRankingLoss::Contrastive(config.init()),
            Self::Triplet(config) => AnyRankingLoss::Triplet(config.init()),
            Self::NPair(config) => AnyRankingLoss::NPair(config.init()),
            Self::Angular(config) => AnyRankingLoss::Angular(config.init()),
            Self::LiftedStructure(config) => AnyRankingLoss::LiftedStructure(config.init()),
            Self::MultiSimilarity(config) => AnyRankingLoss::MultiSimilarity(config.init()),
        }
    }

    /// The name this choice has in a configuration file.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Contrastive(_) => "contrastive",
            Self::Triplet(_) => "triplet",
            Self::NPair(_) => "n-pair",
            Self::Angular(_) => "angular",
            Self::LiftedStructure(_) => "lifted-structure",
            Self::MultiSimilarity(_) => "multi-similarity",
        }
    }
}

/// Any ranking loss of this crate, as a field of a `Module`; made by [`RankingLossConfig`].
#[derive(Module, Debug)]
pub enum AnyRankingLoss {
    /// Positive pairs together, negative ones a margin apart.
    Contrastive(ContrastiveLoss),
    /// The negative farther away than the positive.
    Triplet(TripletLoss),
    /// One pair of each class against the others.
    NPair(NPairLoss),
    /// The angle at the negative.
    Angular(AngularLoss),
    /// Each positive pair against all negatives of both rows.
    LiftedStructure(LiftedStructureLoss),
    /// Every pair weighted by the others of its anchor.
    MultiSimilarity(MultiSimilarityLoss),
}

impl AnyRankingLoss {
    pub(super) fn chosen(&self) -> &dyn RankingLoss {
        match self {
            Self::Contrastive(loss) => loss,
            Self::Triplet(loss) => loss,
            Self::NPair(loss) => loss,
            Self::Angular(loss) => loss,
            Self::LiftedStructure(loss) => loss,
            Self::MultiSimilarity(loss) => loss,
        }
    }
}
