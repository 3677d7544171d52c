//! Embeddings that have all but collapsed, far from the origin, very large or very small: values and
//! gradients are those of the entries as they are stored.

use burn::tensor::{DType, Device};
use fullrank_retrieval::{
    BatchHardMiner, ContrastiveLossConfig, Distance, Miner, Pairs, RankingLoss, TripletLossConfig,
    TripletMining, Triplets,
};

use crate::batches::{Batch, f64_device, losses, number};
use crate::oracle::cases;

/// `2^exponent`
fn power(exponent: i32) -> f64 {
    2f64.powi(exponent)
}

/// The entries as f32 holds them.
fn single(mut batch: Batch) -> Batch {
    for x in &mut batch.entries {
        *x = f64::from(*x as f32);
    }
    batch
}

/// Two cones about opposite directions, two classes in each: what separates the classes is `spread`.
fn opposite_cones(spread: f64) -> Batch {
    let labels = [0, 0, 0, 1, 1, 1, 2, 2, 3, 3];
    single(Batch::from_fn(&labels, 4, |i, j| {
        let side = if i < 6 { 1.0 } else { -1.0 };
        let axis = [0.8, -0.2, 0.7, 0.4][j];
        let (i, j) = (i as f64, j as f64);
        side * axis + spread * (1.0 + 3.1 * i + j * j + 0.3 * i * j).sin()
    }))
}

fn norm(vector: &[f64]) -> f64 {
    vector.iter().map(|x| x * x).sum::<f64>().sqrt()
}

fn assert_close(what: &str, found: &[f64], expected: &[f64], tolerance: f64) {
    let error: Vec<f64> = found.iter().zip(expected).map(|(x, y)| x - y).collect();
    let (error, size) = (norm(&error), norm(expected));
    assert!(
        error <= tolerance * size,
        "{what}: error {error:e} of {size:e}"
    );
}

/// On the host; a GPU has the precision of its f32 differences, which is tested inside the crate.
#[test]
fn opposite_cones_have_their_losses_and_gradients() {
    let device = f64_device();
    for spread in [1e-2, 1e-4, 1e-6] {
        let batch = opposite_cones(spread);
        for normalize in [true, false] {
            for case in cases(normalize) {
                let what = format!("{} of spread {spread:e}, normalize {normalize}", case.name);
                let expected = case.value(&batch, normalize);
                let step = if case.of_distances {
                    1e-3 * spread
                } else {
                    1e-4
                };
                let slopes = case.gradient(&batch, normalize, step);
                for (dtype, tolerance) in [(DType::F32, 1e-6), (DType::F64, 1e-9)] {
                    let value = batch.value(case.loss.as_ref(), &device, dtype);
                    approx::assert_relative_eq!(value, expected, max_relative = tolerance);
                    let gradient = batch.gradient(case.loss.as_ref(), &device, dtype);
                    assert_close(&what, &gradient, &slopes, 1e-4);
                }
            }
        }
    }
}

/// Distances do not change with the origin, nor do their gradients: rows about the origin, on a grid
/// that f32 also has far from it.
#[test]
fn a_cluster_far_from_the_origin() {
    let near = Batch::from_fn(&[0, 0, 1, 1, 2, 2, 2], 3, |i, j| {
        ((1.0 + 3.0 * i as f64 + (j * j) as f64).sin() * 64.0).round() / 64.0
    });
    let mut far = near.clone();
    for (k, x) in far.entries.iter_mut().enumerate() {
        *x += [65536.0, -32768.0, 131071.0][k % 3];
    }
    let device = f64_device();
    let distances = cases(false).into_iter().filter(|case| case.of_distances);
    for case in distances {
        for dtype in [DType::F32, DType::F64] {
            let [expected, value] =
                [&near, &far].map(|b| b.value(case.loss.as_ref(), &device, dtype));
            assert_eq!(value, expected, "{}", case.name);
            let [expected, gradient] =
                [&near, &far].map(|b| b.gradient(case.loss.as_ref(), &device, dtype));
            assert_eq!(gradient, expected, "{}", case.name);
        }
    }
}

