//! The nearest rows by blocks of inner products.

use std::collections::BTreeMap;
use std::ops::Range;

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use rayon::prelude::*;

use super::{LabelledRows, Metric};

/// Rows that all but share a direction have this share of their squared norms in their mean.
const ONE_DIRECTION: f64 = 0.99;

/// A set's rows, in the order of their labels and, within a label, of their indices.
pub(super) struct Sorted {
    /// One row after another.
    pub(super) rows: Vec<f32>,
    pub(super) dim: usize,
    /// The index of each row in the set as it was given.
    pub(super) indices: Vec<u32>,
    /// Half of each row's squared norm.
    pub(super) half_squares: Vec<f32>,
    /// The place of each label's rows.
    pub(super) classes: BTreeMap<i64, Range<usize>>,
    /// The label of each row of the set as it was given.
    pub(super) labels: Vec<i64>,
}

impl Sorted {
    fn new(set: &LabelledRows<'_>, metric: Metric) -> Self {
        let mut indices: Vec<u32> = (0..set.len() as u32).collect();
        indices.sort_by_key(|&i| set.labels[i as usize]);
        let mut rows = vec![0.0; set.values.len()];
        rows.par_chunks_exact_mut(set.dim)
            .zip(&indices)
            .for_each(|(row, &i)| {
                row.copy_from_slice(&set.values[i as usize * set.dim..][..set.dim]);
                if metric == Metric::Cosine {
                    normalise(row);
                }
            });
        let mut classes: BTreeMap<i64, Range<usize>> = BTreeMap::new();
        for (place, &i) in indices.iter().enumerate() {
            let range = classes
                .entry(set.labels[i as usize])
                .or_insert(place..place);
            range.end = place + 1;
        }
        Self {
            rows,
            dim: set.dim,
            indices,
            half_squares: Vec::new(),
            classes,
            labels: set.labels.to_vec(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.indices.len()
    }

    /// The given labels in the order of the rows.
    pub(super) fn labels_in_order(&self, labels: &[i64]) -> Vec<i64> {
        self.indices.iter().map(|&i| labels[i as usize]).collect()
    }

    fn mean(&self) -> Vec<f64> {
        let mut mean = vec![0.0; self.dim];
        for row in self.rows.chunks_exact(self.dim) {
            for (mean, &x) in mean.iter_mut().zip(row) {
                *mean += f64::from(x);
            }
        }
        for mean in &mut mean {
            *mean /= self.len() as f64;
        }
        mean
    }

    fn mean_square(&self) -> f64 {
        let square = |x: &f32| f64::from(*x) * f64::from(*x);
        self.rows.iter().map(square).sum::<f64>() / self.len() as f64
    }

    fn subtract(&mut self, centre: &[f64]) {
        self.rows.par_chunks_exact_mut(self.dim).for_each(|row| {
            for (x, centre) in row.iter_mut().zip(centre) {
                *x = (f64::from(*x) - centre) as f32;
            }
        });
    }

    fn set_half_squares(&mut self) {
        let half_square = |row: &[f32]| {
            let square = |&x: &f32| f64::from(x) * f64::from(x);
            (row.iter().map(square).sum::<f64>() / 2.0) as f32
        };
        self.half_squares = self
            .rows
            .par_chunks_exact(self.dim)
            .map(half_square)
            .collect();
    }

    /// Some of the rows as a matrix.
    fn block(&self, rows: Range<usize>) -> MatRef<'_, f32> {
        let entries = &self.rows[rows.start * self.dim..rows.end * self.dim];
        MatRef::from_row_major_slice(entries, rows.len(), self.dim)
    }
}

fn normalise(row: &mut [f32]) {
    let square: f64 = row.iter().map(|&x| f64::from(x) * f64::from(x)).sum();
    if square > 0.0 {
        let norm = square.sqrt();
        for x in row {
            *x = (f64::from(*x) / norm) as f32;
        }
    }
}

/// The sets ready to be searched: sorted, for the cosine normalised, and without the mean if they all
/// but share a direction. No reference: the queries are their own.
pub(super) fn prepare(
    queries: &LabelledRows<'_>,
    reference: Option<&LabelledRows<'_>>,
    metric: Metric,
) -> (Sorted, Option<Sorted>) {
    let mut queries = Sorted::new(queries, metric);
    let mut reference = reference.map(|reference| Sorted::new(reference, metric));
    let searched = reference.as_ref().unwrap_or(&queries);
    let centre = searched.mean();
    let square: f64 = centre.iter().map(|x| x * x).sum();
    if square > ONE_DIRECTION * searched.mean_square() {
        queries.subtract(&centre);
        if let Some(reference) = &mut reference {
            reference.subtract(&centre);
        }
    }
    queries.set_half_squares();
    if let Some(reference) = &mut reference {
        reference.set_half_squares();
    }
    (queries, reference)
}

/// The inner products of some queries with some reference rows, row-major.
pub(super) fn products<'a>(
    queries: &Sorted,
    query_rows: Range<usize>,
    reference: &Sorted,
    reference_rows: Range<usize>,
    space: &'a mut [f32],
) -> &'a mut [f32] {
    let (height, width) = (query_rows.len(), reference_rows.len());
    let products = &mut space[..height * width];
    matmul(
        MatMut::from_row_major_slice_mut(&mut *products, height, width),
        Accum::Replace,
        queries.block(query_rows),
        reference.block(reference_rows).transpose(),
        1.0f32,
        Par::Seq,
    );
    products
}

