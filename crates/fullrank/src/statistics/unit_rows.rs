//! Rows divided by their 2-norm, whatever their size.
//!
//! The squares of entries above 1e19 or below 1e-19 leave the range of f32. So a row whose largest entry
//! is far from 1 is brought near it first; any other is left as it is, to the bit.

use burn::tensor::{DType, Tensor};

use crate::surrogate::in_statistics_precision;

/// Entries whose squares, and the sums of these, are well within the range of f32.
const SAFE: (f64, f64) = (1e-10, 1e10);

/// The rows of `embeddings`, shape `[batch, dim]`, divided by their 2-norm, in f32 at least: the matrix
/// that SVMax's [bounds](crate::Bounds) speak of.
///
/// A row may have any size that the type holds; only one whose entries are all zero is a zero row, and
/// stays zero. (A device that takes numbers below the smallest normal one, 1.2e-38 in f32, for zero does
/// so here.)
///
/// Differentiable; the gradient with respect to a zero row, where there is none, is zero.
pub fn unit_rows(embeddings: Tensor<2>) -> Tensor<2> {
    let embeddings = in_statistics_precision(embeddings);
    // The norm undoes it: a constant for the gradient.
    let near_one = embeddings.clone() / scales(&embeddings.without_autodiff());
    let squares = near_one.clone().square().sum_dim(1);
    let zero_rows = squares.clone().equal_elem(0.0);
    // The root of zero has no gradient: 1 in its place, until the row is made zero.
    let norms = squares.mask_fill(zero_rows.clone(), 1.0).sqrt();
    let everywhere = zero_rows.expand(near_one.dims());
    (near_one / norms).mask_fill(everywhere, 0.0)
}

/// Rows divided by their 2-norm, outside autodiff, and what the chain rule takes of them.
#[derive(Clone)]
pub(crate) struct UnitRows {
    /// Shape `[batch, dim]`; a zero row stays zero.
    pub(crate) rows: Tensor<2>,
    /// `1 / norm` of each row is `reciprocals / scales`, shapes `[batch, 1]`, of which neither leaves
    /// the range of the type; 0 for a zero row.
    reciprocals: Tensor<2>,
    scales: Tensor<2>,
}

impl UnitRows {
    pub(crate) fn of(embeddings: Tensor<2>) -> Self {
        let scales = scales(&embeddings);
        let near_one = embeddings / scales.clone();
        let norms = near_one.clone().square().sum_dim(1).sqrt();
        let zero_rows = norms.clone().equal_elem(0.0);
        let reciprocals =
            (norms.mask_fill(zero_rows.clone(), 1.0).recip()).mask_fill(zero_rows, 0.0);
        Self {
            rows: near_one * reciprocals.clone(),
            reciprocals,
            scales,
        }
    }

    /// The gradient in the embeddings of a function with this gradient in the unit rows: drops each
    /// row's part along the row, divides by its norm, or by `floor` where the norm is below it. What is
    /// beyond the range of the type is its largest number.
    pub(crate) fn gradient(self, free: Tensor<2>, floor: f64) -> Tensor<2> {
        let along = (free.clone() * self.rows.clone()).sum_dim(1);
        let across = (free - self.rows * along) * self.reciprocals.clone();
        if floor == 0.0 {
            let most = match across.dtype() {
                DType::F64 => f64::MAX,
                _ => f64::from(f32::MAX),
            };
            return (across / self.scales).clamp(-most, most);
        }
        // max(norm, floor) = max(scale, floor / norm of the scaled row) times that norm
        across / self.scales.max_pair(self.reciprocals.mul_scalar(floor))
    }
}

/// What divides each row so that its squares are safe, shape `[batch, 1]`: 1 for most.
fn scales(embeddings: &Tensor<2>) -> Tensor<2> {
    safe_scale(embeddings.clone().abs().max_dim(1))
}

