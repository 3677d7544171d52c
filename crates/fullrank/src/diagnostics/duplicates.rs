//! Rows that are equal to an earlier one, found by a hash of each.

use rayon::prelude::*;

/// The hashes of rows that come in blocks: 16 bytes a row.
pub(super) struct Duplicates {
    dims: usize,
    /// [`None`] once there are too many rows.
    hashes: Option<Vec<u128>>,
}

/// What rows repeat.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Repeated {
    /// Rows that are equal to an earlier one.
    pub(super) rows: usize,
    /// The first of them, and the first row that it is equal to.
    pub(super) first: Option<[usize; 2]>,
}

impl Duplicates {
    /// The most rows whose hashes are kept: a quarter of a gigabyte.
    pub(super) const MOST_ROWS: usize = 1 << 24;

    pub(super) fn new(dims: usize) -> Self {
        Self {
            dims,
            hashes: Some(Vec::new()),
        }
    }

    /// Takes in the next rows.
    pub(super) fn add(&mut self, rows: &[f64]) {
        /// Rows of a task.
        const TASK: usize = 64;
        let Some(hashes) = &mut self.hashes else {
            return;
        };
        if hashes.len() + rows.len() / self.dims > Self::MOST_ROWS {
            self.hashes = None;
            return;
        }
        let of_rows = rows.par_chunks_exact(self.dims).with_min_len(TASK);
        hashes.par_extend(of_rows.map(hash));
    }

    /// What they repeat; [`None`] of more than [`MOST_ROWS`](Self::MOST_ROWS).
    pub(super) fn finish(self) -> Option<Repeated> {
        let hashes = self.hashes?;
        let mut order: Vec<u32> = (0..hashes.len() as u32).collect();
        order.par_sort_unstable_by_key(|&row| (hashes[row as usize], row));
        let mut repeated = Repeated::default();
        for same in order.chunk_by(|&a, &b| hashes[a as usize] == hashes[b as usize]) {
            repeated.rows += same.len() - 1;
            if let &[earlier, row, ..] = same {
                let pair = [row as usize, earlier as usize];
                repeated.first = Some(repeated.first.map_or(pair, |first| first.min(pair)));
            }
        }
        Some(repeated)
    }
}

/// 128 bits of the entries of a row, equal of equal rows; zeros of either sign are equal.
///
/// Two halves with multipliers of their own, each of four sums that take every fourth entry, mixed by the
/// two halves of 128-bit products. Two different rows among 2^24 have the same one with a chance of about
/// 2^-80.
fn hash(row: &[f64]) -> u128 {
    const LANES: usize = 4;
    const KEYS: [[u64; LANES]; 2] = [
        [
            0x9e37_79b9_7f4a_7c15,
            0xbf58_476d_1ce4_e5b9,
            0x94d0_49bb_1331_11eb,
            0xd6e8_feb8_6659_fd93,
        ],
        [
            0xa076_1d64_78bd_642f,
            0xe703_7ed1_a0b4_28db,
            0x8ebc_6af0_9c88_c6e3,
            0x5899_65cc_7537_4cc3,
        ],
    ];
    // Negative zero becomes zero.
    let word = |x: &f64| (x + 0.0).to_bits();
    let mut lanes = KEYS;
    for (step, entries) in row.chunks(LANES).enumerate() {
        for (lane, entry) in entries.iter().enumerate() {
            let word = word(entry);
            for (half, keys) in lanes.iter_mut().zip(&KEYS) {
                half[lane] = mixed(half[lane] ^ word, keys[lane] ^ step as u64);
            }
        }
    }
    let halves = lanes.map(|half| {
        half.into_iter().fold(row.len() as u64, |sum, lane| {
            mixed(sum.rotate_left(23) ^ lane, KEYS[0][0])
        })
    });
    (u128::from(halves[0]) << 64) | u128::from(halves[1])
}

/// The halves of the product of two numbers, one laid over the other, and over the first number: a factor
/// of zero does not forget the other.
fn mixed(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    (product as u64) ^ ((product >> 64) as u64) ^ a.rotate_left(32)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn repeated(rows: &[f64], dims: usize, block: usize) -> Repeated {
        let mut duplicates = Duplicates::new(dims);
        rows.chunks(block * dims)
            .for_each(|rows| duplicates.add(rows));
        duplicates.finish().unwrap()
    }

    #[test]
    fn equal_rows_are_found() {
        let mut rows: Vec<f64> = (0..500 * 3).map(|k| f64::from(k).sin()).collect();
        let none = Repeated::default();
        assert_eq!(repeated(&rows, 3, 500), none);
        for (to, from) in [(17, 3), (401, 17), (250, 249), (9, 8)] {
            rows.copy_within(from * 3..from * 3 + 3, to * 3);
        }
        // Row 401 was copied from the copy of row 3.
        for block in [500, 7] {
            let found = repeated(&rows, 3, block);
            assert_eq!((found.rows, found.first), (4, Some([9, 8])), "{block}");
        }
        // A change in the last place of one entry, and a change of order, make another row.
        rows[9 * 3] = rows[9 * 3].next_up();
        rows.swap(250 * 3, 250 * 3 + 2);
        let found = repeated(&rows, 3, 500);
        assert_eq!((found.rows, found.first), (2, Some([17, 3])));
        assert_eq!(repeated(&[0.0, -0.0], 1, 2).first, Some([1, 0]));
    }

    /// Rows that differ in as little as rows can: whole numbers, few of them not zero, in any place.
    #[test]
    fn different_rows_have_different_hashes() {
        let mut hashes = HashSet::new();
        let mut count = 0;
        for dims in [1, 4, 5, 64] {
            for place in 0..dims {
                for value in 1..500 {
                    let mut row = vec![0.0; dims];
                    row[place] = f64::from(value);
                    count += 1;
                    hashes.insert(hash(&row));
                }
            }
        }
        assert_eq!(hashes.len(), count);
        // Each half alone tells them apart: none is a weak one.
        let halves = |shift: u32| -> HashSet<u64> {
            hashes.iter().map(|hash| (hash >> shift) as u64).collect()
        };
        assert_eq!((halves(0).len(), halves(64).len()), (count, count));
    }
}
