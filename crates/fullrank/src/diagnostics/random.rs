//! What random isotropic rows reach, by the Marchenko-Pastur law.
//!
//! `b` rows of independent normal entries of variance `1/d` in `d` dimensions, `r = min(b, d)`,
//! `m = max(b, d)`: the squares of their singular values, divided by `m/d`, are distributed as
//!
//! ```text
//! density(x) = sqrt((x_+ - x)(x - x_-)) / (2 pi y x),   x_-+ = (1 -+ sqrt y)^2,   y = r/m
//! ```
//!
//! for large `b` and `d` (Marchenko & Pastur, 1967). Unit rows differ from normal ones by the
//! length of the rows, and few rows from many. Their second moment, `sum_ij (e_i.e_j)^2`, is
//! exactly that of the law with `y = (r - 1)/m`, which fits tall and wide matrices; square ones are
//! closer to `r/m`. Between the two, `y = (r - 1 + 0.7 r/m)/m` was fitted to draws.

use std::f64::consts::PI;

/// The mean singular value of `rows` random unit rows in `dims` dimensions.
///
/// `U sqrt(x)`, averaged over the law. Against the mean of 20 to 2000 draws, from 8 to 512 rows and
/// dimensions: within 0.25 %; for two to four rows or dimensions within 2.6 %.
pub(super) fn mean_singular_value(rows: usize, dims: usize) -> f64 {
    let (r, m) = (rows.min(dims) as f64, rows.max(dims) as f64);
    (rows as f64 / r).sqrt() * average(ratio(r, m), f64::sqrt)
}

/// The effective rank of `rows` random rows in `dims` dimensions without their mean, which leaves
/// `rows - 1` degrees of freedom: `exp(-sum p log p)` of the singular values. 0 for a single row.
///
/// By the law of ratio `y = r/m`, `r` and `m` the smaller and the larger of `rows - 1` and `dims`, times
///
/// ```text
/// exp(-(0.12 + 0.13 y - (0.16 + 0.35 y)/r) / m)
/// ```
///
/// which was fitted to the mean over draws of normal entries for 154 pairs of `r` from 2 to 256 and `m`
/// up to 2048. Against draws of other shapes, square ones among them, up to 512 x 512: within 0.2 % from
/// `r = 7` on, within 1 % below.
pub(super) fn effective_rank(rows: usize, dims: usize) -> f64 {
    let free = rows - 1;
    let (r, m) = (free.min(dims) as f64, free.max(dims) as f64);
    // Nothing, or a single direction.
    if r <= 1.0 {
        return r;
    }
    let y = r / m;
    let mean = average(y, f64::sqrt);
    let entropy = average(y, |x| x.sqrt() * x.ln() / 2.0);
    let few = (0.12 + 0.13 * y - (0.16 + 0.35 * y) / r) / m;
    r * mean * (-entropy / mean - few).exp()
}

/// The singular values, descending, that random isotropic unit rows of shape `[rows, dims]` have in
/// the limit of large shapes: quantiles of the Marchenko-Pastur law.
///
/// With `r = min(rows, dims)` and `m = max(rows, dims)`, `s_i = U sqrt(x_i)`, where `x` has the
/// density `sqrt((x - x_-)(x_+ - x)) / (2 pi y x)` between `x_± = (1 ± sqrt y)^2` and `x_i` lies at
/// its share `(i - 1/2) / r` from above. The ratio `y = (r - 1 + 0.7 r/m) / m` is `r/m` corrected for
/// the equal lengths of the rows, as in the reference value of the diagnostics.
pub fn random_spectrum(rows: usize, dims: usize) -> Vec<f64> {
    const CELLS: usize = 4096;
    let (rank, upper) = (rows.min(dims), crate::Bounds::new(rows, dims).upper);
    let (r, m) = (rank as f64, rows.max(dims) as f64);
    let ratio = ratio(r, m).min(1.0);
    // x = 1 + y + 2 sqrt(y) cos(phi) descends as phi rises from 0 to pi.
    let step = PI / CELLS as f64;
    let x = |phi: f64| (1.0 + ratio + 2.0 * ratio.sqrt() * phi.cos()).max(0.0);
    let mass: Vec<f64> = (0..CELLS)
        .map(|cell| (cell as f64 + 0.5) * step)
        .map(|phi| phi.sin().powi(2) / x(phi))
        .collect();
    let total: f64 = mass.iter().sum();
    let (mut cell, mut below) = (0, 0.0);
    (0..rank)
        .map(|index| {
            let wanted = total * (index as f64 + 0.5) / r;
            while cell + 1 < CELLS && below + mass[cell] < wanted {
                below += mass[cell];
                cell += 1;
            }
            let within = ((wanted - below) / mass[cell]).clamp(0.0, 1.0);
            upper * x((cell as f64 + within) * step).sqrt()
        })
        .collect()
}

fn ratio(r: f64, m: f64) -> f64 {
    if r == 1.0 {
        0.0
    } else {
        (r - 1.0 + 0.7 * r / m) / m
    }
}

