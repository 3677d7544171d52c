//! The figures of a matrix that is small enough to be kept as a whole: decomposed by an SVD, or if
//! it is large and has fewer rows than dimensions, by the Gram matrices of its rows.

use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatRef};
use rayon::prelude::*;

use super::labels::{Class, Classes, alignment, lidar};
use super::unit::normalize;
use super::{DiagnosticsError, LARGEST_GRAM, LabelFigures, Method, Summary, dimensions, spectrum};

/// `labels` has one for each row, or none. [`Method::Gram`] is that of the rows.
pub(super) fn summary(
    rows: &[f64],
    dims: usize,
    labels: &[i64],
    method: Method,
) -> Result<Summary, DiagnosticsError> {
    let count = rows.len() / dims;
    let (unit, zero_rows) = unit_rows(rows, dims);
    let means = dimensions::means(rows, dims);
    let centred = without(rows, &means);

    let singular_values = |entries: &[f64]| {
        let matrix = MatRef::from_row_major_slice(entries, count, dims);
        match method {
            Method::Svd => spectrum::singular_values(matrix),
            Method::Gram => spectrum::from_row_gram(matrix),
        }
    };
    let (raw_values, (unit_values, centred_values)) = rayon::join(
        || singular_values(rows),
        || rayon::join(|| singular_values(&unit), || singular_values(&centred)),
    );
    let several = count > 1;
    let std = if several {
        dimensions::dimension_std(rows, dims)
    } else {
        Vec::new()
    };
    let unit_std = if several {
        dimensions::dimension_std(&unit, dims)
    } else {
        Vec::new()
    };
    let squares: f64 = rows.iter().map(|x| x * x).sum();
    let mut unit_sums = vec![0.0; dims];
    for row in unit.chunks_exact(dims) {
        for (sum, x) in unit_sums.iter_mut().zip(row) {
            *sum += x;
        }
    }
    let labels = (!labels.is_empty()).then(|| label_figures(&centred, &unit, dims, labels));
    Ok(Summary {
        rows: count,
        dims,
        singular_values: raw_values?,
        unit_singular_values: unit_values?,
        centred_singular_values: centred_values?,
        resolution: match method {
            Method::Svd => count.max(dims) as f64 * f64::EPSILON,
            Method::Gram => spectrum::GRAM_RESOLUTION,
        },
        mean_square: squares / rows.len() as f64,
        mean_abs_correlation: dimensions::mean_abs_correlation(
            MatRef::from_row_major_slice(&centred, count, dims),
            &std,
        ),
        means,
        std,
        unit_std,
        unit_square_of_sum: unit_sums.iter().map(|x| x * x).sum(),
        zero_rows,
        labels,
    })
}

/// The rows divided by their 2-norms, and how many are zero.
fn unit_rows(rows: &[f64], dims: usize) -> (Vec<f64>, usize) {
    let mut unit = vec![0.0; rows.len()];
    let zero_rows = (unit.par_chunks_exact_mut(dims))
        .zip(rows.par_chunks_exact(dims))
        .filter_map(|(unit, row)| normalize(row, unit).then_some(()))
        .count();
    (unit, zero_rows)
}

/// The rows less a row.
fn without(rows: &[f64], row: &[f64]) -> Vec<f64> {
    let differences = rows.chunks_exact(row.len()).flat_map(|x| x.iter().zip(row));
    differences.map(|(x, y)| x - y).collect()
}

fn label_figures(centred: &[f64], unit: &[f64], dims: usize, labels: &[i64]) -> LabelFigures {
    let mut classes = Classes::new();
    let rows = || {
        centred
            .chunks_exact(dims)
            .zip(unit.chunks_exact(dims))
            .zip(labels)
    };
    for ((row, unit), label) in rows() {
        let class = classes.entry(*label).or_insert_with(|| Class::new(dims));
        class.add(row, unit, unit.iter().all(|x| *x == 0.0));
    }
    // About the class means, where nothing cancels: n_c sum ||u - m_c||^2 over a class is that of
    // its pairs.
    let mut distances = 0.0;
    let mut within = Vec::with_capacity(centred.len());
    for ((row, unit), label) in rows() {
        let class = &classes[label];
        let count = class.count as f64;
        let square: f64 = (unit.iter().zip(&class.unit_sum))
            .map(|(x, sum)| (x - sum / count).powi(2))
            .sum();
        distances += count * square;
        within.extend(row.iter().zip(&class.sum).map(|(x, sum)| x - sum / count));
    }
    let lidar = (dims <= LARGEST_GRAM).then(|| {
        let within = MatRef::from_row_major_slice(&within, labels.len(), dims);
        let mut scatter = Mat::zeros(dims, dims);
        let par = super::parts();
        matmul(
            &mut scatter,
            Accum::Replace,
            within.transpose(),
            within,
            1.0,
            par,
        );
        lidar(&classes, scatter, labels.len())
    });
    LabelFigures {
        classes: classes.len(),
        alignment: alignment(&classes, distances),
        lidar: lidar.flatten(),
    }
}
