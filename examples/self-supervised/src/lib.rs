//! Self-supervised training of an encoder with several regularizers, side by side: who collapses,
//! and who does not.

pub mod args;
pub mod config;
pub mod cost;
pub mod evaluation;
pub mod model;
mod naive;
pub mod objective;
mod report;
pub mod study;
