//! The best rational approximation of `x^{-1/2}`, as a sum of poles.
//!
//! Zolotarev's odd function `f(s) = M s prod_k (s^2 + c_2k) / (s^2 + c_{2k-1})` with `p` factors is the
//! rational function of type (2p + 1, 2p) nearest to the sign function on `[-1, -l] + [l, 1]`. Its
//! error equioscillates: `|f(s) - 1| <= e` for `s` in `[l, 1]`, with `f(l) = 1 - e`, `f(1) = 1 + e`, and
//! `e` falls by a factor of about `exp(pi^2 / ln(4 / l))` a pole. Hence
//!
//! ```text
//! x^{-1/2} ~ f(sqrt x) / sqrt x = M (1 + sum_j a_j / (x + c_{2j-1})),   x in [l^2, 1]
//! ```
//!
//! to the relative error `e`. At a matrix, each pole is one inverse of a shifted matrix, independent
//! of the others (Nakatsukasa & Freund, SIAM Review 58 (2016), section 3:
//! `c_i = l^2 sn^2(i K / (2p + 1)) / cn^2(i K / (2p + 1))`, Jacobi's functions of modulus
//! `sqrt(1 - l^2)`, `K` its quarter period).
//!
//! `f` takes `[l, 1]` to `[1 - e, 1 + e]`, and the best function of that interval after it is again the best of
//! its type, `((2p + 1)^2, ..)` (ibid., the title of which promises decompositions in two iterations): two steps of two poles
//! reach what one step of twelve does.

/// One term `residue / (x + shift)`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pole {
    pub(crate) shift: f64,
    pub(crate) residue: f64,
}

/// `scale (1 + sum_j residue_j / (x + shift_j))`, near `x^{-1/2}` for `x` in `[lower^2, 1]`.
#[derive(Clone, Debug)]
pub(crate) struct InverseRoot {
    pub(crate) scale: f64,
    /// By rising shift.
    pub(crate) poles: Vec<Pole>,
    /// The largest relative error on the interval.
    pub(crate) error: f64,
}

/// More poles than this are never useful: their error is rounding.
const MOST_POLES: usize = 40;

impl InverseRoot {
    /// The approximation with the fewest poles whose relative error on `[lower^2, 1]` is at most
    /// `tolerance`.
    ///
    /// # Panics
    ///
    /// If `lower` is not in `(0, 1]` or `tolerance` not positive.
    pub(crate) fn new(lower: f64, tolerance: f64) -> Self {
        assert!(
            lower > 0.0 && lower <= 1.0 && tolerance > 0.0,
            "need 0 < lower <= 1 and a positive tolerance, got {lower} and {tolerance}"
        );
        // At l = 1 the interval is a point and the formulas divide by zero.
        let lower = lower.min(0.99);
        (1..=MOST_POLES)
            .map(|poles| Self::with_poles(lower, poles))
            .find(|root| root.error <= tolerance || root.poles.len() == MOST_POLES)
            .expect("the last one is always accepted")
    }

    /// The approximation with this many poles.
    pub(crate) fn with_poles(lower: f64, count: usize) -> Self {
        let period = quarter_period(lower);
        let node = |i: usize| {
            let (sn, cn) = jacobi(i as f64 * period / (2 * count + 1) as f64, lower);
            (lower * sn / cn).powi(2)
        };
        let zeros: Vec<f64> = (1..=count).map(|j| node(2 * j)).collect();
        let shifts: Vec<f64> = (1..=count).map(|j| node(2 * j - 1)).collect();

        let unscaled = |s: f64| {
            let factors = zeros.iter().zip(&shifts);
            factors.fold(s, |f, (zero, shift)| f * (s * s + zero) / (s * s + shift))
        };
        let (least, greatest) = (unscaled(lower), unscaled(1.0));
        let residue = |j: usize| {
            let others = (0..count).filter(|&k| k != j);
            let own = zeros[j] - shifts[j];
            others.fold(own, |product, k| {
                product * (zeros[k] - shifts[j]) / (shifts[k] - shifts[j])
            })
        };
        Self {
            scale: 2.0 / (least + greatest),
            poles: (0..count)
                .map(|j| Pole {
                    shift: shifts[j],
                    residue: residue(j),
                })
                .collect(),
            error: (greatest - least) / (greatest + least),
        }
    }
}

