//! Each query's place among the reference rows.
//!
//! What decides is the squared distance in f64 and then the index ([`Key`]). Most of it can be told from
//! inner products in f32, which have a bound ([`Bound`]): only rows that these do not tell apart are
//! compared by their distances. Where that is too many, the query is ranked again by products in f64, and
//! where those do not tell the rows apart either, by all distances.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Mutex;

use rayon::prelude::*;

use super::Relevance;
use super::nearest::{Exact, Key, Nearest, QueryRow, Sets, nearer};
use super::relevance::relevance;
use super::search::{
    Bound, Prepared, Real, Rows, Set, blocks, centre, nearness, products, transpose,
};
use crate::host_rows::UNIT_SQUARE;

/// Rows of a block of products.
const QUERY_BLOCK: usize = 256;
/// Columns of a block of products.
const REFERENCE_BLOCK: usize = 1024;
/// Rows and columns of a block where the queries rank each other.
const SQUARE_BLOCK: usize = 512;
/// Entries of a block of reference rows prepared for it alone.
const PREPARED: usize = 1 << 20;
/// Bytes of the nearest rows kept for the queries of a block, at most.
const KEPT: usize = 1 << 26;
/// Bytes of the nearest rows kept for all queries at once, at most.
const KEPT_FOR_ALL: usize = 1 << 29;
/// Queries that one thread ranks by all distances.
const BY_DISTANCES: usize = 16;

/// What the scores need to know of a query's ranking.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Ranked {
    /// The rank of the nearest match, from 1, and the scores of the first R; `None` without a match.
    pub(super) matched: Option<(usize, Relevance)>,
    /// The label for which most of the k nearest vote, if asked for.
    pub(super) vote: Option<i64>,
    /// The indices of the k nearest, nearest first, if asked for.
    pub(super) nearest: Vec<u32>,
}

/// Who is ranked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Wanted {
    /// The queries that have a match.
    Matched,
    /// All queries.
    Everyone,
    /// All queries, with their k nearest.
    Nearest,
}

/// Ranks the reference for each query, in the order of the queries as they were given; `None` for a
/// query that is not wanted. Without a reference, the queries rank each other.
pub(super) fn rank(
    queries: &Set<'_>,
    reference: Option<&Set<'_>>,
    knn: usize,
    wanted: Wanted,
) -> Vec<Option<Ranked>> {
    let searched = reference.unwrap_or(queries);
    let equals = searched.equals();
    let search = Search {
        sets: Sets {
            queries,
            reference: searched,
            equals: &equals,
        },
        alone: reference.is_none(),
        knn: knn.min(searched.len()),
        wanted,
        centre: centre(&searched.rows),
    };
    search.rank()
}

struct Search<'a> {
    sets: Sets<'a>,
    /// Whether the queries rank each other.
    alone: bool,
    knn: usize,
    wanted: Wanted,
    centre: Option<Vec<f64>>,
}

/// A query at work.
struct Query<T> {
    /// Its place among the sorted queries.
    place: usize,
    /// The places of the reference rows with its label.
    class: Range<usize>,
    /// How many of them are matches.
    matches: usize,
    /// Whether it is still ranked: not if it is not wanted or too much was left to distances.
    at_work: bool,
    bound: Bound<T>,
    /// The nearness of a reference row without a direction.
    sideways: T,
    first: Option<First<T>>,
    /// How many others are nearer than that.
    nearer: usize,
    nearest: Nearest<T>,
    exact: Exact,
}

/// The nearest match.
struct First<T> {
    key: Key,
    nearness: T,
    /// How far the nearness may be off.
    margin: T,
}

/// What became of a query.
enum Outcome {
    Ranked(Ranked),
    NotWanted,
    /// The products do not tell enough rows apart.
    Undecided,
}

