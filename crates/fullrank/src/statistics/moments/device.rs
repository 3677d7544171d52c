//! The second moments of one view or two on their device: see [`moments`](super).

use burn::tensor::Tensor;

use super::{Hinge, MomentTerms, degrees_of_freedom};
use crate::shards::MomentSums;
use crate::statistics::{clamped, diagonal_mask};
use crate::surrogate::{Surrogate, scalar};

/// A batch, or a shard of one, with the column means of the batch removed, and the variances of its columns.
pub(super) struct CentredView {
    /// `Z - mean`, shape `[rows, dim]`.
    rows: Tensor<2>,
    /// How many rows the batch has.
    batch: usize,
    /// Unbiased variances, shape `[1, dim]`; 0 for a batch of one.
    variance: Tensor<2>,
    /// The covariance of a batch in shards, which a shard does not tell; shape `[dim, dim]`.
    covariance: Option<Tensor<2>>,
}

impl CentredView {
    pub(super) fn new(view: &Tensor<2>) -> Self {
        let rows = view.clone() - view.clone().mean_dim(0);
        let batch = rows.dims()[0];
        let squares = rows.clone().square().sum_dim(0);
        Self {
            rows,
            batch,
            variance: squares.div_scalar(degrees_of_freedom(batch)),
            covariance: None,
        }
    }

    /// The view of this number of a shard of the batch.
    pub(super) fn of_shard(
        shard: &Tensor<2>,
        view: usize,
        batch: &MomentSums,
        covariance: bool,
    ) -> Self {
        let n = degrees_of_freedom(batch.rows());
        let products = covariance.then(|| batch.products(view, shard));
        Self {
            rows: shard.clone() - batch.mean(view, shard),
            batch: batch.rows(),
            variance: batch.squares(view, shard).div_scalar(n),
            covariance: products.map(|products| products.div_scalar(n)),
        }
    }

    /// Whether the Gram matrix of its rows takes the place of the covariance.
    fn is_wide(&self) -> bool {
        let [_, dim] = self.rows.dims();
        self.covariance.is_none() && self.batch < dim
    }
}

/// A term's value, and its part of a gradient `S Zc + Zc diag(columns)` (`b < d`) or
/// `Zc S + Zc diag(columns)`.
struct Term {
    value: Tensor<1>,
    side: Option<Tensor<2>>,
    columns: Option<Tensor<2>>,
}

/// `apart` is `||Z - Z'||_F^2` of a batch in shards.
pub(super) fn on_device<const N: usize>(
    views: &[Tensor<2>; N],
    centred: &[CentredView; N],
    apart: Option<&Tensor<1>>,
    terms: MomentTerms,
    gradient: bool,
) -> Surrogate<N> {
    let mut values = Vec::new();
    let mut towards = None;
    if let Some(factor) = terms.invariance {
        let difference = views[0].clone() - views[1].clone();
        let apart = match apart {
            Some(apart) => apart.clone(),
            None => difference.clone().square().sum(),
        };
        values.push(apart.mul_scalar(factor));
        towards = gradient.then(|| difference.mul_scalar(2.0 * factor));
    }
    let coefficients = std::array::from_fn(|view| {
        let batch = &centred[view];
        let variance = (terms.variance).map(|hinge| variance(batch, hinge, gradient));
        let covariance = (terms.covariance).map(|factor| covariance(batch, factor, gradient));

        let (mut side, mut columns) = (None, None);
        for term in [variance, covariance].into_iter().flatten() {
            values.push(term.value);
            side = term.side.or(side);
            columns = match (columns, term.columns) {
                (Some(sum), Some(more)) => Some(sum + more),
                (sum, more) => sum.or(more),
            };
        }
        let towards = towards.clone().map(|t| if view == 0 { t } else { t.neg() });
        [
            side_product(batch, side, &mut columns),
            columns.map(|columns| batch.rows.clone() * columns),
            towards,
        ]
        .into_iter()
        .flatten()
        .reduce(|sum, part| sum + part)
    });
    let value = values.into_iter().reduce(|sum, value| sum + value);
    Surrogate {
        value: value.unwrap_or_else(|| scalar(&views[0], 0.0)),
        coefficients: gradient
            .then(|| coefficients.map(|sum| sum.unwrap_or_else(|| views[0].zeros_like()))),
    }
}

/// `S Zc`, or `Zc (S + diag(columns))`, which takes the columns.
fn side_product(
    batch: &CentredView,
    side: Option<Tensor<2>>,
    columns: &mut Option<Tensor<2>>,
) -> Option<Tensor<2>> {
    let side = side?;
    let [_, dim] = batch.rows.dims();
    if batch.is_wide() {
        return Some(side.matmul(batch.rows.clone()));
    }
    let side = match columns.take() {
        Some(columns) => side.mask_where(diagonal_mask(&batch.rows), columns.expand([dim, dim])),
        None => side,
    };
    Some(batch.rows.clone().matmul(side))
}

fn variance(batch: &CentredView, hinge: Hinge, gradient: bool) -> Term {
    let [_, dim] = batch.rows.dims();
    let std = batch.variance.clone().add_scalar(hinge.epsilon).sqrt();
    let missing = std.clone().neg().add_scalar(hinge.margin);
    let reached = missing.clone().lower_equal_elem(0.0);
    let slope = -hinge.factor / (dim as f64 * degrees_of_freedom(batch.batch));
    Term {
        columns: gradient.then(|| {
            let slopes = std.recip().mul_scalar(slope);
            slopes.mask_fill(reached.clone(), 0.0)
        }),
        side: None,
        value: missing
            .mask_fill(reached, 0.0)
            .mean()
            .mul_scalar(hinge.factor),
    }
}

fn covariance(batch: &CentredView, factor: f64, gradient: bool) -> Term {
    let [_, dim] = batch.rows.dims();
    let n = degrees_of_freedom(batch.batch);
    let factor = factor / dim as f64;
    let slope = 4.0 * factor / n;
    let (left, right) = (batch.rows.clone(), batch.rows.clone().transpose());
    if batch.is_wide() {
        let gram = left.matmul(right).div_scalar(n);
        let squares = batch.variance.clone().square().sum();
        let value = gram.clone().square().sum() - squares;
        return Term {
            value: clamped(value).mul_scalar(factor),
            side: gradient.then(|| gram.mul_scalar(slope)),
            columns: gradient.then(|| batch.variance.clone().mul_scalar(-slope)),
        };
    }
    let covariance = match &batch.covariance {
        Some(covariance) => covariance.clone(),
        None => right.matmul(left).div_scalar(n),
    };
    let covariance = covariance.mask_fill(diagonal_mask(&batch.rows), 0.0);
    // The variances do not count, but a NaN among them is to be seen.
    let nothing = batch.variance.clone().mul_scalar(0.0).sum();
    Term {
        value: (covariance.clone().square().sum() + nothing).mul_scalar(factor),
        side: gradient.then(|| covariance.mul_scalar(slope)),
        columns: None,
    }
}