/// How near some reference rows are to a query, from its products with them: `<q, r> - |r|^2 / 2`, which
/// falls as the distance grows.
pub(super) fn nearness(products: &mut [f32], half_squares: &[f32]) {
    for (product, half) in products.iter_mut().zip(half_squares) {
        *product -= half;
    }
}

/// A row-major matrix of `width` columns, transposed.
pub(super) fn transpose(matrix: &[f32], width: usize, transposed: &mut [f32]) {
    const TILE: usize = 16;
    let height = matrix.len() / width;
    for top in (0..height).step_by(TILE) {
        for left in (0..width).step_by(TILE) {
            for i in top..height.min(top + TILE) {
                for j in left..width.min(left + TILE) {
                    transposed[j * height + i] = matrix[i * width + j];
                }
            }
        }
    }
}

/// Nearness and index as one number: larger is nearer and, among equally near rows, first.
pub(super) fn code(nearness: f32, index: u32) -> u64 {
    // Adding 0 makes -0 equal to 0.
    let bits = (nearness + 0.0).to_bits();
    // The order of floats as an order of integers.
    let ascending = if bits >> 31 == 1 {
        !bits
    } else {
        bits | 1 << 31
    };
    u64::from(ascending) << 32 | u64::from(!index)
}

/// The index in a [`code`].
pub(super) fn index(code: u64) -> u32 {
    !(code as u32)
}

/// The nearest rows met so far, at least `depth` of them.
pub(super) struct Nearest {
    codes: Vec<u64>,
    depth: usize,
    /// A row less near than this is not among the nearest.
    least: f32,
    least_code: u64,
}

impl Nearest {
    pub(super) fn new(depth: usize) -> Self {
        Self {
            codes: Vec::new(),
            depth,
            least: f32::NEG_INFINITY,
            least_code: 0,
        }
    }

    pub(super) fn depth(&self) -> usize {
        self.depth
    }

    /// How many rows are held at once, at most, of which `depth` are among the nearest.
    pub(super) fn most_kept(depth: usize) -> usize {
        2 * depth + 64
    }

    /// Takes in the rows of a block: their nearness and indices.
    pub(super) fn extend(&mut self, nearness: &[f32], indices: &[u32]) {
        if self.depth == 0 {
            return;
        }
        const STRIDE: usize = 32;
        for (nearness, indices) in nearness.chunks(STRIDE).zip(indices.chunks(STRIDE)) {
            let least = self.least;
            if !nearness.iter().fold(false, |any, &x| any | (x >= least)) {
                continue;
            }
            for (&x, &i) in nearness.iter().zip(indices) {
                // The query itself has the nearness of nothing.
                if x >= self.least && x != f32::NEG_INFINITY {
                    self.push(code(x, i));
                }
            }
        }
    }

    fn push(&mut self, code: u64) {
        if code < self.least_code {
            return;
        }
        self.codes.push(code);
        if self.codes.len() >= Self::most_kept(self.depth) {
            self.shrink();
        }
    }

    fn shrink(&mut self) {
        let last = self.depth - 1;
        let (_, &mut least, _) = self.codes.select_nth_unstable_by(last, |a, b| b.cmp(a));
        self.codes.truncate(self.depth);
        self.least_code = least;
        let ascending = (least >> 32) as u32;
        let bits = if ascending >> 31 == 1 {
            ascending & !(1 << 31)
        } else {
            !ascending
        };
        self.least = f32::from_bits(bits);
    }

    /// The indices of the `depth` nearest rows, nearest first.
    pub(super) fn into_indices(mut self) -> Vec<u32> {
        if self.codes.len() > self.depth {
            self.shrink();
        }
        self.codes.sort_unstable_by(|a, b| b.cmp(a));
        self.codes.into_iter().map(index).collect()
    }
}
