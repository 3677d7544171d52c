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
//! for `C` or `G` and one for the gradient; on the [host](host) the first of them is half a
//! product, of one triangle. A difference of sums never falls below zero by rounding: it is clamped.

mod device;
#[cfg(feature = "host-solver")]
mod host;

use burn::tensor::Tensor;

use self::device::{CentredView, on_device};
#[cfg(feature = "host-solver")]
use self::host::HostMoments;
use super::Solver;
use crate::shards::{MomentSums, precise};
use crate::surrogate::{Surrogate, assert_same_shape};

/// A weighted sum of the terms above, each by its factor. One that is not there is neither computed nor
/// counted.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct MomentTerms {
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

impl MomentTerms {
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
    pub(crate) fn add(self, other: Self, weight: f64) -> Self {
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

/// `N` views, one or two, and their moments.
pub(crate) struct Moments<const N: usize> {
    views: [Tensor<2>; N],
    /// `||Z - Z'||_F^2` of a batch in shards, which a shard does not tell.
    apart: Option<Tensor<1>>,
    place: Place<N>,
}

enum Place<const N: usize> {
    Device([CentredView; N]),
    #[cfg(feature = "host-solver")]
    HostSingle(HostMoments<f32, N>),
    #[cfg(feature = "host-solver")]
    HostDouble(HostMoments<f64, N>),
}

impl<const N: usize> Moments<N> {
    /// Where the solver says.
    ///
    /// # Panics
    ///
    /// If the shapes differ.
    pub(crate) fn new(views: [Tensor<2>; N], solver: Solver) -> Self {
        for view in &views[1..] {
            assert_same_shape(&views[0], view);
        }
        #[cfg(feature = "host-solver")]
        if solver.on_host(&views[0].device()) {
            return Self::on_host(views);
        }
        let _ = solver;
        Self::on_device(views)
    }

    fn on_device(views: [Tensor<2>; N]) -> Self {
        let place = Place::Device(views.each_ref().map(CentredView::new));
        Self {
            views,
            place,
            apart: None,
        }
    }

    /// Of a batch in shards, with the gradient of the rows of one of them; `covariance` says whether the sums have it.
    pub(crate) fn of_shard(shard: [Tensor<2>; N], batch: &MomentSums, covariance: bool) -> Self {
        let mut view = 0;
        let centred = shard.each_ref().map(|shard| {
            let centred = CentredView::of_shard(shard, view, batch, covariance);
            view += 1;
            centred
        });
        let apart = (N == 2).then(|| batch.sum(0, &shard[0]).reshape([1]));
        Self {
            views: shard,
            place: Place::Device(centred),
            apart,
        }
    }

    /// What the other shards of a batch must know of this one.
    pub(crate) fn sums(shard: &[Tensor<2>; N], covariance: bool) -> MomentSums {
        let products: Vec<[usize; 2]> = match covariance {
            true => (0..N).map(|view| [view, view]).collect(),
            false => Vec::new(),
        };
        let sums = MomentSums::of(shard, &products);
        match N {
            2 => sums.with(squared_distance(&shard[0], &shard[1])),
            _ => sums,
        }
    }

    #[cfg(feature = "host-solver")]
    fn on_host(views: [Tensor<2>; N]) -> Self {
        let place = match views[0].dtype() {
            burn::tensor::DType::F64 => Place::HostDouble(HostMoments::new(&views)),
            _ => Place::HostSingle(HostMoments::new(&views)),
        };
        Self {
            views,
            place,
            apart: None,
        }
    }

    /// The weighted sum of the terms and, with `gradient`, its gradient in each view.
    pub(crate) fn evaluate(&self, terms: MomentTerms, gradient: bool) -> Surrogate<N> {
        match &self.place {
            Place::Device(centred) => {
                on_device(&self.views, centred, self.apart.as_ref(), terms, gradient)
            }
            #[cfg(feature = "host-solver")]
            Place::HostSingle(host) => host.evaluate(terms, gradient, &self.views[0]),
            #[cfg(feature = "host-solver")]
            Place::HostDouble(host) => host.evaluate(terms, gradient, &self.views[0]),
        }
    }
}

/// `||Z - Z'||_F^2`, shape `[1, 1]`.
pub(crate) fn squared_distance(first: &Tensor<2>, second: &Tensor<2>) -> Tensor<2> {
    let [first, second] = [first, second].map(precise);
    (first - second).square().sum().unsqueeze()
}

/// `batch - 1`, and 1 for a batch of one, whose deviations are all zero.
pub(crate) fn degrees_of_freedom(batch: usize) -> f64 {
    (batch.max(2) - 1) as f64
}

#[cfg(all(test, feature = "host-solver"))]
mod tests {
    use burn::tensor::{DType, Device};

    use super::*;
    use crate::statistics::test_matrices::{
        assert_evaluations_agree, f64_device, other_view, regimes,
    };

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
                    let terms = MomentTerms {
                        invariance,
                        variance,
                        covariance,
                    };
                    let what = format!("{terms:?} of {regime} in {dtype:?}");
                    let host = Moments::on_host(views.clone()).evaluate(terms, true);
                    let device = Moments::on_device(views.clone()).evaluate(terms, true);
                    assert_evaluations_agree(host, device, &what);
                    if invariance.is_none() {
                        let [view, _] = views.clone();
                        let host = Moments::on_host([view.clone()]).evaluate(terms, true);
                        let device = Moments::on_device([view]).evaluate(terms, true);
                        assert_evaluations_agree(host, device, &what);
                    }
                }
            }
        }
    }
}
