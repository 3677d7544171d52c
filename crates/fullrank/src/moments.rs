//! The second moments of a batch, which VICReg's terms are made of, and the gradient of any weighted
//! sum of these terms at once.
//!
//! With `Zc` the batch without its column means, `C = Zc^T Zc / (b - 1)` and `Z'` the other view,
//!
//! ```text
//! variance     v = (1/d) sum_j max(0, margin - std_j)     dv/dZ = Zc diag(h),  h_j = -1 / (d (b - 1) std_j)
//! covariance   c = (1/d) sum_{i != j} C_ij^2              dc/dZ = 4 / (d (b - 1)) Zc (C - diag(C))
//! invariance   s = ||Z - Z'||_F^2                         ds/dZ = 2 (Z - Z')
//! ```
//!
//! The gradient of a sum of them is `Zc S + t (Z - Z')` for `d <= b`, with a d x d matrix `S` that takes
//! up the covariances and, on its diagonal, `h`. For `b < d` the d x d matrix is not formed: with the
//! Gram matrix `G = Zc Zc^T / (b - 1)` and the variances `u_j = C_jj`,
//!
//! ```text
//! d c = ||G||_F^2 - sum_j u_j^2,     dc/dZ = 4 / (d (b - 1)) (G Zc - Zc diag(u))
//! ```
//!
//! (Garrido et al., [arXiv 2206.02574](https://arxiv.org/abs/2206.02574), Theorem 3.3) and the gradient
//! is `S Zc + Zc diag(t_j) + t (Z - Z')` with a b x b matrix `S`. So each view takes two products, one
//! for `C` or `G` and one for the gradient; on the [host](crate::host_moments) the first of them is half a
//! product, of one triangle. A difference of sums never falls below zero by rounding: it is clamped.

use burn::tensor::{Bool, Tensor};

#[cfg(feature = "host-solver")]
use crate::host_moments::HostMoments;
use crate::surrogate::{Evaluation, Part, Parts, assert_same_shape, scalar};

/// A weighted sum of the terms above. A term that is not there is neither computed nor counted.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Factors {
    /// The factor of `s`.
    pub(crate) invariance: Option<f64>,
    /// The variance terms of all views.
    pub(crate) variance: Option<Hinge>,
    /// The factor of the covariance terms of all views.
    pub(crate) covariance: Option<f64>,
}

/// The variance term `v`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hinge {
    /// The factor of the term.
    pub(crate) factor: f64,
    /// The standard deviation to reach.
    pub(crate) margin: f64,
    /// Added to the variance inside the root.
    pub(crate) epsilon: f64,
}

impl Factors {
    /// `factor` times the invariance term.
    pub(crate) fn invariance(factor: f64) -> Self {
        Self {
            invariance: Some(factor),
            ..Self::default()
        }
    }

    /// `factor` times the variance terms.
    pub(crate) fn variance(factor: f64, margin: f64, epsilon: f64) -> Self {
        Self {
            variance: Some(Hinge {
                factor,
                margin,
                epsilon,
            }),
            ..Self::default()
        }
    }

    /// `factor` times the covariance terms.
    pub(crate) fn covariance(factor: f64) -> Self {
        Self {
            covariance: Some(factor),
            ..Self::default()
        }
    }

    /// The sum of two weighted sums of different terms, the second `weight` times.
    fn add(self, other: Self, weight: f64) -> Self {
        if weight == 0.0 {
            return self;
        }
        let weighted = |factor: f64| factor * weight;
        Self {
            invariance: other.invariance.map(weighted).or(self.invariance),
            covariance: other.covariance.map(weighted).or(self.covariance),
            variance: (other.variance)
                .map(|hinge| Hinge {
                    factor: weighted(hinge.factor),
                    ..hinge
                })
                .or(self.variance),
        }
    }
}

/// A loss made of the terms above.
pub(crate) trait MomentLoss<const N: usize> {
    /// Every part for views of this shape: its name, its weight, and the one term that it is.
    fn terms(&self, shape: [usize; 2]) -> Vec<(&'static str, f64, Factors)>;
}

impl<const N: usize, L: MomentLoss<N>> Parts<N> for L {
    fn parts(&self, embeddings: [Tensor<2>; N], gradient: bool) -> Vec<Part<N>> {
        let terms = self.terms(embeddings[0].dims());
        let moments = Moments::new(embeddings);
        let part = |(name, weight, factors)| Part {
            name,
            weight,
            evaluation: moments.evaluate(factors, gradient),
        };
        terms.into_iter().map(part).collect()
    }

