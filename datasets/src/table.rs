//! Tables of comma-separated values, with the place of each record.

use std::path::Path;

use csv::{ReaderBuilder, StringRecord, Trim};

use crate::Error;

/// The records of a file, a header among them if the file has one.
pub(crate) struct Table {
    records: Vec<Record>,
}

/// A line of a table.
pub(crate) struct Record {
    pub(crate) fields: Vec<String>,
    /// Where the record starts in the file, in bytes.
    pub(crate) offset: u64,
}

impl Table {
    /// Splits `bytes` into records; blank lines are no records, spaces around a field are no part
    /// of it.
    pub(crate) fn parse(bytes: &[u8], path: &Path) -> Result<Self, Error> {
        let rest = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let place = |position: Option<&csv::Position>| {
            (bytes.len() - rest.len()) as u64 + position.map_or(0, csv::Position::byte)
        };
        let mut reader = ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .trim(Trim::All)
            .from_reader(rest);
        let mut records = Vec::new();
        for record in reader.records() {
            let record: StringRecord = record.map_err(|error| {
                Error::malformed(
                    path,
                    place(error.position()),
                    format!("not a table: {error}"),
                )
            })?;
            records.push(Record {
                fields: record.iter().map(String::from).collect(),
                offset: place(record.position()),
            });
        }
        Ok(Self { records })
    }

    pub(crate) fn records(&self) -> &[Record] {
        &self.records
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_have_their_places() {
        let text = b"\xef\xbb\xbfa, b\r\n\r\n\"c,d\",e\n";
        let table = Table::parse(text, Path::new("t.csv")).unwrap();
        let fields: Vec<&[String]> = table.records().iter().map(|r| &r.fields[..]).collect();
        assert_eq!(fields, [["a", "b"], ["c,d", "e"]]);
        assert_eq!(table.records()[0].offset, 3);
        let second = table.records()[1].offset as usize;
        assert_eq!(text[second..].trim_ascii_start()[..6], *b"\"c,d\",");
    }

    #[test]
    fn text_that_is_not_utf8_is_refused() {
        let error = Table::parse(b"a,b\nc,\xff\n", Path::new("t.csv"))
            .err()
            .unwrap();
        assert!(error.to_string().starts_with("t.csv: at byte "), "{error}");
    }
}
