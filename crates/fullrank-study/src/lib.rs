#![doc = include_str!("../README.md")]

pub mod configuration;
pub mod data;
pub mod encoder_args;
mod error;
pub mod folder;
pub mod lock;
pub mod run_args;
pub mod subjects;

pub use error::StudyError;
pub use fullrank_cli::{device, exit};
