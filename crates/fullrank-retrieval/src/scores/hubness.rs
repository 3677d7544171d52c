//! Who is whose neighbour: hubs, rows that nobody finds, and rows that are nearly the same.

use rayon::prelude::*;

use super::rank::{Wanted, rank};
use super::search::{Set, blocks, host_rows};
use super::{RankBy, Rows, ScoresError, same_dimensions};
use crate::host_rows::HostRows;

/// Rows at most this far apart, relative to the root mean square of all distances, are near-duplicates: a
/// cosine of 0.99 where rows point everywhere.
pub const NEAR_DUPLICATE_WITHIN: f64 = 0.1;

/// How often each row is among the k nearest of another, and which rows are nearly the same: see
/// [`neighbours`].
#[derive(Clone, Debug, PartialEq)]
pub struct Neighbours {
    /// How many neighbours of each query were counted.
    pub k: usize,
    /// How many rows were queries.
    pub queries: usize,
    /// For each row that is searched, of how many queries it is among the k nearest: the k-occurrences. Their
    /// sum is `k` times `queries`.
    pub occurrences: Vec<usize>,
    /// Queries whose nearest row is at most [`NEAR_DUPLICATE_WITHIN`] times the root mean square of all
    /// distances away.
    pub near_duplicate_queries: usize,
    /// These queries, each with that row, the nearest pairs first; a pair of queries that are each other's
    /// nearest is there once.
    pub near_duplicates: Vec<NearDuplicate>,
}

/// A row that is nearly another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NearDuplicate {
    /// The query, from 0.
    pub row: usize,
    /// The row nearest to it, from 0.
    pub of: usize,
    /// Their distance, relative to the root mean square of all distances.
    pub distance: f64,
}

impl Neighbours {
    /// The skewness of the k-occurrences, `E (N - mean)^3 / std^3` over the searched rows.
    ///
    /// About 0 where every row is found as often as another, large where a few hubs are found everywhere.
    /// [`None`] if all are found equally often. Source: Radovanovic, Nanopoulos & Ivanovic, "Hubs in Space",
    /// JMLR 11 (2010), section 3.
    pub fn skewness(&self) -> Option<f64> {
        let count = self.occurrences.len() as f64;
        let mean = (self.k * self.queries) as f64 / count;
        let moment = |power: i32| -> f64 {
            let of = |&times: &usize| (times as f64 - mean).powi(power);
            self.occurrences.iter().map(of).sum::<f64>() / count
        };
        let variance = moment(2);
        (variance > 0.0).then(|| moment(3) / variance.powf(1.5))
    }

    /// The row that is found most often, the first of several, and how often: the largest in-degree of the
    /// graph of neighbours.
    pub fn largest_hub(&self) -> (usize, usize) {
        (0..).zip(&self.occurrences).fold(
            (0, 0),
            |most, (row, &times)| {
                if times > most.1 { (row, times) } else { most }
            },
        )
    }

    /// The rows that are among the k nearest of no query: anti-hubs.
    pub fn never_retrieved(&self) -> impl Iterator<Item = usize> {
        let rows = self.occurrences.iter().enumerate();
        rows.filter(|(_, times)| **times == 0).map(|(row, _)| row)
    }
}

