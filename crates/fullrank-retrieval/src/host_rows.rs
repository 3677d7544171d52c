//! Rows on the host and the distances of them, right to the precision of the entries as stored.
//!
//! A row is scaled by a power of two, which is exact, so that no difference or norm over- or
//! underflows, and for the cosine divided by its 2-norm, in f64. The squared distance of two rows is the
//! sum of the squared differences of their entries in f64: unlike `|x|^2 + |y|^2 - 2 <x, y>` it loses
//! nothing where the rows are long and close.

/// The exponent of the largest entry, or of the norm, of scaled rows: sums of 2^40 squares stay below the
/// largest number, and squares of differences of `2^-1000` of the largest entry above the smallest.
const EXPONENT: i32 = 490;
/// The largest exponent of a factor, met by numbers below the smallest normal one.
const MOST: i32 = 1000;
/// The square of the norm of a unit row.
pub(crate) const UNIT_SQUARE: f64 = power_of_two(2 * EXPONENT);
/// Partial sums of a sum over a row, added last: one order of addition for all.
const LANES: usize = 8;

/// A number of a row on the host: `f32` or `f64`.
pub trait Entry: sealed::Sealed {}

impl Entry for f32 {}
impl Entry for f64 {}

pub(crate) mod sealed {
    use super::Entries;

    pub trait Sealed: Copy + Into<f64> + Send + Sync + 'static {
        fn entries(values: &[Self]) -> Entries<'_>;
    }

    impl Sealed for f32 {
        fn entries(values: &[Self]) -> Entries<'_> {
            Entries::Single(values)
        }
    }

    impl Sealed for f64 {
        fn entries(values: &[Self]) -> Entries<'_> {
            Entries::Double(values)
        }
    }
}

/// Numbers in the precision they are stored in.
#[derive(Clone, Copy, Debug)]
pub enum Entries<'a> {
    /// f32
    Single(&'a [f32]),
    /// f64
    Double(&'a [f64]),
}

impl Entries<'_> {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Single(values) => values.len(),
            Self::Double(values) => values.len(),
        }
    }

    /// The first row of `dim` entries with one that is NaN or infinite.
    pub(crate) fn first_not_finite(&self, dim: usize) -> Option<usize> {
        let entry = match self {
            Self::Single(values) => values.iter().position(|x| !x.is_finite()),
            Self::Double(values) => values.iter().position(|x| !x.is_finite()),
        };
        entry.map(|entry| entry / dim)
    }

    /// The exponent `e` of the largest magnitude `m`: `2^(e - 1) <= m < 2^e`, but at least -1000, as for
    /// zeros.
    pub(crate) fn exponent(&self) -> i32 {
        match self {
            Self::Single(values) => exponent(values),
            Self::Double(values) => exponent(values),
        }
    }
}

/// Rows of numbers, ready for exact distances.
#[derive(Clone, Debug)]
pub(crate) struct HostRows<'a> {
    entries: Entries<'a>,
    dim: usize,
    factors: Factors,
}

/// What makes a scaled row of the entries.
#[derive(Clone, Debug)]
enum Factors {
    /// All rows are multiplied by two powers of two, since one may be beyond f64.
    Same(f64, f64),
    /// Each row is multiplied by a power of two and divided by a norm.
    Own(Vec<(f64, f64)>),
}

impl<'a> HostRows<'a> {
    /// Rows whose distance is the Euclidean one. Sets that are compared have one `exponent`, at least
    /// that of each ([`Entries::exponent`]).
    pub(crate) fn euclidean(entries: Entries<'a>, dim: usize, exponent: i32) -> Self {
        Self {
            entries,
            dim,
            factors: {
                let first = (EXPONENT - exponent).min(MOST);
                let second = EXPONENT - exponent - first;
                Factors::Same(power_of_two(first), power_of_two(second))
            },
        }
    }

