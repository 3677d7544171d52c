//! Row-major matrices on the host: passes over their rows, and the products by faer.
//!
//! Every sum is kept in f64 and taken in an order that depends on the shape alone: same input, same
//! bits, whatever the threads do.

use burn::tensor::{Tensor, TensorData};
use faer::{Accum, Mat, MatMut, MatRef};
use rayon::prelude::*;

use crate::host::memory::keep_freed;
use crate::host::symmetric::{Scalar, parts, symmetric_product};

/// A row-major matrix.
pub(crate) struct HostMatrix<T> {
    pub(crate) entries: Vec<T>,
    pub(crate) shape: [usize; 2],
}

/// The entries of a tensor on the host.
pub(crate) fn entries<T: Scalar>(data: &TensorData) -> &[T] {
    data.as_slice().expect("the type of the entries")
}

/// A matrix without its column means, and what its columns had.
pub(crate) struct CentredMatrix<T> {
    pub(crate) rows: HostMatrix<T>,
    pub(crate) means: Vec<f64>,
    /// For each column the sum of the squares about its mean.
    pub(crate) squares: Vec<f64>,
}

impl<T: Scalar> CentredMatrix<T> {
    pub(crate) fn new(view: &Tensor<2>) -> Self {
        keep_freed();
        let shape = view.dims();
        let data = view.clone().into_data();
        let entries = entries::<T>(&data);
        let means = column_means(entries, shape);
        let dim = shape[1];
        let block = block(dim);
        let mut centred = vec![T::from_f64(0.0); entries.len()];
        let parts = centred
            .par_chunks_mut(block)
            .zip(entries.par_chunks(block))
            .map(|(centred, entries)| {
                let mut sums = vec![0.0; dim];
                let rows = centred.chunks_exact_mut(dim).zip(entries.chunks_exact(dim));
                for (centred, entries) in rows {
                    let columns = centred
                        .iter_mut()
                        .zip(entries)
                        .zip(sums.iter_mut().zip(&means));
                    for ((centred, &entry), (sum, mean)) in columns {
                        let entry: f64 = entry.into();
                        let deviation = entry - mean;
                        *centred = T::from_f64(deviation);
                        *sum += deviation * deviation;
                    }
                }
                sums
            })
            .collect();
        let rows = HostMatrix {
            entries: centred,
            shape,
        };
        Self {
            rows,
            means,
            squares: in_order(parts, dim),
        }
    }
}

impl<T: Scalar> HostMatrix<T> {
    /// `f(entry, column)` of each entry and what belongs to its column.
    pub(crate) fn map<C: Copy + Sync>(&self, columns: &[C], f: impl Fn(T, C) -> T + Sync) -> Self {
        self.zip(&self.entries, columns, |entry, _, column| f(entry, column))
    }

    /// `f(entry, other, column)` of each entry, that of a matrix of the same shape, and what belongs to
    /// its column.
    pub(crate) fn zip<C: Copy + Sync>(
        &self,
        other: &[T],
        columns: &[C],
        f: impl Fn(T, T, C) -> T + Sync,
    ) -> Self {
        let dim = self.shape[1];
        let block = block(dim);
        let mut zipped = vec![T::from_f64(0.0); self.entries.len()];
        zipped
            .par_chunks_mut(block)
            .zip(self.entries.par_chunks(block).zip(other.par_chunks(block)))
            .for_each(|(zipped, (ours, other))| {
                let rows = zipped
                    .chunks_exact_mut(dim)
                    .zip(ours.chunks_exact(dim).zip(other.chunks_exact(dim)));
                for (zipped, (ours, other)) in rows {
                    let entries = zipped.iter_mut().zip(ours.iter().zip(other));
                    for ((zipped, (&entry, &other)), &column) in entries.zip(columns) {
                        *zipped = f(entry, other, column);
                    }
                }
            });
        Self {
            entries: zipped,
            shape: self.shape,
        }
    }

    /// The smaller Gram matrix, times `scale`: of the rows of a wide matrix, of the columns of any
    /// other. Its lower triangle.
    pub(crate) fn gram(&self, scale: f64) -> Mat<T> {
        let tall = self.tall();
        let (rows, size) = tall.shape();
        symmetric_product(tall.transpose(), tall, scale, parts(rows * size * size / 2))
    }

