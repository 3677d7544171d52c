//! The figures in words.

use serde::{Deserialize, Serialize};

use super::{Diagnostics, dead_dimensions};

/// Below this share of what random rows reach, an embedding has collapsed.
pub const COLLAPSED_BELOW: f64 = 0.1;
/// Below this share of what random rows reach, an embedding has partly collapsed.
pub const PARTLY_COLLAPSED_BELOW: f64 = 0.5;
/// With more than this share of dead dimensions, an embedding has partly collapsed.
pub const DEAD_SHARE_ABOVE: f64 = 0.1;

/// How an embedding stands: see [`Diagnostics::verdict`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Health {
    /// Next to nothing of the space is used.
    Collapsed,
    /// Much of the space is unused.
    PartlyCollapsed,
    /// Neither.
    Healthy,
    /// A single row says nothing.
    Unknown,
}

/// A verdict in a word and in a sentence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// The word.
    pub health: Health,
    /// The sentence, with the figures it rests on.
    pub text: String,
}

impl Diagnostics {
    /// Whether the embedding has collapsed.
    ///
    /// Two shares of what random isotropic rows of the same shape reach are taken, that of the
    /// effective rank and that of the mean singular value above its lower bound. Where the smaller
    /// is below 0.1, or every dimension is dead, the embedding has [collapsed](Health::Collapsed);
    /// where it is below 0.5, or more than a tenth of the dimensions is dead, it has [partly
    /// collapsed](Health::PartlyCollapsed). The thresholds are conventions: a classifier of ten
    /// classes rightly uses about nine directions.
    ///
    /// Where that is for an offset common to all rows, the sentence says so: the mean of the rows is
    /// more than nine tenths of their mean square (which is the mean cosine between rows, weighted
    /// by their lengths; of centred rows it is zero), and about that mean they use at least half of
    /// what random rows use. It then counts the dead dimensions about the mean, against the root
    /// mean square of the centred entries, and names the dimension that most of the offset is in.
    pub fn verdict(&self) -> Verdict {
        let (Some(rank), Some(dead)) = (self.effective_rank, self.dead_dimensions) else {
            return Verdict {
                health: Health::Unknown,
                text: "unknown: a single row says nothing of collapse".to_owned(),
            };
        };
        let rank_share = rank / self.random_effective_rank;
        let spread = self.random_reference - self.lower_bound;
        // With a single singular value there is nothing to spread.
        let spread_share = if self.rows.min(self.dims) == 1 {
            1.0
        } else {
            (self.mean_singular_value - self.lower_bound).max(0.0) / spread
        };
        let share = rank_share.min(spread_share);
        let health = if share < COLLAPSED_BELOW || dead == self.dims {
            Health::Collapsed
        } else if share < PARTLY_COLLAPSED_BELOW
            || dead as f64 > DEAD_SHARE_ABOVE * self.dims as f64
        {
            Health::PartlyCollapsed
        } else {
            Health::Healthy
        };
        let word = match health {
            Health::Collapsed => "collapsed",
            Health::PartlyCollapsed => "partly collapsed",
            _ => "healthy",
        };
        if health != Health::Healthy
            && rank_share >= PARTLY_COLLAPSED_BELOW
            && let Some(offset) = self.common_offset()
        {
            return Verdict {
                health,
                text: format!(
                    "{word} by an offset: {offset}; subtract the mean row: about it the rows use {} of {} dimensions ({} % of what random rows use) and {}; mean singular value {} % of random",
                    count(rank),
                    self.dims,
                    percent(rank_share),
                    dead_in_words(self.dead_about_the_mean()),
                    percent(spread_share),
                ),
            };
        }
        let dead = dead_in_words(dead);
        Verdict {
            health,
            text: format!(
                "{word}: uses {} of {} dimensions ({} % of what random rows use); {dead}; mean singular value {} % of random",
                count(rank),
                self.dims,
                percent(rank_share),
                percent(spread_share),
            ),
        }
    }
}

impl Diagnostics {
    /// The offset that hides all else, in words, if there is one.
    fn common_offset(&self) -> Option<String> {
        const HIDES_ABOVE: f64 = 0.9;
        const MOST_ABOVE: f64 = 0.5;
        let sum = |values: &[f64]| values.iter().map(|x| x * x).sum::<f64>();
        let raw = sum(&self.singular_values);
        let share = 1.0 - sum(&self.centred_singular_values) / raw;
        if raw == 0.0 || share <= HIDES_ABOVE {
            return None;
        }
        let offset = sum(&self.dimension_mean);
        let shares = self.dimension_mean.iter().map(|x| x * x / offset);
        let (most, dimension) =
            (shares.zip(0..)).fold(
                (0.0, 0),
                |most, one| {
                    if one.0 > most.0 { one } else { most }
                },
            );
        let alone = if most > MOST_ABOVE && self.dims > 1 {
            format!(
                " ({} % of it in dimension {dimension}, from 0)",
                percent(most)
            )
        } else {
            String::new()
        };
        Some(format!(
            "the mean of the rows is {} % of their mean square{alone}",
            percent(share)
        ))
    }

    /// The dimensions that hardly vary beside the other dimensions, whatever their means.
    fn dead_about_the_mean(&self) -> usize {
        let squares: f64 = self.dimension_std.iter().map(|std| std * std).sum();
        dead_dimensions(&self.dimension_std, squares / self.dims as f64)
    }
}

fn dead_in_words(dead: usize) -> String {
    match dead {
        0 => "none is dead".to_owned(),
        1 => "1 is dead".to_owned(),
        _ => format!("{dead} are dead"),
    }
}

/// One digit behind the point where that matters.
fn count(rank: f64) -> String {
    if rank < 9.95 {
        format!("{rank:.1}")
    } else {
        format!("{rank:.0}")
    }
}

fn percent(share: f64) -> String {
    format!("{:.0}", 100.0 * share)
}
