//! Matrices and labels as .npy files.

use std::fmt::Display;
use std::fs::File;
use std::io::{BufReader, Read, Write};
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use burn::tensor::{DType, Device, Tensor, TensorData};
use fullrank_train::run::files::write_whole;
use npyz::{NpyFile, Order, TypeChar, WriterBuilder};

use crate::embeddings::npy::Header;

/// Reads a two-dimensional matrix of f32 or f64, in C or Fortran order.
///
/// # Errors
///
/// If the file cannot be read, is no .npy file, holds something else than a non-empty matrix of f32
/// or f64, is shorter or longer than its header says, or has an entry that is not finite.
pub(crate) fn read(path: &Path) -> Result<TensorData> {
    read_matrix(path).with_context(|| format!("{}", path.display()))
}

fn read_matrix(path: &Path) -> Result<TensorData> {
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    let mut reader = BufReader::new(file);
    let header = Header::read(&mut reader, length)?;

    let &[rows, dims] = header.shape() else {
        bail!(
            "expected a matrix [batch, dim], found shape {:?}",
            header.shape()
        );
    };
    ensure!(
        rows > 0 && dims > 0,
        "expected a matrix with entries, found shape [{rows}, {dims}]"
    );
    let dtype = header
        .dtype()
        .context("expected f32 or f64, found a structured type")?;
    let width = match (dtype.type_char(), dtype.size_field()) {
        (TypeChar::Float, width @ (4 | 8)) => width,
        _ => bail!("expected f32 or f64, found {dtype}"),
    };
    header.check_length("entries", width as usize)?;

    let order = header.order();
    let file = NpyFile::with_header(header.into_inner(), reader);
    let shape = [usize::try_from(rows)?, usize::try_from(dims)?];
    Ok(if width == 4 {
        TensorData::new(row_major::<f32, _>(file, shape, order)?, shape)
    } else {
        TensorData::new(row_major::<f64, _>(file, shape, order)?, shape)
    })
}

fn row_major<T, R>(file: NpyFile<R>, [rows, dims]: [usize; 2], order: Order) -> Result<Vec<T>>
where
    T: npyz::Deserialize + Copy + Into<f64>,
    R: Read,
{
    let mut entries: Vec<T> = file.into_vec()?;
    if order == Order::Fortran {
        entries = (0..rows * dims)
            .map(|k| entries[k % dims * rows + k / dims])
            .collect();
    }
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
    Ok(entries)
}

/// Reads a vector of whole numbers of any width.
///
/// # Errors
///
/// If the file cannot be read, is no .npy file, holds something else than a non-empty vector of
/// integers, is shorter or longer than its header says, or has an entry above the largest i64.
pub(crate) fn read_labels(path: &Path) -> Result<Vec<i64>> {
    read_vector(path).with_context(|| format!("{}", path.display()))
}

fn read_vector(path: &Path) -> Result<Vec<i64>> {
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    let mut reader = BufReader::new(file);
    let header = Header::read(&mut reader, length)?;

    let &[labels] = header.shape() else {
        bail!("expected labels [batch], found shape {:?}", header.shape());
    };
    ensure!(labels > 0, "expected labels, found none");
    let dtype = header
        .dtype()
        .context("expected integers, found a structured type")?;
    let (kind, width) = (dtype.type_char(), dtype.size_field());
    ensure!(
        matches!(kind, TypeChar::Int | TypeChar::Uint) && matches!(width, 1 | 2 | 4 | 8),
        "expected integers, found {dtype}"
    );
    header.check_length("labels", width as usize)?;

    let file = NpyFile::with_header(header.into_inner(), reader);
    match (kind, width) {
        (TypeChar::Int, 1) => whole::<i8, _>(file),
        (TypeChar::Int, 2) => whole::<i16, _>(file),
        (TypeChar::Int, 4) => whole::<i32, _>(file),
        (TypeChar::Int, _) => whole::<i64, _>(file),
        (_, 1) => whole::<u8, _>(file),
        (_, 2) => whole::<u16, _>(file),
        (_, 4) => whole::<u32, _>(file),
        (_, _) => whole::<u64, _>(file),
    }
}

fn whole<T, R>(file: NpyFile<R>) -> Result<Vec<i64>>
where
    T: npyz::Deserialize + Copy + Display + TryInto<i64>,
    R: Read,
{
    let labels: Vec<T> = file.into_vec()?;
    let label = |(i, label): (usize, T)| match label.try_into() {
        Ok(label) => Ok(label),
        Err(_) => bail!("label {i} is {label}, above the largest signed number of 64 bits"),
    };
    labels.into_iter().enumerate().map(label).collect()
}

/// The matrix on a device, in its own precision.
pub(crate) fn to_device(data: TensorData, device: &Device) -> Tensor<2> {
    let dtype = data.dtype();
    Tensor::from_data(data, (device, dtype))
}

/// Writes a matrix in its own precision, C order. The file appears whole or not at all.
///
/// # Errors
///
/// If the file cannot be written.
pub(crate) fn write(path: &Path, matrix: Tensor<2>) -> Result<()> {
    let shape = matrix.dims().map(|n| n as u64);
    let data = matrix.into_data();
    let mut bytes = Vec::new();
    match data.dtype() {
        DType::F64 => write_entries::<f64>(&mut bytes, &shape, data.iter())?,
        _ => write_entries::<f32>(&mut bytes, &shape, data.iter())?,
    }
    Ok(write_whole(path, &bytes)?)
}

fn write_entries<T: npyz::AutoSerialize>(
    file: &mut impl Write,
    shape: &[u64],
    entries: impl Iterator<Item = T>,
) -> std::io::Result<()> {
    let mut writer = npyz::WriteOptions::new()
        .default_dtype()
        .shape(shape)
        .writer(file)
        .begin_nd()?;
    writer.extend(entries)?;
    writer.finish()
}