    /// Adds `scale S M` to this matrix if it is wide and `scale M S` if not, `S` of the smaller side.
    pub(crate) fn add_product(&mut self, scale: f64, side: MatRef<'_, T>, matrix: &Self) {
        let [rows, dim] = self.shape;
        let out = MatMut::from_row_major_slice_mut(&mut self.entries, rows, dim);
        let (out, side) = if rows < dim {
            (out.transpose_mut(), side.transpose())
        } else {
            (out, side)
        };
        let (scale, par) = (T::from_f64(scale), parts(rows * dim * rows.min(dim)));
        faer::linalg::matmul::matmul(out, Accum::Add, matrix.tall(), side, scale, par);
    }

    /// The matrix, transposed if it is wide.
    pub(crate) fn tall(&self) -> MatRef<'_, T> {
        tall(&self.entries, self.shape)
    }

    pub(crate) fn into_tensor(self, like: &Tensor<2>) -> Tensor<2> {
        Tensor::from_data(
            TensorData::new(self.entries, self.shape),
            (&like.device(), T::dtype()),
        )
    }
}

/// A row-major matrix, transposed if it is wide.
pub(crate) fn tall<T>(entries: &[T], [rows, dim]: [usize; 2]) -> MatRef<'_, T> {
    let matrix = MatRef::from_row_major_slice(entries, rows, dim);
    if rows < dim {
        matrix.transpose()
    } else {
        matrix
    }
}

/// The mean of each column.
fn column_means<T: Scalar>(entries: &[T], [rows, dim]: [usize; 2]) -> Vec<f64> {
    let parts = entries
        .par_chunks(block(dim))
        .map(|entries| {
            let mut sums = vec![0.0; dim];
            for row in entries.chunks_exact(dim) {
                for (sum, &entry) in sums.iter_mut().zip(row) {
                    *sum += entry.into();
                }
            }
            sums
        })
        .collect();
    let mut means = in_order(parts, dim);
    for mean in &mut means {
        *mean /= rows as f64;
    }
    means
}

/// For each column, the sum over the rows of the products of two matrices.
pub(crate) fn column_dots<T: Scalar>(a: &[T], b: &[T], dim: usize) -> Vec<f64> {
    let block = block(dim);
    let parts = a
        .par_chunks(block)
        .zip(b.par_chunks(block))
        .map(|(a, b)| {
            let mut sums = vec![0.0; dim];
            for (a, b) in a.chunks_exact(dim).zip(b.chunks_exact(dim)) {
                for ((sum, &a), &b) in sums.iter_mut().zip(a).zip(b) {
                    *sum += a.into() * b.into();
                }
            }
            sums
        })
        .collect();
    in_order(parts, dim)
}

/// `||A - B||_F^2`
pub(crate) fn squared_distance<T: Scalar>(a: &[T], b: &[T]) -> f64 {
    /// Sums side by side, that no addition waits for the one before.
    const LANES: usize = 8;
    const BLOCK: usize = 1 << 14;
    let square = |a: T, b: T| {
        let difference: f64 = (a - b).into();
        difference * difference
    };
    let parts: Vec<f64> = a
        .par_chunks(BLOCK)
        .zip(b.par_chunks(BLOCK))
        .map(|(a, b)| {
            let mut sums = [0.0; LANES];
            let (a_lanes, b_lanes) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
            let rest = a_lanes.remainder().iter().zip(b_lanes.remainder());
            let rest: f64 = rest.map(|(&a, &b)| square(a, b)).sum();
            for (a, b) in a_lanes.zip(b_lanes) {
                for ((sum, &a), &b) in sums.iter_mut().zip(a).zip(b) {
                    *sum += square(a, b);
                }
            }
            rest + sums.iter().sum::<f64>()
        })
        .collect();
    parts.into_iter().sum()
}

/// A number that is not negative but for rounding; NaN stays NaN.
pub(crate) fn clamped(number: f64) -> f64 {
    if number < 0.0 { 0.0 } else { number }
}

/// Entries of a block of rows: enough to be worth a task, few enough to stay in the second cache.
fn block(dim: usize) -> usize {
    const ENTRIES: usize = 1 << 15;
    const LEAST_ROWS: usize = 16;
    dim * (ENTRIES / dim).max(LEAST_ROWS)
}

fn in_order(parts: Vec<Vec<f64>>, dim: usize) -> Vec<f64> {
    parts.into_iter().fold(vec![0.0; dim], |mut sums, part| {
        for (sum, part) in sums.iter_mut().zip(part) {
            *sum += part;
        }
        sums
    })
}
