//! A loss of two views of the same samples.

use std::fmt::Debug;
use std::sync::Arc;

use burn::module::Module;
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::{
    BarlowTwinsLoss, BarlowTwinsLossConfig, HyperParameterError, LeJepaLoss, LeJepaLossConfig,
    MmcrLoss, MmcrLossConfig, NtXentLoss, NtXentLossConfig, VicRegLoss, VicRegLossConfig,
};
use crate::shards::{BatchStatistics, ShardStatistics};
use crate::surrogate::{self, Surrogate, Terms};

/// A loss of the embeddings of two views of the same samples: row `i` of both is sample `i`.
///
/// Those of this crate are chosen by [`TwoViewLossConfig`] and live in a `Module` as [`AnyTwoViewLoss`]. One
/// of your own needs [`forward`](Self::forward) alone.
pub trait TwoViewLoss: Debug + Send + Sync {
    /// The loss, shape `[1]`, of two views, shapes `[batch, dim]`, on their graph.
    fn forward(&self, first: Tensor<2>, second: Tensor<2>) -> Tensor<1>;

    /// The loss and its named, unweighted terms. Without one of its own, a loss has no terms.
    fn forward_terms(&self, first: Tensor<2>, second: Tensor<2>) -> Terms {
        Terms::new(self.forward(first, second))
    }

    /// The names of the terms of [`forward_terms`](Self::forward_terms), in their order. None without one
    /// of its own.
    fn term_names(&self) -> Vec<String> {
        Vec::new()
    }

    /// The loss and its gradient in both views on plain tensors. Without one of its own, a loss has the
    /// gradient that autodiff finds for [`forward`](Self::forward).
    fn evaluate(&self, first: Tensor<2>, second: Tensor<2>) -> Surrogate<2> {
        surrogate::by_autodiff(
            |[first, second]| self.forward(first, second),
            [first, second],
        )
    }

    /// What the other shards of a batch must know of this one, shapes `[rows, dim]`, maybe of no row: see
    /// [`shards`](crate::shards). `batch` is the number of samples of all shards together. Without one of its own, a
    /// loss needs the rows.
    fn shard_statistics(
        &self,
        first: Tensor<2>,
        second: Tensor<2>,
        batch: usize,
    ) -> ShardStatistics {
        let _ = batch;
        surrogate::of_rows_or_of_nothing([first, second], ShardStatistics::of_rows)
    }

    /// The loss of the whole batch on the graph of one of its shards, whose backward pass gives its rows of the whole
    /// batch's gradient; the terms are plain tensors. The loss of an empty shard is a constant.
    ///
    /// # Panics
    ///
    /// If `batch` is not of this loss's [statistics](Self::shard_statistics).
    fn forward_shard(&self, first: Tensor<2>, second: Tensor<2>, batch: &BatchStatistics) -> Terms {
        surrogate::forward_shard_by_rows(
            [first, second],
            batch,
            |[first, second]| self.evaluate(first, second),
            |[first, second]| self.forward_terms(first, second),
        )
    }
}

/// A loss by what `self` leads to: a pointer's target, or the methods that a loss has itself.
macro_rules! two_view_loss {
    ({$($generics:tt)*} $loss:ty, |$this:ident| $target:expr) => {
        impl<$($generics)*> TwoViewLoss for $loss {
            fn forward(&self, first: Tensor<2>, second: Tensor<2>) -> Tensor<1> {
                let $this = self;
                $target.forward(first, second)
            }

            fn forward_terms(&self, first: Tensor<2>, second: Tensor<2>) -> Terms {
                let $this = self;
                $target.forward_terms(first, second)
            }

            fn term_names(&self) -> Vec<String> {
                let $this = self;
                $target.term_names()
            }

            fn evaluate(&self, first: Tensor<2>, second: Tensor<2>) -> Surrogate<2> {
                let $this = self;
                $target.evaluate(first, second)
            }

            fn shard_statistics(
                &self,
                first: Tensor<2>,
                second: Tensor<2>,
                batch: usize,
            ) -> ShardStatistics {
                let $this = self;
                $target.shard_statistics(first, second, batch)
            }

            fn forward_shard(
                &self,
                first: Tensor<2>,
                second: Tensor<2>,
                batch: &BatchStatistics,
            ) -> Terms {
                let $this = self;
                $target.forward_shard(first, second, batch)
            }
        }
    };
}

