//! Trains encoders without labels and reports which of them collapsed.

use std::io::IsTerminal;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, ValueEnum};
use fullrank_cli::device::DeviceArg;
use self_supervised::args::Args;
use self_supervised::data::Data;
use self_supervised::report;
use self_supervised::run::Run;
use self_supervised::stop::Stop;
use self_supervised::training::Display;

fn main() -> Result<ExitCode> {
    let args = Args::parse();
    if args.print_config {
        print!("{}", args.run_config()?.to_json()?);
        return Ok(ExitCode::SUCCESS);
    }
    let device = args.device.device()?;
    let name = args.name.as_deref();
    let run = match args.resume {
        true => Run::open(&args.runs, name)?,
        false => Run::start(&args.runs, name, args.run_config()?)?,
    };
    let data = Data::load(&run.config.data)?;
    let stop = Stop::on_ctrl_c()?;
    let display = match args.dashboard && std::io::stdout().is_terminal() {
        true => Display::Dashboard,
        false => Display::Compact,
    };
    let folder = run.directory.display();
    let [channels, height, width] = data.train.shape();
    println!(
        "{} training and {} test images of {channels} x {height} x {width}; results in {folder}",
        data.train.len(),
        data.test.len(),
    );

    match run.execute(&data, &device, display, &stop)? {
        Some(entries) => {
            println!(
                "\n{}\nTable, plots, metrics and encoders: {folder}",
                report::write(&run, &entries)?
            );
            Ok(ExitCode::SUCCESS)
        }
        None => {
            let runs = args.runs.display();
            println!(
                "Stopped. Continue with --resume --runs {runs} --name {}{}",
                run.name(),
                device_option(args.device)
            );
            Ok(ExitCode::from(130))
        }
    }
}

/// The option that chooses the device again; nothing for the default.
fn device_option(device: DeviceArg) -> String {
    match device.to_possible_value() {
        Some(value) if device != DeviceArg::default() => format!(" --device {}", value.get_name()),
        _ => String::new(),
    }
}
