//! Self-supervised training of an encoder with several regularizers, side by side: who collapses,
//! and who does not.

pub mod args;
pub mod checkpoint;
pub mod config;
pub mod cost;
pub mod data;
pub mod evaluation;
mod files;
pub mod history;
pub mod model;
pub mod objective;
pub mod progress;
pub mod report;
pub mod run;
pub mod stop;
pub mod training;