impl Search<'_> {
    fn rank(&self) -> Vec<Option<Ranked>> {
        let all: Vec<usize> = (0..self.sets.queries.len()).collect();
        let mut ranked = vec![None; all.len()];
        let mut take = |places: Vec<usize>, outcomes: Vec<Outcome>| -> Vec<usize> {
            let mut undecided = Vec::new();
            for (place, outcome) in places.into_iter().zip(outcomes) {
                match outcome {
                    Outcome::Ranked(result) => {
                        ranked[self.sets.queries.index(place)] = Some(result);
                    }
                    Outcome::NotWanted => {}
                    Outcome::Undecided => undecided.push(place),
                }
            }
            undecided
        };
        let mut left = all;
        if Bound::<f32>::holds(self.dim()) {
            let searched = self.sets.reference;
            let centre = self.centre.as_deref();
            let read = |place: usize, row: &mut [f64]| searched.read(place, row);
            let whole = Prepared::<f32>::whole(self.dim(), searched.len(), centre, read);
            let bytes = |&place: &usize| Nearest::<f32>::bytes(self.depth(place));
            let outcomes = if self.alone && left.iter().map(bytes).sum::<usize>() <= KEPT_FOR_ALL {
                self.each_pair_once(&whole)
            } else {
                self.each_query_by_itself(&left, Some(&whole))
            };
            left = take(left, outcomes);
        }
        let outcomes = self.each_query_by_itself::<f64>(&left, None);
        left = take(left, outcomes);
        let outcomes = self.by_distances(&mut left);
        take(left, outcomes);
        ranked
    }

    fn dim(&self) -> usize {
        self.sets.reference.rows.dim()
    }

    /// Some queries against every reference row, by blocks of queries; the reference as prepared, if it is.
    fn each_query_by_itself<T: Real>(
        &self,
        places: &[usize],
        whole: Option<&Prepared<T>>,
    ) -> Vec<Outcome> {
        let depth = places.iter().map(|&place| self.depth(place)).max();
        let bytes = Nearest::<T>::bytes(depth.unwrap_or(0));
        let height = QUERY_BLOCK.min(KEPT / bytes).max(1);
        let width = match whole {
            Some(_) => REFERENCE_BLOCK,
            None => (PREPARED / self.dim()).clamp(64, REFERENCE_BLOCK),
        };
        let others = blocks(self.sets.reference.len(), width);
        let (dim, centre) = (self.dim(), self.centre.as_deref());
        let read_query = |place: usize, row: &mut [f64]| self.sets.queries.read(place, row);
        let read = |place: usize, row: &mut [f64]| self.sets.reference.read(place, row);
        let outcomes: Vec<Vec<Outcome>> = places
            .par_chunks(height)
            .map_init(
                || vec![T::ZERO; height * width],
                |space, places| {
                    let of_queries = places.iter().copied();
                    let rows = Prepared::<T>::part(dim, of_queries, centre, read_query);
                    let rows = rows.rows(0..places.len());
                    let mut queries: Vec<Query<T>> = places
                        .iter()
                        .zip(rows.squares)
                        .map(|(&place, &square)| self.query(place, square))
                        .collect();
                    let mut meet =
                        |queries: &mut [Query<T>], others: &Range<usize>, first: bool| {
                            let part;
                            let block = if let Some(whole) = whole {
                                whole.rows(others.clone())
                            } else {
                                part = Prepared::part(dim, others.clone(), centre, read);
                                part.rows(0..others.len())
                            };
                            let products = products(&rows, &block, space);
                            if first {
                                self.meet_class(queries, products, &block, others);
                            } else {
                                self.meet(queries, products, &block, others);
                            }
                        };
                    for others in &others {
                        if touched(&queries, others) {
                            meet(&mut queries, others, true);
                        }
                    }
                    self.set_first(&mut queries);
                    for others in &others {
                        if queries.iter().any(|query| query.at_work) {
                            meet(&mut queries, others, false);
                        }
                    }
                    queries
                        .into_iter()
                        .map(|query| self.outcome(query))
                        .collect()
                },
            )
            .collect();
        outcomes.into_iter().flatten().collect()
    }

    /// The queries among themselves: the product of two rows serves both, but the nearest rows of all
    /// queries are kept at once.
    fn each_pair_once(&self, whole: &Prepared<f32>) -> Vec<Outcome> {
        let ranges = blocks(self.sets.queries.len(), SQUARE_BLOCK);
        let space = || vec![0.0; SQUARE_BLOCK * SQUARE_BLOCK];
        let queries: Vec<Mutex<Vec<Query<f32>>>> = ranges
            .par_iter()
            .map_init(space, |space, range| {
                let rows = whole.rows(range.clone());
                let mut queries: Vec<Query<f32>> = range
                    .clone()
                    .zip(rows.squares)
                    .map(|(place, &square)| self.query(place, square))
                    .collect();
                for others in &ranges {
                    if touched(&queries, others) {
                        let block = whole.rows(others.clone());
                        let products = products(&rows, &block, space);
                        self.meet_class(&mut queries, products, &block, others);
                    }
                }
                self.set_first(&mut queries);
                Mutex::new(queries)
            })
            .collect();
        let meet = |block: usize, products: &mut [f32], others: usize| {
            let mut queries = queries[block].lock().expect("no thread panicked");
            let rows = whole.rows(ranges[others].clone());
            self.meet(&mut queries, products, &rows, &ranges[others]);
        };
        let pairs: Vec<(usize, usize)> = (0..ranges.len())
            .flat_map(|i| (i..ranges.len()).map(move |j| (i, j)))
            .collect();
        pairs.into_par_iter().for_each_init(
            || (space(), space()),
            |(space, transposed), (i, j)| {
                let (rows, others) = (&ranges[i], &ranges[j]);
                let (from, to) = (whole.rows(rows.clone()), whole.rows(others.clone()));
                let block = products(&from, &to, space);
                if i != j {
                    let transposed = &mut transposed[..block.len()];
                    transpose(block, others.len(), transposed);
                    meet(j, transposed, i);
                }
                meet(i, block, j);
            },
        );
        queries
            .into_par_iter()
            .flat_map_iter(|block| block.into_inner().expect("no thread panicked"))
            .map(|query| self.outcome(query))
            .collect()
    }

    /// Some queries by the distances to all reference rows. They are sorted so that equal ones share them.
    fn by_distances(&self, places: &mut [usize]) -> Vec<Outcome> {
        if places.is_empty() {
            return Vec::new();
        }
        let own;
        let equals: &[u32] = if self.alone {
            self.sets.equals
        } else {
            own = self.sets.queries.equals();
            &own
        };
        places.sort_unstable_by_key(|&place| (equals[place], place));
        let outcomes: Vec<Vec<Outcome>> = places
            .par_chunks(BY_DISTANCES)
            .map(|places| {
                let mut keys: Vec<(Key, usize)> = Vec::new();
                let mut of = None;
                places
                    .iter()
                    .map(|&place| {
                        if of != Some(equals[place]) {
                            of = Some(equals[place]);
                            keys = self.keys(place);
                        }
                        Outcome::Ranked(self.by_keys(place, &keys))
                    })
                    .collect()
            })
            .collect();
        outcomes.into_iter().flatten().collect()
    }

    /// The distances of a query to all reference rows, by place.
    fn keys(&self, query: usize) -> Vec<(Key, usize)> {
        let Sets {
            reference, equals, ..
        } = self.sets;
        let mut own = QueryRow::new(self.sets);
        let mut keys: Vec<(Key, usize)> = Vec::with_capacity(reference.len());
        for (place, &first) in equals.iter().enumerate() {
            let first = first as usize;
            let square = if first < place {
                keys[first].0.0
            } else {
                own.squared_distance(query, place)
            };
            keys.push(((square, reference.indices[place]), place));
        }
        keys
    }

    fn by_keys(&self, place: usize, keys: &[(Key, usize)]) -> Ranked {
        let (class, matches) = self.class(place);
        let itself = |other: usize| self.alone && other == place;
        let of_class = keys[class.clone()].iter().filter(|key| !itself(key.1));
        let first = of_class.map(|key| key.0).min_by(nearer);
        let rank = first.map(|first| {
            let others = keys[..class.start].iter().chain(&keys[class.end..]);
            1 + others.filter(|key| nearer(&key.0, &first).is_lt()).count()
        });
        let depth = self.depth(place);
        let mut nearest: Vec<&(Key, usize)> = keys.iter().filter(|key| !itself(key.1)).collect();
        let by_key = |a: &&(Key, usize), b: &&(Key, usize)| nearer(&a.0, &b.0);
        if depth < nearest.len() {
            nearest.select_nth_unstable_by(depth, by_key);
            nearest.truncate(depth);
        }
        nearest.sort_unstable_by(by_key);
        let nearest: Vec<usize> = nearest.into_iter().map(|key| key.1).collect();
        self.ranked(&class, rank.map(|rank| (rank, matches)), &nearest)
    }

    /// Takes in the products of each query with a block of reference rows.
    fn meet<T: Real>(
        &self,
        queries: &mut [Query<T>],
        products: &mut [T],
        block: &Rows<'_, T>,
        others: &Range<usize>,
    ) {
        let mut own = QueryRow::new(self.sets);
        let sideways = self.sets.reference.directionless(others);
        let rows = products.chunks_exact_mut(others.len());
        for (query, row) in queries.iter_mut().zip(rows) {
            if !query.at_work {
                continue;
            }
            query.nearness(row, block, others, sideways);
            if self.alone && others.contains(&query.place) {
                row[query.place - others.start] = T::NOWHERE;
            }
            if query.matches > 0 {
                // Its class apart: no match is nearer than the nearest.
                let place = |end: usize| end.clamp(others.start, others.end);
                let (before, after) = (place(query.class.start), place(query.class.end));
                for part in [others.start..before, after..others.end] {
                    let within = part.start - others.start..part.end - others.start;
                    let norms = (&block.norms[within.clone()], block.most);
                    query.count(&mut own, part, &row[within], norms);
                }
            }
            let (exact, place) = (&mut query.exact, query.place);
            let mut key = |other: usize| exact.key(&mut own, place, other);
            let nearest = &mut query.nearest;
            let norms = (block.norms, block.most);
            nearest.extend(others.clone(), row, norms, &query.bound, &mut key);
            query.give_up_above(self.affordable::<T>());
        }
    }

    /// Takes in the products of each query with a block where its class may lie, to find its nearest match.
    /// The queries are sorted by label as the reference is, so that the matches of a block lie together.
    fn meet_class<T: Real>(
        &self,
        queries: &mut [Query<T>],
        products: &mut [T],
        block: &Rows<'_, T>,
        others: &Range<usize>,
    ) {
        let mut own = QueryRow::new(self.sets);
        let sideways = self.sets.reference.directionless(others);
        let rows = products.chunks_exact_mut(others.len());
        for (query, row) in queries.iter_mut().zip(rows) {
            let from = query.class.start.max(others.start);
            let to = query.class.end.min(others.end);
            if !query.at_work || query.matches == 0 || from >= to {
                continue;
            }
            query.nearness(row, block, others, sideways);
            if self.alone && others.contains(&query.place) {
                row[query.place - others.start] = T::NOWHERE;
            }
            let within = from - others.start..to - others.start;
            let (exact, place) = (&mut query.exact, query.place);
            let mut key = |other: usize| exact.key(&mut own, place, other);
            let (row, norms) = (&row[within.clone()], &block.norms[within]);
            let norms = (norms, block.most);
            let nearest = &mut query.nearest;
            nearest.extend(from..to, row, norms, &query.bound, &mut key);
            query.give_up_above(self.affordable::<T>());
        }
    }

    /// The nearest match of each query, once its class was met; it is then ready to meet all.
    fn set_first<T: Real>(&self, queries: &mut [Query<T>]) {
        let mut own = QueryRow::new(self.sets);
        for query in queries {
            let depth = self.depth(query.place);
            let matches = std::mem::replace(&mut query.nearest, Nearest::new(depth));
            if !query.at_work || query.matches == 0 {
                continue;
            }
            let (exact, place) = (&mut query.exact, query.place);
            let mut key = |other: usize| exact.key(&mut own, place, other);
            let first = matches.into_places(&mut key, |_, _| false)[0];
            let key = key(first);
            let (nearness, margin) = query.bound.nearness(key.0);
            let near = T::nearest(nearness);
            query.first = Some(First {
                key,
                nearness: near,
                // With what the number and its sums with margins are rounded by.
                margin: T::above(margin + 4.0 * T::UNIT_ROUNDOFF * nearness.abs()),
            });
        }
    }

    /// How many distances of a query to compute before its products are.
    fn affordable<T: Real>(&self) -> usize {
        let share = if size_of::<T>() == 4 { 16 } else { 4 };
        self.sets.reference.len() / share + 64
    }

    /// The places of the reference rows with the label of a query, and how many of them are matches.
    fn class(&self, query: usize) -> (Range<usize>, usize) {
        let classes = &self.sets.reference.classes;
        let label = self.sets.queries.label(query);
        match label.and_then(|label| classes.get(&label)) {
            Some(class) => (class.clone(), class.len() - usize::from(self.alone)),
            None => (0..0, 0),
        }
    }

    /// How many of the nearest rows of a query are needed.
    fn depth(&self, query: usize) -> usize {
        match (self.class(query).1, self.wanted) {
            (0, Wanted::Matched) => 0,
            (matches, _) => matches.max(self.knn),
        }
    }

    fn query<T: Real>(&self, place: usize, square: f64) -> Query<T> {
        let (class, matches) = self.class(place);
        let wanted = self.depth(place) > 0;
        let right_angle = 2.0 * UNIT_SQUARE * T::SCALE * T::SCALE;
        Query {
            place,
            class,
            matches,
            at_work: wanted && !self.sets.queries.has_no_direction(place),
            bound: Bound::new(square, self.dim()),
            sideways: T::nearest((square - right_angle) / 2.0),
            first: None,
            nearer: 0,
            // Of its class.
            nearest: Nearest::new(1),
            exact: Exact::new(),
        }
    }

    fn outcome<T: Real>(&self, query: Query<T>) -> Outcome {
        if query.nearest.depth() == 0 {
            return Outcome::NotWanted;
        }
        if !query.at_work {
            return Outcome::Undecided;
        }
        let Query {
            place,
            class,
            nearest,
            mut exact,
            ..
        } = query;
        let mut own = QueryRow::new(self.sets);
        let mut key = |other: usize| exact.key(&mut own, place, other);
        // Beyond the vote, only where the matches are counts.
        let indifferent = |ranks: Range<usize>, places: &mut dyn Iterator<Item = usize>| {
            let of_class = places.filter(|place| class.contains(place)).count();
            ranks.start >= self.knn && (of_class == 0 || of_class == ranks.len())
        };
        let nearest = nearest.into_places(&mut key, indifferent);
        let rank = (query.matches > 0).then_some((query.nearer + 1, query.matches));
        Outcome::Ranked(self.ranked(&class, rank, &nearest))
    }

    /// The result, from the rank of the nearest match with the number of matches, and the nearest rows.
    fn ranked(
        &self,
        class: &Range<usize>,
        rank: Option<(usize, usize)>,
        nearest: &[usize],
    ) -> Ranked {
        let is_match = |place: &usize| class.contains(place);
        let voters = &nearest[..self.knn.min(nearest.len())];
        let index = |&place: &usize| self.sets.reference.indices[place];
        Ranked {
            nearest: match self.wanted {
                Wanted::Nearest => voters.iter().map(index).collect(),
                Wanted::Matched | Wanted::Everyone => Vec::new(),
            },
            matched: rank
                .map(|(first, matches)| (first, relevance(nearest.iter().map(is_match), matches))),
            vote: vote(
                voters
                    .iter()
                    .filter_map(|&place| self.sets.reference.label(place)),
            ),
        }
    }
}

