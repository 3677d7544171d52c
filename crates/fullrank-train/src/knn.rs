//! k-nearest-neighbour classification on frozen features.

use burn::tensor::Tensor;

/// Similarities held at once on the host, in numbers.
const BLOCK: usize = 1 << 22;

/// Predicts the class of each query from its `k` most similar rows of a bank.
///
/// Similarity is the cosine, computed in blocks of queries on the features' device. A row of
/// zeros has the similarity 0 to every row. The `k` most similar bank rows vote with equal weight:
///
/// 1. among equally similar rows, those with the smaller index are nearer;
/// 2. among classes with equally many votes, the one with the larger sum of similarities wins,
///    then the one with the smaller index.
///
/// Gradients do not flow through it; features that carry autodiff are taken off it.
///
/// # Shapes
///
/// * `bank`: `[n, d]`, with `n` labels
/// * `queries`: `[m, d]`
/// * returns `m` classes
///
/// # Panics
///
/// If `k` is 0 or above `n`, the labels are not `n`, the two dimensions `d` differ, or a row's
/// norm is not finite.
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
    assert!(
        u32::try_from(rows).is_ok(),
        "the bank must have less than 2^32 rows, got {rows}"
    );

    let bank = unit_rows(bank, "bank").transpose();
    let queries = unit_rows(queries, "queries");
    let mut vote = Vote::new(bank_labels);
    let mut nearest = Vec::with_capacity(rows);
    let mut predictions = Vec::with_capacity(query_rows);
    let block = (BLOCK / rows).max(1);
    for start in (0..query_rows).step_by(block) {
        let length = block.min(query_rows - start);
        let similarities = queries
            .clone()
            .narrow(0, start, length)
            .matmul(bank.clone())
            .try_into_vec_as::<f32>()
            .expect("the similarities can be read back");
        for row in similarities.chunks_exact(rows) {
            nearest_first(row, k, &mut nearest);
            predictions.push(vote.winner(nearest[..k].iter().map(|&key| {
                let index = (key & u64::from(u32::MAX)) as usize;
                (index, row[index])
            })));
        }
    }
    predictions
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

/// Rows divided by their norm, off autodiff; rows of zeros stay zero.
fn unit_rows(features: &Tensor<2>, name: &str) -> Tensor<2> {
    let features = features.clone().without_autodiff();
    let norms = features.clone().square().sum_dim(1).sqrt();
    let read = norms
        .clone()
        .try_into_vec_as::<f32>()
        .expect("the norms can be read back");
    for (row, norm) in read.iter().enumerate() {
        assert!(
            norm.is_finite(),
            "row {row} of the {name} has the norm {norm}"
        );
    }
    // The floor of torch.nn.functional.normalize.
    features.div(norms.clamp_min(1e-12))
}

/// Puts the keys of the `k` most similar rows first, in order.
///
/// A key is smaller the more similar the row and, among equals, the smaller its index, which is in
/// the low 32 bits.
fn nearest_first(similarities: &[f32], k: usize, keys: &mut Vec<u64>) {
    keys.clear();
    keys.extend(similarities.iter().enumerate().map(|(index, &similarity)| {
        // Adding 0 makes -0 equal to 0.
        let bits = (similarity + 0.0).to_bits();
        // The order of floats as an order of integers.
        let ascending = if bits >> 31 == 1 {
            !bits
        } else {
            bits | 1 << 31
        };
        u64::from(!ascending) << 32 | index as u64
    }));
    if k < keys.len() {
        keys.select_nth_unstable(k - 1);
    }
    keys[..k].sort_unstable();
}

struct Vote<'a> {
    labels: &'a [usize],
    /// Votes and summed similarity of each class.
    classes: Vec<(usize, f64)>,
}

impl<'a> Vote<'a> {
    fn new(labels: &'a [usize]) -> Self {
        let classes = labels.iter().max().map_or(0, |label| label + 1);
        Self {
            labels,
            classes: vec![(0, 0.0); classes],
        }
    }

    fn winner(&mut self, neighbours: impl Iterator<Item = (usize, f32)>) -> usize {
        self.classes.fill((0, 0.0));
        for (index, similarity) in neighbours {
            let (votes, sum) = &mut self.classes[self.labels[index]];
            *votes += 1;
            *sum += f64::from(similarity);
        }
        let mut best = 0;
        for (class, &(votes, sum)) in self.classes.iter().enumerate() {
            let (best_votes, best_sum) = self.classes[best];
            if votes > best_votes || (votes == best_votes && sum > best_sum) {
                best = class;
            }
        }
        best
    }
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
        let mut scores = [(0usize, 0.0f64); 4];
        for &(similarity, label) in &order[..k] {
            scores[label].0 += 1;
            scores[label].1 += similarity;
        }
        (0..4)
            .max_by(|&a, &b| {
                let by_votes = scores[a].0.cmp(&scores[b].0);
                by_votes
                    .then(scores[a].1.total_cmp(&scores[b].1))
                    .then(b.cmp(&a))
            })
            .expect("four classes")
    }

    #[test]
    fn ties_are_broken_as_documented() {
        // Three equal rows: the first ones are nearer.
        let bank = matrix(&[vec![2.0, 0.0], vec![1.0, 0.0], vec![3.0, 0.0]]);
        let query = matrix(&[vec![1.0, 0.0]]);
        assert_eq!(knn_predict(&bank, &[2, 1, 0], &query, 1), [2]);
        // One vote each at the same similarity: the smaller class.
        assert_eq!(knn_predict(&bank, &[2, 1, 0], &query, 2), [1]);
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
    #[should_panic(expected = "row 1 of the queries has the norm NaN")]
    fn a_feature_that_is_not_a_number_is_refused() {
        let bank = matrix(&[vec![1.0], vec![2.0]]);
        let queries = matrix(&[vec![1.0], vec![f32::NAN]]);
        knn_predict(&bank, &[0, 1], &queries, 1);
    }
}
