//! VICReg's variance term.

use burn::config::Config;
use burn::module::Module;

use crate::methods::{loss_methods, one_line_display};
use crate::moments::{Factors, MomentLoss};

/// Configuration of [`Variance`].
#[derive(Config, Debug, PartialEq)]
pub struct VarianceConfig {
    /// The weight of the term. Default: `1.0`
    #[config(default = 1.0)]
    pub weight: f64,
    /// The standard deviation gamma that every dimension should reach. Default: `1.0`
    #[config(default = 1.0)]
    pub margin: f64,
    /// Added to the variance inside the root. Default: `1e-4`
    #[config(default = 1e-4)]
    pub epsilon: f64,
}

impl VarianceConfig {
    /// Initializes the loss.
    ///
    /// # Panics
    ///
    /// If the weight is not finite, the margin not positive or epsilon not positive.
    pub fn init(&self) -> Variance {
        assert_weight("variance", self.weight);
        assert_hinge(self.margin, self.epsilon);
        Variance {
            weight: self.weight,
            margin: self.margin,
            epsilon: self.epsilon,
        }
    }
}

/// The hinge on each dimension's standard deviation: no dimension may go quiet.
///
/// ```text
/// v(Z) = (1/d) sum_j max(0, margin - sqrt(Var(z_j) + epsilon)),   loss = weight * v(Z)
/// ```
///
/// with the unbiased variance of column `z_j` over the batch. The rows are not normalised: on unit
/// rows a standard deviation of 1 in every dimension cannot be had.
///
/// # Edge cases
///
/// - A batch of one row has no spread: its variance counts as 0. The loss is `margin -
///   sqrt(epsilon)` times the weight, without gradient; the same holds when all rows are equal.
/// - A NaN in the input makes the value NaN.
///
/// # Terms
///
/// `variance` (unweighted).
///
/// # Source
///
/// Bardes, Ponce and LeCun, "VICReg", 2021, [arXiv 2105.04906](https://arxiv.org/abs/2105.04906),
/// Eq. 1-2.
#[derive(Module, Debug)]
#[module(custom_display)]
pub struct Variance {
    /// The weight of the term.
    pub weight: f64,
    /// The standard deviation every dimension should reach.
    pub margin: f64,
    /// Added to the variance inside the root.
    pub epsilon: f64,
}

one_line_display!(Variance {
    weight,
    margin,
    epsilon
});
loss_methods!(Variance, VarianceConfig, 1, embeddings);

impl MomentLoss<1> for Variance {
    fn terms(&self, _: [usize; 2]) -> Vec<(&'static str, f64, Factors)> {
        let variance = Factors::variance(1.0, self.margin, self.epsilon);
        vec![("variance", self.weight, variance)]
    }
}

pub(crate) fn assert_weight(name: &str, weight: f64) {
    assert!(
        weight.is_finite(),
        "the weight of the {name} term must be finite, got {weight}"
    );
}

pub(crate) fn assert_hinge(margin: f64, epsilon: f64) {
    assert!(
        margin.is_finite() && margin > 0.0,
        "the margin of the variance term must be positive and finite, got {margin}"
    );
    assert!(
        epsilon.is_finite() && epsilon > 0.0,
        "epsilon must be positive and finite, got {epsilon}"
    );
}
