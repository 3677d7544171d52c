//! Files that are whole or not there.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::FileError;

/// Writes `bytes` to a temporary file beside `path`, then gives it that name: the whole file or none.
///
/// A symbolic link stays, its target is written. A device or a pipe, such as `/dev/stdout`, is written in
/// place.
///
/// # Errors
///
/// If the file cannot be written. What was there before still is, and no temporary file is left.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    write_through(path, |file| file.write_all(bytes)).map_err(FileError::write(path))
}

fn write_through(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    // Opened by name, a redirected output would be written from its beginning.
    if ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"]
        .map(Path::new)
        .contains(&path)
    {
        let mut output = io::stdout().lock();
        return write(&mut output).and_then(|()| output.flush());
    }
    // What is redirected to a file is still the stream of a process.
    let is_stream = ["/dev", "/proc"].iter().any(|root| path.starts_with(root));
    if is_stream || fs::metadata(path).is_ok_and(|there| !there.is_file()) {
        let mut place = File::options().write(true).open(path)?;
        return write(&mut place);
    }
    let path = target(path)?;
    let folder = folder_of(&path);
    let (temporary, mut file) = temporary(folder)?;
    let replaced = write(&mut file)
        .and_then(|()| file.sync_all())
        .and_then(|()| match fs::metadata(&path) {
            Ok(there) => file.set_permissions(there.permissions()),
            Err(_) => Ok(()),
        })
        .and_then(|()| fs::rename(&temporary, &path));
    match replaced {
        // The name outlives a power cut too, where a folder can be synchronized.
        Ok(()) => drop(File::open(folder).and_then(|folder| folder.sync_all())),
        Err(_) => drop(fs::remove_file(&temporary)),
    }
    replaced
}

/// What a chain of symbolic links ends in, whether it is there or not.
pub(crate) fn target(path: &Path) -> io::Result<PathBuf> {
    let mut target = path.to_path_buf();
    for _ in 0..40 {
        match fs::read_link(&target) {
            Ok(next) => target = folder_of(&target).join(next),
            Err(_) => return Ok(target),
        }
    }
    Err(io::Error::other("too many symbolic links"))
}

pub(crate) fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    }
}

/// A new file in `folder` whose name [`is_temporary`].
fn temporary(folder: &Path) -> io::Result<(PathBuf, File)> {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    loop {
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = folder.join(format!(".fullrank-{}-{count}.partial", std::process::id()));
        match File::options().write(true).create_new(true).open(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            opened => return opened.map(|file| (path, file)),
        }
    }
}

/// Whether a file of this name is one that was being written, by this or an earlier version.
fn is_temporary(name: &str) -> bool {
    const EARLIER: [&str; 5] = [
        "model-partial.bpk",
        "optimizer-partial.bpk",
        "scheduler-partial.bpk",
        "partial.bpk",
        "partial.safetensors",
    ];
    let number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let ours = (name.strip_prefix(".fullrank-"))
        .and_then(|name| name.strip_suffix(".partial")?.split_once('-'))
        .is_some_and(|(process, count)| number(process) && number(count));
    ours || EARLIER.contains(&name)
}

/// Removes, in `folder` and the folders in it, what a process that was killed was writing. Nobody else may
/// be writing there.
pub fn remove_temporaries(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => remove_temporaries(&entry.path()),
            Ok(kind) if kind.is_file() && entry.file_name().to_str().is_some_and(is_temporary) => {
                // It is in nobody's way if it stays.
                let _ = fs::remove_file(entry.path());
            }
            _ => {}
        }
    }
}

/// Writes `value` as indented JSON.
///
/// # Errors
///
/// If the file cannot be written.
pub fn write_json(path: &Path, value: &impl Serialize) -> Result<(), FileError> {
    let text = serde_json::to_string_pretty(value).map_err(FileError::write(path))?;
    write_whole(path, (text + "\n").as_bytes())
}

/// Reads what [`write_json`] wrote.
///
/// # Errors
///
/// If the file cannot be read or holds something else.
pub fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, FileError> {
    let text = fs::read_to_string(path).map_err(FileError::read(path))?;
    serde_json::from_str(&text).map_err(FileError::read(path))
}

/// Whether it is one file, by the numbers that the operating system gives it: hard links are.
#[cfg(unix)]
pub fn is_same(a: &fs::Metadata, b: &fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    (a.dev(), a.ino()) == (b.dev(), b.ino())
}

/// Whether it is one file: not known here.
#[cfg(not(unix))]
pub fn is_same(_: &fs::Metadata, _: &fs::Metadata) -> bool {
    false
}