/// The average of `f` over the Marchenko-Pastur law of ratio `y <= 1`: with
/// `x = 1 + y + 2 sqrt(y) cos t`, `(2/pi) int_0^pi sin^2 t f(x)/x dt` by the midpoint rule.
fn average(y: f64, f: impl Fn(f64) -> f64) -> f64 {
    const POINTS: usize = 1 << 14;
    let step = PI / POINTS as f64;
    let value = |k: usize| {
        let t = (k as f64 + 0.5) * step;
        let x = 1.0 + y + 2.0 * y.sqrt() * t.cos();
        t.sin().powi(2) * f(x) / x
    };
    (0..POINTS).map(value).sum::<f64>() * 2.0 / POINTS as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;

    #[test]
    fn moments_of_the_law() {
        for y in [0.0, 0.1, 0.5, 0.9, 1.0] {
            assert_relative_eq!(average(y, |_| 1.0), 1.0, max_relative = 2e-4);
            assert_relative_eq!(average(y, |x| x), 1.0, max_relative = 1e-10);
            assert_relative_eq!(average(y, |x| x * x), 1.0 + y, max_relative = 1e-10);
        }
        // E sqrt(x) = F(1/2, -1/2; 2; y), which is 8 / (3 pi) at y = 1.
        assert_relative_eq!(
            average(1.0, f64::sqrt),
            8.0 / (3.0 * PI),
            max_relative = 1e-7
        );
    }

    /// The mean over draws of unit normal rows (numpy, SVD), in units of the upper bound.
    #[test]
    fn draws() {
        for (rows, dims, share) in [
            (144, 128, 0.87086),
            (288, 128, 0.94102),
            (1024, 128, 0.98412),
            (72, 64, 0.87083),
            (144, 256, 0.92387),
            (32, 2, 0.99580),
            (16, 16, 0.85127),
            (5, 8, 0.92489),
            (10, 100, 0.98842),
            (512, 512, 0.84884),
        ] {
            let upper = crate::Bounds::new(rows, dims).upper;
            assert_relative_eq!(
                mean_singular_value(rows, dims) / upper,
                share,
                max_relative = 2.5e-3
            );
        }
        for (rows, dims, rank) in [
            (144, 128, 107.48),
            (288, 128, 119.75),
            (144, 256, 130.93),
            (64, 32, 29.514),
            (100, 10, 9.859),
        ] {
            assert_relative_eq!(effective_rank(rows, dims), rank, max_relative = 2.5e-3);
        }
    }

    /// The mean over draws of normal entries without their column means (numpy, SVD): square, nearly
    /// square, and few; the standard error is below 0.1 % everywhere.
    #[test]
    fn effective_rank_of_draws() {
        for (rows, dims, rank) in [
            (8, 7, 5.503),
            (8, 8, 5.791),
            (11, 8, 6.800),
            (15, 14, 11.102),
            (33, 33, 25.916),
            (40, 41, 31.907),
            (65, 64, 51.313),
            (129, 128, 102.88),
            (257, 256, 205.83),
            (512, 512, 411.34),
            (1000, 30, 29.882),
        ] {
            assert_relative_eq!(effective_rank(rows, dims), rank, max_relative = 2e-3);
        }
        for (rows, dims, rank) in [
            (3, 2, 1.624),
            (3, 3, 1.779),
            (3, 9, 1.938),
            (4, 3, 2.368),
            (4, 4, 2.574),
            (5, 4, 3.138),
            (6, 6, 4.181),
            (7, 6, 4.712),
            (300, 3, 2.996),
        ] {
            assert_relative_eq!(effective_rank(rows, dims), rank, max_relative = 1e-2);
        }
    }

    #[test]
    fn a_single_row_or_dimension() {
        for (rows, dims) in [(1, 5), (5, 1), (1, 1)] {
            let upper = crate::Bounds::new(rows, dims).upper;
            assert_relative_eq!(mean_singular_value(rows, dims), upper, max_relative = 1e-12);
        }
        assert_eq!(effective_rank(1, 5), 0.0);
        assert_relative_eq!(effective_rank(2, 5), 1.0, max_relative = 1e-12);
    }

    /// Against random rows themselves, tall, square and wide.
    #[test]
    fn random_rows_have_this_spectrum() {
        for (rows, dims) in [(400, 60), (150, 150), (50, 300)] {
            use rand::{RngExt, SeedableRng};
            let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(7);
            let mut normal = || {
                let sum: f64 = (0..12).map(|_| random.random::<f64>()).sum();
                sum - 6.0
            };
            let mut matrix = faer::Mat::from_fn(rows, dims, |_, _| normal());
            for i in 0..rows {
                let norm = (0..dims)
                    .map(|j| matrix[(i, j)].powi(2))
                    .sum::<f64>()
                    .sqrt();
                (0..dims).for_each(|j| matrix[(i, j)] /= norm);
            }
            let found = matrix.singular_values().expect("finite");
            let expected = random_spectrum(rows, dims);
            let upper = crate::Bounds::new(rows, dims).upper;
            for (found, expected) in found.iter().zip(&expected) {
                approx::assert_abs_diff_eq!(found / upper, expected / upper, epsilon = 0.06);
            }
            let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64 / upper;
            approx::assert_relative_eq!(mean(&found), mean(&expected), max_relative = 5e-3);
        }
    }

    /// `0.87 U` at b = 144, d = 128, as [`Bounds`] says.
    #[test]
    fn the_mean_is_that_of_the_documentation_of_the_bounds() {
        let values = random_spectrum(144, 128);
        let mean = values.iter().sum::<f64>() / 128.0 / crate::Bounds::new(144, 128).upper;
        approx::assert_abs_diff_eq!(mean, 0.87, epsilon = 0.005);
    }
}
