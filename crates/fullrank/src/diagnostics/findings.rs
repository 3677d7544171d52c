//! What is wrong with an embedding, by its figures: the causes of a verdict, each with what to do.

use serde::{Deserialize, Serialize};

use super::dimensions::largest;
use super::{Diagnostics, Health, random, readable, spectrum};

/// Below this share of what random rows reach, an embedding has collapsed.
pub const COLLAPSED_BELOW: f64 = 0.1;
/// Below this share of what random rows reach, an embedding has partly collapsed.
pub const PARTLY_COLLAPSED_BELOW: f64 = 0.5;
/// With more than this share of dead dimensions, an embedding has partly collapsed.
pub const DEAD_SHARE_ABOVE: f64 = 0.1;

/// Where findings begin, each a share from 0 to 1: see [`Diagnostics::findings`].
///
/// They are conventions. In a file of JSON each may be left out and then has its default; an unknown
/// key is an error.
///
/// ```
/// use fullrank::diagnostics::Thresholds;
///
/// let thresholds: Thresholds = serde_json::from_str(r#"{"partly_collapsed_below": 0.3}"#)?;
/// assert_eq!(thresholds.collapsed_below, 0.1);
/// assert!(thresholds.check().is_ok());
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Thresholds {
    /// An embedding whose effective rank, or mean singular value above its lower bound, is below this share
    /// of what random rows reach has [collapsed](Health::Collapsed). Default: `0.1`
    pub collapsed_below: f64,
    /// Below this share it has [partly collapsed](Health::PartlyCollapsed). Default: `0.5`
    pub partly_collapsed_below: f64,
    /// With more than this share of [dead dimensions](Diagnostics::dead_about_mean) it has partly collapsed.
    /// Default: `0.1`
    pub dead_share_above: f64,
    /// With a [mean cosine](Diagnostics::mean_cosine) above this the rows share an offset. Default: `0.75`,
    /// where an offset alone halves the mean singular value, `sqrt(1 - 0.75)`
    pub common_offset_above: f64,
    /// A dimension or a direction with more than this share of the variance dominates, if that is also twice
    /// what the first direction of random rows of the shape has. Default: `0.5`
    pub dominating_above: f64,
    /// With more than this share of [rows that equal an earlier one](Diagnostics::duplicate_rows) there are
    /// duplicates. Default: `0.01`
    pub duplicates_above: f64,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            collapsed_below: COLLAPSED_BELOW,
            partly_collapsed_below: PARTLY_COLLAPSED_BELOW,
            dead_share_above: DEAD_SHARE_ABOVE,
            common_offset_above: 0.75,
            dominating_above: 0.5,
            duplicates_above: 0.01,
        }
    }
}

/// What is wrong with [`Thresholds`].
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ThresholdsError {
    /// A threshold that is no share.
    #[error("{name} must be between 0 and 1, got {value}")]
    NoShare {
        /// Its name.
        name: &'static str,
        /// What it is.
        value: f64,
    },
    /// Collapsed before partly collapsed.
    #[error(
        "collapsed_below must not be above partly_collapsed_below, got {collapsed} and {partly}"
    )]
    Order {
        /// `collapsed_below`
        collapsed: f64,
        /// `partly_collapsed_below`
        partly: f64,
    },
}

impl Thresholds {
    /// Whether verdicts can rest on them.
    ///
    /// # Errors
    ///
    /// If one is not between 0 and 1, or `collapsed_below` is above `partly_collapsed_below`.
    pub fn check(&self) -> Result<(), ThresholdsError> {
        for (name, value) in [
            ("collapsed_below", self.collapsed_below),
            ("partly_collapsed_below", self.partly_collapsed_below),
            ("dead_share_above", self.dead_share_above),
            ("common_offset_above", self.common_offset_above),
            ("dominating_above", self.dominating_above),
            ("duplicates_above", self.duplicates_above),
        ] {
            if !(0.0..=1.0).contains(&value) {
                return Err(ThresholdsError::NoShare { name, value });
            }
        }
        if self.collapsed_below > self.partly_collapsed_below {
            return Err(ThresholdsError::Order {
                collapsed: self.collapsed_below,
                partly: self.partly_collapsed_below,
            });
        }
        Ok(())
    }

