//! Known matrices, and that the ways to the figures agree.

use approx::assert_relative_eq;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;

/// Rows around one of `classes` points, with an offset common to all, and dimensions of falling
/// size.
fn embeddings(rows: usize, dims: usize, classes: usize, offset: f64) -> (Vec<f64>, Vec<i64>) {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let mut uniform = || rng.random::<f64>() - 0.5;
    let centres: Vec<f64> = (0..classes * dims).map(|_| uniform()).collect();
    let labels: Vec<i64> = (0..rows).map(|i| (i * 7 % classes) as i64).collect();
    let mut entries = Vec::with_capacity(rows * dims);
    for &label in &labels {
        for j in 0..dims {
            let size = 1.0 / (1.0 + j as f64);
            entries.push(offset + size * (centres[label as usize * dims + j] + uniform()));
        }
    }
    (entries, labels)
}

fn streamed(rows: &[f64], dims: usize, labels: Option<&[i64]>, block: usize) -> Diagnostics {
    let mut accumulator = Accumulator::new(dims).by_gram();
    for (k, part) in rows.chunks(block * dims).enumerate() {
        match labels {
            Some(labels) => {
                let labels = &labels[k * block..][..part.len() / dims];
                accumulator.push_labelled(part, labels).unwrap();
            }
            None => accumulator.push(part).unwrap(),
        }
    }
    accumulator.finish().unwrap()
}

/// Every number of both, as JSON, to a relative tolerance; singular values relative to the largest.
fn assert_alike(a: &Diagnostics, b: &Diagnostics, tolerance: f64) {
    let json = |diagnostics| serde_json::to_value(diagnostics).unwrap();
    let (a, b) = (json(a), json(b));
    for (name, a) in a.as_object().unwrap() {
        let b = &b[name];
        let close = |a: f64, b: f64, scale: f64| {
            assert!(
                (a - b).abs() <= tolerance * scale + 1e-15,
                "{name}: {a} and {b}"
            );
        };
        if let (Some(a), Some(b)) = (a.as_f64(), b.as_f64()) {
            close(a, b, a.abs());
        } else if let (Some(a), Some(b)) = (a.as_array(), b.as_array()) {
            assert_eq!(a.len(), b.len(), "{name}");
            let number = |value: &serde_json::Value| value.as_f64().unwrap();
            let scale = a.iter().map(number).fold(0.0, f64::max);
            for (a, b) in a.iter().zip(b) {
                close(number(a), number(b), scale);
            }
        } else if name != "method" {
            assert_eq!(a, b, "{name}");
        }
    }
}

#[test]
fn figures_of_a_matrix_by_hand() {
    // Unit rows e_1, e_2, -e_1, -e_2: raw singular values sqrt(2 * 4) and sqrt 2.
    let rows = [2.0, 0.0, 0.0, 1.0, -2.0, 0.0, 0.0, -1.0];
    let found = Diagnostics::new(&rows, 2, Some(&[0, 1, 0, 1])).unwrap();
    let close =
        |found: f64, expected: f64| assert_relative_eq!(found, expected, max_relative = 1e-6);
    let exactly = |found: Option<f64>, expected: f64| {
        assert_relative_eq!(found.unwrap(), expected, max_relative = 1e-12);
    };
    assert_eq!((found.rows, found.dims, found.method), (4, 2, Method::Svd));
    exactly(Some(found.mean_singular_value), 2f64.sqrt());
    exactly(Some(found.upper_bound), 2f64.sqrt());
    exactly(Some(found.utilization), 1.0);
    exactly(Some(found.singular_values[0]), 8f64.sqrt());
    exactly(Some(found.singular_values[1]), 2f64.sqrt());
    // p = 2/3, 1/3.
    let entropy = (2.0 / 3.0) * 1.5f64.ln() + (1.0 / 3.0) * 3f64.ln();
    close(found.rankme, entropy.exp());
    exactly(found.effective_rank, entropy.exp());
    // Shares of the variance 4/5 and 1/5, in bits.
    exactly(
        found.spectral_entropy,
        -(0.8 * 0.8f64.log2() + 0.2 * 0.2f64.log2()),
    );
    // Eigenvalues 8 and 2 over three: 100 / 68.
    exactly(found.participation_ratio, 100.0 / 68.0);
    exactly(found.condition_number, 2.0);
    assert_eq!(found.numerical_rank, 2);
    exactly(
        found.mean_std,
        ((8.0 / 3.0f64).sqrt() + (2.0 / 3.0f64).sqrt()) / 2.0,
    );
    assert_eq!(found.dead_dimensions, Some(0));
    exactly(found.mean_abs_correlation.map(|r| r + 1.0), 1.0);
    exactly(found.unit_row_std, (2.0 / 3.0f64).sqrt());
    // Four pairs at a squared distance of 2, two at 4.
    exactly(
        found.uniformity,
        ((4.0 * (-4f64).exp() + 2.0 * (-8f64).exp()) / 6.0).ln(),
    );
    assert_eq!((found.uniformity_rows, found.classes), (4, Some(2)));
    exactly(found.alignment, 4.0);
    // The class means are equal.
    assert_eq!(found.lidar, Some(0.0));
    assert_eq!(found.alpha_req, None);
}