    /// Rows whose distance is that of the rows divided by their norm. A zero row stays one, but
    /// [`squared_distance`](Self::squared_distance) sees it at a right angle to every row.
    pub(crate) fn cosine(entries: Entries<'a>, dim: usize) -> Self {
        let factors = match entries {
            Entries::Single(values) => values.chunks_exact(dim).map(unit_factors).collect(),
            Entries::Double(values) => values.chunks_exact(dim).map(unit_factors).collect(),
        };
        Self {
            entries,
            dim,
            factors: Factors::Own(factors),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len() / self.dim
    }

    pub(crate) fn dim(&self) -> usize {
        self.dim
    }

    /// Whether a row, by the cosine, has no direction.
    pub(crate) fn has_no_direction(&self, row: usize) -> bool {
        matches!(&self.factors, Factors::Own(factors) if factors[row].1.is_infinite())
    }

    /// Writes a scaled row.
    pub(crate) fn read(&self, row: usize, to: &mut [f64]) {
        fn write<T: Copy + Into<f64>>(row: &[T], of: impl Fn(f64) -> f64, to: &mut [f64]) {
            for (to, &x) in to.iter_mut().zip(row) {
                *to = of(x.into());
            }
        }
        match (self.entries, self.factor(row)) {
            (Entries::Single(x), Factor::Powers(a, b)) => {
                write(self.row(x, row), |x| x * a * b, to)
            }
            (Entries::Single(x), Factor::Norm(a, n)) => write(self.row(x, row), |x| x * a / n, to),
            (Entries::Double(x), Factor::Powers(a, b)) => {
                write(self.row(x, row), |x| x * a * b, to)
            }
            (Entries::Double(x), Factor::Norm(a, n)) => write(self.row(x, row), |x| x * a / n, to),
        }
    }

    /// The squared distance of a row of another set, as [`read`](Self::read) writes it, and a row of this
    /// one, in the scale of both. It depends on nothing but the two rows, and is the same whichever of them
    /// is read. `None`: a row without a direction.
    ///
    /// By the cosine, that of a row without a direction is exactly 2, in the scale of unit rows.
    pub(crate) fn squared_distance(&self, from: Option<&[f64]>, row: usize) -> f64 {
        let Some(from) = from.filter(|_| !self.has_no_direction(row)) else {
            return 2.0 * UNIT_SQUARE;
        };
        match (self.entries, self.factor(row)) {
            (Entries::Single(x), Factor::Powers(a, b)) => {
                squared_difference(from, self.row(x, row), |x| x * a * b)
            }
            (Entries::Single(x), Factor::Norm(a, n)) => {
                squared_difference(from, self.row(x, row), |x| x * a / n)
            }
            (Entries::Double(x), Factor::Powers(a, b)) => {
                squared_difference(from, self.row(x, row), |x| x * a * b)
            }
            (Entries::Double(x), Factor::Norm(a, n)) => {
                squared_difference(from, self.row(x, row), |x| x * a / n)
            }
        }
    }

    /// The rows' entries as they were given.
    pub(crate) fn entries(&self) -> Entries<'a> {
        self.entries
    }

    fn row<'b, T>(&self, values: &'b [T], row: usize) -> &'b [T] {
        &values[row * self.dim..][..self.dim]
    }

    fn factor(&self, row: usize) -> Factor {
        match &self.factors {
            Factors::Same(first, second) => Factor::Powers(*first, *second),
            Factors::Own(factors) => Factor::Norm(factors[row].0, factors[row].1),
        }
    }
}

/// What makes one scaled row of the entries.
#[derive(Clone, Copy)]
enum Factor {
    Powers(f64, f64),
    Norm(f64, f64),
}

/// `sum_i (x_i - f(y_i))^2` in f64.
pub(crate) fn squared_difference<T: Copy + Into<f64>>(
    x: &[f64],
    y: &[T],
    f: impl Fn(f64) -> f64,
) -> f64 {
    let square = |(&x, &y): (&f64, &T)| {
        let difference = x - f(y.into());
        difference * difference
    };
    let mut sums = [0.0; LANES];
    let (x_chunks, y_chunks) = (x.chunks_exact(LANES), y.chunks_exact(LANES));
    let rest = x_chunks.remainder().iter().zip(y_chunks.remainder());
    let rest: f64 = rest.map(square).sum();
    for (x, y) in x_chunks.zip(y_chunks) {
        for (sum, pair) in sums.iter_mut().zip(x.iter().zip(y)) {
            *sum += square(pair);
        }
    }
    sums.iter().sum::<f64>() + rest
}

/// The sum of the squares of a row in f64, each entry first multiplied by `scale`.
pub(crate) fn sum_of_squares<T: Copy + Into<f64>>(row: &[T], scale: f64) -> f64 {
    let square = |&x: &T| (x.into() * scale) * (x.into() * scale);
    let mut sums = [0.0; LANES];
    let chunks = row.chunks_exact(LANES);
    let rest: f64 = chunks.remainder().iter().map(square).sum();
    for chunk in chunks {
        for (sum, x) in sums.iter_mut().zip(chunk) {
            *sum += square(x);
        }
    }
    sums.iter().sum::<f64>() + rest
}

/// The factor and the divisor that make a unit row, of norm `2^EXPONENT`; (1, infinity) of a zero row.
fn unit_factors<T: Copy + Into<f64>>(row: &[T]) -> (f64, f64) {
    let scale = power_of_two((-exponent(row)).max(-1022));
    let square = sum_of_squares(row, scale);
    if square == 0.0 {
        (1.0, f64::INFINITY)
    } else {
        (scale, square.sqrt() * power_of_two(-EXPONENT))
    }
}

fn exponent<T: Copy + Into<f64>>(values: &[T]) -> i32 {
    const BIAS: i32 = 1022;
    let largest = values.iter().fold(0.0f64, |largest, &x| {
        let x: f64 = x.into();
        largest.max(x.abs())
    });
    ((largest.to_bits() >> 52) as i32 - BIAS).max(-MOST)
}

