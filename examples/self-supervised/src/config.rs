//! The configuration of a run: defaults, JSON in, JSON out.

use std::path::Path;

use anyhow::{Context, Result};
use clap::ValueEnum;
use fullrank::{
    BarlowTwinsLossConfig, HyperParameterError, SvMaxConfig, VarianceConfig, VicRegLossConfig,
};
use fullrank_study::Workers;
use fullrank_study::configuration::{self, at_least, distinct, key, positive, within};
use fullrank_study::data::{DataConfig, DataName};
use fullrank_train::linear_probe::LinearProbeConfig;
use fullrank_train::optimizer::OptimizerConfig;
use fullrank_vision::encoder::EncoderConfig;
use fullrank_vision::views::ViewsConfig;
use serde::{Deserialize, Serialize};

/// Everything that decides what a run computes, but for the device.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RunConfig {
    /// The images.
    pub data: DataConfig,
    /// What to train, in this order.
    pub methods: Vec<Method>,
    /// One training of every method for each; the table shows mean and spread.
    pub seeds: Vec<u64>,
    /// Passes over the training images.
    pub epochs: usize,
    /// Images in a batch, each in two views.
    pub batch_size: usize,
    /// How a batch that is too large for one backward pass is worked through. Default: none, in one pass.
    pub accumulation: Option<Accumulation>,
    /// Stop a training whose validation loss has not improved for this many epochs.
    pub patience: Option<usize>,
    /// The network that is kept.
    pub encoder: EncoderConfig,
    /// Output lengths of the expander's layers, which are discarded after the training. A method
    /// may end in another length.
    pub expander: Vec<usize>,
    /// The augmentations.
    pub views: ViewsConfig,
    /// The optimizer.
    pub optimizer: OptimizerConfig,
    /// The learning rate.
    pub schedule: ScheduleConfig,
    /// The loss of each method.
    pub objectives: ObjectivesConfig,
    /// The measurements on the frozen encoder.
    pub evaluation: EvaluationConfig,
    /// The loss and its terms are read at the first training step of an epoch and at every N-th after it; on a GPU, 10 or
    /// more lets it work without waiting. Default: `1`.
    pub metrics_every: usize,
    /// Compute the live singular values at every `n`-th training step.
    pub spectrum_every: usize,
    /// The processes that share the trainings; of a process, not of the configuration.
    #[serde(skip)]
    pub workers: Option<Workers>,
}

/// What keeps the embedding from collapsing, or does not.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, ValueEnum, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// Nothing: the two embeddings of an image are pulled together, and that is all
    None,
    /// The mean singular value of the batch is maximized (SVMax)
    Svmax,
    /// Every dimension keeps its standard deviation (VICReg without covariance)
    Variance,
    /// Variance and covariance (VICReg)
    Vicreg,
    /// The cross-correlation of the two views is pulled to the identity (Barlow Twins)
    BarlowTwins,
}

impl Method {
    /// The name of the method in tables and plots.
    pub fn title(self) -> &'static str {
        match self {
            Self::None => "no regularizer",
            Self::Svmax => "SVMax",
            Self::Variance => "variance only",
            Self::Vicreg => "VICReg",
            Self::BarlowTwins => "Barlow Twins",
        }
    }
}

/// A batch in chunks of at most so many images, each normalized by its own statistics; a batch that is not longer goes
/// through in one pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Accumulation {
    /// With the gradient of the loss of the whole batch: [`LargeBatch`](fullrank_train::large_batch::LargeBatch).
    Exact(usize),
    /// With the mean of the gradients of the chunks' own losses. Of batch statistics, such as all that keeps from
    /// collapsing, that is another loss: here for the comparison alone.
    Naive(usize),
}

impl Accumulation {
    /// The largest number of images in a chunk.
    pub fn chunk(self) -> usize {
        match self {
            Self::Exact(chunk) | Self::Naive(chunk) => chunk,
        }
    }
}

/// Linear warm-up from zero to the learning rate, then a cosine, step by step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScheduleConfig {
    /// The learning rate at the end of the warm-up.
    pub learning_rate: f64,
    /// The length of the warm-up, as a share of the training.
    pub warmup: f64,
    /// The learning rate at the end, as a share of the largest.
    pub final_fraction: f64,
}

/// The losses; `invariance_weight` times the distance of the two embeddings of an image, plus what
/// keeps them from collapsing.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct ObjectivesConfig {
    /// The loss of [`Method::None`].
    pub none: InvarianceObjectiveConfig,
    /// The loss of [`Method::Svmax`].
    pub svmax: SvMaxObjectiveConfig,
    /// The loss of [`Method::Variance`].
    pub variance: VarianceObjectiveConfig,
    /// The loss of [`Method::Vicreg`].
    pub vicreg: VicRegLossConfig,
    /// The loss of [`Method::BarlowTwins`].
    pub barlow_twins: BarlowTwinsLossConfig,
}

/// `invariance_weight * mean_rows |a - b|^2` with unit rows, or `invariance_weight * mean((a - b)^2)`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct InvarianceObjectiveConfig {
    /// Weight of the distance.
    pub invariance_weight: f64,
    /// Whether the distance is between unit rows, as in the loss of SVMax. Without that, as in
    /// VICReg's, the embedding collapses by shrinking to zero, which only its scale shows: no
    /// measure of rank or spectrum depends on it.
    pub unit_rows: bool,
}

