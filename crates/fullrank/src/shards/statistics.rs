//! What the shards of a batch must know of each other.

use std::ops::Range;
use std::sync::Arc;

use burn::tensor::{Tensor, TensorData};

use super::moment_sums::MomentSums;
use super::{Group, GroupError};

/// What the other shards of a batch must know of this one, as
/// [`shard_statistics`](crate::Regularizer::shard_statistics) of a loss has it: numbers in the host's memory,
/// outside autodiff.
///
/// Of the two ways it is the one with fewer bytes: sums over the rows, as large for many rows as for few, or
/// the rows themselves. A loss that compares every two rows has the rows, and so has one of your own.
#[derive(Clone, Debug)]
pub struct ShardStatistics(pub(crate) OfShard);

#[derive(Clone, Debug)]
pub(crate) enum OfShard {
    /// The rows of each view.
    Rows(Vec<TensorData>),
    Sums(MomentSums),
    /// Those of each summand of a sum.
    Each(Vec<ShardStatistics>),
}

/// The statistics of a whole batch, as one of its shards needs them.
#[derive(Clone, Debug)]
pub struct BatchStatistics(pub(crate) OfBatch);

#[derive(Clone, Debug)]
pub(crate) enum OfBatch {
    Rows {
        /// All rows of each view.
        views: Arc<Vec<TensorData>>,
        /// Which of them are the shard's.
        own: Range<usize>,
    },
    Sums(Arc<MomentSums>),
    Each(Vec<BatchStatistics>),
}

impl ShardStatistics {
    /// The rows themselves, of one view or several.
    pub(crate) fn of_rows<const N: usize>(views: [Tensor<2>; N]) -> Self {
        let views = views.map(|view| view.without_autodiff().into_data());
        Self(OfShard::Rows(views.into()))
    }

    /// Those of the summands of a sum, each for itself.
    pub(crate) fn of_summands(each: Vec<Self>) -> Self {
        Self(OfShard::Each(each))
    }

    /// The same of no row.
    pub(crate) fn of_nothing(self) -> Self {
        Self(match self.0 {
            OfShard::Rows(views) => OfShard::Rows(views.iter().map(no_rows).collect()),
            OfShard::Sums(sums) => OfShard::Sums(sums.of_nothing()),
            OfShard::Each(each) => OfShard::Each(each.into_iter().map(Self::of_nothing).collect()),
        })
    }

    /// How many bytes a worker brings to the others.
    pub fn bytes(&self) -> usize {
        match &self.0 {
            OfShard::Rows(views) => views.iter().map(|view| view.bytes().len()).sum(),
            OfShard::Sums(sums) => sums.bytes(),
            OfShard::Each(each) => each.iter().map(Self::bytes).sum(),
        }
    }

    /// The statistics of the whole batch, of which the other workers bring the other shards.
    ///
    /// # Errors
    ///
    /// Those of the [group](Group), and if the workers' statistics do not match.
    pub fn exchange(self, group: &dyn Group) -> Result<BatchStatistics, GroupError> {
        let of_batch = match self.0 {
            OfShard::Rows(views) => {
                let gathered = group.all_gather(views)?;
                let mut shards = rows_of_batch(gathered.lists)?;
                shards.swap_remove(gathered.own)
            }
            OfShard::Sums(sums) => OfBatch::Sums(Arc::new(sums.exchange(group)?)),
            OfShard::Each(each) => {
                let each = each.into_iter().map(|one| one.exchange(group));
                OfBatch::Each(each.collect::<Result<_, _>>()?)
            }
        };
        Ok(BatchStatistics(of_batch))
    }
}