/// What brings numbers of this size, positive or zero, to a safe one by division: 1 for a safe size and
/// for zero. (A NaN, if the maximum has lost it, is still in its entry.)
pub(crate) fn safe_scale<const D: usize>(sizes: Tensor<D>) -> Tensor<D> {
    let safe = sizes.clone().clamp(SAFE.0, SAFE.1);
    let scales = sizes / safe;
    // Of the quotient: a device may take a number below the normal ones for zero there.
    let zero = scales.clone().equal_elem(0.0);
    scales.mask_fill(zero, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, TensorData, Tolerance};

    #[test]
    fn a_zero_row_stays_zero_and_so_does_its_gradient() {
        let device = Device::default().autodiff();
        let rows = [[3.0, 4.0], [0.0, 0.0], [0.0, 1e-13], [0.0, 1e-10]];
        let embeddings = Tensor::<2>::from_floats(rows, &device).require_grad();
        let unit = unit_rows(embeddings.clone());
        let expected = TensorData::from([[0.6f32, 0.8], [0.0, 0.0], [0.0, 1.0], [0.0, 1.0]]);
        let close = Tolerance::default();
        unit.to_data().assert_approx_eq::<f32>(&expected, close);

        let direction = Tensor::<2>::from_floats([[1.0, 0.0]; 4], &device);
        let gradients = (unit * direction).sum().backward();
        // (I - u u^T) e_1 / |e|
        let expected = TensorData::from([[0.128f32, -0.096], [0.0, 0.0], [1e13, 0.0], [1e10, 0.0]]);
        let gradient = embeddings.grad(&gradients).unwrap();
        gradient.to_data().assert_approx_eq::<f32>(&expected, close);
    }

    /// Unit rows and their gradients of rows of the sizes that f32 holds, one size beside another.
    #[test]
    fn rows_of_any_size() {
        let device = Device::default().autodiff();
        let sizes = [1.0f32, 1e-30, 1e-20, 1e-12, 1e12, 1e20, 1e30, 6e37];
        let rows: Vec<f32> = (sizes.iter())
            .flat_map(|size| [3.0 * size, -4.0 * size])
            .collect();
        let data = TensorData::new(rows, [sizes.len(), 2]);
        let embeddings = Tensor::<2>::from_data(data, &device).require_grad();
        let unit = unit_rows(embeddings.clone());
        let by_parts = UnitRows::of(embeddings.clone().without_autodiff());
        for unit in [unit.clone(), by_parts.rows.clone()] {
            for row in unit.into_data().iter::<f32>().collect::<Vec<_>>().chunks(2) {
                assert!((row[0] - 0.6).abs() < 1e-6, "{row:?}");
                assert!((row[1] + 0.8).abs() < 1e-6, "{row:?}");
            }
        }

        let direction = Tensor::<2>::from_floats([[1.0, 0.0]; 8], &device);
        let gradients = (unit * direction.clone()).sum().backward();
        let by_chain_rule = by_parts.gradient(direction.without_autodiff(), 0.0);
        for gradient in [embeddings.grad(&gradients).unwrap(), by_chain_rule] {
            let gradient = gradient.into_data().iter::<f32>().collect::<Vec<_>>();
            for (row, size) in gradient.chunks(2).zip(sizes) {
                // (I - u u^T) e_1 / |e|, |e| = 5 size
                let [first, second] = [0.128 / f64::from(size), 0.096 / f64::from(size)];
                // The last is below the normal numbers of f32.
                let rounding = 1e-5 * first + 3e-45;
                assert!((f64::from(row[0]) - first).abs() <= rounding, "{row:?}");
                assert!((f64::from(row[1]) - second).abs() <= rounding, "{row:?}");
            }
        }
    }

    #[test]
    fn what_is_not_finite_stays_visible() {
        let device = Device::default();
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            for rest in [0.0, 1.0, 1e30] {
                let embeddings = Tensor::<2>::from_floats([[rest, bad, 0.0]], &device);
                for unit in [unit_rows(embeddings.clone()), UnitRows::of(embeddings).rows] {
                    let unit = unit.into_data().iter::<f32>().collect::<Vec<_>>();
                    assert!(unit.iter().any(|x| x.is_nan()), "{bad}, {rest}: {unit:?}");
                }
            }
        }
    }
}
