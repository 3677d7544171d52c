//! The command line.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::Parser;
use fullrank_study::data::DataName;
use fullrank_study::run_args::RunArgs;
use fullrank_vision::encoder::EncoderConfig;

use crate::config::{Method, RunConfig};

/// Train a classifier on few labels, with and without a regularizer at its penultimate layer.
///
/// Each method trains the same network from the same weights on the same batches, with cross-entropy
/// and what the method adds to it. Table, report, metrics and classifiers go to runs/NAME/.
///
/// Without arguments: four methods on 100 images of each class, three seeds, about three minutes on
/// two cores.
#[derive(Parser, Debug)]
#[command(name = "classifier", version, max_term_width = 100)]
pub struct Args {
    /// What to train
    #[arg(long, value_enum, value_delimiter = ',', value_name = "METHOD,...")]
    pub methods: Option<Vec<Method>>,

    /// Train on the first N images of each class, or all if there are fewer; several numbers: one
    /// training each
    #[arg(long, value_delimiter = ',', value_name = "N,...")]
    pub per_class: Option<Vec<usize>>,

    /// One training of every method for each seed; the table shows mean and spread
    #[arg(long, value_delimiter = ',', value_name = "SEED,...")]
    pub seeds: Option<Vec<u64>>,

    /// Set the last N training images of each class apart and measure on them in place of the test
    /// images: to choose a weight
    #[arg(long, value_name = "N")]
    pub validation: Option<usize>,

    /// The images
    #[arg(long, value_enum)]
    pub data: Option<DataName>,

    /// The folder of the images
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,

    /// Channels after the first convolution; a quarter of the dimensions of the penultimate layer
    #[arg(long)]
    pub width: Option<usize>,

    /// Parts of the training, after each of which it is measured and can be continued
    #[arg(long)]
    pub epochs: Option<usize>,

    /// A JSON file with any part of the configuration; options on the command line win over it
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Where the run is and how it is shown
    #[command(flatten)]
    pub run: RunArgs,

    /// Continue an interrupted run with its own configuration: the highest-numbered run-N if
    /// --name does not say which
    #[arg(long, conflicts_with_all = [
        "methods", "per_class", "seeds", "validation", "data", "data_dir", "width", "epochs",
        "config", "print_config", "check",
    ])]
    pub resume: bool,
}

impl Args {
    /// The configuration that the arguments ask for: defaults, then the file, then the options.
    pub fn run_config(&self) -> Result<RunConfig> {
        let mut config = match &self.config {
            Some(path) => RunConfig::load(path)?,
            None => RunConfig::default(),
        };
        config.methods = self.methods.clone().unwrap_or(config.methods);
        config.per_class = self.per_class.clone().unwrap_or(config.per_class);
        config.seeds = self.seeds.clone().unwrap_or(config.seeds);
        config.validation = self.validation.or(config.validation);
        config.data.name = self.data.unwrap_or(config.data.name);
        config.data.dir = self.data_dir.clone().or(config.data.dir);
        config.epochs = self.epochs.unwrap_or(config.epochs);
        match (&mut config.encoder, self.width) {
            (EncoderConfig::SmallCnn { width }, Some(wanted)) => *width = wanted,
            (_, Some(_)) => bail!("--width is a setting of small-cnn"),
            _ => {}
        }
        config.validate().context("in the configuration")?;
        Ok(config)
    }
}
