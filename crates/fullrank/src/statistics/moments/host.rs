//! The second moments of one view or two on the host: see [`moments`](super).

use burn::tensor::Tensor;

use super::{MomentTerms, degrees_of_freedom};
use crate::host::matrix::{CentredMatrix, HostMatrix, clamped, squared_distance};
use crate::host::symmetric::{Scalar, lower_dots, mirrored};
use crate::surrogate::{Surrogate, scalar};

/// `N` views with their column means removed.
pub(super) struct HostMoments<T, const N: usize> {
    shape: [usize; 2],
    views: [CentredMatrix<T>; N],
}

impl<T: Scalar, const N: usize> HostMoments<T, N> {
    pub(super) fn new(views: &[Tensor<2>; N]) -> Self {
        Self {
            shape: views[0].dims(),
            views: views.each_ref().map(CentredMatrix::new),
        }
    }

    /// The weighted sum of the terms and, with `gradient`, its gradient in each view; `like` tells the
    /// device to put them on.
    pub(super) fn evaluate(
        &self,
        terms: MomentTerms,
        gradient: bool,
        like: &Tensor<2>,
    ) -> Surrogate<N> {
        let mut value = 0.0;
        if let Some(factor) = terms.invariance {
            let [first, second] = [0, 1].map(|view| &self.views[view].rows.entries);
            let means: f64 = self.between_means(0).map(|between| between * between).sum();
            value += factor * (squared_distance(first, second) + self.shape[0] as f64 * means);
        }
        let coefficients = std::array::from_fn(|view| {
            let (term, coefficients) = self.view(view, terms, gradient);
            value += term;
            coefficients.map(|coefficients| coefficients.into_tensor(like))
        });
        Surrogate {
            value: scalar(like, value),
            coefficients: gradient.then(|| coefficients.map(|c| c.expect("with gradient"))),
        }
    }

    /// How far the column means of one view are from those of the other.
    fn between_means(&self, view: usize) -> impl Iterator<Item = f64> {
        let [ours, theirs] = [view, 1 - view].map(|view| &self.views[view].means);
        ours.iter().zip(theirs).map(|(ours, theirs)| ours - theirs)
    }

    /// The variance and covariance terms of one view, and the whole gradient in it.
    fn view(
        &self,
        view: usize,
        terms: MomentTerms,
        gradient: bool,
    ) -> (f64, Option<HostMatrix<T>>) {
        let [batch, dim] = self.shape;
        let n = degrees_of_freedom(batch);
        let CentredMatrix { rows, squares, .. } = &self.views[view];
        let variance: Vec<f64> = squares.iter().map(|square| square / n).collect();
        let mut value = 0.0;
        // The gradient is  side Zc + Zc diag(columns) + towards (Z - Z').
        let mut columns = vec![0.0; dim];
        let mut side = None;

        if let Some(hinge) = terms.variance {
            let mut sum = 0.0;
            for (column, variance) in columns.iter_mut().zip(&variance) {
                let std = (variance + hinge.epsilon).sqrt();
                let missing = hinge.margin - std;
                // Not `max`, which would hide a NaN.
                if missing <= 0.0 {
                    continue;
                }
                sum += missing;
                *column = -hinge.factor / (dim as f64 * n * std);
            }
            value += hinge.factor * sum / dim as f64;
        }
        if let Some(factor) = terms.covariance {
            let factor = factor / dim as f64;
            let slope = 4.0 * factor / n;
            let gram = rows.gram(1.0 / n);
            let (lower, diagonal) = lower_dots(&gram, &gram);
            if batch < dim {
                let squares: f64 = variance.iter().map(|v| v * v).sum();
                value += factor * clamped(2.0 * lower + diagonal - squares);
                for (column, variance) in columns.iter_mut().zip(&variance) {
                    *column -= slope * variance;
                }
                side = gradient.then(|| (mirrored(gram), slope));
            } else {
                // The variances do not count, but a NaN among them is to be seen.
                let nothing = 0.0 * variance.iter().sum::<f64>();
                value += factor * (2.0 * lower + nothing);
                side = gradient.then(|| {
                    let mut side = mirrored(gram);
                    for j in 0..dim {
                        side[(j, j)] = T::from_f64(0.0);
                    }
                    (side, slope)
                });
            }
        }
        let coefficients = gradient.then(|| {
            let mut coefficients = match terms.invariance {
                Some(factor) => {
                    let towards = T::from_f64(2.0 * factor);
                    let columns: Vec<(T, T)> = (columns.iter().zip(self.between_means(view)))
                        .map(|(&column, between)| (T::from_f64(column), T::from_f64(between)))
                        .collect();
                    let theirs = &self.views[1 - view].rows.entries;
                    rows.zip(theirs, &columns, |ours, theirs, (column, between)| {
                        ours * column + (ours - theirs + between) * towards
                    })
                }
                None => {
                    let columns: Vec<T> = columns.into_iter().map(T::from_f64).collect();
                    rows.map(&columns, |ours, column| ours * column)
                }
            };
            if let Some((side, slope)) = side {
                coefficients.add_product(slope, side.as_ref(), rows);
            }
            coefficients
        });
        (value, coefficients)
    }
}
