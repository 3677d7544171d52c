//! One training of a study, from its last checkpoint if there is one.

use std::fs;
use std::ops::ControlFlow;
use std::path::PathBuf;

use anyhow::{Context, Result};
use burn::module::Module;
use burn::optim::ModuleOptimizer;
use burn::tensor::Device;
use burn::train::{Learner, TrainStep};
use fullrank_files::FileError;
use fullrank_train::session::{Display, Session, Stop, Trained, weights};

use crate::measured::Case;
use crate::study::Study;

/// What to train, on what, and where its files are.
pub struct Training<'a, S: Study> {
    /// The study.
    pub study: &'a S,
    /// What is trained.
    pub case: S::Case,
    /// The seed of weights, order and augmentation.
    pub seed: u64,
    /// The data.
    pub data: &'a S::Data,
    /// Where to train.
    pub device: &'a Device,
    /// Where checkpoints, metrics and the trained model are kept.
    pub directory: PathBuf,
    /// How to show it.
    pub display: Display,
    /// Tells the training to stop.
    pub stop: &'a Stop,
}

impl<S: Study> Training<'_, S> {
    /// Trains to the end, or as far as the stop lets it: then there is no model yet, and the same call continues
    /// from the last checkpoint. A finished training is read from its files.
    ///
    /// # Errors
    ///
    /// Those of [`Session::train`], and if a file cannot be read or written.
    pub fn run(&self) -> Result<Option<Trained<S::Model>>> {
        let (study, folder) = (self.study, &self.directory);
        fs::create_dir_all(folder).map_err(FileError::write(folder))?;
        let model = self.model(&self.device.clone().autodiff());
        let terms = study.term_names(&model);
        let title = self.case.title();
        let session = Session {
            directory: folder,
            label: match study.seeds().len() {
                1 => title,
                _ => format!("{title}, seed {}", self.seed),
            },
            epochs: study.epochs(),
            patience: study.patience(),
            display: self.display,
            shown: study.shown(&terms),
            stop: self.stop,
        };
        if folder.join(S::COMPLETE).exists() {
            let model = study.restore(self.model(self.device), folder)?;
            return Ok(Some(Trained {
                model: model.valid(),
                rows: session.rows()?,
            }));
        }
        let first = session.first_epoch()?;
        if let Some(workers) = study.workers() {
            workers.train(self)?;
        }
        let (train, valid, steps) = study.loaders(self, first);
        let rate = study.rate(self.case, steps * study.epochs());
        let learner = Learner::new(model, study.optimizer(self.case).init(), rate);
        let trained = session.train(learner, (train, valid), steps, |training| {
            study.metrics(&terms, training)
        })?;
        if let Some(trained) = &trained {
            study.save(&trained.model, folder)?;
        }
        Ok(trained)
    }

    /// The model with its initial weights.
    pub fn model(&self, device: &Device) -> S::Model {
        initial(self.study, self.case, self.seed, self.data, device)
    }

    /// Takes the first `count` steps from `model`, on its device and without any file. `observe` sees the number of
    /// steps taken and the model, before the first step and behind each, with what the step put out; it says whether
    /// to go on. Returns the model and its optimizer.
    ///
    /// # Errors
    ///
    /// If a batch cannot be read or there is none, and those of `observe`.
    pub fn steps(
        &self,
        model: S::Model,
        count: usize,
        mut observe: impl FnMut(usize, &S::Model, Option<&StepOutputOf<S>>) -> Result<ControlFlow<()>>,
    ) -> Result<(S::Model, ModuleOptimizer)> {
        let (study, mut model) = (self.study, model);
        let (loader, _, steps) = study.loaders(self, 1);
        let loader = loader.to_device(&self.device.clone().autodiff());
        let mut batches = loader.iter();
        let mut optimizer = study.optimizer(self.case).init();
        let mut rate = study.rate(self.case, steps * study.epochs());
        let mut flow = observe(0, &model, None)?;
        for step in 1..=count {
            if flow.is_break() {
                break;
            }
            let batch = match batches.next() {
                Some(batch) => batch?,
                None => {
                    batches = loader.iter();
                    batches.next().context("the loader has no batch")??
                }
            };
            let output = TrainStep::step(&model, batch);
            model = model.optimize(&mut optimizer, rate.step(), output.grads);
            flow = observe(step, &model, Some(&output.item))?;
        }
        Ok((model, optimizer))
    }
}

/// What a training step of a study puts out.
pub type StepOutputOf<S> = <<S as Study>::Model as TrainStep>::Output;

/// The device that initial weights are drawn on, whatever the training runs on, and that another is compared with.
pub fn host() -> Device {
    Device::flex()
}

/// The model of a study with its initial weights on `device`: they depend on the seed and the architecture alone.
pub fn initial<S: Study>(
    study: &S,
    case: S::Case,
    seed: u64,
    data: &S::Data,
    device: &Device,
) -> S::Model {
    weights::seeded(seed, &host(), device, |device| {
        study.model(case, data, device)
    })
}
