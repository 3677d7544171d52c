//! A run: a folder, a configuration, and the results of every method and seed.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use burn::module::Module;
use burn::tensor::Device;
use fullrank_train::run::files::{read_json, write_json};
use fullrank_train::run::folder::{self, CONFIG};
use fullrank_train::run::history::{self, Row};
use fullrank_train::run::matrix::{write_labels, write_matrix};
use fullrank_train::run::progress::show;
use fullrank_train::run::session::Display;
use fullrank_train::run::stop::Stop;
use serde::{Deserialize, Serialize};

use crate::config::{Method, RunConfig};
use crate::cost::Cost;
use crate::evaluation::{Evaluation, evaluate, evaluate_pixels};
use crate::model::SelfSupervised;
use crate::objective::Objective;
use crate::training::Training;
use fullrank_cli::data::Data;

/// A folder of results and the configuration that they come from.
#[derive(Clone, Debug)]
pub struct Run {
    /// Such as `runs/run-1`.
    pub directory: PathBuf,
    /// What is computed.
    pub config: RunConfig,
}

/// What a row of the report is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// The pixels as features.
    Pixels,
    /// The encoder with its initial weights.
    Untrained,
    /// A trained encoder.
    Trained(Method),
}

impl Subject {
    /// Its name in `results.json` and that of its folder.
    pub fn key(self) -> &'static str {
        match self {
            Self::Pixels => "raw-pixels",
            Self::Untrained => "untrained",
            Self::Trained(method) => method.key(),
        }
    }

    /// Its name in tables and plots.
    pub fn title(self) -> &'static str {
        match self {
            Self::Pixels => "raw pixels",
            Self::Untrained => "untrained encoder",
            Self::Trained(method) => method.title(),
        }
    }
}

/// What was measured on a subject with one seed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Measured {
    /// The seed; the pixels have none.
    pub seed: Option<u64>,
    /// The seconds that the training took.
    pub training_seconds: Option<f64>,
    /// What the loss costs, for a training.
    #[serde(default)]
    pub cost: Option<Cost>,
    /// The seconds that the evaluation took.
    pub evaluation_seconds: f64,
    /// The measurements.
    #[serde(flatten)]
    pub evaluation: Evaluation,
    /// The metrics of the training, which have their own file.
    #[serde(skip)]
    pub rows: Vec<Row>,
}

/// A row of the report: a subject and its measurements, one for each seed.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The subject.
    pub subject: Subject,
    /// In the order of the seeds.
    pub measured: Vec<Measured>,
}

/// The file that says that a training is evaluated.
const RESULT: &str = "result.json";

/// The file in a training's folder that holds the embedding of the test images, for the first seed.
pub const EMBEDDING: &str = "embedding.npy";
/// The same of the representation.
pub const REPRESENTATION: &str = "representation.npy";
/// The file in a run's folder that holds the labels of the test images.
pub const LABELS: &str = "labels.npy";

impl Run {
    /// A new run in a folder below `runs`, called `name` or `run-1`, `run-2` and so on. Nothing is
    /// written before it is executed.
    pub fn start(runs: &Path, name: Option<&str>, config: RunConfig) -> Result<Self> {
        let directory = folder::new_run(runs, name)?;
        Ok(Self { directory, config })
    }

    /// Opens a run to continue it: `name`, or the last numbered one.
    pub fn open(runs: &Path, name: Option<&str>) -> Result<Self> {
        let directory = folder::last_run(runs, name)?;
        let config = RunConfig::load(&directory.join(CONFIG), None)?;
        config.validate()?;
        Ok(Self { directory, config })
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
        let trained = self
            .config
            .methods
            .iter()
            .map(|&method| Subject::Trained(method));
        let subjects = [Subject::Pixels, Subject::Untrained]
            .into_iter()
            .chain(trained);
        let mut entries: Vec<Entry> = subjects
            .map(|subject| Entry {
                subject,
                measured: Vec::new(),
            })
            .collect();

        let step = Step {
            run: self,
            data,
            device,
            display,
            stop,
        };
        for &seed in &self.config.seeds {
            for entry in &mut entries {
                let seed = match entry.subject {
                    Subject::Pixels if !entry.measured.is_empty() => continue,
                    Subject::Pixels => None,
                    _ => Some(seed),
                };
                match step.measured(entry.subject, seed)? {
                    Some(measured) => entry.measured.push(measured),
                    None => return Ok(None),
                }
            }
        }
        Ok(Some(entries))
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
        // These check their settings themselves.
        config.views.init();
        config.optimizer.init();
        for &method in &config.methods {
            Objective::new(&config.objectives, method);
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
    fn measured(&self, subject: Subject, seed: Option<u64>) -> Result<Option<Measured>> {
        let mut directory = self.run.directory.join(subject.key());
        if let Some(seed) = seed {
            directory.push(format!("seed-{seed}"));
        }
        let path = directory.join(RESULT);
        if path.exists() {
            let mut measured: Measured = read_json(&path)?;
            if let Subject::Trained(_) = subject {
                measured.rows = history::read(&directory.join(history::FILE))?;
            }
            return Ok(Some(measured));
        }
        let computed = self.compute(subject, seed, &directory)?;
        if let Some(measured) = &computed {
            fs::create_dir_all(&directory)
                .with_context(|| format!("creating {}", directory.display()))?;
            write_json(&path, measured)?;
            announce(subject, measured);
        }
        Ok(computed.filter(|_| !self.stop.requested()))
    }

    fn compute(
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
        let evaluation = match &model {
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
        let cost = model
            .filter(|_| training_seconds.is_some())
            .map(|model| Cost::measure(config, model, data, device))
            .transpose()?;
        Ok(Some(Measured {
            seed,
            training_seconds,
            cost,
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
        measured.training_seconds.unwrap_or(0.0) + measured.evaluation_seconds,
    ));
}
