//! Sets ready to be searched, and their inner products by blocks, with a bound of the error.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::{Add, Mul, Range, Sub, SubAssign};

use faer::linalg::matmul::matmul;
use faer::traits::ComplexField;
use faer::{Accum, MatMut, MatRef, Par};
use rayon::prelude::*;

use super::RankBy;
use crate::host_rows::{Entries, HostRows, UNIT_SQUARE, sum_of_squares};

/// Rows of a part of a set that one thread prepares.
const PART: usize = 256;
/// The mean is subtracted from the rows if it has this share of their mean square.
const COMMON: f64 = 0.5;

/// A set's rows by place: in the order of their labels and, within a label, of their indices.
pub(super) struct Set<'a> {
    pub(super) rows: HostRows<'a>,
    /// The index of each row in the set as it was given, by place.
    pub(super) indices: Vec<u32>,
    /// The places of each label's rows.
    pub(super) classes: BTreeMap<i64, Range<usize>>,
    /// The label of each row, by index; none if it does not matter.
    pub(super) labels: &'a [i64],
    /// The places of rows that have no direction where that is what counts.
    directionless: Vec<usize>,
}

impl<'a> Set<'a> {
    pub(super) fn new(rows: HostRows<'a>, labels: &'a [i64]) -> Self {
        let mut indices: Vec<u32> = (0..rows.len() as u32).collect();
        let mut classes: BTreeMap<i64, Range<usize>> = BTreeMap::new();
        if !labels.is_empty() {
            indices.sort_by_key(|&i| labels[i as usize]);
            for (place, &i) in indices.iter().enumerate() {
                let range = classes.entry(labels[i as usize]).or_insert(place..place);
                range.end = place + 1;
            }
        }
        let directionless = |&place: &usize| rows.has_no_direction(indices[place] as usize);
        Self {
            directionless: (0..rows.len()).filter(directionless).collect(),
            rows,
            indices,
            classes,
            labels,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.indices.len()
    }

    pub(super) fn index(&self, place: usize) -> usize {
        self.indices[place] as usize
    }

    pub(super) fn label(&self, place: usize) -> Option<i64> {
        self.labels.get(self.index(place)).copied()
    }

    /// Writes the row at a place; false if it has no direction where that is what counts.
    pub(super) fn read(&self, place: usize, to: &mut [f64]) -> bool {
        self.rows.read(self.index(place), to);
        !self.has_no_direction(place)
    }

    pub(super) fn has_no_direction(&self, place: usize) -> bool {
        self.rows.has_no_direction(self.index(place))
    }

    /// The places in a range whose rows have no direction.
    pub(super) fn directionless(&self, within: &Range<usize>) -> &[usize] {
        let places = &self.directionless;
        let from = places.partition_point(|&place| place < within.start);
        let to = places.partition_point(|&place| place < within.end);
        &places[from..to]
    }

    /// For each place that of the first row with the same entries.
    pub(super) fn equals(&self) -> Vec<u32> {
        match self.rows.entries() {
            Entries::Single(values) => self.equals_of(values, f32::to_bits),
            Entries::Double(values) => self.equals_of(values, f64::to_bits),
        }
    }

    fn equals_of<T, B>(&self, values: &[T], bits: impl Fn(T) -> B + Sync) -> Vec<u32>
    where
        T: Copy + Sync,
        B: Hash + Ord,
    {
        let row = |place: u32| {
            let dim = self.rows.dim();
            values[self.index(place as usize) * dim..][..dim]
                .iter()
                .map(|&x| bits(x))
        };
        let hash = |place: u32| {
            let mut hasher = DefaultHasher::new();
            row(place).for_each(|x| x.hash(&mut hasher));
            (hasher.finish(), place)
        };
        let mut order: Vec<(u64, u32)> = (0..self.len() as u32).into_par_iter().map(hash).collect();
        order.sort_unstable();
        let mut firsts: Vec<u32> = (0..self.len() as u32).collect();
        // Rows of one hash that differ are told apart only from the first of them: equal ones may then be
        // taken for different, which costs time, no more.
        for same_hash in order.chunk_by(|a, b| a.0 == b.0) {
            let first = same_hash[0].1;
            for &(_, place) in &same_hash[1..] {
                if row(place).eq(row(first)) {
                    firsts[place as usize] = first;
                }
            }
        }
        firsts
    }
}

/// The rows of two sets in one scale, or of the queries alone.
pub(super) fn host_rows<'a>(
    queries: (Entries<'a>, usize),
    reference: Option<(Entries<'a>, usize)>,
    by: RankBy,
) -> (HostRows<'a>, Option<HostRows<'a>>) {
    let exponent = |set: (Entries<'a>, usize)| set.0.exponent();
    let of = match by {
        RankBy::Cosine => |(entries, dim), _| HostRows::cosine(entries, dim),
        RankBy::Euclidean => |(entries, dim), most| HostRows::euclidean(entries, dim, most),
    };
    let most = match by {
        RankBy::Cosine => 0,
        RankBy::Euclidean => exponent(queries).max(reference.map_or(i32::MIN, exponent)),
    };
    (
        of(queries, most),
        reference.map(|reference| of(reference, most)),
    )
}

/// The mean of the rows, if it is a large part of them: without it, products of rows are the more precise.
pub(super) fn centre(rows: &HostRows<'_>) -> Option<Vec<f64>> {
    let dim = rows.dim();
    let parts: Vec<(Vec<f64>, f64)> = blocks(rows.len(), PART)
        .into_par_iter()
        .map(|part| {
            let (mut sums, mut squares, mut row) = (vec![0.0; dim], 0.0, vec![0.0; dim]);
            for i in part {
                rows.read(i, &mut row);
                squares += sum_of_squares(&row, 1.0);
                for (sum, x) in sums.iter_mut().zip(&row) {
                    *sum += x;
                }
            }
            (sums, squares)
        })
        .collect();
    let (mut mean, mut square) = (vec![0.0; dim], 0.0);
    let count = rows.len() as f64;
    for (sums, squares) in parts {
        square += squares / count;
        for (mean, sum) in mean.iter_mut().zip(sums) {
            *mean += sum / count;
        }
    }
    (sum_of_squares(&mean, 1.0) > COMMON * square).then_some(mean)
}

/// The precision of products: f32 or f64.
pub(super) trait Real:
    ComplexField
    + Copy
    + Send
    + Sync
    + PartialOrd
    + Add<Output = Self>
    + Sub<Output = Self>
    + SubAssign
    + Mul<Output = Self>
{
    const ONE: Self;
    const ZERO: Self;
    /// The nearness of what is not to be found.
    const NOWHERE: Self;
    const UNIT_ROUNDOFF: f64;
    /// What the entries of [`HostRows`] are multiplied by, a power of two.
    const SCALE: f64;
    /// More than what underflow takes from the product of two rows, for each dimension.
    const UNDERFLOW: f64;

    fn nearest(x: f64) -> Self;
    fn wide(self) -> f64;
    fn up(self) -> Self;
    fn down(self) -> Self;

    /// The smallest number that is not below `x`.
    fn above(x: f64) -> Self {
        let near = Self::nearest(x);
        if near.wide() < x { near.up() } else { near }
    }

    /// The largest number that is not above `x`.
    fn below(x: f64) -> Self {
        let near = Self::nearest(x);
        if near.wide() > x { near.down() } else { near }
    }
}

impl Real for f32 {
    const ONE: Self = 1.0;
    const ZERO: Self = 0.0;
    const NOWHERE: Self = f32::NEG_INFINITY;
    const UNIT_ROUNDOFF: f64 = f32::EPSILON as f64 / 2.0;
    // 2^-470: entries up to 2^20, or 2^21 without their mean. One that underflows is off by 2^-150, a
    // product with it by 2^-129, and a product that underflows by 2^-150.
    const SCALE: f64 = f64::from_bits((1023 - 470) << 52);
    const UNDERFLOW: f64 = f64::from_bits((1023 - 120) << 52);

    fn nearest(x: f64) -> Self {
        x as f32
    }

    fn wide(self) -> f64 {
        self.into()
    }

    fn up(self) -> Self {
        self.next_up()
    }

    fn down(self) -> Self {
        self.next_down()
    }
}

impl Real for f64 {
    const ONE: Self = 1.0;
    const ZERO: Self = 0.0;
    const NOWHERE: Self = f64::NEG_INFINITY;
    const UNIT_ROUNDOFF: f64 = f64::EPSILON / 2.0;
    // Entries up to 2^491, off by 2^-1075 where they underflow.
    const SCALE: f64 = 1.0;
    const UNDERFLOW: f64 = f64::from_bits((1023 - 575) << 52);

    fn nearest(x: f64) -> Self {
        x
    }

    fn wide(self) -> f64 {
        self
    }

    fn up(self) -> Self {
        self.next_up()
    }

    fn down(self) -> Self {
        self.next_down()
    }
}

/// Rows in the precision of the products, without the centre.
pub(super) struct Prepared<T> {
    dim: usize,
    rows: Vec<T>,
    /// Half of each row's squared norm.
    half_squares: Vec<T>,
    /// An upper bound of each row's norm.
    norms: Vec<T>,
    /// Each row's squared norm, to f64's precision.
    squares: Vec<f64>,
}

/// Some rows of [`Prepared`].
pub(super) struct Rows<'a, T> {
    dim: usize,
    pub(super) rows: &'a [T],
    pub(super) half_squares: &'a [T],
    pub(super) norms: &'a [T],
    /// The largest of the norms.
    pub(super) most: T,
    pub(super) squares: &'a [f64],
}

impl<T: Real> Prepared<T> {
    /// The rows of some places, on one core. `read` writes the row at a place in the scale of [`HostRows`]
    /// and says whether it has a direction or needs none; see [`Set::read`].
    pub(super) fn part(
        dim: usize,
        places: impl ExactSizeIterator<Item = usize>,
        centre: Option<&[f64]>,
        read: impl Fn(usize, &mut [f64]) -> bool,
    ) -> Self {
        let mut prepared = Self::empty(dim, places.len());
        prepared.rows.reserve_exact(places.len() * dim);
        let mut row = vec![0.0; dim];
        for place in places {
            let square = if read(place, &mut row) {
                if let Some(centre) = centre {
                    for (x, centre) in row.iter_mut().zip(centre) {
                        *x -= centre;
                    }
                }
                sum_of_squares(&row, 1.0)
            } else {
                // Its nearness to a query is not made of products.
                row.fill(0.0);
                2.0 * UNIT_SQUARE
            };
            let entries = row.iter().map(|x| T::nearest(x * T::SCALE));
            prepared.rows.extend(entries);
            prepared.push_norm(square);
        }
        prepared
    }

    /// The rows of the places `0..count`, on all cores.
    pub(super) fn whole(
        dim: usize,
        count: usize,
        centre: Option<&[f64]>,
        read: impl Fn(usize, &mut [f64]) -> bool + Sync,
    ) -> Self {
        let mut whole = Self::empty(dim, count);
        whole.rows = vec![T::ZERO; count * dim];
        let parts: Vec<Self> = whole
            .rows
            .par_chunks_mut(PART * dim)
            .enumerate()
            .map(|(part, rows)| {
                let from = part * PART;
                let mut part = Self::part(dim, from..from + rows.len() / dim, centre, &read);
                rows.copy_from_slice(&part.rows);
                part.rows = Vec::new();
                part
            })
            .collect();
        for part in parts {
            whole.half_squares.extend(part.half_squares);
            whole.norms.extend(part.norms);
            whole.squares.extend(part.squares);
        }
        whole
    }

    fn empty(dim: usize, count: usize) -> Self {
        Self {
            dim,
            rows: Vec::new(),
            half_squares: Vec::with_capacity(count),
            norms: Vec::with_capacity(count),
            squares: Vec::with_capacity(count),
        }
    }

    fn push_norm(&mut self, square: f64) {
        let square = square * T::SCALE * T::SCALE;
        // Entries whose squares underflow, 2^-505 at most, count as that.
        let least = f64::from_bits((1023 - 505) << 52) * (self.dim as f64).sqrt();
        self.squares.push(square);
        self.half_squares.push(T::nearest(square / 2.0));
        self.norms.push(T::above(square.sqrt() + least * T::SCALE));
    }

    pub(super) fn rows(&self, range: Range<usize>) -> Rows<'_, T> {
        let norms = &self.norms[range.clone()];
        let larger = |most: T, &norm: &T| if norm > most { norm } else { most };
        Rows {
            dim: self.dim,
            most: norms.iter().fold(T::ZERO, larger),
            norms,
            rows: &self.rows[range.start * self.dim..range.end * self.dim],
            half_squares: &self.half_squares[range.clone()],
            squares: &self.squares[range],
        }
    }
}

impl<T: Real> Rows<'_, T> {
    fn matrix(&self) -> MatRef<'_, T> {
        MatRef::from_row_major_slice(self.rows, self.norms.len(), self.dim)
    }
}

