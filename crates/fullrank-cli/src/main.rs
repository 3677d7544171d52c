//! The `fullrank` command.

mod commands;
mod files;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};
use commands::{bounds, inspect, loss, score};
use fullrank_cli::exit::exit;

/// Losses and measures of embedding matrices, from any framework
#[derive(Parser)]
#[command(name = "fullrank", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Inspect(inspect::InspectArgs),
    Loss(loss::LossArgs),
    Score(score::ScoreArgs),
    Bounds(bounds::BoundsArgs),
}

fn main() -> ExitCode {
    let command = Cli::parse().command;
    exit(|| run(&command))
}

fn run(command: &Command) -> Result<ExitCode> {
    match command {
        Command::Inspect(args) => return inspect::run(args),
        Command::Loss(args) => loss::run(args),
        Command::Score(args) => score::run(args),
        Command::Bounds(args) => bounds::run(args),
    }?;
    Ok(ExitCode::SUCCESS)
}
