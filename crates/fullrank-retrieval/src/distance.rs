//! Distances between the rows of a batch, with gradients that stay finite.

use burn::tensor::{DType, FloatDType, Tensor};
use serde::{Deserialize, Serialize};

/// A squared distance up to this counts as zero: the root's gradient there is zero, not infinite.
const ZERO_SQUARE: f64 = 1e-12;
/// A row of smaller norm than this counts as a zero row.
const ZERO_ROW: f64 = 1e-12;

/// What a loss or a miner calls the distance of two embeddings `x` and `y`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Distance {
    /// `|x - y|`. Where the squared distance is at most 1e-12, its gradient is zero.
    Euclidean,
    /// `|x - y|^2`.
    SquaredEuclidean,
    /// `1 - <x, y> / (|x| |y|)`, between 0 and 2, whether the rows are normalised first or not; a
    /// margin `m` on the similarity is the margin `1 - m` on this distance. A zero row has the
    /// distance 1 to every row.
    Cosine,
}

impl Distance {
    /// The distances between all rows, shape `[batch, batch]`.
    ///
    /// They come from the products of the rows (`|x|^2 + |y|^2 - 2 <x, y>`), not their differences:
    /// in f32, rows of norm 1 that lie closer than about 3e-4 cannot be told from equal ones.
    pub(crate) fn matrix(self, rows: &Tensor<2>) -> Tensor<2> {
        match self {
            Self::Euclidean => root(squares(rows)),
            Self::SquaredEuclidean => squares(rows),
            Self::Cosine => {
                let unit = unit_rows(rows.clone());
                products(&unit).neg().add_scalar(1.0)
            }
        }
    }

    /// The distances between corresponding rows of two matrices, shape `[rows, 1]`.
    pub(crate) fn rows(self, x: Tensor<2>, y: Tensor<2>) -> Tensor<2> {
        match self {
            Self::Euclidean => root((x - y).square().sum_dim(1)),
            Self::SquaredEuclidean => (x - y).square().sum_dim(1),
            Self::Cosine => (unit_rows(x) * unit_rows(y))
                .sum_dim(1)
                .neg()
                .add_scalar(1.0),
        }
    }
}

/// The inner products of all rows, shape `[batch, batch]`.
pub(crate) fn products(rows: &Tensor<2>) -> Tensor<2> {
    rows.clone().matmul(rows.clone().transpose())
}

fn squares(rows: &Tensor<2>) -> Tensor<2> {
    let norms = rows.clone().square().sum_dim(1);
    let squares = norms.clone() + norms.transpose() - products(rows).mul_scalar(2.0);
    // Rounding may push the square of a small distance below zero.
    let negative = squares.clone().lower_elem(0.0);
    squares.mask_fill(negative, 0.0)
}

fn root(squares: Tensor<2>) -> Tensor<2> {
    let zero = squares.clone().lower_equal_elem(ZERO_SQUARE);
    squares
        .mask_fill(zero.clone(), 1.0)
        .sqrt()
        .mask_fill(zero, 0.0)
}

/// The rows divided by their 2-norm, inside autodiff; a row of norm at most 1e-12 becomes a zero row
/// without gradient.
pub(crate) fn unit_rows(rows: Tensor<2>) -> Tensor<2> {
    let squares = rows.clone().square().sum_dim(1);
    let zero = squares.clone().lower_equal_elem(ZERO_ROW * ZERO_ROW);
    let reciprocals = squares
        .mask_fill(zero.clone(), 1.0)
        .sqrt()
        .recip()
        .mask_fill(zero, 0.0);
    rows * reciprocals
}

/// What every loss does first: f16 and bf16 raised to f32, the rows normalised if asked for.
pub(crate) fn prepared(embeddings: Tensor<2>, normalize: bool) -> Tensor<2> {
    let embeddings = match embeddings.dtype() {
        DType::F16 | DType::BF16 => embeddings.cast(FloatDType::F32),
        _ => embeddings,
    };
    if normalize {
        unit_rows(embeddings)
    } else {
        embeddings
    }
}
