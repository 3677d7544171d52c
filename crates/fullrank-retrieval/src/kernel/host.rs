//! Rows on the host, in f64.
//!
//! Every sum is taken in an order that depends on the shape alone: same input, same bits, whatever the
//! threads do; and equal rows have equal distances to every other.

use burn::tensor::{DType, Tensor, TensorData};
use rayon::prelude::*;

use super::Kernel;
use crate::Distance;

/// Squares between these have neither overflown nor lost anything that counts.
const SAFE_SQUARES: std::ops::Range<f64> = 1e-280..f64::MAX;

/// The rows of a batch as they are compared.
pub(crate) struct RowsOnHost {
    /// One row after another.
    entries: Vec<f64>,
    shape: [usize; 2],
    /// Of rows divided by their norms, the norms.
    norms: Option<Vec<Norm>>,
    dtype: DType,
}

/// The 2-norm of a row: `mantissa * 2^exponent`, since it may be beyond every number that the entries'
/// type can hold. Both are 0 for a row of zeros.
#[derive(Clone, Copy)]
struct Norm {
    mantissa: f64,
    exponent: i32,
}

impl RowsOnHost {
    /// The rows of a matrix in f32 or f64, divided by their 2-norm if asked for.
    pub(crate) fn new(embeddings: &Tensor<2>, unit: bool) -> Self {
        let shape = embeddings.dims();
        let mut entries = numbers(embeddings.clone());
        let norms = unit.then(|| entries.chunks_exact_mut(shape[1]).map(normalize).collect());
        Self {
            entries,
            shape,
            norms,
            dtype: embeddings.dtype(),
        }
    }

    pub(super) fn dim(&self) -> usize {
        self.shape[1]
    }

    fn row(&self, i: usize) -> &[f64] {
        &self.entries[i * self.shape[1]..][..self.shape[1]]
    }

    /// Whether the row is divided by its norm and has none.
    fn has_no_direction(&self, i: usize) -> bool {
        let norms = self.norms.as_ref();
        norms.is_some_and(|norms| norms[i].mantissa == 0.0)
    }

    /// The kernel of all rows, row-major. For the cosine distance the rows must be divided by their
    /// norms.
    pub(crate) fn kernel(&self, kernel: Kernel) -> Vec<f64> {
        let [batch, _] = self.shape;
        let mut values = vec![0.0; batch * batch];
        let entry = |i: usize, j: usize| {
            let (x, y) = (self.row(i), self.row(j));
            match kernel {
                Kernel::Product => product(x, y),
                Kernel::Distance(Distance::Euclidean) => distance(x, y),
                Kernel::Distance(Distance::SquaredEuclidean) => distance(x, y).powi(2),
                Kernel::Distance(Distance::Cosine) => {
                    if self.has_no_direction(i) || self.has_no_direction(j) {
                        // Not 1 beside a NaN.
                        1.0 + distance(x, y) * 0.0
                    } else {
                        distance(x, y).powi(2) / 2.0
                    }
                }
            }
        };
        values
            .par_chunks_exact_mut(batch)
            .enumerate()
            .for_each(|(i, values)| {
                for (j, value) in values.iter_mut().enumerate().skip(i) {
                    *value = entry(i, j);
                }
            });
        for i in 1..batch {
            for j in 0..i {
                values[i * batch + j] = values[j * batch + i];
            }
        }
        values
    }

    /// As [`kernel`](Self::kernel), beside `like`.
    pub(super) fn kernel_tensor(&self, kernel: Kernel, like: &Tensor<2>) -> Tensor<2> {
        let [batch, _] = self.shape;
        let data = TensorData::new(self.kernel(kernel), [batch, batch]);
        Tensor::from_data(data, (&like.device(), DType::F64))
    }

    /// The derivative in the embeddings from that in the kernel.
    pub(super) fn gradient_tensor(
        &self,
        kernel: Kernel,
        values: &Tensor<2>,
        weights: &Tensor<2>,
    ) -> Tensor<2> {
        let gradient = self.gradient(kernel, &numbers(values.clone()), &numbers(weights.clone()));
        let data = TensorData::new(gradient, self.shape).convert_dtype(self.dtype);
        Tensor::from_data(data, (&weights.device(), self.dtype))
    }

