//! The smoothed nuclear norm and its gradient.
//!
//! # What is computed
//!
//! For `Y` (b x d) with singular values `s_i`, `r = min(b, d)` of them,
//!
//! ```text
//! N(Y) = sum_i sqrt(s_i^2 + delta^2),     delta = c ||Y||_F / r
//! ```
//!
//! the nuclear norm of `[Y; delta I]`. `||Y||_F / r` is the least that the mean singular value can be,
//! so `N / r` is never below the mean singular value and exceeds it by at most a share of `c`; where
//! singular values are far above `delta` the difference vanishes, as `delta^2 / 2 s_i`. The gradient is
//! exact:
//!
//! ```text
//! dN/dY = P + delta^2 tr(Q) Y / ||Y||_F^2,    P = Y Q,    Q = (Y^T Y + delta^2)^{-1/2}
//! ```
//!
//! where the second term, parallel to `Y`, comes from `delta`. Its singular values are the *pushes*:
//! `s / sqrt(s^2 + delta^2)`, at most 1, and the second term adds at most `c` to the first of them.
//!
//! What small singular values get: all that are well above `delta` are pushed alike, by 1, as the
//! nuclear norm does, however small they are; one below gets `s / delta`. That is what makes it a good
//! gradient: a direction that is nearly dead is pushed as hard as any, while one that is lost in the
//! rounding noise of the others (where `U V^T` of an SVD is arbitrary) is left alone.
//!
//! # How
//!
//! Two solvers, for two kinds of machine: [`host`] (a few shifted inverses of the smaller Gram matrix, `c = 1e-4`, and `5e-8 r` above `r = 2000`, for `delta^2` has to stay above the
//! noise of f64) and [`device`] (a fixed number of matrix products on the device, no read-back, `c = 8e-4`:
//! a smaller one would take more of them).

mod device;
#[cfg(feature = "host-solver")]
mod host;
mod minimax;

use burn::tensor::Tensor;
#[cfg(feature = "host-solver")]
use burn::tensor::{DType, TensorData};

use super::Solver;
#[cfg(feature = "host-solver")]
use crate::host::matrix::entries;
#[cfg(feature = "host-solver")]
use crate::shards::{MomentSums, precise};
use crate::surrogate::Surrogate;
#[cfg(feature = "host-solver")]
use crate::surrogate::scalar;

/// `delta` as a share of `||Y||_F / r`, on the host.
#[cfg(feature = "host-solver")]
const HOST_SMOOTHING: f64 = 1e-4;

/// The least `delta` on the host as a share of `||Y||_F`: its square is well above the noise of a Gram
/// matrix in f64.
#[cfg(feature = "host-solver")]
const LEAST_HOST_SMOOTHING: f64 = 5e-8;

/// `delta` as a share of `||Y||_F / r`, on the device.
const DEVICE_SMOOTHING: f64 = 8e-4;

/// `N(embeddings) / r` and its gradient.
///
/// A zero matrix has value and gradient zero; a NaN or an infinity anywhere makes both NaN.
pub(crate) fn mean_singular_value(
    embeddings: &Tensor<2>,
    gradient: bool,
    solver: Solver,
) -> Surrogate<1> {
    let [batch, dim] = embeddings.dims();
    let rank = batch.min(dim) as f64;
    #[cfg(feature = "host-solver")]
    if solver.on_host(&embeddings.device()) {
        let evaluation = match embeddings.dtype() {
            DType::F64 => on_host::<f64>(embeddings, rank, gradient),
            _ => on_host::<f32>(embeddings, rank, gradient),
        };
        if let Some(evaluation) = evaluation {
            return evaluation;
        }
    }
    let _ = solver;
    device::mean_singular_value(embeddings, DEVICE_SMOOTHING / rank, gradient)
}

/// Adds to the sums the Gram matrix of the columns of a shard, for [`mean_singular_value_of_shard`].
#[cfg(feature = "host-solver")]
pub(crate) fn with_gram(sums: MomentSums, shard: &Tensor<2>) -> MomentSums {
    let rows = precise(shard);
    sums.with(rows.clone().transpose().matmul(rows))
}

/// `N / r` of a batch in shards, at least as many rows as dimensions, and its gradient in the rows of a shard. On the
/// host, from the Gram matrix that the first of the sums is.
#[cfg(feature = "host-solver")]
pub(crate) fn mean_singular_value_of_shard(
    shard: &Tensor<2>,
    batch: &MomentSums,
    gradient: bool,
) -> Surrogate<1> {
    let dim = shard.dims()[1];
    let shape = [batch.rows(), dim];
    let single = shard.dtype() != DType::F64;
    let gram = batch.sum_entries(0);
    let solution = host::nuclear_norm_of_gram(gram, shape, smoothing(dim as f64), single)
        .expect("a Gram matrix and a ridge above the rounding of f64 have a Cholesky factor");
    let coefficients = gradient.then(|| {
        let side = solution.side.into_iter().map(|entry| entry / dim as f64);
        let side = TensorData::new(side.collect::<Vec<f64>>(), [dim, dim]);
        let precision = match solution.double {
            true => DType::F64,
            false => shard.dtype(),
        };
        let side = Tensor::<2>::from_data(side, (&shard.device(), precision));
        let product = shard.clone().cast(precision).matmul(side);
        [product.cast(shard.dtype())]
    });
    Surrogate {
        value: scalar(shard, solution.mean),
        coefficients,
    }
}

/// `delta` as a share of `||Y||_F`, on the host.
#[cfg(feature = "host-solver")]
fn smoothing(rank: f64) -> f64 {
    (HOST_SMOOTHING / rank).max(LEAST_HOST_SMOOTHING)
}

/// By the host solver; [`None`] in the one case that it gives up.
#[cfg(feature = "host-solver")]
fn on_host<T: host::Entry>(
    embeddings: &Tensor<2>,
    rank: f64,
    gradient: bool,
) -> Option<Surrogate<1>> {
    let shape = embeddings.dims();
    let data = embeddings.clone().into_data();
    let solution = host::nuclear_norm(entries::<T>(&data), shape, smoothing(rank), gradient)?;
    Some(Surrogate {
        // Divided before it is rounded to the type, whose range the sum may leave.
        value: scalar(embeddings, solution.mean),
        coefficients: (solution.gradient)
            .map(|gradient| [gradient.into_tensor(embeddings).mul_scalar(1.0 / rank)]),
    })
}
