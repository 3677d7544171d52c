//! The nearest rows of a query, kept while blocks of reference rows come by.

use std::ops::Range;

use super::search::{Bound, Real, Set};

/// A squared distance and the index of a row: what decides which of two rows is nearer.
pub(super) type Key = (f64, u32);

/// Whether the first row is nearer than the second: by distance, of equally far ones by index.
pub(super) fn nearer(first: &Key, second: &Key) -> std::cmp::Ordering {
    first.0.total_cmp(&second.0).then(first.1.cmp(&second.1))
}

/// The sets that a query is searched in.
#[derive(Clone, Copy)]
pub(super) struct Sets<'a> {
    pub(super) queries: &'a Set<'a>,
    pub(super) reference: &'a Set<'a>,
    /// The first equal row of each of the reference.
    pub(super) equals: &'a [u32],
}

/// The row of one query at a time, read when it is asked for.
pub(super) struct QueryRow<'a> {
    sets: Sets<'a>,
    row: Vec<f64>,
    /// Its place, and whether it has a direction.
    of: Option<(usize, bool)>,
}

impl<'a> QueryRow<'a> {
    pub(super) fn new(sets: Sets<'a>) -> Self {
        Self {
            row: vec![0.0; sets.queries.rows.dim()],
            sets,
            of: None,
        }
    }

    /// The squared distance of a query to a row of the reference.
    pub(super) fn squared_distance(&mut self, query: usize, place: usize) -> f64 {
        let Sets {
            queries, reference, ..
        } = self.sets;
        let has_direction = match self.of {
            Some((of, has_direction)) if of == query => has_direction,
            _ => {
                let has_direction = queries.read(query, &mut self.row);
                self.of = Some((query, has_direction));
                has_direction
            }
        };
        let row = has_direction.then_some(&self.row[..]);
        reference.rows.squared_distance(row, reference.index(place))
    }
}

/// How near rows are to one query exactly, and how often that was computed.
#[derive(Clone, Debug)]
pub(super) struct Exact {
    pub(super) computed: usize,
    /// The last squared distance, with the first row equal to that at this distance.
    last: Option<(u32, f64)>,
}

impl Exact {
    pub(super) fn new() -> Self {
        Self {
            computed: 0,
            last: None,
        }
    }

    pub(super) fn key(&mut self, row: &mut QueryRow<'_>, query: usize, place: usize) -> Key {
        let first = row.sets.equals[place];
        let square = match self.last {
            Some((last, square)) if last == first => square,
            _ => {
                self.computed += 1;
                let square = row.squared_distance(query, place);
                self.last = Some((first, square));
                square
            }
        };
        (square, row.sets.reference.indices[place])
    }
}

/// A reference row and the bounds of its nearness.
#[derive(Clone, Copy, Debug)]
struct Kept<T> {
    most: T,
    least: T,
    place: u32,
}

/// The nearest rows met so far, at least `depth` of them.
pub(super) struct Nearest<T> {
    kept: Vec<Kept<T>>,
    depth: usize,
    /// A row that is less near than this at the most is not among the nearest.
    least: T,
    /// The last of the nearest, once known.
    last: Option<Key>,
}

impl<T: Real> Nearest<T> {
    pub(super) fn new(depth: usize) -> Self {
        Self {
            kept: Vec::new(),
            depth,
            least: T::NOWHERE,
            last: None,
        }
    }

    pub(super) fn depth(&self) -> usize {
        self.depth
    }

    /// How many rows are held at once, at most, of which `depth` are among the nearest.
    pub(super) fn most_kept(depth: usize) -> usize {
        2 * depth + 64
    }

    /// The bytes of so many.
    pub(super) fn bytes(depth: usize) -> usize {
        Self::most_kept(depth) * size_of::<Kept<T>>()
    }

