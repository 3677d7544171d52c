//! One training: a cell and a seed, from its last checkpoint if there is one.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Result;
use burn::data::dataloader::DataLoader;
use burn::module::Module;
use burn::tensor::Device;
use burn::train::Learner;
use burn::train::metric::LossMetric;
use fullrank_files::FileError;
use fullrank_train::metrics::{
    EffectiveRankMetric, MeanSingularValueMetric, RetrievalMetric, TermMetric,
};
use fullrank_train::schedule::{ConstantPolynomial, ConstantPolynomialConfig};
use fullrank_train::session::Stop;
use fullrank_train::session::history::Row;
use fullrank_train::session::progress::Shown;
use fullrank_train::session::weights;
use fullrank_train::session::{Display, Session, Trained};

use crate::batches::{ImageBatch, TrainingBatches, plain_batches};
use crate::cell::Cell;
use crate::config::RunConfig;
use crate::data::Data;
use crate::model::{Embedder, MetricLearning};
use crate::objective::Objective;

/// What to train, with what, and where its files are.
pub struct Training<'a> {
    /// The run.
    pub config: &'a RunConfig,
    /// The loss, the regularizer and the learning rate.
    pub cell: Cell,
    /// The seed of weights, order and augmentation.
    pub seed: u64,
    /// The images.
    pub data: &'a Data,
    /// Where to train.
    pub device: &'a Device,
    /// Where checkpoints, metrics and the trained network are kept.
    pub directory: PathBuf,
    /// How to show it.
    pub display: Display,
    /// Tells the training to stop.
    pub stop: &'a Stop,
}

/// A finished training.
pub struct TrainedEmbedder {
    /// The network, off autodiff.
    pub embedder: Embedder,
    /// All metrics.
    pub rows: Vec<Row>,
    /// The time that the training took, in seconds.
    pub seconds: f64,
}

impl TrainedEmbedder {
    fn new(trained: Trained<MetricLearning>) -> Self {
        Self {
            seconds: trained.seconds(),
            embedder: trained.model.embedder,
            rows: trained.rows,
        }
    }
}

/// The file of a trained network in the folder of its training.
pub const NETWORK: &str = "encoder.bpk";

/// The network with its initial weights, which depend on the seed and the architecture only.
pub fn untrained(config: &RunConfig, data: &Data, seed: u64, device: &Device) -> Embedder {
    weights::seeded(seed, device, || {
        Embedder::new(config, data.channels(), device)
    })
}

impl Training<'_> {
    /// Trains to the end, or as far as the stop lets it: then there is no network yet, and the same
    /// call continues from the last checkpoint. A finished training is read from its files.
    pub fn run(&self) -> Result<Option<TrainedEmbedder>> {
        fs::create_dir_all(&self.directory).map_err(FileError::write(&self.directory))?;
        let model = self.model(&self.device.clone().autodiff());
        let terms = model.term_names();
        let session = self.session(terms);
        if self.path(NETWORK).exists() {
            let mut model = self.model(self.device);
            model.embedder = weights::load(model.embedder, &self.path(NETWORK))?;
            return Ok(Some(TrainedEmbedder::new(Trained {
                model: model.valid(),
                rows: session.rows()?,
            })));
        }
        let train = self.batches(session.first_epoch()?);
        let batch_size = self.config.objectives.of(self.cell.loss).batch_size();
        let valid = plain_batches(self.data.test.clone(), batch_size);
        let learner = Learner::new(model, self.config.optimizer.init(), self.rate());

        let every = self.config.spectrum_every;
        let steps = self.config.validate_every;
        let trained = session.train(learner, (train, valid), steps, |mut training| {
            training = training
                .metrics((
                    LossMetric::new(),
                    MeanSingularValueMetric::new().every(every),
                    EffectiveRankMetric::new().every(every),
                ))
                .metric_valid_numeric(RetrievalMetric::recall_at(1));
            let terms = terms.iter().map(|&name| TermMetric::new(name));
            terms.fold(training, |training, term| training.metrics((term,)))
        })?;
        if let Some(trained) = &trained {
            weights::save(trained.model.embedder.clone(), &self.path(NETWORK))?;
        }
        Ok(trained.map(TrainedEmbedder::new))
    }

    /// The model with its initial weights.
    pub fn model(&self, device: &Device) -> MetricLearning {
        let Cell {
            loss, regularizer, ..
        } = self.cell;
        let objective = Objective::new(self.config, loss, regularizer);
        let embedder = untrained(self.config, self.data, self.seed, device);
        MetricLearning::new(embedder, objective)
    }

    /// The training batches from this epoch, counted from 1.
    pub fn batches(&self, epoch: usize) -> Arc<dyn DataLoader<ImageBatch>> {
        let objective = self.config.objectives.of(self.cell.loss);
        let batches = TrainingBatches {
            classes_per_batch: objective.classes_per_batch,
            images_per_class: objective.images_per_class,
            batches: self.config.validate_every,
            seed: self.seed,
        };
        let (images, views) = (self.data.train.clone(), self.config.views.init());
        Arc::new(batches.loader(images, views, self.device, epoch))
    }

    /// The learning rate over the steps.
    pub fn rate(&self) -> ConstantPolynomial {
        let (schedule, steps) = (&self.config.schedule, self.config.iterations);
        ConstantPolynomialConfig::new(
            self.cell.learning_rate,
            (schedule.constant * steps as f64) as usize,
            steps,
        )
        .with_end(schedule.end)
        .with_power(schedule.power)
        .init()
    }

    fn session(&self, terms: &[&'static str]) -> Session<'_> {
        let title = self.cell.title();
        let metrics = [
            ("Loss", "loss"),
            ("Mean singular value", "s_mu"),
            ("Effective rank", "rank"),
        ];
        let metrics = metrics.map(|(metric, title)| Shown::new(metric, title));
        let recall = Shown::of_validation("Recall@1", "test R@1");
        let terms = terms.iter().map(|&name| Shown::new(name, name));
        Session {
            directory: &self.directory,
            label: match self.config.seeds.len() {
                1 => title,
                _ => format!("{title}, seed {}", self.seed),
            },
            epochs: self.config.iterations / self.config.validate_every,
            patience: None,
            display: self.display,
            shown: metrics.into_iter().chain(terms).chain([recall]).collect(),
            stop: self.stop,
        }
    }

    fn path(&self, file: impl AsRef<Path>) -> PathBuf {
        self.directory.join(file)
    }
}
