//! Normalized mutual information of labels and clusters, and the clustering.

use std::collections::BTreeMap;

use smartcore::cluster::kmeans::{KMeans, KMeansParameters};
use smartcore::linalg::basic::matrix::DenseMatrix;

/// Rounds of k-means, at most.
const ROUNDS: usize = 100;

/// Why rows could not be clustered.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("k-means: {0}")]
pub struct KMeansError(String);

/// Clusters `values`, rows of `dim` numbers, into `clusters` and returns the cluster of each row.
///
/// The k-means of smartcore: k-means++ seeding, one start, at most 100 rounds, on one core; the same
/// seed gives the same clusters. It takes time in proportion to rows * dimensions * clusters and memory
/// of 48 bytes for each number. Some clusters may be empty where rows are equal.
///
/// # Errors
///
/// If `clusters` is zero or `values` are not rows of `dim` numbers.
pub fn k_means(
    values: &[f32],
    dim: usize,
    clusters: usize,
    seed: u64,
) -> Result<Vec<usize>, KMeansError> {
    if clusters == 0 || dim == 0 || values.is_empty() || !values.len().is_multiple_of(dim) {
        return Err(KMeansError(format!(
            "{} numbers cannot be {clusters} clusters of rows of {dim}",
            values.len()
        )));
    }
    let rows = values.len() / dim;
    if clusters == 1 {
        return Ok(vec![0; rows]);
    }
    let failed = |error: smartcore::error::Failed| KMeansError(error.to_string());
    let matrix = DenseMatrix::new(rows, dim, values.to_vec(), false).map_err(failed)?;
    let parameters = KMeansParameters {
        k: clusters,
        max_iter: ROUNDS,
        seed: Some(seed),
    };
    let model: KMeans<f32, u32, DenseMatrix<f32>, Vec<u32>> =
        KMeans::fit(&matrix, parameters).map_err(failed)?;
    let clusters = model.predict(&matrix).map_err(failed)?;
    Ok(clusters.into_iter().map(|c| c as usize).collect())
}

/// The normalized mutual information of two labellings of the same items,
/// `2 I(a; b) / (H(a) + H(b))`: 1 if they are the same up to names, 0 if they are independent.
///
/// This is scikit-learn's `normalized_mutual_info_score` with its default, the arithmetic mean. Two
/// labellings that both have a single label are the same: 1.
///
/// # Panics
///
/// If the labellings differ in length.
pub fn normalized_mutual_information(a: &[i64], b: &[i64]) -> f64 {
    assert_eq!(a.len(), b.len(), "two labellings of the same items");
    let total = a.len() as f64;
    let entropy = |counts: &[usize]| -> f64 {
        let share = |&count: &usize| count as f64 / total;
        counts.iter().map(share).map(|p| -p * p.ln()).sum()
    };
    let pairs: Vec<(i64, i64)> = a.iter().copied().zip(b.iter().copied()).collect();
    let (of_a, of_b, of_both) = (
        entropy(&counts(a)),
        entropy(&counts(b)),
        entropy(&counts(&pairs)),
    );
    if of_a + of_b == 0.0 {
        return 1.0;
    }
    // I(a; b) = H(a) + H(b) - H(a, b), which rounding may push below zero.
    (2.0 * (of_a + of_b - of_both) / (of_a + of_b)).clamp(0.0, 1.0)
}

fn counts<T: Ord>(labels: &[T]) -> Vec<usize> {
    let mut counts: BTreeMap<&T, usize> = BTreeMap::new();
    for label in labels {
        *counts.entry(label).or_default() += 1;
    }
    counts.into_values().collect()
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    /// ```python
    /// from sklearn.metrics import normalized_mutual_info_score as nmi
    /// nmi([0, 0, 1, 1], [5, 5, 3, 3]), nmi([0, 0, 1, 1], [0, 1, 0, 1])      # 1.0, 0.0
    /// nmi([0, 0, 0, 1, 1, 2, 2, 3], [1, 1, 0, 0, 2, 2, 2, 2])               # 0.5318467668952991
    /// nmi([0, 0, 0], [1, 1, 1]), nmi([0, 0, 0], [0, 1, 2])                  # 1.0, 0.0
    /// ```
    #[test]
    fn values_of_scikit_learn() {
        let close = |a: &[i64], b: &[i64], expected: f64| {
            let nmi = normalized_mutual_information(a, b);
            approx::assert_abs_diff_eq!(nmi, expected, epsilon = 1e-12);
        };
        close(&[0, 0, 1, 1], &[5, 5, 3, 3], 1.0);
        close(&[0, 0, 1, 1], &[0, 1, 0, 1], 0.0);
        close(
            &[0, 0, 0, 1, 1, 2, 2, 3],
            &[1, 1, 0, 0, 2, 2, 2, 2],
            0.5318467668952991,
        );
        close(&[0, 0, 0], &[1, 1, 1], 1.0);
        close(&[0, 0, 0], &[0, 1, 2], 0.0);
    }

    #[test]
    fn clusters_of_distant_groups_are_the_groups() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let labels: Vec<i64> = (0..300).map(|i| i % 3).collect();
        let rows: Vec<f32> = labels
            .iter()
            .flat_map(|&label| [10.0 * label as f32, -10.0 * label as f32])
            .map(|x| x + rng.random::<f32>())
            .collect();
        let clusters = k_means(&rows, 2, 3, 1).unwrap();
        assert_eq!(clusters, k_means(&rows, 2, 3, 1).unwrap());
        let clusters: Vec<i64> = clusters.into_iter().map(|c| c as i64).collect();
        approx::assert_abs_diff_eq!(
            normalized_mutual_information(&labels, &clusters),
            1.0,
            epsilon = 1e-12
        );
    }

    #[test]
    fn degenerate_clusterings() {
        assert_eq!(k_means(&[1.0, 2.0, 3.0], 1, 1, 0).unwrap(), [0, 0, 0]);
        assert_eq!(k_means(&[2.0; 12], 3, 3, 0).unwrap(), [0; 4]);
        assert!(k_means(&[1.0, 2.0, 3.0], 2, 2, 0).is_err());
        let mut own = k_means(&[1.0, 5.0, 9.0], 1, 3, 0).unwrap();
        own.sort_unstable();
        assert_eq!(own.len(), 3);
    }
}
