//! Tensors read back in their own precision.

use burn::tensor::{DType, Tensor, TensorReadError};

/// The entries of a tensor on the host: f64 as f64, all other floats as f32.
pub(crate) enum HostValues {
    Single(Vec<f32>),
    Double(Vec<f64>),
}

impl HostValues {
    /// Reads the rows of a tensor back, off autodiff.
    pub(crate) fn read(rows: &Tensor<2>) -> Result<Self, TensorReadError> {
        let rows = rows.clone().without_autodiff();
        Ok(if rows.dtype() == DType::F64 {
            Self::Double(rows.try_into_vec_as::<f64>()?)
        } else {
            Self::Single(rows.try_into_vec_as::<f32>()?)
        })
    }

    /// Appends others; f32 becomes f64 where either is.
    pub(crate) fn extend(&mut self, others: Self) {
        match (&mut *self, others) {
            (Self::Single(values), Self::Single(others)) => values.extend(others),
            (Self::Double(values), Self::Double(others)) => values.extend(others),
            (Self::Double(values), Self::Single(others)) => {
                values.extend(others.into_iter().map(f64::from));
            }
            (Self::Single(values), Self::Double(others)) => {
                let wide = values.iter().map(|&x| f64::from(x)).chain(others);
                *self = Self::Double(wide.collect());
            }
        }
    }
}
