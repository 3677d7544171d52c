//! Trains encoders with ranking losses and reports which survive a large learning rate.

use std::process::ExitCode;

use clap::Parser;
use fullrank_study::exit::exit;
use fullrank_study::program;
use metric_learning::args::{Args, Command};
use metric_learning::sweep;

fn main() -> ExitCode {
    let args = Args::parse();
    exit(|| match &args.command {
        Some(Command::Sweep(grid)) => sweep::program(grid),
        None => program(&args.run, args.resume, || args.run_config()),
    })
}
