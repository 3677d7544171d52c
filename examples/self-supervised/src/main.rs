//! Trains encoders without labels and reports which of them collapsed.

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use fullrank_study::data::Data;
use fullrank_study::exit::{exit, print};
use fullrank_train::session::Stop;
use fullrank_train::session::progress::show;
use self_supervised::args::Args;
use self_supervised::report;
use self_supervised::run::Run;

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
    let data = Data::load(&run.config.data)?;
    let stop = Stop::on_ctrl_c()?;
    let folder = run.directory.display();
    let [channels, height, width] = data.train.shape();
    show(&format!(
        "{} training and {} test images of {channels} x {height} x {width}; results in {folder}\n",
        data.train.len(),
        data.test.len(),
    ));

    match run.execute(&data, &device, args.run.display(), &stop)? {
        Some(entries) => {
            show(&format!(
                "\n{}\nReport (report.html), table, plots, metrics and encoders: {folder}\n",
                report::write(&run, &data, &entries)?
            ));
            Ok(ExitCode::SUCCESS)
        }
        None => {
            show(&format!("{}\n", args.run.how_to_continue(&run.directory)));
            Ok(ExitCode::from(130))
        }
    }
}
