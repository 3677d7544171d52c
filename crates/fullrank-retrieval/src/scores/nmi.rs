//! Normalized mutual information of labels and clusters.

use std::collections::BTreeMap;

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
}
