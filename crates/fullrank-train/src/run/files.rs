//! Files that are whole or not there.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::RunError;

/// Writes `bytes` to `path` with `.partial` at its end, then gives the file its name.
///
/// # Errors
///
/// If the file cannot be written.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), RunError> {
    let write = || -> io::Result<()> {
        let partial = path.with_added_extension("partial");
        let mut file = File::create(&partial)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&partial, path)
    };
    write().map_err(RunError::write(path))
}

/// Writes `value` as indented JSON.
///
/// # Errors
///
/// If the file cannot be written.
pub fn write_json(path: &Path, value: &impl Serialize) -> Result<(), RunError> {
    let text = serde_json::to_string_pretty(value).map_err(RunError::write(path))?;
    write_whole(path, (text + "\n").as_bytes())
}

/// Reads what [`write_json`] wrote.
///
/// # Errors
///
/// If the file cannot be read or holds something else.
pub fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, RunError> {
    let text = fs::read_to_string(path).map_err(RunError::read(path))?;
    serde_json::from_str(&text).map_err(RunError::read(path))
}