#[test]
fn whole_and_streamed_agree() {
    for (rows, dims, offset) in [
        (300, 20, 0.0),
        (40, 64, 0.3),
        (500, 12, 100.0),
        (33, 33, 0.0),
    ] {
        let (entries, labels) = embeddings(rows, dims, 5, offset);
        for labels in [None, Some(labels.as_slice())] {
            let whole = Diagnostics::new(&entries, dims, labels).unwrap();
            assert_eq!(whole.method, Method::Svd);
            let parts = streamed(&entries, dims, labels, 7);
            assert_eq!(parts.method, Method::Gram);
            assert_alike(&whole, &parts, 1e-8);
        }
    }
}

/// More than one block of sums, in blocks that fit them and in blocks that do not.
#[test]
fn streamed_figures_do_not_depend_on_blocks_and_threads() {
    let dims = 700;
    let (entries, labels) = embeddings(4000, dims, 30, 0.1);
    let labels = Some(labels.as_slice());
    let first = streamed(&entries, dims, labels, 4000);
    assert_eq!(first, streamed(&entries, dims, labels, 333));
    let pool = |threads| {
        rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap()
    };
    assert_eq!(
        first,
        pool(1).install(|| streamed(&entries, dims, labels, 4000))
    );
    assert_eq!(
        first,
        pool(3).install(|| streamed(&entries, dims, labels, 4000))
    );
    // Too large for an SVD, so that the same way is taken without asking for it.
    let rows: Vec<f64> = entries
        .iter()
        .chain(&entries)
        .chain(&entries)
        .chain(&entries)
        .copied()
        .collect();
    let large = Diagnostics::new(&rows, dims, None).unwrap();
    assert_eq!((large.method, large.rows), (Method::Gram, 16_000));
    assert_relative_eq!(large.rankme, first.rankme, max_relative = 1e-9);
    let whole = |threads| {
        pool(threads).install(|| Diagnostics::new(&entries[..280_000], dims, None).unwrap())
    };
    assert_eq!(whole(1), whole(3));
    assert_eq!(whole(1).method, Method::Svd);
}

#[test]
fn random_rows_are_healthy_and_reach_the_reference() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    // Twelve uniform numbers are all but normal.
    let mut normal = || (0..12).map(|_| rng.random::<f64>()).sum::<f64>() - 6.0;
    let (rows, dims) = (1024, 128);
    let entries: Vec<f64> = (0..rows * dims).map(|_| normal()).collect();
    let found = Diagnostics::new(&entries, dims, None).unwrap();
    assert_relative_eq!(found.mean_singular_value, 2.784, max_relative = 1e-3);
    assert_relative_eq!(
        found.mean_singular_value,
        found.random_reference,
        max_relative = 1e-3
    );
    assert_relative_eq!(found.rankme, 126.0, max_relative = 1e-3);
    assert_relative_eq!(
        found.effective_rank.unwrap(),
        found.random_effective_rank,
        max_relative = 1e-3
    );
    assert_relative_eq!(
        found.unit_row_std.unwrap(),
        found.isotropic_std,
        max_relative = 1e-2
    );
    let correlation = (2.0 / (std::f64::consts::PI * rows as f64)).sqrt();
    assert_relative_eq!(
        found.mean_abs_correlation.unwrap(),
        correlation,
        max_relative = 0.02
    );
    assert_relative_eq!(found.uniformity.unwrap(), -4.0, max_relative = 0.05);
    assert_eq!(found.verdict().health, Health::Healthy);
    assert_eq!(
        found.verdict().text,
        "healthy: uses 126 of 128 dimensions (100 % of what random rows use); none is dead; mean singular value 100 % of random"
    );
}

