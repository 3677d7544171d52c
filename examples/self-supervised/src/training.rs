//! One training: a method and a seed, from its last checkpoint if there is one.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Result;
use burn::module::Module;
use burn::tensor::Device;
use burn::train::Learner;
use burn::train::metric::LossMetric;
use fullrank_files::FileError;
use fullrank_train::metrics::{
    EffectiveRankMetric, MeanSingularValueMetric, MeanStdMetric, TermMetric,
};
use fullrank_train::schedule::WarmupCosineConfig;
use fullrank_train::session::Stop;
use fullrank_train::session::progress::Shown;
use fullrank_train::session::weights;
use fullrank_train::session::{self, Display, Session};
use fullrank_vision::loader::ViewLoader;

use crate::config::{Method, RunConfig};
use crate::model::SelfSupervised;
use fullrank_study::data::Data;

/// What to train, with what, and where its files are.
pub struct Training<'a> {
    /// The run.
    pub config: &'a RunConfig,
    /// The method.
    pub method: Method,
    /// The seed of weights, order and augmentations.
    pub seed: u64,
    /// The images.
    pub data: &'a Data,
    /// Where to train.
    pub device: &'a Device,
    /// Where checkpoints, metrics and the trained networks are kept.
    pub directory: PathBuf,
    /// How to show it.
    pub display: Display,
    /// Tells the training to stop.
    pub stop: &'a Stop,
}

/// A finished training.
pub type Trained = session::Trained<SelfSupervised>;

/// The file of a trained encoder in the folder of its training.
pub const ENCODER: &str = "encoder.bpk";
const EXPANDER: &str = "expander.bpk";

impl Training<'_> {
    /// Trains to the end, or as far as the stop lets it: then there is no model yet, and the same
    /// call continues from the last checkpoint. A finished training is read from its files.
    pub fn run(&self) -> Result<Option<Trained>> {
        fs::create_dir_all(&self.directory).map_err(FileError::write(&self.directory))?;
        let model = self.model(&self.device.clone().autodiff());
        let terms = model.term_names();
        let session = self.session(terms);
        if self.path(ENCODER).exists() {
            return self.finished(&session).map(Some);
        }
        let batch = self.config.batch_size;
        let views = self.config.views.init();
        let (train, test) = (self.data.train.clone(), self.data.test.clone());
        let train = ViewLoader::training(train, views.clone(), batch, self.seed, self.device)
            .starting_at(session.first_epoch()?);
        let valid = ViewLoader::validation(test, views, batch, self.seed, self.device);
        let steps_per_epoch = train.num_batches();

        let schedule = &self.config.schedule;
        let total_steps = steps_per_epoch * self.config.epochs;
        let rate = WarmupCosineConfig::new(
            schedule.learning_rate,
            (schedule.warmup * total_steps as f64) as usize,
            total_steps,
        )
        .with_final_fraction(schedule.final_fraction);
        let learner = Learner::new(model, self.config.optimizer.init(), rate.init());

        let every = self.config.spectrum_every;
        let loaders = (Arc::new(train) as _, Arc::new(valid) as _);
        let trained = session.train(learner, loaders, steps_per_epoch, |mut training| {
            training = training.metrics((
                LossMetric::new(),
                MeanSingularValueMetric::new().every(every),
                EffectiveRankMetric::new().every(every),
                MeanStdMetric::new(),
            ));
            let terms = terms.iter().map(|&name| TermMetric::new(name));
            terms.fold(training, |training, term| training.metrics((term,)))
        })?;
        if let Some(trained) = &trained {
            // The encoder comes last: where it is, the training is complete.
            weights::save(trained.model.expander.clone(), &self.path(EXPANDER))?;
            weights::save(trained.model.encoder.clone(), &self.path(ENCODER))?;
        }
        Ok(trained)
    }

    fn session(&self, terms: &[&'static str]) -> Session<'_> {
        let title = self.method.title();
        let metrics = [
            ("Loss", "loss"),
            ("Mean singular value", "s_mu"),
            ("Effective rank", "rank"),
            ("Mean std", "std"),
        ];
        let metrics = metrics.map(|(metric, title)| Shown::new(metric, title));
        let terms = terms.iter().map(|&name| Shown::new(name, name));
        Session {
            directory: &self.directory,
            label: match self.config.seeds.len() {
                1 => title.to_string(),
                _ => format!("{title}, seed {}", self.seed),
            },
            epochs: self.config.epochs,
            patience: self.config.patience,
            display: self.display,
            shown: metrics.into_iter().chain(terms).collect(),
            stop: self.stop,
        }
    }

    fn model(&self, device: &Device) -> SelfSupervised {
        let channels = self.data.channels();
        SelfSupervised::new(self.config, self.method, channels, self.seed, device)
    }

    fn finished(&self, session: &Session<'_>) -> Result<Trained> {
        let SelfSupervised {
            encoder, expander, ..
        } = self.model(self.device);
        let mut model = self.model(self.device);
        model.encoder = weights::load(encoder, &self.path(ENCODER))?;
        model.expander = weights::load(expander, &self.path(EXPANDER))?;
        Ok(Trained {
            model: model.valid(),
            rows: session.rows()?,
        })
    }

    fn path(&self, file: impl AsRef<Path>) -> PathBuf {
        self.directory.join(file)
    }
}
