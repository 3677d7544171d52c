//! Retrieval scores of embeddings on the host, from any framework.
//!
//! Each *query* ranks the rows of a *reference* set by their distance; a *match* is a reference row
//! with the query's label. [`ScoresConfig::score`] computes, over the queries that have a match,
//!
//! | score | the mean over queries of |
//! |---|---|
//! | Recall@K | 1 if at least one of the K nearest is a match, else 0 |
//! | precision@1 | 1 if the nearest is a match, else 0: the same as Recall@1 |
//! | R-precision | the share of matches among the R nearest, R being the number of the query's matches |
//! | MAP@R | `1/R sum_{i <= R} P(i) rel(i)`: `rel(i)` is 1 if the i-th nearest is a match, `P(i)` the share of matches among the first i |
//! | MRR | 1 / rank of the nearest match, in the whole ranking |
//! | k-NN accuracy | 1 if most of the k nearest have the query's label, else 0 |
//!
//! and NMI, which compares the labels of all queries with a k-means clustering of them.
//!
//! Without labels, [`neighbours`] tells how unevenly rows are found: hubs, rows that are never found, and
//! near-duplicates.
//!
//! - **Query = reference**: without a reference set, each query ranks all other rows. It leaves itself
//!   out by its index, not by its distance: an equal row stays.
//! - **Queries without a match** (a class of one row, or one that the reference has not) count in no
//!   score but NMI; [`Scores::without_match`] says how many there are. If no query has a match, the
//!   scores are NaN.
//! - **Ties**: of two equally far rows, the one with the smaller index is nearer. In the vote of the k
//!   nearest, the class with the nearest member wins among classes with equally many votes.
//! - **Precision**: rows are ranked by the sum of the squared differences of their entries in f64, f32 or
//!   f64 as they are, for the cosine of the rows divided by their 2-norm in f64. Rows that lie far from the
//!   origin and close together, as a collapsed embedding's, are told apart as far as their entries are, and
//!   entries may be of any size; rows times a power of two get the same scores. Equal rows tie exactly. By
//!   the cosine, a zero row is at a right angle to every row.
//! - **Memory and time**: most distances are told apart by inner products in f32, whose error has a bound;
//!   the rest are computed. Where that is too much, as in a collapsed set, products in f64 come between.
//!   Products are formed in blocks, on all cores (rayon), never as a whole. Beside the input there is one f32
//!   copy of the rows that are ranked and some 800 bytes a query and 24 for each of its matches or neighbours: of
//!   all queries at once where they rank each other and that is below about 1 GB, which halves the time, else
//!   of those at work.
//!   Scores do not depend on the number of threads.

mod hubness;
mod k_means;
mod nearest;
mod nmi;
mod rank;
mod relevance;
mod search;
mod vote;

use burn::config::Config;
use serde::{Deserialize, Serialize};

pub use crate::host_rows::Entry;
pub use hubness::{NEAR_DUPLICATE_WITHIN, NearDuplicate, Neighbours, neighbours};
pub use k_means::{KMeansError, k_means};
pub use nmi::normalized_mutual_information;
pub use relevance::{Relevance, relevance};
pub use vote::vote_of_nearest;

use crate::host_rows::Entries;
use rank::{Wanted, rank};
use search::{Set, host_rows};

/// Embeddings without labels.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a> {
    entries: Entries<'a>,
    dim: usize,
}

impl<'a> Rows<'a> {
    /// Rows of `dim` numbers, one after another, f32 or f64.
    ///
    /// # Errors
    ///
    /// If there is no row or no dimension, `values` are not rows of `dim` numbers, there are 2^32 rows or
    /// more, or an entry is not finite.
    pub fn new<E: Entry>(values: &'a [E], dim: usize) -> Result<Self, ScoresError> {
        let rows = values.len().checked_div(dim).unwrap_or(0);
        Self::checked(E::entries(values), dim, rows)
    }