/// The inner products of some queries with some reference rows, row-major.
pub(super) fn products<'a, T: Real>(
    queries: &Rows<'_, T>,
    reference: &Rows<'_, T>,
    space: &'a mut [T],
) -> &'a mut [T] {
    let (height, width) = (queries.norms.len(), reference.norms.len());
    let products = &mut space[..height * width];
    matmul(
        MatMut::from_row_major_slice_mut(&mut *products, height, width),
        Accum::Replace,
        queries.matrix(),
        reference.matrix().transpose(),
        T::ONE,
        Par::Seq,
    );
    products
}

/// How near some reference rows are to a query, from its products with them: `<q, r> - |r|^2 / 2`, which
/// is `(|q|^2 - |q - r|^2) / 2` and falls as the distance grows.
pub(super) fn nearness<T: Real>(products: &mut [T], half_squares: &[T]) {
    for (product, &half) in products.iter_mut().zip(half_squares) {
        *product -= half;
    }
}

/// A row-major matrix of `width` columns, transposed.
pub(super) fn transpose<T: Copy>(matrix: &[T], width: usize, transposed: &mut [T]) {
    const TILE: usize = 16;
    let height = matrix.len() / width;
    for top in (0..height).step_by(TILE) {
        for left in (0..width).step_by(TILE) {
            for i in top..height.min(top + TILE) {
                for j in left..width.min(left + TILE) {
                    transposed[j * height + i] = matrix[i * width + j];
                }
            }
        }
    }
}