#[test]
fn equal_rows_have_collapsed() {
    for value in [0.1, 3e5, 1e-200, -7.0] {
        let rows = vec![value; 50 * 6];
        for found in [
            Diagnostics::new(&rows, 6, None).unwrap(),
            streamed(&rows, 6, None, 9),
        ] {
            assert_eq!(found.effective_rank, Some(0.0), "{value}");
            assert_eq!(found.dead_dimensions, Some(6));
            assert_eq!(found.mean_std, Some(0.0));
            assert_eq!(found.mean_abs_correlation, None);
            assert_eq!(found.condition_number, None);
            assert_relative_eq!(found.utilization, 0.0, epsilon = 1e-9);
            assert_relative_eq!(found.uniformity.unwrap(), 0.0, epsilon = 1e-12);
            assert_eq!(found.verdict().health, Health::Collapsed);
        }
    }
}

#[test]
fn a_zero_matrix_has_figures() {
    let found = Diagnostics::new(&[0.0; 12], 3, Some(&[0, 0, 1, 1])).unwrap();
    assert_eq!(
        (found.zero_rows, found.numerical_rank, found.rankme),
        (4, 0, 0.0)
    );
    assert_eq!(found.mean_singular_value, 0.0);
    assert_eq!(found.verdict().health, Health::Collapsed);
    assert_eq!(found.alignment, Some(0.0));
}

#[test]
fn what_a_single_row_leaves_undefined() {
    let row = [3.0, 4.0];
    let found = Diagnostics::new(&row, 2, None).unwrap();
    assert_eq!(found.singular_values.len(), 1);
    assert_relative_eq!(found.singular_values[0], 5.0, max_relative = 1e-14);
    assert_eq!(
        (found.effective_rank, found.mean_std, found.uniformity),
        (None, None, None)
    );
    assert!(found.dimension_std.is_empty());
    assert_eq!(found.verdict().health, Health::Unknown);
    assert_alike(&found, &streamed(&row, 2, None, 1), 1e-12);
    let json = serde_json::to_value(&found).unwrap();
    assert!(json["dead_dimensions"].is_null() && json["classes"].is_null());
    assert!(!found.to_string().contains("NaN"));
}

#[test]
fn rounding_is_no_rank() {
    // Rank two, rounded to f32.
    let entry = |i: usize, j: usize| {
        (i as f64).sin() * (j as f64).cos() + (i as f64).cos() * (j * j) as f64
    };
    let rows: Vec<f64> = (0..60 * 8)
        .map(|k| f64::from(entry(k / 8, k % 8) as f32))
        .collect();
    let rank = |epsilon| {
        let mut accumulator = Accumulator::new(8).entry_epsilon(epsilon);
        accumulator.push(&rows).unwrap();
        accumulator.finish().unwrap().numerical_rank
    };
    assert_eq!(rank(f64::from(f32::EPSILON)), 2);
    assert_eq!(rank(f64::EPSILON), 8);
    // Nor is it in Gram matrices.
    assert_eq!(streamed(&rows, 8, None, 60).numerical_rank, 2);
}

#[test]
fn ill_conditioned_matrices_keep_their_condition() {
    // Orthogonal columns of the lengths 1, 1e-4 and 1e-9.
    let sign = |i: usize, j: usize| if (i >> j) & 1 == 0 { 0.5 } else { -0.5 };
    let rows: Vec<f64> = (0..4)
        .flat_map(|i| [0.5, 1e-4 * sign(i, 0), 1e-9 * sign(i, 1)])
        .collect();
    let found = Diagnostics::new(&rows, 3, None).unwrap();
    assert_relative_eq!(found.condition_number.unwrap(), 1e9, max_relative = 1e-6);
    assert_eq!(found.numerical_rank, 3);
    assert_eq!(streamed(&rows, 3, None, 4).condition_number, None);
}

