//! A run on disk: its folder and configuration, trainings that can be interrupted at any moment and
//! resumed to the same result, and their metrics.
//!
//! A run is a folder, below a folder of runs, with `config.json` and whatever the run writes. What is
//! finished is a whole file, so the same call that started a run continues it.

pub mod checkpoint;
mod error;
pub mod files;
pub mod folder;
pub mod history;
pub mod matrix;
pub mod progress;
pub mod session;
pub mod settings;
pub mod stop;
pub mod subjects;
pub mod weights;

pub use error::RunError;
