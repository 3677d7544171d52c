//! The grid behind SVMax's figures: cell after cell, each a file when it is finished.

mod circle;
mod comparisons;
mod grid;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use burn::module::Module;
use burn::tensor::Device;
use clap::ValueEnum;
use fullrank_files::{FileError, read_json, write_json};
use fullrank_study::configuration::{self, CONFIG};
use fullrank_study::data::Data;
use fullrank_study::folder;
use fullrank_study::lock::RunLock;
use fullrank_study::{Study, Training, initial};
use fullrank_train::session::progress::show;
use fullrank_train::session::{Display, SessionError, Stop};

use crate::args::SweepArgs;
use crate::config::{DataName, RunConfig};
use crate::data;
use crate::evaluation::{embeddings, evaluate, evaluate_pixels};

pub use circle::{CircleConfig, Trace};
pub use grid::{GridConfig, Outcome, Point};

/// A part of the grid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// Recall@1 over the learning rate, with and without SVMax, of each loss
    Lr,
    /// The mean singular value on the test images over the batch size, with and without SVMax
    Batch,
    /// Recall@1 over the weight of SVMax
    Lambda,
    /// Embeddings of two dimensions over training
    Circle,
    /// Spread-out beside SVMax in the first part
    SpreadOut,
}

/// A folder of finished cells and the configuration that they come from.
#[derive(Clone, Debug)]
pub struct Sweep {
    /// Such as `runs/sweep`.
    pub directory: PathBuf,
    /// What every training has in common.
    pub config: RunConfig,
    /// Which trainings.
    pub grid: GridConfig,
    /// The unit circles.
    pub circle: CircleConfig,
}

/// The file of the pixels' scores.
const PIXELS: &str = "raw-pixels.json";
/// The file of the untrained encoder's scores.
const UNTRAINED: &str = "untrained.json";

/// Begins or continues the sweep that the arguments ask for.
pub fn program(args: &SweepArgs) -> Result<ExitCode> {
    let config = args.settings.over(defaults)?;
    config.validate().context("in the configuration")?;
    let device = args.device.device()?;
    let data = data::load(&config.data)?;
    let sweep = Sweep::open(&args.out, config)?;
    let stop = Stop::on_ctrl_c()?;
    let folder = args.out.display();
    show(&format!("{data}; results in {folder}\n"));
    let parts = args.only.as_deref().unwrap_or(Part::value_variants());
    match sweep.execute(parts, &data, &device, &stop)? {
        Some(tables) => {
            show(&format!("\n{tables}\nTables, plots and cells: {folder}\n"));
            Ok(ExitCode::SUCCESS)
        }
        None => {
            show("Stopped. Continue with the same command.\n");
            Ok(ExitCode::from(130))
        }
    }
}

/// The defaults of a sweep's trainings: those of a run, but shorter, and measured at the end only.
pub fn defaults(data: DataName) -> RunConfig {
    let mut config = RunConfig::defaults(data);
    config.iterations = 250;
    config.validate_every = 250;
    config.spectrum_every = 50;
    config.evaluation.nmi = false;
    config
}

impl Sweep {
    /// A sweep in `directory`, begun or to begin.
    ///
    /// # Errors
    ///
    /// If the folder holds cells of another configuration.
    pub fn open(directory: &Path, config: RunConfig) -> Result<Self> {
        let sweep = Self {
            directory: directory.to_path_buf(),
            config,
            grid: GridConfig::default(),
            circle: CircleConfig::default(),
        };
        sweep.check_configuration()?;
        Ok(sweep)
    }

    /// An error if the folder holds cells of another configuration.
    fn check_configuration(&self) -> Result<()> {
        let path = self.directory.join(CONFIG);
        if path.exists() {
            let there = fs::read_to_string(&path).map_err(FileError::read(&path))?;
            ensure!(
                there == configuration::to_json(&self.config)?,
                "{} has cells of another configuration ({CONFIG}): choose another folder with --out",
                self.directory.display()
            );
        }
        Ok(())
    }

