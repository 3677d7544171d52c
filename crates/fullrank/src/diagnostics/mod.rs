//! How much of its space an embedding uses: the figures of a whole matrix of embeddings, of any
//! network.
//!
//! [`Diagnostics`] holds them, for rows on the host in f64, from memory or, with an
//! [`Accumulator`], block after block. No backend is needed. Behind the feature `spectrum`, which
//! is on by default.
//!
//! ```
//! use fullrank::diagnostics::Diagnostics;
//!
//! // Eight rows of four numbers, of which the last is the same in every row.
//! let rows: Vec<f64> = (0..8)
//!     .flat_map(|i| [f64::from(i).sin(), f64::from(i).cos(), f64::from(3 * i).sin(), 0.5])
//!     .collect();
//! let diagnostics = Diagnostics::new(&rows, 4, None)?;
//! assert_eq!(diagnostics.dead_dimensions, Some(1));
//! assert!(diagnostics.effective_rank.unwrap() < 3.0);
//! println!("{diagnostics}");
//! # Ok::<(), fullrank::diagnostics::DiagnosticsError>(())
//! ```
//!
//! No figure says that an embedding is *useful*: random rows have a flat spectrum. They say that it
//! has collapsed, and by how much. Compare networks at the same `b` and `d`, or with what random
//! rows reach.

mod accumulate;
mod dimensions;
mod display;
mod duplicates;
mod error;
mod exact;
mod findings;
mod gram;
mod labels;
mod random;
mod spectrum;
#[cfg(test)]
mod tests;
mod unit;
mod verdict;

use burn::tensor::{DType, Tensor};
use faer::Par;
use serde::{Deserialize, Serialize};

use crate::{Bounds, rankme};
use duplicates::Repeated;

pub use accumulate::Accumulator;
pub use dimensions::{DEAD_BELOW, dead_dimensions, dimension_std};
pub use display::readable;
pub use error::{DiagnosticsError, NonFinite};
pub use findings::{
    COLLAPSED_BELOW, DEAD_SHARE_ABOVE, Finding, FindingKind, PARTLY_COLLAPSED_BELOW, Thresholds,
    ThresholdsError,
};
pub use random::random_spectrum;
pub use verdict::{Health, Verdict};

/// Larger entries are refused: their squares, summed, could leave the range of f64.
const LARGEST_ENTRY: f64 = 1e140;
/// The most dimensions of a Gram matrix: half a gigabyte each.
const LARGEST_GRAM: usize = 8192;
/// The most entries of a matrix whose rows are kept for their own Gram matrix: half a gigabyte.
const LARGEST_KEPT: usize = 1 << 26;

/// The parts that faer's work is divided into: always as many, for where it divides a matrix its sums have
/// another order. Same rows, same bits, whatever the number of threads.
fn parts() -> Par {
    Par::rayon(8)
}

