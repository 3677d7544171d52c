//! A ranking loss with a regularizer of fullrank beside it.

use burn::module::Module;
use burn::tensor::{Int, Tensor};
use fullrank::internals::{complete, in_statistics_precision};
use fullrank::{
    AnyRegularizer, HyperParameterError, Regularizer, RegularizerConfig, Surrogate, Terms,
};
use serde::{Deserialize, Serialize};

use super::{AnyRankingLoss, RankingLoss, RankingLossConfig};
use crate::Tuples;

/// A ranking loss and a regularizer by name, as they stand in a configuration file.
///
/// The weight is a field of the regularizer's own configuration. SVMax's paper has 1 beside the
/// contrastive and the N-pair loss, 0.1 beside the triplet and 2 beside the angular loss.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegularizedConfig {
    /// The ranking loss.
    pub loss: RankingLossConfig,
    /// The regularizer.
    pub regularizer: RegularizerConfig,
}

impl RegularizedConfig {
    /// Whether every hyper-parameter is in its range.
    ///
    /// # Errors
    ///
    /// If one is not.
    pub fn check(&self) -> Result<(), HyperParameterError> {
        self.loss.check()?;
        self.regularizer.check()
    }

    /// Initializes both.
    ///
    /// # Panics
    ///
    /// If [`check`](Self::check) finds an error.
    pub fn init(&self) -> Regularized {
        Regularized::new(
            self.loss.init(),
            self.regularizer.name(),
            self.regularizer.init(),
        )
    }
}

/// The sum of a ranking loss and a regularizer of the same embeddings; a `Module` where both are.
///
/// Its terms are those of the loss, and those of the regularizer under its name, as `svmax.penalty`.
/// The regularizer sees the embeddings as they are given, whether or not the loss normalizes them.
///
/// ```
/// use burn::tensor::{Device, Distribution, Tensor};
/// use fullrank::SvMaxConfig;
/// use fullrank_retrieval::{RankingLoss, TripletLossConfig};
///
/// let svmax = SvMaxConfig::new().with_weight(0.1).init();
/// let loss = TripletLossConfig::new().init().with_regularizer("svmax", svmax);
/// let device = Device::default();
/// let embeddings = Tensor::<2>::random([6, 8], Distribution::Default, &device);
/// let terms = loss.forward_terms(embeddings, Tensor::from_ints([0, 0, 1, 1, 2, 2], &device));
/// assert!(terms.get("triplet").is_some() && terms.get("svmax.penalty").is_some());
/// ```
#[derive(Module, Debug)]
pub struct Regularized<L = AnyRankingLoss, R = AnyRegularizer> {
    loss: L,
    name: String,
    regularizer: R,
}

impl<L: RankingLoss, R: Regularizer> Regularized<L, R> {
    /// The sum of a loss and a regularizer whose terms are listed as `name.term`.
    pub fn new(loss: L, name: impl Into<String>, regularizer: R) -> Self {
        Self {
            loss,
            name: name.into(),
            regularizer,
        }
    }

    fn penalty(&self, embeddings: Tensor<2>) -> Surrogate<1> {
        let surrogate = self.regularizer.evaluate(embeddings.clone());
        complete(surrogate, |[e]| self.regularizer.forward(e), [embeddings])
    }

    fn penalty_terms(&self, embeddings: Tensor<2>) -> Terms {
        let terms = self.regularizer.forward_terms(embeddings);
        terms.prefixed(&self.name)
    }
}

impl<L: Clone> Regularized<L> {
    /// The same loss with its regularizer at this step of the training: see [`AnyRegularizer::at_step`].
    #[must_use]
    pub fn at_step(&self, step: u64) -> Self {
        Self {
            loss: self.loss.clone(),
            name: self.name.clone(),
            regularizer: self.regularizer.at_step(step),
        }
    }
}

impl<L: RankingLoss, R: Regularizer> RankingLoss for Regularized<L, R> {
    fn forward(&self, embeddings: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
        let embeddings = in_statistics_precision(embeddings);
        self.loss.forward(embeddings.clone(), labels) + self.regularizer.forward(embeddings)
    }

    fn forward_tuples(&self, embeddings: Tensor<2>, tuples: &Tuples) -> Tensor<1> {
        let embeddings = in_statistics_precision(embeddings);
        self.loss.forward_tuples(embeddings.clone(), tuples) + self.regularizer.forward(embeddings)
    }

    fn forward_terms(&self, embeddings: Tensor<2>, labels: Tensor<1, Int>) -> Terms {
        let embeddings = in_statistics_precision(embeddings);
        let ranking = self.loss.forward_terms(embeddings.clone(), labels);
        ranking.merge(self.penalty_terms(embeddings))
    }

    fn forward_tuples_terms(&self, embeddings: Tensor<2>, tuples: &Tuples) -> Terms {
        let embeddings = in_statistics_precision(embeddings);
        let ranking = self.loss.forward_tuples_terms(embeddings.clone(), tuples);
        ranking.merge(self.penalty_terms(embeddings))
    }

    fn term_names(&self) -> Vec<String> {
        let beside = self.regularizer.term_names().into_iter();
        let beside = beside.map(|term| format!("{}.{term}", self.name));
        self.loss.term_names().into_iter().chain(beside).collect()
    }

    fn evaluate(&self, embeddings: Tensor<2>, labels: Tensor<1, Int>) -> Surrogate<1> {
        let plain = in_statistics_precision(embeddings.without_autodiff());
        let ranking = self.loss.evaluate(plain.clone(), labels.clone());
        let ranking = complete(ranking, |[e]| self.loss.forward(e, labels), [plain.clone()]);
        ranking + self.penalty(plain)
    }

    fn evaluate_tuples(&self, embeddings: Tensor<2>, tuples: &Tuples) -> Surrogate<1> {
        let plain = in_statistics_precision(embeddings.without_autodiff());
        let ranking = self.loss.evaluate_tuples(plain.clone(), tuples);
        let forward = |[e]: [Tensor<2>; 1]| self.loss.forward_tuples(e, tuples);
        complete(ranking, forward, [plain.clone()]) + self.penalty(plain)
    }
}
