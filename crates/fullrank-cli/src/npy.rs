//! Matrices written as .npy files.

use std::io::Write;
use std::path::Path;

use anyhow::Result;
use burn::tensor::{DType, Device, Tensor, TensorData};
use fullrank_train::run::files::write_whole;
use npyz::WriterBuilder;

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
