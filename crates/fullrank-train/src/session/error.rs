//! What can go wrong with a training.

use std::path::PathBuf;

use fullrank_files::FileError;

/// Why a training could not go on. Each message names the file, the folder or the training.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// No checkpoint of a training is intact.
    #[error(
        "no checkpoint in {} can be continued from: {problems}; to start this training anew, delete its folder {}",
        folder.display(),
        training.display()
    )]
    Damaged {
        /// The folder of the checkpoints.
        folder: PathBuf,
        /// Each damaged file, and what is wrong with it.
        problems: String,
        /// The folder of the training.
        training: PathBuf,
    },
    /// A checkpoint of something else.
    #[error("{} is not of this training: {problem}", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        problem: String,
    },
    /// Ctrl-C cannot be listened for.
    #[error("listening for Ctrl-C: {source}")]
    Signal {
        /// The operating system's reason.
        source: std::io::Error,
    },
    /// burn-train ended a training with an error.
    #[error("{label}: {problem}")]
    Training {
        /// The training.
        label: String,
        /// burn-train's message.
        problem: String,
    },
    /// The weights are no longer numbers.
    #[error("{label}: the training diverged (weights are not finite); lower the learning rate")]
    Diverged {
        /// The training.
        label: String,
    },
}
