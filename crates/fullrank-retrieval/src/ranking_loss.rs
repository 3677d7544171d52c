//! What a ranking loss is, and every one of them as a configuration.

use std::fmt::Debug;

use burn::tensor::{Int, Tensor};
use fullrank::{Evaluation, Terms};
use serde::{Deserialize, Serialize};

use crate::{
    AngularConfig, ContrastiveConfig, LiftedStructureConfig, MultiSimilarityConfig, NPairConfig,
    Regularized, TripletConfig, Tuples,
};

/// A loss of embeddings whose labels say which belong together.
///
/// Value and gradient are computed outside autodiff and attached to the graph, which keeps one matrix
/// of the embeddings' shape: on CPU devices in f64 on the host, on any other device by plain tensor code
/// in the embeddings' precision, which with labels reads nothing back. f16 and bf16 embeddings are
/// raised to f32, and so is the loss.
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

    /// The loss and its gradient on plain tensors, with which a batch too large for one backward pass
    /// is [trained in parts](Evaluation#a-batch-in-parts); shapes and panics as in
    /// [`forward_terms`](Self::forward_terms).
    fn evaluate(&self, embeddings: Tensor<2>, labels: Tensor<1, Int>) -> Evaluation<1>;

    /// The loss of the given pairs or triplets and its gradient on plain tensors; panics as in
    /// [`forward_tuples`](Self::forward_tuples).
    fn evaluate_tuples(&self, embeddings: Tensor<2>, tuples: &Tuples) -> Evaluation<1>;

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
    /// What the mean of all entries, `count` of them, is multiplied with, if `active` of them are not
    /// zero. All shapes `[1]`.
    pub(crate) fn factor(self, count: Tensor<1>, active: Tensor<1>) -> Tensor<1> {
        match self {
            Self::Mean => count.ones_like(),
            Self::MeanNonZero => count / active.clamp_min(1.0),
        }
    }
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
