//! The scores against brute force on random labels, and cases of other libraries.

use fullrank_retrieval::scores::{
    Entry, LabelledRows, RankBy, Rows, Scores, ScoresConfig, ScoresError, k_means, relevance,
    vote_of_nearest,
};
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Rows as the brute force takes them: f32 or f64, read as f64.
trait Number: Entry + Copy + Into<f64> {}
impl Number for f32 {}
impl Number for f64 {}

/// A row as it is, or divided by its norm; `None` for a row of zeros by the cosine.
fn row<E: Number>(rows: &[E], dim: usize, i: usize, by: RankBy) -> Option<Vec<f64>> {
    let row = rows[i * dim..][..dim].iter().map(|&x| x.into());
    let row: Vec<f64> = row.collect();
    if by == RankBy::Euclidean {
        return Some(row);
    }
    let largest = row.iter().fold(0.0f64, |largest, x| largest.max(x.abs()));
    let norm = row
        .iter()
        .map(|x| (x / largest).powi(2))
        .sum::<f64>()
        .sqrt();
    (largest > 0.0).then(|| row.iter().map(|x| x / largest / norm).collect())
}

/// The squared distance of two rows, by differences in f64.
fn squared_distance(x: &Option<Vec<f64>>, y: &Option<Vec<f64>>) -> f64 {
    match (x, y) {
        (Some(x), Some(y)) => x.iter().zip(y).map(|(x, y)| (x - y).powi(2)).sum(),
        _ => 2.0,
    }
}

