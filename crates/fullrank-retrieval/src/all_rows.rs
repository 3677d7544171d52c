//! The rows of all the workers that share a batch.

use std::ops::Range;

use burn::tensor::{DType, Int, Tensor, TensorData};
use fullrank::Surrogate;
use fullrank::shards::{Group, GroupError};

/// The embeddings and labels of all the [workers](Group) that share a batch, with which each has the loss of the whole
/// batch: of all pairs and triplets, those between the rows of two workers as well.
///
/// No gradient passes from one worker to another. Each has its own rows of the whole batch's gradient, so that the
/// gradients of the workers' weights add up to that of the whole batch.
///
/// ```
/// use burn::tensor::{Device, Distribution, Tensor};
/// use fullrank::shards::ThreadGroup;
/// use fullrank_retrieval::{AllRows, BatchHardMiner, Miner, RankingLoss, TripletLoss};
///
/// # fn main() -> Result<(), fullrank::shards::GroupError> {
/// let group = ThreadGroup::new(1); // of as many as there are threads
/// let device = Device::default();
/// let embeddings = Tensor::<2>::random([6, 8], Distribution::Default, &device.clone().autodiff());
/// let embeddings = embeddings.require_grad();
/// let labels = Tensor::from_ints([0, 0, 1, 1, 2, 2], &device);
///
/// let all = AllRows::gather(&embeddings, &labels, &group)?;
/// let tuples = BatchHardMiner::default().mine(&all.embeddings, &all.labels);
/// let loss = TripletLoss::default().evaluate_tuples(all.embeddings.clone(), &tuples);
/// let gradients = all.attach(loss, embeddings.clone()).backward();
/// assert!(embeddings.grad(&gradients).is_some());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct AllRows {
    /// All embeddings, outside autodiff, on the device of this worker's. Shape `[batch, dim]`.
    pub embeddings: Tensor<2>,
    /// Their labels. Shape `[batch]`.
    pub labels: Tensor<1, Int>,
    own: Range<usize>,
}

impl AllRows {
    /// Brings together what the workers have, `embeddings` of shape `[rows, dim]` and `labels` of shape `[rows]`. A
    /// worker may have no row, but not all of them.
    ///
    /// # Errors
    ///
    /// Those of the group, and if the embeddings of two workers are of different widths or types.
    ///
    /// # Panics
    ///
    /// If there is not one label a row.
    pub fn gather(
        embeddings: &Tensor<2>,
        labels: &Tensor<1, Int>,
        group: &dyn Group,
    ) -> Result<Self, GroupError> {
        let [rows, dim] = embeddings.dims();
        assert_eq!(
            labels.dims(),
            [rows],
            "there must be one label for each of the {rows} rows"
        );
        let device = embeddings.device().without_autodiff();
        let dtype = embeddings.dtype();
        let own = vec![
            embeddings.clone().without_autodiff().into_data(),
            labels.clone().into_data().convert_dtype(DType::I64),
        ];
        let gathered = group.all_gather(own)?;
        let (mut all, mut all_labels, mut starts) = (Vec::new(), Vec::new(), vec![0]);
        for list in gathered.lists {
            let [embeddings, labels]: [TensorData; 2] =
                list.try_into().map_err(|_| GroupError::Mismatch)?;
            let matches = embeddings.dtype() == dtype
                && embeddings.shape().num_dims() == 2
                && embeddings.shape()[1] == dim;
            if !matches {
                return Err(GroupError::Mismatch);
            }
            starts.push(starts[starts.len() - 1] + embeddings.shape()[0]);
            all_labels.extend(labels.iter::<i64>());
            if embeddings.shape()[0] > 0 {
                all.push(Tensor::<2>::from_data(embeddings, (&device, dtype)));
            }
        }
        let count = all_labels.len();
        Ok(Self {
            embeddings: Tensor::cat(all, 0),
            labels: Tensor::from_data(TensorData::new(all_labels, [count]), &device),
            own: starts[gathered.own]..starts[gathered.own + 1],
        })
    }

    /// A loss of [all rows](Self::embeddings) on the graph of this worker's, which have their rows of its gradient.
    ///
    /// # Panics
    ///
    /// If the loss is of other rows, or `own` is not what [`gather`](Self::gather) has got.
    pub fn attach(&self, loss: Surrogate<1>, own: Tensor<2>) -> Tensor<1> {
        loss.rows(self.own.clone()).attach([own])
    }
}