/// How far the nearness of a reference row `r` to a query `q` may be from that of their squared distance
/// `s` as [`HostRows`] has it, `(|q|^2 - s) / 2`: `A |q| |r| + B (|q|^2 + |r|^2)` and what underflows.
///
/// With `u` the unit roundoff of the products, `v` = 2^-53 that of f64, and `d` dimensions:
///
/// - The product, summed in any order, is off by `d u / (1 - d u) |q| |r|` at most (Higham, "Accuracy and
///   Stability of Numerical Algorithms", 2002, section 3.1), and by `2 u |q| |r|` and a little since the
///   entries were rounded once the centre was subtracted. The centre itself is exact: any is.
/// - Half the square, summed in f64, is off by `(u + (d + 2) v) |r|^2 / 2`.
/// - The difference of both is off by `u (|q| |r| + |r|^2 / 2)`; so is its sum with the bound.
/// - `s` itself is off by `(d + 2) v s`, and `s <= 2 |q|^2 + 2 |r|^2`.
///
/// Together `A = (d + 6) u` and `B = 2 u + 2 (d + 2) v` and terms of second order; what is taken is more.
#[derive(Clone, Copy)]
pub(super) struct Bound<T> {
    /// `A |q|`
    product: T,
    /// `B`
    square: T,
    /// `B |q|^2` and the underflow.
    constant: T,
    /// `|q|^2`
    own: f64,
    relative: f64,
    underflow: f64,
}

