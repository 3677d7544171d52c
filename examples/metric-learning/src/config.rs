//! The configuration of a run: what is trained, on what, and for how long.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use burn::config::Config;
use clap::ValueEnum;
use fullrank::{SvMaxConfig, VarianceConfig, VarianceCovarianceConfig};
use fullrank_retrieval::{
    AngularLossConfig, ContrastiveLossConfig, LiftedStructureLossConfig, MultiSimilarityLossConfig,
    NPairLossConfig, RankingLossConfig, SpreadOutConfig, TripletLossConfig,
};
use fullrank_study::configuration::{self, at_least, distinct, key, positive, within};
use fullrank_train::optimizer::OptimizerConfig;
use fullrank_vision::encoder::EncoderConfig;
use fullrank_vision::views::ViewsConfig;
use serde::{Deserialize, Serialize};

/// Everything that decides what a run computes, but for the device.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RunConfig {
    /// The images.
    pub data: DataConfig,
    /// The ranking losses to train with, in this order.
    pub losses: Vec<LossName>,
    /// What each loss is trained with beside it.
    pub regularizers: Vec<RegularizerName>,
    /// The learning rates that each pair of both is trained at.
    pub learning_rates: Vec<f64>,
    /// One training of everything for each; the table shows mean and spread.
    pub seeds: Vec<u64>,
    /// Steps of the optimizer.
    pub iterations: usize,
    /// Measure the test images and keep a checkpoint after every `n`-th step; divides `iterations`.
    pub validate_every: usize,
    /// The network whose features become the embedding.
    pub encoder: EncoderConfig,
    /// Length of the embedding, the output of one linear layer.
    pub dimensions: usize,
    /// The augmentation of the training images.
    pub views: ViewsConfig,
    /// The optimizer.
    pub optimizer: OptimizerConfig,
    /// The learning rate over the steps.
    pub schedule: ScheduleConfig,
    /// The settings of each loss.
    pub objectives: ObjectivesConfig,
    /// The settings of each regularizer.
    pub regularizer_settings: RegularizersConfig,
    /// The measurements.
    pub evaluation: EvaluationConfig,
    /// The loss and its terms are read at the first training step of an epoch and at every N-th after it; on a GPU, 10 or
    /// more lets it work without waiting. Default: `1`.
    pub metrics_every: usize,
    /// Compute the live singular values at every `n`-th training step.
    pub spectrum_every: usize,
}

/// The images of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DataConfig {
    /// Which set.
    pub name: DataName,
    /// Where its files are.
    #[serde(default)]
    pub dir: Option<PathBuf>,
    /// Channels, height and width that photographs are brought to; the emoji have their own.
    #[serde(default = "image_shape")]
    pub image_shape: [usize; 3],
    /// Train on the first `n` classes only.
    #[serde(default)]
    pub train_classes: Option<usize>,
    /// Test on the first `n` classes only.
    #[serde(default)]
    pub test_classes: Option<usize>,
}

fn image_shape() -> [usize; 3] {
    [3, 64, 64]
}

/// The image sets that a run can use; the test classes are none of the training classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DataName {
    /// 1,686 + 1,686 drawings of 281 + 281 emoji that ship with this repository
    EmojiMini,
    /// A larger emoji set, as the example prepare_emoji writes it (needs --data-dir)
    Emoji,
    /// CUB-200-2011 (needs --data-dir)
    Cub200,
    /// Cars196, Kaggle's folders by class (needs --data-dir)
    Cars196,
    /// Stanford Online Products (needs --data-dir)
    StanfordOnlineProducts,
    /// Any images, as DATA_DIR/CLASS/* or DATA_DIR/{train,test}/CLASS/*
    Folder,
    /// Any images, as a table of paths and labels: --data-dir names the file
    Manifest,
}

/// The ranking losses.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, ValueEnum, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum LossName {
    /// Positive pairs together, negative pairs a margin apart
    Contrastive,
    /// A positive nearer than a negative by a margin, the hardest of each anchor
    Triplet,
    /// One pair of each class against the positives of all others
    NPair,
    /// N-pair by the angle at the negative
    Angular,
    /// Each positive pair against all negatives of both images
    LiftedStructure,
    /// Weighted pairs
    MultiSimilarity,
}

impl LossName {
    /// The name of the loss in tables and plots.
    pub fn title(self) -> &'static str {
        match self {
            Self::Contrastive => "contrastive",
            Self::Triplet => "triplet",
            Self::NPair => "N-pair",
            Self::Angular => "angular",
            Self::LiftedStructure => "lifted structure",
            Self::MultiSimilarity => "multi-similarity",
        }
    }
}

/// What stands beside a ranking loss.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, ValueEnum, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum RegularizerName {
    /// Nothing
    None,
    /// The mean singular value of the batch is maximized (SVMax)
    Svmax,
    /// Every dimension keeps its standard deviation (VICReg without covariance)
    Variance,
    /// Variance and covariance (VICReg's two terms of one embedding)
    VarianceCovariance,
    /// Pairs of two classes point in independent directions (the baseline of SVMax's paper)
    SpreadOut,
}