/// The figures of a matrix of embeddings `E`, `b` rows of `d` numbers.
///
/// `s_i` are the singular values of `E` as it is, `u_i` those of the unit rows `E_i / ||E_i||`,
/// `c_i` those of the centred matrix `E - mean`, all in descending order, `r = min(b, d)` of each.
/// A figure that is not defined for a matrix is [`None`], `null` in JSON; no figure is ever NaN or
/// infinite.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Diagnostics {
    /// `b`, the number of rows.
    pub rows: usize,
    /// `d`, the number of dimensions.
    pub dims: usize,
    /// How the singular values were computed, hence how precise they are: see [`Accumulator`].
    pub method: Method,
    /// Rows that are zero. They have no direction, stay zero as unit rows, and lower what is said
    /// of those.
    pub zero_rows: usize,

    /// `s_mu = (1/r) sum u_i`, the mean singular value of the unit rows, not centred.
    ///
    /// Between [`lower_bound`](Self::lower_bound) and [`upper_bound`](Self::upper_bound) (below
    /// only with zero rows). Source: Taha et al., [2103.02770](https://arxiv.org/abs/2103.02770),
    /// section 3. Not centred, it takes a constant offset of all rows for one used direction, and
    /// depends on `b` and `d`: compare it only with its bounds and its reference.
    pub mean_singular_value: f64,
    /// `L = sqrt(b)/r`, reached at rank one: see [`Bounds`].
    pub lower_bound: f64,
    /// `U = sqrt(b/r)`, reached at a flat spectrum: see [`Bounds`].
    pub upper_bound: f64,
    /// `(s_mu - L)/(U - L)`: 0 at rank one, 1 at a flat spectrum, which random rows do not reach. 1
    /// if `r = 1`.
    pub utilization: f64,
    /// The `s_mu` of random isotropic rows of the same shape.
    ///
    /// `U` times the mean of `sqrt x` over the Marchenko-Pastur law of ratio `(r - 1 + 0.7 r/m)/m`,
    /// `m = max(b, d)`: deterministic, and within 0.25 % of the mean over draws from `r = 8` on,
    /// within 2.6 % for `r < 8` (the correction of `r/m` was fitted to draws). An embedding can be
    /// above it, up to `U`.
    pub random_reference: f64,
    /// The [`effective_rank`](Self::effective_rank) of random isotropic rows of the same shape, by
    /// the same law with `b - 1` in place of `b` and a correction of its own, fitted to draws.
    ///
    /// Of any shape, square or not: within 0.2 % of the mean over draws where `min(b - 1, d)` is 7 or
    /// more, within 1 % below. 0 for a single row, 1 for two rows or one dimension.
    pub random_effective_rank: f64,

    /// RankMe: `exp(-sum p log p)`, `p_i = s_i / sum s + 1e-7`, of the *singular values* (not the
    /// eigenvalues of the covariance that some implementations use) of `E` as it is.
    ///
    /// From 1 to `r`; 0 if `E` is zero. Source: Garrido et al.,
    /// [2210.02885](https://arxiv.org/abs/2210.02885), Eq. 1. Not centred: a constant offset is a
    /// direction, and a large one hides the others. High is necessary, not sufficient; its authors
    /// compare only runs of one method.
    pub rankme: f64,
    /// Effective rank: `exp(-sum p log p)`, `p_i = c_i / sum c`, of the singular values of the
    /// *centred* matrix.
    ///
    /// How many dimensions the rows spread over, from 1 to `min(b - 1, d)`; 0 if all rows are the
    /// same. Source: Roy & Vetterli, "The effective rank", EUSIPCO 2007, who define it for any
    /// matrix; centring is the choice made here, so that an offset common to all rows counts for
    /// nothing. [`None`] for a single row. It does not see the size of the spread: noise around one
    /// point has a full rank, which [`dead_dimensions`](Self::dead_dimensions) tells.
    pub effective_rank: Option<f64>,
    /// The normalized entropy of the covariance's spectrum: `-sum p log p / log r`, `p_i = l_i / sum l` of its
    /// eigenvalues `l_i`, `r = min(b - 1, d)`.
    ///
    /// 0 where all of the variance is in one direction or there is none, 1 where every direction has as much; 1 if
    /// `r = 1`. For rows of different numbers of dimensions, layers of a network for example, on one scale. By the
    /// variance, so that it is below `log(effective_rank) / log r`. [`None`] for a single row. Source: the spectral entropy
    /// of the grokking literature, [2604.13123](https://arxiv.org/abs/2604.13123), which divides by `log d`: the same for `d < b`.
    #[serde(default)]
    pub spectral_entropy: Option<f64>,
    /// `(sum l)^2 / sum l^2` of the eigenvalues `l_i = c_i^2/(b - 1)` of the covariance.
    ///
    /// From 1 to `min(b - 1, d)`, 0 if all rows are the same. A harsher count than the effective
    /// rank: it weighs by the variance, and hardly sees small directions. [`None`] for a single
    /// row.
    pub participation_ratio: Option<f64>,
    /// How many `s_i` exceed `s_1 max(b, d) 2^-52`, the rule of numpy's `matrix_rank` in f64; for
    /// rows stored more coarsely, or summed in Gram matrices, also `s_1` times
    /// [`Accumulator::entry_epsilon`] or 1e-7.
    ///
    /// From 0 to `r`. It counts every direction above rounding, however weak: rarely below `r`
    /// in a trained network that has collapsed all the same.
    pub numerical_rank: usize,
    /// `s_1 / s_r`, from 1 up.
    ///
    /// [`None`] if `s_r` is not above what the method resolves, `s_1 max(b, d) 2^-52`, or `1e-7 s_1`
    /// of Gram matrices. It says only how weak the weakest direction is.
    pub condition_number: Option<f64>,
    /// How fast the covariance's eigenvalues decay: `-slope` of `log l_i` against `log i`, for `i`
    /// from 5 to 100 as far as `l_i` is above rounding, by least squares with the weights `1/i`.
    ///
    /// 0 for a flat spectrum; about 1 is what alpha-ReQ holds to be good (Agrawal et al., NeurIPS
    /// 2022). [`None`] with fewer than nine eigenvalues. It assumes a power law, which spectra of
    /// embeddings often do not follow, as RankMe's authors note: look at the spectrum.
    pub alpha_req: Option<f64>,

    /// The standard deviation of each dimension over the rows, unbiased, of `E` as it is; empty for
    /// a single row.
    pub dimension_std: Vec<f64>,
    /// The mean of each dimension over the rows: the offset common to all.
    #[serde(default)]
    pub dimension_mean: Vec<f64>,
    /// The mean of the standard deviations. VICReg's variance term asks for 1. It depends on the
    /// scale of `E`.
    pub mean_std: Option<f64>,
    /// How many dimensions have a standard deviation of at most 0.01 times the root mean square of
    /// all entries: see [`dead_dimensions`]. From 0 to `d`. Dimensions that copy one another are
    /// all alive.
    pub dead_dimensions: Option<usize>,
    /// How many dimensions hardly vary beside the others, whatever their means: their standard deviation is
    /// at most 0.01 times the root mean square of the standard deviations of the others, but for one
    /// dimension that has more than half of the variance.
    ///
    /// From 0 to `d`. Unlike [`dead_dimensions`](Self::dead_dimensions) it does not call the rest dead
    /// beside one huge constant or one huge dimension; where all rows are the same every dimension is dead
    /// by both.
    #[serde(default)]
    pub dead_about_mean: Option<usize>,
    /// The mean of `|r_jk|`, Pearson's correlation, over the pairs of dimensions that vary.
    ///
    /// From 0 to 1; random rows have about `sqrt(2 / (pi b))`. [`None`] if fewer than two
    /// dimensions vary. It depends on the axes, unlike the spectrum: a rotation changes it.
    pub mean_abs_correlation: Option<f64>,
    /// The unbiased standard deviation of each dimension of the unit rows, averaged over the
    /// dimensions.
    ///
    /// 0 if all rows point one way, about [`isotropic_std`](Self::isotropic_std) if they point
    /// everywhere. Source: lightly's `std_of_l2_normalized`, after Chen & He,
    /// [2011.10566](https://arxiv.org/abs/2011.10566), Fig. 2. It sees complete collapse only: two
    /// opposite clusters keep it high.
    pub unit_row_std: Option<f64>,
    /// `1/sqrt(d)`, the standard deviation of a dimension of isotropic unit rows.
    pub isotropic_std: f64,

    /// The mean cosine over the pairs of distinct rows, exact: `(||sum u||^2 - n) / (b (b - 1))`, `u` the unit
    /// rows, `n` the rows that are not zero.
    ///
    /// From -1/(b - 1) to 1, about 0 of isotropic rows; large where the rows share an offset. A zero row has
    /// the cosine 0 with every row. [`None`] for a single row. Source: Ethayarajh,
    /// [1909.00512](https://arxiv.org/abs/1909.00512), who calls it anisotropy.
    #[serde(default)]
    pub mean_cosine: Option<f64>,
    /// The same of the rows less their mean; over as many rows as the uniformity.
    ///
    /// What is left of [`mean_cosine`](Self::mean_cosine) once the mean is subtracted: mostly about 0. 0
    /// if all rows are the same.
    #[serde(default)]
    pub mean_cosine_centred: Option<f64>,
    /// How many rows are equal, entry by entry, to an earlier row. From 0 to `b - 1`.
    ///
    /// By a hash of 128 bits. [`None`] of more than 2^24 rows.
    #[serde(default)]
    pub duplicate_rows: Option<usize>,
    /// The first row that is equal to an earlier one, and the first it is equal to, from 0.
    #[serde(default)]
    pub first_duplicate: Option<[usize; 2]>,
    /// `log mean exp(-2 ||x - y||^2)` over the pairs of distinct unit rows.
    ///
    /// From -8 to 0; 0 if all rows point one way, about -4 if isotropic in many dimensions. Source:
    /// Wang & Isola,
    /// [2005.10242](https://arxiv.org/abs/2005.10242), with t = 2. [`None`] for a single row. Rows
    /// of ten classes, each collapsed to a point, have about `log 0.1`, whatever the dimension.
    pub uniformity: Option<f64>,
    /// Over how many rows `uniformity` and `mean_cosine_centred` were averaged: all up to 8192 (above 1024 dimensions `2^23 /
    /// d`, but no fewer than 1024); of more rows, that many, drawn by a fixed hash of their index.
    pub uniformity_rows: usize,

    /// How many different labels there are, if there were labels.
    pub classes: Option<usize>,
    /// `mean ||x - y||^2` over the pairs of distinct unit rows with the same label, exact.
    ///
    /// From 0 to 4; 2 for rows that do not know their label. Source: Wang & Isola, with labels in
    /// place of views. [`None`] without labels or pairs. 0 in complete collapse: read it with the
    /// uniformity.
    pub alignment: Option<f64>,
    /// LiDAR's rank of the class means: how many directions tell the classes apart.
    ///
    /// With the covariance `S_b` of the class means (each counts once, divisor `C - 1`), the pooled
    /// covariance within classes `S_w = sum_c sum_i (x - m_c)(x - m_c)^T / (b - C) + 1e-4 I` and
    /// the eigenvalues `l` of `S_w^-1/2 S_b S_w^-1/2`: `exp(-sum p log p)`, `p_i = l_i / sum l +
    /// 1e-7`, over the `min(C - 1, d)` that can be positive. From 1 to `min(C - 1, d)`, 0 if all
    /// class means are the same. Source: Thilak et al.,
    /// [2312.04000](https://arxiv.org/abs/2312.04000), whose classes are the views of one image;
    /// 1e-4 is that of public versions and makes it depend on the scale of `E`.
    /// [`None`] without labels, with one class, without a class of two rows, or above 8192
    /// dimensions. It does not say how far apart the classes are.
    pub lidar: Option<f64>,

    /// `s_i`, of `E` as it is.
    pub singular_values: Vec<f64>,
    /// `u_i`, of the unit rows.
    pub unit_singular_values: Vec<f64>,
    /// `c_i`, of the centred matrix; all zero if `c_1 <= 1e-12 s_1`: equal rows but for rounding.
    pub centred_singular_values: Vec<f64>,
}

