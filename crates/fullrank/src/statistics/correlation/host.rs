//! The cross-correlation of two views on the host: see [`correlation`](super).

use burn::tensor::Tensor;
use faer::linalg::matmul::matmul;
use faer::{Accum, Mat};

use super::CorrelationTerms;
use crate::host::matrix::{CentredMatrix, HostMatrix, clamped, column_dots};
use crate::host::symmetric::{Scalar, lower_dots, mirrored, parts};
use crate::surrogate::{Surrogate, scalar};

/// A batch whose columns have mean 0 and (biased) variance 1.
struct StandardizedMatrix<T> {
    rows: HostMatrix<T>,
    /// `1 / sqrt(Var + epsilon)`
    scale: Vec<f64>,
}

impl<T: Scalar> StandardizedMatrix<T> {
    fn new(view: &Tensor<2>, epsilon: f64) -> Self {
        let shape = view.dims();
        let CentredMatrix { rows, squares, .. } = CentredMatrix::<T>::new(view);
        let variances = squares.into_iter().map(|square| square / shape[0] as f64);
        let scale: Vec<f64> = variances.map(|v| (v + epsilon).sqrt().recip()).collect();
        let factors: Vec<T> = scale.iter().map(|&s| T::from_f64(s)).collect();
        let rows = rows.map(&factors, |x, factor| x * factor);
        Self { rows, scale }
    }
}

/// As on the device.
pub(super) fn cross_correlation<T: Scalar>(
    views: &[Tensor<2>; 2],
    epsilon: f64,
    terms: CorrelationTerms,
    gradient: bool,
) -> Surrogate<2> {
    let [batch, dim] = views[0].dims();
    let n = batch as f64;
    let standardized = views
        .each_ref()
        .map(|view| StandardizedMatrix::<T>::new(view, epsilon));
    let [a, b] = &standardized;
    let diagonal: Vec<f64> = column_dots(&a.rows.entries, &b.rows.entries, dim)
        .into_iter()
        .map(|dot| dot / n)
        .collect();

    // The gradient in the standardized rows of a view is that of the correlations with the other
    // view, plus the other view times `columns`.
    let mut value = 0.0;
    let mut columns = vec![0.0; dim];
    let mut correlations = Correlations::None;
    if let Some(factor) = terms.invariance {
        let missing = diagonal.iter().map(|m| 1.0 - m);
        for (column, missing) in columns.iter_mut().zip(missing) {
            value += factor * missing * missing;
            *column = -2.0 / n * factor * missing;
        }
    }
    if let Some(factor) = terms.redundancy {
        let slope = 2.0 / n * factor;
        if batch < dim {
            let grams = [a, b].map(|view| view.rows.gram(1.0 / n));
            let (lower, on_diagonal) = lower_dots(&grams[0], &grams[1]);
            let squares: f64 = diagonal.iter().map(|m| m * m).sum();
            value += factor * clamped(2.0 * lower + on_diagonal - squares);
            for (column, m) in columns.iter_mut().zip(&diagonal) {
                *column -= slope * m;
            }
            if gradient {
                correlations = Correlations::Grams(grams.map(mirrored), slope);
            }
        } else {
            let mut cross = Mat::<T>::zeros(dim, dim);
            let (left, right) = (a.rows.tall().transpose(), b.rows.tall());
            let (scale, par) = (T::from_f64(1.0 / n), parts(batch * dim * dim));
            matmul(&mut cross, Accum::Replace, left, right, scale, par);
            for j in 0..dim {
                cross[(j, j)] = T::from_f64(0.0);
            }
            let squares: f64 = (0..dim)
                .map(|j| -> f64 { (0..dim).map(|i| cross[(i, j)].into().powi(2)).sum() })
                .sum();
            // The diagonal does not count, but a NaN in it is to be seen.
            value += factor * (squares + 0.0 * diagonal.iter().sum::<f64>());
            if gradient {
                correlations = Correlations::Cross(cross, slope);
            }
        }
    }
    Surrogate {
        value: scalar(&views[0], value),
        coefficients: gradient.then(|| {
            [0, 1].map(|view| {
                let (ours, theirs) = (&standardized[view], &standardized[1 - view]);
                let columns = Columns {
                    slopes: &columns,
                    correlations: &diagonal,
                };
                coefficients(view, ours, theirs, columns, &correlations).into_tensor(&views[view])
            })
        }),
    }
}

/// The correlations between dimensions, each entry once.
enum Correlations<T: Scalar> {
    None,
    /// `n < d`: the Gram matrices of the rows of both views, and the slope.
    Grams([Mat<T>; 2], f64),
    /// The off-diagonal part of `M`, and the slope.
    Cross(Mat<T>, f64),
}

/// What concerns a dimension and its counterpart alone.
#[derive(Clone, Copy)]
struct Columns<'a> {
    /// The factor of the other view's column in the gradient.
    slopes: &'a [f64],
    /// `M_jj`
    correlations: &'a [f64],
}

/// The gradient in the embeddings of one view: with `S` that in its standardized rows `A`,
/// `(S - A diag(along)) diag(scale)`, `along_j` the mean of `S_ij A_ij`. (The columns of `S` have mean
/// zero, as those of the other view.)
fn coefficients<T: Scalar>(
    view: usize,
    ours: &StandardizedMatrix<T>,
    theirs: &StandardizedMatrix<T>,
    columns: Columns<'_>,
    correlations: &Correlations<T>,
) -> HostMatrix<T> {
    let [batch, dim] = ours.rows.shape;
    let n = batch as f64;
    let numbers =
        |f: &dyn Fn(usize) -> f64| -> Vec<T> { (0..dim).map(|j| T::from_f64(f(j))).collect() };
    let own = |j: usize| columns.slopes[j] * columns.correlations[j];
    let (a, b) = (&ours.rows, &theirs.rows.entries);
    match correlations {
        Correlations::Grams(grams, slope) => {
            let slopes = numbers(&|j| columns.slopes[j]);
            let mut sum = a.zip(b, &slopes, |_, b, slope| b * slope);
            sum.add_product(*slope, grams[1 - view].as_ref(), a);
            let along = column_dots(&sum.entries, &a.entries, dim);
            let columns: Vec<(T, T)> = numbers(&|j| along[j] / n)
                .into_iter()
                .zip(numbers(&|j| ours.scale[j]))
                .collect();
            sum.zip(&a.entries, &columns, |s, a, (along, scale)| {
                (s - a * along) * scale
            })
        }
        Correlations::Cross(cross, slope) => {
            let cross = if view == 0 {
                cross.transpose()
            } else {
                cross.as_ref()
            };
            let along = |j: usize| -> f64 {
                let squares = (0..dim).map(|i| cross[(i, j)].into().powi(2));
                slope * squares.sum::<f64>() + own(j)
            };
            let along = numbers(&|j| -along(j) * ours.scale[j]);
            let mut sum = a.map(&along, |a, along| a * along);
            let side = Mat::<T>::from_fn(dim, dim, |i, j| {
                let slope: f64 = if i == j {
                    columns.slopes[j]
                } else {
                    slope * cross[(i, j)].into()
                };
                T::from_f64(slope * ours.scale[j])
            });
            sum.add_product(1.0, side.as_ref(), &theirs.rows);
            sum
        }
        Correlations::None => {
            let columns: Vec<(T, T)> = numbers(&|j| own(j) * ours.scale[j])
                .into_iter()
                .zip(numbers(&|j| columns.slopes[j] * ours.scale[j]))
                .collect();
            a.zip(b, &columns, |a, b, (along, slope)| b * slope - a * along)
        }
    }
}
