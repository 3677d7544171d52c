//! The program around a run.

use std::process::ExitCode;

use anyhow::{Result, ensure};
use burn::tensor::Device;
use fullrank_cli::exit::print;
use fullrank_train::session::Stop;
use fullrank_train::session::progress::show;

use crate::agreement::{Agreement, largest};
use crate::configuration;
use crate::measured::Case;
use crate::run::Run;
use crate::run_args::RunArgs;
use crate::study::Study;
use crate::workers::Workers;

/// Starts the run that `configured` describes, or continues one, and tells how it went: exit code 0 at the end,
/// and 130 if Ctrl-C stopped it, with how to continue.
///
/// # Errors
///
/// Those of [`Run`]; with `--check`, if the device differs from the CPU.
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
    if args.check {
        return check(&configured()?, &device);
    }
    let run = opened(args, resume, configured)?;
    told(args, run, &device)
}

/// [`program`] for one of several processes that train together: the first has the run, and each of the others ends
/// with 0 when the first has no more trainings. `--print-config` and `--check` are not for them.
///
/// # Errors
///
/// Those of [`Run`] and of [`Workers::follow`]. The others wait for a process that has one: it must end them.
pub fn program_of_workers<S: Study>(
    args: &RunArgs,
    resume: bool,
    configured: impl FnOnce() -> Result<S>,
    workers: &Workers,
) -> Result<ExitCode> {
    let device = args.device.device()?;
    if !workers.is_first() {
        workers.follow::<S>(&device)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut run = opened(args, resume, configured)?;
    run.study = run.study.shared(workers.clone())?;
    workers.begin(&run.study)?;
    let code = told(args, run, &device)?;
    if code == ExitCode::SUCCESS {
        workers.end()?;
    }
    Ok(code)
}

/// A new run, or the one to continue.
fn opened<S: Study>(
    args: &RunArgs,
    resume: bool,
    configured: impl FnOnce() -> Result<S>,
) -> Result<Run<S>> {
    let name = args.name.as_deref();
    match resume {
        true => Run::open(&args.runs, name),
        false => Run::start(&args.runs, name, configured()?),
    }
}

/// Executes a run and tells how it goes.
fn told<S: Study>(args: &RunArgs, run: Run<S>, device: &Device) -> Result<ExitCode> {
    let data = run.study.data()?;
    let stop = Stop::on_ctrl_c()?;
    let folder = run.directory.display();
    show(&format!("{data}; results in {folder}\n"));
    match run.execute(&data, device, args.display(), &stop)? {
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

/// The steps of `--check`.
const CHECKED: usize = 5;

/// What `--check` calls agreement: a wrong kernel differs by more, and rounding in f32 by less.
const TOLERANCE: f64 = 0.01;

/// Tells how far the first steps of each training on the device are from those on the CPU.
fn check<S: Study>(study: &S, device: &Device) -> Result<ExitCode> {
    let data = study.data()?;
    study.check(&data)?;
    show(&format!(
        "{CHECKED} steps of each training on the device and on the CPU: the largest differences, as shares\n"
    ));
    let mut worst = 0.0_f64;
    for case in study.cases() {
        let of = (case, study.seeds()[0]);
        let agreement = Agreement::measure(study, of, &data, device, CHECKED)?;
        let [first, last] = agreement.seconds;
        show(&format!(
            "{}: {agreement}; first step {first:.1} s, last {last:.3} s\n",
            case.title()
        ));
        worst = largest([worst, agreement.worst()].into_iter());
    }
    ensure!(
        worst <= TOLERANCE,
        "losses or optimizer differ from the CPU's by {worst:.0e}, more than rounding does ({TOLERANCE})"
    );
    show(&format!(
        "The device computes what the CPU does, to {worst:.0e}.\n"
    ));
    Ok(ExitCode::SUCCESS)
}