/// The `k` nearest rows of each query, or all if there are fewer, in the whole reference or, without one, among
/// the other queries: exact, without a sample.
///
/// ```
/// use fullrank_retrieval::scores::{RankBy, Rows, neighbours};
///
/// // The first lies between all others, of which the last two are nearly the same.
/// let rows = Rows::new(&[0.0, 0.0, 3.0, 0.0, -3.0, 0.5, 0.1, 3.0, 0.1, 3.1], 2)?;
/// let found = neighbours(&rows, None, 1, RankBy::Euclidean)?;
/// assert_eq!(found.occurrences, [2, 1, 0, 1, 1]);
/// assert_eq!(found.largest_hub(), (0, 2));
/// assert_eq!(found.never_retrieved().collect::<Vec<_>>(), [2]);
/// assert_eq!((found.near_duplicates[0].row, found.near_duplicates[0].of), (3, 4));
/// # Ok::<(), fullrank_retrieval::scores::ScoresError>(())
/// ```
///
/// Of equally far rows the one with the smaller index is nearer. The root mean square that near-duplicates are
/// held against is over all pairs of a query and another row that is searched; by the cosine, of unit rows.
///
/// # Errors
///
/// If the dimensions differ, `k` is zero, or there is a single row and no reference.
pub fn neighbours(
    queries: &Rows<'_>,
    reference: Option<&Rows<'_>>,
    k: usize,
    by: RankBy,
) -> Result<Neighbours, ScoresError> {
    if k == 0 {
        return Err(ScoresError::ZeroK);
    }
    same_dimensions(queries, reference)?;
    let alone = reference.is_none();
    let (queries, rows) = host_rows(queries.as_pair(), reference.map(Rows::as_pair), by);
    let queries = Set::new(queries, &[]);
    let reference = rows.map(|rows| Set::new(rows, &[]));
    let searched = reference.as_ref().unwrap_or(&queries);
    let most = searched.len() - usize::from(alone);
    if most == 0 {
        return Err(ScoresError::Alone);
    }
    let k = k.min(most);
    let ranked = rank(&queries, reference.as_ref(), k, Wanted::Nearest);
    let mut occurrences = vec![0; searched.len()];
    let mut nearest = Vec::with_capacity(queries.len());
    for ranked in ranked.into_iter().flatten() {
        for &row in &ranked.nearest {
            occurrences[row as usize] += 1;
        }
        nearest.extend(ranked.nearest.first().map(|&row| row as usize));
    }
    let mut near_duplicates = near_duplicates(&queries.rows, &searched.rows, &nearest, alone);
    let near_duplicate_queries = near_duplicates.len();
    let earlier_of_a_pair =
        |found: &NearDuplicate| !alone || nearest[found.of] != found.row || found.row < found.of;
    near_duplicates.retain(earlier_of_a_pair);
    near_duplicates.sort_by(|a, b| a.distance.total_cmp(&b.distance));
    Ok(Neighbours {
        k,
        queries: queries.len(),
        occurrences,
        near_duplicate_queries,
        near_duplicates,
    })
}

/// The queries that are nearly their nearest row, in order.
fn near_duplicates(
    queries: &HostRows<'_>,
    searched: &HostRows<'_>,
    nearest: &[usize],
    alone: bool,
) -> Vec<NearDuplicate> {
    let of_queries = Spread::new(queries);
    let mean_square = if alone {
        let pairs = (queries.len() - 1) as f64 / queries.len() as f64;
        2.0 * of_queries.variance / pairs
    } else {
        let of_searched = Spread::new(searched);
        let means = of_queries.mean.iter().zip(&of_searched.mean);
        let between: f64 = means.map(|(a, b)| (a - b) * (a - b)).sum();
        of_queries.variance + of_searched.variance + between
    };
    let near = |(row, &of): (usize, &usize)| {
        let mut own = vec![0.0; queries.dim()];
        queries.read(row, &mut own);
        let own = (!queries.has_no_direction(row)).then_some(&own[..]);
        let square = searched.squared_distance(own, of);
        let distance = if square == 0.0 {
            0.0
        } else {
            (square / mean_square).sqrt()
        };
        let found = NearDuplicate { row, of, distance };
        (distance <= NEAR_DUPLICATE_WITHIN).then_some(found)
    };
    nearest.par_iter().enumerate().filter_map(near).collect()
}

/// The mean of rows and the mean square of their distances to it.
struct Spread {
    mean: Vec<f64>,
    variance: f64,
}

