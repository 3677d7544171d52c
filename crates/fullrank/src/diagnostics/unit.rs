//! Rows of unit length: how they are made, and how evenly they spread over the sphere.

use std::collections::BinaryHeap;

use faer::MatRef;

use super::dimensions::{over_pairs, pairs};

/// Writes `row / ||row||` to `unit`; a zero row stays zero. Whether it was one.
pub(super) fn normalize(row: &[f64], unit: &mut [f64]) -> bool {
    /// Below it the squares lose digits.
    const SMALL: f64 = 1e-100;
    let largest = row.iter().fold(0.0f64, |largest, x| largest.max(x.abs()));
    if largest == 0.0 {
        unit.fill(0.0);
        return true;
    }
    let scale = if largest < SMALL { 1.0 / largest } else { 1.0 };
    let square: f64 = row.iter().map(|x| (x * scale) * (x * scale)).sum();
    let factor = 1.0 / square.sqrt();
    for (unit, x) in unit.iter_mut().zip(row) {
        *unit = x * scale * factor;
    }
    false
}

/// `log mean exp(-2 ||x - y||^2)` over the pairs of some rows of `dims` numbers; [`None`] without a
/// pair.
pub(super) fn uniformity(rows: &[f64], dims: usize) -> Option<f64> {
    const T: f64 = 2.0;
    let count = rows.len() / dims;
    let squares: Vec<f64> = (rows.chunks_exact(dims))
        .map(|row| row.iter().map(|x| x * x).sum())
        .collect();
    let sum = over_pairs(
        MatRef::from_row_major_slice(rows, count, dims),
        |product, i, j| (-T * (squares[i] + squares[j] - 2.0 * product).max(0.0)).exp(),
    );
    (count > 1).then(|| (sum / pairs(count)).ln())
}

/// The rows that are compared in pairs: all of them up to [`Sample::capacity`], beyond it the rows of which a
/// hash of the index is smallest, whatever the blocks they come in.
pub(super) struct Sample {
    dims: usize,
    capacity: usize,
    seen: u64,
    /// The hashes of the rows taken, largest first, with their places.
    taken: BinaryHeap<(u64, usize)>,
    rows: Vec<f64>,
}

impl Sample {
    const ROWS: usize = 8192;
    const LEAST_ROWS: usize = 1024;
    const ENTRIES: usize = 1 << 23;

    pub(super) fn new(dims: usize) -> Self {
        Self {
            dims,
            capacity: Self::capacity(dims),
            seen: 0,
            taken: BinaryHeap::new(),
            rows: Vec::new(),
        }
    }

    /// 8192 rows up to 1024 dimensions; 2^23 entries, but 1024 rows, above.
    fn capacity(dims: usize) -> usize {
        (Self::ENTRIES / dims).clamp(Self::LEAST_ROWS, Self::ROWS)
    }

    /// Takes what belongs to the sample from the next rows.
    pub(super) fn offer(&mut self, rows: &[f64]) {
        for row in rows.chunks_exact(self.dims) {
            let hash = scrambled(self.seen);
            self.seen += 1;
            let place = if self.taken.len() < self.capacity {
                self.rows.resize(self.rows.len() + self.dims, 0.0);
                self.taken.len()
            } else {
                match self.taken.peek() {
                    Some(&(largest, place)) if hash < largest => {
                        self.taken.pop();
                        place
                    }
                    _ => continue,
                }
            };
            self.taken.push((hash, place));
            self.rows[place * self.dims..][..self.dims].copy_from_slice(row);
        }
    }

    /// How many rows were taken.
    pub(super) fn len(&self) -> usize {
        self.taken.len()
    }

    /// The mean cosine over the pairs of the rows less `mean`.
    pub(super) fn mean_cosine_without(&self, mean: &[f64]) -> Option<f64> {
        let (mut sums, mut zero_rows) = (vec![0.0; self.dims], 0);
        let (mut centred, mut unit) = (vec![0.0; self.dims], vec![0.0; self.dims]);
        for row in self.rows.chunks_exact(self.dims) {
            for (centred, (x, mean)) in centred.iter_mut().zip(row.iter().zip(mean)) {
                *centred = x - mean;
            }
            zero_rows += usize::from(normalize(&centred, &mut unit));
            for (sum, x) in sums.iter_mut().zip(&unit) {
                *sum += x;
            }
        }
        let square = sums.iter().map(|x| x * x).sum();
        mean_cosine(square, self.len(), zero_rows)
    }