    fn total(&self, embeddings: [Tensor<2>; N], gradient: bool) -> Evaluation<N> {
        let terms = self.terms(embeddings[0].dims()).into_iter();
        let sum = terms.fold(Factors::default(), |sum, (_, weight, factors)| {
            sum.add(factors, weight)
        });
        Moments::new(embeddings).evaluate(sum, gradient)
    }
}

/// `N` views, one or two, and where their moments are computed.
struct Moments<const N: usize> {
    views: [Tensor<2>; N],
    place: Place<N>,
}

enum Place<const N: usize> {
    Device([Centred; N]),
    #[cfg(feature = "host-solver")]
    HostSingle(HostMoments<f32, N>),
    #[cfg(feature = "host-solver")]
    HostDouble(HostMoments<f64, N>),
}

impl<const N: usize> Moments<N> {
    /// On the host for tensors on a CPU device, elsewhere on their device.
    ///
    /// # Panics
    ///
    /// If the shapes differ.
    fn new(views: [Tensor<2>; N]) -> Self {
        for view in &views[1..] {
            assert_same_shape(&views[0], view);
        }
        #[cfg(feature = "host-solver")]
        if crate::host_device::is_host(&views[0].device()) {
            return Self::on_host(views);
        }
        Self::on_device(views)
    }

    fn on_device(views: [Tensor<2>; N]) -> Self {
        let place = Place::Device(views.each_ref().map(Centred::new));
        Self { views, place }
    }

    #[cfg(feature = "host-solver")]
    fn on_host(views: [Tensor<2>; N]) -> Self {
        let place = match views[0].dtype() {
            burn::tensor::DType::F64 => Place::HostDouble(HostMoments::new(&views)),
            _ => Place::HostSingle(HostMoments::new(&views)),
        };
        Self { views, place }
    }