impl RegularizerName {
    /// The name of the regularizer in tables and plots.
    pub fn title(self) -> &'static str {
        match self {
            Self::None => "no regularizer",
            Self::Svmax => "SVMax",
            Self::Variance => "variance",
            Self::VarianceCovariance => "variance + covariance",
            Self::SpreadOut => "spread-out",
        }
    }
}

/// Constant, then a polynomial decay to the end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScheduleConfig {
    /// The share of the training with the full learning rate.
    pub constant: f64,
    /// The learning rate at the end.
    pub end: f64,
    /// The power of the decay.
    pub power: f64,
}

/// The settings of each loss.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ObjectivesConfig(BTreeMap<LossName, ObjectiveConfig>);

impl ObjectivesConfig {
    /// The settings of a loss.
    pub fn of(&self, loss: LossName) -> &ObjectiveConfig {
        &self.0[&loss]
    }

    /// The settings of a loss, to change them.
    pub fn of_mut(&mut self, loss: LossName) -> &mut ObjectiveConfig {
        self.0.get_mut(&loss).expect("the defaults have every loss")
    }
}

/// A loss, its batches, and the weight of SVMax beside it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ObjectiveConfig {
    /// The loss.
    pub loss: RankingLossConfig,
    /// Which pairs or triplets of a batch it gets.
    pub tuples: TupleChoice,
    /// Classes in a batch.
    pub classes_per_batch: usize,
    /// Images of each class in a batch.
    pub images_per_class: usize,
    /// The weight lambda of SVMax beside this loss, in SVMax's paper: 1 beside contrastive and N-pair, 0.1
    /// beside triplet, 2 beside angular.
    pub svmax_weight: f64,
}

impl ObjectiveConfig {
    /// Images in a batch.
    pub fn batch_size(&self) -> usize {
        self.classes_per_batch * self.images_per_class
    }
}

/// Which pairs or triplets of a batch a loss gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TupleChoice {
    /// Those that the loss chooses by the labels.
    Labels,
    /// Each image in one positive and one negative pair, as in the contrastive batches of SVMax's paper.
    DisjointPairs,
}

/// The settings of each regularizer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct RegularizersConfig {
    /// Of [`RegularizerName::Svmax`]; its weight is multiplied by the `svmax_weight` of the loss.
    pub svmax: SvMaxConfig,
    /// Of [`RegularizerName::Variance`], which sees the unit rows times the root of their length.
    pub variance: VarianceConfig,
    /// Of [`RegularizerName::VarianceCovariance`], which sees the unit rows times the root of their
    /// length.
    pub variance_covariance: VarianceCovarianceConfig,
    /// Of [`RegularizerName::SpreadOut`].
    pub spread_out: SpreadOutConfig,
}

/// The measurements on the test images.
#[derive(Config, Debug, PartialEq)]
pub struct EvaluationConfig {
    /// The K of Recall@K; 1 and 8 are always among them.
    #[config(default = "vec![1, 2, 4, 8]")]
    pub recall_at: Vec<usize>,
    /// Whether NMI is computed, which takes a k-means with as many clusters as classes.
    #[config(default = true)]
    pub nmi: bool,
}

impl RunConfig {
    /// The default configuration for this set of images.
    pub fn defaults(data: DataName) -> Self {
        let objective = |loss, [classes_per_batch, images_per_class]: [usize; 2], svmax_weight| {
            ObjectiveConfig {
                loss,
                tuples: TupleChoice::Labels,
                classes_per_batch,
                images_per_class,
                svmax_weight,
            }
        };
        let contrastive = RankingLossConfig::Contrastive(ContrastiveLossConfig::new());
        let contrastive = ObjectiveConfig {
            tuples: TupleChoice::DisjointPairs,
            ..objective(contrastive, [36, 4], 1.0)
        };
        let triplet = RankingLossConfig::Triplet(TripletLossConfig::new());
        let n_pair = RankingLossConfig::NPair(NPairLossConfig::new());
        let angular = RankingLossConfig::Angular(AngularLossConfig::new());
        let lifted = RankingLossConfig::LiftedStructure(LiftedStructureLossConfig::new());
        let multi = RankingLossConfig::MultiSimilarity(MultiSimilarityLossConfig::new());
        let objectives = [
            (LossName::Contrastive, contrastive),
            (LossName::Triplet, objective(triplet, [24, 6], 0.1)),
            (LossName::NPair, objective(n_pair, [72, 2], 1.0)),
            (LossName::Angular, objective(angular, [72, 2], 2.0)),
            (LossName::LiftedStructure, objective(lifted, [36, 4], 1.0)),
            (LossName::MultiSimilarity, objective(multi, [36, 4], 1.0)),
        ];
        Self {
            data: DataConfig {
                name: data,
                dir: None,
                image_shape: image_shape(),
                train_classes: None,
                test_classes: None,
            },
            losses: vec![LossName::Contrastive],
            regularizers: vec![RegularizerName::None, RegularizerName::Svmax],
            learning_rates: vec![0.01, 1.0],
            seeds: vec![1],
            iterations: 600,
            validate_every: 60,
            encoder: EncoderConfig::small_cnn(),
            dimensions: 128,
            views: ViewsConfig::new()
                .with_min_area(0.6)
                .with_brightness(0.3)
                .with_contrast(0.3)
                .with_saturation(0.3)
                .with_hue(0.05),
            optimizer: OptimizerConfig::sgd(),
            schedule: ScheduleConfig {
                constant: 0.5,
                end: 1e-7,
                power: 1.0,
            },
            objectives: ObjectivesConfig(objectives.into()),
            regularizer_settings: RegularizersConfig {
                svmax: SvMaxConfig::paper(),
                variance: VarianceConfig::new(),
                variance_covariance: VarianceCovarianceConfig::new().with_variance_weight(1.0),
                spread_out: SpreadOutConfig::new(),
            },
            evaluation: EvaluationConfig::new(),
            metrics_every: 1,
            spectrum_every: 1,
        }
    }

