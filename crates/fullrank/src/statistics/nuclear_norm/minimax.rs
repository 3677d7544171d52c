//! Odd quintic polynomials that drive singular values to one.
//!
//! For singular values in `[l, u]` the best step towards the polar factor by an odd quintic
//! `p(x) = a x + b x^3 + c x^5` is the one that minimizes `max |1 - p(x)|`. Its error equioscillates
//! at four points `l < q < r < u`, of which `q` and `r` are the extrema of `p`: a Remez exchange finds
//! them. The step maps `[l, u]` into `[p(l), 2 - p(l)]`, on which the next step is the best again, and
//! the composition of best steps is the best composition (Amsel et al., [arXiv 2505.16932],
//! Theorem 3.1).
//!
//! [arXiv 2505.16932]: https://arxiv.org/abs/2505.16932

/// The best step never aims below this share of the interval's upper end. Without it, the first
/// steps from a small `l` would press healthy singular values down to `p(l)`, near zero, and lose
/// their relative accuracy (ibid., section 4.4).
const CUSHION: f64 = 0.024;

/// While the interval is wide, every step is made for one this much longer at its upper end. There
/// `p` rises steeply, and the excess that rounding gives a singular value over `u` would grow tenfold
/// a step (ibid., section 4.4).
const SAFETY: f64 = 1.01;

/// Coefficients of `a x + b x^3 + c x^5`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OddQuintic {
    pub(crate) a: f64,
    pub(crate) b: f64,
    pub(crate) c: f64,
}

impl OddQuintic {
    pub(crate) fn at(&self, x: f64) -> f64 {
        let squared = x * x;
        x * (self.a + squared * (self.b + squared * self.c))
    }

    /// The best approximation of 1 on `[lower, upper]`, `0 < lower <= upper`.
    fn best(lower: f64, upper: f64) -> Self {
        // Scaled to an upper end of one.
        let l = lower / upper;
        let unit = if 1.0 - l < 1e-5 {
            // Equal to the best in double precision: the Newton-Schulz step of order three.
            Self {
                a: 15.0 / 8.0,
                b: -10.0 / 8.0,
                c: 3.0 / 8.0,
            }
        } else {
            Self::remez(l)
        };
        Self {
            a: unit.a / upper,
            b: unit.b / upper.powi(3),
            c: unit.c / upper.powi(5),
        }
    }

    fn remez(l: f64) -> Self {
        let (mut q, mut r) = ((3.0 * l + 1.0) / 4.0, (l + 3.0) / 4.0);
        let mut quintic = Self {
            a: 0.0,
            b: 0.0,
            c: 0.0,
        };
        let mut error = f64::INFINITY;
        for _ in 0..100 {
            let [a, b, c, e] = equioscillating([l, q, r, 1.0]);
            quintic = Self { a, b, c };
            // p'(x) = a + 3 b x^2 + 5 c x^4 vanishes at q and r.
            let root = (9.0 * b * b - 20.0 * a * c).sqrt();
            q = ((-3.0 * b - root) / (10.0 * c)).sqrt();
            r = ((-3.0 * b + root) / (10.0 * c)).sqrt();
            if (error - e).abs() <= 1e-15 {
                break;
            }
            error = e;
        }
        quintic
    }
}

/// `[a, b, c, e]` such that `a x + b x^3 + c x^5` is `1 - e, 1 + e, 1 - e, 1 + e` at the four points.
fn equioscillating(points: [f64; 4]) -> [f64; 4] {
    let mut rows = [[0.0; 5]; 4];
    for (i, (row, x)) in rows.iter_mut().zip(points).enumerate() {
        let sign = if i % 2 == 0 { 1.0 } else { -1.0 };
        *row = [x, x.powi(3), x.powi(5), sign, 1.0];
    }
    // Gaussian elimination with partial pivoting.
    for column in 0..4 {
        let pivot = (column..4)
            .max_by(|&i, &j| rows[i][column].abs().total_cmp(&rows[j][column].abs()))
            .expect("a non-empty range");
        rows.swap(column, pivot);
        let pivot = rows[column];
        for row in &mut rows[column + 1..] {
            let factor = row[column] / pivot[column];
            for (entry, above) in row.iter_mut().zip(pivot).skip(column) {
                *entry -= factor * above;
            }
        }
    }
    let mut solution = [0.0; 4];
    for i in (0..4).rev() {
        let known: f64 = (i + 1..4).map(|j| rows[i][j] * solution[j]).sum();
        solution[i] = (rows[i][4] - known) / rows[i][i];
    }
    solution
}

/// The steps that take every singular value in `[lower, 1]` to within `tolerance` of 1.
///
/// # Panics
///
/// If `lower` is not in `(0, 1]` or `tolerance` is not positive.
pub(crate) fn steps_to_one(lower: f64, tolerance: f64) -> Vec<OddQuintic> {
    assert!(
        lower > 0.0 && lower <= 1.0 && tolerance > 0.0,
        "need 0 < lower <= 1 and a positive tolerance, got {lower} and {tolerance}"
    );
    let (mut l, mut u) = (lower, 1.0);
    let mut steps = Vec::new();
    while 1.0 - l > tolerance {
        if l < 0.5 * u {
            u *= SAFETY;
        }
        let aim = l.max(CUSHION * u);
        let mut step = OddQuintic::best(aim, u);
        if aim > l {
            // Centred for [aim, u]; centre it for [l, u], where it starts lower.
            let scale = 2.0 / (step.at(l) + step.at(u));
            step = OddQuintic {
                a: step.a * scale,
                b: step.b * scale,
                c: step.c * scale,
            };
        }
        l = step.at(l);
        u = 2.0 - l;
        steps.push(step);
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compose(steps: &[OddQuintic], x: f64) -> f64 {
        steps.iter().fold(x, |x, step| step.at(x))
    }

    /// The Polar Express coefficients for l = 1e-3 with cushion 0.02407327 (arXiv 2505.16932,
    /// section 4.4), which leave out the safety margin.
    #[test]
    fn published_coefficients() {
        let published = [
            [8.28721201814563, -23.595886519098837, 17.300387312530933],
            [4.107059111542203, -2.9478499167379106, 0.5448431082926601],
            [3.9486908534822946, -2.908902115962949, 0.5518191394370137],
        ];
        for (step, published) in steps_to_one(1e-3, 1e-9).iter().zip(published) {
            let ours = [
                step.a * SAFETY,
                step.b * SAFETY.powi(3),
                step.c * SAFETY.powi(5),
            ];
            for (ours, theirs) in ours.into_iter().zip(published) {
                approx::assert_relative_eq!(ours, theirs, max_relative = 3e-3);
            }
        }
    }

    #[test]
    fn every_singular_value_arrives() {
        for lower in [0.5, 1e-1, 1e-3, 1e-5, 1e-7] {
            for tolerance in [1e-3, 1e-6, 1e-12] {
                let steps = steps_to_one(lower, tolerance);
                assert!(steps.len() <= 20, "{} steps from {lower}", steps.len());
                for i in 0..=2000 {
                    let x = lower.powf(f64::from(i) / 2000.0);
                    let error = (compose(&steps, x) - 1.0).abs();
                    assert!(error <= 1.01 * tolerance + 1e-14, "{x}: {error}");
                }
            }
        }
    }

    #[test]
    fn smaller_singular_values_rise_in_order() {
        let steps = steps_to_one(1e-4, 1e-6);
        let mut last = 0.0;
        for i in 1..=100 {
            let image = compose(&steps, 1e-4 * f64::from(i) / 100.0);
            assert!(image > last && image < 1.0 + 1e-6);
            last = image;
        }
    }
}
