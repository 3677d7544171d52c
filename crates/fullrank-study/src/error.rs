//! What can go wrong with a study.

use std::path::PathBuf;

use fullrank_files::FileError;
use fullrank_train::session::SessionError;

/// Why a run could not go on. Each message names the file, the folder or the training.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StudyError {
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// A training could not go on.
    #[error(transparent)]
    Session(#[from] SessionError),
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
    /// A configuration that does not say what it should.
    #[error("{problem}")]
    Settings {
        /// Where in the configuration, what was found, and what was expected.
        problem: String,
    },
}
