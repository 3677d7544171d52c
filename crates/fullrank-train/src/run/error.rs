//! What can go wrong with a run.

use std::path::{Path, PathBuf};

/// Why a run could not go on. Each message names the file, the folder or the training.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// A file could not be read, or does not hold what it should.
    #[error("reading {}: {problem}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The reason.
        problem: String,
    },
    /// A file or folder could not be written.
    #[error("writing {}: {problem}", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// The reason.
        problem: String,
    },
    /// A new run was to be made in a folder that has one.
    #[error("{} holds a run already: continue it with --resume, or choose another --name", folder.display())]
    Occupied {
        /// The folder.
        folder: PathBuf,
    },
    /// There is no run to continue.
    #[error("there is no run to continue in {}", folder.display())]
    NoRun {
        /// The folder of the runs.
        folder: PathBuf,
    },
    /// A name that cannot be that of a run's folder.
    #[error("a run cannot be named {name:?}: {problem}")]
    Name {
        /// The name.
        name: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// Another process writes into the folder.
    #[error("{} is in use by {by}: wait until it has ended, or choose another folder", folder.display())]
    InUse {
        /// The folder.
        folder: PathBuf,
        /// The process, if it is known.
        by: String,
    },
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
    /// An output would be written over an input, or over another output.
    #[error("{} and {} are one file: choose another for the output", output.display(), input.display())]
    OutputIsInput {
        /// The output.
        output: PathBuf,
        /// The input, or the other output.
        input: PathBuf,
    },
    /// An output would be written over a file of someone else.
    #[error("{} exists and is no earlier output: choose another file, or replace it with --force", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// A configuration that does not say what it should.
    #[error("{problem}")]
    Settings {
        /// Where in the configuration, what was found, and what was expected.
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

impl RunError {
    /// Makes the error of reading `path` from its reason.
    pub fn read<E: std::fmt::Display>(path: &Path) -> impl FnOnce(E) -> Self {
        move |problem| Self::Read {
            path: path.to_path_buf(),
            problem: problem.to_string(),
        }
    }

    /// Makes the error of writing `path` from its reason.
    pub fn write<E: std::fmt::Display>(path: &Path) -> impl FnOnce(E) -> Self {
        move |problem| Self::Write {
            path: path.to_path_buf(),
            problem: problem.to_string(),
        }
    }

    /// The error of a part of the configuration.
    pub(super) fn part(key: &str, error: &serde_json::Error) -> Self {
        Self::Settings {
            problem: format!("in `{key}`: {error}"),
        }
    }
}