impl Spread {
    fn new(rows: &HostRows<'_>) -> Self {
        const PART: usize = 256;
        let dim = rows.dim();
        let count = rows.len() as f64;
        let parts = || blocks(rows.len(), PART).into_par_iter();
        let sums: Vec<Vec<f64>> = parts()
            .map(|part| {
                let (mut sums, mut row) = (vec![0.0; dim], vec![0.0; dim]);
                for i in part {
                    rows.read(i, &mut row);
                    for (sum, x) in sums.iter_mut().zip(&row) {
                        *sum += x / count;
                    }
                }
                sums
            })
            .collect();
        let mut mean = vec![0.0; dim];
        for sums in sums {
            for (mean, sum) in mean.iter_mut().zip(sums) {
                *mean += sum;
            }
        }
        let squares: Vec<f64> = parts()
            .map(|part| {
                let (mut square, mut row) = (0.0, vec![0.0; dim]);
                for i in part {
                    rows.read(i, &mut row);
                    let differences = row.iter().zip(&mean);
                    square += differences.map(|(x, mean)| (x - mean).powi(2)).sum::<f64>() / count;
                }
                square
            })
            .collect();
        let variance = squares.iter().sum();
        Self { mean, variance }
    }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    fn random(rows: usize, dim: usize, seed: u64) -> Vec<f64> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        (0..rows * dim)
            .map(|_| (0..12).map(|_| rng.random::<f64>()).sum::<f64>() - 6.0)
            .collect()
    }

    /// Occurrences by all distances, each computed.
    fn by_distances(
        queries: &[f64],
        searched: &[f64],
        dim: usize,
        k: usize,
        alone: bool,
    ) -> Vec<usize> {
        let mut occurrences = vec![0; searched.len() / dim];
        for (i, query) in queries.chunks_exact(dim).enumerate() {
            let mut keys: Vec<(f64, usize)> = (searched.chunks_exact(dim).enumerate())
                .filter(|(j, _)| !alone || *j != i)
                .map(|(j, row)| {
                    let square = query.iter().zip(row).map(|(x, y)| (x - y).powi(2)).sum();
                    (square, j)
                })
                .collect();
            keys.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
            keys.iter().take(k).for_each(|key| occurrences[key.1] += 1);
        }
        occurrences
    }

    #[test]
    fn occurrences_are_those_of_all_distances() {
        for (count, others, dim, k) in [(600, 90, 3, 1), (700, 1300, 20, 10), (40, 5, 8, 100)] {
            let (rows, reference) = (random(count, dim, 1), random(others, dim, 2));
            let set = Rows::new(&rows, dim).unwrap();
            let found = neighbours(&set, None, k, RankBy::Euclidean).unwrap();
            assert_eq!(found.occurrences, by_distances(&rows, &rows, dim, k, true));
            assert_eq!(found.k, k.min(count - 1));
            let other = Rows::new(&reference, dim).unwrap();
            let found = neighbours(&set, Some(&other), k, RankBy::Euclidean).unwrap();
            assert_eq!(
                found.occurrences,
                by_distances(&rows, &reference, dim, k, false)
            );
            assert_eq!(found.occurrences.iter().sum::<usize>(), found.k * count);
        }
    }

    #[test]
    fn hubs_appear_with_the_dimensions_and_go_with_the_offset_of_one_row() {
        // A row in the middle of a sphere is the nearest of all; without it none is found so often.
        let dim = 100;
        let mut rows = random(500, dim, 3);
        for row in rows.chunks_exact_mut(dim) {
            let norm = row.iter().map(|x| x * x).sum::<f64>().sqrt();
            row.iter_mut().for_each(|x| *x /= norm);
        }
        let of = |rows: &[f64]| {
            let set = Rows::new(rows, dim).unwrap();
            neighbours(&set, None, 10, RankBy::Euclidean).unwrap()
        };
        let without = of(&rows);
        rows[42 * dim..43 * dim].fill(0.0);
        let with = of(&rows);
        assert_eq!(with.largest_hub(), (42, 499));
        assert!(with.skewness().unwrap() > 15.0, "{:?}", with.skewness());
        assert!(
            without.skewness().unwrap() < 2.0,
            "{:?}",
            without.skewness()
        );
        let unfound = with.never_retrieved().count();
        let zeros = with.occurrences.iter().filter(|times| **times == 0).count();
        assert_eq!(unfound, zeros);
        // On a line of equal steps everyone but at the ends is found twice.
        let line: Vec<f64> = (0..6).map(f64::from).collect();
        let line = Rows::new(&line, 1).unwrap();
        let found = neighbours(&line, None, 5, RankBy::Euclidean).unwrap();
        assert_eq!((found.skewness(), found.occurrences), (None, vec![5; 6]));
    }

    /// By hand: N = 2, 1, 0, 1, 1 with the mean 1: third moment 0.
    #[test]
    fn skewness_by_hand() {
        let skewness = |occurrences: &[usize]| {
            let count = occurrences.len();
            let found = Neighbours {
                k: 1,
                queries: count,
                occurrences: occurrences.to_vec(),
                near_duplicate_queries: 0,
                near_duplicates: Vec::new(),
            };
            found.skewness().unwrap()
        };
        approx::assert_relative_eq!(skewness(&[2, 1, 0, 1, 1]), 0.0, epsilon = 1e-14);
        // N = 4, 0, 0, 0: deviations 3, -1, -1, -1; moments 3 and 6.
        approx::assert_relative_eq!(
            skewness(&[4, 0, 0, 0]),
            6.0 / 3f64.powf(1.5),
            max_relative = 1e-14
        );
    }

    #[test]
    fn near_duplicates_have_their_rows() {
        let dim = 16;
        for (offset, scale) in [(0.0, 1.0), (1e6, 1e-3), (0.0, 1e150)] {
            let mut rows: Vec<f64> = random(300, dim, 5)
                .iter()
                .map(|x| offset + scale * x)
                .collect();
            rows.copy_within(7 * dim..8 * dim, 250 * dim);
            for j in 0..dim {
                rows[31 * dim + j] = rows[120 * dim + j] + 0.05 * scale;
            }
            let set = Rows::new(&rows, dim).unwrap();
            let found = neighbours(&set, None, 3, RankBy::Euclidean).unwrap();
            let pairs: Vec<_> = found
                .near_duplicates
                .iter()
                .map(|d| (d.row, d.of))
                .collect();
            assert_eq!(pairs, [(7, 250), (31, 120)], "{offset}");
            assert_eq!(found.near_duplicate_queries, 4);
            assert_eq!(found.near_duplicates[0].distance, 0.0);
            // 0.05 sqrt 16 over the root of twice the variance of 16 dimensions.
            let distance = found.near_duplicates[1].distance;
            approx::assert_relative_eq!(distance, 0.2 / 32f64.sqrt(), max_relative = 0.05);
            // Copies among others: each is told with the row that it copies.
            let queries = Rows::new(&rows[31 * dim..32 * dim], dim).unwrap();
            let rest = Rows::new(&rows[32 * dim..], dim).unwrap();
            let found = neighbours(&queries, Some(&rest), 1, RankBy::Euclidean).unwrap();
            assert_eq!(found.near_duplicates[0].of, 120 - 32);
        }
        // By the cosine, whatever the lengths; zero rows are at a right angle to all, and each other's copies.
        let mut rows = random(100, dim, 6);
        for j in 0..dim {
            rows[3 * dim + j] = 1000.0 * rows[90 * dim + j];
        }
        let set = Rows::new(&rows, dim).unwrap();
        let found = neighbours(&set, None, 1, RankBy::Cosine).unwrap();
        assert_eq!(
            (found.near_duplicates[0].row, found.near_duplicates[0].of),
            (3, 90)
        );
        assert!(found.near_duplicates[0].distance < 1e-12);
    }

    #[test]
    fn what_has_no_neighbours() {
        let row = Rows::new(&[1.0, 2.0], 2).unwrap();
        let of = |reference, k| neighbours(&row, reference, k, RankBy::Euclidean).map(|_| ());
        assert_eq!(of(None, 1), Err(ScoresError::Alone));
        assert_eq!(of(Some(&row), 1), Ok(()));
        assert_eq!(of(Some(&row), 0), Err(ScoresError::ZeroK));
        let other = Rows::new(&[1.0], 1).unwrap();
        assert!(matches!(
            of(Some(&other), 1),
            Err(ScoresError::Dimensions { .. })
        ));
        // All rows the same: each is a copy of the first, and the first of the second.
        let equal = vec![2.0; 40];
        let found = neighbours(&Rows::new(&equal, 2).unwrap(), None, 1, RankBy::Euclidean).unwrap();
        assert_eq!(found.occurrences[..3], [19, 1, 0]);
        assert_eq!(found.near_duplicate_queries, 20);
    }
}
