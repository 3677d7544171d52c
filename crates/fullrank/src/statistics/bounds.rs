//! The bounds of the mean singular value.

use serde::{Deserialize, Serialize};

/// What the mean singular value of `b` unit rows in `d` dimensions can be.
///
/// With `r = min(b, d)` singular values `s_i` and `sum_i s_i^2 = ||E||_F^2 = b`, the inequality
/// between the 1-norm and the 2-norm of the singular values gives
///
/// ```text
/// L = sqrt(b) / r   <=   s_mu = (1/r) sum_i s_i   <=   sqrt(b r) / r = U
/// ```
///
/// `s_mu = L` exactly if the matrix has rank one (all rows `v` or `-v`), `s_mu = U` exactly if all
/// `r` singular values are equal. This is Eq. 2-3 of Taha et al., [arXiv 2103.02770], with `r` in
/// place of `d`: the paper assumes `b >= d`, where the two agree, and its code divides the sum by `r`
/// but the bounds by `d`, which for `b < d` puts the value above its "upper bound".
///
/// Random isotropic rows do not reach `U`: at `b = 144`, `d = 128` they have `s_mu = 0.87 U`.
///
/// [arXiv 2103.02770]: https://arxiv.org/abs/2103.02770
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bounds {
    /// `L`, the value at rank one: complete collapse.
    pub lower: f64,
    /// `U`, the value at a flat spectrum: every dimension used alike.
    pub upper: f64,
    /// `r = min(b, d)`, the number of singular values averaged.
    pub rank: usize,
}

impl Bounds {
    /// The bounds for a batch of `batch` unit rows in `dim` dimensions.
    ///
    /// # Panics
    ///
    /// If `batch` or `dim` is zero.
    pub fn new(batch: usize, dim: usize) -> Self {
        assert!(
            batch > 0 && dim > 0,
            "bounds need at least one row and one dimension, got batch {batch} and dim {dim}"
        );
        let rank = batch.min(dim);
        let (b, r) = (batch as f64, rank as f64);
        Self {
            lower: b.sqrt() / r,
            upper: (b / r).sqrt(),
            rank,
        }
    }

    /// Where a mean singular value lies between the bounds: 0 at rank one, 1 at a flat spectrum.
    ///
    /// With a single singular value (`rank` 1) the bounds coincide and there is nothing to spread:
    /// the answer is 1.
    pub fn utilization(&self, mean_singular_value: f64) -> f64 {
        if self.rank == 1 {
            1.0
        } else {
            (mean_singular_value - self.lower) / (self.upper - self.lower)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `svmax_pytorch.py` (official code) for b = 144, d = 128, and its MNIST demo, b = 32, d = 2.
    #[test]
    fn official_values() {
        let bounds = Bounds::new(144, 128);
        approx::assert_relative_eq!(bounds.lower, 0.09375, max_relative = 1e-15);
        approx::assert_relative_eq!(bounds.upper, 1.0606601717798214, max_relative = 1e-15);
        assert_eq!(bounds.rank, 128);
        let bounds = Bounds::new(32, 2);
        approx::assert_relative_eq!(bounds.lower, 8f64.sqrt(), max_relative = 1e-15);
        approx::assert_relative_eq!(bounds.upper, 4.0, max_relative = 1e-15);
    }

    #[test]
    fn wide_batches_average_over_the_rank() {
        let bounds = Bounds::new(64, 128);
        assert_eq!((bounds.lower, bounds.upper, bounds.rank), (0.125, 1.0, 64));
    }

    #[test]
    fn one_singular_value_leaves_nothing_to_spread() {
        for (batch, dim) in [(1, 7), (7, 1), (1, 1)] {
            let bounds = Bounds::new(batch, dim);
            assert_eq!(bounds.lower, bounds.upper);
            assert_eq!(bounds.utilization(bounds.lower), 1.0);
        }
    }

    #[test]
    #[should_panic(expected = "got batch 0 and dim 3")]
    fn an_empty_batch_has_no_bounds() {
        Bounds::new(0, 3);
    }
}