fn touched<T>(queries: &[Query<T>], others: &Range<usize>) -> bool {
    queries.iter().any(|query| {
        query.at_work
            && query.matches > 0
            && query.class.start < others.end
            && others.start < query.class.end
    })
}

impl<T: Real> Query<T> {
    fn nearness(
        &self,
        products: &mut [T],
        block: &Rows<'_, T>,
        others: &Range<usize>,
        sideways: &[usize],
    ) {
        nearness(products, block.half_squares);
        for place in sideways {
            products[place - others.start] = self.sideways;
        }
    }

    /// Counts the rows, none of them a match, that are nearer than the nearest match. No norm is above `most`.
    fn count(
        &mut self,
        own: &mut QueryRow<'_>,
        places: Range<usize>,
        nearness: &[T],
        (norms, most): (&[T], T),
    ) {
        let Some(first) = &self.first else {
            return;
        };
        let bound = &self.bound;
        let limits = |norm: T| {
            let margin = bound.of(norm) + first.margin;
            (first.nearness - margin, first.nearness + margin)
        };
        let (from, to) = limits(most);
        const STRIDE: usize = 64;
        let chunks = nearness.chunks(STRIDE).zip(norms.chunks(STRIDE));
        for ((nearness, norms), start) in chunks.zip(places.step_by(STRIDE)) {
            let (mut nearer_ones, mut near) = (0u32, 0u32);
            for &x in nearness {
                nearer_ones += u32::from(x > to);
                near += u32::from(x >= from);
            }
            if near == nearer_ones {
                self.nearer += nearer_ones as usize;
                continue;
            }
            for (i, (&x, &norm)) in nearness.iter().zip(norms).enumerate() {
                let (from, to) = limits(norm);
                let is_nearer = x > to
                    || x >= from && {
                        let key = self.exact.key(own, self.place, start + i);
                        nearer(&key, &first.key).is_lt()
                    };
                self.nearer += usize::from(is_nearer);
            }
        }
    }

