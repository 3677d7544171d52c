//! Barlow Twins: the cross-correlation of two views should be the identity.

use burn::config::Config;
use burn::module::Module;
use burn::tensor::Tensor;

#[cfg(feature = "host-solver")]
use crate::host_correlation::cross_correlation;
use crate::methods::{loss_methods, one_line_display};
use crate::moments::{clamped, diagonal_mask};
use crate::surrogate::{Evaluation, Part, Parts, assert_same_shape, scalar};
use crate::variance::assert_weight;

/// Configuration of [`BarlowTwins`].
#[derive(Config, Debug, PartialEq)]
pub struct BarlowTwinsConfig {
    /// The weight lambda of the redundancy term. Default: `5e-3`
    #[config(default = 5e-3)]
    pub redundancy_weight: f64,
    /// The weight of the invariance term. Default: `1.0`
    #[config(default = 1.0)]
    pub invariance_weight: f64,
    /// Added to the variance inside the root of the standardisation. Default: `1e-5`, as in batch
    /// normalisation
    #[config(default = 1e-5)]
    pub epsilon: f64,
}

impl BarlowTwinsConfig {
    /// Initializes the loss.
    ///
    /// # Panics
    ///
    /// If a weight is not finite or epsilon not positive.
    pub fn init(&self) -> BarlowTwins {
        assert_weight("redundancy", self.redundancy_weight);
        assert_weight("invariance", self.invariance_weight);
        assert!(
            self.epsilon.is_finite() && self.epsilon > 0.0,
            "epsilon must be positive and finite, got {}",
            self.epsilon
        );
        BarlowTwins {
            redundancy_weight: self.redundancy_weight,
            invariance_weight: self.invariance_weight,
            epsilon: self.epsilon,
        }
    }
}

/// Barlow Twins, from which VICReg takes its covariance term.
///
/// ```text
/// z_j = (e_j - mean_j) / sqrt(Var_j + epsilon)      columns standardised, biased variance
/// M   = Z^T Z' / n                                  cross-correlation, d x d
/// loss = invariance_weight * sum_i (1 - M_ii)^2 + redundancy_weight * sum_{i != j} M_ij^2
/// ```
///
/// `M` is formed only if `d <= n`; otherwise n x n Gram matrices give the same value and gradient. Either
/// way the gradient takes one more product a view.
///
/// # Edge cases
///
/// - A dimension without spread in either view counts as uncorrelated with everything: `M_ii = 0`. It
///   gets a gradient, of the order of `1 / sqrt(epsilon)`, if it has spread in the other view. Both
///   views without spread, or a single row: an invariance term of `d`, no gradient.
/// - A NaN in the input makes the value NaN.
///
/// # Terms
///
/// `invariance`, `redundancy` (unweighted).
///
/// # Source
///
/// Zbontar et al., "Barlow Twins", 2021, [arXiv 2103.03230](https://arxiv.org/abs/2103.03230),
/// Eq. 1-2 and the official code, which standardises by batch normalisation without affine part.
#[derive(Module, Debug)]
#[module(custom_display)]
pub struct BarlowTwins {
    /// The weight of the redundancy term.
    pub redundancy_weight: f64,
    /// The weight of the invariance term.
    pub invariance_weight: f64,
    /// Added to the variance inside the root of the standardisation.
    pub epsilon: f64,
}

one_line_display!(BarlowTwins {
    redundancy_weight,
    invariance_weight,
    epsilon
});
loss_methods!(BarlowTwins, BarlowTwinsConfig, 2, first, second);

/// A weighted sum of the terms. A term without a factor is neither computed nor counted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Factors {
    pub(crate) invariance: Option<f64>,
    pub(crate) redundancy: Option<f64>,
}

impl Parts<2> for BarlowTwins {
    fn parts(&self, embeddings: [Tensor<2>; 2], gradient: bool) -> Vec<Part<2>> {
        let part = |name, weight, invariance, redundancy| {
            let factors = Factors {
                invariance,
                redundancy,
            };
            Part {
                name,
                weight,
                evaluation: self.weighted(embeddings.clone(), factors, gradient),
            }
        };
        vec![
            part("invariance", self.invariance_weight, Some(1.0), None),
            part("redundancy", self.redundancy_weight, None, Some(1.0)),
        ]
    }

