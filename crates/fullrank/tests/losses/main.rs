//! The losses on `Device::default()`: `BURN_DEVICE=ndarray cargo test` runs them on another backend.

mod accuracy;
mod composition;
mod configuration;
mod edge_cases;
mod golden;
mod gradients;
mod invariance;
mod matrices;
mod shards;
mod split_batch;
mod training;
