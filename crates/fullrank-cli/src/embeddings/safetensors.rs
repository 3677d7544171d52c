//! Matrices of .safetensors files.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use safetensors::Dtype;
use safetensors::tensor::Metadata;

use super::{Element, Number, Sink, blocks, choose, matrix_shape};

/// Reads a matrix of a .safetensors file: that of the name, or the only one.
pub(super) fn read_matrix(path: &Path, name: Option<&str>, sink: &mut dyn Sink) -> Result<()> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    let (metadata, start) = header(&mut file, length).context("not a .safetensors file")?;
    let tensors = metadata.tensors();
    let mut shapes: Vec<(String, Vec<u64>)> = (tensors.iter())
        .map(|(name, info)| (name.clone(), info.shape.iter().map(|n| *n as u64).collect()))
        .collect();
    shapes.sort();
    let name = choose(&shapes, name)?;
    let info = tensors[name];
    let matrix = || -> Result<([u64; 2], Element)> {
        let shape: Vec<u64> = info.shape.iter().map(|n| *n as u64).collect();
        Ok((matrix_shape(&shape)?, element(info.dtype)?))
    };
    let (shape, element) = matrix().with_context(|| format!("in tensor '{name}'"))?;
    file.seek(SeekFrom::Start(start + info.data_offsets.0 as u64))?;
    blocks::by_rows(file, shape, element, sink)
}

/// The header of a file of `length` bytes, and where the tensors begin.
///
/// The shapes in it agree with the bytes it says they take, and those with the file's length.
fn header(file: &mut File, length: u64) -> Result<(Metadata, u64)> {
    /// The limit of the format.
    const LONGEST: u64 = 100_000_000;
    let mut size = [0; 8];
    file.read_exact(&mut size).context("no header")?;
    let size = u64::from_le_bytes(size);
    ensure!(
        size <= LONGEST && size <= length - 8,
        "the first bytes say a header of {size} bytes, in a file of {length}"
    );
    let mut text = vec![0; usize::try_from(size)?];
    file.read_exact(&mut text)?;
    let metadata: Metadata = serde_json::from_slice(&text).context("in the header")?;
    let (start, data) = (8 + size, metadata.data_len() as u64);
    ensure!(
        start.checked_add(data) == Some(length),
        "the header says {data} bytes of tensors, but {} bytes follow it at byte {start}",
        length - start
    );
    Ok((metadata, start))
}

fn element(dtype: Dtype) -> Result<Element> {
    Ok(Element::little_endian(match dtype {
        Dtype::F16 => Number::F16,
        Dtype::BF16 => Number::Bf16,
        Dtype::F32 => Number::F32,
        Dtype::F64 => Number::F64,
        Dtype::I8 => Number::I8,
        Dtype::I16 => Number::I16,
        Dtype::I32 => Number::I32,
        Dtype::I64 => Number::I64,
        Dtype::U8 => Number::U8,
        Dtype::U16 => Number::U16,
        Dtype::U32 => Number::U32,
        Dtype::U64 => Number::U64,
        other => bail!("expected F16, BF16, F32, F64 or integers, found {other:?}"),
    }))
}
