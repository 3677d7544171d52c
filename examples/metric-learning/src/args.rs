//! The command line.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::{Args as Options, Parser, Subcommand};
use fullrank_study::device::DeviceArg;
use fullrank_study::encoder_args::EncoderArgs;
use fullrank_study::run_args::RunArgs;

use crate::config::{DataName, LossName, RegularizerName, RunConfig};
use crate::sweep::Part;

/// Train encoders with ranking losses and see which survive a large learning rate.
///
/// Every loss trains with every regularizer at every learning rate. Images of classes that were not trained on
/// then rank each other: table, metrics, plots, encoders (safetensors) and embeddings (.npy) go to
/// runs/NAME/, beside two baselines, the raw pixels and the untrained encoder.
///
/// Without arguments: the contrastive loss with and without SVMax, at a small and a large learning rate,
/// on the shipped emoji; four minutes on two cores.
///
/// Everything else is in the configuration: see --print-config and --config.
#[derive(Parser, Debug)]
#[command(
    name = "metric-learning",
    version,
    max_term_width = 100,
    args_conflicts_with_subcommands = true
)]
pub struct Args {
    /// Another command than a run
    #[command(subcommand)]
    pub command: Option<Command>,

    /// The ranking losses
    #[arg(long, value_enum, value_delimiter = ',', value_name = "LOSS,...")]
    pub losses: Option<Vec<LossName>>,

    /// What stands beside each loss
    #[arg(long, value_enum, value_delimiter = ',', value_name = "NAME,...")]
    pub regularizers: Option<Vec<RegularizerName>>,

    /// The learning rates of the constant first half
    #[arg(long, value_delimiter = ',', value_name = "RATE,...")]
    pub learning_rates: Option<Vec<f64>>,

    /// Train everything once for each seed; the table shows mean and spread
    #[arg(long, value_delimiter = ',', value_name = "SEED,...")]
    pub seeds: Option<Vec<u64>>,

    /// What to train on, with what, and for how long
    #[command(flatten)]
    pub settings: SettingsArgs,

    /// Where the run is and how it is shown
    #[command(flatten)]
    pub run: RunArgs,

    /// Continue an interrupted run with its own configuration: the highest-numbered run-N if
    /// --name does not say which
    #[arg(long, conflicts_with_all = [
        "losses", "regularizers", "learning_rates", "seeds", "data", "data_dir", "encoder", "width",
        "iterations", "config", "print_config", "check",
    ])]
    pub resume: bool,
}

/// The commands beside a run.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// The grid of SVMax's figures: learning rates, batch sizes, weights and the unit circle
    Sweep(SweepArgs),
}

/// The settings that a run and a sweep share.
#[derive(Options, Debug, Default)]
pub struct SettingsArgs {
    /// The images
    #[arg(long, value_enum)]
    pub data: Option<DataName>,

    /// The folder of the images
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,

    /// The encoder
    #[command(flatten)]
    pub encoder: EncoderArgs,

    /// Steps of the optimizer in each training
    #[arg(long)]
    pub iterations: Option<usize>,

    /// A JSON file with any part of the configuration; options on the command line win over it
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

impl SettingsArgs {
    /// The defaults, then the file, then the options.
    pub fn over(&self, defaults: fn(DataName) -> RunConfig) -> Result<RunConfig> {
        let mut config = match &self.config {
            Some(path) => RunConfig::load(path, self.data, defaults)?,
            None => defaults(self.data.unwrap_or(DataName::EmojiMini)),
        };
        config.data.dir = self.data_dir.clone().or(config.data.dir);
        self.encoder.apply(&mut config.encoder)?;
        if let Some(iterations) = self.iterations {
            // As many validations as before, if that is possible.
            let validations = config.iterations / config.validate_every.max(1);
            config.iterations = iterations;
            config.validate_every = match validations {
                n if n > 0 && iterations.is_multiple_of(n) => iterations / n,
                _ => iterations,
            };
        }
        Ok(config)
    }
}

impl Args {
    /// The configuration that the arguments ask for.
    pub fn run_config(&self) -> Result<RunConfig> {
        let mut config = self.settings.over(RunConfig::defaults)?;
        config.losses = self.losses.clone().unwrap_or(config.losses);
        config.regularizers = self.regularizers.clone().unwrap_or(config.regularizers);
        config.learning_rates = self.learning_rates.clone().unwrap_or(config.learning_rates);
        config.seeds = self.seeds.clone().unwrap_or(config.seeds);
        config.validate().context("in the configuration")?;
        Ok(config)
    }
}

/// What a sweep computes.
#[derive(Options, Debug)]
pub struct SweepArgs {
    /// The parts of the grid [default: all]
    #[arg(long, value_enum, value_delimiter = ',', value_name = "PART,...")]
    pub only: Option<Vec<Part>>,

    /// What to train on, with what, and for how long
    #[command(flatten)]
    pub settings: SettingsArgs,

    /// Where to compute
    #[arg(long, value_enum, default_value = "flex")]
    pub device: DeviceArg,

    /// The sweep's folder; what it holds is not computed again
    #[arg(long, value_name = "DIR", default_value = "runs/sweep")]
    pub out: PathBuf,
}
