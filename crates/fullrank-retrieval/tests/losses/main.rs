//! The losses on `Device::default()`: `BURN_DEVICE=ndarray cargo test` runs them on another backend.

mod all_rows;
mod batches;
mod collapsed;
mod edge_cases;
mod golden;
mod gradients;
mod mining;
mod oracle;
mod regularized;