    /// What a share of what random rows reach stands for.
    fn health(&self, share: f64) -> Health {
        if share < self.collapsed_below {
            Health::Collapsed
        } else if share < self.partly_collapsed_below {
            Health::PartlyCollapsed
        } else {
            Health::Healthy
        }
    }

    /// A share in percent, rounded, but to no threshold that it is below.
    pub(super) fn percent(&self, share: f64) -> String {
        let rounded = (100.0 * share).round();
        let thresholds = [self.collapsed_below, self.partly_collapsed_below];
        if thresholds
            .iter()
            .any(|&below| share < below && rounded >= 100.0 * below)
        {
            return format!("{:.0}", (100.0 * share).floor());
        }
        format!("{rounded:.0}")
    }
}

/// What a [`Finding`] is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FindingKind {
    /// The rows spread over few directions, or a few outweigh the others.
    LostRank,
    /// The rows point one way for an offset that they share.
    CommonOffset,
    /// One dimension has most of the variance.
    DominatingDimension,
    /// One direction, which is no dimension, has most of the variance.
    DominatingDirection,
    /// Dimensions that hardly vary.
    DeadDimensions,
    /// Rows that are equal to others.
    Duplicates,
}

impl FindingKind {
    /// Its name in words.
    pub fn name(self) -> &'static str {
        match self {
            Self::LostRank => "lost rank",
            Self::CommonOffset => "common offset",
            Self::DominatingDimension => "dominating dimension",
            Self::DominatingDirection => "dominating direction",
            Self::DeadDimensions => "dead dimensions",
            Self::Duplicates => "duplicates",
        }
    }
}

/// One thing that is wrong with an embedding, and what to do about it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// What it is.
    pub kind: FindingKind,
    /// What the embedding is for this alone: [`Healthy`](Health::Healthy) if it causes no verdict.
    pub health: Health,
    /// The figure that it rests on: a share of what random rows reach for [`FindingKind::LostRank`], the mean
    /// cosine for [`FindingKind::CommonOffset`], a share of the variance, of the dimensions or of the rows
    /// for the others.
    pub figure: f64,
    /// What the figure is below (of a lost rank) or above.
    pub threshold: f64,
    /// The figure in words, with the threshold.
    pub text: String,
    /// What to do.
    pub remedy: String,
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}; {}", self.kind.name(), self.text, self.remedy)
    }
}

impl Diagnostics {
    /// What is wrong with the embedding, the causes of its [verdict](Self::verdict) among it:
    ///
    /// | kind | found if | what to do |
    /// |---|---|---|
    /// | lost rank | the effective rank, or the mean singular value where nothing else explains it, is below half of what random rows reach | regularize |
    /// | common offset | the mean cosine of two rows is above 0.75 | subtract the mean of the rows |
    /// | dominating dimension | it has more than half of the variance | divide each dimension by its standard deviation, or drop it |
    /// | dominating direction | likewise, if it is no dimension | whiten, or regularize |
    /// | dead dimensions | more than a tenth hardly varies | prune them |
    /// | duplicates | more than a hundredth of the rows equals an earlier one | remove them |
    ///
    /// The numbers are the default [`Thresholds`]. A rank that is low for one dominating dimension is not
    /// lost: what counts then is the rank of the others. Where all rows are the same that is the only
    /// finding but duplicates. Empty for a single row.
    pub fn findings(&self, thresholds: &Thresholds) -> Vec<Finding> {
        Observed::new(self, thresholds).map_or_else(Vec::new, |observed| observed.findings)
    }
}

/// The findings, and what the sentence on them needs.
pub(super) struct Observed {
    pub(super) findings: Vec<Finding>,
    pub(super) rank: f64,
    /// Of what random rows reach.
    pub(super) rank_share: f64,
    /// Of the way from the lower bound to what random rows reach.
    pub(super) spread_share: f64,
    pub(super) dead: usize,
    pub(super) same_rows: bool,
    /// Whether the effective rank, and not the mean singular value, is what makes the rank lost.
    pub(super) lost_by_rank: bool,
    /// The dimension that most of a common offset is in, and its share.
    pub(super) offset_in: Option<(usize, f64)>,
    /// The dominating dimension, its share of the variance, and the effective rank of the others with its
    /// share of what random rows reach.
    pub(super) dominating: Option<Dominating>,
}