/// The quarter period `K` of Jacobi's functions of complementary modulus `complementary`, by the
/// arithmetic-geometric mean.
fn quarter_period(complementary: f64) -> f64 {
    let (mut a, mut b) = (1.0, complementary);
    while a - b > 1e-15 * a {
        (a, b) = (0.5 * (a + b), (a * b).sqrt());
    }
    std::f64::consts::FRAC_PI_2 / a
}

/// `(sn u, cn u)` of complementary modulus `complementary` in `(0, 1)`, by descending Gauss
/// transformations (Abramowitz & Stegun, 16.12 with 16.4).
fn jacobi(u: f64, complementary: f64) -> (f64, f64) {
    let (mut a, mut b) = (1.0, complementary);
    let mut ratios = Vec::new();
    let mut c = (1.0 - complementary * complementary).sqrt();
    // The next c is c^2 / 4 a: rounding.
    while c > 1e-8 * a {
        (a, b, c) = (0.5 * (a + b), (a * b).sqrt(), 0.5 * (a - b));
        ratios.push(c / a);
    }
    let mut amplitude = (1u64 << ratios.len()) as f64 * a * u;
    for ratio in ratios.into_iter().rev() {
        amplitude = 0.5 * (amplitude + (ratio * amplitude.sin()).asin());
    }
    amplitude.sin_cos()
}

#[cfg(test)]
mod tests {
    use super::*;

    impl InverseRoot {
        fn at(&self, x: f64) -> f64 {
            let sum: f64 = (self.poles.iter())
                .map(|pole| pole.residue / (x + pole.shift))
                .sum();
            self.scale * (1.0 + sum)
        }
    }

    #[test]
    fn the_error_is_the_one_stated_and_equioscillates() {
        for lower in [0.9, 0.3, 1e-1, 1e-2, 1e-4, 1e-6] {
            for count in [1, 2, 4, 7] {
                let root = InverseRoot::with_poles(lower, count);
                let errors: Vec<f64> = (0..=4000)
                    .map(|i| lower.powf(f64::from(i) / 4000.0))
                    .map(|s| s * root.at(s * s) - 1.0)
                    .collect();
                let greatest = errors.iter().copied().fold(f64::MIN, f64::max);
                let least = errors.iter().copied().fold(f64::MAX, f64::min);
                let slack = 1e-3 * root.error + 1e-13;
                assert!((greatest - root.error).abs() <= slack, "{lower}, {count}");
                assert!((least + root.error).abs() <= slack, "{lower}, {count}");
            }
        }
    }

    /// Errors by number of poles, computed with 30 digits from the formulas of the source.
    #[test]
    fn as_few_poles_as_the_theory_says() {
        for (lower, tolerance, poles) in [
            (0.1, 4e-4, 3),
            (0.1, 3e-5, 4),
            (0.01, 2.5e-3, 4),
            (0.001, 7e-3, 5),
            (0.001, 2.5e-3, 6),
        ] {
            assert_eq!(InverseRoot::new(lower, tolerance).poles.len(), poles);
        }
        // A flat spectrum needs a single pole.
        assert_eq!(InverseRoot::new(1.0, 1e-4).poles.len(), 1);
    }

    #[test]
    fn jacobi_functions_at_known_points() {
        // Modulus sqrt(0.5): K = 1.854074677301372 (Abramowitz & Stegun, table 17.1).
        let complementary = 0.5f64.sqrt();
        let period = quarter_period(complementary);
        approx::assert_relative_eq!(period, 1.854_074_677_301_372, max_relative = 1e-14);
        let (sn, cn) = jacobi(period, complementary);
        approx::assert_relative_eq!(sn, 1.0, max_relative = 1e-14);
        approx::assert_relative_eq!(cn, 0.0, epsilon = 1e-8);
        // sn(K/2) = 1 / sqrt(1 + k').
        let (sn, _) = jacobi(period / 2.0, complementary);
        approx::assert_relative_eq!(sn, 1.0 / (1.0 + complementary).sqrt(), max_relative = 1e-14);
    }
}
