//! Classification by the nearest neighbours.

use super::rank::{Wanted, rank};
use super::search::{Set, host_rows};
use super::{LabelledRows, RankBy, Rows, ScoresError, same_dimensions};

/// The label of each query by the vote of its `k` nearest rows of the reference, or of all if there are
/// fewer: the label with most votes, among equals the one with the nearest row. Of two equally far rows, the
/// one with the smaller index is nearer.
///
/// ```
/// use fullrank_retrieval::scores::{LabelledRows, RankBy, Rows, vote_of_nearest};
///
/// let bank = LabelledRows::new(&[0.0, 1.0, 5.0, 6.0], 1, &[3, 3, 7, 7])?;
/// let queries = Rows::new(&[0.4, 9.0], 1)?;
/// assert_eq!(vote_of_nearest(&queries, &bank, 3, RankBy::Euclidean)?, [3, 7]);
/// # Ok::<(), fullrank_retrieval::scores::ScoresError>(())
/// ```
///
/// # Errors
///
/// If the dimensions differ or `k` is zero.
pub fn vote_of_nearest(
    queries: &Rows<'_>,
    reference: &LabelledRows<'_>,
    k: usize,
    by: RankBy,
) -> Result<Vec<i64>, ScoresError> {
    if k == 0 {
        return Err(ScoresError::ZeroK);
    }
    same_dimensions(queries, Some(&reference.rows))?;
    let (queries, rows) = host_rows(queries.as_pair(), Some(reference.rows.as_pair()), by);
    let queries = Set::new(queries, &[]);
    let reference = rows.map(|rows| Set::new(rows, reference.labels));
    let ranked = rank(&queries, reference.as_ref(), k, Wanted::Everyone);
    // Everyone is ranked, and a reference has at least one row to vote.
    Ok(ranked
        .into_iter()
        .filter_map(|ranked| ranked?.vote)
        .collect())
}