/// Losses of unit rows do not know how long the rows were; their gradient goes with the inverse.
#[test]
fn rows_of_any_length() {
    let device = f64_device();
    let all = |_: usize| 1;
    let each = |i: usize| i as i32 % 3 - 1;
    let normalizing = losses();
    let normalizing = normalizing
        .iter()
        .filter(|(name, _)| !name.contains("raw") && !name.contains("all pairs"));
    for (name, loss) in normalizing {
        for (dtype, exponent) in [
            (DType::F32, 100),
            (DType::F32, -100),
            (DType::F64, 700),
            (DType::F64, -700),
        ] {
            for exponent_of in [&all as &dyn Fn(usize) -> i32, &each] {
                let batch = single(Batch::sines());
                let factor = |k: usize| power(exponent * exponent_of(k / batch.dims));
                let mut scaled = batch.clone();
                for (k, x) in scaled.entries.iter_mut().enumerate() {
                    *x *= factor(k);
                }
                let what = format!("{name} times 2^{exponent}");
                let expected = batch.value(loss.as_ref(), &device, dtype);
                assert_eq!(
                    scaled.value(loss.as_ref(), &device, dtype),
                    expected,
                    "{what}"
                );
                let expected = batch.gradient(loss.as_ref(), &device, dtype);
                let gradient = scaled.gradient(loss.as_ref(), &device, dtype);
                let gradient: Vec<f64> = (0..).zip(&gradient).map(|(k, x)| x * factor(k)).collect();
                assert_close(&what, &gradient, &expected, 1e-6);
            }
        }
    }
}

/// Without a margin the Euclidean triplet loss grows as the rows do, and its gradient stays.
#[test]
fn large_rows_that_are_not_normalized() {
    let device = f64_device();
    let batch = single(Batch::sines());
    for mining in [
        TripletMining::BatchAll,
        TripletMining::BatchHard,
        TripletMining::SemiHard,
    ] {
        for (dtype, exponent) in [
            (DType::F32, 120),
            (DType::F32, -120),
            (DType::F64, 1000),
            (DType::F64, -1000),
        ] {
            let config = TripletLossConfig::new()
                .with_mining(mining)
                .with_margin(0.0);
            let loss = config.with_normalize(false).init();
            let mut scaled = batch.clone();
            scaled
                .entries
                .iter_mut()
                .for_each(|x| *x *= power(exponent));
            let expected = power(exponent) * batch.value(&loss, &device, dtype);
            approx::assert_relative_eq!(
                scaled.value(&loss, &device, dtype),
                expected,
                max_relative = 1e-6
            );
            let expected = batch.gradient(&loss, &device, dtype);
            let gradient = scaled.gradient(&loss, &device, dtype);
            assert_close(
                &format!("{mining:?}, 2^{exponent}"),
                &gradient,
                &expected,
                1e-6,
            );
        }
    }
}

/// A loss too large for its type is infinite, never a number that is not it.
#[test]
fn a_loss_beyond_every_number_is_infinite() {
    let device = f64_device();
    let squared = ContrastiveLossConfig::new()
        .with_distance(Distance::SquaredEuclidean)
        .with_squared_hinge(false)
        .with_normalize(false)
        .init();
    for (dtype, finite, infinite) in [(DType::F32, 60, 70), (DType::F64, 500, 520)] {
        let batch = single(Batch::sines());
        let scaled = |exponent: i32| {
            let mut scaled = batch.clone();
            scaled
                .entries
                .iter_mut()
                .for_each(|x| *x *= power(exponent));
            scaled.value(&squared, &device, dtype)
        };
        assert_eq!(scaled(infinite), f64::INFINITY);
        let ratio = scaled(finite) / scaled(finite - 10);
        approx::assert_relative_eq!(ratio, power(20), max_relative = 1e-6);
    }
}