    fn total(&self, embeddings: [Tensor<2>; 2], gradient: bool) -> Evaluation<2> {
        let counted = |weight: f64| (weight != 0.0).then_some(weight);
        let factors = Factors {
            invariance: counted(self.invariance_weight),
            redundancy: counted(self.redundancy_weight),
        };
        self.weighted(embeddings, factors, gradient)
    }
}

impl BarlowTwins {
    /// On the host for tensors on a CPU device, elsewhere on their device.
    fn weighted(&self, views: [Tensor<2>; 2], factors: Factors, gradient: bool) -> Evaluation<2> {
        assert_same_shape(&views[0], &views[1]);
        #[cfg(feature = "host-solver")]
        if crate::host_device::is_host(&views[0].device()) {
            return on_host(&views, self.epsilon, factors, gradient);
        }
        on_device(&views, self.epsilon, factors, gradient)
    }
}

#[cfg(feature = "host-solver")]
fn on_host(
    views: &[Tensor<2>; 2],
    epsilon: f64,
    factors: Factors,
    gradient: bool,
) -> Evaluation<2> {
    match views[0].dtype() {
        burn::tensor::DType::F64 => cross_correlation::<f64>(views, epsilon, factors, gradient),
        _ => cross_correlation::<f32>(views, epsilon, factors, gradient),
    }
}

/// With `A`, `B` the standardised views and `M = A^T B / n`,
///
/// ```text
/// d/dA sum_{i != j} M_ij^2 = (2 / n) B (M - diag(M))^T       d <= n
///                          = (2 / n) (B B^T A / n - B diag(M))
/// ```
///
/// and likewise in `B`; for `n < d`, `sum_ij M_ij^2 = <A A^T, B B^T> / n^2`.
fn on_device(
    views: &[Tensor<2>; 2],
    epsilon: f64,
    factors: Factors,
    gradient: bool,
) -> Evaluation<2> {
    let [batch, dim] = views[0].dims();
    let n = batch as f64;
    let [first, second] = views
        .each_ref()
        .map(|view| Standardised::new(view.clone(), epsilon));
    let (a, b) = (first.rows.clone(), second.rows.clone());
    let diagonal = (a.clone() * b.clone()).sum_dim(0).div_scalar(n);

    let mut value = scalar(&views[0], 0.0);
    // The factors of the other view's columns in the gradient.
    let mut columns = diagonal.zeros_like();
    if let Some(factor) = factors.invariance {
        let missing = diagonal.clone().neg().add_scalar(1.0);
        value = value + missing.clone().square().sum().mul_scalar(factor);
        columns = missing.mul_scalar(-2.0 / n * factor);
    }
    let gradients = match factors.redundancy {
        None => gradient.then(|| [b * columns.clone(), a * columns]),
        Some(factor) if batch < dim => {
            let [gram_a, gram_b] =
                [&a, &b].map(|x| x.clone().matmul(x.clone().transpose()).div_scalar(n));
            let all = (gram_a.clone() * gram_b.clone()).sum();
            let squares = diagonal.clone().square().sum();
            value = value + clamped(all - squares).mul_scalar(factor);
            gradient.then(|| {
                let slope = 2.0 / n * factor;
                let columns = columns - diagonal.mul_scalar(slope);
                [
                    gram_b.mul_scalar(slope).matmul(a.clone()) + b.clone() * columns.clone(),
                    gram_a.mul_scalar(slope).matmul(b) + a * columns,
                ]
            })
        }
        Some(factor) => {
            let cross = a.clone().transpose().matmul(b.clone()).div_scalar(n);
            let on_diagonal = diagonal_mask(&a);
            let cross = cross.mask_fill(on_diagonal.clone(), 0.0);
            // The diagonal does not count, but a NaN in it is to be seen.
            let nothing = diagonal.mul_scalar(0.0).sum();
            value = value + (cross.clone().square().sum() + nothing).mul_scalar(factor);
            gradient.then(|| {
                let side = cross
                    .mul_scalar(2.0 / n * factor)
                    .mask_where(on_diagonal, columns.expand([dim, dim]));
                [b.matmul(side.clone().transpose()), a.matmul(side)]
            })
        }
    };
    Evaluation {
        value,
        coefficients: gradients
            .map(|[in_first, in_second]| [first.gradient(in_first), second.gradient(in_second)]),
    }
}

