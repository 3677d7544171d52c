//! The scores of one ranking.

/// The scores of one query's ranking.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Relevance {
    /// The share of matches among the first R.
    pub r_precision: f64,
    /// `1/R sum_{i <= R} P(i) rel(i)`, which MAP@R is the mean of.
    pub average_precision: f64,
    /// 1 / rank of the first match; 0 if the ranking has none.
    pub reciprocal_rank: f64,
}

/// The scores of a ranking, nearest first, that says of each reference row whether it is a match, for a
/// query with `r` matches in the reference.
///
/// A ranking shorter than `r` counts as if no match followed.
///
/// # Panics
///
/// If `r` is zero.
pub fn relevance(matches: impl IntoIterator<Item = bool>, r: usize) -> Relevance {
    assert!(r > 0, "a query without a match has no scores");
    let (mut found, mut precisions, mut within, mut first) = (0usize, 0.0, 0usize, None);
    for (i, is_match) in matches.into_iter().enumerate() {
        if !is_match {
            continue;
        }
        found += 1;
        first = first.or(Some(i + 1));
        if i < r {
            within = found;
            precisions += found as f64 / (i + 1) as f64;
        }
    }
    Relevance {
        r_precision: within as f64 / r as f64,
        average_precision: precisions / r as f64,
        reciprocal_rank: first.map_or(0.0, |rank| 1.0 / rank as f64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Tests of pytorch-metric-learning (tests/utils/test_calculate_accuracies.py): labels of queries,
    // of their five nearest, and the size of each class in the reference.
    const QUERIES: [usize; 6] = [1, 1, 2, 3, 4, 0];
    const NEAREST: [[usize; 5]; 6] = [
        [0, 1, 1, 2, 2],
        [1, 0, 1, 1, 3],
        [4, 4, 4, 4, 2],
        [3, 1, 3, 1, 3],
        [0, 0, 4, 2, 2],
        [1, 2, 3, 4, 5],
    ];
    const SIZES: [usize; 5] = [2, 3, 5, 4, 5];

    fn mean(from: usize, score: impl Fn(Relevance) -> f64) -> f64 {
        let of_query = |(&label, row): (&usize, &[usize; 5])| {
            let matches = row[from..].iter().map(|&neighbour| neighbour == label);
            score(relevance(matches, SIZES[label]))
        };
        QUERIES.iter().zip(&NEAREST).map(of_query).sum::<f64>() / 6.0
    }

    #[test]
    fn cases_of_pytorch_metric_learning() {
        let close = |value: f64, expected: f64| {
            approx::assert_relative_eq!(value, expected, max_relative = 1e-7);
        };
        close(mean(0, |r| r.r_precision), 0.37222222);
        close(mean(0, |r| r.average_precision), 0.24462963);
        close(mean(0, |r| r.reciprocal_rank), 0.50555556);
        let first = |r: Relevance| f64::from(u8::from(r.reciprocal_rank == 1.0));
        close(mean(0, first), 2.0 / 6.0);
        close(mean(1, first), 1.0 / 6.0);
    }

    #[test]
    fn a_perfect_and_a_hopeless_ranking() {
        let perfect = relevance([true, true, false], 2);
        assert_eq!((perfect.r_precision, perfect.average_precision), (1.0, 1.0));
        let hopeless = relevance([false, false, true], 2);
        assert_eq!(
            (hopeless.r_precision, hopeless.average_precision),
            (0.0, 0.0)
        );
        assert_eq!(hopeless.reciprocal_rank, 1.0 / 3.0);
    }
}
