//! Embeddings of any framework: matrices in files, read block after block.

mod blocks;
mod delimited;
mod element;
mod header;
mod json;
mod labels;
mod lines;
mod npy;
mod npz;
#[cfg(feature = "parquet")]
mod parquet;
mod safetensors;
mod source;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use burn::tensor::TensorData;
use fullrank_files::note;

use element::{Element, Number};
use source::{Format, Source};

/// What takes the rows of a matrix as they are read.
pub(crate) trait Sink {
    /// Called once, before the rows: how long they are, and the relative spacing of the numbers
    /// they were stored as.
    fn start(&mut self, dims: usize, entry_epsilon: f64) -> Result<()>;
    /// Some rows, one after another.
    fn rows(&mut self, rows: &[f64]) -> Result<()>;
}

/// Reads the matrix in a file, block after block, and says on standard error what was guessed of a
/// table: .npy, .npz, .safetensors, .parquet, .csv (.tsv, .txt), .jsonl and .json, each also as .gz, and
/// `-` for standard input.
///
/// Memory is a block of rows, whatever the file's size, but for a matrix in Fortran order in a .npz
/// file, for .json, and for what comes out of a pipe or of gzip, which are read as a whole. What a
/// header claims is held against the file's length before anything is allocated. `tensor` names
/// the one to read in a file that holds several; other files have but one.
///
/// # Errors
///
/// If the file cannot be read or is malformed, holds no matrix or more than one and none is named.
/// An error of the sink.
pub(crate) fn stream(path: &Path, tensor: Option<&str>, sink: &mut dyn Sink) -> Result<()> {
    let source = Source::open(path)?;
    match source.format {
        Format::Npy => npy::read_matrix(source, sink),
        Format::Npz => npz::read_matrix(source, tensor, sink),
        Format::Safetensors => safetensors::read_matrix(source, tensor, sink),
        Format::JsonLines => json::read_lines(source, tensor, sink),
        Format::Json => json::read_whole(source, tensor, sink),
        #[cfg(feature = "parquet")]
        Format::Parquet => {
            let left_out = parquet::read_matrix(source, tensor, sink)?;
            tell(path, left_out.as_slice());
            Ok(())
        }
        #[cfg(not(feature = "parquet"))]
        Format::Parquet => bail!(NO_PARQUET),
        Format::Table => {
            let notes = delimited::read_matrix(source, sink)?;
            tell(path, &notes);
            Ok(())
        }
    }
}

/// Reads the labels in a file: a vector of whole numbers or of names.
///
/// A `.npy` file holds `[batch]` or `[batch, 1]` of integers, of floats that are whole, of booleans
/// or of strings; a `.npz` or `.safetensors` file one such array among others, or the one named
/// behind a colon, `file.npz:name`; a table or text file one label a line, below a header or not,
/// and in a .csv or .tsv file beside an index or under the name `label`. Names are numbered from 0
/// in sorted order.
///
/// # Errors
///
/// If the file cannot be read or holds something else; the error names the file.
pub(crate) fn read_labels(path: &Path) -> Result<Vec<i64>> {
    let (path, name) = split_name(path);
    let read = || -> Result<Vec<i64>> {
        let source = Source::open(&path)?;
        match source.format {
            Format::Npy => npy::read_labels(source),
            Format::Npz => npz::read_labels(source, name.as_deref()),
            Format::Safetensors => safetensors::read_labels(source, name.as_deref()),
            #[cfg(feature = "parquet")]
            Format::Parquet => parquet::read_labels(source, name.as_deref()),
            #[cfg(not(feature = "parquet"))]
            Format::Parquet => bail!(NO_PARQUET),
            Format::Table => {
                let ending = path.to_string_lossy().to_ascii_lowercase();
                let ending = ending.strip_suffix(".gz").unwrap_or(&ending);
                labels::read_text(source, ending.ends_with(".csv") || ending.ends_with(".tsv"))
            }
            Format::JsonLines | Format::Json => {
                bail!(
                    "labels are read from .npy, .npz, .safetensors, .parquet, .csv, .tsv and .txt files"
                )
            }
        }
    };
    let labels = read().with_context(|| shown(&path.display().to_string()))?;
    ensure!(
        !labels.is_empty(),
        "{}: expected labels, found none (in a text, lines that begin with # are comments)",
        shown(&path.display().to_string())
    );
    Ok(labels)
}

/// The file that [`read_labels`] reads for this path.
pub(crate) fn labels_file(path: &Path) -> PathBuf {
    split_name(path).0
}

/// The file and the array of `file.npz:name`.
fn split_name(path: &Path) -> (PathBuf, Option<String>) {
    let text = path.to_string_lossy();
    if let Some((file, name)) = text.rsplit_once(':')
        && !path.exists()
        && Format::of_path(Path::new(file)).is_some_and(Format::has_names)
    {
        return (PathBuf::from(file), Some(name.to_owned()));
    }
    (path.to_owned(), None)
}

/// Why nothing is read of a .parquet file.
#[cfg(not(feature = "parquet"))]
const NO_PARQUET: &str =
    "this build does not read .parquet: install it with --features parquet, or write .npy";

/// What was guessed of a file.
fn tell(path: &Path, notes: &[String]) {
    if !notes.is_empty() {
        let file = shown(&path.display().to_string());
        note(&format!("Note: {file}: {}", notes.join("; ")));
    }
}

/// Whether a file of this name may hold several matrices, of which a name chooses.
pub(crate) fn may_hold_several(path: &Path) -> bool {
    Format::of_path(path).is_none_or(Format::has_names)
}

