//! How far the covariance of a batch is from the identity, and the gradient.
//!
//! With `Zc` the batch without its column means, `C = Zc^T Zc / (b - 1)` and `G = Zc Zc^T / (b - 1)`,
//!
//! ```text
//! L = ||C - I||_F                                 dL/dZ = 2 / ((b - 1) L) Zc (C - I)     d <= b
//!   = sqrt(||G - I||_F^2 + d - b)                       = 2 / ((b - 1) L) (G - I) Zc     b < d
//! ```
//!
//! for `C` and `G` have the same eigenvalues but for zeros, of which each counts 1. Nothing is subtracted
//! from a sum of squares, so that no digits are lost near the identity. At the identity itself, where there
//! is no gradient, it is zero.

mod device;
#[cfg(feature = "host-solver")]
mod host;
mod shards;

use burn::tensor::Tensor;

pub(crate) use self::shards::{identity_distance_of_shard, sums};
use super::Solver;
use crate::surrogate::Surrogate;

/// `L` and, with `gradient`, its gradient.
pub(crate) fn identity_distance(view: &Tensor<2>, gradient: bool, solver: Solver) -> Surrogate<1> {
    #[cfg(feature = "host-solver")]
    if solver.on_host(&view.device()) {
        return on_host(view, gradient);
    }
    let _ = solver;
    device::identity_distance(view, gradient)
}

#[cfg(feature = "host-solver")]
fn on_host(view: &Tensor<2>, gradient: bool) -> Surrogate<1> {
    match view.dtype() {
        burn::tensor::DType::F64 => host::identity_distance::<f64>(view, gradient),
        _ => host::identity_distance::<f32>(view, gradient),
    }
}

#[cfg(all(test, feature = "host-solver"))]
mod tests {
    use burn::tensor::{DType, Device};

    use super::*;
    use crate::statistics::test_matrices::{assert_evaluations_agree, f64_device, regimes};

    #[test]
    fn host_and_device_agree() {
        for (regime, e) in regimes() {
            for (device, dtype) in [(Device::default(), DType::F32), (f64_device(), DType::F64)] {
                // What f32 leaves undecided of the spread about a mean of 1e2 to 1e4 times its size.
                if dtype == DType::F32 && regime.starts_with("nearly") {
                    continue;
                }
                let view = e.tensor(&device, dtype);
                let host = on_host(&view, true);
                let on_tensors = device::identity_distance(&view, true);
                assert_evaluations_agree(host, on_tensors, &format!("{regime} in {dtype:?}"));
            }
        }
    }
}
