//! A run: a folder, a configuration, and the results of every method and seed.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Result, ensure};
use burn::module::Module;
use burn::tensor::Device;
use fullrank_files::npy::{write_labels, write_matrix};
use fullrank_study::folder::{self, CONFIG};
use fullrank_study::lock::RunLock;
use fullrank_study::subjects;
use fullrank_train::session::Display;
use fullrank_train::session::Stop;
use fullrank_train::session::progress::show;

use crate::config::{Method, RunConfig};
use crate::cost::Cost;
use crate::evaluation::{Evaluation, evaluate, evaluate_pixels};
use crate::model::SelfSupervised;
use crate::training::Training;
use fullrank_study::data::Data;

/// A folder of results and the configuration that they come from.
#[derive(Clone, Debug)]
pub struct Run {
    /// Such as `runs/run-1`.
    pub directory: PathBuf,
    /// What is computed.
    pub config: RunConfig,
    /// Keeps other processes out of the folder.
    pub lock: RunLock,
}

/// What a row of the report is about.
pub type Subject = subjects::Subject<Method>;
/// What was measured on a subject with one seed.
pub type Measured = subjects::Measured<Evaluation>;
/// A row of the report.
pub type Entry = subjects::Entry<Method, Evaluation>;

impl subjects::Training for Method {
    fn key(&self) -> String {
        Method::key(*self).to_owned()
    }

    fn title(&self) -> String {
        Method::title(*self).to_owned()
    }
}

/// The file in a training's folder that holds the embedding of the test images, for the first seed.
pub const EMBEDDING: &str = "embedding.npy";
/// The same of the representation.
pub const REPRESENTATION: &str = "representation.npy";
/// The file in a run's folder that holds the labels of the test images.
pub const LABELS: &str = "labels.npy";

impl Run {
    /// A new run in a folder below `runs`, called `name` or `run-1`, `run-2` and so on. It is
    /// removed again if the run is dropped before it was executed.
    pub fn start(runs: &Path, name: Option<&str>, config: RunConfig) -> Result<Self> {
        let lock = folder::new_run(runs, name)?;
        Ok(Self {
            directory: lock.folder().to_path_buf(),
            config,
            lock,
        })
    }

    /// Opens a run to continue it: `name`, or the last numbered one.
    pub fn open(runs: &Path, name: Option<&str>) -> Result<Self> {
        let lock = folder::last_run(runs, name)?;
        let directory = lock.folder().to_path_buf();
        let config = RunConfig::load(&directory.join(CONFIG), None)?;
        config.validate()?;
        Ok(Self {
            directory,
            config,
            lock,
        })
    }

    /// The name of the folder.
    pub fn name(&self) -> String {
        folder::name(&self.directory)
    }

    /// Measures the baselines, then trains and measures every method with every seed. What an
    /// earlier call finished is read from its files. `None` if the stop came first.
    pub fn execute(
        &self,
        data: &Data,
        device: &Device,
        display: Display,
        stop: &Stop,
    ) -> Result<Option<Vec<Entry>>> {
        self.check(data)?;
        folder::write_config(&self.directory, &self.config.to_json()?)?;
        write_labels(&self.directory.join(LABELS), data.test.labels())?;
        let step = Step {
            run: self,
            data,
            device,
            display,
            stop,
        };
        let (methods, seeds) = (self.config.methods.iter().copied(), &self.config.seeds);
        subjects::measure_all(
            &self.directory,
            methods,
            seeds,
            stop,
            |subject, seed, folder| {
                let measured = step.measure(subject, seed, folder)?;
                measured
                    .iter()
                    .for_each(|measured| announce(subject, measured));
                Ok(measured)
            },
        )
    }
}

impl Run {
    /// Finds what would fail in the middle of the run.
    fn check(&self, data: &Data) -> Result<()> {
        let config = &self.config;
        config.validate()?;
        let (batch, images) = (config.batch_size, data.train.len());
        ensure!(
            batch <= images,
            "a batch of {batch} cannot be filled from {images} images"
        );
        config.views.check()?;
        config.optimizer.check()?;
        for &method in &config.methods {
            config.objectives.check(method)?;
        }
        Ok(())
    }
}

/// Everything that one subject and seed needs.
struct Step<'a> {
    run: &'a Run,
    data: &'a Data,
    device: &'a Device,
    display: Display,
    stop: &'a Stop,
}

impl Step<'_> {
    fn measure(
        &self,
        subject: Subject,
        seed: Option<u64>,
        directory: &Path,
    ) -> Result<Option<Measured>> {
        let (config, data, device) = (&self.run.config, self.data, self.device);
        let (model, training_seconds, rows) = match (subject, seed) {
            (Subject::Trained(method), Some(seed)) => {
                let training = Training {
                    config,
                    method,
                    seed,
                    data,
                    device,
                    directory: directory.to_path_buf(),
                    display: self.display,
                    stop: self.stop,
                };
                let Some(trained) = training.run()? else {
                    return Ok(None);
                };
                let seconds = trained.seconds();
                (Some(trained.model), Some(seconds), trained.rows)
            }
            (Subject::Untrained, Some(seed)) => {
                // All methods start from this encoder: it is drawn before the expander.
                let method = config.methods[0];
                let model = SelfSupervised::new(config, method, data.channels(), seed, device);
                (Some(model.valid()), None, Vec::new())
            }
            _ => (None, None, Vec::new()),
        };
        let start = Instant::now();
        let mut evaluation = match &model {
            Some(model) => {
                let (mut evaluation, features) = evaluate(config, model, data, device);
                if subject == Subject::Untrained {
                    // The expander belongs to a method, and this is about the encoder.
                    evaluation.embedding = None;
                } else if seed == config.seeds.first().copied() {
                    write_matrix(&directory.join(EMBEDDING), &features.embedding)?;
                    write_matrix(&directory.join(REPRESENTATION), &features.representation)?;
                }
                evaluation
            }
            None => evaluate_pixels(config, data, device),
        };
        let evaluation_seconds = start.elapsed().as_secs_f64();
        evaluation.cost = model
            .filter(|_| training_seconds.is_some())
            .map(|model| Cost::measure(config, model, data, device))
            .transpose()?;
        Ok(Some(Measured {
            seed,
            training_seconds,
            evaluation_seconds,
            evaluation,
            rows,
        }))
    }
}

fn announce(subject: Subject, measured: &Measured) {
    let seed = measured
        .seed
        .map(|seed| format!(", seed {seed}"))
        .unwrap_or_default();
    let accuracy = &measured.evaluation.accuracy;
    show(&format!(
        "{}{seed}: k-NN {:.3}, linear probe {:.3} ({:.0} s)\n",
        subject.title(),
        accuracy.knn,
        accuracy.linear,
        measured.seconds(),
    ));
}