/// Only entries of zeros make a zero row: its cosine is 0 and it has no gradient.
#[test]
fn zero_rows() {
    let device = f64_device();
    let rows = [[3.0, 4.0], [0.0, 0.0], [0.0, 0.0], [3e-40, -4e-40]];
    let batch = Batch::from_fn(&[0, 0, 1, 1], 2, |i, j| rows[i][j]);
    let loss = ContrastiveLossConfig::new()
        .with_distance(Distance::Cosine)
        .with_squared_hinge(false)
        .with_negative_margin(1.5)
        .init();
    // Positive pairs have the distance 1; of the negative ones, (0, 3) has the cosine -0.28.
    let value = batch.value(&loss, &device, DType::F64);
    approx::assert_relative_eq!(value, 1.0 + (3.0 * 0.5 + 0.22) / 4.0, max_relative = 1e-12);
    let gradient = batch.gradient(&loss, &device, DType::F64);
    assert_eq!(gradient[2..6], [0.0; 4]);
    assert!(
        gradient[..2]
            .iter()
            .chain(&gradient[6..])
            .all(|&x| x != 0.0)
    );
}

/// Triplets in blocks of pairs against the plain sum over all of them.
#[test]
fn all_triplets_of_many_rows() {
    let device = Device::default();
    let labels: Vec<i64> = (0..160).map(|i| i % 8).collect();
    let batch = single(Batch::from_fn(&labels, 3, |i, j| {
        (1.0 + 3.7 * i as f64 + (j * j) as f64 + 0.31 * (i * j) as f64).sin()
    }));
    for case in cases(true) {
        let value = batch.value(case.loss.as_ref(), &device, DType::F32);
        approx::assert_relative_eq!(value, case.value(&batch, true), max_relative = 1e-5);
        // A few pairs of many rows are the same pairs of few rows.
        let pairs = Pairs {
            positive: vec![[0, 8], [8, 0], [3, 11]],
            negative: vec![[0, 1], [0, 3], [8, 3], [3, 1], [3, 8]],
        };
        let kept = [0, 1, 3, 8, 11];
        let place = |i: usize| kept.iter().position(|&row| row == i).unwrap();
        let few = Batch::from_fn(&kept.map(|i| i as i64 % 8), 3, |i, j| {
            batch.entries[3 * kept[i] + j]
        });
        let again = |pairs: &[[usize; 2]]| pairs.iter().map(|p| p.map(place)).collect();
        let same = Pairs {
            positive: again(&pairs.positive),
            negative: again(&pairs.negative),
        };
        let of = |batch: &Batch, pairs: &Pairs| {
            let rows = batch.tensor(&device, DType::F32);
            number(case.loss.forward_tuples(rows, &pairs.clone().into()))
        };
        if case.name != "multi-similarity" {
            // whose mean is over all rows
            approx::assert_relative_eq!(of(&batch, &pairs), of(&few, &same), max_relative = 1e-6);
        }
    }
}

/// Triplets one by one are those of their pairs.
#[test]
fn listed_triplets_are_those_of_their_pairs() {
    let device = f64_device();
    let batch = Batch::sines();
    let loss = TripletLossConfig::new().init();
    let rows = || batch.tensor(&device, DType::F64);
    let listed = loss.evaluate_tuples(rows(), &Triplets::from_labels(&batch.labels).into());
    let pairs = loss.evaluate_tuples(rows(), &Pairs::from_labels(&batch.labels).into());
    approx::assert_relative_eq!(
        number(listed.value.clone()),
        number(pairs.value.clone()),
        max_relative = 1e-12
    );
    let [listed, pairs] = [listed, pairs].map(|evaluation| {
        let [coefficients] = evaluation.coefficients.unwrap();
        coefficients.into_data().iter::<f64>().collect::<Vec<_>>()
    });
    assert_close("triplets", &listed, &pairs, 1e-12);
}