/// A batch whose columns have mean 0 and (biased) variance 1.
struct Standardised {
    rows: Tensor<2>,
    /// `1 / sqrt(Var + epsilon)`, shape `[1, dim]`.
    scale: Tensor<2>,
}

/// Deviations whose squares are well within the range of f32.
const LARGE: f64 = 1e10;

impl Standardised {
    fn new(embeddings: Tensor<2>, epsilon: f64) -> Self {
        let mean = embeddings.clone().mean_dim(0);
        let centred = embeddings - mean;
        // So that no square leaves the range of the type; 1 for most columns.
        let sizes = centred.clone().abs().max_dim(0);
        let sizes = sizes.div_scalar(LARGE).clamp_min(1.0);
        let centred = centred / sizes.clone();
        let variance = centred.clone().square().mean_dim(0);
        let epsilon = sizes.clone().square().recip().mul_scalar(epsilon);
        let scale = (variance + epsilon).sqrt().recip();
        Self {
            rows: centred * scale.clone(),
            scale: scale / sizes,
        }
    }

    /// The gradient in the embeddings, given that in the standardised rows.
    fn gradient(&self, standardised: Tensor<2>) -> Tensor<2> {
        let mean = standardised.clone().mean_dim(0);
        let along = (standardised.clone() * self.rows.clone()).mean_dim(0);
        (standardised - mean - self.rows.clone() * along) * self.scale.clone()
    }
}

#[cfg(all(test, feature = "host-solver"))]
mod tests {
    use burn::tensor::{DType, Device};

    use super::*;
    use crate::test_matrices::{assert_evaluations_agree, f64_device, other_view, regimes};

    /// The statistics of the host and those of the device are the same, term by term and in sum.
    #[test]
    fn host_and_device_agree() {
        for (regime, e) in regimes() {
            let other = other_view(&e, 42);
            for (device, dtype) in [(Device::default(), DType::F32), (f64_device(), DType::F64)] {
                // What f32 leaves undecided of the spread about a mean of 1e2 to 1e4 times its size.
                if dtype == DType::F32 && regime.starts_with("nearly") {
                    continue;
                }
                let views = [&e, &other].map(|view| view.tensor(&device, dtype));
                for (invariance, redundancy) in [
                    (Some(1.3), None),
                    (None, Some(0.2)),
                    (Some(1.3), Some(0.2)),
                    (None, None),
                ] {
                    let factors = Factors {
                        invariance,
                        redundancy,
                    };
                    let host = on_host(&views, 1e-5, factors, true);
                    let device = on_device(&views, 1e-5, factors, true);
                    let what = format!("{factors:?} of {regime} in {dtype:?}");
                    assert_evaluations_agree(host, device, &what);
                }
            }
        }
    }
    /// Deviations whose squares f32 cannot hold are standardised all the same.
    #[test]
    fn deviations_of_any_size() {
        let device = Device::default();
        let (_, e) = regimes().swap_remove(0);
        let other = other_view(&e, 43);
        let factors = Factors {
            invariance: Some(1.3),
            redundancy: Some(0.2),
        };
        for size in [1e-30, 1e-20, 1e12, 1e20, 1e30] {
            let views =
                [&e, &other].map(|view| view.clone().map(|x| size * x).tensor(&device, DType::F32));
            let host = on_host(&views, 1e-5, factors, true);
            let on_tensors = on_device(&views, 1e-5, factors, true);
            assert_evaluations_agree(host.clone(), on_tensors, &format!("at {size:e}"));
            if size > 1.0 {
                let plain = [&e, &other].map(|view| view.tensor(&f64_device(), DType::F64));
                let value = |evaluation: Evaluation<2>| -> f64 {
                    evaluation.value.into_data().iter::<f64>().sum()
                };
                let expected = value(on_host(&plain, 1e-15, factors, false));
                approx::assert_relative_eq!(value(host), expected, max_relative = 1e-5);
            }
        }
    }
}
