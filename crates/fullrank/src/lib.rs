#![doc = include_str!("../README.md")]

#[cfg(feature = "spectrum")]
pub mod diagnostics;
mod host;
mod losses;
pub mod shards;
mod statistics;
mod surrogate;

#[cfg(feature = "spectrum")]
pub use diagnostics::Diagnostics;
pub use losses::{
    Activations, AnyRegularizer, AnyTwoViewLoss, BarlowTwinsLoss, BarlowTwinsLossConfig,
    Covariance, CovarianceConfig, CovarianceToIdentity, CovarianceToIdentityConfig,
    HyperParameterError, LayerRegularizers, LayerRegularizersConfig, LeJepaLoss, LeJepaLossConfig,
    MapRows, MmcrLoss, MmcrLossConfig, NtXentLoss, NtXentLossConfig, Regularizer,
    RegularizerConfig, RegularizerSum, SigReg, SigRegConfig, SigRegQuadrature, Slices, SvMax,
    SvMaxConfig, SvMaxForm, TwoViewLoss, TwoViewLossConfig, Variance, VarianceConfig,
    VarianceCovariance, VarianceCovarianceConfig, VicRegLoss, VicRegLossConfig, VicRegScaling,
};
pub use statistics::{Bounds, Solver, unit_rows};
#[cfg(feature = "spectrum")]
pub use statistics::{rankme, singular_values};
pub use surrogate::{Surrogate, Terms};

/// What the losses of another crate of this workspace are made of.
#[doc(hidden)]
pub mod internals {
    pub use crate::host::is_host;
    pub use crate::losses::hyper_parameters::{
        finite, finite_and_not_negative, finite_and_positive, require,
    };
    pub use crate::surrogate::{
        Part, Parts, SumsOverRows, by_autodiff, complete, evaluate, forward, forward_terms,
        in_statistics_precision,
    };
    pub use crate::{burn_config, one_line_display};
}

/// The tests inside the crate share the embeddings of those outside, which name it.
#[cfg(test)]
extern crate self as fullrank;