#[derive(Clone, Copy)]
pub(super) struct Dominating {
    pub(super) dimension: usize,
    pub(super) share: f64,
    pub(super) rank_of_others: f64,
    pub(super) rank_share_of_others: f64,
}

impl Observed {
    /// [`None`] for a single row.
    pub(super) fn new(of: &Diagnostics, thresholds: &Thresholds) -> Option<Self> {
        let rank = of.effective_rank?;
        let dead = of.dead_about_mean?;
        let mut observed = Self {
            findings: Vec::new(),
            rank,
            rank_share: rank / of.random_effective_rank,
            spread_share: spread_share(of),
            dead,
            same_rows: rank == 0.0,
            lost_by_rank: true,
            offset_in: None,
            dominating: None,
        };
        if observed.same_rows {
            observed.findings.push(same_rows(of, thresholds));
        } else {
            observed.causes(of, thresholds);
        }
        observed.findings.extend(duplicates(of, thresholds));
        Some(observed)
    }

    /// The verdict: the worst that a finding leads to.
    pub(super) fn health(&self) -> Health {
        let healths = self.findings.iter().map(|finding| finding.health);
        healths.min().unwrap_or(Health::Healthy)
    }

    /// What lowers the shares of random rows, and dead dimensions.
    fn causes(&mut self, of: &Diagnostics, thresholds: &Thresholds) {
        let spread_health = thresholds.health(self.spread_share);
        let offset = self.common_offset(of, thresholds, spread_health);
        let dominance = self.dominance(of, thresholds, offset.is_none());

        let is_dimension = self.dominating.is_some();
        let rank_share = match self.dominating {
            Some(others) => self.rank_share.max(others.rank_share_of_others),
            None => self.rank_share,
        };
        let rank_health = thresholds.health(rank_share);
        // What neither of the others explains.
        let explained = offset.is_some()
            || is_dimension
            || dominance.is_some() && rank_health == Health::Healthy;
        let unexplained = if explained {
            Health::Healthy
        } else {
            spread_health
        };
        let lost_health = rank_health.min(unexplained);
        self.lost_by_rank = rank_health <= unexplained;
        if lost_health != Health::Healthy {
            let lost = self.lost_rank(of, thresholds, rank_share, lost_health);
            self.findings.push(lost);
        }
        self.findings.extend(offset);
        self.findings.extend(dominance);
        self.findings.extend(self.dead_dimensions(of, thresholds));
    }

    fn lost_rank(
        &self,
        of: &Diagnostics,
        thresholds: &Thresholds,
        rank_share: f64,
        health: Health,
    ) -> Finding {
        let threshold = match health {
            Health::Collapsed => thresholds.collapsed_below,
            _ => thresholds.partly_collapsed_below,
        };
        let below = format!("(below {} %)", percent(threshold));
        let (figure, text) = match self.dominating {
            _ if !self.lost_by_rank => (
                self.spread_share,
                format!(
                    "the mean singular value is {} % of the way from its lower bound to random rows {below}: a few directions outweigh the others",
                    thresholds.percent(self.spread_share)
                ),
            ),
            Some(others) if others.rank_share_of_others > self.rank_share => (
                rank_share,
                format!(
                    "beside the dominating dimension the effective rank is {}, {} % of what random rows have {below}",
                    readable(others.rank_of_others),
                    thresholds.percent(rank_share)
                ),
            ),
            _ => (
                rank_share,
                format!(
                    "the effective rank is {}, {} % of the {} of random rows {below}",
                    readable(self.rank),
                    thresholds.percent(rank_share),
                    readable(of.random_effective_rank)
                ),
            ),
        };
        Finding {
            kind: FindingKind::LostRank,
            health,
            figure,
            threshold,
            text,
            remedy: "train with a regularizer (SVMax, VICReg), or a larger weight of it".to_owned(),
        }
    }

