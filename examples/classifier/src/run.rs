//! A run: a folder, a configuration, and the results of every training.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Result;
use burn::tensor::Device;
use datasets::ImageSet;
use fullrank_files::{read_json, write_json};
use fullrank_study::data::Data;
use fullrank_study::folder::{self, CONFIG};
use fullrank_study::lock::RunLock;
use fullrank_train::session::Display;
use fullrank_train::session::Stop;
use fullrank_train::session::history::Row;
use fullrank_train::session::progress::show;
use serde::{Deserialize, Serialize};

use crate::config::{Method, RunConfig};
use crate::evaluation::{Evaluation, evaluate};
use crate::training::{Trained, Training};

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

/// What was measured on the classifier of one training.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Measured {
    /// The seed.
    pub seed: u64,
    /// The seconds that the training took, with what is measured after each epoch.
    pub seconds: f64,
    /// The measurements.
    #[serde(flatten)]
    pub evaluation: Evaluation,
    /// The metrics of the training, which have their own file.
    #[serde(skip)]
    pub rows: Vec<Row>,
}

/// A row of the table: a method on so many images of each class, and its measurements, one for each
/// seed.
#[derive(Clone, Debug, Serialize)]
pub struct Entry {
    /// Images of each class.
    pub per_class: usize,
    /// The method.
    pub method: Method,
    /// In the order of the seeds.
    pub seeds: Vec<Measured>,
}

/// The file that says that a classifier is measured.
const RESULT: &str = "result.json";

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
        let config = RunConfig::load(&directory.join(CONFIG))?;
        config.validate()?;
        Ok(Self {
            directory,
            config,
            lock,
        })
    }

    /// Trains and measures every method with every seed on every number of images. What an earlier
    /// call finished is read from its files. `None` if the stop came first.
    pub fn execute(
        &self,
        data: &Data,
        device: &Device,
        display: Display,
        stop: &Stop,
    ) -> Result<Option<Vec<Entry>>> {
        let config = &self.config;
        config.validate()?;
        for &method in &config.methods {
            if let Some(regularizer) = config.regularizer(method) {
                regularizer.check()?;
            }
            config.optimizer(method).check()?;
        }
        folder::write_config(&self.directory, &config.to_json()?)?;
        let mut entries = Vec::new();
        for &per_class in &config.per_class {
            let train = Arc::new(data.train.first_per_class(per_class));
            let mut rows: Vec<Entry> = (config.methods.iter())
                .map(|&method| Entry {
                    per_class,
                    method,
                    seeds: Vec::new(),
                })
                .collect();
            for &seed in &config.seeds {
                for entry in &mut rows {
                    let directory = self.folder(per_class, entry.method, seed);
                    let training = Training {
                        config,
                        method: entry.method,
                        seed,
                        train: &train,
                        test: &data.test,
                        device,
                        directory,
                        display,
                        stop,
                    };
                    match measured(&training)? {
                        Some(measured) => entry.seeds.push(measured),
                        None => return Ok(None),
                    }
                }
            }
            entries.extend(rows);
        }
        Ok(Some(entries))
    }

    /// Where a training has its files.
    pub fn folder(&self, per_class: usize, method: Method, seed: u64) -> PathBuf {
        let images = format!("{per_class}-per-class");
        let folder = self.directory.join(images).join(method.key());
        folder.join(format!("seed-{seed}"))
    }

    /// The training of the first seed, which [`execute`](Self::execute) finished.
    pub fn trained(
        &self,
        entry: &Entry,
        images: &Arc<ImageSet>,
        device: &Device,
    ) -> Result<Option<Trained>> {
        let seed = self.config.seeds[0];
        let training = Training {
            config: &self.config,
            method: entry.method,
            seed,
            train: images,
            test: images,
            device,
            directory: self.folder(entry.per_class, entry.method, seed),
            display: Display::Compact,
            stop: &Stop::new(),
        };
        training.run()
    }
}

/// Trains and measures; `None` if the stop came first.
fn measured(training: &Training<'_>) -> Result<Option<Measured>> {
    let path = training.directory.join(RESULT);
    let finished = path.exists();
    let Some(trained) = training.run()? else {
        return Ok(None);
    };
    let mut measured = match finished {
        true => read_json(&path)?,
        false => Measured {
            seed: training.seed,
            seconds: trained.seconds(),
            evaluation: evaluate(&trained.model, training.test, training.device)?,
            rows: Vec::new(),
        },
    };
    if !finished {
        write_json(&path, &measured)?;
        show(&format!(
            "{}, {} images, seed {}: {:.3} ({:.0} s)\n",
            training.method.title(),
            training.train.len(),
            training.seed,
            measured.evaluation.accuracy,
            measured.seconds,
        ));
    }
    measured.rows = trained.rows;
    Ok(Some(measured).filter(|_| !training.stop.requested()))
}
