//! What the single dimensions and their pairs do over the rows.

use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatRef, Par};
use rayon::prelude::*;

/// A dimension whose standard deviation is at most this share of the root mean square of all
/// entries counts as dead.
pub const DEAD_BELOW: f64 = 0.01;

/// A dimension whose standard deviation is at most this share of its own root mean square does not
/// vary but for rounding: its standard deviation is zero.
const CONSTANT_BELOW: f64 = 1e-12;

/// The number of dimensions that hardly vary over the rows:
///
/// ```text
/// std_j <= 0.01 sqrt(mean_{i,k} E_ik^2)
/// ```
///
/// `std` are the standard deviations of the dimensions, `mean_square` is the mean of the squares of
/// all entries. The measure is free of scale, and uncentred on purpose: where all rows are one
/// constant vector every dimension is dead, however large its entries are.
pub fn dead_dimensions(std: &[f64], mean_square: f64) -> usize {
    let limit = DEAD_BELOW * mean_square.sqrt();
    std.iter().filter(|&&std| std <= limit).count()
}

/// A dimension with more than this share of the variance is left out of what the others are held against.
const MOST_OF_THE_VARIANCE: f64 = 0.5;

/// How many dimensions hardly vary beside the others: see [`Diagnostics::dead_about_mean`].
///
/// [`Diagnostics::dead_about_mean`]: super::Diagnostics::dead_about_mean
pub(super) fn dead_about_mean(std: &[f64]) -> usize {
    let squares: f64 = std.iter().map(|std| std * std).sum();
    let (place, largest) = largest(std);
    if largest * largest <= MOST_OF_THE_VARIANCE * squares || std.len() < 3 {
        return dead_dimensions(std, squares / std.len() as f64);
    }
    // Summed without it, where subtracting it would leave its rounding.
    let others = || std.iter().enumerate().filter(|(j, _)| *j != place);
    let squares: f64 = others().map(|(_, std)| std * std).sum();
    let limit = DEAD_BELOW * (squares / (std.len() - 1) as f64).sqrt();
    std.iter().filter(|&&std| std <= limit).count()
}

/// The place of the largest number and itself; the first of equal ones.
pub(super) fn largest(values: &[f64]) -> (usize, f64) {
    (0..).zip(values).fold(
        (0, 0.0),
        |most, (place, &value)| {
            if value > most.1 { (place, value) } else { most }
        },
    )
}

/// The standard deviation of each dimension over `rows` rows, unbiased.
///
/// # Panics
///
/// If there are fewer than two rows, or `rows` does not hold whole rows of `dims` numbers.
pub fn dimension_std(rows: &[f64], dims: usize) -> Vec<f64> {
    assert!(
        dims > 0 && rows.len().is_multiple_of(dims) && rows.len() >= 2 * dims,
        "a standard deviation needs two rows of {dims} numbers or more, got {} numbers",
        rows.len()
    );
    let mut squares = vec![0.0; dims];
    let mut centred = vec![0.0; dims];
    let means = means(rows, dims);
    for row in rows.chunks_exact(dims) {
        for ((centred, square), (x, mean)) in
            (centred.iter_mut().zip(&mut squares)).zip(row.iter().zip(&means))
        {
            let deviation = x - mean;
            *centred += deviation * deviation;
            *square += x * x;
        }
    }
    from_squares(rows.len() / dims, &centred, &squares)
}

/// The standard deviations from the sums of squares with and without the mean taken off.
pub(super) fn from_squares(rows: usize, centred: &[f64], raw: &[f64]) -> Vec<f64> {
    (centred.iter().zip(raw))
        .map(|(&centred, &raw)| {
            if centred <= raw * CONSTANT_BELOW.powi(2) {
                0.0
            } else {
                (centred / (rows as f64 - 1.0)).sqrt()
            }
        })
        .collect()
}

/// The mean of each dimension. Relative to the first row, so that equal rows have exactly their own
/// mean.
pub(super) fn means(rows: &[f64], dims: usize) -> Vec<f64> {
    let first = &rows[..dims];
    let mut sums = vec![0.0; dims];
    for row in rows.chunks_exact(dims) {
        for ((sum, x), first) in sums.iter_mut().zip(row).zip(first) {
            *sum += x - first;
        }
    }
    let count = (rows.len() / dims) as f64;
    (sums.iter().zip(first))
        .map(|(sum, first)| first + sum / count)
        .collect()
}

