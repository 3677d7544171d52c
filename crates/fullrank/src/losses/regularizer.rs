//! A penalty of one embedding matrix, to add to any loss.

use std::fmt::Debug;
use std::sync::Arc;

use burn::tensor::Tensor;

use super::{Covariance, CovarianceToIdentity, SigReg, SvMax, Variance, VarianceCovariance};
use crate::shards::{BatchStatistics, ShardStatistics};
use crate::surrogate::{self, Surrogate, Terms};

/// A penalty of one embedding matrix, to add to any loss.
///
/// Those of this crate are chosen by [`RegularizerConfig`](crate::RegularizerConfig) and live in a `Module` as
/// [`AnyRegularizer`](crate::AnyRegularizer). One of your own needs [`forward`](Self::forward) alone:
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use fullrank::{Regularizer, RegularizerSum, SvMaxConfig};
///
/// /// The mean square of the entries.
/// #[derive(Debug)]
/// struct Energy;
///
/// impl Regularizer for Energy {
///     fn forward(&self, embeddings: Tensor<2>) -> Tensor<1> {
///         embeddings.square().mean()
///     }
/// }
///
/// let svmax = SvMaxConfig::new().init();
/// let sum = RegularizerSum::<Box<dyn Regularizer>>::new([
///     ("svmax", Box::new(svmax) as _),
///     ("energy", Box::new(Energy) as _),
/// ]);
/// let embeddings = Tensor::<2>::ones([4, 3], &Device::default().autodiff()).require_grad();
/// let gradients = sum.forward(embeddings.clone()).backward();
/// assert!(embeddings.grad(&gradients).is_some());
/// ```
pub trait Regularizer: Debug + Send + Sync {
    /// The weighted penalty, shape `[1]`, of `embeddings`, shape `[batch, dim]`, on their graph.
    fn forward(&self, embeddings: Tensor<2>) -> Tensor<1>;

    /// The weighted penalty and its named, unweighted terms. Without one of its own, a regularizer has no
    /// terms.
    fn forward_terms(&self, embeddings: Tensor<2>) -> Terms {
        Terms::new(self.forward(embeddings))
    }

    /// The names of the terms of [`forward_terms`](Self::forward_terms), in their order. None without one
    /// of its own.
    fn term_names(&self) -> Vec<String> {
        Vec::new()
    }

    /// The weighted penalty and its gradient on plain tensors. Without one of its own, a regularizer
    /// has the gradient that autodiff finds for [`forward`](Self::forward).
    fn evaluate(&self, embeddings: Tensor<2>) -> Surrogate<1> {
        surrogate::by_autodiff(|[embeddings]| self.forward(embeddings), [embeddings])
    }

    /// What the other shards of a batch must know of this one, shape `[rows, dim]`, maybe of no row: see
    /// [`shards`](crate::shards). `batch` is the number of rows of all shards together. Without one of its own, a
    /// regularizer needs the rows.
    fn shard_statistics(&self, shard: Tensor<2>, batch: usize) -> ShardStatistics {
        let _ = batch;
        surrogate::of_rows_or_of_nothing([shard], ShardStatistics::of_rows)
    }

    /// The weighted penalty of the whole batch on the graph of one of its shards, whose backward pass gives its rows
    /// of the whole batch's gradient; the terms are plain tensors. The penalty of an empty shard is a constant.
    ///
    /// # Panics
    ///
    /// If `batch` is not of this regularizer's [statistics](Self::shard_statistics).
    fn forward_shard(&self, shard: Tensor<2>, batch: &BatchStatistics) -> Terms {
        surrogate::forward_shard_by_rows(
            [shard],
            batch,
            |[rows]| self.evaluate(rows),
            |[rows]| self.forward_terms(rows),
        )
    }
}

/// A regularizer by what `self` leads to: a pointer's target, or the methods that a loss has itself.
macro_rules! regularizer {
    ({$($generics:tt)*} $regularizer:ty, |$this:ident| $target:expr) => {
        impl<$($generics)*> Regularizer for $regularizer {
            fn forward(&self, embeddings: Tensor<2>) -> Tensor<1> {
                let $this = self;
                $target.forward(embeddings)
            }

            fn forward_terms(&self, embeddings: Tensor<2>) -> Terms {
                let $this = self;
                $target.forward_terms(embeddings)
            }

            fn term_names(&self) -> Vec<String> {
                let $this = self;
                $target.term_names()
            }

            fn evaluate(&self, embeddings: Tensor<2>) -> Surrogate<1> {
                let $this = self;
                $target.evaluate(embeddings)
            }

            fn shard_statistics(&self, shard: Tensor<2>, batch: usize) -> ShardStatistics {
                let $this = self;
                $target.shard_statistics(shard, batch)
            }

            fn forward_shard(&self, shard: Tensor<2>, batch: &BatchStatistics) -> Terms {
                let $this = self;
                $target.forward_shard(shard, batch)
            }
        }
    };
}

regularizer!({R: Regularizer + ?Sized} Box<R>, |this| (**this));
regularizer!({R: Regularizer + ?Sized} Arc<R>, |this| (**this));
regularizer!({} SvMax, |this| this);
regularizer!({} Variance, |this| this);
regularizer!({} Covariance, |this| this);
regularizer!({} VarianceCovariance, |this| this);
regularizer!({} CovarianceToIdentity, |this| this);
regularizer!({} SigReg, |this| this);
