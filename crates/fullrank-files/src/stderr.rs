//! Standard error, which may have been closed.

use std::io::Write;

/// Prints a line on standard error. It is no reason to stop if nobody can read it.
pub fn note(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}