/// `2^exponent`, for exponents between -1022 and 1023.
const fn power_of_two(exponent: i32) -> f64 {
    f64::from_bits(((exponent + 1023) as u64) << 52)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn squared(rows: &HostRows<'_>, i: usize, other: &HostRows<'_>, j: usize) -> f64 {
        let of = |rows: &HostRows<'_>, i: usize, other: &HostRows<'_>, j: usize| {
            let mut row = vec![0.0; rows.dim()];
            rows.read(i, &mut row);
            let row = (!rows.has_no_direction(i)).then_some(row);
            other.squared_distance(row.as_deref(), j)
        };
        let square = of(rows, i, other, j);
        assert_eq!(square, of(other, j, rows, i));
        square
    }

    /// In the unit of the entries, or of unit rows.
    fn distance(rows: &HostRows<'_>, i: usize, j: usize) -> f64 {
        let root = squared(rows, i, rows, j).sqrt();
        match rows.factors {
            Factors::Same(first, second) => root / first / second,
            Factors::Own(_) => root / UNIT_SQUARE.sqrt(),
        }
    }

    fn euclidean<'a>(entries: Entries<'a>, dim: usize) -> HostRows<'a> {
        HostRows::euclidean(entries, dim, entries.exponent())
    }

    #[test]
    fn distances_at_every_scale() {
        for scale in [1.0, 1e-30, 1e30, 1e-44] {
            let unit = scale as f32;
            let values = [3.0 * unit, 0.0, 0.0, 4.0 * unit, 0.0, 0.0];
            let rows = euclidean(Entries::Single(&values), 2);
            let exact = f64::from(values[0]).hypot(values[3].into());
            approx::assert_relative_eq!(distance(&rows, 0, 1), exact, max_relative = 1e-15);
        }
        for unit in [1.0, 1e-200, 1e200, 1e-305, 1e307, 5e-324] {
            let values = [3.0 * unit, 0.0, 0.0, 4.0 * unit, 0.0, 0.0];
            let rows = euclidean(Entries::Double(&values), 2);
            approx::assert_relative_eq!(distance(&rows, 0, 1), 5.0 * unit, max_relative = 1e-15);
            let rows = HostRows::cosine(Entries::Double(&values), 2);
            let root = std::f64::consts::SQRT_2;
            approx::assert_relative_eq!(distance(&rows, 0, 1), root, max_relative = 1e-15);
            assert!(rows.has_no_direction(2) && !rows.has_no_direction(1));
        }
        // Small differences beside a large entry.
        let values = [1e30f32, 0.0, 1e30, 1e-30, 1e30, 3e-30];
        let rows = euclidean(Entries::Single(&values), 2);
        approx::assert_relative_eq!(
            distance(&rows, 0, 1),
            f64::from(1e-30f32),
            max_relative = 1e-15
        );
        assert!(distance(&rows, 1, 2) > distance(&rows, 0, 1));
    }

    #[test]
    fn rows_far_from_the_origin() {
        let offset = 1e8;
        let values = [offset, offset, offset + 1e-7, offset];
        let rows = euclidean(Entries::Double(&values), 2);
        assert_eq!(distance(&rows, 0, 1), (offset + 1e-7) - offset);
        // By the cosine: an angle of 1e-12, whose cosine is 1 in f64.
        let values = [1.0, 0.0, 1.0, 1e-12, 1.0, -2e-12];
        let rows = HostRows::cosine(Entries::Double(&values), 2);
        approx::assert_relative_eq!(distance(&rows, 0, 1), 1e-12, max_relative = 1e-12);
        approx::assert_relative_eq!(distance(&rows, 1, 2), 3e-12, max_relative = 1e-12);
    }

    #[test]
    fn a_zero_row_is_at_a_right_angle_to_every_row() {
        let values = [0.0f32, 0.0, 0.3, 0.4, 0.0, 0.0];
        let rows = HostRows::cosine(Entries::Single(&values), 2);
        for (i, j) in [(0, 1), (0, 2), (1, 2)] {
            assert_eq!(squared(&rows, i, &rows, j), 2.0 * UNIT_SQUARE);
        }
        let mut row = [1.0; 2];
        rows.read(0, &mut row);
        assert_eq!(row, [0.0; 2]);
        rows.read(1, &mut row);
        let norm = (sum_of_squares(&row, 1.0) / UNIT_SQUARE).sqrt();
        approx::assert_relative_eq!(norm, 1.0, max_relative = 1e-15);
    }

    #[test]
    fn powers_of_two_change_no_bit() {
        let values: Vec<f64> = (0..60).map(|k| f64::from(k).sin() / 3.0).collect();
        let scaled: Vec<f64> = values.iter().map(|x| x * power_of_two(-300)).collect();
        let (a, b) = (Entries::Double(&values), Entries::Double(&scaled));
        for (a, b) in [
            (euclidean(a, 20), euclidean(b, 20)),
            (HostRows::cosine(a, 20), HostRows::cosine(b, 20)),
        ] {
            assert_eq!(squared(&a, 0, &a, 2), squared(&b, 0, &b, 2));
            assert_eq!(squared(&a, 0, &b, 1), squared(&b, 0, &a, 1));
        }
    }
}