    fn gradient(&self, kernel: Kernel, values: &[f64], weights: &[f64]) -> Vec<f64> {
        let [batch, dim] = self.shape;
        let mut gradient = vec![0.0; batch * dim];
        gradient
            .par_chunks_exact_mut(dim)
            .enumerate()
            .for_each(|(i, gradient)| {
                let x = self.row(i);
                for j in 0..batch {
                    let weight = weights[i * batch + j] + weights[j * batch + i];
                    let slope = match kernel {
                        Kernel::Product => weight,
                        Kernel::Distance(Distance::SquaredEuclidean) => 2.0 * weight,
                        Kernel::Distance(Distance::Euclidean) => {
                            let distance = values[i * batch + j];
                            if distance == 0.0 {
                                0.0
                            } else {
                                weight / distance
                            }
                        }
                        Kernel::Distance(Distance::Cosine) if self.has_no_direction(j) => 0.0,
                        Kernel::Distance(Distance::Cosine) => weight,
                    };
                    // What does not count is not looked at.
                    if slope == 0.0 {
                        continue;
                    }
                    let entries = gradient.iter_mut().zip(x.iter().zip(self.row(j)));
                    if kernel == Kernel::Product {
                        entries.for_each(|(sum, (_, y))| *sum += slope * y);
                    } else {
                        entries.for_each(|(sum, (x, y))| *sum += slope * (x - y));
                    }
                }
                if let Some(norms) = &self.norms {
                    through_norm(gradient, x, norms[i]);
                }
            });
        gradient
    }
}

/// The entries of a tensor as they are stored.
fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    let data = tensor.into_data();
    match data.as_slice::<f32>() {
        Ok(entries) => entries.iter().map(|&x| f64::from(x)).collect(),
        Err(_) => data.iter::<f64>().collect(),
    }
}

/// Divides a row by its 2-norm, which it returns. The scale is taken out as a power of two, which
/// changes no digit.
fn normalize(row: &mut [f64]) -> Norm {
    let top = row.iter().fold(0.0, |top: f64, x| top.max(x.abs()));
    if top == 0.0 && row.iter().all(|&x| x == 0.0) {
        return Norm {
            mantissa: 0.0,
            exponent: 0,
        };
    }
    let exponent = if top == 0.0 { 0 } else { exponent(top) };
    let [a, b] = powers_of_two(-exponent);
    for x in row.iter_mut() {
        *x *= a;
        *x *= b;
    }
    let mantissa = product(row, row).sqrt();
    for x in row.iter_mut() {
        *x /= mantissa;
    }
    Norm { mantissa, exponent }
}

/// From the derivative in `x = e / |e|` to that in `e`.
fn through_norm(gradient: &mut [f64], x: &[f64], norm: Norm) {
    if norm.mantissa == 0.0 {
        gradient.fill(0.0);
        return;
    }
    let along = product(gradient, x);
    let [a, b] = powers_of_two(-norm.exponent);
    for (gradient, x) in gradient.iter_mut().zip(x) {
        *gradient = (*gradient - along * x) / norm.mantissa * a * b;
    }
}

/// The exponent of the power of two that a number is nearest to, or thereabouts.
fn exponent(x: f64) -> i32 {
    x.log2().floor().clamp(-1100.0, 1100.0) as i32
}

/// Two factors of `2^exponent`, which itself may be beyond every number.
fn powers_of_two(exponent: i32) -> [f64; 2] {
    let half = exponent / 2;
    [2f64.powi(half), 2f64.powi(exponent - half)]
}

/// `|x - y|`
fn distance(x: &[f64], y: &[f64]) -> f64 {
    let square = sum(x, y, |x, y| (x - y) * (x - y));
    if SAFE_SQUARES.contains(&square) || square.is_nan() {
        return square.sqrt();
    }
    let top = x
        .iter()
        .zip(y)
        .fold(0.0, |top: f64, (x, y)| top.max((x - y).abs()));
    if top == 0.0 || top == f64::INFINITY {
        return top;
    }
    top * sum(x, y, |x, y| ((x - y) / top).powi(2)).sqrt()
}

/// `<x, y>`
fn product(x: &[f64], y: &[f64]) -> f64 {
    let product = sum(x, y, |x, y| x * y);
    if product.is_finite() {
        return product;
    }
    // Partial sums may be beyond every number where the sum is not.
    let top = |row: &[f64]| row.iter().fold(0.0, |top: f64, x| top.max(x.abs()));
    let (x_exponent, y_exponent) = (exponent(top(x)), exponent(top(y)));
    let ([a, b], [c, d]) = (powers_of_two(-x_exponent), powers_of_two(-y_exponent));
    let scaled = sum(x, y, |x, y| (x * a * b) * (y * c * d));
    let [a, b] = powers_of_two(x_exponent);
    let [c, d] = powers_of_two(y_exponent);
    scaled * a * b * c * d
}

/// The sum of a function of corresponding entries.
fn sum(x: &[f64], y: &[f64], f: impl Fn(f64, f64) -> f64) -> f64 {
    /// Sums side by side, that no addition waits for the one before.
    const LANES: usize = 8;
    let (x_lanes, x_rest) = x.as_chunks::<LANES>();
    let (y_lanes, y_rest) = y.as_chunks::<LANES>();
    let mut sums = [0.0; LANES];
    for (x, y) in x_lanes.iter().zip(y_lanes) {
        for ((sum, &x), &y) in sums.iter_mut().zip(x).zip(y) {
            *sum += f(x, y);
        }
    }
    let rest: f64 = x_rest.iter().zip(y_rest).map(|(&x, &y)| f(x, y)).sum();
    sums.iter().sum::<f64>() + rest
}