    fn common_offset(
        &mut self,
        of: &Diagnostics,
        thresholds: &Thresholds,
        health: Health,
    ) -> Option<Finding> {
        const MOST: f64 = 0.5;
        /// Below this spread, relative to the length of the rows, what is left may be noise.
        const HARDLY: f64 = 0.01;
        let cosine = of.mean_cosine?;
        let centred = of.mean_cosine_centred?;
        let threshold = thresholds.common_offset_above;
        // Of one dimension there is nothing but its sign to compare.
        if cosine <= threshold || of.dims == 1 {
            return None;
        }
        let squares: Vec<f64> = of.dimension_mean.iter().map(|x| x * x).collect();
        let (place, square) = largest(&squares);
        let share = square / squares.iter().sum::<f64>();
        let norm = |values: &[f64]| values.iter().map(|x| x * x).sum::<f64>().sqrt();
        let spread = norm(&of.centred_singular_values) / norm(&of.singular_values);
        let mut remedy = "subtract the mean of the rows before they are compared".to_owned();
        if share > MOST {
            self.offset_in = Some((place, share));
            remedy += &format!(
                ", or drop dimension {place} (from 0), which has {} % of it",
                percent(share)
            );
        }
        // Beside one huge dimension the others are small whatever they say.
        if spread < HARDLY && self.offset_in.is_none() {
            remedy += "; if what is left then is noise, the network has collapsed: train with a regularizer";
        }
        Some(Finding {
            kind: FindingKind::CommonOffset,
            health,
            figure: cosine,
            threshold,
            text: format!(
                "the mean cosine of two rows is {} (above {threshold}), {} once their mean is subtracted, about which they spread by {} % of their length",
                cosine_in_words(cosine),
                cosine_in_words(centred),
                readable(100.0 * spread)
            ),
            remedy,
        })
    }

    /// A dimension or else a direction that has most of the variance. A direction lowers the spread only if
    /// no offset does.
    fn dominance(
        &mut self,
        of: &Diagnostics,
        thresholds: &Thresholds,
        no_offset: bool,
    ) -> Option<Finding> {
        let (r, m) = (
            of.dims.min(of.rows - 1) as f64,
            of.dims.max(of.rows - 1) as f64,
        );
        // The first eigenvalue of random rows, by the edge of the Marchenko-Pastur law.
        let random = (1.0 + (r / m).sqrt()).powi(2) / r;
        let threshold = thresholds.dominating_above.max(2.0 * random);
        let above = format!("(above {} %)", percent(threshold));

        let variances: Vec<f64> = of.dimension_std.iter().map(|std| std * std).collect();
        let (dimension, variance) = largest(&variances);
        let share = variance / variances.iter().sum::<f64>();
        if share > threshold {
            let others = of.centred_singular_values.get(1..).unwrap_or_default();
            let rank = spectrum::effective_rank(others);
            let random = random::effective_rank(of.rows, of.dims - 1);
            self.dominating = Some(Dominating {
                dimension,
                share,
                rank_of_others: rank,
                rank_share_of_others: rank / random,
            });
            return Some(Finding {
                kind: FindingKind::DominatingDimension,
                health: thresholds.health(self.rank_share.min(self.spread_share)),
                figure: share,
                threshold,
                text: format!(
                    "dimension {dimension} (from 0) has {} % of the variance {above}",
                    percent(share)
                ),
                remedy: "divide each dimension by its standard deviation, or drop this one"
                    .to_owned(),
            });
        }
        let largest = of.centred_singular_values[0];
        let relative = |s: &f64| (s / largest).powi(2);
        let share = 1.0 / of.centred_singular_values.iter().map(relative).sum::<f64>();
        let spread_health = thresholds.health(self.spread_share);
        (share > threshold).then(|| Finding {
            kind: FindingKind::DominatingDirection,
            health: if no_offset { spread_health } else { Health::Healthy },
            figure: share,
            threshold,
            text: format!("one direction has {} % of the variance {above}", percent(share)),
            remedy: "see what the rows at its two ends are, whiten the rows, or train with a regularizer"
                .to_owned(),
        })
    }

