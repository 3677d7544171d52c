//! Outputs that destroy nothing.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::FileError;
use crate::whole::{folder_of, is_same, target};

/// A file that a command is to write where its user says.
#[derive(Clone, Copy, Debug)]
pub struct Output<'a> {
    /// Where.
    pub path: &'a Path,
    /// What it will hold.
    pub kind: OutputKind,
}

/// What an output holds, by which an earlier one is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputKind {
    /// A report of fullrank, as HTML.
    Report,
    /// An array as .npy.
    Npy,
}

impl OutputKind {
    /// Whether a file that begins with `start` holds this.
    fn is(self, start: &[u8]) -> bool {
        const GENERATOR: &[u8] = b"<meta name=\"generator\" content=\"fullrank\"/>";
        match self {
            Self::Report => start.windows(GENERATOR.len()).any(|part| part == GENERATOR),
            Self::Npy => start.starts_with(b"\x93NUMPY"),
        }
    }
}

/// Checks, before anything is computed, that the outputs destroy nothing: none is one of the `inputs` or
/// another output, by whatever name, and what is there already is empty, holds the same kind, or may be
/// replaced by `force`. Devices and pipes are never in the way.
///
/// # Errors
///
/// [`FileError::OutputIsInput`] and [`FileError::Exists`]; [`FileError::Write`] for a folder.
pub fn check_outputs(
    outputs: &[Output<'_>],
    inputs: &[&Path],
    force: bool,
) -> Result<(), FileError> {
    for (index, output) in outputs.iter().enumerate() {
        let earlier = outputs[..index].iter().map(|output| output.path);
        if let Some(input) = inputs
            .iter()
            .copied()
            .chain(earlier)
            .find(|input| same_file(output.path, input))
        {
            return Err(FileError::OutputIsInput {
                output: output.path.to_path_buf(),
                input: input.to_path_buf(),
            });
        }
        let there = match fs::metadata(output.path) {
            Ok(there) if there.is_dir() => {
                return Err(FileError::write(output.path)("it is a folder"));
            }
            Ok(there) => there.is_file() && there.len() > 0,
            Err(_) => false,
        };
        if there && !force {
            let mut start = Vec::new();
            let read =
                File::open(output.path).and_then(|file| file.take(1024).read_to_end(&mut start));
            read.map_err(FileError::read(output.path))?;
            if !output.kind.is(&start) {
                return Err(FileError::Exists {
                    path: output.path.to_path_buf(),
                });
            }
        }
    }
    Ok(())
}

/// Whether two names are of one file, or would be. Devices and pipes are many-handed.
fn same_file(a: &Path, b: &Path) -> bool {
    match (fs::metadata(a), fs::metadata(b)) {
        (Ok(first), Ok(second)) => {
            first.is_file()
                && second.is_file()
                && (is_same(&first, &second) || canonical(a) == canonical(b))
        }
        (Err(_), Err(_)) => canonical(a) == canonical(b),
        _ => false,
    }
}

/// The one name of a file, of which the folder has to be there.
fn canonical(path: &Path) -> PathBuf {
    let path = target(path).unwrap_or_else(|_| path.to_path_buf());
    let folder = fs::canonicalize(folder_of(&path));
    match (folder, path.file_name()) {
        (Ok(folder), Some(name)) => folder.join(name),
        _ => path,
    }
}
