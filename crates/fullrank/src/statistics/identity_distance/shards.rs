//! The distance of a batch of which a shard is at hand: see [`identity_distance`](super).

use burn::tensor::{Tensor, TensorData};

use crate::shards::MomentSums;
use crate::statistics::moments::degrees_of_freedom;
use crate::surrogate::{Surrogate, scalar};

/// What the other shards of a batch must know of this one.
pub(crate) fn sums(shard: &Tensor<2>) -> MomentSums {
    MomentSums::of(std::slice::from_ref(shard), &[[0, 0]])
}

/// `L` of the whole batch and, with `gradient`, its gradient in the rows of a shard.
pub(crate) fn identity_distance_of_shard(
    shard: &Tensor<2>,
    batch: &MomentSums,
    gradient: bool,
) -> Surrogate<1> {
    let [_, dim] = shard.dims();
    let n = degrees_of_freedom(batch.rows());
    let mut deviation = batch.products_entries(0).to_vec();
    for (k, entry) in deviation.iter_mut().enumerate() {
        *entry = *entry / n - f64::from(k / dim == k % dim);
    }
    let squares: f64 = deviation.iter().map(|entry| entry * entry).sum();
    let distance = squares.sqrt();
    let coefficients = gradient.then(|| {
        let divisor = if distance == 0.0 { 1.0 } else { distance };
        let side = deviation.iter().map(|entry| 2.0 / n * entry / divisor);
        let side = TensorData::new(side.collect::<Vec<f64>>(), [dim, dim]);
        let side = Tensor::<2>::from_data(side, (&shard.device(), shard.dtype()));
        [(shard.clone() - batch.mean(0, shard)).matmul(side)]
    });
    Surrogate {
        value: scalar(shard, distance),
        coefficients,
    }
}
