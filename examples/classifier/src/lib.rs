//! A classifier trained on few labels, with and without a regularizer at its penultimate layer.

pub mod args;
pub mod batches;
pub mod config;
pub mod evaluation;
pub mod model;
pub mod study;

/// The code of the repository's README, compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
pub struct Readme;
