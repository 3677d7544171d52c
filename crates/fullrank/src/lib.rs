#![doc = include_str!("../README.md")]

mod barlow_twins;
mod bounds;
mod covariance;
mod methods;
mod minimax;
mod moments;
mod nuclear_norm;
mod regularizer;
#[cfg(feature = "spectrum")]
mod spectrum;
mod surrogate;
mod svmax;
mod terms;
mod unit_rows;
mod variance;
mod variance_covariance;
mod vicreg;

pub use barlow_twins::{BarlowTwins, BarlowTwinsConfig};
pub use bounds::Bounds;
pub use covariance::{Covariance, CovarianceConfig};
pub use regularizer::{Regularizer, RegularizerConfig, RegularizerSum};
#[cfg(feature = "spectrum")]
pub use spectrum::{rankme, singular_values};
pub use surrogate::Evaluation;
pub use svmax::{SvMax, SvMaxConfig, SvMaxForm};
pub use terms::Terms;
pub use unit_rows::unit_rows;
pub use variance::{Variance, VarianceConfig};
pub use variance_covariance::{VarianceCovariance, VarianceCovarianceConfig};
pub use vicreg::{VicReg, VicRegConfig, VicRegScaling};

/// The code of the repository's README, compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
pub struct Readme;
