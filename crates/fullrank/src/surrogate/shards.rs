//! A loss of a batch in shards: the value of the whole batch, and of its gradient the rows of one shard.

use std::ops::Add;

use burn::tensor::Tensor;

use super::{Part, Parts, Surrogate, Terms, in_statistics_precision};
use crate::shards::{BatchStatistics, MomentSums, OfBatch, OfShard, ShardStatistics, foreign};

/// A loss whose statistics are sums over the rows.
pub trait SumsOverRows<const N: usize> {
    /// How many numbers the sums are, for embeddings of so many dimensions.
    fn numbers(&self, dim: usize) -> usize;

    /// The sums over the rows of a shard.
    fn sums(&self, shard: &[Tensor<2>; N]) -> MomentSums;

    /// Every part of the whole batch, with the coefficients of the rows of a shard.
    fn parts_of_shard(
        &self,
        shard: &[Tensor<2>; N],
        batch: &MomentSums,
        gradient: bool,
    ) -> Vec<Part<N>>;

    /// The weighted sum of the parts.
    fn total_of_shard(
        &self,
        shard: &[Tensor<2>; N],
        batch: &MomentSums,
        gradient: bool,
    ) -> Surrogate<N> {
        self.parts_of_shard(shard, batch, gradient)
            .into_iter()
            .map(|part| part.surrogate.scale(part.weight))
            .reduce(Add::add)
            .expect("a loss has a part")
    }
}

/// What the other shards of a batch of `batch` rows must know of this one, which may be empty.
pub(crate) fn shard_statistics<const N: usize>(
    loss: &impl Parts<N>,
    shard: [Tensor<2>; N],
    batch: usize,
) -> ShardStatistics {
    of_rows_or_of_nothing(shard, |shard| {
        let [_, dim] = shard[0].dims();
        let bytes_of_rows = N * batch * dim * shard[0].dtype().size();
        match loss.sums_over_rows(&shard[0].device()) {
            Some(sums) if 8 * sums.numbers(dim) < bytes_of_rows && batch >= dim => {
                ShardStatistics(OfShard::Sums(sums.sums(&shard)))
            }
            _ => ShardStatistics::of_rows(shard),
        }
    })
}

/// `statistics` of plain rows; those of no row where there is none.
pub(crate) fn of_rows_or_of_nothing<const N: usize>(
    shard: [Tensor<2>; N],
    statistics: impl FnOnce([Tensor<2>; N]) -> ShardStatistics,
) -> ShardStatistics {
    let plain = shard.map(|view| in_statistics_precision(view.without_autodiff()));
    match plain[0].dims()[0] {
        0 => statistics(plain.map(|view| one_row(&view))).of_nothing(),
        _ => statistics(plain),
    }
}

/// The loss of the whole batch, on the graph of a shard, and its terms as plain tensors.
pub(crate) fn forward_shard<const N: usize>(
    loss: &impl Parts<N>,
    shard: [Tensor<2>; N],
    batch: &BatchStatistics,
) -> Terms {
    match &batch.0 {
        OfBatch::Sums(sums) => {
            let over_rows = (loss.sums_over_rows(&shard[0].device())).unwrap_or_else(|| foreign());
            let plain = shard.clone().map(|view| match view.dims()[0] {
                0 => one_row(&view.without_autodiff()),
                _ => in_statistics_precision(view.without_autodiff()),
            });
            attached(
                shard,
                |gradient| over_rows.total_of_shard(&plain, sums, gradient),
                values(over_rows.parts_of_shard(&plain, sums, false)),
            )
        }
        _ => {
            let rows = batch.rows(&shard);
            let parts = values(loss.parts(rows.clone(), false));
            let total = |gradient| batch.of_shard(loss.total(rows, gradient));
            attached(shard, total, parts)
        }
    }
}

/// The same of a loss that has the rows of the whole batch and is evaluated on them.
pub(crate) fn forward_shard_by_rows<const N: usize>(
    shard: [Tensor<2>; N],
    batch: &BatchStatistics,
    evaluate: impl FnOnce([Tensor<2>; N]) -> Surrogate<N>,
    terms: impl FnOnce([Tensor<2>; N]) -> Terms,
) -> Terms {
    let rows = batch.rows(&shard);
    let terms = terms(rows.clone());
    let terms = terms
        .iter()
        .map(|(name, term)| (name.to_owned(), term.clone()));
    let terms = terms.collect();
    attached(shard, |_| batch.of_shard(evaluate(rows)), terms)
}

impl BatchStatistics {
    /// The rows of the whole batch, beside those of a shard.
    fn rows<const N: usize>(&self, shard: &[Tensor<2>; N]) -> [Tensor<2>; N] {
        let OfBatch::Rows { views, .. } = &self.0 else {
            foreign()
        };
        let views: &[_; N] = views.as_slice().try_into().unwrap_or_else(|_| foreign());
        let device = shard[0].device().without_autodiff();
        views.each_ref().map(|view| {
            let dtype = view.dtype();
            Tensor::from_data(view.clone(), (&device, dtype))
        })
    }

    /// The rows of the shard.
    fn of_shard<const N: usize>(&self, whole: Surrogate<N>) -> Surrogate<N> {
        let OfBatch::Rows { own, .. } = &self.0 else {
            foreign()
        };
        match own.is_empty() {
            true => Surrogate::constant(whole.value),
            false => whole.rows(own.clone()),
        }
    }
}

/// The total on the graph of a shard: of an empty one it is a constant.
fn attached<const N: usize>(
    shard: [Tensor<2>; N],
    total: impl FnOnce(bool) -> Surrogate<N>,
    terms: Vec<(String, Tensor<1>)>,
) -> Terms {
    let empty = shard[0].dims()[0] == 0;
    let total = total(!empty && shard.iter().any(Tensor::is_autodiff));
    let total = match empty {
        true => total.value,
        false => total.attach(shard),
    };
    let terms = terms.into_iter();
    terms.fold(Terms::new(total), |terms, (name, term)| {
        terms.with(name, term)
    })
}

fn values<const N: usize>(parts: Vec<Part<N>>) -> Vec<(String, Tensor<1>)> {
    let parts = parts.into_iter();
    parts
        .map(|part| (part.name.to_owned(), part.surrogate.value))
        .collect()
}

/// A row of zeros, in place of none: what is asked of it is not counted.
fn one_row(view: &Tensor<2>) -> Tensor<2> {
    let [_, dim] = view.dims();
    in_statistics_precision(Tensor::zeros([1, dim], (&view.device(), view.dtype())))
}
