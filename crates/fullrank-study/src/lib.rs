#![doc = include_str!("../README.md")]

pub mod agreement;
mod column;
pub mod configuration;
pub mod data;
pub mod encoder_args;
mod error;
mod findings;
pub mod folder;
pub mod lock;
mod measured;
mod program;
mod run;
pub mod run_args;
mod study;
mod training;
mod workers;

pub use column::Column;
pub use error::StudyError;
pub use findings::{EntryOf, Findings, Panel, with_neighbours};
pub use fullrank_cli::{device, exit};
pub use measured::{Case, Entry, Measured, Subject};
pub use program::{program, program_of_workers};
pub use run::Run;
pub use study::{Measuring, Study};
pub use training::{StepOutputOf, Training, host, initial};
pub use workers::Workers;
