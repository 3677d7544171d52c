//! The figures in words.

use serde::{Deserialize, Serialize};

use super::Diagnostics;

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
        let dead = match dead {
            0 => "none is dead".to_owned(),
            1 => "1 is dead".to_owned(),
            _ => format!("{dead} are dead"),
        };
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
