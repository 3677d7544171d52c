//! The losses, one file each, and what composes them.
//!
//! What is minimized for itself ends in `Loss`, as Burn's losses do: it takes two views, or labels. What is
//! added to another loss is a [`Regularizer`] and has the name of its paper.

mod any_regularizer;
mod barlow_twins;
mod covariance;
mod covariance_to_identity;
mod display;
pub(crate) mod hyper_parameters;
mod layers;
mod lejepa;
mod mmcr;
mod moment_loss;
mod nt_xent;
mod regularizer;
mod sigreg;
mod sum;
mod svmax;
mod two_view;
mod variance;
mod variance_covariance;
mod vicreg;

pub use any_regularizer::{AnyRegularizer, RegularizerConfig};
pub use barlow_twins::{BarlowTwinsLoss, BarlowTwinsLossConfig};
pub use covariance::{Covariance, CovarianceConfig};
pub use covariance_to_identity::{CovarianceToIdentity, CovarianceToIdentityConfig};
pub use hyper_parameters::HyperParameterError;
pub use layers::{Activations, LayerRegularizers, LayerRegularizersConfig, MapRows};
pub use lejepa::{LeJepaLoss, LeJepaLossConfig};
pub use mmcr::{MmcrLoss, MmcrLossConfig};
pub use nt_xent::{NtXentLoss, NtXentLossConfig};
pub use regularizer::Regularizer;
pub use sigreg::{SigReg, SigRegConfig, SigRegQuadrature, Slices};
pub use sum::RegularizerSum;
pub use svmax::{SvMax, SvMaxConfig, SvMaxForm};
pub use two_view::{AnyTwoViewLoss, TwoViewLoss, TwoViewLossConfig};
pub use variance::{Variance, VarianceConfig};
pub use variance_covariance::{VarianceCovariance, VarianceCovarianceConfig};
pub use vicreg::{VicRegLoss, VicRegLossConfig, VicRegScaling};
