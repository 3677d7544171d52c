//! A loss whose batch is shared by the workers of a group.

use std::sync::Arc;

use burn::tensor::{Tensor, TensorData};

use super::{BatchStatistics, Group, GroupError, ShardStatistics};
use crate::surrogate::Terms;
use crate::{Regularizer, TwoViewLoss};

/// A loss whose batch is shared by the workers of a [group](Group): each hands in its shard, and has the value of the
/// whole batch and its own rows of the gradient. So the gradients of the workers' networks *add up* to that of the
/// whole batch. Where a training averages them in place of that, see [`averaged`](Self::averaged).
///
/// Every worker must call it as often as the others, in the same order. With embeddings outside autodiff, as in
/// validation, which Burn leaves to one worker, nothing is exchanged: they are a batch for themselves.
///
/// In a `Module` it is a field with `#[module(skip)]`.
///
/// # Terms
///
/// Those of the loss, of the whole batch, as plain tensors.
///
/// # Panics
///
/// Its forward passes, if the workers [cannot exchange](GroupError) what they must know of each other.
#[derive(Clone, Debug)]
pub struct Sharded<L> {
    /// The loss.
    pub loss: L,
    group: Arc<dyn Group>,
    averaged: bool,
}

impl<L> Sharded<L> {
    /// This loss over the shards of the workers.
    pub fn new(loss: L, group: Arc<dyn Group>) -> Self {
        Self {
            loss,
            group,
            averaged: false,
        }
    }

    /// For a training that averages the workers' gradients, as Burn's distributed data-parallel training can: each
    /// is as many times as large as there are workers. The value stays.
    #[must_use]
    pub fn averaged(self) -> Self {
        Self {
            averaged: true,
            ..self
        }
    }

    fn terms(
        &self,
        rows: usize,
        statistics: impl FnOnce(usize) -> ShardStatistics,
        forward: impl FnOnce(&BatchStatistics) -> Terms,
    ) -> Terms {
        let exchanged = self
            .batch(rows)
            .and_then(|batch| statistics(batch).exchange(&*self.group));
        let batch = exchanged.unwrap_or_else(|error| panic!("{error}"));
        let mut terms = forward(&batch);
        if self.averaged {
            let value = terms.total.clone().without_autodiff();
            let workers = self.group.size() as f64;
            let nothing = terms.total.clone() - value.clone();
            terms.total = value + nothing.mul_scalar(workers);
        }
        terms
    }

    /// How many rows all shards have.
    fn batch(&self, rows: usize) -> Result<usize, GroupError> {
        let count = TensorData::new(vec![rows as f64], [1]);
        let sum = self.group.all_sum(vec![count])?;
        Ok(sum[0].iter::<f64>().sum::<f64>() as usize)
    }
}

impl<R: Regularizer> Regularizer for Sharded<R> {
    fn forward(&self, embeddings: Tensor<2>) -> Tensor<1> {
        self.forward_terms(embeddings).total
    }

    fn forward_terms(&self, embeddings: Tensor<2>) -> Terms {
        if !embeddings.is_autodiff() {
            return self.loss.forward_terms(embeddings);
        }
        self.terms(
            embeddings.dims()[0],
            |batch| self.loss.shard_statistics(embeddings.clone(), batch),
            |batch| self.loss.forward_shard(embeddings.clone(), batch),
        )
    }

    fn term_names(&self) -> Vec<String> {
        self.loss.term_names()
    }
}

impl<L: TwoViewLoss> TwoViewLoss for Sharded<L> {
    fn forward(&self, first: Tensor<2>, second: Tensor<2>) -> Tensor<1> {
        self.forward_terms(first, second).total
    }

    fn forward_terms(&self, first: Tensor<2>, second: Tensor<2>) -> Terms {
        if !first.is_autodiff() && !second.is_autodiff() {
            return self.loss.forward_terms(first, second);
        }
        let shard = || (first.clone(), second.clone());
        self.terms(
            first.dims()[0],
            |batch| {
                let (first, second) = shard();
                self.loss.shard_statistics(first, second, batch)
            },
            |batch| {
                let (first, second) = shard();
                self.loss.forward_shard(first, second, batch)
            },
        )
    }

    fn term_names(&self) -> Vec<String> {
        self.loss.term_names()
    }
}
