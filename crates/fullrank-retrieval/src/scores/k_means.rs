//! k-means, exact to the precision of the rows.

use std::sync::OnceLock;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::nearest::Nearest;
use super::search::{Bound, Prepared, Real, Rows, blocks, centre, nearness, products};
use crate::host_rows::{Entry, HostRows, squared_difference};

/// Rounds of k-means, at most.
const ROUNDS: usize = 100;
/// Points of a block of products.
const POINT_BLOCK: usize = 256;
/// Centres of a block of products.
const CENTRE_BLOCK: usize = 1024;
/// A squared distance by products whose error may be a larger share than this is computed anew.
const SHARE: f64 = 0.01;

/// Why rows could not be clustered.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("k-means: {0}")]
pub struct KMeansError(String);

/// Clusters `values`, rows of `dim` numbers, into `clusters` and returns the cluster of each row.
///
/// Lloyd's algorithm from one start, until no row changes its cluster or for 100 rounds. The start is that
/// of greedy k-means++: each first centre is the best of `2 + ln(clusters)` rows drawn with probabilities in
/// proportion to their squared distance from the centres before. Equally near centres: the first.
///
/// - A cluster that loses all its rows is given the row that is farthest from its centre. Rows with fewer
///   different ones among them than `clusters` leave the last clusters empty.
/// - Distances are compared to the precision of the rows in f64: rows far from the origin and close to each
///   other are told apart, and rows times a power of two get the same clusters.
/// - The same seed gives the same clusters, whatever the number of threads. It takes time in proportion to
///   rows * dimensions * clusters for each round, and for the start as much as for a few.
///
/// # Errors
///
/// If `clusters` is zero, `values` are not rows of `dim` numbers, or one is not finite.
///
/// # Source
///
/// Arthur and Vassilvitskii, "k-means++: The Advantages of Careful Seeding", 2007; the greedy choice is in
/// its conclusion.
pub fn k_means<E: Entry>(
    values: &[E],
    dim: usize,
    clusters: usize,
    seed: u64,
) -> Result<Vec<usize>, KMeansError> {
    if clusters == 0 || dim == 0 || values.is_empty() || !values.len().is_multiple_of(dim) {
        return Err(KMeansError(format!(
            "{} numbers cannot be {clusters} clusters of rows of {dim}",
            values.len()
        )));
    }
    let entries = E::entries(values);
    if let Some(row) = entries.first_not_finite(dim) {
        return Err(KMeansError(format!("row {row} is not finite")));
    }
    let rows = HostRows::euclidean(entries, dim, entries.exponent());
    Ok(cluster(&rows, clusters, seed))
}

/// The cluster of each row. A row without a direction is a zero row here.
pub(super) fn cluster(rows: &HostRows<'_>, clusters: usize, seed: u64) -> Vec<usize> {
    if clusters == 1 {
        return vec![0; rows.len()];
    }
    let points = Points::new(rows);
    let seeds = points.seeds(clusters, &mut ChaCha8Rng::seed_from_u64(seed));
    let dim = rows.dim();
    let mut centres = vec![0.0; seeds.len() * dim];
    for (centre, &seed) in centres.chunks_exact_mut(dim).zip(&seeds) {
        rows.read(seed, centre);
    }
    let mut nearest = points.nearest(&centres);
    for _ in 1..ROUNDS {
        points.fill_empty(&mut nearest, &centres);
        points.set_means(&nearest, &mut centres);
        let next = points.nearest(&centres);
        if next == nearest {
            break;
        }
        nearest = next;
    }
    nearest
}

struct Points<'a> {
    rows: &'a HostRows<'a>,
    /// What is subtracted from rows and centres before products are formed.
    centre: Option<Vec<f64>>,
    prepared: Prepared<f32>,
}

impl<'a> Points<'a> {
    fn new(rows: &'a HostRows<'a>) -> Self {
        let centre = centre(rows);
        let read = |i: usize, row: &mut [f64]| {
            rows.read(i, row);
            true
        };
        let prepared = Prepared::whole(rows.dim(), rows.len(), centre.as_deref(), read);
        Self {
            rows,
            centre,
            prepared,
        }
    }