impl<T: Real> Bound<T> {
    /// Whether the precision is enough for rows of so many dimensions.
    pub(super) fn holds(dim: usize) -> bool {
        dim as f64 * T::UNIT_ROUNDOFF < 0.1
    }

    /// The bound for a query of this squared norm.
    pub(super) fn new(own: f64, dim: usize) -> Self {
        let (u, d) = (T::UNIT_ROUNDOFF, dim as f64);
        let product = 1.05 * (d + 16.0) * u / (1.0 - d * u);
        let relative = 4.0 * u + (d + 8.0) * f64::EPSILON;
        let underflow = d * T::UNDERFLOW;
        let least = f64::from_bits((1023 - 505) << 52) * d.sqrt() * T::SCALE;
        Self {
            product: T::above(product * (own.sqrt() + least)),
            square: T::above(relative),
            constant: T::above(relative * own + underflow),
            own,
            relative,
            underflow,
        }
    }

    /// The bound for a reference row of this norm.
    pub(super) fn of(&self, norm: T) -> T {
        norm * (self.product + self.square * norm) + self.constant
    }

    /// The nearness of a squared distance in the scale of [`HostRows`], and how far it may be off.
    pub(super) fn nearness(&self, squared_distance: f64) -> (f64, f64) {
        let square = squared_distance * T::SCALE * T::SCALE;
        let nearness = (self.own - square) / 2.0;
        (
            nearness,
            self.relative * (self.own + square) + self.underflow,
        )
    }
}

