//! Trains encoders with ranking losses and reports which survive a large learning rate.

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Parser, ValueEnum};
use fullrank_train::run::settings;
use fullrank_train::run::stop::Stop;
use metric_learning::args::{Args, Command, SweepArgs};
use metric_learning::data::Data;
use metric_learning::run::Run;
use metric_learning::sweep::{Part, Sweep};
use metric_learning::{report, sweep};

fn main() -> Result<ExitCode> {
    let args = Args::parse();
    match &args.command {
        Some(Command::Sweep(grid)) => run_sweep(grid),
        None => run(&args),
    }
}

fn run(args: &Args) -> Result<ExitCode> {
    if args.print_config {
        print!("{}", settings::to_json(&args.run_config()?)?);
        return Ok(ExitCode::SUCCESS);
    }
    let device = args.run.device.device()?;
    let name = args.run.name.as_deref();
    let run = match args.resume {
        true => Run::open(&args.run.runs, name)?,
        false => Run::start(&args.run.runs, name, args.run_config()?)?,
    };
    let data = Data::load(&run.config.data)?;
    let stop = Stop::on_ctrl_c()?;
    let folder = run.directory.display();
    println!("{data}; results in {folder}");
    match run.execute(&data, &device, args.run.display(), &stop)? {
        Some(entries) => {
            let table = report::write(&run, &data, &entries)?;
            println!("\n{table}\nTable, report, plots, metrics, encoders and embeddings: {folder}");
            Ok(ExitCode::SUCCESS)
        }
        None => {
            println!("{}", args.run.how_to_continue(&run.directory));
            Ok(ExitCode::from(130))
        }
    }
}

fn run_sweep(args: &SweepArgs) -> Result<ExitCode> {
    let config = args.settings.over(sweep::defaults)?;
    config.validate().context("in the configuration")?;
    let device = args.device.device()?;
    let data = Data::load(&config.data)?;
    let grid = Sweep::open(&args.out, config)?;
    let stop = Stop::on_ctrl_c()?;
    let folder = args.out.display();
    println!("{data}; results in {folder}");
    let parts = match &args.only {
        Some(parts) => parts.as_slice(),
        None => Part::value_variants(),
    };
    match grid.execute(parts, &data, &device, &stop)? {
        Some(tables) => {
            println!("\n{tables}\nTables, plots and cells: {folder}");
            Ok(ExitCode::SUCCESS)
        }
        None => {
            println!("Stopped. Continue with the same command.");
            Ok(ExitCode::from(130))
        }
    }
}
