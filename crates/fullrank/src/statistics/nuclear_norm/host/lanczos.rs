//! The largest eigenvalues of a symmetric operator.

use faer::Mat;

use crate::host::symmetric::{add_scaled, dot, eigenpairs};

/// An approximate eigenpair.
#[derive(Clone, Debug)]
pub(crate) struct Ritz {
    pub(crate) value: f64,
    /// `||A x - value x||`: an eigenvalue is this near.
    pub(crate) residual: f64,
    /// The norm of what the last step left outside the space.
    pub(crate) remainder: f64,
}

impl Ritz {
    /// For the first pair: near the largest eigenvalue, from a few percent below it to a few above.
    pub(crate) fn bound(&self) -> f64 {
        self.value + self.residual
    }

    /// For the first pair: above the largest eigenvalue, unless the start of the method was all but
    /// orthogonal to its eigenvector, and by a fifth or less where eigenvalues lie close together (Zhou &
    /// Li, 2011, "Bounding the spectrum of large Hermitian matrices").
    pub(crate) fn safe_bound(&self) -> f64 {
        self.value + self.remainder
    }
}

/// Ritz pairs of a positive semi-definite operator on `R^dim` after `steps` applications of it, by
/// falling value: Lanczos' method from a pseudo-random vector, the same for the same `start`.
///
/// There is at least one. [`None`] if a number is not finite.
pub(crate) fn largest_eigenpairs(
    dim: usize,
    steps: usize,
    start: u64,
    mut apply: impl FnMut(&[f64]) -> Vec<f64>,
) -> Option<Vec<Ritz>> {
    let mut basis: Vec<Vec<f64>> = vec![unit(noise(dim, start))?];
    let (mut diagonal, mut below) = (Vec::new(), Vec::new());
    for step in 0..steps.min(dim) {
        let mut next = apply(&basis[step]);
        diagonal.push(dot(&next, &basis[step]));
        // Twice is enough to be orthogonal to rounding.
        for _ in 0..2 {
            for vector in &basis {
                let along = dot(&next, vector);
                add_scaled(&mut next, -along, vector);
            }
        }
        let norm = dot(&next, &next).sqrt();
        if !norm.is_finite() {
            return None;
        }
        below.push(norm);
        // The basis spans an invariant subspace.
        if norm <= 1e-14 * diagonal[0].abs() {
            break;
        }
        basis.push(unit(next)?);
    }

    let size = diagonal.len();
    let projected = Mat::from_fn(size, size, |i, j| match i.abs_diff(j) {
        0 => diagonal[i],
        1 => below[i.min(j)],
        _ => 0.0,
    });
    let (values, vectors) = eigenpairs(&projected)?;
    let pair = |k: usize| Ritz {
        value: values[k],
        residual: below[size - 1] * vectors[(size - 1, k)].abs(),
        remainder: below[size - 1],
    };
    Some((0..size).rev().map(pair).collect())
}

/// Numbers in (-1, 1) without a pattern: a Weyl sequence, its bits mixed (splitmix64).
fn noise(dim: usize, start: u64) -> Vec<f64> {
    let first = 1 + start * dim as u64;
    (first..first + dim as u64)
        .map(|i| {
            let mut z = i.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            (z ^ (z >> 31)) as f64 / u64::MAX as f64 * 2.0 - 1.0
        })
        .collect()
}

/// `vector`, of norm 1; [`None`] if it is zero or not finite.
fn unit(mut vector: Vec<f64>) -> Option<Vec<f64>> {
    let norm = dot(&vector, &vector).sqrt();
    if !(norm.is_finite() && norm > 0.0) {
        return None;
    }
    vector.iter_mut().for_each(|x| *x /= norm);
    Some(vector)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(spectrum: &[f64], steps: usize) -> Vec<Ritz> {
        let apply = |x: &[f64]| x.iter().zip(spectrum).map(|(x, s)| x * s).collect();
        largest_eigenpairs(spectrum.len(), steps, 0, apply).unwrap()
    }

    #[test]
    fn above_the_largest_and_not_by_much() {
        let even: Vec<f64> = (1..=200).map(f64::from).collect();
        let decay: Vec<f64> = (0..200).map(|i| 0.9f64.powi(i)).collect();
        let mut spike = vec![1e-6; 200];
        spike[77] = 3.0;
        let mut hidden = vec![1.0; 200];
        hidden[5] = 1.05;
        for spectrum in [even, decay, spike, hidden] {
            let largest = spectrum.iter().copied().fold(0.0, f64::max);
            let pair = &pairs(&spectrum, 10)[0];
            let (bound, safe) = (pair.bound(), pair.safe_bound());
            assert!(
                (largest * (1.0 - 1e-12)..=1.1 * largest).contains(&bound),
                "{bound} for {largest}"
            );
            assert!(
                (bound..=1.4 * largest).contains(&safe),
                "{safe} for {largest}"
            );
        }
    }

    #[test]
    fn exact_on_small_and_flat_operators() {
        for spectrum in [vec![2.0], vec![0.5, 7.0], vec![3.0; 64]] {
            let largest = spectrum.iter().copied().fold(0.0, f64::max);
            let bound = pairs(&spectrum, 10)[0].bound();
            approx::assert_relative_eq!(bound, largest, max_relative = 1e-10);
        }
    }

    /// The inverse of a square random batch: a few eigenvalues far above the others.
    #[test]
    fn eigenpairs_that_stand_out() {
        let spectrum: Vec<f64> = (0..300)
            .map(|i| 1.0 / f64::from(2 * i + 1).powi(2))
            .collect();
        for (k, pair) in pairs(&spectrum, 10).iter().enumerate().take(3) {
            assert!(pair.residual <= 1e-4 * pair.value);
            approx::assert_relative_eq!(pair.value, spectrum[k], max_relative = 1e-7);
        }
    }

    #[test]
    fn not_a_number_has_no_bound() {
        assert!(largest_eigenpairs(3, 4, 0, |_| vec![f64::NAN; 3]).is_none());
    }
}
