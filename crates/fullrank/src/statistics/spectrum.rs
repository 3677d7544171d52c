//! The exact singular values of an embedding matrix, for evaluation.

use burn::tensor::Tensor;
use faer::Mat;

/// All singular values of `embeddings`, shape `[batch, dim]`: `min(batch, dim)` of them, descending.
///
/// Exact up to rounding: the matrix is read back to the host and decomposed in f64 by faer, whatever
/// its device and precision. For evaluation and tests; the losses never call it. The rows are taken
/// as they are: see [`unit_rows`](crate::unit_rows) for the matrix that SVMax's
/// [bounds](crate::Bounds) speak of.
///
/// If an entry is not finite, neither is the spectrum: every value is NaN.
pub fn singular_values(embeddings: &Tensor<2>) -> Vec<f64> {
    let [batch, dim] = embeddings.dims();
    let entries: Vec<f64> = embeddings
        .clone()
        .without_autodiff()
        .into_data()
        .iter()
        .collect();
    let rank = batch.min(dim);
    if entries.iter().any(|entry| !entry.is_finite()) {
        return vec![f64::NAN; rank];
    }
    let matrix = Mat::from_fn(batch, dim, |i, j| entries[i * dim + j]);
    matrix
        .singular_values()
        .unwrap_or_else(|_| vec![f64::NAN; rank])
}

/// RankMe: how many dimensions an embedding uses, from its singular values.
///
/// ```text
/// p_k = s_k / sum_i s_i + 1e-7,   RankMe = exp(-sum_k p_k log p_k)
/// ```
///
/// Between 1 (one direction) and the number of singular values (all alike). The singular values, not
/// the eigenvalues of the covariance that some implementations use. It says how many directions are
/// in use, not whether they are useful: random embeddings have a high rank. Source: Garrido et al.,
/// 2022, [arXiv 2210.02885](https://arxiv.org/abs/2210.02885), Eq. 1. 0 if all values are zero, NaN if
/// one is.
pub fn rankme(singular_values: &[f64]) -> f64 {
    entropy_rank(singular_values, 1e-7)
}

/// `exp(-sum p log p)` of the shares `p` of the values in their sum, `least` added to each; 0 if all values are
/// zero, NaN if one is.
pub(crate) fn entropy_rank(values: &[f64], least: f64) -> f64 {
    let sum: f64 = values.iter().sum();
    if sum == 0.0 {
        return 0.0;
    }
    let shares = values.iter().map(|value| value / sum + least);
    let entropy: f64 = shares.filter(|p| *p != 0.0).map(|p| -p * p.ln()).sum();
    entropy.exp()
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn spectrum_of_a_known_matrix() {
        // [[3, 0], [4, 5]] has singular values sqrt(45) and sqrt(5).
        let matrix = Tensor::<2>::from_floats([[3.0, 0.0], [4.0, 5.0]], &Device::default());
        let values = singular_values(&matrix);
        approx::assert_relative_eq!(values[0], 45f64.sqrt(), max_relative = 1e-12);
        approx::assert_relative_eq!(values[1], 5f64.sqrt(), max_relative = 1e-12);
    }

    #[test]
    fn a_nan_makes_the_spectrum_nan() {
        let matrix = Tensor::<2>::from_floats([[3.0, f32::NAN], [4.0, 5.0]], &Device::default());
        assert!(singular_values(&matrix).iter().all(|s| s.is_nan()));
    }

    #[test]
    fn rankme_counts_directions() {
        approx::assert_relative_eq!(rankme(&[2.0; 8]), 8.0, max_relative = 1e-4);
        approx::assert_relative_eq!(rankme(&[5.0, 0.0, 0.0]), 1.0, max_relative = 1e-4);
        assert_eq!(rankme(&[0.0, 0.0]), 0.0);
        assert!(rankme(&[1.0, f64::NAN]).is_nan());
    }
}