/// How the singular values were computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// By decompositions of the whole matrices.
    Svd,
    /// From Gram matrices: of the dimensions, summed over the rows, or of the rows.
    Gram,
}

impl Diagnostics {
    /// The figures of rows of `dims` numbers, one after another, and if there are any, of their
    /// labels.
    ///
    /// Small matrices are decomposed by an SVD, large ones by way of their Gram matrix: see
    /// [`Accumulator`].
    ///
    /// # Errors
    ///
    /// If there is no row or no dimension, the numbers are not whole rows, there is not a label for
    /// each, an entry is NaN or infinite (the error counts them and lists the first) or above 1e140
    /// in size, or a matrix too large for an SVD has more than 8192 dimensions and more than 2^26
    /// entries.
    pub fn new(
        rows: &[f64],
        dims: usize,
        labels: Option<&[i64]>,
    ) -> Result<Self, DiagnosticsError> {
        Self::of(rows, dims, labels, f64::EPSILON)
    }

    /// The same of a tensor, read back to the host.
    ///
    /// # Shapes
    ///
    /// - `embeddings`: `[rows, dims]`
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn from_tensor(
        embeddings: &Tensor<2>,
        labels: Option<&[i64]>,
    ) -> Result<Self, DiagnosticsError> {
        let [_, dims] = embeddings.dims();
        let data = embeddings.clone().without_autodiff().into_data();
        let epsilon = match data.dtype() {
            DType::F64 => f64::EPSILON,
            DType::F16 => (-10f64).exp2(),
            DType::BF16 => (-7f64).exp2(),
            _ => f64::from(f32::EPSILON),
        };
        let rows: Vec<f64> = data.iter().collect();
        Self::of(&rows, dims, labels, epsilon)
    }

