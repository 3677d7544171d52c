//! What the spectrum of random rows looks like.

use std::f64::consts::PI;

use fullrank::Bounds;

/// Cells of the numerical integral.
const CELLS: usize = 4096;

/// The singular values, descending, that random isotropic unit rows of shape `[rows, dims]` have in
/// the limit of large shapes: quantiles of the Marchenko-Pastur law.
///
/// With `r = min(rows, dims)` and `m = max(rows, dims)`, `s_i = U sqrt(x_i)`, where `x` has the
/// density `sqrt((x - x_-)(x_+ - x)) / (2 pi y x)` between `x_± = (1 ± sqrt y)^2` and `x_i` lies at
/// its share `(i - 1/2) / r` from above. The ratio `y = (r - 1 + 0.7 r/m) / m` is `r/m` corrected for
/// the equal lengths of the rows, as in the reference value of the diagnostics.
pub(crate) fn random_spectrum(rows: usize, dims: usize) -> Vec<f64> {
    let (rank, upper) = (rows.min(dims), Bounds::new(rows, dims).upper);
    let (r, m) = (rank as f64, rows.max(dims) as f64);
    let ratio = ((r - 1.0 + 0.7 * r / m) / m).min(1.0);
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

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    /// Against random rows themselves, tall, square and wide.
    #[test]
    fn random_rows_have_this_spectrum() {
        for (rows, dims) in [(400, 60), (150, 150), (50, 300)] {
            let mut random = ChaCha8Rng::seed_from_u64(7);
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
            let upper = Bounds::new(rows, dims).upper;
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
        let mean = values.iter().sum::<f64>() / 128.0 / Bounds::new(144, 128).upper;
        approx::assert_abs_diff_eq!(mean, 0.87, epsilon = 0.005);
    }
}
