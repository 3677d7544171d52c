//! What a loss sees of a batch, one number for each two rows, and the way from its derivative in these
//! numbers back to the rows.
//!
//! Close rows are compared by their differences, never by `|x|^2 + |y|^2 - 2 <x, y>`, which has lost
//! what tells them apart; and the gradient is made of the same differences.

mod device;
mod host;

use burn::tensor::{DType, Device, Tensor};
use fullrank::Solver;

use crate::Distance;
use device::RowsOnDevice;
pub(crate) use host::RowsOnHost;

/// The number that a loss sees of two rows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kernel {
    /// Their distance.
    Distance(Distance),
    /// Their inner product.
    Product,
}

/// Where the numbers are computed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Place {
    /// On the host, in f64.
    Host,
    /// On the embeddings' device, in their precision; nothing is read back.
    Device,
}

impl Place {
    /// Where the solver says, on the host if the device can hold f64.
    pub(crate) fn of(solver: Solver, device: &Device) -> Self {
        if solver.on_host(device) && device.supports_dtype(DType::F64) {
            Self::Host
        } else {
            Self::Device
        }
    }
}

/// The kernel of all rows of a batch.
pub(crate) struct KernelMatrix {
    /// Shape `[batch, batch]`, symmetric; in f64 on the host.
    pub(crate) values: Tensor<2>,
    pub(crate) place: Place,
    rows: Rows,
    /// What is computed of the rows: the cosine distance in place of the product of unit rows.
    computed: Kernel,
    /// Whether `values` is 1 less what is computed.
    complement: bool,
}

enum Rows {
    Host(RowsOnHost),
    Device(Box<RowsOnDevice>),
}

impl KernelMatrix {
    /// Of plain embeddings in f32 or f64, whose rows are divided by their 2-norm first if asked for.
    pub(crate) fn new(
        embeddings: &Tensor<2>,
        kernel: Kernel,
        normalize: bool,
        place: Place,
    ) -> Self {
        let complement = kernel == Kernel::Product && normalize;
        let computed = if complement {
            Kernel::Distance(Distance::Cosine)
        } else {
            kernel
        };
        let unit = normalize || computed == Kernel::Distance(Distance::Cosine);
        let (rows, values) = match place {
            Place::Host => {
                let rows = RowsOnHost::new(embeddings, unit);
                let values = rows.kernel_tensor(computed, embeddings);
                (Rows::Host(rows), values)
            }
            Place::Device => {
                let rows = RowsOnDevice::new(embeddings, unit);
                let values = rows.kernel(computed);
                (Rows::Device(Box::new(rows)), values)
            }
        };
        Self {
            values: if complement {
                values.neg().add_scalar(1.0)
            } else {
                values
            },
            place,
            rows,
            computed,
            complement,
        }
    }

    /// The number of rows.
    pub(crate) fn batch(&self) -> usize {
        self.values.dims()[0]
    }

    /// The dimensions of a row.
    pub(crate) fn dim(&self) -> usize {
        match &self.rows {
            Rows::Host(rows) => rows.dim(),
            Rows::Device(rows) => rows.dim(),
        }
    }

    /// The derivative in the embeddings, shape `[batch, dim]`, in their precision, from that in the
    /// kernel, `W`.
    ///
    /// ```text
    /// dx_i = sum_j S_ij (x_i - x_j)
    ///     S = (W + W^T) / K          Euclidean distance, 0 where K = 0
    ///     S = 2 (W + W^T)            squared Euclidean distance
    ///     S = W + W^T                cosine distance, 0 for a zero row
    ///     S = -(W + W^T)             product of unit rows, 0 for a zero row
    /// dx_i = sum_j (W + W^T)_ij x_j  product
    /// ```
    ///
    /// and, where `x = e / |e|`, of `dx` what is across the row, divided by `|e|`; 0 for a zero row.
    pub(crate) fn gradient(&self, weights: &Tensor<2>) -> Tensor<2> {
        let weights = if self.complement {
            weights.clone().neg()
        } else {
            weights.clone()
        };
        match &self.rows {
            Rows::Host(rows) => rows.gradient_tensor(self.computed, &self.values, &weights),
            Rows::Device(rows) => rows.gradient(self.computed, &self.values, &weights),
        }
    }
}
