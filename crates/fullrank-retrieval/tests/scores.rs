//! The scores against brute force on random labels, and cases of other libraries.

use fullrank_retrieval::scores::{
    LabelledRows, Metric, Scores, ScoresConfig, ScoresError, relevance,
};
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Every score from a full sort of every query's distances, in f64.
fn brute_force(
    queries: (&[f32], &[i64]),
    reference: Option<(&[f32], &[i64])>,
    dim: usize,
    ks: &[usize],
    knn: usize,
) -> Option<(Vec<f64>, [f64; 5], usize)> {
    let (rows, labels) = reference.unwrap_or(queries);
    let (mut recall, mut sums, mut count) = (vec![0.0; ks.len()], [0.0; 5], 0);
    for (q, label) in queries.1.iter().enumerate() {
        let mut order: Vec<usize> = (0..labels.len())
            .filter(|&i| reference.is_some() || i != q)
            .collect();
        let distance = |i: usize| -> f64 {
            (0..dim)
                .map(|k| (f64::from(queries.0[q * dim + k]) - f64::from(rows[i * dim + k])).powi(2))
                .sum()
        };
        order.sort_by(|&i, &j| distance(i).total_cmp(&distance(j)).then(i.cmp(&j)));
        let hits: Vec<bool> = order.iter().map(|&i| labels[i] == *label).collect();
        let r = hits.iter().filter(|hit| **hit).count();
        if r == 0 {
            continue;
        }
        count += 1;
        for (recall, &k) in recall.iter_mut().zip(ks) {
            *recall += f64::from(u8::from(hits.iter().take(k).any(|hit| *hit)));
        }
        let first = hits.iter().position(|hit| *hit)? + 1;
        let mut votes: Vec<(i64, usize)> = Vec::new();
        for &i in order.iter().take(knn) {
            let place = votes.iter().position(|vote| vote.0 == labels[i]);
            let place = place.unwrap_or_else(|| {
                votes.push((labels[i], 0));
                votes.len() - 1
            });
            votes[place].1 += 1;
        }
        votes.sort_by_key(|vote| std::cmp::Reverse(vote.1));
        let precision =
            |i: usize| hits[..=i].iter().filter(|hit| **hit).count() as f64 / (i + 1) as f64;
        sums[0] += f64::from(u8::from(hits[0]));
        sums[1] += hits[..r].iter().filter(|hit| **hit).count() as f64 / r as f64;
        sums[2] += (0..r).filter(|&i| hits[i]).map(precision).sum::<f64>() / r as f64;
        sums[3] += 1.0 / first as f64;
        sums[4] += f64::from(u8::from(votes[0].0 == *label));
    }
    let mean = |x: f64| x / f64::from(count);
    Some((
        recall.into_iter().map(mean).collect(),
        sums.map(mean),
        count as usize,
    ))
}

const KS: [usize; 4] = [1, 2, 3, 7];

fn assert_brute_force(
    queries: (&[f32], &[i64]),
    reference: Option<(&[f32], &[i64])>,
    dim: usize,
    knn: usize,
) {
    let config = ScoresConfig::new()
        .with_recall_at(KS.to_vec())
        .with_knn(Some(knn));
    let set = LabelledRows::new(queries.0, dim, queries.1).unwrap();
    let other = reference.map(|(rows, labels)| LabelledRows::new(rows, dim, labels).unwrap());
    let scores = config.score(&set, other.as_ref()).unwrap();
    let (recall, others, count) = brute_force(queries, reference, dim, &KS, knn).unwrap();
    assert_eq!(scores.queries, count);
    assert_eq!(scores.without_match, queries.1.len() - count);
    if count == 0 {
        assert!(scores.mrr.is_nan() && scores.recall_at.iter().all(|(_, x)| x.is_nan()));
        return;
    }
    for ((k, ours), (expected_k, theirs)) in scores.recall_at.iter().zip(KS.iter().zip(recall)) {
        assert_eq!(k, expected_k);
        approx::assert_abs_diff_eq!(*ours, theirs, epsilon = 1e-12);
    }
    let ours = [
        scores.precision_at_1,
        scores.r_precision,
        scores.map_at_r,
        scores.mrr,
        scores.knn_accuracy.unwrap(),
    ];
    for (ours, theirs) in ours.into_iter().zip(others) {
        approx::assert_abs_diff_eq!(ours, theirs, epsilon = 1e-12);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Small whole numbers: every distance is exact, and many are equal.
    #[test]
    fn queries_among_themselves(
        labels in prop::collection::vec(-2i64..3, 1..60),
        entries in prop::collection::vec(-3i8..4, 120),
        dim in 1usize..3,
        knn in 1usize..9,
    ) {
        let rows: Vec<f32> = entries.iter().map(|&x| f32::from(x)).take(labels.len() * dim).collect();
        assert_brute_force((&rows, &labels), None, dim, knn);
    }

    #[test]
    fn a_separate_reference(
        labels in prop::collection::vec(-2i64..4, 1..30),
        others in prop::collection::vec(-3i64..3, 1..60),
        entries in prop::collection::vec(-3i8..4, 180),
        knn in 1usize..9,
    ) {
        let rows: Vec<f32> = entries.iter().map(|&x| f32::from(x)).collect();
        let (queries, rest) = rows.split_at(2 * labels.len());
        assert_brute_force((queries, &labels), Some((&rest[..2 * others.len()], &others)), 2, knn);
    }
}

/// More rows than a block of queries and a block of the reference; few, many and uneven classes.
#[test]
fn several_blocks() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    for (n, classes) in [(2500, 2), (2500, 700), (1300, 40)] {
        let labels: Vec<i64> = (0..n)
            .map(|_| {
                let draw: f64 = rng.random();
                (draw * draw * classes as f64) as i64
            })
            .collect();
        let rows: Vec<f32> = (0..3 * n)
            .map(|_| rng.random_range(-5i32..6) as f32)
            .collect();
        assert_brute_force((&rows, &labels), None, 3, 5);
        let half = n / 2;
        assert_brute_force(
            (&rows[..3 * half], &labels[..half]),
            Some((&rows[3 * half..], &labels[half..])),
            3,
            5,
        );
    }
}

