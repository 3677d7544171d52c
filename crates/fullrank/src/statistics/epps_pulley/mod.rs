//! How far the rows of a batch, seen along each of some directions, are from standard normal numbers: the
//! statistic of Epps and Pulley, and the gradient of its mean over the directions.
//!
//! With `u = Z A`, `[b, k]`, and for each knot `t_j` the characteristic function of a column,
//!
//! ```text
//! C_mj = (1/b) sum_i cos(t_j u_im),   S_mj = (1/b) sum_i sin(t_j u_im),   phi_j = exp(-t_j^2 / 2)
//! L        = (b/k) sum_m sum_j w_j [(C_mj - phi_j)^2 + S_mj^2]
//! dL/du_im = (2/k) sum_j w_j t_j [S_mj cos(t_j u_im) - (C_mj - phi_j) sin(t_j u_im)],   dL/dZ = (dL/du) A^T
//! ```
//!
//! The knots are taken one after the other, value and gradient in the same pass: a few matrices `[b, k]` at a time,
//! whatever the number of knots.

mod device;
#[cfg(feature = "host-solver")]
mod host;
mod shards;

use burn::tensor::Tensor;

pub(crate) use self::shards::{epps_pulley_of_shard, with_sums};
use super::Solver;
use crate::surrogate::Surrogate;

/// The integral over `t` from `-limit` to `limit` by the trapezoidal rule, with `count` knots from 0 to `limit`:
/// the integrand is even.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Knots {
    pub(crate) limit: f64,
    pub(crate) count: usize,
}

/// A knot and what belongs to it.
struct Knot {
    /// `t_j`
    at: f64,
    /// `phi_j`
    normal: f64,
    /// `w_j`: the window `phi_j` times the share of the knot in the integral.
    weight: f64,
}

impl Knots {
    /// All but the one at zero, where every characteristic function is 1.
    fn iter(self) -> impl Iterator<Item = Knot> {
        let last = self.count - 1;
        let distance = self.limit / last as f64;
        (1..=last).map(move |j| {
            let at = j as f64 * distance;
            let normal = (-at * at / 2.0).exp();
            let share = if j == last { distance } else { 2.0 * distance };
            Knot {
                at,
                normal,
                weight: share * normal,
            }
        })
    }
}

/// `L` of the columns of `embeddings slices` and, with `gradient`, its gradient in the embeddings; `slices` of shape
/// `[dim, k]`.
pub(crate) fn epps_pulley(
    embeddings: &Tensor<2>,
    slices: &Tensor<2>,
    knots: Knots,
    gradient: bool,
    solver: Solver,
) -> Surrogate<1> {
    #[cfg(feature = "host-solver")]
    if solver.on_host(&embeddings.device()) {
        return on_host(embeddings, slices, knots, gradient);
    }
    let _ = solver;
    device::epps_pulley(embeddings, slices, knots, gradient)
}

#[cfg(feature = "host-solver")]
fn on_host(
    embeddings: &Tensor<2>,
    slices: &Tensor<2>,
    knots: Knots,
    gradient: bool,
) -> Surrogate<1> {
    match embeddings.dtype() {
        burn::tensor::DType::F64 => host::epps_pulley::<f64>(embeddings, slices, knots, gradient),
        _ => host::epps_pulley::<f32>(embeddings, slices, knots, gradient),
    }
}

#[cfg(all(test, feature = "host-solver"))]
mod tests {
    use burn::tensor::{DType, Device};

    use super::*;
    use crate::statistics::slices::drawn;
    use crate::statistics::test_matrices::{assert_evaluations_agree, f64_device, regimes};

    #[test]
    fn host_and_device_agree() {
        for (regime, e) in regimes() {
            for (device, dtype) in [(Device::default(), DType::F32), (f64_device(), DType::F64)] {
                // f32 holds one digit of an angle of 1e6.
                if dtype == DType::F32 && regime.starts_with("huge") {
                    continue;
                }
                let view = e.tensor(&device, dtype);
                let slices = drawn(1, 2, 40, &view);
                for (limit, count) in [(3.0, 17), (5.0, 9)] {
                    let knots = Knots { limit, count };
                    let host = on_host(&view, &slices, knots, true);
                    let on_tensors = device::epps_pulley(&view, &slices, knots, true);
                    let what = format!("{count} knots, {regime} in {dtype:?}");
                    assert_evaluations_agree(host, on_tensors, &what);
                }
            }
        }
    }
}