/// `0..length` in parts of `size`.
pub(super) fn blocks(length: usize, size: usize) -> Vec<Range<usize>> {
    (0..length)
        .step_by(size)
        .map(|start| start..length.min(start + size))
        .collect()
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    /// The nearness by products is within the bound of that of the distance, in blocks of several rows and of
    /// one, with and without a centre.
    fn assert_bound<T: Real>(rows: &[f64], dim: usize, centre: Option<&[f64]>) {
        let entries = Entries::Double(rows);
        let set = Set::new(HostRows::euclidean(entries, dim, entries.exponent()), &[]);
        let n = set.len();
        let read = |place: usize, row: &mut [f64]| set.read(place, row);
        let prepared = Prepared::<T>::part(dim, 0..n, centre, read);
        for others in [0..n, n - 1..n] {
            let (queries, block) = (prepared.rows(0..n), prepared.rows(others.clone()));
            let mut space = vec![T::ZERO; n * n];
            let products = products(&queries, &block, &mut space);
            let mut own = vec![0.0; dim];
            for (q, products) in products.chunks_exact_mut(others.len()).enumerate() {
                nearness(products, block.half_squares);
                set.read(q, &mut own);
                let bound = Bound::<T>::new(queries.squares[q], dim);
                for (j, r) in others.clone().enumerate() {
                    let square = set.rows.squared_distance(Some(&own), r);
                    let (exact, margin) = bound.nearness(square);
                    let off = (products[j].wide() - exact).abs();
                    assert!(
                        off <= bound.of(block.norms[j]).wide() + margin,
                        "{q} {r}: {off}"
                    );
                }
            }
        }
    }

    #[test]
    fn nearness_is_within_its_bound() {
        let mut rng = ChaCha8Rng::seed_from_u64(6);
        for dim in [1, 2, 67, 1024] {
            let mut noise = || rng.random::<f64>() - 0.5;
            let apart: Vec<f64> = (0..21 * dim).map(|_| noise()).collect();
            let positive: Vec<f64> = apart.iter().map(|x| x + 0.5).collect();
            let tight: Vec<f64> = apart.iter().map(|x| 1e6 + 1e-3 * x).collect();
            let size = |k: usize| 10f64.powi(60 * ((k / dim % 7) as i32 - 3) / 6);
            let mixed: Vec<f64> = apart.iter().enumerate().map(|(k, x)| x * size(k)).collect();
            for rows in [apart, positive, tight, mixed] {
                let entries = Entries::Double(&rows);
                let host = HostRows::euclidean(entries, dim, entries.exponent());
                let mut centre = vec![0.0; dim];
                host.read(3, &mut centre);
                for centre in [None, Some(&centre[..])] {
                    assert_bound::<f32>(&rows, dim, centre);
                    assert_bound::<f64>(&rows, dim, centre);
                }
            }
        }
    }
}
