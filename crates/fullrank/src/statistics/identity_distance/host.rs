//! The distance on the host: see [`identity_distance`](super).

use burn::tensor::Tensor;

use crate::host::matrix::{CentredMatrix, HostMatrix};
use crate::host::symmetric::{Scalar, lower_dots, mirrored};
use crate::statistics::moments::degrees_of_freedom;
use crate::surrogate::{Surrogate, scalar};

/// As on the device.
pub(super) fn identity_distance<T: Scalar>(view: &Tensor<2>, gradient: bool) -> Surrogate<1> {
    let [batch, dim] = view.dims();
    let n = degrees_of_freedom(batch);
    let CentredMatrix { rows, .. } = CentredMatrix::<T>::new(view);
    let mut deviation = rows.gram(1.0 / n);
    let rank = batch.min(dim);
    for j in 0..rank {
        deviation[(j, j)] -= T::from_f64(1.0);
    }
    let (lower, diagonal) = lower_dots(&deviation, &deviation);
    let distance = (2.0 * lower + diagonal + (dim - rank) as f64).sqrt();
    let coefficients = gradient.then(|| {
        let divisor = if distance == 0.0 { 1.0 } else { distance };
        let mut side = mirrored(deviation);
        // Divided first: a product with the rows may leave the range of the type.
        for j in 0..rank {
            for i in 0..rank {
                side[(i, j)] = T::from_f64(side[(i, j)].into() / divisor);
            }
        }
        let mut coefficients = HostMatrix {
            entries: vec![T::from_f64(0.0); batch * dim],
            shape: [batch, dim],
        };
        coefficients.add_product(2.0 / n, side.as_ref(), &rows);
        [coefficients.into_tensor(view)]
    });
    Surrogate {
        value: scalar(view, distance),
        coefficients,
    }
}
