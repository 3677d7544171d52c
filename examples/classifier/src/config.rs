//! The configuration of a run: defaults, JSON in, JSON out.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Result, ensure};
use clap::ValueEnum;
use fullrank::{RegularizerConfig, SvMaxConfig, VarianceCovarianceConfig};
use fullrank_study::configuration::{self, at_least, distinct, key, positive};
use fullrank_study::data::{Data, DataConfig, DataName};
use fullrank_train::optimizer::OptimizerConfig;
use fullrank_vision::encoder::EncoderConfig;
use serde::{Deserialize, Serialize};

/// Everything that decides what a run computes, but for the device.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RunConfig {
    /// The images.
    pub data: DataConfig,
    /// Train on the first `n` images of each class, or all if there are fewer: one training for each.
    pub per_class: Vec<usize>,
    /// Measure on the last `n` training images of each class, which are then not trained on, in place
    /// of the test images.
    pub validation: Option<usize>,
    /// What to train, in this order.
    pub methods: Vec<Method>,
    /// One training of every method for each; the table shows mean and spread.
    pub seeds: Vec<u64>,
    /// Parts of the training, after each of which it is measured and can be continued.
    pub epochs: usize,
    /// Batches in an epoch: a training has as many steps on few images as on many.
    pub steps_per_epoch: usize,
    /// Images of each class in a batch, which has all classes.
    pub batch_per_class: usize,
    /// The network below the classifying layer; its output is the penultimate layer.
    pub encoder: EncoderConfig,
    /// The learning rate of AdamW after a warm-up over the first tenth of the steps; from there it
    /// falls as a cosine.
    pub learning_rate: f64,
    /// What each method adds.
    pub weights: Weights,
    /// The loss and its terms are read at the first training step of an epoch and at every N-th after it; on a GPU, 10 or
    /// more lets it work without waiting. Default: `1`.
    pub metrics_every: usize,
    /// Compute the live singular values at every `n`-th training step.
    pub spectrum_every: usize,
}

/// What each method adds to the cross-entropy, or to the step. The defaults were chosen on training images
/// set apart, as the README says.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Weights {
    /// The penalty of [`Method::Svmax`].
    pub svmax: SvMaxConfig,
    /// The penalty of [`Method::VarianceCovariance`].
    pub variance_covariance: VarianceCovarianceConfig,
    /// The decay of [`Method::WeightDecay`], of all weights, decoupled from the gradient.
    pub weight_decay: f32,
}

/// What is added to the cross-entropy.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, ValueEnum, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// Nothing
    None,
    /// The mean singular value of the penultimate layer is maximized (SVMax)
    Svmax,
    /// Variance and covariance of the penultimate layer (VICReg's terms for one view)
    VarianceCovariance,
    /// The weights decay, and nothing is added to the loss
    WeightDecay,
}

impl Method {
    /// The name of the method in tables and charts.
    pub fn title(self) -> &'static str {
        match self {
            Self::None => "no regularizer",
            Self::Svmax => "SVMax",
            Self::VarianceCovariance => "variance + covariance",
            Self::WeightDecay => "weight decay",
        }
    }
}

impl Default for RunConfig {
    fn default() -> Self {
        Self {
            data: DataConfig::new(DataName::FashionMnistMini),
            per_class: vec![100],
            validation: None,
            methods: Method::value_variants().to_vec(),
            seeds: vec![1, 2, 3],
            epochs: 8,
            steps_per_epoch: 50,
            batch_per_class: 12,
            encoder: EncoderConfig::SmallCnn { width: 16 },
            learning_rate: 3e-3,
            weights: Weights {
                svmax: SvMaxConfig::paper().with_weight(0.1),
                variance_covariance: VarianceCovarianceConfig::new()
                    .with_variance_weight(1.0)
                    .with_covariance_weight(0.08),
                weight_decay: 3.0,
            },
            metrics_every: 1,
            spectrum_every: 10,
        }
    }
}

impl RunConfig {
    /// The defaults with a partial JSON document laid over them.
    pub fn from_json(text: &str) -> Result<Self> {
        Ok(configuration::laid_over(
            &Self::default(),
            configuration::parse(text)?,
        )?)
    }

    /// [`from_json`](Self::from_json) of a file.
    pub fn load(path: &Path) -> Result<Self> {
        configuration::read(path, Self::from_json)
    }

    /// The regularizer at the penultimate layer.
    pub fn regularizer(&self, method: Method) -> Option<RegularizerConfig> {
        match method {
            Method::None | Method::WeightDecay => None,
            Method::Svmax => Some(RegularizerConfig::SvMax(self.weights.svmax.clone())),
            Method::VarianceCovariance => {
                let config = self.weights.variance_covariance.clone();
                Some(RegularizerConfig::VarianceCovariance(config))
            }
        }
    }

    /// AdamW, without weight decay but for [`Method::WeightDecay`].
    pub fn optimizer_of(&self, method: Method) -> OptimizerConfig {
        let decay = match method {
            Method::WeightDecay => self.weights.weight_decay,
            _ => 0.0,
        };
        let mut optimizer = OptimizerConfig::adamw();
        if let OptimizerConfig::AdamW { weight_decay, .. } = &mut optimizer {
            *weight_decay = decay;
        }
        optimizer
    }

    /// The images to train and to measure on: with a [validation](Self::validation) the latter are
    /// training images.
    pub fn measured_on(&self, data: Data) -> Result<Data> {
        let Some(count) = self.validation else {
            return Ok(data);
        };
        let labels = data.train.labels();
        let mut rest = data.train.class_counts();
        let (mut train, mut held_out) = (Vec::new(), Vec::new());
        for (index, &label) in labels.iter().enumerate() {
            match rest[label] > count {
                true => train.push(index),
                false => held_out.push(index),
            }
            rest[label] -= 1;
        }
        ensure!(
            !train.is_empty(),
            "validation leaves no images to train on: no class has more than {count}"
        );
        Ok(Data {
            train: Arc::new(data.train.subset(&train)),
            test: Arc::new(data.train.subset(&held_out)),
        })
    }

    /// Checks what would otherwise fail in the middle of a run.
    pub fn validate(&self) -> Result<()> {
        self.data.validate()?;
        distinct("methods", &self.methods, |&method| key(method))?;
        distinct("per_class", &self.per_class, usize::to_string)?;
        distinct("seeds", &self.seeds, u64::to_string)?;
        at_least(
            1,
            &[
                ("epochs", self.epochs),
                ("steps_per_epoch", self.steps_per_epoch),
                ("batch_per_class", self.batch_per_class),
                ("metrics_every", self.metrics_every),
                ("spectrum_every", self.spectrum_every),
                ("validation", self.validation.unwrap_or(1)),
            ],
        )?;
        for &per_class in &self.per_class {
            at_least(1, &[("per_class", per_class)])?;
        }
        if let EncoderConfig::SmallCnn { width } = self.encoder {
            at_least(1, &[("encoder.width", width)])?;
        }
        positive(&[("learning_rate", self.learning_rate)])
    }
}
