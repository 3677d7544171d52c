//! The options that every run has.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use fullrank_cli::device::DeviceArg;
use fullrank_train::session::Display;

use crate::folder;

/// Where a run computes, where its results go, and how it is shown.
#[derive(Args, Clone, Debug)]
pub struct RunArgs {
    /// Where to compute
    #[arg(long, value_enum, default_value = "flex")]
    pub device: DeviceArg,

    /// The run's folder in the runs folder [default: run-1, run-2, ...]
    #[arg(long)]
    pub name: Option<String>,

    /// Where the folders of the runs are
    #[arg(long, value_name = "DIR", default_value = "runs")]
    pub runs: PathBuf,

    /// Print the whole configuration as JSON and exit
    #[arg(long)]
    pub print_config: bool,

    /// Take five steps of each training on the device and on the CPU, say how far they differ, and exit: what to
    /// run first on a new GPU
    #[arg(long)]
    pub check: bool,

    /// Show each training in burn-train's dashboard, if standard output is a terminal
    #[arg(long)]
    pub dashboard: bool,
}

impl RunArgs {
    /// How to show a training.
    pub fn display(&self) -> Display {
        match self.dashboard && std::io::stdout().is_terminal() {
            true => Display::Dashboard,
            false => Display::Compact,
        }
    }

    /// What to say when a run has been stopped: how to continue it.
    pub fn how_to_continue(&self, directory: &Path) -> String {
        let device = match self.device.to_possible_value() {
            Some(value) if self.device != DeviceArg::default() => {
                format!(" --device {}", value.get_name())
            }
            _ => String::new(),
        };
        format!(
            "Stopped. Continue with --resume --runs {} --name {}{device}",
            self.runs.display(),
            folder::name(directory)
        )
    }
}
