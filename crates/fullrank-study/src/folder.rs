//! The folder of a run: chosen, or numbered `run-1`, `run-2` and so on.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use fullrank_files::{FileError, write_whole};

use crate::StudyError;
use crate::configuration::CONFIG;
use crate::lock::RunLock;

/// The folder of a new run below `runs`, locked: `name`, or `run-N` with the next number that is free. It is
/// made, and removed again if the lock ends before there is a [configuration](write_config).
///
/// # Errors
///
/// If the name cannot be that of a folder in `runs`, or the folder holds a run already, is in use or cannot
/// be made.
pub fn new_run(runs: &Path, name: Option<&str>) -> Result<RunLock, StudyError> {
    let Some(name) = name else {
        return numbered(runs);
    };
    let folder = named(runs, name)?;
    let free = || match folder.join(CONFIG).exists() {
        true => Err(StudyError::Occupied {
            folder: folder.clone(),
        }),
        false => Ok(()),
    };
    free()?;
    let lock = RunLock::take(&folder)?;
    // Another process may have come and gone.
    free()?;
    Ok(lock)
}

/// The folder of the run to continue, locked: `name`, or the last numbered one.
///
/// # Errors
///
/// If there is no such run, or another process has it.
pub fn last_run(runs: &Path, name: Option<&str>) -> Result<RunLock, StudyError> {
    let no_run = |folder: &Path| StudyError::NoRun {
        folder: folder.to_path_buf(),
    };
    let folder = match name {
        Some(name) => named(runs, name)?,
        None => {
            let numbers = numbers(runs).into_iter().rev();
            let mut folders = numbers.map(|n| runs.join(format!("run-{n}")));
            // One without a configuration has not begun.
            let last = folders.find(|folder| folder.join(CONFIG).exists());
            last.ok_or_else(|| no_run(runs))?
        }
    };
    match folder.join(CONFIG).exists() {
        true => RunLock::take(&folder),
        false => Err(no_run(&folder)),
    }
}

/// The next numbered folder that nobody else made.
fn numbered(runs: &Path) -> Result<RunLock, StudyError> {
    fs::create_dir_all(runs).map_err(FileError::write(runs))?;
    let mut number = numbers(runs).last().map_or(1, |last| last + 1);
    loop {
        let folder = runs.join(format!("run-{number}"));
        match fs::create_dir(&folder) {
            Ok(()) => return RunLock::take_made(&folder, true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
            Err(error) => return Err(FileError::write(&folder)(error).into()),
        }
    }
}

/// The folder called `name` in `runs`.
fn named(runs: &Path, name: &str) -> Result<PathBuf, StudyError> {
    let problem = if name.trim().is_empty() {
        "it is empty"
    } else if name == "." || name == ".." {
        "it is another folder"
    } else if name.contains(['/', '\\']) {
        "it has a path separator; --runs says where the folder is"
    } else if name.contains(char::is_control) {
        "it has a control character"
    } else {
        return Ok(runs.join(name));
    };
    Err(StudyError::Name {
        name: name.to_owned(),
        problem,
    })
}

/// Creates the folder, and its configuration if it has none.
///
/// # Errors
///
/// If they cannot be written.
pub fn write_config(folder: &Path, json: &str) -> Result<(), StudyError> {
    let path = folder.join(CONFIG);
    fs::create_dir_all(folder).map_err(FileError::write(folder))?;
    match path.exists() {
        true => Ok(()),
        false => Ok(write_whole(&path, json.as_bytes())?),
    }
}

/// The name of a folder.
pub fn name(folder: &Path) -> String {
    let name = folder.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

/// Every `n` of the folders `run-n` in `runs`, by size.
fn numbers(runs: &Path) -> Vec<u64> {
    let names = fs::read_dir(runs).into_iter().flatten().flatten();
    let mut numbers: Vec<u64> = names
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            name.strip_prefix("run-")?.parse().ok()
        })
        // There is a next one.
        .filter(|&number| number < u64::MAX)
        .collect();
    numbers.sort_unstable();
    numbers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_runs_never_share_a_folder() {
        let runs = tempfile::tempdir().unwrap();
        let runs = runs.path();
        let start = || new_run(runs, None).unwrap();
        let locks: Vec<RunLock> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(start)).collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .collect()
        });
        let mut names: Vec<String> = locks.iter().map(|lock| name(lock.folder())).collect();
        names.sort();
        let expected: Vec<String> = (1..=8).map(|n| format!("run-{n}")).collect();
        assert_eq!(names, expected);
        // None has a configuration: none has begun.
        assert!(matches!(
            last_run(runs, None),
            Err(StudyError::NoRun { .. })
        ));
        write_config(&runs.join("run-3"), "{}").unwrap();
        assert!(matches!(
            last_run(runs, None),
            Err(StudyError::InUse { .. })
        ));
        drop(locks);
        assert_eq!(numbers(runs), [3]);
        assert_eq!(last_run(runs, None).unwrap().folder(), runs.join("run-3"));
        assert_eq!(name(new_run(runs, None).unwrap().folder()), "run-4");
    }

    #[test]
    fn a_name_is_that_of_a_folder() {
        let runs = tempfile::tempdir().unwrap();
        for name in ["", " ", ".", "..", "a/b", "/", "..\\a", "a\nb", "a\0"] {
            for result in [
                new_run(runs.path(), Some(name)),
                last_run(runs.path(), Some(name)),
            ] {
                let error = result.unwrap_err().to_string();
                assert!(
                    error.starts_with("a run cannot be named"),
                    "{name:?}: {error}"
                );
                assert_eq!(error.lines().count(), 1);
            }
        }
        assert_eq!(fs::read_dir(runs.path()).unwrap().count(), 0);
        let lock = new_run(runs.path(), Some("übung 1.a")).unwrap();
        assert_eq!(name(lock.folder()), "übung 1.a");
    }
}
