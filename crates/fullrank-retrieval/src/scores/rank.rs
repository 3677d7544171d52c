//! Each query's place among the reference rows.

use std::ops::Range;

use rayon::prelude::*;

use super::Relevance;
use super::relevance::relevance;
use super::search::{Nearest, REFERENCE_BLOCK, Sorted, code, nearness};

/// Queries of a block of products.
const QUERY_BLOCK: usize = 256;
/// The nearest rows kept for the queries of a block, at most: 64 MB of them.
const KEPT: usize = 1 << 23;

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
    let search = Search {
        queries,
        reference: reference.unwrap_or(queries),
        alone: reference.is_none(),
        knn: knn.unwrap_or(0),
    };
    let largest = search.reference.classes.values().map(Range::len).max();
    let depth = largest.unwrap_or(0).max(search.knn);
    let block = QUERY_BLOCK.min(KEPT / (2 * depth + 64)).max(1);
    let starts: Vec<usize> = (0..queries.len()).step_by(block).collect();
    let blocks: Vec<Vec<Option<Ranked>>> = starts
        .into_par_iter()
        .map(|start| search.block(start..queries.len().min(start + block)))
        .collect();

    let mut ranked = vec![None; queries.len()];
    for (result, &index) in blocks.into_iter().flatten().zip(&queries.indices) {
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
    fn block(&self, rows: Range<usize>) -> Vec<Option<Ranked>> {
        let mut queries: Vec<Query> = rows.clone().map(|place| self.query(place)).collect();
        let mut space = vec![0.0; rows.len() * REFERENCE_BLOCK];
        self.find_first(&rows, &mut queries, &mut space);

        for start in (0..self.reference.len()).step_by(REFERENCE_BLOCK) {
            let others = start..self.reference.len().min(start + REFERENCE_BLOCK);
            let width = others.len();
            let block = nearness(
                self.queries,
                rows.clone(),
                self.reference,
                others.clone(),
                &mut space,
            );
            let indices = &self.reference.indices[others.clone()];
            for (query, row) in queries.iter_mut().zip(block.chunks_exact_mut(width)) {
                if query.matches == 0 {
                    continue;
                }
                if self.alone && others.contains(&query.place) {
                    row[query.place - start] = f32::NEG_INFINITY;
                }
                // Its class apart: no match is nearer than the nearest.
                let before = query.class.start.clamp(start, others.end) - start;
                let after = query.class.end.clamp(start, others.end) - start;
                query.count(&row[..before], &indices[..before]);
                query.count(&row[after..], &indices[after..]);
                query.nearest.extend(row, indices);
            }
        }
        queries
            .into_iter()
            .map(|query| self.ranked(query))
            .collect()
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
            let width = others.len();
            let block = nearness(
                self.queries,
                rows.clone(),
                self.reference,
                others.clone(),
                space,
            );
            for (query, row) in queries.iter_mut().zip(block.chunks_exact(width)) {
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