    /// The first centres, as rows: as many as asked for or as there are different rows.
    fn seeds(&self, clusters: usize, rng: &mut ChaCha8Rng) -> Vec<usize> {
        let trials = 2 + (clusters as f64).ln() as usize;
        let first = rng.random_range(0..self.rows.len());
        let mut seeds = vec![first];
        let start = vec![f64::INFINITY; self.rows.len()];
        let mut squares = self.squares_with(&start, &[first]).swap_remove(0).1;
        while seeds.len() < clusters {
            let sums: Vec<f64> = squares
                .iter()
                .scan(0.0, |sum, square| {
                    *sum += square;
                    Some(*sum)
                })
                .collect();
            let total = sums.last().copied().unwrap_or(0.0);
            if total == 0.0 {
                break;
            }
            let draws: Vec<usize> = (0..trials)
                .map(|_| {
                    let draw = rng.random::<f64>() * total;
                    // The sum first exceeds the draw at a row with a distance.
                    sums.partition_point(|&sum| sum <= draw)
                })
                .map(|drawn| drawn.min(self.rows.len() - 1))
                .collect();
            let with = self.squares_with(&squares, &draws);
            let best = with.into_iter().zip(draws);
            let best = best.min_by(|a, b| a.0.0.total_cmp(&b.0.0));
            let Some(((_, with), seed)) = best else {
                break;
            };
            seeds.push(seed);
            squares = with;
        }
        seeds
    }

    /// The squared distance of each row to the nearest centre if one of `candidates` is added to those that
    /// `squares` are the distances to, and their sum. The distances are right to 1 in 100.
    fn squares_with(&self, squares: &[f64], candidates: &[usize]) -> Vec<(f64, Vec<f64>)> {
        let (rows, dim) = (self.rows, self.rows.dim());
        let centres: Vec<Vec<f64>> = candidates.iter().map(|&row| self.row(row)).collect();
        let of_centres = Prepared::<f32>::part(
            dim,
            0..centres.len(),
            self.centre.as_deref(),
            |i, row: &mut [f64]| {
                row.copy_from_slice(&centres[i]);
                true
            },
        );
        let of_centres = of_centres.rows(0..centres.len());
        let wide = 1.0 / (f32::SCALE * f32::SCALE);
        let bounds: Vec<Bound<f32>> = of_centres
            .squares
            .iter()
            .map(|&square| Bound::new(square, dim))
            .collect();
        let parts: Vec<Vec<f64>> = blocks(rows.len(), POINT_BLOCK)
            .into_par_iter()
            .map(|part| {
                let points = self.prepared.rows(part.clone());
                let mut space = vec![0.0; centres.len() * part.len()];
                products(&of_centres, &points, &mut space);
                let mut point = vec![0.0; dim];
                for (j, i) in part.clone().enumerate() {
                    let mut read = false;
                    for (c, centre) in centres.iter().enumerate() {
                        let product = &mut space[c * part.len() + j];
                        let sum = of_centres.squares[c] + points.squares[j];
                        let square = sum - 2.0 * f64::from(*product);
                        let error = 2.0 * f64::from(bounds[c].of(points.norms[j]));
                        // In f32 from here on: the distances are weights of a draw.
                        *product = if Bound::<f32>::holds(dim) && error <= SHARE * square {
                            square as f32
                        } else {
                            if !read {
                                rows.read(i, &mut point);
                                read = true;
                            }
                            f32::above(squared_difference(&point, centre, |x| x) / wide)
                        };
                    }
                }
                space.into_iter().map(f64::from).collect()
            })
            .collect();
        (0..centres.len())
            .map(|c| {
                let mut with = Vec::with_capacity(squares.len());
                for part in &parts {
                    let width = part.len() / centres.len();
                    with.extend_from_slice(&part[c * width..(c + 1) * width]);
                }
                for (with, &square) in with.iter_mut().zip(squares) {
                    *with = with.min(square);
                }
                (with.iter().sum(), with)
            })
            .collect()
    }

    fn row(&self, i: usize) -> Vec<f64> {
        let mut row = vec![0.0; self.rows.dim()];
        self.rows.read(i, &mut row);
        row
    }