/// A matrix in the precision it is stored in: f32 of f16, bf16 and f32, f64 of all else.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Matrix {
    pub(crate) rows: usize,
    pub(crate) dims: usize,
    pub(crate) entries: Entries,
}

/// The entries of a matrix, row after row.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Entries {
    F32(Vec<f32>),
    F64(Vec<f64>),
}

/// Reads the matrix in a file, of any format that [`stream`] reads.
///
/// # Errors
///
/// As [`stream`], and if an entry is not finite; the error names the file.
pub(crate) fn read(path: &Path, tensor: Option<&str>) -> Result<Matrix> {
    let mut matrix = Collected::default();
    let read = stream(path, tensor, &mut matrix).and_then(|()| matrix.finish());
    read.with_context(|| shown(&path.display().to_string()))
}

impl Matrix {
    /// The entries for a tensor of the same precision.
    pub(crate) fn into_data(self) -> TensorData {
        let shape = [self.rows, self.dims];
        match self.entries {
            Entries::F32(entries) => TensorData::new(entries, shape),
            Entries::F64(entries) => TensorData::new(entries, shape),
        }
    }
}

/// Rows on their way into a [`Matrix`].
#[derive(Default)]
struct Collected {
    dims: usize,
    single: bool,
    entries: Vec<f64>,
    singles: Vec<f32>,
}

impl Sink for Collected {
    fn start(&mut self, dims: usize, entry_epsilon: f64) -> Result<()> {
        self.dims = dims;
        self.single = entry_epsilon >= f64::from(f32::EPSILON);
        Ok(())
    }

    fn rows(&mut self, rows: &[f64]) -> Result<()> {
        if self.single {
            self.singles.extend(rows.iter().map(|x| *x as f32));
        } else {
            self.entries.extend_from_slice(rows);
        }
        Ok(())
    }
}

impl Collected {
    fn finish(self) -> Result<Matrix> {
        fn check<T: Copy + Into<f64>>(entries: &[T], dims: usize) -> Result<()> {
            let bad = |x: &T| !(*x).into().is_finite();
            if let Some(first) = entries.iter().position(bad) {
                bail!(
                    "{} of {} entries are not finite, the first at row {}, column {}",
                    entries.iter().filter(|x| bad(x)).count(),
                    entries.len(),
                    first / dims,
                    first % dims
                );
            }
            Ok(())
        }
        check(&self.entries, self.dims)?;
        check(&self.singles, self.dims)?;
        let entries = if self.single {
            Entries::F32(self.singles)
        } else {
            Entries::F64(self.entries)
        };
        let count = match &entries {
            Entries::F32(entries) => entries.len(),
            Entries::F64(entries) => entries.len(),
        };
        Ok(Matrix {
            rows: count / self.dims,
            dims: self.dims,
            entries,
        })
    }
}

/// A file's name as a terminal can show it: what would break or turn the line is escaped.
pub(crate) fn shown(name: &str) -> String {
    let turns = |c: char| {
        c.is_control()
            || matches!(
                c,
                '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
            )
    };
    (name.chars())
        .map(|c| {
            if turns(c) {
                c.escape_default().to_string()
            } else {
                c.to_string()
            }
        })
        .collect()
}

/// How many labels there are, from the shape a header claims.
fn labels_shape(shape: &[u64]) -> Result<u64> {
    match *shape {
        [labels] | [labels, 1] => {
            ensure!(labels > 0, "expected labels, found none");
            Ok(labels)
        }
        [1, _] => bail!(
            "expected labels [batch], found shape {shape:?}: a row of labels, save it with .ravel()"
        ),
        _ => bail!("expected labels [batch], found shape {shape:?}"),
    }
}

/// Rows and dimensions of a matrix, from the shape a header claims.
fn matrix_shape(shape: &[u64]) -> Result<[u64; 2]> {
    /// Longer rows are no embeddings, and no figure is computed of them.
    const LONGEST_ROW: u64 = 1 << 23;
    let &[rows, dims] = shape else {
        bail!("expected a matrix [batch, dim], found shape {shape:?}");
    };
    ensure!(
        rows > 0 && dims > 0,
        "expected a matrix with entries, found shape {shape:?}"
    );
    ensure!(
        dims <= LONGEST_ROW,
        "rows of {dims} entries are too long: the limit is {LONGEST_ROW}"
    );
    Ok([rows, dims])
}

/// The one to read of the named arrays of a file.
///
/// That of the name wanted, or the only matrix among them.
fn choose<'a>(arrays: &'a [(String, Vec<u64>)], wanted: Option<&str>) -> Result<&'a str> {
    let list = |arrays: &[&(String, Vec<u64>)]| {
        const SHOWN: usize = 20;
        let mut names: Vec<String> = (arrays.iter().take(SHOWN))
            .map(|(name, shape)| format!("{name} {shape:?}"))
            .collect();
        if arrays.len() > SHOWN {
            names.push(format!("and {} more", arrays.len() - SHOWN));
        }
        names.join(", ")
    };
    let all: Vec<_> = arrays.iter().collect();
    ensure!(!all.is_empty(), "the file holds no arrays");
    if let Some(wanted) = wanted {
        let found = arrays.iter().find(|(name, _)| name == wanted);
        let (name, _) =
            found.with_context(|| format!("no array '{wanted}'; there are: {}", list(&all)))?;
        return Ok(name);
    }
    let matrices: Vec<_> = arrays
        .iter()
        .filter(|(_, shape)| shape.len() == 2)
        .collect();
    match matrices[..] {
        [] => bail!(
            "no array is a matrix [batch, dim]; there are: {}",
            list(&all)
        ),
        [(name, _)] => Ok(name),
        _ => bail!(
            "several matrices, choose one with --tensor: {}",
            list(&matrices)
        ),
    }
}
