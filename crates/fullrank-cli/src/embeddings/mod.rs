//! Embeddings of any framework: matrices in files, read block after block.

mod blocks;
mod csv;
mod element;
pub(crate) mod npy;
mod npz;
mod safetensors;
#[cfg(test)]
mod tests;

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

use element::{Element, Number};

/// What takes the rows of a matrix as they are read.
pub(crate) trait Sink {
    /// Called once, before the rows: how long they are, and the relative spacing of the numbers
    /// they were stored as.
    fn start(&mut self, dims: usize, entry_epsilon: f64) -> Result<()>;
    /// Some rows, one after another.
    fn rows(&mut self, rows: &[f64]) -> Result<()>;
}

/// Reads the matrix in a file of the format that its name ends in: .npy, .npz, .safetensors or
/// .csv.
///
/// Memory is a block of rows, whatever the file's size, but for a matrix in Fortran order in a .npz
/// file, which is read as a whole. What a header claims is held against the file's length before
/// anything is allocated. `tensor` names the one to read in a file that holds several.
///
/// # Errors
///
/// If the file cannot be read or is malformed, holds no matrix or more than one and none is named;
/// the error names the file. An error of the sink, without the file's name.
pub(crate) fn read(path: &Path, tensor: Option<&str>, sink: &mut dyn Sink) -> Result<()> {
    let extension = path.extension().and_then(|extension| extension.to_str());
    let extension = extension.map(str::to_ascii_lowercase);
    match (extension.as_deref(), tensor) {
        (Some("npy"), None) => npy::read_matrix(path, sink),
        (Some("csv"), None) => csv::read_matrix(path, sink),
        (Some("npy" | "csv"), Some(_)) => {
            bail!("a file of this format holds one matrix: leave out --tensor")
        }
        (Some("npz"), _) => npz::read_matrix(path, tensor, sink),
        (Some("safetensors"), _) => safetensors::read_matrix(path, tensor, sink),
        _ => bail!("the format is told by the name: .npy, .npz, .safetensors or .csv"),
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
