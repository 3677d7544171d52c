//! The program around a run.

use std::process::ExitCode;

use anyhow::Result;
use fullrank_cli::exit::print;
use fullrank_train::session::Stop;
use fullrank_train::session::progress::show;

use crate::configuration;
use crate::run::Run;
use crate::run_args::RunArgs;
use crate::study::Study;

/// Starts the run that `configured` describes, or continues one, and tells how it went: exit code 0 at the end,
/// and 130 if Ctrl-C stopped it, with how to continue.
///
/// # Errors
///
/// Those of [`Run`].
pub fn program<S: Study>(
    args: &RunArgs,
    resume: bool,
    configured: impl FnOnce() -> Result<S>,
) -> Result<ExitCode> {
    if args.print_config {
        print(&configuration::to_json(&configured()?)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let device = args.device.device()?;
    let name = args.name.as_deref();
    let run = match resume {
        true => Run::open(&args.runs, name)?,
        false => Run::start(&args.runs, name, configured()?)?,
    };
    let data = run.study.data()?;
    let stop = Stop::on_ctrl_c()?;
    let folder = run.directory.display();
    show(&format!("{data}; results in {folder}\n"));
    match run.execute(&data, &device, args.display(), &stop)? {
        Some(entries) => {
            let table = run.report(&data, &entries)?;
            show(&format!(
                "\n{table}\nReport (report.html) and all else: {folder}\n"
            ));
            Ok(ExitCode::SUCCESS)
        }
        None => {
            show(&format!("{}\n", args.how_to_continue(&run.directory)));
            Ok(ExitCode::from(130))
        }
    }
}
