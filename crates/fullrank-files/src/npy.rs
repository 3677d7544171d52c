//! Matrices and labels as .npy files, which numpy and `fullrank inspect` read.

use std::fs::File;
use std::io::{BufReader, Seek};
use std::path::Path;

use burn::tensor::{DType, Tensor, TensorData};
use npyz::{AutoSerialize, NpyFile, NpyHeader, Order, WriterBuilder};

use crate::FileError;
use crate::whole::write_whole;

/// Writes a tensor of shape `[rows, dims]` in C order: f64 as f64, all other floats as f32. The whole file or none.
///
/// # Errors
///
/// If the file cannot be written.
pub fn write_matrix(path: &Path, matrix: &Tensor<2>) -> Result<(), FileError> {
    let shape = matrix.dims().map(|n| n as u64);
    let data = matrix.clone().without_autodiff().into_data();
    match data.dtype() {
        DType::F64 => write(path, &shape, data.iter::<f64>()),
        _ => write(path, &shape, data.convert_dtype(DType::F32).iter::<f32>()),
    }
}

/// Writes labels as i64: the whole file or none.
///
/// # Errors
///
/// If the file cannot be written.
pub fn write_labels(path: &Path, labels: &[usize]) -> Result<(), FileError> {
    let shape = [labels.len() as u64];
    write(path, &shape, labels.iter().map(|&label| label as i64))
}

fn write<T: AutoSerialize>(
    path: &Path,
    shape: &[u64],
    entries: impl Iterator<Item = T>,
) -> Result<(), FileError> {
    let bytes = || {
        let mut bytes = Vec::new();
        let mut writer = npyz::WriteOptions::new()
            .default_dtype()
            .shape(shape)
            .writer(&mut bytes)
            .begin_nd()?;
        writer.extend(entries)?;
        writer.finish()?;
        Ok::<_, std::io::Error>(bytes)
    };
    write_whole(path, &bytes().map_err(FileError::write(path))?)
}

/// Reads what [`write_matrix`] wrote of a tensor that is not f64: data of shape `[rows, dims]` in f32.
///
/// # Errors
///
/// If the file cannot be read, or is not a matrix of f32 in C order of the length that its header says.
pub fn read_matrix(path: &Path) -> Result<TensorData, FileError> {
    let read = || -> Result<TensorData, String> {
        let text = |error: std::io::Error| error.to_string();
        let file = File::open(path).map_err(text)?;
        let length = file.metadata().map_err(text)?.len();
        let mut reader = BufReader::new(file);
        let header = NpyHeader::from_reader(&mut reader).map_err(text)?;
        let offset = reader.stream_position().map_err(text)?;
        let (shape, order) = (header.shape().to_vec(), header.order());
        let entries = shape.iter().try_fold(4_u64, |size, &n| size.checked_mul(n));
        match shape[..] {
            [rows, dims] if entries == Some(length - offset) && order == Order::C => {
                let values = NpyFile::with_header(header, reader).into_vec::<f32>();
                let shape = [rows as usize, dims as usize];
                Ok(TensorData::new(values.map_err(text)?, shape))
            }
            _ => Err(format!(
                "expected a matrix of f32 in C order, found the shape {shape:?} and {} bytes",
                length - offset
            )),
        }
    };
    read().map_err(FileError::read(path))
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("embedding.npy");
        let rows = [[1.5, -2.0, 0.25], [0.0, 1e-30, 3e30]];
        let matrix = Tensor::<2>::from_floats(rows, &Device::default());
        write_matrix(&path, &matrix).expect("it is written");
        let read = read_matrix(&path).expect("it is read");
        assert_eq!(read.shape().to_vec(), [2, 3]);
        assert_eq!(read.try_to_vec::<f32>().expect("f32"), rows.concat());

        let mut bytes = std::fs::read(&path).expect("it is there");
        bytes.pop();
        std::fs::write(&path, bytes).expect("it is written");
        let error = read_matrix(&path).expect_err("it is cut");
        assert!(error.to_string().contains("embedding.npy"), "{error}");

        let path = folder.path().join("labels.npy");
        write_labels(&path, &[3, 0, 7]).expect("they are written");
        let file = NpyFile::new(File::open(&path).expect("they are there")).expect(".npy");
        assert_eq!(file.into_vec::<i64>().expect("i64"), [3, 0, 7]);
        assert!(read_matrix(&path).is_err());
    }
}
