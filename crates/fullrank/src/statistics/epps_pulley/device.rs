//! The statistic on its device: see [`epps_pulley`](super).

use burn::tensor::Tensor;

use super::{Knot, Knots};
use crate::surrogate::Surrogate;

pub(super) fn epps_pulley(
    embeddings: &Tensor<2>,
    slices: &Tensor<2>,
    knots: Knots,
    gradient: bool,
) -> Surrogate<1> {
    let [batch, _] = embeddings.dims();
    let [_, count] = slices.dims();
    let along = embeddings.clone().matmul(slices.clone());
    let mut sums = Tensor::<2>::zeros([1, count], (&along.device(), along.dtype()));
    let mut slopes = gradient.then(|| along.zeros_like());
    for Knot { at, normal, weight } in knots.iter() {
        let angles = along.clone().mul_scalar(at);
        let (cos, sin) = (angles.clone().cos(), angles.sin());
        let real = cos.clone().mean_dim(0).sub_scalar(normal);
        let imaginary = sin.clone().mean_dim(0);
        let squares = real.clone().square() + imaginary.clone().square();
        sums = sums + squares.mul_scalar(weight);
        slopes =
            slopes.map(|slopes| slopes + (cos * imaginary - sin * real).mul_scalar(weight * at));
    }
    let slices_each = 1.0 / count as f64;
    Surrogate {
        value: sums.sum().mul_scalar(batch as f64 * slices_each),
        coefficients: slopes.map(|slopes| {
            let slopes = slopes.mul_scalar(2.0 * slices_each);
            [slopes.matmul(slices.clone().transpose())]
        }),
    }
}
