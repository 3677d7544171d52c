//! One training: a method and a seed, from its last checkpoint if there is one.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail};
use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Tensor};
use burn::train::metric::LossMetric;
use burn::train::metric::store::{Aggregate, EventStoreClient, Split};
use burn::train::{EarlyStoppingStrategy, Interrupter, Learner, SupervisedTraining};
use fullrank_train::loader::ViewLoader;
use fullrank_train::metrics::{
    EffectiveRankMetric, MeanSingularValueMetric, MeanStdMetric, TermMetric,
};
use fullrank_train::schedule::WarmupCosineConfig;

use crate::checkpoint::{KeepTwo, checkpointers, last_epoch};
use crate::config::{Method, RunConfig};
use crate::data::Data;
use crate::history::{self, History, Row};
use crate::model::SelfSupervised;
use crate::progress::CompactProgress;
use crate::stop::Stop;

/// How a training is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Display {
    /// One line that moves, or one line an epoch where standard output is no terminal.
    Compact,
    /// burn-train's dashboard.
    Dashboard,
}

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
pub struct Trained {
    /// The model, off autodiff.
    pub model: SelfSupervised,
    /// All metrics.
    pub rows: Vec<Row>,
}

impl Trained {
    /// The time that the epochs took, in seconds, interrupted ones left out.
    pub fn seconds(&self) -> f64 {
        let seconds = self
            .rows
            .iter()
            .filter(|row| row.metric == history::SECONDS);
        seconds.map(|row| row.value).sum()
    }
}

/// The file of a trained encoder in the folder of its training.
pub const ENCODER: &str = "encoder.bpk";
const EXPANDER: &str = "expander.bpk";

