//! A run: a folder, a configuration, and the results of every cell and seed.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Result, ensure};
use burn::module::Module;
use burn::tensor::Device;
use fullrank_study::configuration;
use fullrank_study::folder::{self, CONFIG};
use fullrank_study::lock::RunLock;
use fullrank_study::subjects;
use fullrank_train::session::Display;
use fullrank_train::session::Stop;
use fullrank_train::session::progress::show;

use crate::cell::Cell;
use crate::config::RunConfig;
use crate::data::Data;
use crate::evaluation::{Evaluation, embeddings, evaluate, evaluate_pixels};
use crate::export;
use crate::objective::Objective;
use crate::training::{Training, untrained};

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
pub type Subject = subjects::Subject<Cell>;
/// What was measured on a subject with one seed.
pub type Measured = subjects::Measured<Evaluation>;
/// A row of the report.
pub type Entry = subjects::Entry<Cell, Evaluation>;

impl subjects::Training for Cell {
    fn key(&self) -> String {
        Cell::key(self)
    }

    fn title(&self) -> String {
        Cell::title(self)
    }
}

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
        let config = RunConfig::load(&directory.join(CONFIG), None, RunConfig::defaults)?;
        config.validate()?;
        Ok(Self {
            directory,
            config,
            lock,
        })
    }

    /// Measures the baselines, then trains and measures every cell with every seed. What an earlier
    /// call finished is read from its files. `None` if the stop came first.
    pub fn execute(
        &self,
        data: &Data,
        device: &Device,
        display: Display,
        stop: &Stop,
    ) -> Result<Option<Vec<Entry>>> {
        check(&self.config, data)?;
        folder::write_config(&self.directory, &configuration::to_json(&self.config)?)?;
        let step = Step {
            run: self,
            data,
            device,
            display,
            stop,
        };
        let (cells, seeds) = (Cell::all(&self.config), &self.config.seeds);
        subjects::measure_all(
            &self.directory,
            cells,
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

    /// The folder of a subject's files with a seed.
    pub fn folder_of(&self, subject: Subject, seed: Option<u64>) -> PathBuf {
        subject.folder(&self.directory, seed)
    }
}

/// Finds what would fail in the middle of a run.
pub fn check(config: &RunConfig, data: &Data) -> Result<()> {
    config.validate()?;
    let counts = data.train.class_counts();
    let classes = counts.iter().filter(|&&count| count > 0).count();
    config.views.check()?;
    config.optimizer.check()?;
    for &loss in &config.losses {
        let batch = config.objectives.of(loss).classes_per_batch;
        ensure!(
            batch <= classes,
            "objectives.{}: a batch of {batch} classes cannot be filled from {classes}",
            loss.key()
        );
        for &regularizer in &config.regularizers {
            Objective::check(config, loss, regularizer)?;
        }
    }
    Ok(())
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
        let (embedder, training_seconds, rows) = match (subject, seed) {
            (Subject::Trained(cell), Some(seed)) => {
                let training = Training {
                    config,
                    cell,
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
                export::network(&trained.embedder, directory)?;
                (Some(trained.embedder), Some(trained.seconds), trained.rows)
            }
            (Subject::Untrained, Some(seed)) => {
                let embedder = untrained(config, data, seed, device);
                (Some(embedder.valid()), None, Vec::new())
            }
            _ => (None, None, Vec::new()),
        };
        let start = Instant::now();
        let evaluation = match embedder {
            Some(embedder) => {
                let embedded = embeddings(&embedder, &data.test, device);
                export::test_embeddings(&embedded, &data.test, directory)?;
                evaluate(&config.evaluation, embedded, &data.test)?
            }
            None => evaluate_pixels(&config.evaluation, &data.test, device)?,
        };
        Ok(Some(Measured {
            seed,
            training_seconds,
            evaluation_seconds: start.elapsed().as_secs_f64(),
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
    let Evaluation { retrieval, usage } = &measured.evaluation;
    let share = usage
        .as_ref()
        .map(|usage| format!(", s_mu/U {:.2}", usage.share()))
        .unwrap_or_default();
    show(&format!(
        "{}{seed}: R@1 {:.3}{share} ({:.0} s)\n",
        subject.title(),
        retrieval.recall(1).unwrap_or(0.0),
        measured.seconds(),
    ));
}
