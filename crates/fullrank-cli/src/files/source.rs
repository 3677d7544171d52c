//! Where a file's bytes come from: a disk, a pipe, standard input, any of them packed by gzip.

use std::fs::File;
use std::io::{self, BufReader, Cursor, Read, Seek, SeekFrom};
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use flate2::read::MultiGzDecoder;

/// The path that means standard input.
const STANDARD_INPUT: &str = "-";

/// What can be read from any place.
pub(super) trait ReadSeek: Read + Seek + Send {}

impl<T: Read + Seek + Send> ReadSeek for T {}

/// The bytes of a file, unpacked, and what they are.
pub(super) struct Source {
    pub(super) reader: Box<dyn ReadSeek>,
    /// How many there are.
    pub(super) length: u64,
    pub(super) format: Format,
}

/// What a file may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// An array of numpy.
    Npy,
    /// An archive of such arrays.
    Npz,
    /// Named tensors.
    Safetensors,
    /// A table of columns, among them of lists.
    Parquet,
    /// Numbers between commas, tabs or the like.
    Table,
    /// Lists, one a line.
    JsonLines,
    /// A list of lists.
    Json,
}

impl Format {
    /// That of the last ending of a name.
    fn of_ending(ending: &str) -> Option<Self> {
        match ending {
            "npy" => Some(Self::Npy),
            "npz" => Some(Self::Npz),
            "safetensors" => Some(Self::Safetensors),
            "parquet" | "pq" => Some(Self::Parquet),
            "csv" | "tsv" | "txt" => Some(Self::Table),
            "jsonl" | "ndjson" => Some(Self::JsonLines),
            "json" => Some(Self::Json),
            _ => None,
        }
    }

    /// That of a path, past an ending `.gz`.
    pub(super) fn of_path(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_string_lossy().to_ascii_lowercase();
        let name = name.strip_suffix(".gz").unwrap_or(&name);
        Self::of_ending(name.rsplit_once('.')?.1)
    }

    /// That of some bytes whose name says nothing.
    fn of_content(bytes: &[u8]) -> Self {
        let text = bytes.trim_ascii_start();
        if bytes.starts_with(b"\x93NUMPY") {
            Self::Npy
        } else if bytes.starts_with(b"PK\x03\x04") {
            Self::Npz
        } else if bytes.starts_with(b"PAR1") {
            Self::Parquet
        } else if bytes.get(8) == Some(&b'{') && bytes[..8].contains(&0) {
            Self::Safetensors
        } else if is_list_of_rows(text) {
            Self::Json
        } else if text.starts_with(b"[") || text.starts_with(b"{") {
            Self::JsonLines
        } else {
            Self::Table
        }
    }

    /// Whether a file of the format may hold several named arrays.
    pub(super) fn has_names(self) -> bool {
        !matches!(self, Self::Npy | Self::Table)
    }
}

/// Whether a JSON text is one list of rows, on a line or laid out over many, and no row a line.
fn is_list_of_rows(text: &[u8]) -> bool {
    let Some(inner) = text.strip_prefix(b"[") else {
        return false;
    };
    inner.starts_with(b"\n")
        || inner.starts_with(b"\r")
        || inner.trim_ascii_start().starts_with(b"[")
        || inner.trim_ascii_start().starts_with(b"{")
}

impl Source {
    /// Opens a file; `-` is standard input.
    ///
    /// A file on a disk is left there. What comes from a pipe or out of gzip, of one member or
    /// several, is read into memory as a whole. The format is told by the name, or where there is
    /// no name, as of a pipe, by the content.
    ///
    /// # Errors
    ///
    /// If it cannot be read, is empty or a folder, or has a name that says no format.
    pub(super) fn open(path: &Path) -> Result<Self> {
        if path.as_os_str() == STANDARD_INPUT {
            let mut bytes = Vec::new();
            io::stdin().lock().read_to_end(&mut bytes)?;
            ensure!(!bytes.is_empty(), "standard input is empty");
            return Self::of_bytes(unpacked(bytes)?, None);
        }
        let mut file = File::open(path)?;
        let metadata = file.metadata()?;
        ensure!(!metadata.is_dir(), "this is a folder: name the file in it");
        let named = Format::of_path(path);
        if !metadata.is_file() {
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes)?;
            ensure!(!bytes.is_empty(), "nothing came out of it");
            return Self::of_bytes(unpacked(bytes)?, named);
        }
        let Some(format) = named else {
            bail!(
                "the format is told by the name: .npy, .npz, .safetensors or .csv, also .tsv, .txt, \
                 .jsonl, .json and .parquet, each also packed as .gz"
            );
        };
        let mut magic = Vec::new();
        (&mut file).take(2).read_to_end(&mut magic)?;
        file.seek(SeekFrom::Start(0))?;
        if magic == GZIP {
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes)?;
            return Self::of_bytes(unpacked(bytes)?, named);
        }
        Ok(Self {
            reader: Box::new(BufReader::new(file)),
            length: metadata.len(),
            format,
        })
    }

    fn of_bytes(bytes: Vec<u8>, format: Option<Format>) -> Result<Self> {
        Ok(Self {
            length: bytes.len() as u64,
            format: format.unwrap_or_else(|| Format::of_content(&bytes)),
            reader: Box::new(Cursor::new(bytes)),
        })
    }
}

/// The first bytes of every gzip member.
const GZIP: [u8; 2] = [0x1f, 0x8b];

fn unpacked(bytes: Vec<u8>) -> Result<Vec<u8>> {
    if !bytes.starts_with(&GZIP) {
        return Ok(bytes);
    }
    let mut unpacked = Vec::new();
    MultiGzDecoder::new(&bytes[..])
        .read_to_end(&mut unpacked)
        .context("the gzip file is cut off or corrupt")?;
    Ok(unpacked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_contents_tell_the_format() {
        for (name, expected) in [
            ("a/e.npy", Some(Format::Npy)),
            ("e.csv.gz", Some(Format::Table)),
            ("E.TSV", Some(Format::Table)),
            ("e.b.jsonl.GZ", Some(Format::JsonLines)),
            ("e.gz", None),
            ("npy", None),
            ("e.parquet", Some(Format::Parquet)),
            ("e.xlsx", None),
        ] {
            assert_eq!(Format::of_path(Path::new(name)), expected, "{name}");
        }
        for (bytes, expected) in [
            (&b"\x93NUMPY\x01\x00"[..], Format::Npy),
            (b"PK\x03\x04", Format::Npz),
            (b"\x02\0\0\0\0\0\0\0{}", Format::Safetensors),
            (b"PAR1\x15\x04", Format::Parquet),
            (b" [1, 2]\n[3, 4]", Format::JsonLines),
            (b"{\"e\": [1]}", Format::JsonLines),
            (b"[[1, 2], [3, 4]]", Format::Json),
            (b"[\n  [\n    1,\n    2\n  ]\n]", Format::Json),
            (b"[ {\"e\": [1]} ]", Format::Json),
            (b"1,2\n", Format::Table),
            (b"", Format::Table),
        ] {
            assert_eq!(Format::of_content(bytes), expected);
        }
    }
}
