//! Trains encoders without labels and reports which of them collapsed.

use std::process::ExitCode;

use clap::Parser;
use fullrank_study::exit::exit;
use fullrank_study::program;
use self_supervised::args::Args;

fn main() -> ExitCode {
    let args = Args::parse();
    exit(|| program(&args.run, args.resume, || args.run_config()))
}
