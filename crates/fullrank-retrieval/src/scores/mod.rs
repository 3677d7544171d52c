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
//! - **Query = reference**: without a reference set, each query ranks all other rows. It leaves itself
//!   out by its index, not by its distance: an equal row stays.
//! - **Queries without a match** (a class of one row, or one that the reference has not) count in no
//!   score but NMI; [`Scores::without_match`] says how many there are. If no query has a match, the
//!   scores are NaN.
//! - **Ties**: of two equally far rows, the one with the smaller index is nearer. In the vote of the k
//!   nearest, the class with the nearest member wins among classes with equally many votes.
//! - **Precision**: distances are compared as f32 inner products less half the squared norms, after the
//!   mean is subtracted from rows that all point in one direction, as a collapsed embedding's do.
//!   Equal rows tie exactly; rows whose distances differ by less than f32's rounding of `|x|^2` may
//!   stand either way.
//! - **Memory and time**: products are formed in blocks, on all cores (rayon), never as a whole. Beside
//!   the input there is one sorted copy of each set and up to 16 bytes for each match of a query: of all
//!   queries at once where they rank each other and that is below 512 MB, which halves the time, else of
//!   those at work.

mod nmi;
mod rank;
mod relevance;
mod search;

use burn::config::Config;
use serde::{Deserialize, Serialize};

pub use nmi::{KMeansError, k_means, normalized_mutual_information};
pub use relevance::{Relevance, relevance};

use rank::rank;
use search::{Sorted, prepare};

/// Embeddings with their labels.
#[derive(Clone, Copy, Debug)]
pub struct LabelledRows<'a> {
    values: &'a [f32],
    dim: usize,
    labels: &'a [i64],
}

impl<'a> LabelledRows<'a> {
    /// Rows of `dim` numbers, one after another, with one label each.
    ///
    /// # Errors
    ///
    /// If there is no row or no dimension, `values` does not hold `labels.len() * dim` numbers, there
    /// are 2^32 rows or more, or a row's squared norm is not finite in f32.
    pub fn new(values: &'a [f32], dim: usize, labels: &'a [i64]) -> Result<Self, ScoresError> {
        if values.is_empty() || dim == 0 || labels.is_empty() {
            return Err(ScoresError::Empty);
        }
        if labels.len().checked_mul(dim) != Some(values.len()) {
            return Err(ScoresError::Shape {
                values: values.len(),
                dim,
                labels: labels.len(),
            });
        }
        if u32::try_from(labels.len()).is_err() {
            return Err(ScoresError::TooMany(labels.len()));
        }
        let too_large = |row: &[f32]| !row.iter().map(|x| x * x).sum::<f32>().is_finite();
        if let Some(row) = values.chunks_exact(dim).position(too_large) {
            return Err(ScoresError::NotFinite { row });
        }
        Ok(Self {
            values,
            dim,
            labels,
        })
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
    /// An entry is not finite, or so large that its square is not.
    #[error("the squared norm of row {row} is not finite")]
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
    /// A K or k of zero.
    #[error("K must be at least 1, got 0")]
    ZeroK,
    /// The clustering failed.
    #[error(transparent)]
    KMeans(#[from] KMeansError),
}

/// By what the reference rows are ranked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Metric {
    /// The Euclidean distance of the rows as they are.
    Euclidean,
    /// The angle: the Euclidean distance of the rows divided by their 2-norm. A zero row stays one.
    Cosine,
}

/// Which scores, and of what.
#[derive(Config, Debug, PartialEq)]
pub struct ScoresConfig {
    /// The K of Recall@K. Default: `[1, 2, 4, 8]`
    #[config(default = "vec![1, 2, 4, 8]")]
    pub recall_at: Vec<usize>,
    /// By what the reference rows are ranked. Default: `Metric::Euclidean`
    #[config(default = "Metric::Euclidean")]
    pub metric: Metric,
    /// The k of the k-NN accuracy; not computed if not set. Default: `None`
    pub knn: Option<usize>,
    /// Whether NMI is computed; k-means takes longer than everything else. Default: `false`
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
    /// If the dimensions differ, a K is zero, or k-means fails.
    pub fn score(
        &self,
        queries: &LabelledRows<'_>,
        reference: Option<&LabelledRows<'_>>,
    ) -> Result<Scores, ScoresError> {
        if self.recall_at.contains(&0) || self.knn == Some(0) {
            return Err(ScoresError::ZeroK);
        }
        if let Some(reference) = reference
            && reference.dim != queries.dim
        {
            return Err(ScoresError::Dimensions {
                query: queries.dim,
                reference: reference.dim,
            });
        }
        let (queries_sorted, reference_sorted) = prepare(queries, reference, self.metric);
        let ranked = rank(&queries_sorted, reference_sorted.as_ref(), self.knn);

        let count = ranked.iter().flatten().count();
        let mean = |score: &dyn Fn(&rank::Ranked) -> f64| {
            ranked.iter().flatten().map(score).sum::<f64>() / count as f64
        };
        let hit = |k: usize| mean(&|query| f64::from(u8::from(query.first <= k)));
        let nmi = self.nmi.then(|| self.nmi(&queries_sorted, queries));
        Ok(Scores {
            queries: count,
            without_match: queries.len() - count,
            recall_at: self.recall_at.iter().map(|&k| (k, hit(k))).collect(),
            precision_at_1: hit(1),
            r_precision: mean(&|query| query.relevance.r_precision),
            map_at_r: mean(&|query| query.relevance.average_precision),
            mrr: mean(&|query| 1.0 / query.first as f64),
            knn_accuracy: self
                .knn
                .map(|_| mean(&|query| f64::from(u8::from(query.voted)))),
            nmi: nmi.transpose()?,
        })
    }

    fn nmi(&self, sorted: &Sorted, queries: &LabelledRows<'_>) -> Result<f64, KMeansError> {
        let labels = sorted.labels_in_order(queries.labels);
        let mut classes = labels.clone();
        classes.dedup(); // sorted by class
        let clusters = k_means(&sorted.rows, sorted.dim, classes.len(), self.seed)?;
        let clusters: Vec<i64> = clusters.into_iter().map(|c| c as i64).collect();
        Ok(normalized_mutual_information(&labels, &clusters))
    }
}
