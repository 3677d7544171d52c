//! Matrices of .safetensors files.

use std::io::{Read, SeekFrom};

use anyhow::{Context, Result, bail, ensure};
use safetensors::Dtype;
use safetensors::tensor::Metadata;

use super::labels::choose_labels;
use super::source::{ReadSeek, Source};
use super::{Element, Number, Sink, blocks, choose, labels_shape, matrix_shape};

/// Reads a matrix of a .safetensors file: that of the name, or the only one.
pub(super) fn read_matrix(source: Source, name: Option<&str>, sink: &mut dyn Sink) -> Result<()> {
    let mut reader = source.reader;
    let (metadata, start) =
        header(&mut reader, source.length).context("not a .safetensors file")?;
    let shapes = shapes(&metadata);
    let name = choose(&shapes, name)?;
    let tensors = metadata.tensors();
    let info = tensors[name];
    let matrix = || -> Result<([u64; 2], Element)> {
        Ok((matrix_shape(&shape(&info.shape))?, element(info.dtype)?))
    };
    let (shape, element) = matrix().with_context(|| format!("in tensor '{name}'"))?;
    reader.seek(SeekFrom::Start(start + info.data_offsets.0 as u64))?;
    blocks::by_rows(reader, shape, element, sink)
}

/// Reads the labels of a .safetensors file: those of the name, or the only vector of integers.
pub(super) fn read_labels(source: Source, name: Option<&str>) -> Result<Vec<i64>> {
    let mut reader = source.reader;
    let (metadata, start) =
        header(&mut reader, source.length).context("not a .safetensors file")?;
    let tensors = metadata.tensors();
    let shapes = shapes(&metadata);
    let may_be_labels = |name: &String, shape: &[u64]| {
        let dtype = tensors[name].dtype;
        let is_float = matches!(dtype, Dtype::F16 | Dtype::BF16 | Dtype::F32 | Dtype::F64);
        labels_shape(shape).is_ok() && !is_float
    };
    let mut vectors: Vec<String> = (shapes.iter())
        .filter(|(name, shape)| may_be_labels(name, shape))
        .map(|(name, _)| name.clone())
        .collect();
    // Floats only if they are asked for.
    if let Some(wanted) = name
        && let Some((wanted, _)) = shapes.iter().find(|(name, _)| name == wanted)
    {
        vectors.push(wanted.clone());
    }
    let all: Vec<String> = (shapes.iter())
        .map(|(name, shape)| format!("{name} {shape:?}"))
        .collect();
    let name = choose_labels(&vectors, name, &all)?;
    let info = tensors[name];
    let read = || -> Result<Vec<i64>> {
        labels_shape(&shape(&info.shape))?;
        let element = match info.dtype {
            Dtype::BOOL => Element::little_endian(Number::U8),
            other => element(other)?,
        };
        let (from, to) = info.data_offsets;
        reader.seek(SeekFrom::Start(start + from as u64))?;
        let mut bytes = Vec::new();
        reader.take((to - from) as u64).read_to_end(&mut bytes)?;
        element.whole(&bytes)
    };
    read().with_context(|| format!("in tensor '{name}'"))
}

fn shape(sizes: &[usize]) -> Vec<u64> {
    sizes.iter().map(|size| *size as u64).collect()
}

/// The tensors by their names, with their shapes.
fn shapes(metadata: &Metadata) -> Vec<(String, Vec<u64>)> {
    let mut shapes: Vec<(String, Vec<u64>)> = (metadata.tensors().iter())
        .map(|(name, info)| (name.clone(), shape(&info.shape)))
        .collect();
    shapes.sort();
    shapes
}

/// The header of a file of `length` bytes, and where the tensors begin.
///
/// The shapes in it agree with the bytes it says they take, and those with the file's length.
fn header(file: &mut Box<dyn ReadSeek>, length: u64) -> Result<(Metadata, u64)> {
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
