//! Trains encoders with ranking losses and reports which survive a large learning rate.

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Parser, ValueEnum};
use fullrank_study::configuration;
use fullrank_study::exit::{exit, print};
use fullrank_train::session::Stop;
use fullrank_train::session::progress::show;
use metric_learning::args::{Args, Command, SweepArgs};
use metric_learning::data::Data;
use metric_learning::run::Run;
use metric_learning::sweep::{Part, Sweep};
use metric_learning::{report, sweep};

fn main() -> ExitCode {
    let args = Args::parse();
    exit(|| match &args.command {
        Some(Command::Sweep(grid)) => run_sweep(grid),
        None => run(&args),
    })
}

fn run(args: &Args) -> Result<ExitCode> {
    if args.print_config {
        print(&configuration::to_json(&args.run_config()?)?)?;
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
    show(&format!("{data}; results in {folder}\n"));
    match run.execute(&data, &device, args.run.display(), &stop)? {
        Some(entries) => {
            let table = report::write(&run, &data, &entries)?;
            show(&format!(
                "\n{table}\nTable, report, plots, metrics, encoders and embeddings: {folder}\n"
            ));
            Ok(ExitCode::SUCCESS)
        }
        None => {
            show(&format!("{}\n", args.run.how_to_continue(&run.directory)));
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
    show(&format!("{data}; results in {folder}\n"));
    let parts = match &args.only {
        Some(parts) => parts.as_slice(),
        None => Part::value_variants(),
    };
    match grid.execute(parts, &data, &device, &stop)? {
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