/// The coefficients of the whole batch, attached to parts of it, are the gradient of the whole.
#[test]
fn a_batch_in_parts() {
    let device = f64_device();
    let batch = Batch::sines();
    let tuples = Pairs::disjoint_from_labels(&batch.labels).into();
    for (name, loss) in losses() {
        let rows = batch.tensor(&device, DType::F64);
        let labelled = loss.evaluate(rows.clone(), batch.labels(&device));
        let given = loss.evaluate_tuples(rows.clone(), &tuples);
        let leaf = rows.clone().autodiff().require_grad();
        let of_tuples = loss.forward_tuples(leaf.clone(), &tuples).backward();
        let of_tuples = leaf.grad(&of_tuples).unwrap().into_data().iter().collect();
        let of_labels = batch.gradient(loss.as_ref(), &device, DType::F64);
        for (evaluation, whole) in [(labelled, of_labels), (given, of_tuples)] {
            let mut parts = Vec::new();
            for range in [0..3, 3..8] {
                let part = rows
                    .clone()
                    .slice([range.clone()])
                    .autodiff()
                    .require_grad();
                let value = evaluation.clone().rows(range).attach([part.clone()]);
                assert_eq!(number(value.clone()), number(evaluation.value.clone()));
                let gradient = part.grad(&value.backward()).unwrap();
                parts.extend(gradient.into_data().iter::<f64>());
            }
            assert_close(name, &parts, &whole, 1e-12);
        }
    }
}

/// Every term is on the graph with a gradient of its own, and the total is their weighted sum.
#[test]
fn terms_have_their_own_gradients() {
    let device = f64_device().autodiff();
    let batch = Batch::sines();
    for (name, loss) in losses() {
        let leaf = batch.tensor(&device, DType::F64).require_grad();
        let terms = loss.forward_terms(leaf.clone(), batch.labels(&device));
        let whole = batch.gradient(loss.as_ref(), &device, DType::F64);
        let gradient = leaf.grad(&terms.total.backward()).unwrap();
        let gradient: Vec<f64> = gradient.into_data().iter().collect();
        assert_close(name, &gradient, &whole, 1e-12);
        for (term, _) in terms.iter().filter(|(term, _)| *term != "active") {
            let leaf = batch.tensor(&device, DType::F64).require_grad();
            let terms = loss.forward_terms(leaf.clone(), batch.labels(&device));
            let gradients = terms.get(term).unwrap().clone().backward();
            assert!(leaf.grad(&gradients).is_some(), "{name}: {term}");
        }
    }
}

/// In a tight cone every row's nearest row is of its class; equal rows are the first of them.
#[test]
fn a_miner_in_a_tight_cone() {
    let device = Device::default();
    let cone = |i: usize, j: usize| {
        let class = [0.0, 1.0, 3.0][i / 3];
        [1.0, 0.0, 0.0][j] + 1e-5 * [0.0, class, 0.1 * (i % 3 / 2) as f64][j]
    };
    let batch = Batch::from_fn(&[0, 0, 0, 1, 1, 1, 2, 2, 2], 3, cone);
    for distance in [
        Distance::Euclidean,
        Distance::SquaredEuclidean,
        Distance::Cosine,
    ] {
        let miner = BatchHardMiner {
            distance,
            ..Default::default()
        };
        let (rows, labels) = (batch.tensor(&device, DType::F32), batch.labels(&device));
        let tuples = miner.mine(&rows, &labels).to_triplets().0;
        // The farthest positive is the third row of the class, of which the first two are equal; the
        // nearest negative is of the class beside, its first or third row as the anchor is.
        let expected = [
            [0, 2, 3],
            [1, 2, 3],
            [2, 0, 5],
            [3, 5, 0],
            [4, 5, 0],
            [5, 3, 2],
            [6, 8, 3],
            [7, 8, 3],
            [8, 6, 5],
        ];
        assert_eq!(tuples, expected, "{distance:?}");
    }
}