#[test]
fn entries_that_are_not_finite_are_listed() {
    let mut rows = vec![1.0; 30];
    rows[4] = f64::NAN;
    rows[29] = f64::NEG_INFINITY;
    let error = Diagnostics::new(&rows, 3, None).unwrap_err();
    assert_eq!(
        error.to_string(),
        "2 of 30 entries are not finite (1 NaN, 1 infinite), at row 1, column 1; row 9, column 2"
    );
    rows.fill(f64::INFINITY);
    let DiagnosticsError::NotFinite(found) = Diagnostics::new(&rows, 3, None).unwrap_err() else {
        panic!("another error");
    };
    assert_eq!(
        (found.infinite, found.first.len()),
        (30, NonFinite::POSITIONS)
    );
    assert!(found.to_string().ends_with("row 2, column 1; ..."));
    // However the rows come.
    let mut accumulator = Accumulator::new(3).by_gram();
    accumulator.push(&[1.0; 6]).unwrap();
    accumulator.push(&[0.0, f64::NAN, 0.0]).unwrap();
    let error = accumulator.finish().unwrap_err();
    assert!(error.to_string().contains("at row 2, column 1"), "{error}");
}

#[test]
fn matrices_without_figures() {
    let error = |rows: &[f64], dims, labels| {
        Diagnostics::new(rows, dims, labels)
            .unwrap_err()
            .to_string()
    };
    assert_eq!(
        error(&[], 3, None),
        "diagnostics need at least one row and one dimension, got 0 x 3"
    );
    assert_eq!(
        error(&[1.0; 5], 3, None),
        "5 numbers do not make up rows of 3"
    );
    assert_eq!(
        error(&[1.0; 6], 3, Some(&[1])),
        "there are 2 rows but 1 labels"
    );
    assert!(error(&[1.0, 2e140], 1, None).starts_with("the entry at row 1, column 0 is 2e140"));
    let mut accumulator = Accumulator::new(1);
    accumulator.push(&[1.0]).unwrap();
    assert!(accumulator.push_labelled(&[1.0], &[2]).is_err());
    let mut accumulator = Accumulator::new(LARGEST_GRAM + 1).by_gram();
    accumulator.push(&vec![1.0; LARGEST_GRAM + 1]).unwrap();
    assert!(
        accumulator
            .finish()
            .unwrap_err()
            .to_string()
            .starts_with(
                "8193 dimensions are too many for a matrix of this many rows: give at most 8191 rows, or project them to at most 8192"
            )
    );
}

#[test]
fn classes_by_hand() {
    // Two classes along the first axis, one along the second; within them, only the third varies.
    let rows = [
        1.0, 0.0, 1.0, 1.0, 0.0, -1.0, //
        -1.0, 0.0, 1.0, -1.0, 0.0, -1.0, //
        0.0, 2.0, 1.0, 0.0, 2.0, -1.0,
    ];
    let labels = [5, 5, -3, -3, 9, 9];
    let whole = Diagnostics::new(&rows, 3, Some(&labels)).unwrap();
    // S_w = diag(0, 0, 6/3) + 1e-4 and S_b = diag(1, 4/3, 0).
    let p = [3.0 / 7.0 + 1e-7, 4.0 / 7.0 + 1e-7f64];
    let expected = p.iter().map(|p| -p * p.ln()).sum::<f64>().exp();
    assert_relative_eq!(whole.lidar.unwrap(), expected, max_relative = 1e-10);
    // Twice 2^2/2 and 2^2/5 of unit rows.
    assert_relative_eq!(
        whole.alignment.unwrap(),
        (2.0 + 2.0 + 0.8) / 3.0,
        max_relative = 1e-12
    );
    assert_eq!(whole.classes, Some(3));
    assert_alike(&whole, &streamed(&rows, 3, Some(&labels), 2), 1e-10);
    // A label for each row alone makes no pair.
    let alone = Diagnostics::new(&rows, 3, Some(&[0, 1, 2, 3, 4, 5])).unwrap();
    assert_eq!(
        (alone.classes, alone.alignment, alone.lidar),
        (Some(6), None, None)
    );
}

#[test]
fn a_tensor_and_its_rows_agree() {
    let (entries, _) = embeddings(30, 4, 3, 0.0);
    let entries: Vec<f64> = entries.iter().map(|x| f64::from(*x as f32)).collect();
    let data = burn::tensor::TensorData::new(entries.clone(), [30, 4]);
    let tensor = Tensor::<2>::from_data(data, &burn::tensor::Device::default());
    let found = Diagnostics::from_tensor(&tensor, None).unwrap();
    assert_eq!(found, Diagnostics::new(&entries, 4, None).unwrap());
}

