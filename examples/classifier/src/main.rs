//! Trains classifiers and reports what a regularizer at the penultimate layer does to them.

use std::process::ExitCode;

use clap::Parser;
use classifier::args::Args;
use fullrank_study::exit::exit;
use fullrank_study::program;

fn main() -> ExitCode {
    let args = Args::parse();
    exit(|| program(&args.run, args.resume, || args.run_config()))
}
