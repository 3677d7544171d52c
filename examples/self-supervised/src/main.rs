//! Trains encoders without labels and reports which of them collapsed.

use std::process::ExitCode;

use clap::Parser;
#[cfg(feature = "mpi")]
use fullrank_mpi::World;
use fullrank_study::exit::exit;
use fullrank_study::program;
#[cfg(feature = "mpi")]
use fullrank_study::{Workers, program_of_workers};
use self_supervised::args::Args;

fn main() -> ExitCode {
    let args = Args::parse();
    #[cfg(feature = "mpi")]
    if args.distributed {
        return distributed(&args);
    }
    exit(|| program(&args.run, args.resume, || args.run_config()))
}

/// As one of the processes that `mpirun` started.
#[cfg(feature = "mpi")]
fn distributed(args: &Args) -> ExitCode {
    let world = match World::join() {
        Ok(world) => world,
        Err(error) => return exit(|| Err(error.into())),
    };
    let group = world.group();
    let workers = Workers::new(group.clone(), group.rank());
    let configured = || args.run_config();
    // Its error is told before the others are ended.
    let code = exit(|| program_of_workers(&args.run, args.resume, configured, &workers));
    match code == ExitCode::SUCCESS {
        true => exit(|| world.finish().map(|()| code).map_err(Into::into)),
        false => {
            drop(world);
            code
        }
    }
}