/// Every score from a full sort of every query's distances, in f64.
fn brute_force<E: Number>(
    queries: (&[E], &[i64]),
    reference: Option<(&[E], &[i64])>,
    dim: usize,
    ks: &[usize],
    knn: usize,
    by: RankBy,
) -> Option<(Vec<f64>, [f64; 5], usize)> {
    let (rows, labels) = reference.unwrap_or(queries);
    let of = |rows: &[E], count: usize| -> Vec<_> {
        (0..count).map(|i| row(rows, dim, i, by)).collect()
    };
    let (rows, query_rows) = (of(rows, labels.len()), of(queries.0, queries.1.len()));
    let (mut recall, mut sums, mut count) = (vec![0.0; ks.len()], [0.0; 5], 0);
    for (q, label) in queries.1.iter().enumerate() {
        let mut order: Vec<usize> = (0..labels.len())
            .filter(|&i| reference.is_some() || i != q)
            .collect();
        let distances: Vec<f64> = rows
            .iter()
            .map(|row| squared_distance(&query_rows[q], row))
            .collect();
        let distance = |i: usize| distances[i];
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

fn assert_brute_force<E: Number>(
    queries: (&[E], &[i64]),
    reference: Option<(&[E], &[i64])>,
    dim: usize,
    knn: usize,
) {
    assert_brute_force_by(RankBy::Euclidean, queries, reference, dim, knn);
}

fn assert_brute_force_by<E: Number>(
    by: RankBy,
    queries: (&[E], &[i64]),
    reference: Option<(&[E], &[i64])>,
    dim: usize,
    knn: usize,
) {
    let config = ScoresConfig::new()
        .with_recall_at(KS.to_vec())
        .with_rank_by(by)
        .with_knn(Some(knn));
    let set = LabelledRows::new(queries.0, dim, queries.1).unwrap();
    let other = reference.map(|(rows, labels)| LabelledRows::new(rows, dim, labels).unwrap());
    let scores = config.score(&set, other.as_ref()).unwrap();
    let (recall, others, count) = brute_force(queries, reference, dim, &KS, knn, by).unwrap();
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

fn score<E: Entry>(rows: &[E], dim: usize, labels: &[i64], config: &ScoresConfig) -> Scores {
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
    let scores = score(&[0.0; 10_000], 1, &labels, &ScoresConfig::new());
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
            .with_rank_by(RankBy::Cosine)
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
    let cosine = config.clone().with_rank_by(RankBy::Cosine);
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

/// Rows of `dim` numbers, from a function of the row, the column and noise of variance about 1.
fn rows_of(n: usize, dim: usize, seed: u64, of: impl Fn(usize, usize, f64) -> f64) -> Vec<f64> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut noise = || (0..12).map(|_| rng.random::<f64>()).sum::<f64>() - 6.0;
    (0..n * dim)
        .map(|k| of(k / dim, k % dim, noise()))
        .collect()
}

fn single(rows: &[f64]) -> Vec<f32> {
    rows.iter().map(|&x| x as f32).collect()
}

/// Direction `class` of some dozens, with entries about 1.
fn direction(class: usize, k: usize) -> f64 {
    1.7 * ((1 + class) as f64 * 0.83 + k as f64 * (1.3 + 0.37 * class as f64)).sin()
}

/// Checks a set against the brute force by both metrics, alone and in two halves; returns Recall@1 of each
/// distance, alone.
fn both_metrics<E: Number>(rows: &[E], dim: usize, labels: &[i64]) -> [f64; 2] {
    let half = labels.len() / 2;
    let halves = (
        (&rows[..half * dim], &labels[..half]),
        (&rows[half * dim..], &labels[half..]),
    );
    [RankBy::Euclidean, RankBy::Cosine].map(|by| {
        assert_brute_force_by(by, (rows, labels), None, dim, 5);
        assert_brute_force_by(by, halves.0, Some(halves.1), dim, 5);
        score(rows, dim, labels, &ScoresConfig::new().with_rank_by(by)).precision_at_1
    })
}

/// Two tight cones, opposite to each other, of 40 classes: their mean is no help, and the products of two
/// rows all but equal.
fn opposite_cones(n: usize, dim: usize, spread: f64) -> (Vec<f64>, Vec<i64>) {
    let labels: Vec<i64> = (0..n as i64).map(|i| i % 40).collect();
    let rows = rows_of(n, dim, 6, |i, k, noise| {
        let side = if i % 2 == 0 { 100.0 } else { -100.0 };
        side * direction(99, k) + spread * (direction(i % 40, k) + 0.1 * noise)
    });
    (rows, labels)
}

#[test]
fn two_tight_opposite_cones() {
    let (rows, labels) = opposite_cones(1100, 64, 1e-2);
    assert_eq!(both_metrics(&single(&rows), 64, &labels), [1.0; 2]);
    // Products in f64 do not tell these apart either.
    let (rows, labels) = opposite_cones(400, 33, 1e-9);
    assert_eq!(both_metrics(&rows, 33, &labels), [1.0; 2]);
}

#[test]
fn a_cluster_far_from_the_origin() {
    let labels: Vec<i64> = (0..600).map(|i| i % 30).collect();
    for offset in [1e4, 1e6, 1e8] {
        let rows = rows_of(600, 8, 7, |i, k, noise| {
            offset + 3.0 * direction(i % 30, k) + 0.1 * noise
        });
        assert_eq!(both_metrics(&rows, 8, &labels)[0], 1.0, "{offset}");
        let both = [rows.clone(), rows.iter().map(|x| -x).collect()].concat();
        let both_labels: Vec<i64> = (0..1200).map(|i| i % 30 + 100 * (i / 600)).collect();
        assert_eq!(both_metrics(&both, 8, &both_labels)[0], 1.0, "{offset}");
    }
}

/// Places on the globe in metres from its centre, f32: pairs of spots some 200 m apart.
#[test]
fn places_in_metres() {
    let labels: Vec<i64> = (0..400).map(|i| i % 40).collect();
    let rows = rows_of(400, 3, 8, |i, k, noise| {
        let town = i % 40 / 2;
        let norm: f64 = (0..3)
            .map(|k| direction(town, k).powi(2))
            .sum::<f64>()
            .sqrt();
        let spot = [150.0, -90.0, 60.0][k] * (i % 2) as f64;
        6_371_000.0 * direction(town, k) / norm + spot + 4.0 * noise
    });
    assert_eq!(both_metrics(&single(&rows), 3, &labels)[0], 1.0);
}

/// Entries from 1e-30 to 1e30 in f32, and from 1e-200 to 1e200 in f64: the scores are those of the same rows
/// of ordinary size, and powers of two change no bit.
#[test]
fn entries_of_every_size() {
    let labels: Vec<i64> = (0..300).map(|i| i % 20).collect();
    let rows = rows_of(300, 10, 9, |i, k, noise| direction(i % 20, k) + 0.7 * noise);
    let narrow = single(&rows);
    for by in [RankBy::Euclidean, RankBy::Cosine] {
        let config = ScoresConfig::new()
            .with_rank_by(by)
            .with_knn(Some(5))
            .with_nmi(true);
        let expected = score(&narrow, 10, &labels, &config);
        assert!(expected.precision_at_1 < 1.0 && expected.precision_at_1 > 0.3);
        for exponent in [-100, -40, 40, 100] {
            let scaled: Vec<f32> = narrow.iter().map(|x| x * 2.0f32.powi(exponent)).collect();
            assert_eq!(
                score(&scaled, 10, &labels, &config),
                expected,
                "2^{exponent}"
            );
        }
        let expected = score(&rows, 10, &labels, &config);
        for exponent in [-660, -400, 400, 660] {
            let scaled: Vec<f64> = rows.iter().map(|x| x * 2.0f64.powi(exponent)).collect();
            assert_eq!(
                score(&scaled, 10, &labels, &config),
                expected,
                "2^{exponent}"
            );
        }
    }
    for size in [1e-30, 1e-24, 1e30] {
        let sized: Vec<f64> = rows.iter().map(|x| x * size).collect();
        both_metrics(&single(&sized), 10, &labels);
    }
    // Rows of mixed size, in f64 by the cosine from 1e-200 to 1e200.
    let sized = |most: f64| -> Vec<f64> {
        let size = |i: usize| 10f64.powf(most * ((i * 7 % 13) as f64 / 6.0 - 1.0));
        rows.iter()
            .enumerate()
            .map(|(k, x)| x * size(k / 10))
            .collect()
    };
    both_metrics(&single(&sized(30.0)), 10, &labels);
    both_metrics(&sized(30.0), 10, &labels);
    let config = ScoresConfig::new().with_rank_by(RankBy::Cosine);
    assert_brute_force_by(RankBy::Cosine, (&sized(200.0), &labels), None, 10, 5);
    assert_eq!(
        score(&sized(200.0), 10, &labels, &config).precision_at_1,
        score(&rows, 10, &labels, &config).precision_at_1
    );
    // Columns of mixed size: the large ones are equal in a class, the small ones decide.
    let columns = rows_of(300, 4, 10, |i, k, noise| match k {
        0 => 1e30 * (i % 2) as f64,
        1 => 1e10 * (i % 3) as f64,
        _ => 1e-10 * noise,
    });
    both_metrics(&single(&columns), 4, &labels);
}

/// By the cosine a row of zeros is at a right angle to every row, in the reference and as a query, however
/// the other rows lie.
#[test]
fn zero_rows_by_the_cosine() {
    let labels: Vec<i64> = (0..700).map(|i| i % 20).collect();
    // Cosines between the classes below 1/2, within them about 0.35.
    let apart = rows_of(700, 64, 11, |i, k, noise| {
        direction(i % 20, k) + 1.9 * noise
    });
    // All in one direction, and two opposite ones: negative cosines, which zero rows come before.
    let common = rows_of(700, 64, 12, |i, k, noise| {
        30.0 * direction(9, k) + direction(i % 20, k) + noise
    });
    let opposite = rows_of(700, 64, 13, |i, k, noise| {
        let side = if i % 40 < 20 { 1.0 } else { -1.0 };
        side * (3.0 * direction(9, k) + direction(i % 20, k)) + noise
    });
    for rows in [apart, common, opposite] {
        let mut rows = single(&rows);
        for i in (0..700).filter(|i| i % 9 == 4) {
            rows[i * 64..(i + 1) * 64].fill(0.0);
        }
        assert_brute_force_by(RankBy::Cosine, (&rows, &labels), None, 64, 7);
        let (queries, reference) = rows.split_at(200 * 64);
        assert_brute_force_by(
            RankBy::Cosine,
            (queries, &labels[..200]),
            Some((reference, &labels[200..])),
            64,
            7,
        );
    }
    // One query, its match with the cosine 0.4, and zeros of another label.
    let queries = LabelledRows::new(&[1.0, 0.0, 0.0], 3, &[1]).unwrap();
    let reference = [0.0, 0.0, 0.0, 0.4, 0.9, 0.2, 0.0, 0.0, 0.0];
    let reference = LabelledRows::new(&reference, 3, &[0, 1, 0]).unwrap();
    let config = ScoresConfig::new().with_rank_by(RankBy::Cosine);
    assert_eq!(config.score(&queries, Some(&reference)).unwrap().mrr, 1.0);
}

/// Five different rows among 513, 67 long: a block of one row has products of its own, and none of them may
/// part equal rows. Other numbers of rows about the edges of blocks.
#[test]
fn ties_at_the_edges_of_blocks() {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let kinds = single(&rows_of(5, 67, 14, |_, _, noise| noise));
    for n in [511, 512, 513, 514, 1025] {
        let mut rows = Vec::with_capacity(n * 67);
        for _ in 0..n {
            let kind = rng.random_range(0..5usize);
            rows.extend_from_slice(&kinds[kind * 67..][..67]);
        }
        let labels: Vec<i64> = (0..n).map(|_| rng.random_range(0i64..30)).collect();
        both_metrics(&rows, 67, &labels);
    }
}

/// Random rows of several shapes, with few and many columns, classes and queries.
#[test]
fn random_rows_of_several_shapes() {
    for (seed, (n, dim, classes)) in [(1700, 3, 50), (1100, 70, 400), (700, 1, 3), (90, 700, 9)]
        .into_iter()
        .enumerate()
    {
        let labels: Vec<i64> = (0..n).map(|i| (i * i % classes) as i64).collect();
        let rows = rows_of(n, dim, 20 + seed as u64, |i, k, noise| {
            direction(i * i % classes, k) + 2.0 * noise
        });
        both_metrics(&rows, dim, &labels);
        both_metrics(&single(&rows), dim, &labels);
    }
}

/// A tenth of the rows are equal and nearest to all, as zeros are in many dimensions.
#[test]
fn many_equal_rows_that_are_near() {
    let labels: Vec<i64> = (0..1200).map(|i| i * 11 % 25).collect();
    let rows = rows_of(
        1200,
        40,
        30,
        |i, _, noise| if i % 10 == 3 { 0.0 } else { noise },
    );
    both_metrics(&single(&rows), 40, &labels);
    // Nothing but equal rows.
    both_metrics(&vec![1.5f32; 600 * 3], 3, &labels[..600]);
    both_metrics(&vec![0.0f32; 600 * 3], 3, &labels[..600]);
}

/// f64 entries that are equal in f32, and queries in another precision than the reference.
#[test]
fn each_set_in_its_own_precision() {
    let labels: Vec<i64> = (0..120).map(|i| i % 6).collect();
    let rows = rows_of(120, 5, 31, |i, k, noise| {
        1.0 + 1e-9 * (direction(i % 6, k) + 0.1 * noise)
    });
    assert!(single(&rows).iter().all(|&x| x == 1.0));
    assert_eq!(both_metrics(&rows, 5, &labels), [1.0; 2]);
    let ordinary = rows_of(120, 5, 32, |i, k, noise| direction(i % 6, k) + noise);
    let narrow = single(&ordinary);
    let wide: Vec<f64> = narrow.iter().map(|&x| x.into()).collect();
    let narrow = LabelledRows::new(&narrow, 5, &labels).unwrap();
    let wide = LabelledRows::new(&wide, 5, &labels).unwrap();
    let config = ScoresConfig::new().with_knn(Some(3));
    let expected = config.score(&wide, Some(&wide)).unwrap();
    for (queries, reference) in [(narrow, wide), (wide, narrow), (narrow, narrow)] {
        assert_eq!(config.score(&queries, Some(&reference)).unwrap(), expected);
    }
}

/// The vote for each query is the one that the k-NN accuracy counts.
#[test]
fn votes_and_their_accuracy() {
    let (n, dim) = (600, 16);
    let labels: Vec<i64> = (0..n as i64).map(|i| i % 10).collect();
    // All but collapsed: cosines of 1 in f32.
    let rows = single(&rows_of(n, dim, 33, |i, k, noise| {
        2.0 + direction(77, k).abs() + 3e-4 * (direction(i % 10, k) + 0.8 * noise)
    }));
    let (bank, queries) = rows.split_at(400 * dim);
    let bank = LabelledRows::new(bank, dim, &labels[..400]).unwrap();
    let rows = Rows::new(queries, dim).unwrap();
    let queries = LabelledRows::new(queries, dim, &labels[400..]).unwrap();
    assert_eq!(format!("{rows:?}"), format!("{:?}", queries.rows()));
    for by in [RankBy::Euclidean, RankBy::Cosine] {
        for k in [1, 5, 20, 400, 1000] {
            let votes = vote_of_nearest(&rows, &bank, k, by).unwrap();
            let hits = votes.iter().zip(&labels[400..]).filter(|(a, b)| a == b);
            let accuracy = hits.count() as f64 / 200.0;
            let config = ScoresConfig::new().with_rank_by(by).with_knn(Some(k));
            let scores = config.score(&queries, Some(&bank)).unwrap();
            assert_eq!(scores.knn_accuracy, Some(accuracy), "{by:?} {k}");
            assert!(k != 5 || accuracy > 0.9, "{accuracy}");
        }
    }
    // Labels that the reference does not have, and errors.
    let strangers = Rows::new(&[0.0f32, 3.0], 1).unwrap();
    let bank = LabelledRows::new(&[1.0f32, 1.0, 2.0], 1, &[-5, 8, 9]).unwrap();
    let vote = |k| vote_of_nearest(&strangers, &bank, k, RankBy::Euclidean);
    assert_eq!(vote(1).unwrap(), [-5, 9]);
    assert_eq!(vote(3).unwrap(), [-5, 9]);
    assert_eq!(vote(0), Err(ScoresError::ZeroK));
    let wide = Rows::new(&[0.0f32, 3.0], 2).unwrap();
    assert!(vote_of_nearest(&wide, &bank, 1, RankBy::Euclidean).is_err());
    assert!(Rows::new(&[0.0f32, 3.0, 1.0], 2).is_err());
    assert!(Rows::new(&[0.0, f64::INFINITY], 2).is_err());
}

/// k-means tells collapsed groups apart, and a power of two changes nothing.
#[test]
fn nmi_of_collapsed_groups() {
    let labels: Vec<i64> = (0..400).map(|i| i % 8).collect();
    let apart = rows_of(400, 16, 34, |i, k, noise| {
        20.0 * direction(i % 8, k) + noise
    });
    let apart = single(&apart);
    let tiny: Vec<f32> = apart.iter().map(|x| x * 2.0f32.powi(-40)).collect();
    let config = ScoresConfig::new().with_nmi(true);
    let of = score(&apart, 16, &labels, &config);
    assert_eq!(of.nmi, Some(1.0));
    assert_eq!(score(&tiny, 16, &labels, &config), of);
    assert_eq!(
        k_means(&apart, 16, 20, 3).unwrap(),
        k_means(&tiny, 16, 20, 3).unwrap()
    );

    for (n, dim, spread) in [(400, 64, 1e-2), (400, 33, 1e-9)] {
        let (rows, labels) = opposite_cones(n, dim, spread);
        for by in [RankBy::Euclidean, RankBy::Cosine] {
            let config = config.clone().with_rank_by(by);
            assert_eq!(score(&rows, dim, &labels, &config).nmi, Some(1.0), "{by:?}");
        }
    }
    let (rows, labels) = opposite_cones(400, 64, 1e-2);
    assert_eq!(score(&single(&rows), 64, &labels, &config).nmi, Some(1.0));

    // Fewer different rows than labels: equal rows are together.
    let kinds = rows_of(25, 32, 35, |_, _, noise| noise);
    let rows: Vec<f64> = (0..400)
        .flat_map(|i| kinds[i * 3 % 25 * 32..][..32].to_vec())
        .collect();
    let labels: Vec<i64> = (0..400).map(|i| i * 3 % 25 * 4 + i % 4).collect();
    let of_kinds: Vec<i64> = (0..400).map(|i| i * 3 % 25).collect();
    let expected = fullrank_retrieval::scores::normalized_mutual_information(&labels, &of_kinds);
    let nmi = score(&rows, 32, &labels, &config).nmi.unwrap();
    approx::assert_abs_diff_eq!(nmi, expected, epsilon = 1e-12);
}

/// The clusters are a fixed point of Lloyd's algorithm: no row is nearer to the mean of another cluster.
#[test]
fn every_row_is_in_the_nearest_cluster() {
    let rows = rows_of(700, 6, 36, |i, k, noise| direction(i % 9, k) + noise);
    let clusters = k_means(&rows, 6, 12, 4).unwrap();
    let mean = |cluster: usize| -> Option<Vec<f64>> {
        let members: Vec<usize> = (0..700).filter(|&i| clusters[i] == cluster).collect();
        assert!(!members.is_empty());
        let sum = |k: usize| members.iter().map(|i| rows[i * 6 + k]).sum::<f64>();
        Some((0..6).map(|k| sum(k) / members.len() as f64).collect())
    };
    let means: Vec<_> = (0..12).map(mean).collect();
    for (i, &cluster) in clusters.iter().enumerate() {
        let row = row(&rows, 6, i, RankBy::Euclidean);
        let own = squared_distance(&row, &means[cluster]);
        for mean in &means {
            assert!(own <= squared_distance(&row, mean) + 1e-12);
        }
    }
}

/// The scores do not depend on the number of threads.
#[test]
fn one_thread_or_several() {
    let labels: Vec<i64> = (0..900).map(|i| i % 30).collect();
    let rows = rows_of(900, 12, 37, |i, k, noise| {
        direction(i % 30, k) + 1.5 * noise
    });
    let config = ScoresConfig::new().with_nmi(true).with_knn(Some(9));
    let with = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        pool.unwrap()
            .install(|| score(&single(&rows), 12, &labels, &config))
    };
    assert_eq!(with(1), with(3));
}

/// A single row, a single column, a query alone.
#[test]
fn the_smallest_sets() {
    let config = ScoresConfig::new().with_knn(Some(3)).with_nmi(true);
    let scores = score(&[2.0f32], 1, &[7], &config);
    assert_eq!((scores.queries, scores.without_match), (0, 1));
    assert_eq!(scores.nmi, Some(1.0));
    let scores = score(&[2.0f32, 3.0], 1, &[7, 7], &config);
    assert_eq!((scores.mrr, scores.knn_accuracy), (1.0, Some(1.0)));
    let one = LabelledRows::new(&[f32::MAX, -f32::MAX], 2, &[1]).unwrap();
    let scores = config.score(&one, Some(&one)).unwrap();
    assert_eq!((scores.queries, scores.map_at_r), (1, 1.0));
    let far = [f64::MAX, -f64::MAX, f64::MAX, 0.0, 5e-324];
    let scores = score(&far, 1, &[1, 2, 1, 2, 2], &ScoresConfig::new());
    assert_eq!(scores.precision_at_1, 1.0);
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
        "row 1 has an entry that is not finite"
    );
    assert_eq!(
        error(LabelledRows::new::<f32>(&[], 2, &[])),
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
