//! The statistic on the host: see [`epps_pulley`](super).
//!
//! One direction after the other, in f64, so that its numbers stay in the first caches. Of each row the cosine and
//! the sine are computed once, at the first knot; those at the next are a rotation by the same angle, for
//! the knots are equally far from each other.

use burn::tensor::Tensor;
use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef};
use rayon::prelude::*;

use super::{Knot, Knots};
use crate::host::matrix::{HostMatrix, entries};
use crate::host::memory::keep_freed;
use crate::host::symmetric::{Scalar, parts};
use crate::surrogate::{Surrogate, scalar};

/// As on the device.
pub(super) fn epps_pulley<T: Scalar>(
    embeddings: &Tensor<2>,
    slices: &Tensor<2>,
    knots: Knots,
    gradient: bool,
) -> Surrogate<1> {
    keep_freed();
    let ([batch, dim], [_, count]) = (embeddings.dims(), slices.dims());
    let (rows, slices) = (embeddings.clone().into_data(), slices.clone().into_data());
    let rows = MatRef::from_row_major_slice(entries::<T>(&rows), batch, dim);
    let slices = MatRef::from_row_major_slice(entries::<T>(&slices), dim, count);
    let par = parts(batch * dim * count);
    let mut along = vec![T::from_f64(0.0); batch * count];
    let product = MatMut::from_column_major_slice_mut(&mut along, batch, count);
    matmul(product, Accum::Replace, rows, slices, T::from_f64(1.0), par);

    let knots: Vec<Knot> = knots.iter().collect();
    // Each column becomes the gradient in it.
    let columns = along.par_chunks_mut(batch);
    let sums: Vec<f64> = columns
        .map_init(
            || Column::new(batch),
            |column, along| column.statistic(along, &knots, gradient),
        )
        .collect();
    let slices_each = 1.0 / count as f64;
    let coefficients = gradient.then(|| {
        let mut entries = vec![T::from_f64(0.0); batch * dim];
        let out = MatMut::from_row_major_slice_mut(&mut entries, batch, dim);
        let slopes = MatRef::from_column_major_slice(&along, batch, count);
        let scale = T::from_f64(2.0 * slices_each);
        matmul(out, Accum::Replace, slopes, slices.transpose(), scale, par);
        let shape = [batch, dim];
        [HostMatrix { entries, shape }.into_tensor(embeddings)]
    });
    Surrogate {
        value: scalar(
            embeddings,
            batch as f64 * slices_each * sums.into_iter().sum::<f64>(),
        ),
        coefficients,
    }
}

/// The rows along one direction at one knot after the other.
struct Column {
    /// The cosine and the sine of each row at the first knot.
    first: [Vec<f64>; 2],
    /// The same at the knot that has its turn.
    here: [Vec<f64>; 2],
    slopes: Vec<f64>,
}

impl Column {
    fn new(batch: usize) -> Self {
        let numbers = || vec![0.0; batch];
        Self {
            first: [numbers(), numbers()],
            here: [numbers(), numbers()],
            slopes: numbers(),
        }
    }

    /// The sum over the knots, `along` being the rows along the direction; these become the slopes.
    fn statistic<T: Scalar>(&mut self, along: &mut [T], knots: &[Knot], gradient: bool) -> f64 {
        let Self {
            first: [first_cos, first_sin],
            here: [cos, sin],
            slopes,
        } = self;
        let numbers = first_cos.iter_mut().zip(first_sin.iter_mut());
        for ((cos, sin), &x) in numbers.zip(along.iter()) {
            (*sin, *cos) = (knots[0].at * x.into()).sin_cos();
        }
        cos.fill(1.0);
        sin.fill(0.0);
        slopes.fill(0.0);
        let mut statistic = 0.0;
        for knot in knots {
            let turns = first_cos.iter().zip(first_sin.iter());
            for ((cos, sin), (by_cos, by_sin)) in cos.iter_mut().zip(sin.iter_mut()).zip(turns) {
                let turned = *cos * by_cos - *sin * by_sin;
                *sin = *cos * by_sin + *sin * by_cos;
                *cos = turned;
            }
            let mean = |numbers: &[f64]| sum(numbers) / numbers.len() as f64;
            let (real, imaginary) = (mean(cos) - knot.normal, mean(sin));
            statistic += knot.weight * (real * real + imaginary * imaginary);
            if gradient {
                let factor = knot.weight * knot.at;
                let (by_cos, by_sin) = (factor * imaginary, -factor * real);
                for (slope, (cos, sin)) in slopes.iter_mut().zip(cos.iter().zip(sin.iter())) {
                    *slope += by_cos * cos + by_sin * sin;
                }
            }
        }
        for (along, &slope) in along.iter_mut().zip(slopes.iter()) {
            *along = T::from_f64(slope);
        }
        statistic
    }
}

/// The sum, of which no addition waits for the one before.
fn sum(numbers: &[f64]) -> f64 {
    const LANES: usize = 8;
    let (chunks, rest) = numbers.as_chunks::<LANES>();
    let mut sums = [0.0; LANES];
    for chunk in chunks {
        for (sum, x) in sums.iter_mut().zip(chunk) {
            *sum += x;
        }
    }
    sums.iter().sum::<f64>() + rest.iter().sum::<f64>()
}