    /// The nearest centre of each row; of equally near ones the first.
    fn nearest(&self, centres: &[f64]) -> Vec<usize> {
        let centres = Centres::new(self, centres);
        let parts: Vec<Vec<usize>> = blocks(self.rows.len(), POINT_BLOCK)
            .into_par_iter()
            .map(|part| {
                let mut left: Vec<usize> = part.clone().collect();
                let mut nearest = vec![0; part.len()];
                let mut take = |left: &mut Vec<usize>, found: Vec<Option<usize>>| {
                    let mut found = found.into_iter();
                    left.retain(|&i| {
                        let found = found.next().flatten();
                        if let Some(centre) = found {
                            nearest[i - part.start] = centre;
                        }
                        found.is_none()
                    });
                };
                if let Some(single) = &centres.single {
                    let rows = self.prepared.rows(part.clone());
                    let found = centres.by_products(&left, &rows, single);
                    take(&mut left, found);
                }
                if !left.is_empty() {
                    let points = Prepared::<f64>::part(
                        self.rows.dim(),
                        left.iter().copied(),
                        self.centre.as_deref(),
                        |i, row: &mut [f64]| {
                            self.rows.read(i, row);
                            true
                        },
                    );
                    let rows = points.rows(0..left.len());
                    let found = centres.by_products(&left, &rows, centres.double());
                    take(&mut left, found);
                }
                let found = left
                    .iter()
                    .map(|&i| Some(centres.by_distances(i)))
                    .collect();
                take(&mut left, found);
                nearest
            })
            .collect();
        parts.concat()
    }

    /// Gives each cluster without rows the row farthest from its centre, of a cluster that has others.
    fn fill_empty(&self, nearest: &mut [usize], centres: &[f64]) {
        let dim = self.rows.dim();
        let mut sizes = vec![0usize; centres.len() / dim];
        for &centre in &*nearest {
            sizes[centre] += 1;
        }
        let empty: Vec<usize> = (0..sizes.len()).filter(|&c| sizes[c] == 0).collect();
        if empty.is_empty() {
            return;
        }
        let distance = |(i, &centre): (usize, &usize)| {
            squared_difference(&self.row(i), &centres[centre * dim..][..dim], |x| x)
        };
        let squares: Vec<f64> = nearest.par_iter().enumerate().map(distance).collect();
        let mut farthest: Vec<usize> = (0..nearest.len()).collect();
        farthest.sort_by(|&i, &j| squares[j].total_cmp(&squares[i]));
        let mut empty = empty.into_iter();
        let mut cluster = empty.next();
        for i in farthest {
            let Some(to) = cluster else {
                break;
            };
            if squares[i] == 0.0 {
                break;
            }
            if sizes[nearest[i]] > 1 {
                sizes[nearest[i]] -= 1;
                nearest[i] = to;
                cluster = empty.next();
            }
        }
    }

    /// Moves each centre to the mean of its rows; one without rows stays.
    fn set_means(&self, nearest: &[usize], centres: &mut [f64]) {
        let dim = self.rows.dim();
        let mut members: Vec<Vec<usize>> = vec![Vec::new(); centres.len() / dim];
        for (i, &centre) in nearest.iter().enumerate() {
            members[centre].push(i);
        }
        centres
            .par_chunks_exact_mut(dim)
            .zip(&members)
            .for_each(|(centre, members)| {
                let Some((&first, others)) = members.split_first() else {
                    return;
                };
                // From the first row: the differences of close rows are exact.
                self.rows.read(first, centre);
                let (mut sums, mut row) = (vec![0.0; dim], vec![0.0; dim]);
                for &i in others {
                    self.rows.read(i, &mut row);
                    for ((sum, x), first) in sums.iter_mut().zip(&row).zip(&*centre) {
                        *sum += x - first;
                    }
                }
                for (x, sum) in centre.iter_mut().zip(sums) {
                    *x += sum / members.len() as f64;
                }
            });
    }
}

/// The centres of a round.
struct Centres<'a> {
    points: &'a Points<'a>,
    centres: &'a [f64],
    /// For products in f32, if they are precise enough, and in f64.
    single: Option<Prepared<f32>>,
    double: OnceLock<Prepared<f64>>,
}

impl<'a> Centres<'a> {
    fn new(points: &'a Points<'a>, centres: &'a [f64]) -> Self {
        let mut of = Self {
            points,
            centres,
            single: None,
            double: OnceLock::new(),
        };
        of.single = Bound::<f32>::holds(of.dim()).then(|| of.prepared());
        of
    }

    fn dim(&self) -> usize {
        self.points.rows.dim()
    }

    fn len(&self) -> usize {
        self.centres.len() / self.dim()
    }

    fn centre(&self, centre: usize) -> &[f64] {
        &self.centres[centre * self.dim()..][..self.dim()]
    }

