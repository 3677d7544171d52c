//! k-nearest-neighbour classification on frozen features.

use burn::tensor::Tensor;
use fullrank_retrieval::scores::{LabelledRows, RankBy, Rows, vote_of_nearest};

use crate::host_values::HostValues;

/// Predicts the class of each query from its `k` most similar rows of a bank.
///
/// Similarity is the cosine; that of a row of zeros is 0 to every row. The `k` most similar bank rows vote
/// with equal weight, as [`vote_of_nearest`] has it:
///
/// 1. among equally similar rows, those with the smaller index are nearer;
/// 2. among classes with equally many votes, the one with the nearest row wins.
///
/// Features are read back in their own precision, f64 as f64 and all else as f32, and ranked on the host, right
/// to that precision: features that all but share a direction are told apart. Gradients do not flow through
/// it; features that carry autodiff are taken off it.
///
/// # Shapes
///
/// * `bank`: `[n, d]`, with `n` labels
/// * `queries`: `[m, d]`
/// * returns `m` classes
///
/// # Panics
///
/// If `k` is 0 or above `n`, the labels are not `n`, the two dimensions `d` differ, or an entry is not
/// finite.
pub fn knn_predict(
    bank: &Tensor<2>,
    bank_labels: &[usize],
    queries: &Tensor<2>,
    k: usize,
) -> Vec<usize> {
    let [rows, dimension] = bank.dims();
    let [query_rows, query_dimension] = queries.dims();
    assert!(
        (1..=rows).contains(&k),
        "k must be in 1..={rows} (the rows of the bank), got {k}"
    );
    assert_eq!(
        bank_labels.len(),
        rows,
        "the bank has {rows} rows but {} labels",
        bank_labels.len()
    );
    assert_eq!(
        query_dimension, dimension,
        "the queries have {query_dimension} features but the bank has {dimension}"
    );
    if query_rows == 0 {
        return Vec::new();
    }
    let labels: Vec<i64> = bank_labels.iter().map(|&label| label as i64).collect();
    let bank = HostValues::read(bank).expect("the bank can be read back");
    let queries = HostValues::read(queries).expect("the queries can be read back");
    let bank = match &bank {
        HostValues::Single(values) => LabelledRows::new(values, dimension, &labels),
        HostValues::Double(values) => LabelledRows::new(values, dimension, &labels),
    };
    let queries = match &queries {
        HostValues::Single(values) => Rows::new(values, dimension),
        HostValues::Double(values) => Rows::new(values, dimension),
    };
    let bank = bank.unwrap_or_else(|error| panic!("the bank: {error}"));
    let queries = queries.unwrap_or_else(|error| panic!("the queries: {error}"));
    let votes = vote_of_nearest(&queries, &bank, k, RankBy::Cosine);
    let votes = votes.unwrap_or_else(|error| panic!("{error}"));
    votes.into_iter().map(|label| label as usize).collect()
}

