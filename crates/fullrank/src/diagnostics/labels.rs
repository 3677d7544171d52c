//! What labels add: how close the rows of a class are, and how many directions the classes take.

use std::collections::BTreeMap;

use faer::linalg::matmul::matmul;
use faer::linalg::triangular_solve::solve_lower_triangular_in_place;
use faer::{Accum, Mat, Par, Side};

use super::dimensions::pairs;
use super::spectrum::eigenvalues;
use crate::rankme;

/// Added to the within-class covariance's diagonal, as by the public versions of LiDAR.
const DELTA: f64 = 1e-4;

/// The sums of one class's rows.
#[derive(Clone)]
pub(super) struct Class {
    pub(super) count: usize,
    /// Of the rows, less an origin common to all classes.
    pub(super) sum: Vec<f64>,
    /// Of the unit rows.
    pub(super) unit_sum: Vec<f64>,
    /// Of the squared norms of the unit rows: the number of rows that are not zero.
    pub(super) unit_square: f64,
}

impl Class {
    pub(super) fn new(dims: usize) -> Self {
        Self {
            count: 0,
            sum: vec![0.0; dims],
            unit_sum: vec![0.0; dims],
            unit_square: 0.0,
        }
    }

    pub(super) fn add(&mut self, row: &[f64], unit: &[f64], zero: bool) {
        self.count += 1;
        self.unit_square += f64::from(u8::from(!zero));
        for (sum, x) in self.sum.iter_mut().zip(row) {
            *sum += x;
        }
        for (sum, x) in self.unit_sum.iter_mut().zip(unit) {
            *sum += x;
        }
    }

    /// `sum ||u - v||^2` over the pairs of its unit rows.
    pub(super) fn squared_distances(&self) -> f64 {
        let square: f64 = self.unit_sum.iter().map(|x| x * x).sum();
        (self.count as f64 * self.unit_square - square).max(0.0)
    }
}

/// The classes by their labels, in the labels' order.
pub(super) type Classes = BTreeMap<i64, Class>;

/// The mean of the squared distances over the pairs of unit rows of one class, given their sum;
/// [`None`] if there is no such pair.
pub(super) fn alignment(classes: &Classes, squared_distances: f64) -> Option<f64> {
    let pairs: f64 = classes.values().map(|class| pairs(class.count)).sum();
    (pairs > 0.0).then(|| squared_distances / pairs)
}

/// The lower triangle of `sum_c n_c (m_c - m)(m_c - m)^T`: the scatter between the classes, of
/// which `sums` are relative to the mean `m` of all rows.
pub(super) fn between_scatter(classes: &Classes, dims: usize) -> Mat<f64> {
    let weighted: Vec<Vec<f64>> = (classes.values())
        .map(|class| {
            let root = (class.count as f64).sqrt();
            class.sum.iter().map(|x| x / root).collect()
        })
        .collect();
    gram(&weighted, dims)
}

/// LiDAR's rank of the class means: see [`Diagnostics::lidar`](super::Diagnostics::lidar).
///
/// `within` is the lower triangle of `sum_i (x_i - m_c(i))(x_i - m_c(i))^T`. [`None`] with fewer
/// than two classes, or no class of two rows, or if `within` is not positive semi-definite for
/// rounding.
pub(super) fn lidar(classes: &Classes, mut within: Mat<f64>, rows: usize) -> Option<f64> {
    let (count, dims) = (classes.len(), within.nrows());
    if count < 2 || rows <= count {
        return None;
    }
    let degrees = (rows - count) as f64;
    for j in 0..dims {
        for i in j..dims {
            within[(i, j)] /= degrees;
        }
        within[(j, j)] += DELTA;
    }
    let factor = within.llt(Side::Lower).ok()?;

    let mut means: Vec<Vec<f64>> = (classes.values())
        .map(|class| class.sum.iter().map(|x| x / class.count as f64).collect())
        .collect();
    let centre: Vec<f64> = (0..dims)
        .map(|j| means.iter().map(|mean| mean[j]).sum::<f64>() / count as f64)
        .collect();
    for mean in &mut means {
        for (x, centre) in mean.iter_mut().zip(&centre) {
            *x -= centre;
        }
    }
    // The eigenvalues of S_w^-1/2 S_b S_w^-1/2 are those of L^-1 S_b L^-T, and up to a factor those
    // of the smaller Gram matrix of L^-1 M.
    let mut whitened = Mat::from_fn(dims, count, |i, j| means[j][i]);
    solve_lower_triangular_in_place(factor.L(), whitened.as_mut(), Par::Seq);
    let smaller = if count < dims {
        whitened.transpose() * &whitened
    } else {
        &whitened * whitened.transpose()
    };
    let mut values = eigenvalues(smaller.as_ref()).ok()?;
    values.truncate(count.saturating_sub(1).min(dims));
    let values: Vec<f64> = values.into_iter().map(|value| value.max(0.0)).collect();
    Some(rankme(&values))
}

/// The lower triangle of `sum_i v_i v_i^T`.
fn gram(vectors: &[Vec<f64>], dims: usize) -> Mat<f64> {
    let columns = Mat::from_fn(dims, vectors.len(), |i, j| vectors[j][i]);
    let mut gram = Mat::zeros(dims, dims);
    matmul(
        &mut gram,
        Accum::Replace,
        &columns,
        columns.transpose(),
        1.0,
        super::parts(),
    );
    gram
}