/// Equal rows tie exactly wherever they stand in a block: the first ones are nearer.
#[test]
fn equal_rows_tie() {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let dim = 67;
    let kinds: Vec<Vec<f32>> = (0..5)
        .map(|_| (0..dim).map(|_| rng.random::<f32>() - 0.5).collect())
        .collect();
    let n = 1500;
    let chosen: Vec<usize> = (0..n).map(|_| rng.random_range(0..5)).collect();
    let rows: Vec<f32> = chosen
        .iter()
        .flat_map(|&kind| kinds[kind].clone())
        .collect();
    let labels: Vec<i64> = (0..n).map(|_| rng.random_range(0i64..30)).collect();
    // The distances of the brute force are exact where they are equal.
    assert_brute_force((&rows, &labels), None, dim, 9);
}

fn score(rows: &[f32], dim: usize, labels: &[i64], config: &ScoresConfig) -> Scores {
    let set = LabelledRows::new(rows, dim, labels).unwrap();
    config.score(&set, None).unwrap()
}

/// Ties of pytorch-metric-learning's tests: itself is left out by index, so that the colocated row of
/// the other class is the nearest.
#[test]
fn colocated_rows() {
    let scores = score(
        &[10.0, 10.0, 20.0, 20.0],
        1,
        &[1, 0, 1, 0],
        &ScoresConfig::new(),
    );
    assert_eq!(scores.precision_at_1, 0.0);
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let labels: Vec<i64> = (0..10_000)
        .map(|_| i64::from(rng.random::<bool>()))
        .collect();
    let scores = score(&vec![0.0; 10_000], 1, &labels, &ScoresConfig::new());
    assert!((scores.precision_at_1 - 0.5).abs() < 0.05, "{scores:?}");
}

/// TensorFlow Similarity's test of recall at k: labels 1, 1, 1, 0 and, nearest first, the reference
/// labels [1, 1, 0] of the first three and [1, 1, 0] of the last, k = 2: micro 0.75.
#[test]
fn recall_at_two() {
    let reference = LabelledRows::new(&[0.0, 1.0, 2.0], 1, &[1, 1, 0]).unwrap();
    let queries = LabelledRows::new(&[-1.0, -1.0, -1.0, -1.0], 1, &[1, 1, 1, 0]).unwrap();
    let config = ScoresConfig::new().with_recall_at(vec![2, 3]);
    let scores = config.score(&queries, Some(&reference)).unwrap();
    assert_eq!(scores.recall_at, [(2, 0.75), (3, 1.0)]);
}

/// The k-NN cases of lightly's tests, whose weighted vote ranks first what the plain vote chooses.
#[test]
fn nearest_neighbours_of_lightly() {
    let bank: Vec<f32> = [[1, 1, 1], [-1, 1, 1], [-1, -1, 1], [-1, -1, -1]]
        .concat()
        .into_iter()
        .map(|x| x as f32)
        .collect();
    let queries = [1.0, 1.0, 1.0, -1.0, 1.1, -1.0];
    for (bank_labels, k) in [([0, 1, 2, 3], 4), ([0, 1, 0, 1], 2)] {
        let reference = LabelledRows::new(&bank, 3, &bank_labels).unwrap();
        let config = ScoresConfig::new()
            .with_metric(Metric::Cosine)
            .with_knn(Some(k));
        for (labels, expected) in [([0, 1], 1.0), ([1, 1], 0.5), ([1, 0], 0.0)] {
            let queries = LabelledRows::new(&queries, 3, &labels).unwrap();
            let scores = config.score(&queries, Some(&reference)).unwrap();
            assert_eq!(
                scores.knn_accuracy,
                Some(expected),
                "{bank_labels:?} {labels:?}"
            );
        }
    }
}

