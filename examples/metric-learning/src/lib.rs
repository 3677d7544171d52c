//! Metric learning with ranking losses and regularizers at several learning rates: which survive a large
//! one, and how much of their space the embeddings use.

pub mod args;
pub mod batches;
pub mod cell;
pub mod config;
pub mod data;
pub mod evaluation;
pub mod export;
pub mod model;
pub mod objective;
pub mod study;
pub mod sweep;
