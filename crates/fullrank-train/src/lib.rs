#![doc = include_str!("../README.md")]

pub mod all_reduce;
mod host_values;
pub mod knn;
pub mod large_batch;
pub mod lars;
pub mod linear_probe;
pub mod metrics;
pub mod optimizer;
pub mod schedule;
pub mod session;

/// The Rust of the guide, compiled.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/guide.md")]
pub struct Guide;
