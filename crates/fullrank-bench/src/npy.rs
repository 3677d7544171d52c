//! Matrices as `.npy` files of f32, which both sides read and write.

use std::fs::File;
use std::io::{BufReader, BufWriter, Write};

use burn::tensor::{Tensor, TensorData};

/// A matrix from a file.
///
/// # Panics
///
/// If the file is not a matrix of f32.
pub(crate) fn read(path: &str) -> TensorData {
    let file = File::open(path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let npy = npyz::NpyFile::new(BufReader::new(file)).expect("an .npy file");
    let shape: Vec<usize> = npy.shape().iter().map(|&n| n as usize).collect();
    let entries: Vec<f32> = npy.into_vec().expect("entries of f32");
    TensorData::new(entries, shape)
}

/// Writes a tensor of any rank.
///
/// # Panics
///
/// If the file cannot be written.
pub(crate) fn write<const D: usize>(path: &str, tensor: Tensor<D>) {
    use npyz::WriterBuilder;

    let shape = tensor.dims().map(|n| n as u64);
    let file = File::create(path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let mut file = BufWriter::new(file);
    let mut writer = npyz::WriteOptions::<f32>::new()
        .default_dtype()
        .shape(&shape)
        .writer(&mut file)
        .begin_nd()
        .expect("a file to write to");
    writer
        .extend(tensor.into_data().iter::<f32>())
        .and_then(|()| writer.finish())
        .and_then(|()| file.flush())
        .unwrap_or_else(|error| panic!("{path}: {error}"));
}
