//! VICReg's variance and covariance terms of a single embedding.

use burn::config::Config;
use burn::module::Module;

use crate::methods::{loss_methods, one_line_display};
use crate::moments::{Factors, MomentLoss};
use crate::variance::{assert_hinge, assert_weight};

/// Configuration of [`VarianceCovariance`].
#[derive(Config, Debug, PartialEq)]
pub struct VarianceCovarianceConfig {
    /// The weight of the variance term. Default: `12.5`, the share of one view in VICReg's 25
    #[config(default = 12.5)]
    pub variance_weight: f64,
    /// The weight of the covariance term. Default: `1.0`
    #[config(default = 1.0)]
    pub covariance_weight: f64,
    /// The standard deviation gamma that every dimension should reach. Default: `1.0`
    #[config(default = 1.0)]
    pub margin: f64,
    /// Added to the variance inside the root. Default: `1e-4`
    #[config(default = 1e-4)]
    pub epsilon: f64,
}

impl VarianceCovarianceConfig {
    /// Initializes the loss.
    ///
    /// # Panics
    ///
    /// If a weight is not finite, the margin not positive or epsilon not positive.
    pub fn init(&self) -> VarianceCovariance {
        assert_weight("variance", self.variance_weight);
        assert_weight("covariance", self.covariance_weight);
        assert_hinge(self.margin, self.epsilon);
        VarianceCovariance {
            variance_weight: self.variance_weight,
            covariance_weight: self.covariance_weight,
            margin: self.margin,
            epsilon: self.epsilon,
        }
    }
}

/// VICReg without its invariance term: a regularizer of one embedding, beside any loss.
///
/// ```text
/// loss = variance_weight * v(Z) + covariance_weight * c(Z)
/// ```
///
/// with `v` as in [`Variance`](crate::Variance) and `c` as in [`Covariance`](crate::Covariance),
/// edge cases included. With the default weights, the official VICReg loss of two views is `25 *
/// mse(Z, Z')` plus this loss of each view.
///
/// # Terms
///
/// `variance`, `covariance` (unweighted).
///
/// # Source
///
/// Bardes, Ponce and LeCun, "VICReg", 2021, [arXiv 2105.04906](https://arxiv.org/abs/2105.04906);
/// on its own as VCReg: Zhu et al., 2023, [arXiv 2306.13292](https://arxiv.org/abs/2306.13292).
#[derive(Module, Debug)]
#[module(custom_display)]
pub struct VarianceCovariance {
    /// The weight of the variance term.
    pub variance_weight: f64,
    /// The weight of the covariance term.
    pub covariance_weight: f64,
    /// The standard deviation every dimension should reach.
    pub margin: f64,
    /// Added to the variance inside the root.
    pub epsilon: f64,
}

one_line_display!(VarianceCovariance {
    variance_weight,
    covariance_weight,
    margin,
    epsilon
});
loss_methods!(VarianceCovariance, VarianceCovarianceConfig, 1, embeddings);

impl MomentLoss<1> for VarianceCovariance {
    fn terms(&self, _: [usize; 2]) -> Vec<(&'static str, f64, Factors)> {
        let variance = Factors::variance(1.0, self.margin, self.epsilon);
        let covariance = Factors::covariance(1.0);
        vec![
            ("variance", self.variance_weight, variance),
            ("covariance", self.covariance_weight, covariance),
        ]
    }
}