    fn dead_dimensions(&self, of: &Diagnostics, thresholds: &Thresholds) -> Option<Finding> {
        let share = self.dead as f64 / of.dims as f64;
        let threshold = thresholds.dead_share_above;
        (share > threshold).then(|| Finding {
            kind: FindingKind::DeadDimensions,
            health: if self.dead == of.dims {
                Health::Collapsed
            } else {
                Health::PartlyCollapsed
            },
            figure: share,
            threshold,
            text: format!(
                "{} of {} dimensions hardly vary (more than {} %)",
                self.dead,
                of.dims,
                percent(threshold)
            ),
            remedy: "prune them, or find out why their units are dead".to_owned(),
        })
    }
}

/// The share of the way from the lower bound of the mean singular value to what random rows reach; 1 with a
/// single singular value, where there is nothing to spread.
fn spread_share(of: &Diagnostics) -> f64 {
    if of.rows.min(of.dims) == 1 {
        return 1.0;
    }
    let above = (of.mean_singular_value - of.lower_bound).max(0.0);
    above / (of.random_reference - of.lower_bound)
}

fn same_rows(of: &Diagnostics, thresholds: &Thresholds) -> Finding {
    let zero = of.zero_rows == of.rows;
    Finding {
        kind: FindingKind::LostRank,
        health: Health::Collapsed,
        figure: 0.0,
        threshold: thresholds.collapsed_below,
        text: format!(
            "all {} rows are {} (effective rank 0)",
            of.rows,
            if zero { "zero" } else { "the same" }
        ),
        remedy: "look for a layer that ignores its input; if training led there, train with a regularizer"
            .to_owned(),
    }
}

fn duplicates(of: &Diagnostics, thresholds: &Thresholds) -> Option<Finding> {
    let (count, [row, earlier]) = (of.duplicate_rows?, of.first_duplicate?);
    let share = count as f64 / of.rows as f64;
    let threshold = thresholds.duplicates_above;
    let verb = if count == 1 { "equals" } else { "equal" };
    (share > threshold).then(|| Finding {
        kind: FindingKind::Duplicates,
        health: Health::Healthy,
        figure: share,
        threshold,
        text: format!(
            "{count} of {} rows {verb} an earlier one (more than {} %), first row {row} that equals row {earlier} (from 0){}",
            of.rows,
            percent(threshold),
            if of.zero_rows > 1 {
                format!("; {} rows are zero", of.zero_rows)
            } else {
                String::new()
            }
        ),
        remedy: "remove them if inputs are repeated; if inputs differ, the network does not tell them apart"
            .to_owned(),
    })
}

pub(super) fn percent(share: f64) -> String {
    format!("{:.0}", 100.0 * share)
}

