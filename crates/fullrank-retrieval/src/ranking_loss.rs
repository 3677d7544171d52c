//! What a ranking loss is, and every one of them as a configuration.

use std::fmt::Debug;

use burn::tensor::{Bool, Int, Tensor};
use fullrank::Terms;
use serde::{Deserialize, Serialize};

use crate::masks::{count, masked_mean, masked_sum};
use crate::{
    AngularConfig, ContrastiveConfig, LiftedStructureConfig, MultiSimilarityConfig, NPairConfig,
    Regularized, TripletConfig, Tuples,
};

/// A loss of embeddings whose labels say which belong together.
///
/// Everything is plain tensor code: it runs inside and outside autodiff on every backend, and with
/// labels reads nothing back from the device. f16 and bf16 embeddings are raised to f32, and so is
/// the loss.
///
/// A batch in which the loss finds no pair or triplet gives exactly 0, still on the graph, with a
/// gradient of zeros. A NaN in a chosen pair or triplet makes the loss NaN.
pub trait RankingLoss: Debug + Send + Sync {
    /// The loss and its named terms.
    ///
    /// # Shapes
    ///
    /// - embeddings: `[batch, dim]`
    /// - labels: `[batch]`; equal labels belong together
    /// - total and terms: `[1]`
    ///
    /// # Panics
    ///
    /// If `batch` or `dim` is zero, or the labels are not `batch`.
    fn forward_terms(&self, embeddings: Tensor<2>, labels: Tensor<1, Int>) -> Terms;

    /// The loss of the given pairs or triplets, those of a [`Miner`](crate::Miner) for example, in
    /// place of the loss's own choice.
    ///
    /// # Panics
    ///
    /// If an index is not below `batch`.
    fn forward_tuples(&self, embeddings: Tensor<2>, tuples: &Tuples) -> Terms;

    /// The loss; shapes and panics as in [`forward_terms`](Self::forward_terms).
    fn forward(&self, embeddings: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
        self.forward_terms(embeddings, labels).total
    }

    /// This loss plus a regularizer, whose weight is in its own configuration.
    ///
    /// `name` is what the regularizer's terms are listed under, as `name.term`.
    fn with_regularizer(
        self,
        name: impl Into<String>,
        regularizer: Box<dyn fullrank::Regularizer>,
    ) -> Regularized
    where
        Self: Sized + 'static,
    {
        Regularized::new(Box::new(self), name, regularizer)
    }
}

/// How the losses of single pairs or triplets become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reduction {
    /// Their mean.
    Mean,
    /// The mean of those that are not zero: easy pairs do not dilute hard ones.
    MeanNonZero,
}

impl Reduction {
    /// The mean of the chosen entries, shape `[1]`; exactly 0 if there are none.
    pub(crate) fn apply<const D: usize>(
        self,
        losses: Tensor<D>,
        mask: &Tensor<D, Bool>,
    ) -> Tensor<1> {
        match self {
            Self::Mean => masked_mean(losses, mask),
            Self::MeanNonZero => {
                let active = active(&losses, mask);
                let count = count(&active, &losses).clamp_min(1.0);
                masked_sum(losses, mask) / count
            }
        }
    }
}

/// The chosen entries that are not zero.
fn active<const D: usize>(losses: &Tensor<D>, mask: &Tensor<D, Bool>) -> Tensor<D, Bool> {
    let plain = losses.clone().without_autodiff();
    plain.greater_elem(0.0).bool_and(mask.clone())
}

/// The share of the chosen entries that are not zero, a plain tensor of shape `[1]`; 0 if there are
/// none.
pub(crate) fn active_share<const D: usize>(
    losses: &Tensor<D>,
    mask: &Tensor<D, Bool>,
) -> Tensor<1> {
    let plain = losses.clone().without_autodiff();
    count(&active(losses, mask), &plain) / count(mask, &plain).clamp_min(1.0)
}

/// Every ranking loss of this crate by name, as it stands in a configuration file.
///
/// ```
/// use burn::tensor::{Device, Distribution, Tensor};
/// use fullrank_retrieval::RankingLossConfig;
///
/// let config: RankingLossConfig =
///     serde_json::from_str(r#"{"lifted-structure": {"margin": 1.0, "normalize": true}}"#)?;
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
    /// [`Contrastive`](crate::Contrastive).
    Contrastive(ContrastiveConfig),
    /// [`Triplet`](crate::Triplet).
    Triplet(TripletConfig),
    /// [`NPair`](crate::NPair).
    NPair(NPairConfig),
    /// [`Angular`](crate::Angular).
    Angular(AngularConfig),
    /// [`LiftedStructure`](crate::LiftedStructure).
    LiftedStructure(LiftedStructureConfig),
    /// [`MultiSimilarity`](crate::MultiSimilarity).
    MultiSimilarity(MultiSimilarityConfig),
}

impl RankingLossConfig {
    /// Initializes the loss.
    ///
    /// # Panics
    ///
    /// If a hyper-parameter is out of its range.
    pub fn init(&self) -> Box<dyn RankingLoss> {
        match self {
            Self::Contrastive(config) => Box::new(config.init()),
            Self::Triplet(config) => Box::new(config.init()),
            Self::NPair(config) => Box::new(config.init()),
            Self::Angular(config) => Box::new(config.init()),
            Self::LiftedStructure(config) => Box::new(config.init()),
            Self::MultiSimilarity(config) => Box::new(config.init()),
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
