//! Trainings that can be interrupted at any moment and resumed to the same result, with their checkpoints,
//! metrics and progress on disk.
//!
//! # What a crash can lose
//!
//! A kill, a power cut or a full disk loses at most the epoch under way: the [checkpoint] of the epoch before
//! is complete, and so are its metrics. Of a training that ended, nothing is lost.
//!
//! Damage is found by checksums and told on standard error with the name of the file: a checkpoint that is cut
//! off or altered is passed over for the one before, and a line of the metrics that was cut off is left out.
//! If no checkpoint is intact, or a line within the metrics is no row, the training ends with an error that names
//! the file, and removes nothing. Trained weights have no checksum: they are read as far as their format goes.
//!
//! Nothing here keeps two processes out of one folder; who names the folders does.

pub mod checkpoint;
mod error;
pub mod history;
pub mod progress;
mod stop;
mod training;
pub mod weights;

pub use error::SessionError;
pub use stop::Stop;
pub use training::{CHECKPOINTS, Display, Session, Trained};