/// Three digits behind the point, and no negative zero.
pub(super) fn cosine_in_words(cosine: f64) -> String {
    let text = format!("{cosine:.3}");
    if text == "-0.000" {
        "0.000".to_owned()
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use rand::{Rng, RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::diagnostics::{Accumulator, Verdict};

    /// Numbers that are all but normal: twelve uniform ones.
    fn normal(rng: &mut impl Rng) -> f64 {
        (0..12).map(|_| rng.random::<f64>()).sum::<f64>() - 6.0
    }

    /// Rows of normal numbers, changed by what `f` makes of row, dimension and number.
    fn rows(
        [rows, dims]: [usize; 2],
        f: impl Fn(usize, usize, f64) -> f64,
    ) -> ([usize; 2], Vec<f64>) {
        let mut rng = ChaCha8Rng::seed_from_u64(11);
        let entries = (0..rows * dims).map(|k| f(k / dims, k % dims, normal(&mut rng)));
        ([rows, dims], entries.collect())
    }

    /// Rows of so many directions, and noise.
    fn of_rank([count, dims]: [usize; 2], rank: usize, noise: f64) -> ([usize; 2], Vec<f64>) {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let directions: Vec<f64> = (0..rank * dims).map(|_| normal(&mut rng)).collect();
        let mut entries = Vec::with_capacity(count * dims);
        for _ in 0..count {
            let factors: Vec<f64> = (0..rank).map(|_| normal(&mut rng)).collect();
            for j in 0..dims {
                let said = factors.iter().zip(directions[j..].iter().step_by(dims));
                let said: f64 = said.map(|(x, y)| x * y).sum();
                entries.push(said + noise * normal(&mut rng));
            }
        }
        ([count, dims], entries)
    }

    fn verdict(([_, dims], entries): &([usize; 2], Vec<f64>)) -> Verdict {
        let whole = Diagnostics::new(entries, *dims, None).unwrap();
        let mut accumulator = Accumulator::new(*dims).by_gram();
        accumulator.push(entries).unwrap();
        let streamed = accumulator.finish().unwrap();
        // Both ways judge alike, and no verdict is without a cause.
        let verdict = whole.verdict();
        assert_eq!(verdict.text, streamed.verdict().text);
        let kinds = |verdict: &Verdict| -> Vec<_> {
            let kinds = verdict.findings.iter();
            kinds.map(|found| (found.kind, found.health)).collect()
        };
        assert_eq!(kinds(&verdict), kinds(&streamed.verdict()));
        let healths = verdict.findings.iter().map(|finding| finding.health);
        let worst = healths.min().unwrap_or(Health::Healthy);
        assert_eq!(verdict.health, worst, "{}", verdict.text);
        for finding in &verdict.findings {
            let below = finding.kind == FindingKind::LostRank;
            assert_eq!(below, finding.figure < finding.threshold, "{finding:?}");
        }
        verdict
    }

    /// The verdict's kinds and its sentence.
    fn assert_verdict(
        of: &([usize; 2], Vec<f64>),
        health: Health,
        kinds: &[FindingKind],
        words: &[&str],
    ) {
        let found = verdict(of);
        let found_kinds: Vec<FindingKind> = found.findings.iter().map(|f| f.kind).collect();
        assert_eq!(
            (found.health, &found_kinds[..]),
            (health, kinds),
            "{}",
            found.text
        );
        for words in words {
            assert!(found.text.contains(words), "{words}: {}", found.text);
        }
    }

    use FindingKind::{
        CommonOffset, DeadDimensions, DominatingDimension, DominatingDirection, Duplicates,
        LostRank,
    };

    /// In whatever shape: random rows have nothing wrong with them.
    #[test]
    fn random_rows_have_no_findings() {
        for shape in [
            [1000, 64],
            [64, 64],
            [30, 200],
            [400, 3],
            [400, 2],
            [50, 1],
            [9, 8],
            [5, 5],
            [3, 40],
            [2, 6],
        ] {
            let found = verdict(&rows(shape, |_, _, x| x));
            assert_eq!(found.findings, [], "{shape:?}");
            assert_eq!(found.health, Health::Healthy);
        }
    }

    #[test]
    fn rank_that_is_lost() {
        assert_verdict(
            &of_rank([1000, 256], 8, 0.0),
            Health::Collapsed,
            &[LostRank],
            &["collapsed: uses 7.9 of 256 dimensions (3 % of what random rows use); none is dead"],
        );
        // Noise that is weak beside it but full of rank.
        assert_verdict(
            &of_rank([1000, 64], 8, 0.3),
            Health::PartlyCollapsed,
            &[LostRank],
            &["partly collapsed: uses 2", "none is dead"],
        );
        let finding = verdict(&of_rank([1000, 256], 8, 0.0)).findings.remove(0);
        assert_eq!(finding.health, Health::Collapsed);
        assert_eq!(finding.threshold, 0.1);
        assert!(
            finding.text.starts_with("the effective rank is 7."),
            "{finding}"
        );
        assert!(
            finding.text.ends_with("of random rows (below 10 %)"),
            "{finding}"
        );
        assert!(finding.remedy.contains("regularizer"), "{finding}");
    }

    #[test]
    fn an_offset_is_told_from_lost_rank() {
        // Noise about one point.
        let point = rows([800, 64], |_, j, x| 3.0 + (j as f64).sin() + 0.01 * x);
        assert_verdict(
            &point,
            Health::Collapsed,
            &[CommonOffset],
            &[
                "collapsed by a common offset: the mean cosine of two rows is 1.000, -0.001 once the mean of the rows is subtracted; about their mean the rows use 63 of 64 dimensions (100 % of what random rows use) and none is dead; mean singular value",
            ],
        );
        let finding = verdict(&point).findings.remove(0);
        assert!(finding.figure > 0.999 && finding.threshold == 0.75);
        assert!(
            finding.text.contains("about which they spread by 0.3"),
            "{finding}"
        );
        assert!(finding.remedy.starts_with("subtract the mean"), "{finding}");
        assert!(
            finding.remedy.ends_with("train with a regularizer"),
            "{finding}"
        );
        // With weak directions: no "uses 42 %" of what is called collapsed for it.
        let scale = |j: usize| if j < 6 { 1.0 } else { 0.05 };
        let decaying = rows([800, 64], |_, j, x| 5.0 + scale(j) * x);
        assert_verdict(
            &decaying,
            Health::Collapsed,
            &[LostRank, CommonOffset],
            &[
                "collapsed by a common offset",
                "about their mean the rows, partly collapsed themselves, use 2",
            ],
        );
        // An offset that is as large as the rest is none.
        assert_verdict(
            &rows([800, 64], |_, _, x| 1.0 + x),
            Health::Healthy,
            &[],
            &[],
        );
        // Both at once.
        let ([count, dims], low) = of_rank([500, 64], 5, 1e-6);
        let both = ([count, dims], low.iter().map(|x| x + 30.0).collect());
        assert_verdict(
            &both,
            Health::Collapsed,
            &[LostRank, CommonOffset],
            &[
                "collapsed: uses 4.",
                "; a common offset besides: the mean cosine",
            ],
        );
    }

    #[test]
    fn one_huge_constant_kills_no_other_dimension() {
        for (value, health) in [(1500.0, Health::Collapsed), (30.0, Health::PartlyCollapsed)] {
            let constant = rows([600, 128], |_, j, x| if j == 40 { value } else { x });
            let word = if value > 100.0 {
                "collapsed"
            } else {
                "partly collapsed"
            };
            assert_verdict(
                &constant,
                health,
                &[CommonOffset],
                &[
                    &format!("{word} by a common offset: the mean cosine"),
                    "(100 % of it in dimension 40, from 0); about their mean the rows use 12",
                    "and 1 is dead;",
                ],
            );
            let finding = verdict(&constant).findings.remove(0);
            assert!(
                finding
                    .remedy
                    .ends_with("drop dimension 40 (from 0), which has 100 % of it")
            );
        }
    }

    #[test]
    fn one_huge_dimension_is_no_collapse_of_the_others() {
        let huge = rows([600, 128], |_, j, x| if j == 40 { 1500.0 * x } else { x });
        assert_verdict(
            &huge,
            Health::Collapsed,
            &[DominatingDimension],
            &[
                "collapsed by one dominating dimension: dimension 40 (from 0) has 100 % of the variance; beside it the rows use 12",
                "of 127 dimensions (",
                "and none is dead;",
            ],
        );
        // Not if the others have lost their rank as well.
        let (shape, mut low) = of_rank([600, 128], 3, 0.0);
        for row in low.chunks_exact_mut(128) {
            row[40] *= 1500.0;
        }
        assert_verdict(
            &(shape, low),
            Health::Collapsed,
            &[LostRank, DominatingDimension],
            &[
                "collapsed: uses 1.",
                "dimension 40 (from 0) has 100 % of the variance",
            ],
        );
        // Two tight groups: no dimension, but a direction.
        let groups = rows([600, 128], |i, j, x| {
            let side = if i % 2 == 0 { 1.0 } else { -1.0 };
            side * (j as f64).cos() + 0.25 * x
        });
        assert_verdict(
            &groups,
            Health::PartlyCollapsed,
            &[DominatingDirection],
            &[
                "partly collapsed by one dominating direction: it has 89 % of the variance; the rows use",
            ],
        );
    }

    #[test]
    fn dead_dimensions_and_equal_rows() {
        let dead = rows([600, 100], |_, j, x| if j < 30 { 0.5 } else { x });
        assert_verdict(
            &dead,
            Health::PartlyCollapsed,
            &[DeadDimensions],
            &[
                "partly collapsed by dead dimensions: the rows use 69 of 100 dimensions (71 % of what random rows use)",
                "and 30 are dead",
            ],
        );
        assert_verdict(
            &rows([40, 6], |_, j, _| j as f64),
            Health::Collapsed,
            &[LostRank, Duplicates],
            &["collapsed: all 40 rows are the same"],
        );
        let zero = verdict(&rows([40, 6], |_, _, _| 0.0));
        assert_eq!(zero.text, "collapsed: all 40 rows are zero");
        assert!(zero.findings[1].text.ends_with("; 40 rows are zero"));
        // Of a single dimension an offset is no finding.
        let line = rows([100, 1], |_, _, x| 9.0 + x);
        assert_verdict(&line, Health::Healthy, &[], &["uses 1.0 of 1 dimensions"]);
        // Every second row is that before it.
        let ([count, dims], mut entries) = rows([400, 16], |_, _, x| x);
        for i in (1..count).step_by(2) {
            entries.copy_within((i - 1) * dims..i * dims, i * dims);
        }
        let doubled = ([count, dims], entries);
        assert_verdict(
            &doubled,
            Health::Healthy,
            &[Duplicates],
            &["healthy: uses 16 of 16"],
        );
        assert!(verdict(&doubled).findings[0].text.starts_with(
            "200 of 400 rows equal an earlier one (more than 1 %), first row 1 that equals row 0"
        ));
    }

    /// Many shapes and spectra: the verdict is what the documentation says, and always has its cause.
    #[test]
    fn every_verdict_has_its_cause() {
        let mut seen = [0; 3];
        for (k, offset) in [0.0, 0.4, 1.0, 2.0, 8.0, 200.0].into_iter().enumerate() {
            for decay in [0.0, 0.3, 0.6, 1.0, 1.6, 3.0] {
                for dead in [0, 1, 5, 12] {
                    for shape in [[200, 24], [40, 24], [24, 40]] {
                        let of = rows(shape, |_, j, x| {
                            let scale = (1.0 + j as f64).powf(-decay);
                            let x = if j < dead { 0.0 } else { scale * x };
                            x + offset * ((j * (k + 1)) as f64).sin()
                        });
                        let figures = Diagnostics::new(&of.1, shape[1], None).unwrap();
                        let found = verdict(&of);
                        let share = (figures.effective_rank.unwrap()
                            / figures.random_effective_rank)
                            .min(spread_share(&figures));
                        let dead = figures.dead_about_mean.unwrap() as f64 / shape[1] as f64;
                        let expected = if share < 0.1 || dead == 1.0 {
                            Health::Collapsed
                        } else if share < 0.5 || dead > 0.1 {
                            Health::PartlyCollapsed
                        } else {
                            Health::Healthy
                        };
                        assert_eq!(found.health, expected, "{}", found.text);
                        seen[found.health as usize] += 1;
                    }
                }
            }
        }
        assert!(seen.iter().all(|&count| count > 20), "{seen:?}");
    }

    #[test]
    fn thresholds_move_the_verdict() {
        let of = of_rank([1000, 64], 8, 0.3);
        let figures = Diagnostics::new(&of.1, 64, None).unwrap();
        let lenient: Thresholds =
            serde_json::from_str(r#"{"partly_collapsed_below": 0.2}"#).unwrap();
        assert_eq!(figures.verdict().health, Health::PartlyCollapsed);
        let verdict = figures.verdict_by(&lenient);
        assert_eq!(
            (verdict.health, verdict.findings),
            (Health::Healthy, Vec::new())
        );
        let error = serde_json::from_str::<Thresholds>(r#"{"dead": 0.2}"#).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("unknown field `dead`, expected one of `collapsed_below`")
        );
        let error = |json: &str| {
            let thresholds: Thresholds = serde_json::from_str(json).unwrap();
            thresholds.check().unwrap_err().to_string()
        };
        assert_eq!(
            error(r#"{"collapsed_below": 0.6}"#),
            "collapsed_below must not be above partly_collapsed_below, got 0.6 and 0.5"
        );
        assert_eq!(
            error(r#"{"duplicates_above": 5}"#),
            "duplicates_above must be between 0 and 1, got 5"
        );
    }

    #[test]
    fn a_percentage_does_not_reach_a_threshold_that_its_share_is_below() {
        let percent = |share| Thresholds::default().percent(share);
        assert_eq!(
            [0.4999, 0.5, 0.0999, 0.126, 0.996].map(percent),
            ["49", "50", "9", "13", "100"]
        );
    }
}
