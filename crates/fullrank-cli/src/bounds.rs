//! `fullrank bounds`: what the mean singular value of a batch can be.

use anyhow::Result;
use clap::Args;
use fullrank::Bounds;

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
    if args.json {
        println!("{}", serde_json::to_string(&bounds)?);
    } else {
        println!("lower  {}   rank one: collapse", bounds.lower);
        println!("upper  {}   flat spectrum", bounds.upper);
        println!("rank   {}", bounds.rank);
    }
    Ok(())
}
