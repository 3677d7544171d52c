//! How fullrank's programs print their results and end.

use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;

use anyhow::{Context, Result};
use fullrank_files::note;

/// Runs a program to its exit code. An error is told on standard error, in one line and at most three, and the
/// code then is 1.
pub fn exit(program: impl FnOnce() -> Result<ExitCode>) -> ExitCode {
    program().unwrap_or_else(|error| {
        note(&message(&error));
        ExitCode::FAILURE
    })
}

fn message(error: &anyhow::Error) -> String {
    let text = format!("error: {error:#}");
    let mut lines = text
        .lines()
        .map(str::trim_end)
        .filter(|line| !line.is_empty());
    let told: Vec<&str> = lines.by_ref().take(3).collect();
    let rest = if lines.next().is_some() { " ..." } else { "" };
    told.join("\n") + rest
}

/// Prints a result on standard output. If its reader has gone, as that of `| head` does, nobody misses it.
///
/// # Errors
///
/// If it cannot be written, because the disk is full for one.
pub fn print(text: &str) -> Result<()> {
    let mut output = io::stdout().lock();
    let printed = (output.write_all(text.as_bytes())).and_then(|()| output.flush());
    match printed {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        printed => printed.context("writing standard output"),
    }
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn an_error_is_three_lines_at_most() {
        let error = anyhow!("no such file").context("reading e.npy");
        assert_eq!(message(&error), "error: reading e.npy: no such file");
        let long = anyhow!("a\n\nb\nc\nd");
        assert_eq!(message(&long), "error: a\nb\nc ...");
    }
}