/// `invariance_weight * mean_rows |a - b|^2 + (penalty(a) + penalty(b))` with unit rows.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SvMaxObjectiveConfig {
    /// Weight of the squared distance of the unit rows, averaged over the batch.
    pub invariance_weight: f64,
    /// The penalty on each view.
    pub penalty: SvMaxConfig,
    /// Length of the embeddings, in place of the last one of `expander`: SVMax is meant for
    /// batches of more rows than dimensions.
    pub dimensions: usize,
}

/// `invariance_weight * mean((a - b)^2) + (v(a) + v(b)) / 2`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct VarianceObjectiveConfig {
    /// Weight of the mean squared difference.
    pub invariance_weight: f64,
    /// The variance term and its weight.
    pub variance: VarianceConfig,
}

/// The measurements on the frozen encoder.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EvaluationConfig {
    /// Neighbours that vote in the k-NN classification.
    pub neighbours: usize,
    /// The linear probe.
    pub probe: LinearProbeConfig,
}

impl ObjectivesConfig {
    /// Whether every hyper-parameter of this method's loss is in its range.
    pub fn check(&self, method: Method) -> Result<(), HyperParameterError> {
        match method {
            Method::None => Ok(()),
            Method::Svmax => self.svmax.penalty.check(),
            Method::Variance => self.variance.variance.check(),
            Method::Vicreg => self.vicreg.check(),
            Method::BarlowTwins => self.barlow_twins.check(),
        }
    }
}

impl RunConfig {
    /// The default configuration for this set of images.
    pub fn defaults(data: DataName) -> Self {
        let colour = !matches!(data, DataName::FashionMnist | DataName::FashionMnistMini);
        let views = match colour {
            true => ViewsConfig::colour_images(),
            false => ViewsConfig::new(),
        };
        Self {
            data: DataConfig::new(data),
            methods: vec![
                Method::None,
                Method::Svmax,
                Method::Variance,
                Method::Vicreg,
            ],
            seeds: vec![1],
            epochs: 12,
            batch_size: 128,
            accumulation: None,
            patience: None,
            encoder: EncoderConfig::small_cnn(),
            expander: vec![512, 512, 512],
            views,
            optimizer: OptimizerConfig::adamw(),
            schedule: ScheduleConfig {
                learning_rate: 3e-3,
                warmup: 0.1,
                final_fraction: 0.001,
            },
            objectives: ObjectivesConfig {
                none: InvarianceObjectiveConfig {
                    invariance_weight: 1.0,
                    unit_rows: true,
                },
                svmax: SvMaxObjectiveConfig {
                    invariance_weight: 1.0,
                    penalty: SvMaxConfig::paper(),
                    dimensions: 128,
                },
                variance: VarianceObjectiveConfig {
                    invariance_weight: 25.0,
                    variance: VarianceConfig::new().with_weight(25.0),
                },
                vicreg: VicRegLossConfig::new(),
                barlow_twins: BarlowTwinsLossConfig::new(),
            },
            evaluation: EvaluationConfig {
                neighbours: 20,
                probe: LinearProbeConfig::new(),
            },
            metrics_every: 1,
            spectrum_every: 1,
            workers: None,
        }
    }

    /// The defaults with a partial JSON document laid over them. `data`, if given, is the set of
    /// images whatever the document says.
    pub fn from_json(text: &str, data: Option<DataName>) -> Result<Self> {
        let mut given = configuration::parse(text)?;
        let named = match given.pointer("/data/name") {
            Some(name) => DataName::deserialize(name).context("in data.name")?,
            None => DataName::FashionMnistMini,
        };
        if let (Some(data), Some(name)) = (data, given.pointer_mut("/data/name")) {
            *name = serde_json::to_value(data)?;
        }
        let defaults = Self::defaults(data.unwrap_or(named));
        Ok(configuration::laid_over(&defaults, given)?)
    }

    /// [`from_json`](Self::from_json) of a file.
    pub fn load(path: &Path, data: Option<DataName>) -> Result<Self> {
        configuration::read(path, |text| Self::from_json(text, data))
    }

    /// Checks what would otherwise fail in the middle of a run.
    pub fn validate(&self) -> Result<()> {
        distinct("methods", &self.methods, |&method| key(method))?;
        distinct("seeds", &self.seeds, u64::to_string)?;
        let EvaluationConfig { neighbours, probe } = &self.evaluation;
        let chunk = self
            .accumulation
            .map_or(self.batch_size, Accumulation::chunk);
        // One image has no batch statistics.
        at_least(
            2,
            &[
                ("batch_size", self.batch_size),
                ("the chunk in accumulation", chunk),
            ],
        )?;
        at_least(
            1,
            &[
                ("epochs", self.epochs),
                ("patience", self.patience.unwrap_or(1)),
                ("metrics_every", self.metrics_every),
                ("spectrum_every", self.spectrum_every),
                ("the number of lengths in expander", self.expander.len()),
                (
                    "objectives.svmax.dimensions",
                    self.objectives.svmax.dimensions,
                ),
                ("evaluation.neighbours", *neighbours),
                ("evaluation.probe.steps", probe.steps),
            ],
        )?;
        for &length in &self.expander {
            at_least(1, &[("a length in expander", length)])?;
        }
        if let EncoderConfig::SmallCnn { width } = self.encoder {
            at_least(1, &[("encoder.width", width)])?;
        }
        let schedule = &self.schedule;
        positive(&[
            ("schedule.learning_rate", schedule.learning_rate),
            ("evaluation.probe.tolerance", probe.tolerance),
        ])?;
        within("schedule.warmup", schedule.warmup, 0.0..1.0, "[0, 1)")?;
        let fraction = schedule.final_fraction;
        within("schedule.final_fraction", fraction, 0.0..=1.0, "[0, 1]")?;
        self.data.validate()
    }
}