/// A large constant in one dimension, as in language models: the others live.
#[test]
fn an_offset_is_named_as_the_cause() {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let mut normal = || (0..12).map(|_| rng.random::<f64>()).sum::<f64>() - 6.0;
    let (rows, dims) = (500, 32);
    let mut entries: Vec<f64> = (0..rows * dims).map(|_| normal()).collect();
    for row in entries.chunks_exact_mut(dims) {
        row[7] = 1500.0;
    }
    for found in [
        Diagnostics::new(&entries, dims, None).unwrap(),
        streamed(&entries, dims, None, 60),
    ] {
        // Beside the root mean square of all entries, 265.
        assert_eq!(found.dead_dimensions, Some(32));
        assert_eq!(found.dead_about_mean, Some(1));
        assert_relative_eq!(found.dimension_mean[7], 1500.0, max_relative = 1e-12);
        let verdict = found.verdict();
        assert_eq!(verdict.health, Health::Collapsed);
        assert!(
            verdict.text.starts_with(
                "collapsed by a common offset: the mean cosine of two rows is 1.000, -0.002 once the mean of the rows is subtracted (100 % of it in dimension 7, from 0); about their mean the rows use 31 of 32"
            ),
            "{}",
            verdict.text
        );
        assert!(verdict.text.contains("and 1 is dead;"), "{}", verdict.text);
    }
    // Nor is an offset in all dimensions the death of each.
    for x in &mut entries {
        *x += 1500.0;
    }
    let text = Diagnostics::new(&entries, dims, None)
        .unwrap()
        .verdict()
        .text;
    assert!(
        text.starts_with(
            "collapsed by a common offset: the mean cosine of two rows is 1.000, -0.00"
        ),
        "{text}"
    );
}

/// The Gram matrix of the rows against the decomposition.
#[test]
fn wide_matrices_both_ways() {
    for (rows, dims, offset) in [(12, 40, 0.0), (30, 31, 5.0), (1, 9, 0.0), (20, 20, 0.3)] {
        let (entries, labels) = embeddings(rows, dims, 4, offset);
        for labels in [&[][..], &labels] {
            let figures = |method| {
                let summary = exact::summary(&entries, dims, labels, method).unwrap();
                Diagnostics::from_summary(summary, method, Pairs::default(), f64::EPSILON)
            };
            assert_alike(&figures(Method::Svd), &figures(Method::Gram), 1e-8);
        }
    }
}

/// A row more than an SVD takes, of more dimensions than Gram matrices are formed of.
#[test]
fn the_smaller_side_decides() {
    let (rows, dims, used) = (420, 20_000, 24);
    let (few, _) = embeddings(rows, used, 5, 0.2);
    let mut entries = vec![0.0; rows * dims];
    for (row, few) in entries.chunks_exact_mut(dims).zip(few.chunks_exact(used)) {
        for (j, x) in few.iter().enumerate() {
            row[j * 800] = *x;
        }
    }
    let wide = Diagnostics::new(&entries, dims, None).unwrap();
    let narrow = Diagnostics::new(&few, used, None).unwrap();
    assert_eq!((wide.method, narrow.method), (Method::Gram, Method::Svd));
    assert_eq!(wide.singular_values.len(), rows);
    for (wide, narrow) in [
        (&wide.singular_values, &narrow.singular_values),
        (&wide.unit_singular_values, &narrow.unit_singular_values),
        (
            &wide.centred_singular_values,
            &narrow.centred_singular_values,
        ),
    ] {
        for (a, b) in wide.iter().zip(narrow) {
            assert_relative_eq!(a, b, max_relative = 1e-9, epsilon = 1e-9 * narrow[0]);
        }
        assert!(wide[used..].iter().all(|s| *s == 0.0));
    }
    let close = |a: Option<f64>, b: Option<f64>| {
        assert_relative_eq!(a.unwrap(), b.unwrap(), max_relative = 1e-9);
    };
    close(wide.effective_rank, narrow.effective_rank);
    close(wide.mean_abs_correlation, narrow.mean_abs_correlation);
    close(wide.uniformity, narrow.uniformity);
    assert_eq!(wide.numerical_rank, narrow.numerical_rank);
    // However the rows come.
    let mut accumulator = Accumulator::new(dims);
    for block in entries.chunks(7 * dims) {
        accumulator.push(block).unwrap();
    }
    assert_eq!(accumulator.finish().unwrap(), wide);
}
