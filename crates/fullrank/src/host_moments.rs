//! The second moments of one view or two on the host: see [`moments`](crate::moments).

use burn::tensor::{Tensor, TensorData};

use crate::host_matrix::{HostMatrix, clamped, entries, squared_distance};
use crate::host_symmetric::{Scalar, lower_dots, mirrored};
use crate::moments::{Factors, degrees_of_freedom};
use crate::surrogate::{Evaluation, scalar};

/// `N` views as they are and with their column means removed.
pub(crate) struct HostMoments<T, const N: usize> {
    shape: [usize; 2],
    /// The views as they are, if there are two.
    data: Vec<TensorData>,
    centred: [Centred<T>; N],
}

struct Centred<T> {
    rows: HostMatrix<T>,
    /// Unbiased.
    variance: Vec<f64>,
}

impl<T: Scalar, const N: usize> HostMoments<T, N> {
    pub(crate) fn new(views: &[Tensor<2>; N]) -> Self {
        let shape = views[0].dims();
        let n = degrees_of_freedom(shape[0]);
        let mut data = Vec::new();
        let centred = views.each_ref().map(|view| {
            let view = view.clone().into_data();
            let entries = entries::<T>(&view);
            let (rows, squares) = HostMatrix::centred(entries, shape);
            if N > 1 {
                data.push(view);
            }
            Centred {
                rows,
                variance: squares.into_iter().map(|square| square / n).collect(),
            }
        });
        Self {
            shape,
            data,
            centred,
        }
    }

    /// The weighted sum of the terms and, with `gradient`, its gradient in each view; `like` tells the
    /// device to put them on.
    pub(crate) fn evaluate(
        &self,
        factors: Factors,
        gradient: bool,
        like: &Tensor<2>,
    ) -> Evaluation<N> {
        let mut value = 0.0;
        if let Some(factor) = factors.invariance {
            let [first, second] = [0, 1].map(|view| entries::<T>(&self.data[view]));
            value += factor * squared_distance(first, second);
        }
        let coefficients = std::array::from_fn(|view| {
            let (term, coefficients) = self.view(view, factors, gradient);
            value += term;
            coefficients.map(|coefficients| coefficients.into_tensor(like))
        });
        Evaluation {
            value: scalar(like, value),
            coefficients: gradient.then(|| coefficients.map(|c| c.expect("with gradient"))),
        }
    }

    /// The variance and covariance terms of one view, and the whole gradient in it.
    fn view(&self, view: usize, factors: Factors, gradient: bool) -> (f64, Option<HostMatrix<T>>) {
        let [batch, dim] = self.shape;
        let n = degrees_of_freedom(batch);
        let Centred { rows, variance } = &self.centred[view];
        let mut value = 0.0;
        // The gradient is  side Zc + Zc diag(columns) + towards (Z - Z').
        let mut columns = vec![0.0; dim];
        let mut side = None;

        if let Some(hinge) = factors.variance {
            let mut sum = 0.0;
            for (column, variance) in columns.iter_mut().zip(variance) {
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
        if let Some(factor) = factors.covariance {
            let factor = factor / dim as f64;
            let slope = 4.0 * factor / n;
            let gram = rows.gram(1.0 / n);
            let (lower, diagonal) = lower_dots(&gram, &gram);
            if batch < dim {
                let squares: f64 = variance.iter().map(|v| v * v).sum();
                value += factor * clamped(2.0 * lower + diagonal - squares);
                for (column, variance) in columns.iter_mut().zip(variance) {
                    *column -= slope * variance;
                }
                side = gradient.then(|| mirrored(gram, slope));
            } else {
                // The variances do not count, but a NaN among them is to be seen.
                let nothing = 0.0 * variance.iter().sum::<f64>();
                value += factor * (2.0 * lower + nothing);
                side = gradient.then(|| {
                    let mut side = mirrored(gram, slope);
                    for (j, column) in columns.iter_mut().enumerate() {
                        side[(j, j)] = T::from_f64(*column);
                        *column = 0.0;
                    }
                    side
                });
            }
        }
        let coefficients = gradient.then(|| {
            let columns: Vec<T> = columns.into_iter().map(T::from_f64).collect();
            let mut coefficients = match factors.invariance {
                Some(factor) => {
                    let [ours, theirs] = [view, 1 - view].map(|v| entries::<T>(&self.data[v]));
                    let towards = T::from_f64(2.0 * factor);
                    rows.zip(ours, theirs, &columns, |z, x, y, column| {
                        z * column + (x - y) * towards
                    })
                }
                None => rows.map(&columns, |z, column| z * column),
            };
            if let Some(side) = side {
                coefficients.add_product(side.as_ref(), rows);
            }
            coefficients
        });
        (value, coefficients)
    }
}
