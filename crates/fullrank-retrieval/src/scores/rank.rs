//! Each query's place among the reference rows.

use std::ops::Range;
use std::sync::Mutex;

use rayon::prelude::*;

use super::Relevance;
use super::relevance::relevance;
use super::search::{Nearest, Sorted, code, nearness, products, transpose};

/// Rows of a block of products.
const QUERY_BLOCK: usize = 256;
/// Columns of a block of products.
const REFERENCE_BLOCK: usize = 1024;
/// Rows and columns of a block where the queries rank each other.
const SQUARE_BLOCK: usize = 512;
/// The nearest rows kept for the queries of a block, at most: 64 MB of them.
const KEPT: usize = 1 << 23;
/// The nearest rows kept for all queries at once, at most: 512 MB of them.
const KEPT_FOR_ALL: usize = 1 << 26;

/// What the scores need to know of a query's ranking.
#[derive(Clone, Debug)]
pub(super) struct Ranked {
    /// The rank of the nearest match, from 1.
    pub(super) first: usize,
    /// The scores of the first R.
    pub(super) relevance: Relevance,
    /// Whether the vote of the k nearest is for the query's label.
    pub(super) voted: bool,
}

/// Ranks the reference for each query, in the order of the queries as they were given; `None` for a
/// query without a match. Without a reference, the queries rank each other.
pub(super) fn rank(
    queries: &Sorted,
    reference: Option<&Sorted>,
    knn: Option<usize>,
) -> Vec<Option<Ranked>> {
    let ranked_rows = reference.unwrap_or(queries);
    let search = Search {
        queries,
        reference: ranked_rows,
        alone: reference.is_none(),
        knn: knn.unwrap_or(0).min(ranked_rows.len()),
    };
    let kept = |place: usize| Nearest::most_kept(search.query(place).nearest.depth());
    let all: usize = (0..queries.len()).map(kept).sum();
    let results = if search.alone && all <= KEPT_FOR_ALL {
        search.each_pair_once()
    } else {
        search.each_query_by_itself()
    };
    let mut ranked = vec![None; queries.len()];
    for (result, &index) in results.into_iter().zip(&queries.indices) {
        ranked[index as usize] = result;
    }
    ranked
}

struct Search<'a> {
    queries: &'a Sorted,
    reference: &'a Sorted,
    /// Whether the queries rank each other.
    alone: bool,
    knn: usize,
}

/// A query at work.
struct Query {
    /// Its place among the sorted queries.
    place: usize,
    label: i64,
    /// The places of the reference rows with its label.
    class: Range<usize>,
    /// How many of them are matches.
    matches: usize,
    /// The code and the nearness of the nearest match.
    first: u64,
    first_nearness: f32,
    /// How many others are nearer than that.
    nearer: usize,
    nearest: Nearest,
}

