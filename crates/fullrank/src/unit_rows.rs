//! Rows divided by their 2-norm.

use burn::tensor::Tensor;

use crate::surrogate::in_statistics_precision;

/// A row of smaller norm than this counts as a zero row.
const ZERO_ROW: f64 = 1e-12;

/// The rows of `embeddings`, shape `[batch, dim]`, divided by their 2-norm, in f32 at least: the matrix
/// that SVMax's [bounds](crate::Bounds) speak of. Rows of norm up to `1e-12` become zero rows.
///
/// Differentiable; the gradient with respect to a zero row, where there is none, is zero.
pub fn unit_rows(embeddings: Tensor<2>) -> Tensor<2> {
    let embeddings = in_statistics_precision(embeddings);
    let squares = embeddings.clone().square().sum_dim(1);
    let zero_rows = squares.clone().lower_equal_elem(ZERO_ROW * ZERO_ROW);
    // The root of zero has no gradient: 1 in its place, until the row is made zero.
    let norms = squares.mask_fill(zero_rows.clone(), 1.0).sqrt();
    let everywhere = zero_rows.expand(embeddings.dims());
    (embeddings / norms).mask_fill(everywhere, 0.0)
}

/// `1 / norm` of each row, shape `[batch, 1]`; 0 for a zero row.
pub(crate) fn reciprocal_norms(embeddings: &Tensor<2>) -> Tensor<2> {
    let norms = embeddings.clone().square().sum_dim(1).sqrt();
    let zero_rows = norms.clone().lower_equal_elem(ZERO_ROW);
    norms.recip().mask_fill(zero_rows, 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, TensorData, Tolerance};

    #[test]
    fn a_zero_row_stays_zero_and_so_does_its_gradient() {
        let device = Device::default().autodiff();
        let rows = [[3.0, 4.0], [0.0, 0.0], [1e-13, 0.0], [0.0, 1e-10]];
        let embeddings = Tensor::<2>::from_floats(rows, &device).require_grad();
        let unit = unit_rows(embeddings.clone());
        let expected = TensorData::from([[0.6f32, 0.8], [0.0, 0.0], [0.0, 0.0], [0.0, 1.0]]);
        let close = Tolerance::default();
        unit.to_data().assert_approx_eq::<f32>(&expected, close);

        let direction = Tensor::<2>::from_floats([[1.0, 0.0]; 4], &device);
        let gradients = (unit * direction).sum().backward();
        // (I - u u^T) e_1 / |e|
        let expected = TensorData::from([[0.128f32, -0.096], [0.0, 0.0], [0.0, 0.0], [1e10, 0.0]]);
        let gradient = embeddings.grad(&gradients).unwrap();
        gradient.to_data().assert_approx_eq::<f32>(&expected, close);
    }
}
