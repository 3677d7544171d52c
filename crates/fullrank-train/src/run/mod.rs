//! A run on disk: its folder and configuration, trainings that can be interrupted at any moment and
//! resumed to the same result, and their metrics.
//!
//! A run is a folder, below a folder of runs, with `config.json` and whatever the run writes. What is
//! finished is a whole file, so the same call that started a run continues it.
//!
//! # What a crash can lose
//!
//! A kill, a power cut or a full disk loses at most the epoch under way: the [checkpoint] of the epoch before
//! is complete, and so are its metrics. Of a training that ended, nothing is lost. What a process was writing is
//! removed when the next one takes the folder, by a [lock] that keeps a second process out.
//!
//! Damage is found by checksums and told on standard error with the name of the file: a checkpoint that is cut
//! off or altered is passed over for the one before, and a line of the metrics that was cut off is left out.
//! If no checkpoint is intact, or a line within the metrics is no row, the run ends with an error that names the
//! file, and removes nothing. Trained weights and results have no checksum: they are read as far as their
//! formats go.

pub mod checkpoint;
mod error;
pub mod files;
pub mod folder;
pub mod history;
pub mod lock;
pub mod matrix;
pub mod progress;
pub mod session;
pub mod settings;
pub mod stop;
pub mod subjects;
pub mod weights;

pub use error::RunError;