    /// Takes in some rows of a block: their places, nearness and norms, none above `most`. `key` tells exactly
    /// how near one is.
    pub(super) fn extend(
        &mut self,
        places: Range<usize>,
        nearness: &[T],
        (norms, most): (&[T], T),
        bound: &Bound<T>,
        key: &mut impl FnMut(usize) -> Key,
    ) {
        if self.depth == 0 {
            return;
        }
        let margin = bound.of(most);
        const STRIDE: usize = 32;
        let chunks = nearness.chunks(STRIDE).zip(norms.chunks(STRIDE));
        for ((nearness, norms), start) in chunks.zip(places.step_by(STRIDE)) {
            let least = (self.least - margin).down();
            if !nearness.iter().fold(false, |any, &x| any | (x >= least)) {
                continue;
            }
            for (i, (&x, &norm)) in nearness.iter().zip(norms).enumerate() {
                let margin = bound.of(norm);
                if x + margin >= self.least && x != T::NOWHERE {
                    let kept = Kept {
                        most: x + margin,
                        least: x - margin,
                        place: (start + i) as u32,
                    };
                    self.push(kept, bound, key);
                }
            }
        }
    }

    fn push(&mut self, kept: Kept<T>, bound: &Bound<T>, key: &mut impl FnMut(usize) -> Key) {
        if let Some(last) = &self.last
            && nearer(&key(kept.place as usize), last).is_gt()
        {
            return;
        }
        self.kept.push(kept);
        if self.kept.len() >= Self::most_kept(self.depth) {
            self.shrink(bound, key);
        }
    }

    /// Lets go of the rows that are not among the nearest: by the bounds, and if these tell too few apart,
    /// by their distances.
    fn shrink(&mut self, bound: &Bound<T>, key: &mut impl FnMut(usize) -> Key) {
        let last = self.depth - 1;
        self.kept
            .select_nth_unstable_by(last, |a, b| descending(a.least, b.least));
        let least = self.kept[last].least;
        if least > self.least {
            self.least = least;
        }
        let least = self.least;
        self.kept.retain(|kept| kept.most >= least);
        if self.kept.len() <= self.depth + self.depth / 2 + 32 {
            return;
        }
        let mut keys: Vec<(Key, Kept<T>)> = self
            .kept
            .iter()
            .map(|&kept| (key(kept.place as usize), kept))
            .collect();
        keys.select_nth_unstable_by(last, |a, b| nearer(&a.0, &b.0));
        keys.truncate(self.depth);
        self.last = Some(keys[last].0);
        let (nearness, margin) = bound.nearness(keys[last].0.0);
        let least = T::below(nearness - margin);
        if least > self.least {
            self.least = least;
        }
        self.kept.clear();
        self.kept.extend(keys.into_iter().map(|(_, kept)| kept));
    }

    /// The places of the `depth` nearest rows, nearest first.
    ///
    /// Rows that the bounds do not tell apart are compared by their distances, unless `indifferent` says of
    /// the first of them, the number behind the last and their places that their order does not matter.
    pub(super) fn into_places(
        mut self,
        key: &mut impl FnMut(usize) -> Key,
        indifferent: impl Fn(Range<usize>, &mut dyn Iterator<Item = usize>) -> bool,
    ) -> Vec<usize> {
        self.kept
            .sort_unstable_by(|a, b| descending(a.most, b.most).then(a.place.cmp(&b.place)));
        let mut places: Vec<usize> = Vec::with_capacity(self.depth);
        let mut rest = &self.kept[..];
        while places.len() < self.depth && !rest.is_empty() {
            let mut least = rest[0].least;
            let mut length = 1;
            while length < rest.len() && rest[length].most >= least {
                if rest[length].least < least {
                    least = rest[length].least;
                }
                length += 1;
            }
            let (alike, others) = rest.split_at(length);
            rest = others;
            let range = places.len()..places.len() + length;
            let mut of_alike = alike.iter().map(|kept| kept.place as usize);
            let as_they_are =
                length == 1 || range.end <= self.depth && indifferent(range, &mut of_alike.clone());
            if as_they_are {
                places.extend(of_alike);
            } else {
                let mut keys: Vec<(Key, usize)> =
                    of_alike.by_ref().map(|place| (key(place), place)).collect();
                keys.sort_unstable_by(|a, b| nearer(&a.0, &b.0));
                places.extend(keys.into_iter().map(|(_, place)| place));
            }
        }
        places.truncate(self.depth);
        places
    }
}

fn descending<T: Real>(a: T, b: T) -> std::cmp::Ordering {
    // No nearness is NaN.
    b.partial_cmp(&a).unwrap_or(std::cmp::Ordering::Equal)
}
