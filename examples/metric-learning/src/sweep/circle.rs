//! Embeddings of two dimensions over training, as in SVMax's figure of the unit circle.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::Device;
use burn::train::TrainStep;
use fullrank_study::configuration::key;
use fullrank_study::{Study, Training};
use fullrank_train::session::{Display, Stop};
use serde::{Deserialize, Serialize};

use crate::cell::Cell;
use crate::config::{LossName, RegularizerName, RunConfig};
use crate::data::Data;
use crate::evaluation::embeddings;
use crate::model::MetricLearning;

/// The settings of the circles.
#[derive(Clone, Debug)]
pub struct CircleConfig {
    /// How many of the training classes are trained on and drawn.
    pub classes: usize,
    /// The steps after which the images are embedded, by rising number.
    pub steps: Vec<usize>,
    /// The learning rate of the constant part.
    pub learning_rate: f64,
    /// The seed.
    pub seed: u64,
}

impl Default for CircleConfig {
    fn default() -> Self {
        Self {
            classes: 7,
            steps: vec![0, 10, 50, 100, 200, 400],
            learning_rate: 0.1,
            seed: 1,
        }
    }
}

/// The embeddings of the images of a few classes over one training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trace {
    /// What stands beside the contrastive loss.
    pub regularizer: RegularizerName,
    /// The names of the classes.
    pub classes: Vec<String>,
    /// The class of each image.
    pub labels: Vec<usize>,
    /// After each step, the embedding of each image.
    pub snapshots: Vec<(usize, Vec<[f64; 2]>)>,
}

impl CircleConfig {
    /// The file of each regularizer's circles in the folder of a sweep.
    pub(super) fn files(&self, directory: &Path) -> [(RegularizerName, PathBuf); 2] {
        [RegularizerName::None, RegularizerName::Svmax].map(|regularizer| {
            let name = format!("circle-{}.json", key(regularizer));
            (regularizer, directory.join(name))
        })
    }

    /// Trains on the few classes with an embedding of two dimensions; `None` if the stop came first.
    pub(super) fn trace(
        &self,
        common: &RunConfig,
        regularizer: RegularizerName,
        data: &Data,
        device: &Device,
        stop: &Stop,
    ) -> Result<Option<Trace>> {
        let last = self.steps.iter().copied().max().unwrap_or(0);
        let data = Data {
            train: data.spaced_training_classes(self.classes),
            test: data.test.clone(),
        };
        let mut config = common.clone();
        config.dimensions = 2;
        config.iterations = last;
        config.validate_every = last;
        let contrastive = config.objectives.of_mut(LossName::Contrastive);
        contrastive.classes_per_batch = data.train.classes().len();
        let training = Training {
            study: &config,
            case: Cell {
                loss: LossName::Contrastive,
                regularizer,
                learning_rate: self.learning_rate,
            },
            seed: self.seed,
            data: &data,
            device,
            directory: PathBuf::new(),
            display: Display::Compact,
            stop,
        };
        let snapshot = |model: &MetricLearning| -> Result<Vec<[f64; 2]>> {
            let rows = embeddings(&model.valid().embedder, &data.train, device);
            let values: Vec<f64> = rows.try_into_vec_as()?;
            Ok(values.as_chunks::<2>().0.to_vec())
        };

        let trained_on = device.clone().autodiff();
        let mut model = training.model(&trained_on);
        let mut optimizer = config.optimizer.init();
        let mut rate = config.rate(training.case, last);
        let (loader, ..) = config.loaders(&training, 1);
        let loader = loader.to_device(&trained_on);
        let mut batches = loader.iter();
        let mut snapshots = Vec::new();
        for step in 0..=last {
            if self.steps.contains(&step) {
                snapshots.push((step, snapshot(&model)?));
            }
            if stop.requested() {
                return Ok(None);
            }
            if step < last {
                let batch = batches.next().context("the loader ended early")??;
                let gradients: GradientsParams = TrainStep::step(&model, batch).grads;
                model = optimizer.step(rate.step(), model, gradients);
            }
        }
        Ok(Some(Trace {
            regularizer,
            classes: data.train.classes().to_vec(),
            labels: data.train.labels().to_vec(),
            snapshots,
        }))
    }
}
