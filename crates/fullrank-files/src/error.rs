//! What can go wrong with a file.

use std::path::{Path, PathBuf};

/// Why a file could not be read or written. Each message names it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
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
}

impl FileError {
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
}