    /// The weighted sum of the terms and, with `gradient`, its gradient in each view.
    fn evaluate(&self, factors: Factors, gradient: bool) -> Evaluation<N> {
        match &self.place {
            Place::Device(centred) => on_device(&self.views, centred, factors, gradient),
            #[cfg(feature = "host-solver")]
            Place::HostSingle(host) => host.evaluate(factors, gradient, &self.views[0]),
            #[cfg(feature = "host-solver")]
            Place::HostDouble(host) => host.evaluate(factors, gradient, &self.views[0]),
        }
    }
}

/// A batch with its column means removed, and the variances of its columns.
struct Centred {
    /// `Z - mean`, shape `[batch, dim]`.
    rows: Tensor<2>,
    /// Unbiased variances, shape `[1, dim]`; 0 for a batch of one.
    variance: Tensor<2>,
}

impl Centred {
    fn new(view: &Tensor<2>) -> Self {
        let rows = view.clone() - view.clone().mean_dim(0);
        let variance =
            (rows.clone().square().sum_dim(0)).div_scalar(degrees_of_freedom(rows.dims()[0]));
        Self { rows, variance }
    }
}

/// A term's value, and its part of a gradient `S Zc + Zc diag(columns)` (`b < d`) or
/// `Zc S + Zc diag(columns)`.
struct Term {
    value: Tensor<1>,
    side: Option<Tensor<2>>,
    columns: Option<Tensor<2>>,
}

fn on_device<const N: usize>(
    views: &[Tensor<2>; N],
    centred: &[Centred; N],
    factors: Factors,
    gradient: bool,
) -> Evaluation<N> {
    let mut values = Vec::new();
    let mut towards = None;
    if let Some(factor) = factors.invariance {
        let difference = views[0].clone() - views[1].clone();
        values.push(difference.clone().square().sum().mul_scalar(factor));
        towards = gradient.then(|| difference.mul_scalar(2.0 * factor));
    }
    let coefficients = std::array::from_fn(|view| {
        let batch = &centred[view];
        let variance = (factors.variance).map(|hinge| variance(batch, hinge, gradient));
        let covariance = (factors.covariance).map(|factor| covariance(batch, factor, gradient));

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
    Evaluation {
        value: value.unwrap_or_else(|| scalar(&views[0], 0.0)),
        coefficients: gradient
            .then(|| coefficients.map(|sum| sum.unwrap_or_else(|| views[0].zeros_like()))),
    }
}

/// `S Zc`, or `Zc (S + diag(columns))`, which takes the columns.
fn side_product(
    batch: &Centred,
    side: Option<Tensor<2>>,
    columns: &mut Option<Tensor<2>>,
) -> Option<Tensor<2>> {
    let side = side?;
    let [rows, dim] = batch.rows.dims();
    if rows < dim {
        return Some(side.matmul(batch.rows.clone()));
    }
    let side = match columns.take() {
        Some(columns) => side.mask_where(diagonal_mask(&batch.rows), columns.expand([dim, dim])),
        None => side,
    };
    Some(batch.rows.clone().matmul(side))
}

/// Where a d x d matrix has its diagonal.
pub(crate) fn diagonal_mask(like: &Tensor<2>) -> Tensor<2, Bool> {
    let dim = like.dims()[1];
    Tensor::<2, Bool>::diag_mask([dim, dim], 0, &like.device()).bool_not()
}

fn variance(batch: &Centred, hinge: Hinge, gradient: bool) -> Term {
    let [rows, dim] = batch.rows.dims();
    let std = batch.variance.clone().add_scalar(hinge.epsilon).sqrt();
    let missing = std.clone().neg().add_scalar(hinge.margin);
    let reached = missing.clone().lower_equal_elem(0.0);
    let slope = -hinge.factor / (dim as f64 * degrees_of_freedom(rows));
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

fn covariance(batch: &Centred, factor: f64, gradient: bool) -> Term {
    let [rows, dim] = batch.rows.dims();
    let n = degrees_of_freedom(rows);
    let factor = factor / dim as f64;
    let slope = 4.0 * factor / n;
    let (left, right) = (batch.rows.clone(), batch.rows.clone().transpose());
    if rows < dim {
        let gram = left.matmul(right).div_scalar(n);
        let squares = batch.variance.clone().square().sum();
        let value = gram.clone().square().sum() - squares;
        return Term {
            value: clamped(value).mul_scalar(factor),
            side: gradient.then(|| gram.mul_scalar(slope)),
            columns: gradient.then(|| batch.variance.clone().mul_scalar(-slope)),
        };
    }
    let covariance = right.matmul(left).div_scalar(n);
    let covariance = covariance.mask_fill(diagonal_mask(&batch.rows), 0.0);
    // The variances do not count, but a NaN among them is to be seen.
    let nothing = batch.variance.clone().mul_scalar(0.0).sum();
    Term {
        value: (covariance.clone().square().sum() + nothing).mul_scalar(factor),
        side: gradient.then(|| covariance.mul_scalar(slope)),
        columns: None,
    }
}

/// A number that is not negative but for rounding.
pub(crate) fn clamped(number: Tensor<1>) -> Tensor<1> {
    let negative = number.clone().lower_elem(0.0);
    number.mask_fill(negative, 0.0)
}

/// `batch - 1`, and 1 for a batch of one, whose deviations are all zero.
pub(crate) fn degrees_of_freedom(batch: usize) -> f64 {
    (batch.max(2) - 1) as f64
}

#[cfg(all(test, feature = "host-solver"))]
mod tests {
    use burn::tensor::{DType, Device};

    use super::*;
    use crate::test_matrices::{assert_evaluations_agree, f64_device, other_view, regimes};

    /// The statistics of the host and those of the device are the same, term by term and in sum.
    #[test]
    fn host_and_device_agree() {
        let hinge = Hinge {
            factor: 0.7,
            margin: 1.0,
            epsilon: 1e-4,
        };
        let sums = [
            (Some(1.3), None, None),
            (None, Some(hinge), None),
            (None, None, Some(0.9)),
            (None, Some(hinge), Some(0.9)),
            (Some(1.3), Some(hinge), Some(0.9)),
            (None, None, None),
        ];
        for (regime, e) in regimes() {
            let other = other_view(&e, 41);
            for (device, dtype) in [(Device::default(), DType::F32), (f64_device(), DType::F64)] {
                // What f32 leaves undecided of the spread about a mean of 1e2 to 1e4 times its size.
                if dtype == DType::F32 && regime.starts_with("nearly") {
                    continue;
                }
                let views = [&e, &other].map(|view| view.tensor(&device, dtype));
                for (invariance, variance, covariance) in sums {
                    let factors = Factors {
                        invariance,
                        variance,
                        covariance,
                    };
                    let what = format!("{factors:?} of {regime} in {dtype:?}");
                    let host = Moments::on_host(views.clone()).evaluate(factors, true);
                    let device = Moments::on_device(views.clone()).evaluate(factors, true);
                    assert_evaluations_agree(host, device, &what);
                    if invariance.is_none() {
                        let [view, _] = views.clone();
                        let host = Moments::on_host([view.clone()]).evaluate(factors, true);
                        let device = Moments::on_device([view]).evaluate(factors, true);
                        assert_evaluations_agree(host, device, &what);
                    }
                }
            }
        }
    }
}
