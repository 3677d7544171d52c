#![doc = include_str!("../README.md")]

pub mod encoder;
pub mod expander;
mod host_values;
pub mod knn;
pub mod lars;
pub mod linear_probe;
pub mod loader;
pub mod metrics;
pub mod optimizer;
pub mod plots;
pub mod report;
pub mod resnet;
pub mod run;
pub mod schedule;
pub mod small_cnn;
pub mod table;
pub mod views;

/// The Rust of the guide, compiled.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/guide.md")]
pub struct Guide;