/// The fraction of queries whose class [`knn_predict`] gets right, in `[0, 1]`.
///
/// # Panics
///
/// As [`knn_predict`]; also if there are no queries or their labels are not as many.
pub fn knn_accuracy(
    bank: &Tensor<2>,
    bank_labels: &[usize],
    queries: &Tensor<2>,
    query_labels: &[usize],
    k: usize,
) -> f64 {
    let [rows, _] = queries.dims();
    assert!(rows > 0, "an accuracy needs at least one query, got 0");
    assert_eq!(
        query_labels.len(),
        rows,
        "there are {rows} queries but {} labels",
        query_labels.len()
    );
    let predictions = knn_predict(bank, bank_labels, queries, k);
    let hits = predictions
        .iter()
        .zip(query_labels)
        .filter(|(prediction, label)| prediction == label)
        .count();
    hits as f64 / rows as f64
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, TensorData};
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    fn matrix(rows: &[Vec<f32>]) -> Tensor<2> {
        let shape = [rows.len(), rows[0].len()];
        Tensor::from_data(TensorData::new(rows.concat(), shape), &Device::default())
    }

    // tests/utils/benchmarking/test_knn.py of lightly: its weighted vote ranks the classes; the
    // first of each ranking is ours.
    #[test]
    fn cases_of_lightly() {
        let bank = matrix(&[
            vec![1.0, 1.0, 1.0],
            vec![-1.0, 1.0, 1.0],
            vec![-1.0, -1.0, 1.0],
            vec![-1.0, -1.0, -1.0],
        ]);
        let queries = matrix(&[vec![1.0, 1.0, 1.0], vec![-1.0, 1.1, -1.0]]);
        assert_eq!(knn_predict(&bank, &[0, 1, 2, 3], &queries, 4), [0, 1]);
        assert_eq!(knn_predict(&bank, &[0, 1, 0, 1], &queries, 2), [0, 1]);
        assert_eq!(
            knn_accuracy(&bank, &[0, 1, 0, 1], &queries, &[0, 0], 2),
            0.5
        );
    }

    #[test]
    fn agrees_with_brute_force() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut sample = |rows: usize| -> Vec<Vec<f32>> {
            (0..rows)
                .map(|_| (0..5).map(|_| rng.random_range(-1.0f32..1.0)).collect())
                .collect()
        };
        let (bank, queries) = (sample(203), sample(57));
        let labels: Vec<usize> = (0..203).map(|i| i * 7 % 4).collect();
        for k in [1, 2, 10, 203] {
            let expected: Vec<usize> = queries
                .iter()
                .map(|query| brute_force(&bank, &labels, query, k))
                .collect();
            assert_eq!(
                knn_predict(&matrix(&bank), &labels, &matrix(&queries), k),
                expected,
                "k = {k}"
            );
        }
    }

    fn brute_force(bank: &[Vec<f32>], labels: &[usize], query: &[f32], k: usize) -> usize {
        let dot = |a: &[f32], b: &[f32]| -> f64 {
            a.iter()
                .zip(b)
                .map(|(&a, &b)| f64::from(a) * f64::from(b))
                .sum()
        };
        let cosine =
            |row: &[f32]| dot(row, query) / (dot(row, row).sqrt() * dot(query, query).sqrt());
        let mut order: Vec<(f64, usize)> = bank
            .iter()
            .zip(labels)
            .map(|(row, &label)| (cosine(row), label))
            .collect();
        order.sort_by(|a, b| b.0.total_cmp(&a.0));
        // The votes of each class, and how near its nearest row is.
        let votes = |class: usize| {
            let of_class = |row: &&(f64, usize)| row.1 == class;
            let first = order[..k].iter().position(|row| row.1 == class);
            let count = order[..k].iter().filter(of_class).count();
            (count, std::cmp::Reverse(first.unwrap_or(k)))
        };
        (0..4)
            .max_by_key(|&class| votes(class))
            .expect("four classes")
    }

    #[test]
    fn ties_are_broken_as_documented() {
        // Three equal rows: the first ones are nearer.
        let bank = matrix(&[vec![2.0, 0.0], vec![1.0, 0.0], vec![3.0, 0.0]]);
        let query = matrix(&[vec![1.0, 0.0]]);
        assert_eq!(knn_predict(&bank, &[2, 1, 0], &query, 1), [2]);
        // One vote each at the same similarity: the first row.
        assert_eq!(knn_predict(&bank, &[2, 1, 0], &query, 2), [2]);
        // One vote each: the nearer.
        let bank = matrix(&[vec![0.0, 1.0], vec![1.0, 0.1]]);
        assert_eq!(knn_predict(&bank, &[0, 1], &query, 2), [1]);
        // Two votes against one that is nearer.
        let bank = matrix(&[vec![1.0, 0.0], vec![1.0, 1.0], vec![1.0, -1.0]]);
        assert_eq!(knn_predict(&bank, &[0, 1, 1], &query, 3), [1]);
    }

    #[test]
    fn zero_rows_are_similar_to_nothing() {
        let bank = matrix(&[vec![0.0, 0.0], vec![1.0, 0.0], vec![-1.0, 0.0]]);
        let queries = matrix(&[vec![1.0, 0.0], vec![-1.0, 0.0], vec![0.0, 0.0]]);
        // The zero query is equally far from all rows: the first one.
        assert_eq!(knn_predict(&bank, &[2, 1, 0], &queries, 1), [1, 0, 2]);
    }

    // Raw pixels of the shipped Fashion-MNIST, k = 20.
    #[test]
    fn fashion_mnist_pixels() {
        let data = datasets::fashion_mnist::mini();
        let pixels = |set: &datasets::ImageSet| {
            let values: Vec<f32> = set.pixels().iter().map(|&pixel| f32::from(pixel)).collect();
            Tensor::<2>::from_data(
                TensorData::new(values, [set.len(), 28 * 28]),
                &Device::default(),
            )
        };
        let accuracy = knn_accuracy(
            &pixels(&data.train),
            data.train.labels(),
            &pixels(&data.test),
            data.test.labels(),
            20,
        );
        // 796 of 1000; rounding may move a query or two.
        assert!((0.794..=0.798).contains(&accuracy), "{accuracy}");
    }

    /// Features that all but share a direction, whose cosines are 1 in f32: the command and the live metric
    /// say the same.
    #[test]
    fn near_collapsed_features() {
        let (count, dimension) = (300, 32);
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let mut noise = || rng.random_range(-1.0f64..1.0);
        let base: Vec<f64> = (0..dimension).map(|_| 2.0 + noise()).collect();
        let centres: Vec<f64> = (0..10 * dimension).map(|_| noise()).collect();
        let labels: Vec<usize> = (0..count).map(|i| i * 7 % 10).collect();
        let rows: Vec<f64> = (0..count * dimension)
            .map(|k| {
                let centre = centres[labels[k / dimension] * dimension + k % dimension];
                base[k % dimension] + 3e-4 * (centre + 0.9 * noise())
            })
            .collect();
        let (bank, queries) = rows.split_at(200 * dimension);
        let (bank_labels, query_labels) = labels.split_at(200);
        let narrow = |rows: &[f64]| {
            let rows: Vec<f32> = rows.iter().map(|&x| x as f32).collect();
            let shape = [rows.len() / dimension, dimension];
            Tensor::<2>::from_data(TensorData::new(rows, shape), &Device::default())
        };
        let of = |labels: &[usize]| labels.iter().map(|&label| label as i64).collect::<Vec<_>>();
        let single = |rows: &[f64]| rows.iter().map(|&x| x as f32).collect::<Vec<_>>();
        let (bank_values, query_values) = (single(bank), single(queries));
        let (bank_of, query_of) = (of(bank_labels), of(query_labels));
        for k in [1, 5, 20] {
            let accuracy = knn_accuracy(
                &narrow(bank),
                bank_labels,
                &narrow(queries),
                query_labels,
                k,
            );
            assert!(accuracy > 0.97, "k = {k}: {accuracy}");
            let bank = LabelledRows::new(&bank_values, dimension, &bank_of).unwrap();
            let queries = LabelledRows::new(&query_values, dimension, &query_of).unwrap();
            let config = fullrank_retrieval::scores::ScoresConfig::new()
                .with_rank_by(RankBy::Cosine)
                .with_knn(Some(k));
            let scores = config.score(&queries, Some(&bank)).unwrap();
            assert_eq!(scores.knn_accuracy, Some(accuracy), "k = {k}");
        }
    }

    /// f64 features stay f64: these are equal in f32.
    #[test]
    fn features_in_f64() {
        let device = Device::default();
        let wide = |rows: Vec<f64>| {
            let data = TensorData::new(rows, [3, 2]);
            Tensor::<2>::from_data(data, (&device, burn::tensor::DType::F64))
        };
        let bank = wide(vec![1.0, 1.0, 1.0, 1.0 + 1e-10, 1.0, 1.0 + 3e-10]);
        let queries = wide(vec![2.0, 2.0 + 2e-10, 2.0, 2.0 + 5e-10, 2.0, 2.0 - 1e-10]);
        assert_eq!(knn_predict(&bank, &[0, 1, 2], &queries, 1), [1, 2, 0]);
    }

    #[test]
    fn takes_features_off_autodiff() {
        let device = Device::default().autodiff();
        let features = Tensor::<2>::from_floats([[1.0, 0.0], [0.0, 1.0]], &device).require_grad();
        assert_eq!(knn_accuracy(&features, &[0, 1], &features, &[0, 1], 1), 1.0);
    }

    #[test]
    #[should_panic(expected = "k must be in 1..=2 (the rows of the bank), got 3")]
    fn k_above_the_bank_is_refused() {
        let bank = matrix(&[vec![1.0], vec![2.0]]);
        knn_predict(&bank, &[0, 1], &bank, 3);
    }

    #[test]
    #[should_panic(expected = "the queries: row 1 has an entry that is not finite")]
    fn a_feature_that_is_not_a_number_is_refused() {
        let bank = matrix(&[vec![1.0], vec![2.0]]);
        let queries = matrix(&[vec![1.0], vec![f32::NAN]]);
        knn_predict(&bank, &[0, 1], &queries, 1);
    }
}
