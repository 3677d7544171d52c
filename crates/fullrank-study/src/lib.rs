#![doc = include_str!("../README.md")]

mod column;
pub mod configuration;
pub mod data;
pub mod encoder_args;
mod error;
pub mod folder;
pub mod lock;
mod measured;
mod program;
mod run;
pub mod run_args;
mod study;
mod training;

pub use column::Column;
pub use error::StudyError;
pub use fullrank_cli::{device, exit};
pub use measured::{Entry, EntryOf, Findings, Measured, Panel, Subject, with_neighbours};
pub use program::program;
pub use run::Run;
pub use study::{Case, Measuring, Study};
pub use training::Training;