    /// Computes what is not there yet of the parts, and writes the report after each training. Returns
    /// the report's tables, or `None` if the stop came first.
    pub fn execute(
        &self,
        parts: &[Part],
        data: &Data,
        device: &Device,
        stop: &Stop,
    ) -> Result<Option<String>> {
        self.grid.checked(&self.config).check(data)?;
        let _lock = RunLock::take(&self.directory)?;
        // Another process may have begun since the sweep was opened.
        self.check_configuration()?;
        folder::write_config(&self.directory, &configuration::to_json(&self.config)?)?;
        let cells = self.directory.join("cells");
        fs::create_dir_all(&cells).map_err(FileError::write(&cells))?;
        self.baselines(data, device)?;

        let points = self.grid.points(&self.config, parts);
        for (index, point) in points.iter().enumerate() {
            let path = self.cell(point);
            if path.exists() {
                continue;
            }
            let Some(outcome) = self.outcome(point, data, device, stop)? else {
                return Ok(None);
            };
            write_json(&path, &outcome)?;
            // Not before: until then the training is all that there is.
            let training = self.training(point);
            fs::remove_dir_all(&training).map_err(FileError::write(&training))?;
            let (done, of) = (index + 1, points.len());
            show(&format!("[{done}/{of}] {}: {outcome}\n", point.title()));
            self.report()?;
            if stop.requested() {
                return Ok(None);
            }
        }
        if parts.contains(&Part::Circle) {
            for (regularizer, path) in self.circle.files(&self.directory) {
                if path.exists() {
                    continue;
                }
                let circle = &self.circle;
                let trace = circle.trace(&self.config, regularizer, data, device, stop)?;
                let Some(trace) = trace else {
                    return Ok(None);
                };
                write_json(&path, &trace)?;
                show(&format!("unit circle, {}\n", regularizer.title()));
            }
        }
        self.report().map(Some)
    }

    fn baselines(&self, data: &Data, device: &Device) -> Result<()> {
        let (evaluation, test) = (&self.config.evaluation, &data.test);
        let path = self.directory.join(PIXELS);
        if !path.exists() {
            write_json(&path, &evaluate_pixels(evaluation, test, device)?)?;
        }
        let path = self.directory.join(UNTRAINED);
        if !path.exists() {
            // All cells begin with the same network.
            let (case, seed) = (self.config.cases()[0], self.grid.seeds[0]);
            let network = initial(&self.config, case, seed, data, device).valid();
            let embedded = embeddings(&network.embedder, test, device);
            write_json(&path, &evaluate(evaluation, embedded, test)?)?;
        }
        Ok(())
    }

    /// The file of a point's outcome.
    fn cell(&self, point: &Point) -> PathBuf {
        let name = format!("{}.json", point.key());
        self.directory.join("cells").join(name)
    }

    /// The folder of a point's training.
    fn training(&self, point: &Point) -> PathBuf {
        self.directory.join("training").join(point.key())
    }

    /// Trains and measures a point; `None` if the stop came first.
    fn outcome(
        &self,
        point: &Point,
        data: &Data,
        device: &Device,
        stop: &Stop,
    ) -> Result<Option<Outcome>> {
        let config = point.config(&self.config);
        let training = Training {
            study: &config,
            case: point.cell,
            seed: point.seed,
            data,
            device,
            directory: self.training(point),
            display: Display::Compact,
            stop,
        };
        let start = Instant::now();
        let evaluation = match training.run() {
            Ok(Some(trained)) => {
                let embedded = embeddings(&trained.model.embedder, &data.test, device);
                Some(evaluate(&config.evaluation, embedded, &data.test)?)
            }
            Ok(None) => return Ok(None),
            // At a large learning rate that is a result, too.
            Err(error) => match error.downcast_ref() {
                Some(SessionError::Diverged { .. }) => None,
                _ => return Err(error),
            },
        };
        Ok(Some(Outcome {
            point: point.clone(),
            evaluation,
            seconds: start.elapsed().as_secs_f64(),
        }))
    }

    /// Every finished point.
    fn outcomes(&self) -> Result<Vec<Outcome>> {
        let points = self.grid.points(&self.config, Part::value_variants());
        let paths = points.iter().map(|point| self.cell(point));
        let finished = paths.filter(|path| path.exists());
        finished.map(|path| Ok(read_json(&path)?)).collect()
    }
}
