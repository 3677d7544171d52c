#![doc = include_str!("../README.md")]

mod embedding;
mod embeddings;
mod error;
mod html;
mod inspect;
pub mod plots;
mod projection;
mod report;
mod retrievals;
mod row_sample;
mod settings;
mod table;

#[cfg(test)]
mod tests;

pub use embedding::Embedding;
pub use error::Error;
pub use inspect::inspect_report;
pub use report::Report;
pub use retrievals::{Neighbour, Retrieval, nearest_neighbours};
pub use row_sample::RowSample;
pub use table::{Table, mean_and_spread};

/// What draws the rows that stand for many.
const SEED: u64 = 1;
