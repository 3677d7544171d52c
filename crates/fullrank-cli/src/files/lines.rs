//! The lines of text files, of any encoding and line end, with their numbers.

use std::io::{BufRead, BufReader, Cursor, Read};

use anyhow::{Context, Result, bail, ensure};

/// The lines of a text, from the first on, blank ones too.
pub(super) struct Lines {
    reader: Box<dyn BufRead>,
    /// Of the line last read, from 1.
    number: u64,
}

impl Lines {
    /// Of a text in UTF-8, or in UTF-16 with its byte order mark.
    pub(super) fn new(reader: impl Read + 'static) -> Result<Self> {
        let mut reader = BufReader::with_capacity(1 << 16, reader);
        let mut start = Vec::new();
        (&mut reader).take(3).read_to_end(&mut start)?;
        let reader: Box<dyn BufRead> = match start[..] {
            [0xef, 0xbb, 0xbf] => Box::new(reader),
            [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => {
                let big_endian = start[0] == 0xfe;
                let mut bytes = start.split_off(2);
                reader.read_to_end(&mut bytes)?;
                Box::new(Cursor::new(utf16(&bytes, big_endian)?.into_bytes()))
            }
            _ => Box::new(Cursor::new(start).chain(reader)),
        };
        Ok(Self { reader, number: 0 })
    }

    /// The next line and its number, without its end; [`None`] at the end of the text.
    ///
    /// Letters that are not UTF-8, as in a header saved in an older encoding, are replaced.
    pub(super) fn next(&mut self) -> Result<Option<(u64, String)>> {
        let mut line = Vec::new();
        let mut ended = false;
        let mut any = false;
        while !ended {
            let bytes = self.reader.fill_buf()?;
            if bytes.is_empty() {
                break;
            }
            any = true;
            let end = bytes.iter().position(|b| matches!(b, b'\n' | b'\r'));
            let taken = end.unwrap_or(bytes.len());
            line.extend_from_slice(&bytes[..taken]);
            let carriage_return = end.is_some_and(|end| bytes[end] == b'\r');
            self.reader.consume(taken + usize::from(end.is_some()));
            ended = end.is_some();
            if carriage_return && self.reader.fill_buf()?.first() == Some(&b'\n') {
                self.reader.consume(1);
            }
        }
        if !any {
            return Ok(None);
        }
        self.number += 1;
        ensure!(
            !line.contains(&0),
            "line {} has a zero byte: this is no text, or text in UTF-16 without a byte order mark; \
             save it in UTF-8",
            self.number
        );
        let line = match String::from_utf8(line) {
            Ok(line) => line,
            Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
        };
        Ok(Some((self.number, line)))
    }

    /// The next lines that are one record: more than one where a quoted field holds line ends.
    /// Lines that are blank, or start with `#`, are no records.
    pub(super) fn record(&mut self) -> Result<Option<(u64, String)>> {
        /// Lines of a record.
        const MOST: usize = 1000;
        let (number, mut record) = loop {
            match self.next()? {
                None => return Ok(None),
                Some((_, line)) if line.trim().is_empty() || line.starts_with('#') => {}
                Some(found) => break found,
            }
        };
        let quotes = |text: &str| text.bytes().filter(|b| *b == b'"').count();
        let mut open = quotes(&record) % 2 == 1;
        for _ in 1..MOST {
            if !open {
                return Ok(Some((number, record)));
            }
            let Some((_, line)) = self.next()? else {
                break;
            };
            open ^= quotes(&line) % 2 == 1;
            record.push('\n');
            record.push_str(&line);
        }
        bail!("line {number}: a quote is not closed")
    }
}

fn utf16(bytes: &[u8], big_endian: bool) -> Result<String> {
    let unit = |pair: &[u8]| {
        let pair = [pair[0], pair[1]];
        if big_endian {
            u16::from_be_bytes(pair)
        } else {
            u16::from_le_bytes(pair)
        }
    };
    ensure!(
        bytes.len().is_multiple_of(2),
        "the text is UTF-16 by its byte order mark, but has an odd number of bytes"
    );
    char::decode_utf16(bytes.chunks_exact(2).map(unit))
        .collect::<Result<String, _>>()
        .context("the text is UTF-16 by its byte order mark, but not by its content")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(bytes: &[u8]) -> Vec<(u64, String)> {
        let mut lines = Lines::new(Cursor::new(bytes.to_vec())).unwrap();
        std::iter::from_fn(|| lines.next().unwrap()).collect()
    }

    #[test]
    fn every_line_end_and_encoding() {
        let expected = [
            (1, "a,b".to_owned()),
            (2, String::new()),
            (3, "1,2".to_owned()),
        ];
        let text = "a,b\n\n1,2\n";
        for end in ["\n", "\r\n", "\r"] {
            let text = text.replace('\n', end);
            assert_eq!(lines(text.as_bytes()), expected, "{end:?}");
            let marked = [b"\xef\xbb\xbf", text.as_bytes()].concat();
            assert_eq!(lines(&marked), expected);
            let units: Vec<u16> = format!("\u{feff}{text}").encode_utf16().collect();
            let little: Vec<u8> = units.iter().flat_map(|unit| unit.to_le_bytes()).collect();
            let big: Vec<u8> = units.iter().flat_map(|unit| unit.to_be_bytes()).collect();
            assert_eq!(lines(&little), expected);
            assert_eq!(lines(&big), expected);
        }
        assert_eq!(lines(b"a,b\n\n1,2"), expected);
        assert_eq!(lines(b""), []);
        assert_eq!(lines(b"1"), [(1, "1".to_owned())]);
        assert_eq!(
            lines(b"gr\xf6\xdfe\n"),
            [(1, "gr\u{fffd}\u{fffd}e".to_owned())]
        );
    }

    #[test]
    fn records_hold_quoted_line_ends() {
        let mut lines = Lines::new(&b"# x\n\n\"a\nb\",c\n \n1,2\n\"3"[..]).unwrap();
        assert_eq!(lines.record().unwrap(), Some((3, "\"a\nb\",c".to_owned())));
        assert_eq!(lines.record().unwrap(), Some((6, "1,2".to_owned())));
        let error = lines.record().unwrap_err().to_string();
        assert_eq!(error, "line 7: a quote is not closed");
    }

    #[test]
    fn bytes_that_are_no_text_are_refused() {
        let mut lines = Lines::new(&b"1,2\n1\x00,\x002\x00\n"[..]).unwrap();
        lines.next().unwrap();
        let error = lines.next().unwrap_err().to_string();
        assert!(error.starts_with("line 2 has a zero byte"), "{error}");
        assert!(Lines::new(&b"\xff\xfea"[..]).is_err());
    }
}