impl BatchStatistics {
    /// Merges those of all shards, in the order of their rows; for each shard what it needs.
    ///
    /// # Errors
    ///
    /// [`GroupError::Mismatch`] if they are not of the same loss, the same dimension and the same batch.
    pub fn merge(
        shards: impl IntoIterator<Item = ShardStatistics>,
    ) -> Result<Vec<Self>, GroupError> {
        let shards: Vec<ShardStatistics> = shards.into_iter().collect();
        let Some(first) = shards.first() else {
            return Ok(Vec::new());
        };
        let count = shards.len();
        let of_batches = match &first.0 {
            OfShard::Rows(_) => rows_of_batch(all(shards, |shard| match shard {
                OfShard::Rows(views) => Some(views),
                _ => None,
            })?)?,
            OfShard::Sums(_) => {
                let sums = all(shards, |shard| match shard {
                    OfShard::Sums(sums) => Some(sums),
                    _ => None,
                })?;
                let mut sums = sums.into_iter();
                let first = sums.next().expect("at least one shard");
                let whole = Arc::new(sums.try_fold(first, MomentSums::merge)?);
                vec![OfBatch::Sums(whole); count]
            }
            OfShard::Each(_) => {
                let each = all(shards, |shard| match shard {
                    OfShard::Each(each) => Some(each),
                    _ => None,
                })?;
                let mut of_batches = vec![Vec::new(); count];
                for summand in transposed(each)? {
                    for (each, merged) in of_batches.iter_mut().zip(Self::merge(summand)?) {
                        each.push(merged);
                    }
                }
                of_batches.into_iter().map(OfBatch::Each).collect()
            }
        };
        Ok(of_batches.into_iter().map(Self).collect())
    }
}

impl BatchStatistics {
    /// Those of each summand of a sum.
    ///
    /// # Panics
    ///
    /// If they are of another loss.
    pub(crate) fn of_summands(&self, count: usize) -> &[Self] {
        match &self.0 {
            OfBatch::Each(each) if each.len() == count => each,
            _ => foreign(),
        }
    }
}

/// For statistics that a loss cannot have.
pub(crate) fn foreign() -> ! {
    panic!("the statistics of the batch must be those that the same loss has of its shards")
}

/// What `choose` finds in each of them.
fn all<T>(
    shards: Vec<ShardStatistics>,
    choose: impl Fn(OfShard) -> Option<T>,
) -> Result<Vec<T>, GroupError> {
    let chosen = shards.into_iter().map(|shard| choose(shard.0));
    chosen.collect::<Option<_>>().ok_or(GroupError::Mismatch)
}

/// For each summand the statistics of every shard.
fn transposed(shards: Vec<Vec<ShardStatistics>>) -> Result<Vec<Vec<ShardStatistics>>, GroupError> {
    let summands = shards[0].len();
    let mut each: Vec<Vec<ShardStatistics>> = vec![Vec::new(); summands];
    for shard in shards {
        if shard.len() != summands {
            return Err(GroupError::Mismatch);
        }
        for (summand, statistics) in each.iter_mut().zip(shard) {
            summand.push(statistics);
        }
    }
    Ok(each)
}

/// The rows of all shards, one after the other; for each shard what it needs.
fn rows_of_batch(shards: Vec<Vec<TensorData>>) -> Result<Vec<OfBatch>, GroupError> {
    let views = shards[0].len();
    if views == 0 || shards.iter().any(|shard| shard.len() != views) {
        return Err(GroupError::Mismatch);
    }
    let mut whole = Vec::with_capacity(views);
    let mut counts = Vec::new();
    for view in 0..views {
        let of_shards: Vec<&TensorData> = shards.iter().map(|shard| &shard[view]).collect();
        let of_view: Vec<usize> = of_shards.iter().map(|shard| shard.shape()[0]).collect();
        if view > 0 && of_view != counts {
            return Err(GroupError::Mismatch);
        }
        counts = of_view;
        whole.push(one_below_another(&of_shards)?);
    }
    let (views, mut start) = (Arc::new(whole), 0);
    Ok(counts
        .into_iter()
        .map(|count| {
            let own = start..start + count;
            start += count;
            let views = views.clone();
            OfBatch::Rows { views, own }
        })
        .collect())
}

/// The matrices one below another.
fn one_below_another(matrices: &[&TensorData]) -> Result<TensorData, GroupError> {
    let (columns, dtype) = (matrices[0].shape()[1], matrices[0].dtype());
    let matching = |matrix: &&TensorData| matrix.shape()[1] == columns && matrix.dtype() == dtype;
    if !matrices.iter().all(matching) {
        return Err(GroupError::Mismatch);
    }
    let rows = matrices.iter().map(|matrix| matrix.shape()[0]).sum();
    let bytes = matrices
        .iter()
        .flat_map(|matrix| matrix.bytes().iter().copied());
    Ok(TensorData::from_bytes_vec(
        bytes.collect(),
        [rows, columns],
        dtype,
    ))
}

fn no_rows(matrix: &TensorData) -> TensorData {
    TensorData::from_bytes_vec(Vec::new(), [0, matrix.shape()[1]], matrix.dtype())
}