/// The cosine does not see lengths, the Euclidean distance does.
#[test]
fn metrics() {
    let rows = [1.0, 0.1, 10.0, 0.0, 1.0, 1.0, 2.0, 1.9];
    let labels = [0, 0, 1, 1];
    let config = ScoresConfig::new();
    let cosine = config.clone().with_metric(Metric::Cosine);
    assert_eq!(score(&rows, 2, &labels, &cosine).precision_at_1, 1.0);
    assert!(score(&rows, 2, &labels, &config).precision_at_1 < 1.0);
}

/// A collapsed embedding: what differs is a thousandth of what does not. In f32, without the mean
/// subtracted, the products could not tell these rows apart.
#[test]
fn a_collapsed_embedding_is_still_ranked() {
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    let dim = 64;
    let labels: Vec<i64> = (0..400).map(|i| i / 4).collect();
    let centres: Vec<f32> = (0..100 * dim).map(|_| rng.random::<f32>() - 0.5).collect();
    let spread: Vec<f32> = (0..400 * dim)
        .map(|k| centres[k / dim / 4 * dim + k % dim] + 0.3 * (rng.random::<f32>() - 0.5))
        .collect();
    let collapsed: Vec<f32> = spread.iter().map(|x| 8.0 + 1e-4 * x).collect();
    let config = ScoresConfig::new();
    assert_eq!(score(&spread, dim, &labels, &config).r_precision, 1.0);
    assert_eq!(score(&collapsed, dim, &labels, &config).r_precision, 1.0);
}

/// Two clusters that overlap a little, as in pytorch-metric-learning's test of its k-means.
#[test]
fn nmi_of_two_gaussians() {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let mut normal = || {
        let (a, b): (f64, f64) = (rng.random(), rng.random());
        (-2.0 * (1.0 - a).ln()).sqrt() * (std::f64::consts::TAU * b).cos()
    };
    let labels: Vec<i64> = (0..1000).map(|i| i / 500).collect();
    let far: Vec<f32> = (0..1000 * 32)
        .map(|k| (normal() + if k < 500 * 32 { 0.0 } else { 3.0 }) as f32)
        .collect();
    let near: Vec<f32> = (0..1000 * 32).map(|_| normal() as f32).collect();
    let config = ScoresConfig::new().with_nmi(true).with_seed(7);
    let of = |rows: &[f32]| score(rows, 32, &labels, &config).nmi.unwrap();
    assert_eq!(of(&far), 1.0);
    assert!(of(&near) < 0.05, "{}", of(&near));
    assert_eq!(of(&near), of(&near));
    assert_eq!(score(&far, 32, &labels, &ScoresConfig::new()).nmi, None);
}

#[test]
fn no_query_has_a_match() {
    let scores = score(&[0.0, 1.0, 2.0], 1, &[0, 1, 2], &ScoresConfig::new());
    assert_eq!((scores.queries, scores.without_match), (0, 3));
    assert!(scores.precision_at_1.is_nan() && scores.map_at_r.is_nan());
}

#[test]
fn errors_say_what_is_wrong() {
    let error = |result: Result<LabelledRows<'_>, ScoresError>| result.unwrap_err().to_string();
    assert_eq!(
        error(LabelledRows::new(&[1.0; 5], 2, &[0, 0])),
        "2 rows of 2 numbers cannot be made of 5"
    );
    assert_eq!(
        error(LabelledRows::new(&[1.0, 2.0, f32::NAN, 1.0], 2, &[0, 0])),
        "the squared norm of row 1 is not finite"
    );
    assert_eq!(
        error(LabelledRows::new(&[], 2, &[])),
        "a score needs at least one row and one dimension"
    );
    let set = LabelledRows::new(&[1.0, 2.0], 1, &[0, 0]).unwrap();
    let other = LabelledRows::new(&[1.0, 2.0], 2, &[0]).unwrap();
    assert_eq!(
        ScoresConfig::new()
            .score(&set, Some(&other))
            .unwrap_err()
            .to_string(),
        "the queries have 1 dimensions, but the reference has 2"
    );
    let zero = ScoresConfig::new().with_recall_at(vec![1, 0]);
    assert_eq!(zero.score(&set, None), Err(ScoresError::ZeroK));
    // More neighbours than there are: all of them.
    let many = ScoresConfig::new()
        .with_recall_at(vec![usize::MAX])
        .with_knn(Some(usize::MAX));
    let scores = many.score(&set, None).unwrap();
    assert_eq!(
        (scores.recall_at[0].1, scores.knn_accuracy),
        (1.0, Some(1.0))
    );
}

#[test]
#[should_panic(expected = "a query without a match has no scores")]
fn relevance_without_a_match() {
    relevance([false], 0);
}
