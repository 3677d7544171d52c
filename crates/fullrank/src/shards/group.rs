//! The workers that share a batch.

use std::fmt::Debug;
use std::ops::Add;
use std::time::Duration;

use burn::tensor::{DType, Element, TensorData};

/// The workers that share a batch, as one of them sees it: threads of a process, or processes of several machines.
///
/// What they exchange are numbers in the host's memory, outside autodiff. Every worker makes the same calls in the
/// same order, and each call waits for the others.
pub trait Group: Debug + Send + Sync {
    /// How many workers there are.
    fn size(&self) -> usize;

    /// What every worker brings, in an order that is the same for all of them.
    ///
    /// # Errors
    ///
    /// If another worker does not come, or the transport fails.
    fn all_gather(&self, own: Vec<TensorData>) -> Result<Gathered, GroupError>;

    /// The sum of what the workers bring, entry by entry, of the same bits for all of them. Each brings as many
    /// tensors, of the same shapes, all f32 or all f64.
    ///
    /// Without one of its own a group adds up what it [gathers](Self::all_gather).
    ///
    /// # Errors
    ///
    /// Those of [`all_gather`](Self::all_gather), and if the workers' tensors do not match.
    fn all_sum(&self, own: Vec<TensorData>) -> Result<Vec<TensorData>, GroupError> {
        let mut lists = self.all_gather(own)?.lists.into_iter();
        let first = lists.next().expect("a group has at least one worker");
        lists.try_fold(first, |sum, list| {
            if sum.len() != list.len() {
                return Err(GroupError::Mismatch);
            }
            sum.iter().zip(&list).map(|(a, b)| add(a, b)).collect()
        })
    }
}

/// What every worker of a [group](Group) has brought.
#[derive(Clone, Debug)]
pub struct Gathered {
    /// The tensors of each worker.
    pub lists: Vec<Vec<TensorData>>,
    /// Which of the lists is this worker's.
    pub own: usize,
}

/// Why workers could not exchange what they have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GroupError {
    /// A worker has ended, by a panic or because it had no more to do.
    #[error(
        "of {size} workers that share a batch, {present} are left: one has ended before the others"
    )]
    Left {
        /// How many of them are still there.
        present: usize,
        /// Of how many.
        size: usize,
    },
    /// Not all workers came in time.
    #[error(
        "of {size} workers that share a batch, {present} came within {waited:?}: each must take as many steps as the \
         others"
    )]
    TimedOut {
        /// How many came.
        present: usize,
        /// Of how many.
        size: usize,
        /// How long this one waited.
        waited: Duration,
    },
    /// The workers have brought tensors that do not match.
    #[error(
        "the workers that share a batch have brought tensors of different shapes or types: each must have the same \
         loss, and embeddings of the same width"
    )]
    Mismatch,
    /// What carries the numbers has failed.
    #[error("the workers that share a batch cannot reach each other: {0}")]
    Transport(String),
}

fn add(a: &TensorData, b: &TensorData) -> Result<TensorData, GroupError> {
    if a.shape() != b.shape() || a.dtype() != b.dtype() {
        return Err(GroupError::Mismatch);
    }
    let shape = a.shape().clone();
    Ok(match a.dtype() {
        DType::F64 => TensorData::new(sums::<f64>(a, b), shape),
        DType::F32 => TensorData::new(sums::<f32>(a, b), shape),
        _ => return Err(GroupError::Mismatch),
    })
}

fn sums<T: Element + Add<Output = T>>(a: &TensorData, b: &TensorData) -> Vec<T> {
    a.iter::<T>()
        .zip(b.iter::<T>())
        .map(|(a, b)| a + b)
        .collect()
}