impl Search<'_> {
    /// Every query against every reference row, by blocks of queries.
    fn each_query_by_itself(&self) -> Vec<Option<Ranked>> {
        let largest = self.reference.classes.values().map(Range::len).max();
        let depth = largest.unwrap_or(0).max(self.knn);
        let height = QUERY_BLOCK.min(KEPT / Nearest::most_kept(depth)).max(1);
        let blocks: Vec<Vec<Query>> = blocks(self.queries.len(), height)
            .into_par_iter()
            .map_init(
                || vec![0.0; height * REFERENCE_BLOCK],
                |space, rows| {
                    let mut queries = self.queries(&rows, space);
                    for others in blocks(self.reference.len(), REFERENCE_BLOCK) {
                        let (from, to) = (rows.clone(), others.clone());
                        let block = products(self.queries, from, self.reference, to, space);
                        self.meet(&mut queries, block, &others);
                    }
                    queries
                },
            )
            .collect();
        let queries = blocks.into_iter().flatten();
        queries.map(|query| self.ranked(query)).collect()
    }

    /// The queries among themselves: the product of two rows serves both, but the nearest rows of all
    /// queries are kept at once.
    fn each_pair_once(&self) -> Vec<Option<Ranked>> {
        let ranges = blocks(self.queries.len(), SQUARE_BLOCK);
        let space = || vec![0.0; SQUARE_BLOCK * REFERENCE_BLOCK.max(SQUARE_BLOCK)];
        let queries: Vec<Mutex<Vec<Query>>> = ranges
            .par_iter()
            .map_init(space, |space, rows| Mutex::new(self.queries(rows, space)))
            .collect();
        let meet = |block: usize, products: &mut [f32], others: &Range<usize>| {
            let mut queries = queries[block].lock().expect("no thread panicked");
            self.meet(&mut queries, products, others);
        };
        let pairs: Vec<(usize, usize)> = (0..ranges.len())
            .flat_map(|i| (i..ranges.len()).map(move |j| (i, j)))
            .collect();
        pairs.into_par_iter().for_each_init(
            || (space(), space()),
            |(space, transposed), (i, j)| {
                let (rows, others) = (&ranges[i], &ranges[j]);
                let (from, to) = (rows.clone(), others.clone());
                let block = products(self.queries, from, self.queries, to, space);
                if i != j {
                    let transposed = &mut transposed[..block.len()];
                    transpose(block, others.len(), transposed);
                    meet(j, transposed, rows);
                }
                meet(i, block, others);
            },
        );
        queries
            .into_iter()
            .flat_map(|block| block.into_inner().expect("no thread panicked"))
            .map(|query| self.ranked(query))
            .collect()
    }

    /// The queries of a block, with their nearest matches.
    fn queries(&self, rows: &Range<usize>, space: &mut [f32]) -> Vec<Query> {
        let mut queries: Vec<Query> = rows.clone().map(|place| self.query(place)).collect();
        self.find_first(rows, &mut queries, space);
        queries
    }

    /// Takes in the products of each query with a block of reference rows.
    fn meet(&self, queries: &mut [Query], block: &mut [f32], others: &Range<usize>) {
        let indices = &self.reference.indices[others.clone()];
        let half_squares = &self.reference.half_squares[others.clone()];
        let rows = block.chunks_exact_mut(others.len());
        for (query, row) in queries.iter_mut().zip(rows) {
            if query.matches == 0 {
                continue;
            }
            nearness(row, half_squares);
            if self.alone && others.contains(&query.place) {
                row[query.place - others.start] = f32::NEG_INFINITY;
            }
            // Its class apart: no match is nearer than the nearest.
            let place = |end: usize| end.clamp(others.start, others.end) - others.start;
            let (before, after) = (place(query.class.start), place(query.class.end));
            query.count(&row[..before], &indices[..before]);
            query.count(&row[after..], &indices[after..]);
            query.nearest.extend(row, indices);
        }
    }

    fn query(&self, place: usize) -> Query {
        let label = self.queries.labels[self.queries.indices[place] as usize];
        let class = self.reference.classes.get(&label).cloned().unwrap_or(0..0);
        let matches = class.len() - usize::from(self.alone);
        let depth = if matches == 0 {
            0
        } else {
            matches.max(self.knn)
        };
        Query {
            place,
            label,
            class,
            matches,
            first: 0,
            first_nearness: f32::NEG_INFINITY,
            nearer: 0,
            nearest: Nearest::new(depth),
        }
    }

    /// The nearest match of each query. The queries are sorted by label as the reference is, so that
    /// the matches of a block lie together.
    fn find_first(&self, rows: &Range<usize>, queries: &mut [Query], space: &mut [f32]) {
        let matched = queries.iter().filter(|query| query.matches > 0);
        let Some(from) = matched.clone().map(|query| query.class.start).min() else {
            return;
        };
        let to = matched.map(|query| query.class.end).max().unwrap_or(from);
        for start in (from..to).step_by(REFERENCE_BLOCK) {
            let others = start..to.min(start + REFERENCE_BLOCK);
            let touched = queries
                .iter()
                .any(|query| query.class.start < others.end && others.start < query.class.end);
            if !touched {
                continue;
            }
            let (from, to) = (rows.clone(), others.clone());
            let block = products(self.queries, from, self.reference, to, space);
            let half_squares = &self.reference.half_squares[others.clone()];
            for (query, row) in queries.iter_mut().zip(block.chunks_exact_mut(others.len())) {
                nearness(row, half_squares);
                let class = query.class.start.max(start)..query.class.end.min(others.end);
                for place in class {
                    if self.alone && place == query.place {
                        continue;
                    }
                    let nearness = row[place - start];
                    let code = code(nearness, self.reference.indices[place]);
                    if code > query.first {
                        (query.first, query.first_nearness) = (code, nearness);
                    }
                }
            }
        }
    }

    fn ranked(&self, query: Query) -> Option<Ranked> {
        if query.matches == 0 {
            return None;
        }
        let label = |index: &u32| self.reference.labels[*index as usize];
        let nearest = query.nearest.into_indices();
        let matches = nearest.iter().map(|index| label(index) == query.label);
        Some(Ranked {
            first: query.nearer + 1,
            relevance: relevance(matches, query.matches),
            voted: self.knn > 0 && {
                let voters = &nearest[..self.knn.min(nearest.len())];
                vote(voters.iter().map(label)) == query.label
            },
        })
    }
}

