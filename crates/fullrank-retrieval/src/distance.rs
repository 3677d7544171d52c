//! What a loss or a miner calls the distance of two rows.

use serde::{Deserialize, Serialize};

/// What a loss or a miner calls the distance of two embeddings `x` and `y`.
///
/// It is that of the entries as they are stored: taken from their differences, so that rows far from
/// the origin or all but in one direction are told apart, and without overflow where the distance
/// itself can be held. A row of zeros that is to be divided by its norm stays one: at the Euclidean distance
/// 1 from every unit row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Distance {
    /// `|x - y|`. Between equal rows its gradient is zero.
    Euclidean,
    /// `|x - y|^2`.
    SquaredEuclidean,
    /// `1 - <x, y> / (|x| |y|)`, between 0 and 2, whether the rows are normalized first or not; a
    /// margin `m` on the similarity is the margin `1 - m` on this distance. A row of zeros has the
    /// distance 1 to every row.
    Cosine,
}