/// The mean of `|r_jk|` over the pairs of columns that vary, of a centred matrix; [`None`] if fewer
/// than two do.
pub(super) fn mean_abs_correlation(centred: MatRef<'_, f64>, std: &[f64]) -> Option<f64> {
    let varying: Vec<usize> = (0..std.len()).filter(|&j| std[j] > 0.0).collect();
    let degrees = (centred.nrows() as f64 - 1.0).sqrt();
    let standard = Mat::from_fn(centred.nrows(), varying.len(), |i, j| {
        centred[(i, varying[j])] / (std[varying[j]] * degrees)
    });
    let size = varying.len();
    let sum = over_pairs(standard.transpose(), |product, _, _| product.abs().min(1.0));
    (size > 1).then(|| sum / pairs(size))
}

/// The same from the lower triangle of the scatter matrix of the centred rows.
pub(super) fn mean_abs_correlation_of(scatter: &Mat<f64>, std: &[f64]) -> Option<f64> {
    let varying: Vec<usize> = (0..std.len()).filter(|&j| std[j] > 0.0).collect();
    let column = |(k, &j): (usize, &usize)| -> f64 {
        let correlation = |&i: &usize| scatter[(i, j)] / (scatter[(i, i)] * scatter[(j, j)]).sqrt();
        varying[k + 1..]
            .iter()
            .map(|i| correlation(i).abs().min(1.0))
            .sum()
    };
    let sum: f64 = varying.iter().enumerate().map(column).sum();
    (varying.len() > 1).then(|| sum / pairs(varying.len()))
}

pub(super) fn pairs(count: usize) -> f64 {
    count as f64 * (count as f64 - 1.0) / 2.0
}

/// The sum of `f(x_i . x_j, i, j)` over the pairs `i > j` of rows, in blocks, in an order that
/// depends on the shape alone.
pub(super) fn over_pairs(
    rows: MatRef<'_, f64>,
    f: impl Fn(f64, usize, usize) -> f64 + Sync,
) -> f64 {
    const BLOCK: usize = 256;
    let starts: Vec<usize> = (0..rows.nrows()).step_by(BLOCK).collect();
    let blocks: Vec<[usize; 2]> = (starts.iter())
        .flat_map(|&top| {
            starts
                .iter()
                .take_while(move |left| **left <= top)
                .map(move |&left| [top, left])
        })
        .collect();
    let sums: Vec<f64> = blocks
        .into_par_iter()
        .map(|[top, left]| {
            let height = BLOCK.min(rows.nrows() - top);
            let width = BLOCK.min(rows.nrows() - left);
            let mut products = Mat::zeros(height, width);
            let (a, b) = (rows.subrows(top, height), rows.subrows(left, width));
            matmul(
                &mut products,
                Accum::Replace,
                a,
                b.transpose(),
                1.0,
                Par::Seq,
            );
            let column = |j: usize| -> f64 {
                let first = if top == left { j + 1 } else { 0 };
                (first..height)
                    .map(|i| f(products[(i, j)], top + i, left + j))
                    .sum()
            };
            (0..width).map(column).sum()
        })
        .collect();
    sums.iter().sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;

    #[test]
    fn constant_dimensions_have_no_deviation() {
        let rows: Vec<f64> = (0..300)
            .map(|k| if k % 3 == 0 { 0.1 } else { f64::from(k % 7) })
            .collect();
        let std = dimension_std(&rows, 3);
        assert_eq!(std[0], 0.0);
        assert!(std[1] > 1.0 && std[2] > 1.0);
    }

    #[test]
    fn pairs_are_taken_once() {
        let rows = Mat::from_fn(600, 2, |i, j| ((i + j) as f64).sin());
        let sum = over_pairs(rows.as_ref(), |product, i, j| {
            assert!(i > j);
            product
        });
        let mut expected = 0.0;
        for i in 0..600 {
            for j in 0..i {
                expected += rows[(i, 0)] * rows[(j, 0)] + rows[(i, 1)] * rows[(j, 1)];
            }
        }
        assert_relative_eq!(sum, expected, max_relative = 1e-9);
    }

    #[test]
    fn correlations_both_ways() {
        let mut centred = Mat::from_fn(4, 3, |i, j| {
            [[1.0, -1.0, 1.0, -1.0], [2.0, 1.0, -1.0, -2.0], [0.0; 4]][j][i]
        });
        let scatter = centred.transpose() * &centred;
        let std = [(4.0 / 3.0f64).sqrt(), (10.0 / 3.0f64).sqrt(), 0.0];
        // <x, y> = 2 - 1 - 1 + 2 = 2 over sqrt(4 * 10).
        let expected = 2.0 / 40f64.sqrt();
        assert_relative_eq!(
            mean_abs_correlation(centred.as_ref(), &std).unwrap(),
            expected,
            max_relative = 1e-14
        );
        assert_relative_eq!(
            mean_abs_correlation_of(&scatter, &std).unwrap(),
            expected,
            max_relative = 1e-14
        );
        centred.fill(0.0);
        assert_eq!(
            mean_abs_correlation(centred.as_ref(), &[1.0, 0.0, 0.0]),
            None
        );
    }
}
