//! Embeddings of two dimensions over training, as in SVMax's figure of the unit circle.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use anyhow::Result;
use burn::module::Module;
use burn::tensor::Device;
use fullrank_study::Training;
use fullrank_study::configuration::key;
use fullrank_study::data::Data;
use fullrank_train::session::{Display, Stop};
use serde::{Deserialize, Serialize};

use crate::cell::Cell;
use crate::config::{LossName, RegularizerName, RunConfig};
use crate::data::spaced_classes;
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
            train: spaced_classes(&data.train, self.classes),
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

        let (mut snapshots, mut stopped) = (Vec::new(), false);
        let model = training.model(&device.clone().autodiff());
        training.steps(model, last, |step, model, _| {
            if self.steps.contains(&step) {
                snapshots.push((step, snapshot(model)?));
            }
            stopped = stop.requested();
            Ok(match stopped {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            })
        })?;
        if stopped {
            return Ok(None);
        }
        Ok(Some(Trace {
            regularizer,
            classes: data.train.classes().to_vec(),
            labels: data.train.labels().to_vec(),
            snapshots,
        }))
    }
}