    fn checked(entries: Entries<'a>, dim: usize, rows: usize) -> Result<Self, ScoresError> {
        if entries.len() == 0 || dim == 0 || rows == 0 {
            return Err(ScoresError::Empty);
        }
        if rows.checked_mul(dim) != Some(entries.len()) {
            return Err(ScoresError::Shape {
                values: entries.len(),
                dim,
                labels: rows,
            });
        }
        if u32::try_from(rows).is_err() {
            return Err(ScoresError::TooMany(rows));
        }
        match entries.first_not_finite(dim) {
            Some(row) => Err(ScoresError::NotFinite { row }),
            None => Ok(Self { entries, dim }),
        }
    }

    fn as_pair(&self) -> (Entries<'a>, usize) {
        (self.entries, self.dim)
    }
}

/// Embeddings with their labels.
#[derive(Clone, Copy, Debug)]
pub struct LabelledRows<'a> {
    rows: Rows<'a>,
    labels: &'a [i64],
}

impl<'a> LabelledRows<'a> {
    /// Rows of `dim` numbers, one after another, f32 or f64, with one label each.
    ///
    /// # Errors
    ///
    /// If there is no row or no dimension, `values` does not hold `labels.len() * dim` numbers, there
    /// are 2^32 rows or more, or an entry is not finite.
    pub fn new<E: Entry>(
        values: &'a [E],
        dim: usize,
        labels: &'a [i64],
    ) -> Result<Self, ScoresError> {
        let rows = Rows::checked(E::entries(values), dim, labels.len())?;
        Ok(Self { rows, labels })
    }

    /// The rows without their labels.
    pub fn rows(&self) -> Rows<'a> {
        self.rows
    }

    fn len(&self) -> usize {
        self.labels.len()
    }
}

/// What is wrong with the input of a score.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ScoresError {
    /// No rows or no dimensions.
    #[error("a score needs at least one row and one dimension")]
    Empty,
    /// The numbers do not make up the rows.
    #[error("{labels} rows of {dim} numbers cannot be made of {values}")]
    Shape {
        /// How many numbers there are.
        values: usize,
        /// Numbers of a row.
        dim: usize,
        /// Rows by the labels.
        labels: usize,
    },
    /// More rows than an index of 32 bits names.
    #[error("a set must have less than 2^32 rows, got {0}")]
    TooMany(usize),
    /// An entry is NaN or infinite.
    #[error("row {row} has an entry that is not finite")]
    NotFinite {
        /// The first such row.
        row: usize,
    },
    /// Queries and reference have different dimensions.
    #[error("the queries have {query} dimensions, but the reference has {reference}")]
    Dimensions {
        /// Of the queries.
        query: usize,
        /// Of the reference.
        reference: usize,
    },
    /// A single row, with nothing beside it to find.
    #[error("a single row has no neighbours")]
    Alone,
    /// A K or k of zero.
    #[error("K must be at least 1, got 0")]
    ZeroK,
}

/// By what the reference rows are ranked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RankBy {
    /// The Euclidean distance of the rows as they are.
    Euclidean,
    /// The angle: the Euclidean distance of the rows divided by their 2-norm. The cosine of a zero row with
    /// any row is 0, which is a distance of `sqrt(2)`.
    Cosine,
}

/// Which scores, and of what.
#[derive(Config, Debug, PartialEq)]
pub struct ScoresConfig {
    /// The K of Recall@K. Default: `[1, 2, 4, 8]`
    #[config(default = "vec![1, 2, 4, 8]")]
    pub recall_at: Vec<usize>,
    /// By what the reference rows are ranked. Default: `RankBy::Euclidean`
    #[config(default = "RankBy::Euclidean")]
    pub rank_by: RankBy,
    /// The k of the k-NN accuracy; not computed if not set. Default: `None`
    pub knn: Option<usize>,
    /// Whether NMI is computed, which takes k-means with as many clusters as labels. Default: `false`
    #[config(default = false)]
    pub nmi: bool,
    /// The seed of k-means. Default: `0`
    #[config(default = 0)]
    pub seed: u64,
}

