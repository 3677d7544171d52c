//! A batch in shards, one a worker: each has the loss of the whole batch, and its own rows of the gradient.

mod group;

pub use group::{Gathered, Group, GroupError};
