//! Trains classifiers and reports what a regularizer at the penultimate layer does to them.

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use classifier::args::Args;
use classifier::report;
use classifier::run::Run;
use fullrank_study::data::Data;
use fullrank_study::exit::{exit, print};
use fullrank_train::session::Stop;
use fullrank_train::session::progress::show;

fn main() -> ExitCode {
    let args = Args::parse();
    exit(|| run(&args))
}

fn run(args: &Args) -> Result<ExitCode> {
    if args.print_config {
        print(&args.run_config()?.to_json()?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let device = args.run.device.device()?;
    let name = args.run.name.as_deref();
    let run = match args.resume {
        true => Run::open(&args.run.runs, name)?,
        false => Run::start(&args.run.runs, name, args.run_config()?)?,
    };
    let data = run.config.measured_on(Data::load(&run.config.data)?)?;
    let stop = Stop::on_ctrl_c()?;
    let folder = run.directory.display();
    show(&format!(
        "{} training and {} test images; results in {folder}\n",
        data.train.len(),
        data.test.len(),
    ));

    match run.execute(&data, &device, args.run.display(), &stop)? {
        Some(entries) => {
            let table = report::write(&run, &entries, &data, &device)?;
            show(&format!(
                "\n{table}\nReport, table, metrics and classifiers: {folder}\n"
            ));
            Ok(ExitCode::SUCCESS)
        }
        None => {
            show(&format!("{}\n", args.run.how_to_continue(&run.directory)));
            Ok(ExitCode::from(130))
        }
    }
}