/// The scores, each between 0 and 1; see the [module](self) for their definitions.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Scores {
    /// The number of queries with a match, over which the means are taken.
    pub queries: usize,
    /// The number of queries without a match.
    pub without_match: usize,
    /// Recall@K as `(K, recall)`, in the order asked for.
    pub recall_at: Vec<(usize, f64)>,
    /// Precision@1.
    pub precision_at_1: f64,
    /// R-precision.
    pub r_precision: f64,
    /// MAP@R.
    pub map_at_r: f64,
    /// Mean reciprocal rank.
    pub mrr: f64,
    /// k-NN accuracy, if asked for.
    pub knn_accuracy: Option<f64>,
    /// Normalized mutual information, if asked for.
    pub nmi: Option<f64>,
}

impl ScoresConfig {
    /// Scores `queries` against `reference`, or against each other if there is none.
    ///
    /// ```
    /// use fullrank_retrieval::scores::{LabelledRows, ScoresConfig};
    ///
    /// let rows = [0.0, 1.0, 5.0, 6.0];
    /// let set = LabelledRows::new(&rows, 1, &[0, 0, 1, 1])?;
    /// let scores = ScoresConfig::new().score(&set, None)?;
    /// assert_eq!(scores.recall_at[0], (1, 1.0));
    /// # Ok::<(), fullrank_retrieval::scores::ScoresError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If the dimensions differ or a K is zero.
    pub fn score(
        &self,
        queries: &LabelledRows<'_>,
        reference: Option<&LabelledRows<'_>>,
    ) -> Result<Scores, ScoresError> {
        if self.recall_at.contains(&0) || self.knn == Some(0) {
            return Err(ScoresError::ZeroK);
        }
        let reference_rows = reference.map(|reference| &reference.rows);
        same_dimensions(&queries.rows, reference_rows)?;
        let (query_rows, reference_rows) = host_rows(
            queries.rows.as_pair(),
            reference_rows.map(Rows::as_pair),
            self.rank_by,
        );
        let query_set = Set::new(query_rows, queries.labels);
        let reference_set = reference_rows
            .zip(reference)
            .map(|(rows, reference)| Set::new(rows, reference.labels));
        let knn = self.knn.unwrap_or(0);
        let ranked = rank(&query_set, reference_set.as_ref(), knn, Wanted::Matched);

        let matched: Vec<(usize, Relevance, bool)> = ranked
            .into_iter()
            .zip(queries.labels)
            .filter_map(|(ranked, &label)| {
                let ranked = ranked?;
                let (first, relevance) = ranked.matched?;
                Some((first, relevance, ranked.vote == Some(label)))
            })
            .collect();
        let count = matched.len();
        let mean = |score: &dyn Fn(&(usize, Relevance, bool)) -> f64| {
            matched.iter().map(score).sum::<f64>() / count as f64
        };
        let hit = |k: usize| mean(&|(first, ..)| f64::from(u8::from(*first <= k)));
        Ok(Scores {
            queries: count,
            without_match: queries.len() - count,
            recall_at: self.recall_at.iter().map(|&k| (k, hit(k))).collect(),
            precision_at_1: hit(1),
            r_precision: mean(&|(_, relevance, _)| relevance.r_precision),
            map_at_r: mean(&|(_, relevance, _)| relevance.average_precision),
            mrr: mean(&|(first, ..)| 1.0 / *first as f64),
            knn_accuracy: self
                .knn
                .map(|_| mean(&|(.., voted)| f64::from(u8::from(*voted)))),
            nmi: self.nmi.then(|| self.nmi(&query_set, queries.labels)),
        })
    }

    fn nmi(&self, queries: &Set<'_>, labels: &[i64]) -> f64 {
        let clusters = k_means::cluster(&queries.rows, queries.classes.len(), self.seed);
        let clusters: Vec<i64> = clusters.into_iter().map(|c| c as i64).collect();
        normalized_mutual_information(labels, &clusters)
    }
}

fn same_dimensions(queries: &Rows<'_>, reference: Option<&Rows<'_>>) -> Result<(), ScoresError> {
    match reference {
        Some(reference) if reference.dim != queries.dim => Err(ScoresError::Dimensions {
            query: queries.dim,
            reference: reference.dim,
        }),
        _ => Ok(()),
    }
}
