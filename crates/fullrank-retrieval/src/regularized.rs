//! A ranking loss with a regularizer of fullrank beside it.

use burn::tensor::{Int, Tensor};
use fullrank::internals::{complete, in_statistics_precision};
use fullrank::{Evaluation, Regularizer, RegularizerConfig, Terms};
use serde::{Deserialize, Serialize};

use crate::{RankingLoss, RankingLossConfig, Tuples};

/// A ranking loss and a regularizer by name, as they stand in a configuration file.
///
/// The weight is a field of the regularizer's own configuration. SVMax's paper has 1 beside the
/// contrastive and the N-pair loss, 0.1 beside the triplet and 2 beside the angular loss.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RegularizedConfig {
    /// The ranking loss.
    pub loss: RankingLossConfig,
    /// The regularizer.
    pub regularizer: RegularizerConfig,
}

impl RegularizedConfig {
    /// Initializes both.
    ///
    /// # Panics
    ///
    /// If a hyper-parameter is out of its range.
    pub fn init(&self) -> Regularized {
        Regularized::new(
            self.loss.init(),
            self.regularizer.name(),
            self.regularizer.init(),
        )
    }
}

/// The sum of a ranking loss and a regularizer of the same embeddings.
///
/// Its terms are those of the loss, and those of the regularizer under its name, as `svmax.penalty`.
/// The regularizer sees the embeddings as they are given, whether or not the loss normalises them.
///
/// ```
/// use burn::tensor::{Device, Distribution, Tensor};
/// use fullrank::SvMaxConfig;
/// use fullrank_retrieval::{RankingLoss, TripletConfig};
///
/// let svmax = SvMaxConfig::new().with_weight(0.1).init();
/// let loss = TripletConfig::new().init().with_regularizer("svmax", Box::new(svmax));
/// let device = Device::default();
/// let embeddings = Tensor::<2>::random([6, 8], Distribution::Default, &device);
/// let terms = loss.forward_terms(embeddings, Tensor::from_ints([0, 0, 1, 1, 2, 2], &device));
/// assert!(terms.get("triplet").is_some() && terms.get("svmax.penalty").is_some());
/// ```
#[derive(Debug)]
pub struct Regularized {
    loss: Box<dyn RankingLoss>,
    name: String,
    regularizer: Box<dyn Regularizer>,
}

impl Regularized {
    /// The sum of a loss and a regularizer whose terms are listed as `name.term`.
    pub fn new(
        loss: Box<dyn RankingLoss>,
        name: impl Into<String>,
        regularizer: Box<dyn Regularizer>,
    ) -> Self {
        Self {
            loss,
            name: name.into(),
            regularizer,
        }
    }

    fn penalty(&self, embeddings: Tensor<2>) -> Evaluation<1> {
        let evaluation = self.regularizer.evaluate(embeddings.clone());
        complete(evaluation, |e| self.regularizer.forward(e), embeddings)
    }

    fn penalty_terms(&self, embeddings: Tensor<2>) -> Terms {
        let terms = self.regularizer.forward_terms(embeddings);
        terms.under(&self.name)
    }
}

impl RankingLoss for Regularized {
    fn forward_terms(&self, embeddings: Tensor<2>, labels: Tensor<1, Int>) -> Terms {
        let embeddings = in_statistics_precision(embeddings);
        let ranking = self.loss.forward_terms(embeddings.clone(), labels);
        ranking.merge(self.penalty_terms(embeddings))
    }

    fn forward_tuples(&self, embeddings: Tensor<2>, tuples: &Tuples) -> Terms {
        let embeddings = in_statistics_precision(embeddings);
        let ranking = self.loss.forward_tuples(embeddings.clone(), tuples);
        ranking.merge(self.penalty_terms(embeddings))
    }

    fn forward(&self, embeddings: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
        let embeddings = in_statistics_precision(embeddings);
        self.loss.forward(embeddings.clone(), labels) + self.regularizer.forward(embeddings)
    }

    fn evaluate(&self, embeddings: Tensor<2>, labels: Tensor<1, Int>) -> Evaluation<1> {
        let plain = in_statistics_precision(embeddings.without_autodiff());
        let ranking = self.loss.evaluate(plain.clone(), labels.clone());
        let ranking = complete(ranking, |e| self.loss.forward(e, labels), plain.clone());
        ranking + self.penalty(plain)
    }

    fn evaluate_tuples(&self, embeddings: Tensor<2>, tuples: &Tuples) -> Evaluation<1> {
        let plain = in_statistics_precision(embeddings.without_autodiff());
        let ranking = self.loss.evaluate_tuples(plain.clone(), tuples);
        let forward = |e| self.loss.forward_tuples(e, tuples).total;
        complete(ranking, forward, plain.clone()) + self.penalty(plain)
    }
}
