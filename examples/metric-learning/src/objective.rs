//! What is minimized: a ranking loss, and what stands beside it.

use burn::module::Module;
use burn::tensor::{Device, Int, Tensor, TensorData};
use fullrank::{AnyRegularizer, HyperParameterError, Regularizer, RegularizerConfig, unit_rows};
use fullrank_retrieval::{AnyRankingLoss, Pairs, RankingLoss, SpreadOut};

use crate::config::{LossName, RegularizerName, RunConfig, TupleChoice};

/// A ranking loss and a regularizer, built from their configuration.
#[derive(Module, Debug)]
pub struct Objective {
    ranking: AnyRankingLoss,
    #[module(skip)]
    tuples: TupleChoice,
    regularizer: Option<Beside>,
}

/// What stands beside the ranking loss.
#[derive(Module, Debug)]
enum Beside {
    /// A penalty of the rows, which it divides by their norms itself.
    Rows(AnyRegularizer),
    /// A penalty of unit rows times the root of their length, whose entries have a mean square of 1.
    ScaledRows(AnyRegularizer),
    /// A penalty of pairs by their labels.
    Pairs(SpreadOut),
}

/// A loss and its two parts, all on one graph, each `[1]`.
pub struct Loss {
    /// What is minimized.
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
    /// If [`check`](Self::check) finds an error.
    pub fn new(config: &RunConfig, loss: LossName, regularizer: RegularizerName) -> Self {
        let objective = config.objectives.of(loss);
        let init = |config: RegularizerConfig| config.init();
        let regularizer = match regularizer {
            RegularizerName::None => None,
            RegularizerName::SpreadOut => {
                let spread_out = &config.regularizer_settings.spread_out;
                Some(Beside::Pairs(spread_out.init()))
            }
            RegularizerName::Svmax => penalty(config, loss, regularizer)
                .map(init)
                .map(Beside::Rows),
            RegularizerName::Variance | RegularizerName::VarianceCovariance => {
                let penalty = penalty(config, loss, regularizer);
                penalty.map(init).map(Beside::ScaledRows)
            }
        };
        Self {
            ranking: objective.loss.init(),
            tuples: objective.tuples,
            regularizer,
        }
    }

    /// Whether every hyper-parameter of both is in its range.
    pub fn check(
        config: &RunConfig,
        loss: LossName,
        regularizer: RegularizerName,
    ) -> Result<(), HyperParameterError> {
        config.objectives.of(loss).loss.check()?;
        match penalty(config, loss, regularizer) {
            Some(penalty) => penalty.check(),
            None => config.regularizer_settings.spread_out.check(),
        }
    }

    /// The names of the parts that a loss has.
    pub fn term_names(&self) -> &'static [&'static str] {
        match self.regularizer {
            None => &["ranking"],
            Some(_) => &["ranking", "penalty"],
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
                let terms = self
                    .ranking
                    .forward_tuples_terms(embeddings.clone(), &pairs);
                terms.total
            }
        };
        let penalty = match &self.regularizer {
            None => None,
            Some(Beside::Rows(regularizer)) => Some(regularizer.forward(embeddings)),
            Some(Beside::ScaledRows(regularizer)) => {
                let [_, dimensions] = embeddings.dims();
                let scaled = unit_rows(embeddings) * (dimensions as f64).sqrt();
                Some(regularizer.forward(scaled))
            }
            Some(Beside::Pairs(spread_out)) => {
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

/// The penalty of single rows of this name.
fn penalty(
    config: &RunConfig,
    loss: LossName,
    regularizer: RegularizerName,
) -> Option<RegularizerConfig> {
    let settings = &config.regularizer_settings;
    match regularizer {
        RegularizerName::None | RegularizerName::SpreadOut => None,
        RegularizerName::Svmax => {
            let weight = config.objectives.of(loss).svmax_weight * settings.svmax.weight;
            let svmax = settings.svmax.clone().with_weight(weight);
            Some(RegularizerConfig::SvMax(svmax))
        }
        RegularizerName::Variance => Some(RegularizerConfig::Variance(settings.variance.clone())),
        RegularizerName::VarianceCovariance => {
            let both = settings.variance_covariance.clone();
            Some(RegularizerConfig::VarianceCovariance(both))
        }
    }
}

/// The classes of a batch on a device, off autodiff.
pub fn label_tensor(labels: &[i64], device: &Device) -> Tensor<1, Int> {
    let data = TensorData::new(labels.to_vec(), [labels.len()]);
    Tensor::from_data(data, &device.clone().without_autodiff())
}
