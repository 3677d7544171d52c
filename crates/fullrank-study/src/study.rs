//! A study: trainings that are compared.

use std::fmt::{self, Debug};
use std::path::Path;

use anyhow::{Result, bail};
use burn::lr_scheduler::module_lr_scheduler::ModuleLrScheduler;
use burn::tensor::Device;
use burn::train::metric::{Adaptor, LossInput};
use burn::train::{LearnerModel, SupervisedTraining, TrainLoader, TrainStep, ValidLoader};
use fullrank_report::Report;
use fullrank_train::metrics::TermsInput;
use fullrank_train::optimizer::OptimizerConfig;
use fullrank_train::session::progress::Shown;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::column::Column;
use crate::findings::Findings;
use crate::measured::{Case, Measured, Subject};
use crate::training::Training;
use crate::workers::Workers;

/// Everything that decides what a run computes, but for the device, and what the run consists of: the trainings,
/// how each is done, what is measured on it, and what the report says.
///
/// A [`Run`](crate::Run) does the rest: folders, checkpoints, resuming, tables and files.
pub trait Study: Clone + Debug + Serialize {
    /// What is trained and measured on; says what it is.
    type Data: fmt::Display;
    /// What one training is about.
    type Case: Case;
    /// What is trained; a step hands on its loss and the terms of it.
    type Model: LearnerModel + TrainStep<Output: Adaptor<LossInput> + Adaptor<TermsInput>>;
    /// What is measured on a trained model, or on a baseline.
    type Evaluation: Clone + Serialize + DeserializeOwned + 'static;

    /// The heading of the report.
    const TITLE: &'static str;
    /// What `metrics.csv` calls a case.
    const CASE: &'static str = "training";
    /// The file that [`save`](Self::save) writes last: where it is, a training is complete.
    const COMPLETE: &'static str;
    /// Whether the raw pixels and the untrained model are measured too.
    const BASELINES: bool = true;

    /// The configuration in a run's `config.json`.
    ///
    /// # Errors
    ///
    /// If the text is no JSON, or has a key or a value that a configuration has not; the error names it.
    fn from_json(text: &str) -> Result<Self>;

    /// The same study, its trainings shared by several processes. Each of them has its rows of a batch, the loss of the
    /// whole batch and the sum of the gradients.
    ///
    /// # Errors
    ///
    /// If it cannot be, which is so without a method of its own.
    fn shared(self, _workers: Workers) -> Result<Self> {
        bail!("{} is done by one process", Self::TITLE)
    }

    /// The processes that share its trainings.
    fn workers(&self) -> Option<&Workers> {
        None
    }

    /// Reads what is trained and measured on.
    ///
    /// # Errors
    ///
    /// If it is not there or cannot be read.
    fn data(&self) -> Result<Self::Data>;

    /// Finds what would fail in the middle of a run.
    ///
    /// # Errors
    ///
    /// For a value that is out of its range, or does not fit the data; the error names it.
    fn check(&self, data: &Self::Data) -> Result<()>;

    /// The trainings, in the order of the table.
    fn cases(&self) -> Vec<Self::Case>;

    /// Each case is trained once with each; the pictures are of the first.
    fn seeds(&self) -> &[u64];

    /// Passes over the loader.
    fn epochs(&self) -> usize;

    /// Stop a training whose validation loss has not improved for this many epochs.
    fn patience(&self) -> Option<usize> {
        None
    }

    /// The model before its training, as Burn initializes it on a device: [`initial`](crate::initial) sees to the seed.
    fn model(&self, case: Self::Case, data: &Self::Data, device: &Device) -> Self::Model;

    /// The loaders of a training from the epoch `first`, counted from 1, and the steps of an epoch.
    fn loaders(
        &self,
        training: &Training<'_, Self>,
        first: usize,
    ) -> (TrainLoader<Self::Model>, ValidLoader<Self::Model>, usize);

    /// The optimizer.
    fn optimizer(&self, case: Self::Case) -> OptimizerConfig;

    /// The learning rate over all steps.
    fn rate(&self, case: Self::Case, steps: usize) -> ModuleLrScheduler;

    /// The names of the terms of a model's loss.
    fn term_names(&self, model: &Self::Model) -> Vec<String>;

    /// Adds the metrics of a training, burn-train's loss and those terms among them.
    fn metrics(
        &self,
        terms: &[String],
        training: SupervisedTraining<Self::Model>,
    ) -> SupervisedTraining<Self::Model>;

    /// The metrics on the line of progress.
    fn shown(&self, terms: &[String]) -> Vec<Shown>;

    /// Keeps what was trained in the folder of its training, [`COMPLETE`](Self::COMPLETE) last.
    ///
    /// # Errors
    ///
    /// If a file cannot be written.
    fn save(&self, model: &Self::Model, folder: &Path) -> Result<()>;

    /// The model with what [`save`](Self::save) kept.
    ///
    /// # Errors
    ///
    /// If a file cannot be read, or is of another model.
    fn restore(&self, model: Self::Model, folder: &Path) -> Result<Self::Model>;

    /// Measures a model, off autodiff, or the pixels where there is none.
    ///
    /// # Errors
    ///
    /// If something cannot be measured, or a file cannot be written.
    fn evaluate(
        &self,
        model: Option<Self::Model>,
        measuring: &Measuring<'_, Self>,
    ) -> Result<Self::Evaluation>;

    /// The figures to tell when a subject is measured.
    fn summary(&self, evaluation: &Self::Evaluation) -> String;

    /// The columns of the table, behind the title.
    fn columns(&self) -> Vec<Column<Measured<Self::Evaluation>>>;

    /// What the columns are, below the table.
    fn legend(&self, findings: &Findings<'_, Self>) -> String;

    /// The first paragraph of the report.
    fn introduction(&self, findings: &Findings<'_, Self>) -> String;

    /// Adds the sections of the report behind the table.
    ///
    /// # Errors
    ///
    /// If a file of the run cannot be read, or holds what cannot be drawn.
    fn sections(&self, report: Report, findings: &Findings<'_, Self>) -> Result<Report>;

    /// Pictures that are files of their own: names, and SVG.
    fn pictures(&self, _findings: &Findings<'_, Self>) -> Vec<(&'static str, String)> {
        Vec::new()
    }
}

/// Of what an evaluation is.
pub struct Measuring<'a, S: Study> {
    /// The baseline or the case.
    pub subject: Subject<S::Case>,
    /// The seed; the pixels have none.
    pub seed: Option<u64>,
    /// The data.
    pub data: &'a S::Data,
    /// Where to compute.
    pub device: &'a Device,
    /// The folder of the run.
    pub run: &'a Path,
    /// Where files about the subject go.
    pub folder: &'a Path,
    /// The seconds that the training took.
    pub training_seconds: Option<f64>,
}

impl<S: Study> Measuring<'_, S> {
    /// Whether the pictures of the report are of this seed.
    pub fn is_shown(&self, study: &S) -> bool {
        self.seed.is_some() && self.seed == study.seeds().first().copied()
    }
}
