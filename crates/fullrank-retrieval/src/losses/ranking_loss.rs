//! What a ranking loss is.

use std::fmt::Debug;
use std::sync::Arc;

use burn::tensor::{Int, Tensor};
use fullrank::internals::by_autodiff;
use fullrank::{Regularizer, Surrogate, Terms};
use serde::{Deserialize, Serialize};

use crate::{AnyRankingLoss, Regularized, Tuples};

/// A loss of embeddings whose labels say which belong together.
///
/// Value and gradient are computed outside autodiff and attached to the graph, which keeps one matrix
/// of the embeddings' shape: on CPU devices in f64 on the host, on any other device by plain tensor code
/// in the embeddings' precision, which with labels reads nothing back. f16 and bf16 embeddings are
/// raised to f32, and so is the loss.
///
/// A batch in which the loss finds no pair or triplet gives exactly 0, still on the graph, with a
/// gradient of zeros. A NaN in a chosen pair or triplet makes the loss NaN.
pub trait RankingLoss: Debug + Send + Sync {
    /// The loss.
    ///
    /// # Shapes
    ///
    /// - embeddings: `[batch, dim]`
    /// - labels: `[batch]`; equal labels belong together
    /// - output: `[1]`
    ///
    /// # Panics
    ///
    /// If `batch` or `dim` is zero, or the labels are not `batch`.
    fn forward(&self, embeddings: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1>;

    /// The loss of the given pairs or triplets, those of a [`Miner`](crate::Miner) for example, in
    /// place of the loss's own choice.
    ///
    /// # Panics
    ///
    /// If an index is not below `batch`.
    fn forward_tuples(&self, embeddings: Tensor<2>, tuples: &Tuples) -> Tensor<1>;

    /// The loss and its named terms; shapes and panics as in [`forward`](Self::forward). Without one of its
    /// own, a loss has no terms.
    fn forward_terms(&self, embeddings: Tensor<2>, labels: Tensor<1, Int>) -> Terms {
        Terms::new(self.forward(embeddings, labels))
    }

    /// The loss of the given pairs or triplets and its named terms; panics as in
    /// [`forward_tuples`](Self::forward_tuples).
    fn forward_tuples_terms(&self, embeddings: Tensor<2>, tuples: &Tuples) -> Terms {
        Terms::new(self.forward_tuples(embeddings, tuples))
    }

    /// The names of the terms, in their order. None without one of its own.
    fn term_names(&self) -> Vec<String> {
        Vec::new()
    }

    /// The loss and its gradient on plain tensors, with which a batch too large for one backward pass
    /// is [trained in parts](Surrogate#a-batch-in-parts); shapes and panics as in
    /// [`forward`](Self::forward). Without one of its own, a loss has the gradient that autodiff finds.
    fn evaluate(&self, embeddings: Tensor<2>, labels: Tensor<1, Int>) -> Surrogate<1> {
        by_autodiff(
            |[embeddings]| self.forward(embeddings, labels),
            [embeddings],
        )
    }

    /// The loss of the given pairs or triplets and its gradient on plain tensors; panics as in
    /// [`forward_tuples`](Self::forward_tuples).
    fn evaluate_tuples(&self, embeddings: Tensor<2>, tuples: &Tuples) -> Surrogate<1> {
        by_autodiff(
            |[embeddings]| self.forward_tuples(embeddings, tuples),
            [embeddings],
        )
    }

    /// This loss plus a regularizer, whose weight is in its own configuration.
    ///
    /// `name` is what the regularizer's terms are listed under, as `name.term`.
    fn with_regularizer<R: Regularizer>(
        self,
        name: impl Into<String>,
        regularizer: R,
    ) -> Regularized<Self, R>
    where
        Self: Sized,
    {
        Regularized::new(self, name, regularizer)
    }
}

/// A loss by what `self` leads to.
macro_rules! ranking_loss {
    ({$($generics:tt)*} $loss:ty, |$this:ident| $target:expr) => {
        impl<$($generics)*> RankingLoss for $loss {
            fn forward(&self, embeddings: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
                let $this = self;
                $target.forward(embeddings, labels)
            }

            fn forward_tuples(&self, embeddings: Tensor<2>, tuples: &Tuples) -> Tensor<1> {
                let $this = self;
                $target.forward_tuples(embeddings, tuples)
            }

            fn forward_terms(&self, embeddings: Tensor<2>, labels: Tensor<1, Int>) -> Terms {
                let $this = self;
                $target.forward_terms(embeddings, labels)
            }

            fn forward_tuples_terms(&self, embeddings: Tensor<2>, tuples: &Tuples) -> Terms {
                let $this = self;
                $target.forward_tuples_terms(embeddings, tuples)
            }

            fn term_names(&self) -> Vec<String> {
                let $this = self;
                $target.term_names()
            }

            fn evaluate(&self, embeddings: Tensor<2>, labels: Tensor<1, Int>) -> Surrogate<1> {
                let $this = self;
                $target.evaluate(embeddings, labels)
            }

            fn evaluate_tuples(&self, embeddings: Tensor<2>, tuples: &Tuples) -> Surrogate<1> {
                let $this = self;
                $target.evaluate_tuples(embeddings, tuples)
            }
        }
    };
}

ranking_loss!({L: RankingLoss + ?Sized} Box<L>, |this| (**this));
ranking_loss!({L: RankingLoss + ?Sized} Arc<L>, |this| (**this));
ranking_loss!({} AnyRankingLoss, |this| this.chosen());

/// How the losses of single pairs or triplets become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TupleReduction {
    /// Their mean.
    Mean,
    /// The mean of those that are not zero: easy pairs do not dilute hard ones.
    MeanNonZero,
}

impl TupleReduction {
    /// What the mean of all entries, `count` of them, is multiplied with, if `active` of them are not
    /// zero. All shapes `[1]`.
    pub(crate) fn factor(self, count: Tensor<1>, active: Tensor<1>) -> Tensor<1> {
        match self {
            Self::Mean => count.ones_like(),
            Self::MeanNonZero => count / active.clamp_min(1.0),
        }
    }
}
