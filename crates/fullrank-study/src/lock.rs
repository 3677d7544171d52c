//! One process at a time in the folder of a run.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fullrank_files::{FileError, is_same, note, remove_temporaries};

use crate::StudyError;
use crate::configuration::CONFIG;

/// The file that is locked; it holds the number of the process.
pub const LOCK: &str = "run.lock";

/// The sole right to write into a folder. It ends with the last clone, and with the process however that
/// ends: it is a lock of the operating system.
///
/// A folder that was made for it and got no configuration goes with it.
#[derive(Clone, Debug)]
pub struct RunLock {
    held: Arc<Held>,
}

#[derive(Debug)]
struct Held {
    folder: PathBuf,
    created: bool,
    _file: File,
}

impl RunLock {
    /// Takes the folder, which is made if it is not there, and removes the temporary files of a process that
    /// was killed in it.
    ///
    /// # Errors
    ///
    /// [`StudyError::InUse`] if another process, or another [`RunLock`] of this one, has it; [`StudyError::File`]
    /// if the file of the lock cannot be written.
    pub fn take(folder: &Path) -> Result<Self, StudyError> {
        let created = !folder.exists();
        fs::create_dir_all(folder).map_err(FileError::write(folder))?;
        Self::take_made(folder, created)
    }

    /// The same of a folder that is there, and was `created` for this or before.
    pub(super) fn take_made(folder: &Path, created: bool) -> Result<Self, StudyError> {
        let path = folder.join(LOCK);
        let file = loop {
            let file = File::options()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .open(&path)
                .map_err(FileError::write(&path))?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    return Err(StudyError::InUse {
                        folder: folder.to_path_buf(),
                        by: holder(&file),
                    });
                }
                Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => {
                    note(&format!(
                        "{}: this file system has no locks; let no other process write here",
                        folder.display()
                    ));
                }
                Err(TryLockError::Error(error)) => {
                    return Err(FileError::write(&path)(error).into());
                }
            }
            // Its last holder may have removed it after it was opened here.
            if is_at(&file, &path) {
                break file;
            }
        };
        let mut id = &file;
        id.set_len(0)
            .and_then(|()| writeln!(id, "{}", std::process::id()))
            .map_err(FileError::write(&path))?;
        remove_temporaries(folder);
        Ok(Self {
            held: Arc::new(Held {
                folder: folder.to_path_buf(),
                created,
                _file: file,
            }),
        })
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.held.folder
    }
}

/// Who holds a lock, as its file tells.
fn holder(mut file: &File) -> String {
    let mut text = String::new();
    let read = file
        .rewind()
        .and_then(|()| file.take(32).read_to_string(&mut text));
    match (read, text.trim().parse::<u32>()) {
        (Ok(_), Ok(id)) => format!("process {id}"),
        _ => "another process".to_owned(),
    }
}

/// Whether the file is the one that is at `path` now.
fn is_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::metadata(path)) {
        (Ok(open), Ok(there)) => !cfg!(unix) || is_same(&open, &there),
        _ => false,
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // While it is locked: who opens it now finds out that it is gone.
        let _ = fs::remove_file(self.folder.join(LOCK));
        if self.created && !self.folder.join(CONFIG).exists() {
            // Only if it is empty.
            let _ = fs::remove_dir(&self.folder);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_one_holder() {
        let runs = tempfile::tempdir().unwrap();
        let folder = runs.path().join("one");
        let lock = RunLock::take(&folder).unwrap();
        let other = lock.clone();
        drop(lock);
        let error = RunLock::take(&folder).unwrap_err().to_string();
        let (process, name) = (
            format!("process {}", std::process::id()),
            folder.display().to_string(),
        );
        assert!(error.contains(&process) && error.contains(&name), "{error}");
        drop(other);
        assert!(!folder.exists());

        fs::create_dir(&folder).unwrap();
        fs::create_dir(folder.join("deep")).unwrap();
        fs::write(folder.join(CONFIG), "{}").unwrap();
        // A process that was killed leaves its lock file, and what it was writing.
        let left = [
            ".fullrank-1-0.partial",
            "model-partial.bpk",
            "partial.bpk",
            "deep/.fullrank-23-4.partial",
        ];
        for name in left {
            fs::write(folder.join(name), "").unwrap();
        }
        fs::write(folder.join(LOCK), "1\n").unwrap();
        let kept = ["impartial.csv", "film.mp4.partial", ".fullrank-x-0.partial"];
        for name in kept {
            fs::write(folder.join(name), "").unwrap();
        }
        drop(RunLock::take(&folder).unwrap());
        for name in left {
            assert!(!folder.join(name).exists(), "{name}");
        }
        assert!(folder.join(CONFIG).exists());
        assert!(kept.iter().all(|name| folder.join(name).exists()));
        assert!(!folder.join(LOCK).exists());
    }
}
