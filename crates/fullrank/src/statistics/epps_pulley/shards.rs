//! The statistic of a batch of which a shard is at hand: see [`epps_pulley`](super).

use burn::tensor::Tensor;

use super::{Knot, Knots};
use crate::shards::{MomentSums, precise};
use crate::surrogate::Surrogate;

impl Knots {
    /// How many numbers the sums are, for so many slices.
    pub(crate) fn numbers(self, slices: usize) -> usize {
        2 * (self.count - 1) * slices
    }
}

/// Adds to the sums `sum_i cos(t_j u_im)` and `sum_i sin(t_j u_im)`, a row for each knot.
pub(crate) fn with_sums(
    sums: MomentSums,
    shard: &Tensor<2>,
    slices: &Tensor<2>,
    knots: Knots,
) -> MomentSums {
    let along = precise(shard).matmul(precise(slices));
    let (cosines, sines) = (knots.iter())
        .map(|knot| {
            let angles = along.clone().mul_scalar(knot.at);
            (angles.clone().cos().sum_dim(0), angles.sin().sum_dim(0))
        })
        .unzip();
    sums.with(Tensor::cat(cosines, 0))
        .with(Tensor::cat(sines, 0))
}

/// `L` of the whole batch and, with `gradient`, its gradient in the rows of a shard; the sums are at `place` and the
/// one behind it.
pub(crate) fn epps_pulley_of_shard(
    shard: &Tensor<2>,
    slices: &Tensor<2>,
    knots: Knots,
    (batch, place): (&MomentSums, usize),
    gradient: bool,
) -> Surrogate<1> {
    let rows = batch.rows() as f64;
    let slices_each = 1.0 / slices.dims()[1] as f64;
    let [real, imaginary] =
        [place, place + 1].map(|place| batch.sum(place, shard).div_scalar(rows));
    let along = shard.clone().matmul(slices.clone());
    let mut value = Tensor::<1>::zeros([1], (&shard.device(), shard.dtype()));
    let mut slopes = gradient.then(|| along.zeros_like());
    for (j, Knot { at, normal, weight }) in knots.iter().enumerate() {
        let real = real.clone().narrow(0, j, 1).sub_scalar(normal);
        let imaginary = imaginary.clone().narrow(0, j, 1);
        let squares = real.clone().square() + imaginary.clone().square();
        value = value + squares.sum().mul_scalar(weight);
        slopes = slopes.map(|slopes| {
            let angles = along.clone().mul_scalar(at);
            let slope = angles.clone().cos() * imaginary - angles.sin() * real;
            slopes + slope.mul_scalar(weight * at)
        });
    }
    Surrogate {
        value: value.mul_scalar(rows * slices_each),
        coefficients: slopes.map(|slopes| {
            let slopes = slopes.mul_scalar(2.0 * slices_each);
            [slopes.matmul(slices.clone().transpose())]
        }),
    }
}
