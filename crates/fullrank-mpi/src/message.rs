//! A list of tensors as bytes: the length of the header, the header, then the values of each tensor.
//!
//! The header has shapes and types, as JSON. All processes must have the same byte order, which those of one `mpirun`
//! have.

use burn::tensor::{DType, TensorData};
use fullrank::shards::GroupError;

/// The bytes in front of the header.
const LENGTH: usize = size_of::<u64>();

/// Shapes and types.
pub(crate) fn header(list: &[TensorData]) -> Vec<u8> {
    let entry = |data: &TensorData| (data.shape().to_vec(), data.dtype());
    let entries: Vec<(Vec<usize>, DType)> = list.iter().map(entry).collect();
    serde_json::to_vec(&entries).expect("numbers and names are valid JSON")
}

/// The whole message.
pub(crate) fn encode(list: &[TensorData]) -> Vec<u8> {
    let header = header(list);
    let mut message = (header.len() as u64).to_le_bytes().to_vec();
    message.extend(header);
    for data in list {
        message.extend_from_slice(data.as_bytes());
    }
    message
}

/// The tensors of a message.
///
/// # Errors
///
/// [`GroupError::Transport`] if it is none, so that a process of another program is found out.
pub(crate) fn decode(message: &[u8]) -> Result<Vec<TensorData>, GroupError> {
    let broken = || GroupError::Transport("a message that is no list of tensors".to_owned());
    let (length, rest) = message.split_at_checked(LENGTH).ok_or_else(broken)?;
    let length = u64::from_le_bytes(length.try_into().expect("eight bytes"));
    let length = usize::try_from(length).map_err(|_| broken())?;
    let (header, mut values) = rest.split_at_checked(length).ok_or_else(broken)?;
    let entries: Vec<(Vec<usize>, DType)> = serde_json::from_slice(header).map_err(|_| broken())?;
    let list = entries.into_iter().map(|(shape, dtype)| {
        let bytes = shape.iter().product::<usize>() * dtype.size();
        let (own, rest) = values.split_at_checked(bytes).ok_or_else(broken)?;
        values = rest;
        Ok(TensorData::from_bytes_vec(own.to_vec(), shape, dtype))
    });
    list.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_comes_back_as_it_was() {
        let list = vec![
            TensorData::from([[1.5_f32, -2.0], [f32::NAN, 0.1]]),
            TensorData::new(Vec::<f64>::new(), [0, 3]),
            TensorData::from([7_u8, 255]),
            TensorData::from([true, false]),
            TensorData::from([-1_i64]),
        ];
        for list in [list, Vec::new()] {
            let back = decode(&encode(&list)).unwrap();
            let bits = |list: &[TensorData]| -> Vec<_> {
                let parts = |data: &TensorData| {
                    let shape = data.shape().to_vec();
                    (data.as_bytes().to_vec(), shape, data.dtype())
                };
                list.iter().map(parts).collect()
            };
            assert_eq!(bits(&back), bits(&list));
        }
    }

    #[test]
    fn a_message_cut_off_anywhere_is_an_error() {
        let message = encode(&[TensorData::from([1.0_f32, 2.0])]);
        for end in 0..message.len() {
            assert!(decode(&message[..end]).is_err(), "{end} bytes");
        }
        assert!(decode(&[255; 40]).is_err());
    }
}
