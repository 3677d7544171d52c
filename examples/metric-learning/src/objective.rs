//! What is minimised: a ranking loss, and what stands beside it.

use burn::tensor::{Device, Int, Tensor, TensorData};
use fullrank::{Regularizer, unit_rows};
use fullrank_retrieval::{Pairs, RankingLoss, SpreadOut};

use crate::config::{LossName, RegularizerName, RunConfig, TupleChoice};

/// A ranking loss and a regularizer, built from their configuration.
#[derive(Debug)]
pub struct Objective {
    ranking: Box<dyn RankingLoss>,
    tuples: TupleChoice,
    regularizer: Beside,
}

/// What stands beside the ranking loss.
#[derive(Debug)]
enum Beside {
    Nothing,
    /// A penalty of the rows, which it divides by their norms itself.
    Rows(Box<dyn Regularizer>),
    /// A penalty of unit rows times the root of their length, whose entries have a mean square of 1.
    ScaledRows(Box<dyn Regularizer>),
    /// A penalty of pairs by their labels.
    Pairs(SpreadOut),
}

/// A loss and its two parts, all on one graph, each `[1]`.
pub struct Loss {
    /// What is minimised.
    pub total: Tensor<1>,
    /// The ranking loss.
    pub ranking: Tensor<1>,
    /// The weighted regularizer, if there is one.
    pub penalty: Option<Tensor<1>>,
}

impl Objective {
    /// Builds the loss with the regularizer beside it.
    ///
    /// # Panics
    ///
    /// If a hyper-parameter is out of its range.
    pub fn new(config: &RunConfig, loss: LossName, regularizer: RegularizerName) -> Self {
        let objective = config.objectives.of(loss);
        let settings = &config.regularizer_settings;
        let regularizer = match regularizer {
            RegularizerName::None => Beside::Nothing,
            RegularizerName::Svmax => {
                let weight = objective.svmax_weight * settings.svmax.weight;
                let svmax = settings.svmax.clone().with_weight(weight);
                Beside::Rows(Box::new(svmax.init()))
            }
            RegularizerName::Variance => Beside::ScaledRows(Box::new(settings.variance.init())),
            RegularizerName::VarianceCovariance => {
                Beside::ScaledRows(Box::new(settings.variance_covariance.init()))
            }
            RegularizerName::SpreadOut => Beside::Pairs(settings.spread_out.init()),
        };
        Self {
            ranking: objective.loss.init(),
            tuples: objective.tuples,
            regularizer,
        }
    }

    /// The names of the parts that a loss has.
    pub fn term_names(&self) -> &'static [&'static str] {
        match self.regularizer {
            Beside::Nothing => &["ranking"],
            _ => &["ranking", "penalty"],
        }
    }

    /// The loss of embeddings as the network gives them; losses and regularizers divide each row by its
    /// norm.
    ///
    /// # Shapes
    ///
    /// - embeddings: `[labels.len(), dimensions]`
    pub fn forward(&self, embeddings: Tensor<2>, labels: &[i64]) -> Loss {
        let device = embeddings.device();
        let ranking = match self.tuples {
            TupleChoice::Labels => {
                let labels = label_tensor(labels, &device);
                self.ranking.forward(embeddings.clone(), labels)
            }
            TupleChoice::DisjointPairs => {
                let pairs = Pairs::disjoint_from_labels(labels).into();
                let terms = self.ranking.forward_tuples(embeddings.clone(), &pairs);
                terms.total
            }
        };
        let penalty = match &self.regularizer {
            Beside::Nothing => None,
            Beside::Rows(regularizer) => Some(regularizer.forward(embeddings)),
            Beside::ScaledRows(regularizer) => {
                let [_, dimensions] = embeddings.dims();
                let scaled = unit_rows(embeddings) * (dimensions as f64).sqrt();
                Some(regularizer.forward(scaled))
            }
            Beside::Pairs(spread_out) => {
                let labels = label_tensor(labels, &device);
                Some(spread_out.forward(embeddings, labels))
            }
        };
        let total = match &penalty {
            Some(penalty) => ranking.clone() + penalty.clone(),
            None => ranking.clone(),
        };
        Loss {
            total,
            ranking,
            penalty,
        }
    }
}

/// The classes of a batch on a device, off autodiff.
pub fn label_tensor(labels: &[i64], device: &Device) -> Tensor<1, Int> {
    let data = TensorData::new(labels.to_vec(), [labels.len()]);
    Tensor::from_data(data, &device.clone().without_autodiff())
}
