//! One training, from its last checkpoint if there is one.

use std::path::Path;

use burn::train::metric::store::{Aggregate, EventStoreClient, Split};
use burn::train::{
    EarlyStoppingStrategy, Interrupter, Learner, LearnerModel, SupervisedTraining, TrainLoader,
    ValidLoader,
};

use fullrank_files::FileError;

use super::SessionError;
use super::checkpoint::{Checkpoints, EveryEpoch};
use super::history::{self, History, Row};
use super::progress::{CompactProgress, Shown};
use super::stop::Stop;
use super::weights::are_finite;

/// The folder of the checkpoints in that of a training.
pub const CHECKPOINTS: &str = "checkpoint";

/// How a training is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Display {
    /// One line that moves, or one line an epoch where standard output is no terminal.
    Compact,
    /// burn-train's dashboard.
    Dashboard,
    /// Not at all: for a process that trains beside the one that shows it.
    Silent,
}

/// A training by burn-train that can be interrupted at any moment: its checkpoints and metrics are in
/// one folder, and the same call continues it to the result that it would have had.
///
/// The caller says what is trained and on what, with data loaders that [start at an
/// epoch](Session::first_epoch).
pub struct Session<'a> {
    /// Where checkpoints and metrics are kept; it exists.
    pub directory: &'a Path,
    /// The name of the training on the progress line and in errors.
    pub label: String,
    /// Passes over the training data.
    pub epochs: usize,
    /// Stop when the validation loss has not improved for this many epochs.
    pub patience: Option<usize>,
    /// How to show it.
    pub display: Display,
    /// The metrics on the compact line.
    pub shown: Vec<Shown>,
    /// Tells the training to stop.
    pub stop: &'a Stop,
}

/// A finished training.
pub struct Trained<M> {
    /// The model, off autodiff.
    pub model: M,
    /// All metrics.
    pub rows: Vec<Row>,
}

impl<M> Trained<M> {
    /// The time that the epochs took, in seconds, interrupted ones left out.
    pub fn seconds(&self) -> f64 {
        let seconds = self
            .rows
            .iter()
            .filter(|row| row.metric == history::SECONDS);
        seconds.map(|row| row.value).sum()
    }
}

impl Session<'_> {
    /// The epoch that is trained first, from 1: the one behind the last checkpoint that is intact. If a later
    /// one is damaged, standard error tells it.
    ///
    /// # Errors
    ///
    /// If there are checkpoints but none can be continued from, or the metrics are damaged.
    pub fn first_epoch(&self) -> Result<usize, SessionError> {
        Ok(self.resumed()?.unwrap_or(0) + 1)
    }

    /// The epoch to continue from.
    fn resumed(&self) -> Result<Option<usize>, SessionError> {
        let metrics = self.directory.join(history::FILE);
        let measured = history::whole_epochs(&metrics)?;
        self.checkpoints().resume(measured, &metrics)
    }

    /// Trains to the end, or as far as the stop lets it: then there is no model yet.
    ///
    /// `metrics` adds the metrics; one of them is burn-train's loss metric.
    ///
    /// # Errors
    ///
    /// Those of [`first_epoch`](Self::first_epoch); if the checkpoint is of another model, burn-train fails, a
    /// file cannot be written, or the weights are not finite at the end.
    pub fn train<M: LearnerModel>(
        &self,
        learner: Learner<M>,
        (train, valid): (TrainLoader<M>, ValidLoader<M>),
        steps_per_epoch: usize,
        metrics: impl FnOnce(SupervisedTraining<M>) -> SupervisedTraining<M>,
    ) -> Result<Option<Trained<M>>, SessionError> {
        let epoch = self.resumed()?;
        let checkpoints = self.checkpoints();
        if let Some(epoch) = epoch {
            checkpoints.check(epoch, learner.model())?;
        }
        let interrupter = Interrupter::new();
        let history = History::resume(
            &self.directory.join(history::FILE),
            epoch.unwrap_or(0),
            steps_per_epoch,
            &interrupter,
        )?;
        let [model, optimizer, scheduler] = checkpoints.checkpointers();
        let mut training = SupervisedTraining::new(self.directory, train, valid)
            .num_epochs(self.epochs)
            .with_interrupter(interrupter.clone())
            .with_progress_logger(self.stop.watch(interrupter.clone()))
            .with_metric_logger(history.clone())
            .with_application_logger(None)
            .with_custom_checkpointers(model, optimizer, scheduler)
            .with_checkpointing_strategy(EveryEpoch)
            .label(&self.label);
        training = metrics(training);
        let progress = match self.display {
            Display::Compact => Some(CompactProgress::new(&self.label, self.shown.clone())),
            Display::Silent => Some(CompactProgress::silent()),
            Display::Dashboard => None,
        };
        if let Some(progress) = progress {
            training = training.renderer(Box::new(progress));
        }
        if let Some(epochs) = self.patience {
            training = training.early_stopping(Patience { epochs });
        }
        if let Some(epoch) = epoch {
            training = training.checkpoint(epoch);
        }

        let result = training.launch(learner);
        let label = || self.label.clone();
        if let Some(failure) = checkpoints.take_failure() {
            return Err(failure.into());
        }
        if let Some(error) = result.error {
            return Err(SessionError::Training {
                label: label(),
                problem: error.to_string(),
            });
        }
        let rows = history.into_rows()?;
        if result.interrupted.is_some() {
            return Ok(None);
        }
        let trained = Trained {
            model: result.model,
            rows,
        };
        match are_finite(&trained.model) {
            true => Ok(Some(trained)),
            false => Err(SessionError::Diverged { label: label() }),
        }
    }

    /// The metrics of a training that has finished.
    ///
    /// # Errors
    ///
    /// If their file cannot be read.
    pub fn rows(&self) -> Result<Vec<Row>, FileError> {
        history::read(&self.directory.join(history::FILE))
    }

    fn checkpoints(&self) -> Checkpoints {
        Checkpoints::new(&self.directory.join(CHECKPOINTS))
    }
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
