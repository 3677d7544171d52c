//! VICReg: variance, invariance, covariance of two views.

use burn::config::Config;
use burn::module::Module;
use serde::{Deserialize, Serialize};

use crate::methods::{loss_methods, one_line_display};
use crate::moments::{Factors, MomentLoss};
use crate::variance::{assert_hinge, assert_weight};

/// What the three terms are averages of. The paper and the code it came with differ, and the code
/// that followed differs from both: the same 25/25/1 is a different loss in each.
///
/// With `mse` the mean over rows and dimensions, `v`, `v'` the [variance](crate::Variance) and `c`,
/// `c'` the [covariance](crate::Covariance) terms of the two views:
///
/// | scaling | invariance | variance | covariance | used by |
/// |---|---|---|---|---|
/// | `Official` | mse | (v + v') / 2 | c + c' | facebookresearch/vicreg, lightly, pytorch-metric-learning (since 1.3.1), stable-pretraining |
/// | `Paper` | d mse | v + v' | c + c' | the paper, Eq. 1-6 |
/// | `SummedVariance` | mse | v + v' | c + c' | solo-learn, jepa-rs |
/// | `Halved` | mse | (v + v') / 2 | (c + c') / 2 | facebookresearch/VICRegL, vicreg-loss |
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VicRegScaling {
    /// The code released with the paper, for which 25/25/1 was tuned.
    Official,
    /// The equations of the paper: the invariance term sums over dimensions.
    Paper,
    /// The variance terms of the views are summed, not averaged.
    SummedVariance,
    /// The covariance terms of the views are averaged, not summed.
    Halved,
}

/// Configuration of [`VicReg`].
#[derive(Config, Debug, PartialEq)]
pub struct VicRegConfig {
    /// The weight lambda of the invariance term. Default: `25.0`
    #[config(default = 25.0)]
    pub invariance_weight: f64,
    /// The weight mu of the variance term. Default: `25.0`
    #[config(default = 25.0)]
    pub variance_weight: f64,
    /// The weight nu of the covariance term. Default: `1.0`
    #[config(default = 1.0)]
    pub covariance_weight: f64,
    /// The standard deviation gamma that every dimension should reach. Default: `1.0`
    #[config(default = 1.0)]
    pub margin: f64,
    /// Added to the variance inside the root. Default: `1e-4`
    #[config(default = 1e-4)]
    pub epsilon: f64,
    /// What the terms are averages of. Default: `VicRegScaling::Official`
    #[config(default = "VicRegScaling::Official")]
    pub scaling: VicRegScaling,
}

impl VicRegConfig {
    /// Initializes the loss.
    ///
    /// # Panics
    ///
    /// If a weight is not finite, the margin not positive or epsilon not positive.
    pub fn init(&self) -> VicReg {
        assert_weight("invariance", self.invariance_weight);
        assert_weight("variance", self.variance_weight);
        assert_weight("covariance", self.covariance_weight);
        assert_hinge(self.margin, self.epsilon);
        VicReg {
            invariance_weight: self.invariance_weight,
            variance_weight: self.variance_weight,
            covariance_weight: self.covariance_weight,
            margin: self.margin,
            epsilon: self.epsilon,
            scaling: self.scaling,
        }
    }
}

/// VICReg: pulls two views of the same samples together and keeps the embedding from collapsing.
///
/// ```text
/// loss = invariance_weight  * s(Z, Z')        mean squared difference of the views
///      + variance_weight   * [v(Z) + v(Z')]   hinge on each dimension's standard deviation
///      + covariance_weight * [c(Z) + c(Z')]   squared covariances between dimensions
/// ```
///
/// up to the factors of the [scaling](VicRegScaling). The embeddings are not normalised (to do so
/// costs 3.5 points on ImageNet, ibid., Table 8). Training collapses without the variance term, and
/// unless the invariance and variance weights are alike and above the covariance weight (1/1/1, 10/1/1
/// and 1/10/1 collapse; ibid., Table 7). Neither a d x d matrix for `b < d` nor a b x b matrix for `d <=
/// b` is formed; each view takes two products, one for its value and one for its gradient.
///
/// Edge cases are those of [`Variance`](crate::Variance) and [`Covariance`](crate::Covariance).
///
/// # Terms
///
/// `invariance`, `variance`, `covariance`: each with the factors of the scaling, without its weight.
///
/// # Source
///
/// Bardes, Ponce and LeCun, "VICReg: Variance-Invariance-Covariance Regularization for
/// Self-Supervised Learning", 2021, [arXiv 2105.04906](https://arxiv.org/abs/2105.04906), Eq. 1-6.
#[derive(Module, Debug)]
#[module(custom_display)]
pub struct VicReg {
    /// The weight of the invariance term.
    pub invariance_weight: f64,
    /// The weight of the variance term.
    pub variance_weight: f64,
    /// The weight of the covariance term.
    pub covariance_weight: f64,
    /// The standard deviation every dimension should reach.
    pub margin: f64,
    /// Added to the variance inside the root.
    pub epsilon: f64,
    /// What the terms are averages of.
    #[module(skip)]
    pub scaling: VicRegScaling,
}

one_line_display!(VicReg {
    invariance_weight,
    variance_weight,
    covariance_weight,
    margin,
    epsilon,
    scaling
});
loss_methods!(VicReg, VicRegConfig, 2, first, second);

impl MomentLoss<2> for VicReg {
    fn terms(&self, [batch, dim]: [usize; 2]) -> Vec<(&'static str, f64, Factors)> {
        let per_entry = match self.scaling {
            VicRegScaling::Paper => batch as f64,
            _ => (batch * dim) as f64,
        };
        let per_variance = match self.scaling {
            VicRegScaling::Official | VicRegScaling::Halved => 0.5,
            VicRegScaling::Paper | VicRegScaling::SummedVariance => 1.0,
        };
        let per_covariance = match self.scaling {
            VicRegScaling::Halved => 0.5,
            _ => 1.0,
        };
        let invariance = Factors::invariance(1.0 / per_entry);
        let variance = Factors::variance(per_variance, self.margin, self.epsilon);
        let covariance = Factors::covariance(per_covariance);
        vec![
            ("invariance", self.invariance_weight, invariance),
            ("variance", self.variance_weight, variance),
            ("covariance", self.covariance_weight, covariance),
        ]
    }
}
