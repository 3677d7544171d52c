//! How much each dimension varies.

use burn::tensor::Tensor;
use fullrank::diagnostics;

pub use fullrank::diagnostics::DEAD_BELOW;

/// The number of dimensions that hardly vary over the rows:
///
/// ```text
/// std_j <= 0.01 sqrt(mean_{i,k} E_ik^2)
/// ```
///
/// The measure is free of scale, and uncentred on purpose: where all rows are one constant vector
/// every dimension is dead, however large its entries are.
///
/// # Shapes
///
/// - `embeddings`: `[rows, dimensions]`, at least two rows
pub fn dead_dimensions(embeddings: &Tensor<2>) -> usize {
    let values = host_rows(embeddings);
    let squares: f64 = values.iter().map(|value| value * value).sum();
    diagnostics::dead_dimensions(&dimension_std(embeddings), squares / values.len() as f64)
}

/// The standard deviation of each dimension over the rows, unbiased, in double precision.
///
/// # Shapes
///
/// - `embeddings`: `[rows, dimensions]`, at least two rows
pub fn dimension_std(embeddings: &Tensor<2>) -> Vec<f64> {
    let [_, dimensions] = embeddings.dims();
    diagnostics::dimension_std(&host_rows(embeddings), dimensions)
}

fn host_rows(embeddings: &Tensor<2>) -> Vec<f64> {
    let plain = embeddings.clone().without_autodiff();
    plain
        .try_into_vec_as::<f64>()
        .expect("the embeddings can be read back")
}

#[cfg(test)]
mod tests {
    use super::super::test_inputs::rows;
    use super::*;

    #[test]
    fn dead_dimensions_do_not_depend_on_the_scale() {
        for scale in [1e-6, 1.0, 1e6] {
            let matrix = rows([[1.0, 0.005, 0.2], [-1.0, 0.0, -0.2], [0.5, 0.0, 0.1]]);
            assert_eq!(dead_dimensions(&(matrix * scale)), 1);
        }
    }

    #[test]
    fn standard_deviations_are_unbiased() {
        let std = dimension_std(&rows([[1.0, 0.0], [3.0, 0.0], [5.0, 6.0]]));
        approx::assert_relative_eq!(std[0], 2.0);
        approx::assert_relative_eq!(std[1], 12f64.sqrt());
    }
}
