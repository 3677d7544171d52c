//! VICReg's covariance term.

use burn::config::Config;
use burn::module::Module;

use crate::methods::{loss_methods, one_line_display};
use crate::moments::{Factors, MomentLoss};
use crate::variance::assert_weight;

/// Configuration of [`Covariance`].
#[derive(Config, Debug, PartialEq)]
pub struct CovarianceConfig {
    /// The weight of the term. Default: `1.0`
    #[config(default = 1.0)]
    pub weight: f64,
}

impl CovarianceConfig {
    /// Initializes the loss.
    ///
    /// # Panics
    ///
    /// If the weight is not finite.
    pub fn init(&self) -> Covariance {
        assert_weight("covariance", self.weight);
        Covariance {
            weight: self.weight,
        }
    }
}

/// The squared covariances between different dimensions: no two may say the same.
///
/// ```text
/// C(Z) = (Z - mean)^T (Z - mean) / (n - 1),   c(Z) = (1/d) sum_{i != j} C(Z)_ij^2
/// loss = weight * c(Z)
/// ```
///
/// The d x d matrix is formed only if `d <= n`; otherwise the n x n Gram matrix gives the same value
/// and gradient, at `n / d` of the cost and `(n / d)^2` of the memory.
///
/// # Edge cases
///
/// - One row, one dimension, or all rows equal: value and gradient 0.
/// - A NaN in the input makes the value NaN.
///
/// # Terms
///
/// `covariance` (unweighted).
///
/// # Source
///
/// Bardes, Ponce and LeCun, "VICReg", 2021, [arXiv 2105.04906](https://arxiv.org/abs/2105.04906),
/// Eq. 3-4; the Gram side: Garrido et al., [arXiv 2206.02574](https://arxiv.org/abs/2206.02574),
/// Theorem 3.3.
#[derive(Module, Debug)]
#[module(custom_display)]
pub struct Covariance {
    /// The weight of the term.
    pub weight: f64,
}

one_line_display!(Covariance { weight });
loss_methods!(Covariance, CovarianceConfig, 1, embeddings);

impl MomentLoss<1> for Covariance {
    fn terms(&self, _: [usize; 2]) -> Vec<(&'static str, f64, Factors)> {
        let covariance = Factors::covariance(1.0);
        vec![("covariance", self.weight, covariance)]
    }
}
