//! A batch in shards, one a worker: threads of a process with a device each, or processes of several machines.
//!
//! A statistic of a batch is not that of its parts, and neither is its gradient. So each worker first says what the
//! others must know of its shard, its [`ShardStatistics`]: sums over its rows where the loss is made of such, else the
//! rows. Merged, they are the [`BatchStatistics`], and with these each worker has the loss of the whole batch and of
//! its gradient the rows of its own shard, exactly. No gradient passes from one worker to another: only those of the
//! weights, which add up, as ever.
//!
//! [`Sharded`] does it for a loss and a [`Group`] of workers. Without a group, or with a transport of one's own:
//!
//! ```
//! use burn::tensor::{Device, Distribution, Tensor};
//! use fullrank::VicRegLossConfig;
//! use fullrank::shards::BatchStatistics;
//!
//! let vicreg = VicRegLossConfig::new().init();
//! let device = Device::default().autodiff();
//! let shards = [5, 8, 3].map(|rows| {
//!     let view = || Tensor::<2>::random([rows, 4], Distribution::Default, &device);
//!     [view().require_grad(), view().require_grad()]
//! });
//! // Each worker, of its shard of a batch of 16:
//! let statistics = shards.clone().map(|[a, b]| vicreg.shard_statistics(a, b, 16));
//! // Whoever brings them together:
//! let batch = BatchStatistics::merge(statistics)?;
//! // Each worker again:
//! for ([a, b], batch) in shards.into_iter().zip(&batch) {
//!     let gradients = vicreg.forward_shard(a.clone(), b, batch).total.backward();
//!     assert!(a.grad(&gradients).is_some());
//! }
//! # Ok::<(), fullrank::shards::GroupError>(())
//! ```

mod group;
mod moment_sums;
mod sharded;
mod statistics;
mod threads;

pub use group::{Gathered, Group, GroupError};
pub(crate) use moment_sums::MomentSums;
pub(crate) use moment_sums::precise;
pub use sharded::Sharded;
pub use statistics::{BatchStatistics, ShardStatistics};
pub(crate) use statistics::{OfBatch, OfShard, foreign};
pub use threads::{ThreadGroup, Watch};
