//! What can be wrong with a set on disk.

use std::path::{Path, PathBuf};

/// Why an image set could not be read. Each message names the file or folder, and the place in it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused to read a file or list a folder.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The operating system's reason.
        source: std::io::Error,
    },
    /// A file or folder that the set's layout needs is not there.
    #[error("{}: not found; {problem}", path.display())]
    Missing {
        /// The path looked for.
        path: PathBuf,
        /// What was expected there.
        problem: String,
    },
    /// A file's content is not what its format says.
    #[error("{}: at byte {offset}: {problem}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Where in the file, from 0. For a gzip file: where in the unpacked data, unless
        /// `problem` speaks of the packed file.
        offset: u64,
        /// What was found, and what was expected.
        problem: String,
    },
    /// An image file could not be decoded.
    #[error("{}: cannot decode the image: {source}", path.display())]
    Image {
        /// The image file.
        path: PathBuf,
        /// The decoder's reason.
        source: image::ImageError,
    },
    /// The folders of an image-folder set do not form a labelled set.
    #[error("{}: {problem}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The caller asked for images that no set can have.
    #[error("{problem}")]
    Options {
        /// The option, its value, and what it may be.
        problem: String,
    },
}

impl Error {
    pub(crate) fn io(path: &Path, source: std::io::Error) -> Self {
        Self::Io {
            path: path.to_path_buf(),
            source,
        }
    }

    pub(crate) fn missing(path: &Path, problem: impl Into<String>) -> Self {
        Self::Missing {
            path: path.to_path_buf(),
            problem: problem.into(),
        }
    }

    pub(crate) fn malformed(path: &Path, offset: u64, problem: impl Into<String>) -> Self {
        Self::Malformed {
            path: path.to_path_buf(),
            offset,
            problem: problem.into(),
        }
    }

    pub(crate) fn folder(path: &Path, problem: impl Into<String>) -> Self {
        Self::Folder {
            path: path.to_path_buf(),
            problem: problem.into(),
        }
    }
}

/// The whole content of the file at `path`.
pub(crate) fn read_file(path: &Path) -> Result<Vec<u8>, Error> {
    std::fs::read(path).map_err(|source| Error::io(path, source))
}