    /// Stops work on it if more distances were computed than that.
    fn give_up_above(&mut self, affordable: usize) {
        if self.exact.computed > affordable {
            self.at_work = false;
            self.nearest = Nearest::new(self.nearest.depth());
        }
    }
}

/// The label with most votes; among equals the one that comes first. `None` without voters.
fn vote(labels: impl Iterator<Item = i64>) -> Option<i64> {
    // The votes of each label and when the first came.
    let mut votes: HashMap<i64, (usize, std::cmp::Reverse<usize>)> = HashMap::new();
    for (i, label) in labels.enumerate() {
        votes.entry(label).or_insert((0, std::cmp::Reverse(i))).0 += 1;
    }
    let winner = votes.into_iter().max_by_key(|&(_, votes)| votes);
    winner.map(|(label, _)| label)
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::host_rows::{Entries, HostRows};

    fn ranked(outcomes: Vec<Outcome>) -> Vec<Option<Ranked>> {
        let of = |outcome| match outcome {
            Outcome::Ranked(ranked) => Some(ranked),
            Outcome::NotWanted | Outcome::Undecided => None,
        };
        outcomes.into_iter().map(of).collect()
    }

    /// Every way through the pairs ranks alike what it decides: whole numbers with ties, others, and a
    /// collapsed set, which products in f32 leave to the rest.
    #[test]
    fn all_ways_rank_alike() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let (n, dim) = (1700, 5);
        let labels: Vec<i64> = (0..n).map(|_| rng.random_range(0i64..90)).collect();
        let mut rows = |of: &dyn Fn(usize, i32, f64) -> f64| -> Vec<f64> {
            let mut entry = |k: usize| of(k / dim, rng.random_range(-2..3), rng.random::<f64>());
            (0..n * dim).map(&mut entry).collect()
        };
        let ties = rows(&|_, whole, _| f64::from(whole));
        let others = rows(&|_, _, x| x - 0.5);
        let collapsed = rows(&|i, _, x| [1.0, -1.0][i % 2] + 1e-5 * x);
        for (name, rows) in [("ties", ties), ("others", others), ("collapsed", collapsed)] {
            let entries = Entries::Double(&rows);
            let set = Set::new(
                HostRows::euclidean(entries, dim, entries.exponent()),
                &labels,
            );
            let equals = set.equals();
            let search = Search {
                sets: Sets {
                    queries: &set,
                    reference: &set,
                    equals: &equals,
                },
                alone: true,
                knn: 4,
                wanted: Wanted::Matched,
                centre: centre(&set.rows),
            };
            let mut all: Vec<usize> = (0..n).collect();
            let read = |place: usize, row: &mut [f64]| set.read(place, row);
            let whole = Prepared::<f32>::whole(dim, n, search.centre.as_deref(), read);
            let once = ranked(search.each_pair_once(&whole));
            let single = ranked(search.each_query_by_itself(&all, Some(&whole)));
            let double = ranked(search.each_query_by_itself::<f64>(&all, None));
            let exact = search.by_distances(&mut all);
            let mut by_distances = vec![None; n];
            for (place, ranked) in all.into_iter().zip(ranked(exact)) {
                by_distances[place] = ranked;
            }
            let undecided = |of: &[Option<Ranked>]| of.iter().filter(|of| of.is_none()).count();
            assert_eq!(undecided(&by_distances), 0, "{name}");
            for way in [&once, &single, &double] {
                for (way, exact) in way.iter().zip(&by_distances) {
                    assert!(way.is_none() || way == exact, "{name}");
                }
            }
            match name {
                "others" => assert_eq!(undecided(&once) + undecided(&single), 0),
                "collapsed" => {
                    assert!(undecided(&once) > n / 2 && undecided(&single) > n / 2);
                    assert_eq!(undecided(&double), 0);
                }
                _ => {}
            }
        }
    }

    #[test]
    fn the_first_of_the_labels_with_most_votes() {
        assert_eq!(vote([].into_iter()), None);
        assert_eq!(vote([4, 1, 1, 4, 9].into_iter()), Some(4));
        assert_eq!(vote([9, 1, 4, 4, 1].into_iter()), Some(1));
    }
}
