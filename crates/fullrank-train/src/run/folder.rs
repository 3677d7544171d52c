//! The folder of a run: chosen, or numbered `run-1`, `run-2` and so on.

use std::fs;
use std::path::{Path, PathBuf};

use super::RunError;
use super::files::write_whole;

/// The file of a run's configuration.
pub const CONFIG: &str = "config.json";

/// The folder of a new run below `runs`: `name`, or `run-N` with the next number. Nothing is written.
///
/// # Errors
///
/// If the folder holds a run already.
pub fn new_run(runs: &Path, name: Option<&str>) -> Result<PathBuf, RunError> {
    let folder = match name {
        Some(name) => runs.join(name),
        None => runs.join(format!("run-{}", last_numbered(runs) + 1)),
    };
    match folder.join(CONFIG).exists() {
        true => Err(RunError::Occupied { folder }),
        false => Ok(folder),
    }
}

/// The folder of the run to continue: `name`, or the last numbered one.
///
/// # Errors
///
/// If no name is given and there is no numbered run.
pub fn last_run(runs: &Path, name: Option<&str>) -> Result<PathBuf, RunError> {
    match (name, last_numbered(runs)) {
        (Some(name), _) => Ok(runs.join(name)),
        (None, 0) => Err(RunError::NoRun {
            folder: runs.to_path_buf(),
        }),
        (None, last) => Ok(runs.join(format!("run-{last}"))),
    }
}

/// Creates the folder, and its configuration if it has none.
///
/// # Errors
///
/// If they cannot be written.
pub fn write_config(folder: &Path, json: &str) -> Result<(), RunError> {
    let path = folder.join(CONFIG);
    fs::create_dir_all(folder).map_err(RunError::write(folder))?;
    match path.exists() {
        true => Ok(()),
        false => write_whole(&path, json.as_bytes()),
    }
}

/// The name of a folder.
pub fn name(folder: &Path) -> String {
    let name = folder.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

/// The largest `n` of the folders `run-n` in `runs`, 0 if there is none.
fn last_numbered(runs: &Path) -> usize {
    let names = fs::read_dir(runs)
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let name = entry.ok()?.file_name().into_string().ok()?;
            name.strip_prefix("run-")?.parse().ok()
        });
    names.max().unwrap_or(0)
}