    fn prepared<T: Real>(&self) -> Prepared<T> {
        let read = |centre: usize, row: &mut [f64]| {
            row.copy_from_slice(self.centre(centre));
            true
        };
        let centre = self.points.centre.as_deref();
        Prepared::part(self.dim(), 0..self.len(), centre, read)
    }

    fn double(&self) -> &Prepared<f64> {
        self.double.get_or_init(|| self.prepared())
    }

    /// The nearest centre of each of some points; `None` where products leave too many to distances.
    fn by_products<T: Real>(
        &self,
        points: &[usize],
        rows: &Rows<'_, T>,
        centres: &Prepared<T>,
    ) -> Vec<Option<usize>> {
        let affordable = self.len() / 8 + 4;
        let mut space = vec![T::ZERO; points.len() * self.len().min(CENTRE_BLOCK)];
        let mut nearest: Vec<(Nearest<T>, usize, Bound<T>)> = rows
            .squares
            .iter()
            .map(|&square| (Nearest::new(1), 0, Bound::new(square, self.dim())))
            .collect();
        let mut row: Vec<f64> = Vec::new();
        let mut read = None;
        let mut square = |i: usize, centre: usize, computed: &mut usize| {
            if read != Some(i) {
                row = self.points.row(i);
                read = Some(i);
            }
            *computed += 1;
            (
                squared_difference(&row, self.centre(centre), |x| x),
                centre as u32,
            )
        };
        for part in blocks(self.len(), CENTRE_BLOCK) {
            let block = centres.rows(part.clone());
            let products = products(rows, &block, &mut space);
            let products = products.chunks_exact_mut(part.len());
            for ((&i, state), row) in points.iter().zip(&mut nearest).zip(products) {
                let (nearest, computed, bound) = state;
                if *computed > affordable {
                    continue;
                }
                nearness(row, block.half_squares);
                let mut key = |centre: usize| square(i, centre, computed);
                let norms = (block.norms, block.most);
                nearest.extend(part.clone(), row, norms, bound, &mut key);
            }
        }
        let mut found = Vec::with_capacity(points.len());
        for (&i, (nearest, mut computed, _)) in points.iter().zip(nearest) {
            found.push(if computed > affordable {
                None
            } else {
                let mut key = |centre: usize| square(i, centre, &mut computed);
                Some(nearest.into_places(&mut key, |_, _| false)[0])
            });
        }
        found
    }

    fn by_distances(&self, point: usize) -> usize {
        let row = self.points.row(point);
        let mut nearest = (f64::INFINITY, 0);
        for centre in 0..self.len() {
            let square = squared_difference(&row, self.centre(centre), |x| x);
            if square < nearest.0 {
                nearest = (square, centre);
            }
        }
        nearest.1
    }
}

#[cfg(test)]
mod tests {
    use super::super::normalized_mutual_information;
    use super::*;

    fn nmi(labels: &[i64], clusters: Vec<usize>) -> f64 {
        let clusters: Vec<i64> = clusters.into_iter().map(|c| c as i64).collect();
        normalized_mutual_information(labels, &clusters)
    }

    #[test]
    fn clusters_of_distant_groups_are_the_groups() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let labels: Vec<i64> = (0..300).map(|i| i % 3).collect();
        let rows: Vec<f32> = labels
            .iter()
            .flat_map(|&label| [10.0 * label as f32, -10.0 * label as f32])
            .map(|x| x + rng.random::<f32>())
            .collect();
        let clusters = k_means(&rows, 2, 3, 1).unwrap();
        assert_eq!(clusters, k_means(&rows, 2, 3, 1).unwrap());
        approx::assert_abs_diff_eq!(nmi(&labels, clusters), 1.0, epsilon = 1e-12);
    }

    #[test]
    fn degenerate_clusterings() {
        assert_eq!(k_means(&[1.0, 2.0, 3.0], 1, 1, 0).unwrap(), [0, 0, 0]);
        assert_eq!(k_means(&[2.0; 12], 3, 3, 0).unwrap(), [0; 4]);
        assert!(k_means(&[1.0, 2.0, 3.0], 2, 2, 0).is_err());
        assert!(k_means(&[1.0, f64::NAN], 1, 2, 0).is_err());
        let mut own = k_means(&[1.0, 5.0, 9.0], 1, 3, 0).unwrap();
        own.sort_unstable();
        assert_eq!(own, [0, 1, 2]);
    }
}
