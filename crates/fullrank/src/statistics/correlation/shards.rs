//! The cross-correlation of two views of which a shard is at hand: see [`correlation`](super).

use burn::tensor::{Tensor, TensorData};

use super::CorrelationTerms;
use crate::shards::MomentSums;
use crate::surrogate::{Surrogate, scalar};

/// What the other shards of a batch must know of this one.
pub(crate) fn sums(shard: &[Tensor<2>; 2]) -> MomentSums {
    MomentSums::of(shard, &[[0, 1]])
}

/// The weighted sum of the terms of the whole batch and, with `gradient`, its gradient in the rows of a shard.
///
/// In the standardized views it is `B W^T` and `A W`, `W` of shape `[dim, dim]` with the part of the redundancy beside
/// its diagonal and that of the invariance on it. Of the standardization's own gradient, the means over the rows of
/// these are zero and the means of their products with `A` and `B` the sums over the rows and the columns of `W * M`.
pub(crate) fn cross_correlation_of_shard(
    shard: &[Tensor<2>; 2],
    batch: &MomentSums,
    epsilon: f64,
    terms: CorrelationTerms,
    gradient: bool,
) -> Surrogate<2> {
    let n = batch.rows() as f64;
    let scales = [0, 1].map(|view| {
        let squares = batch.squares_entries(view).iter();
        let scale = squares.map(|square| (square / n + epsilon).sqrt().recip());
        scale.collect::<Vec<f64>>()
    });
    let [rows, columns] = &scales;
    let dim = columns.len();
    let mut side = batch.products_entries(0).to_vec();
    let mut value = 0.0;
    let mut along = [vec![0.0; dim], vec![0.0; dim]];
    for (i, (entries, scale)) in side.chunks_exact_mut(dim).zip(rows).enumerate() {
        for (j, (entry, column)) in entries.iter_mut().zip(columns).enumerate() {
            let correlation = *entry / n * scale * column;
            let factor = if i == j {
                terms.invariance
            } else {
                terms.redundancy
            };
            // One that does not count is to be seen if it is a NaN.
            let factor = factor.unwrap_or(0.0);
            let from_ideal = correlation - f64::from(i == j);
            value += factor * from_ideal * from_ideal;
            *entry = 2.0 / n * factor * from_ideal;
            along[0][i] += *entry * correlation;
            along[1][j] += *entry * correlation;
        }
    }
    let coefficients = gradient.then(|| {
        let like = &shard[0];
        let tensor = |entries: Vec<f64>, shape: [usize; 2]| {
            let data = TensorData::new(entries, shape);
            Tensor::<2>::from_data(data, (&like.device(), like.dtype()))
        };
        let scales = scales.map(|scale| tensor(scale, [1, dim]));
        let standardized = [0, 1]
            .map(|view| (shard[view].clone() - batch.mean(view, like)) * scales[view].clone());
        let side = tensor(side, [dim, dim]);
        let [a, b] = standardized.clone();
        let free = [b.matmul(side.clone().transpose()), a.matmul(side)];
        let along = along.map(|along| tensor(along, [1, dim]));
        let each = free.into_iter().zip(standardized).zip(along).zip(scales);
        let mut each = each.map(|(((free, rows), along), scale)| (free - rows * along) * scale);
        std::array::from_fn(|_| each.next().expect("two views"))
    });
    Surrogate {
        value: scalar(&shard[0], value),
        coefficients,
    }
}
