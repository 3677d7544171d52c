#![doc = include_str!("../README.md")]

mod barlow_twins;
mod bounds;
mod covariance;
#[cfg(feature = "spectrum")]
pub mod diagnostics;
#[cfg(feature = "host-solver")]
mod host_cholesky;
#[cfg(feature = "host-solver")]
mod host_correlation;
mod host_device;
#[cfg(feature = "host-solver")]
mod host_matrix;
#[cfg(feature = "host-solver")]
mod host_memory;
#[cfg(feature = "host-solver")]
mod host_moments;
#[cfg(feature = "host-solver")]
mod host_symmetric;
mod methods;
mod moments;
mod nuclear_norm;
mod regularizer;
#[cfg(feature = "spectrum")]
mod spectrum;
mod surrogate;
mod svmax;
mod terms;
#[cfg(all(test, feature = "host-solver"))]
mod test_matrices;
mod unit_rows;
mod variance;
mod variance_covariance;
mod vicreg;

pub use barlow_twins::{BarlowTwins, BarlowTwinsConfig};
pub use bounds::Bounds;
pub use covariance::{Covariance, CovarianceConfig};
#[cfg(feature = "spectrum")]
pub use diagnostics::Diagnostics;
pub use regularizer::{Regularizer, RegularizerConfig, RegularizerSum};
#[cfg(feature = "spectrum")]
pub use spectrum::{rankme, singular_values};
pub use surrogate::Evaluation;
pub use svmax::{SvMax, SvMaxConfig, SvMaxForm, SvMaxSolver};
pub use terms::Terms;
pub use unit_rows::unit_rows;
pub use variance::{Variance, VarianceConfig};
pub use variance_covariance::{VarianceCovariance, VarianceCovarianceConfig};
pub use vicreg::{VicReg, VicRegConfig, VicRegScaling};

/// What the losses of another crate of this workspace are made of.
#[doc(hidden)]
pub mod internals {
    pub use crate::host_device::is_host;
    pub use crate::surrogate::{
        Part, Parts, complete, evaluate, forward, forward_terms, in_statistics_precision,
    };
}

/// The tests inside the crate share the embeddings of those outside, which name it.
#[cfg(test)]
extern crate self as fullrank;

/// The code of the repository's README, compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
pub struct Readme;
