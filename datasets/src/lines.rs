//! Lists in text files, one entry a line, with the place of each.

use std::path::Path;

use crate::Error;

/// A line of a list.
pub(crate) struct Line<'a> {
    /// Its fields, separated by spaces or tabs.
    pub(crate) fields: Vec<&'a str>,
    /// Where the line starts in the file, in bytes.
    pub(crate) offset: u64,
}

/// Splits a file into its lines, without the blank ones.
pub(crate) fn lines<'a>(bytes: &'a [u8], path: &Path) -> Result<Vec<Line<'a>>, Error> {
    let text = std::str::from_utf8(bytes)
        .map_err(|error| Error::malformed(path, error.valid_up_to() as u64, "not UTF-8 text"))?;
    let mut offset = 0;
    let mut lines = Vec::new();
    for line in text.split_inclusive('\n') {
        let fields: Vec<&str> = line.split_whitespace().collect();
        if !fields.is_empty() {
            lines.push(Line { fields, offset });
        }
        offset += line.len() as u64;
    }
    Ok(lines)
}

impl Line<'_> {
    /// The `N` fields of the line; `expected` names them.
    pub(crate) fn fields<const N: usize>(
        &self,
        expected: &str,
        path: &Path,
    ) -> Result<[&str; N], Error> {
        <[&str; N]>::try_from(&self.fields[..]).map_err(|_| {
            let problem = format!("expected {expected}, found {:?}", self.fields.join(" "));
            Error::malformed(path, self.offset, problem)
        })
    }

    /// The number in `field`, which `expected` names.
    pub(crate) fn number(&self, field: &str, expected: &str, path: &Path) -> Result<u64, Error> {
        field.parse().map_err(|_| {
            let problem = format!("{field:?} for {expected}, not a whole number");
            Error::malformed(path, self.offset, problem)
        })
    }
}
