//! Rows divided by their 2-norm.

use burn::tensor::Tensor;

use crate::surrogate::in_statistics_precision;

/// A row of smaller norm than this counts as a zero row.
const ZERO_ROW: f64 = 1e-12;

/// The rows of `embeddings`, shape `[batch, dim]`, divided by their 2-norm, in f32 at least: the matrix
/// that SVMax's [bounds](crate::Bounds) speak of. Rows of norm below `1e-12` become zero rows.
///
/// For evaluation: on a tracked tensor it is differentiable but at zero rows.
pub fn unit_rows(embeddings: Tensor<2>) -> Tensor<2> {
    let embeddings = in_statistics_precision(embeddings);
    let reciprocals = reciprocal_norms(&embeddings);
    embeddings * reciprocals
}

/// `1 / norm` of each row, shape `[batch, 1]`; 0 for a zero row.
pub(crate) fn reciprocal_norms(embeddings: &Tensor<2>) -> Tensor<2> {
    let norms = embeddings.clone().square().sum_dim(1).sqrt();
    let zero_rows = norms.clone().lower_equal_elem(ZERO_ROW);
    norms.recip().mask_fill(zero_rows, 0.0)
}
