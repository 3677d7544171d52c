//! One training: a method, a seed and so many images of each class, from its last checkpoint if there
//! is one.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Result;
use burn::module::Module;
use burn::tensor::Device;
use burn::train::Learner;
use burn::train::metric::{AccuracyMetric, LossMetric};
use datasets::ImageSet;
use fullrank_files::FileError;
use fullrank_train::metrics::{
    DeadDimensionsMetric, EffectiveRankMetric, MeanSingularValueMetric, RetrievalMetric, TermMetric,
};
use fullrank_train::schedule::WarmupCosineConfig;
use fullrank_train::session::Stop;
use fullrank_train::session::progress::Shown;
use fullrank_train::session::weights;
use fullrank_train::session::{self, Display, Session};

use crate::batches;
use crate::config::{Method, RunConfig};
use crate::model::Classifier;

/// What to train, on what, and where its files are.
pub struct Training<'a> {
    /// The run.
    pub config: &'a RunConfig,
    /// The method.
    pub method: Method,
    /// The seed of weights and order.
    pub seed: u64,
    /// The images to train on.
    pub train: &'a Arc<ImageSet>,
    /// The images that are measured after each epoch.
    pub test: &'a Arc<ImageSet>,
    /// Where to train.
    pub device: &'a Device,
    /// Where checkpoints, metrics and the classifier are kept.
    pub directory: PathBuf,
    /// How to show it.
    pub display: Display,
    /// Tells the training to stop.
    pub stop: &'a Stop,
}

/// A finished training.
pub type Trained = session::Trained<Classifier>;

/// The file of a trained classifier in the folder of its training.
pub const CLASSIFIER: &str = "classifier.bpk";

impl Training<'_> {
    /// Trains to the end, or as far as the stop lets it: then there is no model yet, and the same
    /// call continues from the last checkpoint. A finished training is read from its files.
    pub fn run(&self) -> Result<Option<Trained>> {
        fs::create_dir_all(&self.directory).map_err(FileError::write(&self.directory))?;
        let config = self.config;
        let file = self.directory.join(CLASSIFIER);
        let session = self.session();
        if file.exists() {
            return Ok(Some(Trained {
                model: weights::load(self.model(self.device), &file)?.valid(),
                rows: session.rows()?,
            }));
        }
        let first = session.first_epoch()?;
        let train = batches::training(config, self.train, self.seed, first, self.device);
        let loaders = (train, batches::measuring(self.test, self.device));

        let model = self.model(&self.device.clone().autodiff());
        let terms = model.term_names();
        let steps = config.epochs * config.steps_per_epoch;
        let rate = WarmupCosineConfig::new(config.learning_rate, steps / 10, steps);
        let optimizer = config.optimizer(self.method).init();
        let learner = Learner::new(model, optimizer, rate.init());

        let every = config.spectrum_every;
        let trained = session.train(learner, loaders, config.steps_per_epoch, |mut training| {
            training = training
                .metrics((
                    LossMetric::new(),
                    AccuracyMetric::new(),
                    MeanSingularValueMetric::new().every(every),
                    EffectiveRankMetric::new().every(every),
                    DeadDimensionsMetric::new().every(every),
                ))
                .metric_valid_numeric(RetrievalMetric::recall_at(1));
            let terms = terms.iter().map(|&name| TermMetric::new(name));
            terms.fold(training, |training, term| training.metrics((term,)))
        })?;
        if let Some(trained) = &trained {
            weights::save(trained.model.clone(), &file)?;
        }
        Ok(trained)
    }

    fn session(&self) -> Session<'_> {
        let shown = [
            ("Loss", "loss"),
            ("Accuracy", "accuracy"),
            ("Mean singular value", "s_mu"),
            ("Effective rank", "rank"),
            ("Dead dimensions", "dead"),
        ];
        Session {
            directory: &self.directory,
            label: format!(
                "{}, {} images, seed {}",
                self.method.title(),
                self.train.len(),
                self.seed
            ),
            epochs: self.config.epochs,
            patience: None,
            display: self.display,
            shown: shown
                .map(|(metric, title)| Shown::new(metric, title))
                .into(),
            stop: self.stop,
        }
    }

    fn model(&self, device: &Device) -> Classifier {
        let shape = (self.train.shape()[0], self.train.classes().len());
        Classifier::new(self.config, self.method, shape, self.seed, device)
    }
}