impl Training<'_> {
    /// Trains to the end, or as far as the stop lets it: then there is no model yet, and the same
    /// call continues from the last checkpoint. A finished training is read from its files.
    pub fn run(&self) -> Result<Option<Trained>> {
        fs::create_dir_all(&self.directory)
            .with_context(|| format!("creating {}", self.directory.display()))?;
        if self.path(ENCODER).exists() {
            return self.finished().map(Some);
        }
        let checkpoints = self.path("checkpoint");
        let epoch = last_epoch(&checkpoints);
        let batch = self.config.batch_size;

        let views = self.config.views.init();
        let (train, test) = (self.data.train.clone(), self.data.test.clone());
        let train = ViewLoader::training(train, views.clone(), batch, self.seed, self.device)
            .starting_at(epoch.unwrap_or(0) + 1);
        let valid = ViewLoader::validation(test, views, batch, self.seed, self.device);
        let steps_per_epoch = train.num_batches();

        let model = self.model(&self.device.clone().autodiff());
        let terms = model.term_names();
        let schedule = &self.config.schedule;
        let total_steps = steps_per_epoch * self.config.epochs;
        let rate = WarmupCosineConfig::new(
            schedule.learning_rate,
            (schedule.warmup * total_steps as f64) as usize,
            total_steps,
        )
        .with_final_fraction(schedule.final_fraction);
        let learner = Learner::new(model, self.config.optimizer.init(), rate.init());

        let history = History::resume(
            &self.path(history::FILE),
            epoch.unwrap_or(0),
            steps_per_epoch,
        )?;
        let interrupter = Interrupter::new();
        let [model, optimizer, scheduler] = checkpointers(&checkpoints);
        let every = self.config.spectrum_every;
        let mut training =
            SupervisedTraining::new(&self.directory, Arc::new(train), Arc::new(valid))
                .num_epochs(self.config.epochs)
                .with_interrupter(interrupter.clone())
                .with_progress_logger(self.stop.watch(interrupter.clone()))
                .with_metric_logger(history.clone())
                .with_application_logger(None)
                .with_custom_checkpointers(model, optimizer, scheduler)
                .with_checkpointing_strategy(KeepTwo)
                .label(self.method.title())
                .metrics((
                    LossMetric::new(),
                    MeanSingularValueMetric::new().every(every),
                    EffectiveRankMetric::new().every(every),
                    MeanStdMetric::new(),
                ));
        for name in terms {
            training = training.metrics((TermMetric::new(name),));
        }
        if self.display == Display::Compact {
            let label = match self.config.seeds.len() {
                1 => self.method.title().to_string(),
                _ => format!("{}, seed {}", self.method.title(), self.seed),
            };
            training = training.renderer(Box::new(CompactProgress::new(&label, terms)));
        }
        if let Some(epochs) = self.config.patience {
            training = training.early_stopping(Patience { epochs });
        }
        if let Some(epoch) = epoch {
            training = training.checkpoint(epoch);
        }

        let result = training.launch(learner);
        if let Some(error) = result.error {
            return Err(anyhow!("{}: {error}", self.method.title()));
        }
        let rows = history.into_rows()?;
        if result.interrupted.is_some() {
            return Ok(None);
        }
        let trained = Trained {
            model: result.model,
            rows,
        };
        if !is_finite(&trained.model) {
            bail!(
                "{}: the training diverged (weights are not finite); lower the learning rate",
                self.method.title()
            );
        }
        // The encoder comes last: where it is, the training is complete.
        self.save(trained.model.expander.clone(), EXPANDER)?;
        self.save(trained.model.encoder.clone(), ENCODER)?;
        Ok(Some(trained))
    }

    fn model(&self, device: &Device) -> SelfSupervised {
        let channels = self.data.channels();
        SelfSupervised::new(self.config, self.method, channels, self.seed, device)
    }

    fn finished(&self) -> Result<Trained> {
        let SelfSupervised {
            encoder, expander, ..
        } = self.model(self.device);
        let mut model = self.model(self.device);
        model.encoder = self.load(encoder, ENCODER)?;
        model.expander = self.load(expander, EXPANDER)?;
        Ok(Trained {
            model: model.valid(),
            rows: history::read(&self.path(history::FILE))?,
        })
    }

    fn path(&self, file: impl AsRef<Path>) -> PathBuf {
        self.directory.join(file)
    }

    fn save<M: Module>(&self, module: M, file: &str) -> Result<()> {
        let (partial, whole) = (self.path("partial.bpk"), self.path(file));
        module
            .save_file(&partial)
            .map_err(|error| anyhow!("writing {}: {error}", whole.display()))?;
        fs::rename(&partial, &whole).with_context(|| format!("writing {}", whole.display()))
    }

    fn load<M: Module>(&self, module: M, file: &str) -> Result<M> {
        let path = self.path(file);
        let loaded = module.try_load_file(&path);
        loaded.map_err(|error| anyhow!("reading {}: {error}", path.display()))
    }
}

/// Whether every weight and running statistic is a finite number.
fn is_finite(model: &SelfSupervised) -> bool {
    struct Finite(bool);

    impl ModuleVisitor for Finite {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.0 = self.0 && param.val().into_data().iter::<f32>().all(f32::is_finite);
        }
    }

    let mut finite = Finite(true);
    model.visit(&mut finite);
    finite.0
}

/// Stops when the validation loss has been above its best for a number of epochs. It keeps no
/// state of its own, so that a resumed training stops where an uninterrupted one does.
#[derive(Clone)]
struct Patience {
    epochs: usize,
}

impl EarlyStoppingStrategy for Patience {
    fn should_stop(&mut self, epoch: usize, store: &EventStoreClient) -> bool {
        let loss = |epoch| store.find_metric("Loss", epoch, Aggregate::Mean, &Split::Valid);
        let losses = (1..=epoch).filter_map(|epoch| Some((epoch, loss(epoch)?)));
        let best = losses.min_by(|(_, a), (_, b)| a.total_cmp(b));
        best.is_some_and(|(best, _)| epoch - best >= self.epochs)
    }
}
