//! Matrices in the memory of the host. Nothing here knows a loss.

mod device;

#[cfg(feature = "host-solver")]
pub(crate) mod cholesky;
#[cfg(feature = "host-solver")]
pub(crate) mod matrix;
#[cfg(feature = "host-solver")]
pub(crate) mod memory;
#[cfg(feature = "host-solver")]
pub(crate) mod symmetric;

pub use device::is_host;
