//! How the dimensions of two views correlate, and the gradient of any weighted sum of Barlow Twins' terms.
//!
//! With the columns of both views standardized, `A` and `B`, and `M = A^T B / n`,
//!
//! ```text
//! invariance   sum_i (1 - M_ii)^2
//! redundancy   sum_{i != j} M_ij^2
//! ```
//!
//! `M` is formed for `d <= n`; for `n < d` the Gram matrices of both views take its place.

mod device;
#[cfg(feature = "host-solver")]
mod host;
mod shards;

use burn::tensor::Tensor;

pub(crate) use self::shards::{cross_correlation_of_shard, sums};
use super::Solver;
use crate::surrogate::{Surrogate, assert_same_shape};

/// A weighted sum of the terms, each by its factor. One without a factor is neither computed nor counted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CorrelationTerms {
    pub(crate) invariance: Option<f64>,
    pub(crate) redundancy: Option<f64>,
}

/// The weighted sum of the terms of two views and, with `gradient`, its gradient in each; `epsilon` is
/// added to the variances.
///
/// # Panics
///
/// If the shapes differ.
pub(crate) fn cross_correlation(
    views: &[Tensor<2>; 2],
    epsilon: f64,
    terms: CorrelationTerms,
    gradient: bool,
    solver: Solver,
) -> Surrogate<2> {
    assert_same_shape(&views[0], &views[1]);
    #[cfg(feature = "host-solver")]
    if solver.on_host(&views[0].device()) {
        return on_host(views, epsilon, terms, gradient);
    }
    let _ = solver;
    device::cross_correlation(views, epsilon, terms, gradient)
}

#[cfg(feature = "host-solver")]
fn on_host(
    views: &[Tensor<2>; 2],
    epsilon: f64,
    terms: CorrelationTerms,
    gradient: bool,
) -> Surrogate<2> {
    match views[0].dtype() {
        burn::tensor::DType::F64 => host::cross_correlation::<f64>(views, epsilon, terms, gradient),
        _ => host::cross_correlation::<f32>(views, epsilon, terms, gradient),
    }
}

#[cfg(all(test, feature = "host-solver"))]
mod tests {
    use burn::tensor::{DType, Device};

    use super::*;
    use crate::statistics::test_matrices::{
        assert_evaluations_agree, f64_device, other_view, regimes,
    };

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
                    let terms = CorrelationTerms {
                        invariance,
                        redundancy,
                    };
                    let host = on_host(&views, 1e-5, terms, true);
                    let device = device::cross_correlation(&views, 1e-5, terms, true);
                    let what = format!("{terms:?} of {regime} in {dtype:?}");
                    assert_evaluations_agree(host, device, &what);
                }
            }
        }
    }
    /// Deviations whose squares f32 cannot hold are standardized all the same.
    #[test]
    fn deviations_of_any_size() {
        let device = Device::default();
        let (_, e) = regimes().swap_remove(0);
        let other = other_view(&e, 43);
        let terms = CorrelationTerms {
            invariance: Some(1.3),
            redundancy: Some(0.2),
        };
        for size in [1e-30, 1e-20, 1e12, 1e20, 1e30] {
            let views =
                [&e, &other].map(|view| view.clone().map(|x| size * x).tensor(&device, DType::F32));
            let host = on_host(&views, 1e-5, terms, true);
            let on_tensors = device::cross_correlation(&views, 1e-5, terms, true);
            assert_evaluations_agree(host.clone(), on_tensors, &format!("at {size:e}"));
            if size > 1.0 {
                let plain = [&e, &other].map(|view| view.tensor(&f64_device(), DType::F64));
                let value = |evaluation: Surrogate<2>| -> f64 {
                    evaluation.value.into_data().iter::<f64>().sum()
                };
                let expected = value(on_host(&plain, 1e-15, terms, false));
                approx::assert_relative_eq!(value(host), expected, max_relative = 1e-5);
            }
        }
    }
}