impl Query {
    /// Counts the rows, none of them a match, that are nearer than the nearest match.
    fn count(&mut self, nearness: &[f32], indices: &[u32]) {
        let first = self.first_nearness;
        const STRIDE: usize = 64;
        for (nearness, indices) in nearness.chunks(STRIDE).zip(indices.chunks(STRIDE)) {
            let (mut nearer, mut equal) = (0u32, 0u32);
            for &x in nearness {
                nearer += u32::from(x > first);
                equal += u32::from(x == first);
            }
            self.nearer += nearer as usize;
            if equal > 0 {
                let tied = nearness.iter().zip(indices);
                self.nearer += tied
                    .filter(|&(&x, &i)| x == first && code(x, i) > self.first)
                    .count();
            }
        }
    }
}

/// `0..length` in parts of `size`.
fn blocks(length: usize, size: usize) -> Vec<Range<usize>> {
    (0..length)
        .step_by(size)
        .map(|start| start..length.min(start + size))
        .collect()
}

/// The label with most votes; among equals the one that comes first.
fn vote(labels: impl Iterator<Item = i64>) -> i64 {
    let mut votes: Vec<(i64, usize)> = Vec::new();
    for label in labels {
        match votes.iter_mut().find(|(other, _)| *other == label) {
            Some((_, count)) => *count += 1,
            None => votes.push((label, 1)),
        }
    }
    let most = votes.iter().map(|&(_, count)| count).max().unwrap_or(0);
    let winner = votes.iter().find(|&&(_, count)| count == most);
    winner.map_or(i64::MIN, |&(label, _)| label)
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::super::search::prepare;
    use super::super::{LabelledRows, Metric};
    use super::*;

    /// Both ways through the pairs rank alike, whole numbers with ties and others.
    #[test]
    fn each_pair_once_is_each_query_by_itself() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let (n, dim) = (1700, 5);
        let labels: Vec<i64> = (0..n).map(|_| rng.random_range(0i64..90)).collect();
        let ties: Vec<f32> = (0..n * dim)
            .map(|_| rng.random_range(-2i32..3) as f32)
            .collect();
        let none: Vec<f32> = (0..n * dim).map(|_| rng.random::<f32>() - 0.5).collect();
        for rows in [ties, none] {
            let set = LabelledRows::new(&rows, dim, &labels).unwrap();
            let (sorted, _) = prepare(&set, None, Metric::Euclidean);
            let search = Search {
                queries: &sorted,
                reference: &sorted,
                alone: true,
                knn: 4,
            };
            let (once, itself) = (search.each_pair_once(), search.each_query_by_itself());
            assert_eq!(once.len(), n);
            for (once, itself) in once.into_iter().zip(itself) {
                let (once, itself) = (once.unwrap(), itself.unwrap());
                assert_eq!(once.first, itself.first);
                assert_eq!(once.relevance, itself.relevance);
                assert_eq!(once.voted, itself.voted);
            }
        }
    }
}