    /// The uniformity of the rows.
    pub(super) fn uniformity(mut self) -> Option<f64> {
        let mut unit = vec![0.0; self.dims];
        for row in self.rows.chunks_exact_mut(self.dims) {
            normalize(row, &mut unit);
            row.copy_from_slice(&unit);
        }
        uniformity(&self.rows, self.dims)
    }
}

/// The mean of `<u, v>` over the pairs of distinct rows among `rows` unit rows and zeros, from the square of
/// their sum: `(||sum u||^2 - n) / (b (b - 1))`, `n` the rows that are not zero. [`None`] without a pair.
pub(super) fn mean_cosine(square_of_sum: f64, rows: usize, zero_rows: usize) -> Option<f64> {
    let unit_rows = (rows - zero_rows) as f64;
    (rows > 1).then(|| ((square_of_sum - unit_rows) / (2.0 * pairs(rows))).clamp(-1.0, 1.0))
}

/// A bijection of the 64-bit numbers whose values look random: the finaliser of SplitMix64 (Steele
/// et al., 2014).
fn scrambled(index: u64) -> u64 {
    let mut z = index.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;

    #[test]
    fn rows_of_any_size_become_unit_rows() {
        for scale in [1e-300, 1e-150, 1.0, 1e140] {
            let mut unit = [0.0; 2];
            assert!(!normalize(&[3.0 * scale, -4.0 * scale], &mut unit));
            assert_relative_eq!(unit[0], 0.6, max_relative = 1e-14);
            assert_relative_eq!(unit[1], -0.8, max_relative = 1e-14);
        }
        let mut unit = [1.0; 2];
        assert!(normalize(&[0.0, 0.0], &mut unit));
        assert_eq!(unit, [0.0; 2]);
    }

    #[test]
    fn uniformity_of_known_rows() {
        // Three pairs at squared distances 2, 4 and 2.
        let rows = [1.0, 0.0, 0.0, 1.0, -1.0, 0.0];
        let expected = ((2.0 * (-4f64).exp() + (-8f64).exp()) / 3.0).ln();
        assert_relative_eq!(
            uniformity(&rows, 2).unwrap(),
            expected,
            max_relative = 1e-14
        );
        assert_eq!(uniformity(&[1.0, 0.0, 1.0, 0.0], 2), Some(0.0));
        assert_eq!(uniformity(&rows[..2], 2), None);
    }

    #[test]
    fn mean_cosines_by_hand() {
        // Cosines 1, 0, 0 and three times 0 with the zero row.
        let mut sample = Sample::new(2);
        sample.offer(&[3.0, 0.0, 5.0, 0.0, 0.0, 2.0, 0.0, 0.0]);
        let found = sample.mean_cosine_without(&[0.0, 0.0]).unwrap();
        assert_relative_eq!(found, 1.0 / 6.0, max_relative = 1e-14);
        // About (3, 0): of the four rows 0, e_1, (-3, 2) / sqrt 13 and -e_1.
        let root = 13f64.sqrt();
        let expected = (-3.0 / root - 1.0 + 3.0 / root) / 6.0;
        let found = sample.mean_cosine_without(&[3.0, 0.0]).unwrap();
        assert_relative_eq!(found, expected, max_relative = 1e-14);
        assert_eq!(mean_cosine(1.0, 1, 0), None);
    }

    #[test]
    fn the_sample_does_not_depend_on_the_blocks() {
        let dims = 1;
        let rows: Vec<f64> = (0..20_000)
            .map(|i| if i % 3 == 0 { -1.0 } else { 1.0 })
            .collect();
        let mut whole = Sample::new(dims);
        whole.offer(&rows);
        let mut parts = Sample::new(dims);
        rows.chunks(777).for_each(|rows| parts.offer(rows));
        assert_eq!(whole.rows, parts.rows);
        assert_eq!(whole.len(), 8192);
        // A third of the rows is -1: a random sample of 8192 has 2731 of them, give or take 43.
        let negative = whole.rows.iter().filter(|x| **x < 0.0).count();
        assert!(negative.abs_diff(2731) < 150, "{negative}");
    }
}