    /// The defaults of a set of images with a partial JSON document laid over them. `data`, if given, is
    /// the set whatever the document says.
    pub fn from_json(
        text: &str,
        data: Option<DataName>,
        defaults: fn(DataName) -> Self,
    ) -> Result<Self> {
        let given = configuration::parse(text)?;
        let named = match given.pointer("/data/name") {
            Some(name) => DataName::deserialize(name).context("in data.name")?,
            None => DataName::EmojiMini,
        };
        let defaults = defaults(data.unwrap_or(named));
        let mut config = configuration::laid_over(&defaults, given)?;
        if let Some(data) = data {
            config.data.name = data;
        }
        Ok(config)
    }

    /// [`from_json`](Self::from_json) of a file.
    pub fn load(
        path: &Path,
        data: Option<DataName>,
        defaults: fn(DataName) -> Self,
    ) -> Result<Self> {
        configuration::read(path, |text| Self::from_json(text, data, defaults))
    }

    /// Checks what would otherwise fail in the middle of a run.
    pub fn validate(&self) -> Result<()> {
        distinct("losses", &self.losses, |&loss| key(loss))?;
        distinct("regularizers", &self.regularizers, |&name| key(name))?;
        distinct("learning_rates", &self.learning_rates, f64::to_string)?;
        distinct("seeds", &self.seeds, u64::to_string)?;
        let schedule = &self.schedule;
        for &rate in &self.learning_rates {
            positive(&[("learning_rates", rate)])?;
            within(
                "schedule.end",
                schedule.end,
                0.0..=rate,
                format!("[0, {rate}]"),
            )?;
        }
        within("schedule.constant", schedule.constant, 0.0..1.0, "[0, 1)")?;
        positive(&[("schedule.power", schedule.power)])?;
        at_least(
            1,
            &[
                ("iterations", self.iterations),
                ("dimensions", self.dimensions),
                ("metrics_every", self.metrics_every),
                ("spectrum_every", self.spectrum_every),
            ],
        )?;
        let every = self.validate_every;
        ensure!(
            every > 0 && self.iterations.is_multiple_of(every),
            "validate_every must divide iterations, got {every} and {}",
            self.iterations
        );
        for &loss in &self.losses {
            self.validate_objective(loss)?;
        }
        if let EncoderConfig::SmallCnn { width, .. } = self.encoder {
            at_least(1, &[("encoder.width", width)])?;
        }
        for &at in &self.evaluation.recall_at {
            at_least(1, &[("a K of evaluation.recall_at", at)])?;
        }
        let [channels, height, width] = self.data.image_shape;
        ensure!(
            matches!(channels, 1 | 3) && height > 0 && width > 0,
            "data.image_shape must be 1 or 3 channels and sides of at least 1, got {:?}",
            self.data.image_shape
        );
        Ok(())
    }

    fn validate_objective(&self, loss: LossName) -> Result<()> {
        let (key, objective) = (key(loss), self.objectives.of(loss));
        let name = objective.loss.name();
        ensure!(
            name == key,
            "objectives.{key}.loss must be {key}, got {name}"
        );
        let (classes, images) = (objective.classes_per_batch, objective.images_per_class);
        ensure!(
            classes > 1 && images > 1,
            "objectives.{key} must have batches of at least 2 classes with 2 images each, got {classes} x {images}"
        );
        let weight = objective.svmax_weight;
        ensure!(
            weight.is_finite(),
            "objectives.{key}.svmax_weight must be finite, got {weight}"
        );
        Ok(())
    }
}