    fn of(
        rows: &[f64],
        dims: usize,
        labels: Option<&[i64]>,
        epsilon: f64,
    ) -> Result<Self, DiagnosticsError> {
        if dims == 0 || rows.is_empty() {
            return Err(DiagnosticsError::Empty { rows: 0, dims });
        }
        let mut accumulator = Accumulator::new(dims).entry_epsilon(epsilon);
        match labels {
            Some(labels) => accumulator.push_labelled(rows, labels)?,
            None => accumulator.push(rows)?,
        }
        accumulator.finish()
    }

    /// The figures that follow from what was computed of the matrix itself.
    fn from_summary(
        mut summary: Summary,
        method: Method,
        pairs: Pairs,
        entry_epsilon: f64,
    ) -> Self {
        const SAME_ROWS: f64 = 1e-12;
        let (rows, dims) = (summary.rows, summary.dims);
        let raw = summary.singular_values;
        if summary.centred_singular_values[0] <= SAME_ROWS * raw[0] {
            summary.centred_singular_values.fill(0.0);
        }
        let centred = summary.centred_singular_values;
        let several = rows > 1;
        let tolerance = summary.resolution.max(entry_epsilon);
        let bounds = Bounds::new(rows, dims);
        let unit = summary.unit_singular_values;
        let mean_singular_value = unit.iter().sum::<f64>() / bounds.rank as f64;
        let smallest = raw[bounds.rank - 1];
        let same_rows = centred[0] == 0.0;
        let mean = |values: &[f64]| several.then(|| values.iter().sum::<f64>() / dims as f64);
        let labels = summary.labels.as_ref();
        Self {
            rows,
            dims,
            method,
            zero_rows: summary.zero_rows,
            mean_singular_value,
            lower_bound: bounds.lower,
            upper_bound: bounds.upper,
            utilization: bounds.utilization(mean_singular_value),
            random_reference: random::mean_singular_value(rows, dims),
            random_effective_rank: random::effective_rank(rows, dims),
            rankme: rankme(&raw),
            effective_rank: several.then(|| spectrum::effective_rank(&centred)),
            spectral_entropy: several
                .then(|| spectrum::spectral_entropy(&centred, dims.min(rows - 1))),
            participation_ratio: several.then(|| spectrum::participation_ratio(&centred)),
            numerical_rank: spectrum::rank(&raw, tolerance),
            condition_number: (smallest > summary.resolution * raw[0]).then(|| raw[0] / smallest),
            alpha_req: spectrum::alpha_req(&centred, spectrum::rank(&centred, tolerance)),
            mean_std: mean(&summary.std),
            dead_dimensions: several.then(|| dead_dimensions(&summary.std, summary.mean_square)),
            dead_about_mean: several.then(|| dimensions::dead_about_mean(&summary.std)),
            mean_abs_correlation: summary.mean_abs_correlation,
            unit_row_std: mean(&summary.unit_std),
            isotropic_std: 1.0 / (dims as f64).sqrt(),
            dimension_std: summary.std,
            dimension_mean: summary.means,
            mean_cosine: unit::mean_cosine(summary.unit_square_of_sum, rows, summary.zero_rows),
            mean_cosine_centred: (pairs.mean_cosine_centred)
                .map(|cosine| if same_rows { 0.0 } else { cosine }),
            duplicate_rows: pairs.repeated.map(|repeated| repeated.rows),
            first_duplicate: pairs.repeated.and_then(|repeated| repeated.first),
            uniformity: pairs.uniformity,
            uniformity_rows: pairs.compared_rows,
            classes: labels.map(|labels| labels.classes),
            alignment: labels.and_then(|labels| labels.alignment),
            lidar: labels.and_then(|labels| labels.lidar),
            singular_values: raw,
            unit_singular_values: unit,
            centred_singular_values: centred,
        }
    }
}

/// What both ways to the figures compute of a matrix.
struct Summary {
    rows: usize,
    dims: usize,
    singular_values: Vec<f64>,
    unit_singular_values: Vec<f64>,
    centred_singular_values: Vec<f64>,
    /// Relative to the largest, what singular value is told from zero.
    resolution: f64,
    /// Of all entries.
    mean_square: f64,
    mean_abs_correlation: Option<f64>,
    /// Of each dimension.
    means: Vec<f64>,
    /// Of each dimension; empty for a single row.
    std: Vec<f64>,
    unit_std: Vec<f64>,
    /// Of the sum of the unit rows.
    unit_square_of_sum: f64,
    zero_rows: usize,
    labels: Option<LabelFigures>,
}

/// What comparing rows with one another says.
#[derive(Default)]
struct Pairs {
    /// The rows that the next two are of.
    compared_rows: usize,
    mean_cosine_centred: Option<f64>,
    uniformity: Option<f64>,
    repeated: Option<Repeated>,
}

struct LabelFigures {
    classes: usize,
    alignment: Option<f64>,
    lidar: Option<f64>,
}