two_view_loss!({L: TwoViewLoss + ?Sized} Box<L>, |this| (**this));
two_view_loss!({L: TwoViewLoss + ?Sized} Arc<L>, |this| (**this));
two_view_loss!({} VicRegLoss, |this| this);
two_view_loss!({} BarlowTwinsLoss, |this| this);
two_view_loss!({} NtXentLoss, |this| this);
two_view_loss!({} MmcrLoss, |this| this);
two_view_loss!({} LeJepaLoss, |this| this);
two_view_loss!({} AnyTwoViewLoss, |this| this.chosen());

/// Every two-view loss of this crate by name, as it stands in a configuration file.
///
/// ```
/// use fullrank::{TwoViewLoss, TwoViewLossConfig};
///
/// let config: TwoViewLossConfig = serde_json::from_str(r#"{"vicreg": {"covariance_weight": 2.0}}"#)?;
/// config.check()?;
/// assert_eq!(config.init().term_names(), ["invariance", "variance", "covariance"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TwoViewLossConfig {
    /// Variance, invariance, covariance: [`VicRegLoss`].
    #[serde(rename = "vicreg")]
    VicReg(VicRegLossConfig),
    /// The cross-correlation of the views: [`BarlowTwinsLoss`].
    BarlowTwins(BarlowTwinsLossConfig),
    /// Each view of a sample against all other rows: [`NtXentLoss`].
    NtXent(NtXentLossConfig),
    /// The nuclear norm of the views' centroids: [`MmcrLoss`].
    Mmcr(MmcrLossConfig),
    /// The views together, and [`SigReg`](crate::SigReg) on each: [`LeJepaLoss`].
    #[serde(rename = "lejepa")]
    LeJepa(LeJepaLossConfig),
}

impl TwoViewLossConfig {
    /// The name this choice has in a configuration file.
    pub fn name(&self) -> &'static str {
        match self {
            Self::VicReg(_) => "vicreg",
            Self::BarlowTwins(_) => "barlow-twins",
            Self::NtXent(_) => "nt-xent",
            Self::Mmcr(_) => "mmcr",
            Self::LeJepa(_) => "lejepa",
        }
    }

    /// Whether every hyper-parameter is in its range.
    ///
    /// # Errors
    ///
    /// If one is not.
    pub fn check(&self) -> Result<(), HyperParameterError> {
        let checked = match self {
            Self::VicReg(config) => config.check(),
            Self::BarlowTwins(config) => config.check(),
            Self::NtXent(config) => config.check(),
            Self::Mmcr(config) => config.check(),
            Self::LeJepa(config) => config.check(),
        };
        checked.map_err(|error| error.within(self.name()))
    }

    /// Initializes the loss.
    ///
    /// # Panics
    ///
    /// If [`check`](Self::check) finds an error.
    pub fn init(&self) -> AnyTwoViewLoss {
        match self {
            Self::VicReg(config) => AnyTwoViewLoss::VicReg(config.init()),
            Self::BarlowTwins(config) => AnyTwoViewLoss::BarlowTwins(config.init()),
            Self::NtXent(config) => AnyTwoViewLoss::NtXent(config.init()),
            Self::Mmcr(config) => AnyTwoViewLoss::Mmcr(config.init()),
            Self::LeJepa(config) => AnyTwoViewLoss::LeJepa(config.init()),
        }
    }
}

/// Any two-view loss of this crate, as a field of a `Module`; made by [`TwoViewLossConfig`].
#[derive(Module, Debug)]
pub enum AnyTwoViewLoss {
    /// Variance, invariance, covariance.
    VicReg(VicRegLoss),
    /// The cross-correlation of the views.
    BarlowTwins(BarlowTwinsLoss),
    /// Each view of a sample against all other rows.
    NtXent(NtXentLoss),
    /// The nuclear norm of the views' centroids.
    Mmcr(MmcrLoss),
    /// The views together, and SIGReg on each.
    LeJepa(LeJepaLoss),
}

impl AnyTwoViewLoss {
    /// The same loss at this step of the training: one that draws at random, [`LeJepaLoss`], draws anew for each
    /// step. The others are what they are in every step.
    #[must_use]
    pub fn at_step(&self, step: u64) -> Self {
        match self {
            Self::LeJepa(loss) => Self::LeJepa(loss.at_step(step)),
            other => other.clone(),
        }
    }

    fn chosen(&self) -> &dyn TwoViewLoss {
        match self {
            Self::VicReg(loss) => loss,
            Self::BarlowTwins(loss) => loss,
            Self::NtXent(loss) => loss,
            Self::Mmcr(loss) => loss,
            Self::LeJepa(loss) => loss,
        }
    }
}
