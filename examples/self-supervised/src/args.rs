//! The command line.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::{Parser, ValueEnum};
use fullrank_study::data::DataName;
use fullrank_study::encoder_args::EncoderArgs;
use fullrank_study::run_args::RunArgs;
use fullrank_train::optimizer::OptimizerConfig;

use crate::config::{Accumulation, Method, RunConfig};

/// Train encoders without labels and see which regularizers keep the embedding from collapsing.
///
/// Every method trains the same encoder on two augmented views of each image. On the frozen
/// encoder, k-NN and a linear probe then tell what it learned, beside two baselines: the raw
/// pixels and the same encoder untrained. Table, metrics, plots and encoders go to runs/NAME/.
///
/// Without arguments: none, svmax, variance and vicreg on 6,000 shipped images, about seven minutes
/// on two cores.
///
/// Everything else is in the configuration: see --print-config and --config.
#[derive(Parser, Debug)]
#[command(name = "self-supervised", version, max_term_width = 100)]
pub struct Args {
    /// What to train
    #[arg(long, value_enum, value_delimiter = ',', value_name = "METHOD,...")]
    pub methods: Option<Vec<Method>>,

    /// The images
    #[arg(long, value_enum)]
    pub data: Option<DataName>,

    /// The folder of the images
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,

    /// The encoder
    #[command(flatten)]
    pub encoder: EncoderArgs,

    /// Passes over the training images
    #[arg(long)]
    pub epochs: Option<usize>,

    /// Images in a batch, each in two views
    #[arg(long)]
    pub batch_size: Option<usize>,

    /// Work through a batch in chunks of at most N images, with the gradient of the whole batch: for
    /// batches that are too large for the memory
    #[arg(long, value_name = "N")]
    pub chunk: Option<usize>,

    /// The optimizer, with its default settings
    #[arg(long, value_enum)]
    pub optimizer: Option<OptimizerName>,

    /// The learning rate after the warm-up
    #[arg(long)]
    pub learning_rate: Option<f64>,

    /// Train each method once for each seed; the table shows mean and spread
    #[arg(long, value_delimiter = ',', value_name = "SEED,...")]
    pub seeds: Option<Vec<u64>>,

    /// Stop a training whose validation loss has not improved for N epochs; the encoder of its
    /// last epoch is kept, not that of the best
    #[arg(long, value_name = "N")]
    pub patience: Option<usize>,

    /// A JSON file with any part of the configuration; options on the command line win over it
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Where the run is and how it is shown
    #[command(flatten)]
    pub run: RunArgs,

    /// As one of the processes that mpirun started: they share every batch
    #[cfg(feature = "mpi")]
    #[arg(long, conflicts_with_all = ["print_config", "check", "dashboard"])]
    pub distributed: bool,

    /// Continue an interrupted run with its own configuration: the highest-numbered run-N if
    /// --name does not say which
    #[arg(long, conflicts_with_all = [
        "methods", "data", "data_dir", "encoder", "width", "epochs", "batch_size",
        "chunk", "optimizer", "learning_rate", "seeds", "patience", "config", "print_config", "check",
    ])]
    pub resume: bool,
}

/// The optimizers that the command line can choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OptimizerName {
    /// LARS, for large batches
    Lars,
    /// Adam with decoupled weight decay
    #[value(name = "adamw")]
    AdamW,
    /// Stochastic gradient descent with momentum
    Sgd,
}

impl Args {
    /// The configuration that the arguments ask for: defaults, then the file, then the options.
    pub fn run_config(&self) -> Result<RunConfig> {
        let mut config = match &self.config {
            Some(path) => RunConfig::load(path, self.data)?,
            None => RunConfig::defaults(self.data.unwrap_or(DataName::FashionMnistMini)),
        };
        config.methods = self.methods.clone().unwrap_or(config.methods);
        config.epochs = self.epochs.unwrap_or(config.epochs);
        config.batch_size = self.batch_size.unwrap_or(config.batch_size);
        let exact = self.chunk.map(Accumulation::Exact);
        config.accumulation = exact.or(config.accumulation);
        let rate = &mut config.schedule.learning_rate;
        *rate = self.learning_rate.unwrap_or(*rate);
        config.seeds = self.seeds.clone().unwrap_or(config.seeds);
        config.data.dir = self.data_dir.clone().or(config.data.dir);
        config.patience = self.patience.or(config.patience);
        self.encoder.apply(&mut config.encoder)?;
        match self.optimizer {
            Some(OptimizerName::Lars) => config.optimizer = OptimizerConfig::lars(),
            Some(OptimizerName::AdamW) => config.optimizer = OptimizerConfig::adamw(),
            Some(OptimizerName::Sgd) => config.optimizer = OptimizerConfig::sgd(),
            None => {}
        }
        config.validate().context("in the configuration")?;
        Ok(config)
    }
}
