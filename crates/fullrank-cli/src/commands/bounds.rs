//! `fullrank bounds`: what the mean singular value of a batch can be.

use anyhow::Result;
use clap::Args;
use fullrank::Bounds;
use fullrank_cli::exit::print;

/// The bounds of the mean singular value of a batch of unit rows
///
/// With r = min(B, D): sqrt(B) / r at rank one, sqrt(B / r) at a flat spectrum.
#[derive(Args)]
pub(crate) struct BoundsArgs {
    /// Number of rows
    #[arg(long, value_name = "B", value_parser = clap::value_parser!(u64).range(1..))]
    batch: u64,
    /// Number of dimensions
    #[arg(long, value_name = "D", value_parser = clap::value_parser!(u64).range(1..))]
    dim: u64,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &BoundsArgs) -> Result<()> {
    let bounds = Bounds::new(usize::try_from(args.batch)?, usize::try_from(args.dim)?);
    print(&match args.json {
        true => serde_json::to_string(&bounds)? + "\n",
        false => format!(
            "lower  {}   rank one: collapse\nupper  {}   flat spectrum\nrank   {}\n",
            bounds.lower, bounds.upper, bounds.rank
        ),
    })
}
