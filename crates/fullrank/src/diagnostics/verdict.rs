//! The figures in words.

use serde::{Deserialize, Serialize};

use super::findings::{Observed, cosine_in_words, percent};
use super::{Diagnostics, Finding, FindingKind, Thresholds};

/// How an embedding stands: see [`Diagnostics::verdict`]. The worse is the smaller.
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

impl Health {
    /// In words, such as "partly collapsed".
    pub fn word(self) -> &'static str {
        match self {
            Self::Collapsed => "collapsed",
            Self::PartlyCollapsed => "partly collapsed",
            Self::Healthy => "healthy",
            Self::Unknown => "unknown",
        }
    }
}

/// A verdict in a word and in a sentence, and what it rests on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// The word.
    pub health: Health,
    /// The sentence, with its cause and the figures it rests on.
    pub text: String,
    /// What is wrong, and what to do about it; also what causes no verdict.
    pub findings: Vec<Finding>,
}

impl Diagnostics {
    /// Whether the embedding has collapsed, and why, by the default [`Thresholds`].
    ///
    /// Two shares of what random isotropic rows of the same shape reach are taken, that of the
    /// effective rank and that of the mean singular value above its lower bound. Where the smaller
    /// is below 0.1, or every dimension is [dead](Self::dead_about_mean), the embedding has
    /// [collapsed](Health::Collapsed); where it is below 0.5, or more than a tenth of the dimensions
    /// is dead, it has [partly collapsed](Health::PartlyCollapsed). The thresholds are conventions: a
    /// classifier of ten classes rightly uses about nine directions.
    ///
    /// The sentence names the cause, which is one of the [findings](Self::findings): rank that was lost,
    /// an offset common to all rows, one dominating dimension, dead dimensions. Where an offset or a
    /// dominating dimension is the cause, it says what the rows use without it.
    pub fn verdict(&self) -> Verdict {
        self.verdict_by(&Thresholds::default())
    }

    /// The same by other thresholds.
    pub fn verdict_by(&self, thresholds: &Thresholds) -> Verdict {
        let Some(observed) = Observed::new(self, thresholds) else {
            return Verdict {
                health: Health::Unknown,
                text: "unknown: a single row says nothing of collapse".to_owned(),
                findings: Vec::new(),
            };
        };
        Verdict {
            health: observed.health(),
            text: Sentence {
                of: self,
                thresholds,
                observed: &observed,
            }
            .text(),
            findings: observed.findings,
        }
    }
}

struct Sentence<'a> {
    of: &'a Diagnostics,
    thresholds: &'a Thresholds,
    observed: &'a Observed,
}

impl Sentence<'_> {
    fn text(&self) -> String {
        let health = self.observed.health();
        let word = health.word();
        if self.observed.same_rows {
            let what = if self.of.zero_rows == self.of.rows {
                "zero"
            } else {
                "the same"
            };
            return format!("{word}: all {} rows are {what}", self.of.rows);
        }
        if health == Health::Healthy {
            return format!("{word}: {}", self.use_of_the_space());
        }
        let is_cause = |finding: &&Finding| finding.health == health;
        let causes: Vec<FindingKind> = (self.observed.findings.iter())
            .filter(is_cause)
            .map(|finding| finding.kind)
            .collect();
        if causes.contains(&FindingKind::LostRank) {
            self.lost_rank(word, &causes)
        } else {
            self.by_other_causes(word, &causes)
        }
    }

    fn lost_rank(&self, word: &str, causes: &[FindingKind]) -> String {
        let mut text = if self.observed.lost_by_rank {
            format!("{word}: {}", self.use_of_the_space())
        } else {
            format!(
                "{word}: a few directions outweigh the others: {}; uses {}; {}",
                self.spread(),
                self.used(),
                self.dead()
            )
        };
        if causes.contains(&FindingKind::CommonOffset) {
            text += &format!("; a common offset besides: {}", self.offset());
        }
        if causes.contains(&FindingKind::DominatingDimension) {
            text += &format!("; {}", self.dominating());
        }
        text
    }

    fn by_other_causes(&self, word: &str, causes: &[FindingKind]) -> String {
        let mut names = Vec::new();
        let mut clauses = Vec::new();
        let mut without = "the rows use";
        let mut used = self.used();
        for cause in causes {
            match cause {
                FindingKind::CommonOffset => {
                    names.push("a common offset");
                    clauses.push(self.offset());
                    without = "about their mean the rows use";
                }
                FindingKind::DominatingDimension => {
                    names.push("one dominating dimension");
                    clauses.push(self.dominating());
                    if let Some(others) = self.observed.dominating {
                        without = "beside it the rows use";
                        used = self.uses(
                            others.rank_of_others,
                            self.of.dims - 1,
                            others.rank_share_of_others,
                        );
                    }
                }
                FindingKind::DominatingDirection => {
                    names.push("one dominating direction");
                    clauses.push(self.direction());
                }
                FindingKind::DeadDimensions => names.push("dead dimensions"),
                FindingKind::LostRank | FindingKind::Duplicates => {}
            }
        }
        // Milder than the verdict, yet no contradiction: rank is lost as well.
        let rank_is_lost = (self.observed.findings.iter()).any(|finding| {
            finding.kind == FindingKind::LostRank && !causes.contains(&finding.kind)
        });
        let milder = if rank_is_lost {
            ", partly collapsed themselves,"
        } else {
            ""
        };
        let without = without.replace("the rows", &format!("the rows{milder}"));
        clauses.push(format!("{without} {used} and {}", self.dead()));
        clauses.push(self.spread());
        format!("{word} by {}: {}", names.join(" and "), clauses.join("; "))
    }

    /// What the rows use, dead dimensions and the mean singular value.
    fn use_of_the_space(&self) -> String {
        format!("uses {}; {}; {}", self.used(), self.dead(), self.spread())
    }

    fn used(&self) -> String {
        self.uses(self.observed.rank, self.of.dims, self.observed.rank_share)
    }

    fn uses(&self, rank: f64, dims: usize, share: f64) -> String {
        format!(
            "{} of {dims} dimensions ({} % of what random rows use)",
            count(rank),
            self.thresholds.percent(share)
        )
    }

    fn spread(&self) -> String {
        format!(
            "mean singular value {} % of random",
            self.thresholds.percent(self.observed.spread_share)
        )
    }

    fn dead(&self) -> String {
        match self.observed.dead {
            0 => "none is dead".to_owned(),
            1 => "1 is dead".to_owned(),
            dead => format!("{dead} are dead"),
        }
    }

    fn offset(&self) -> String {
        let in_words = |cosine: Option<f64>| cosine_in_words(cosine.unwrap_or(0.0));
        let alone = self.observed.offset_in.map(|(dimension, share)| {
            format!(
                " ({} % of it in dimension {dimension}, from 0)",
                percent(share)
            )
        });
        format!(
            "the mean cosine of two rows is {}, {} once the mean of the rows is subtracted{}",
            in_words(self.of.mean_cosine),
            in_words(self.of.mean_cosine_centred),
            alone.unwrap_or_default()
        )
    }

    fn direction(&self) -> String {
        let direction = |finding: &&Finding| finding.kind == FindingKind::DominatingDirection;
        let found = self.observed.findings.iter().find(direction);
        let share = found.map_or(0.0, |finding| finding.figure);
        format!("it has {} % of the variance", percent(share))
    }

    fn dominating(&self) -> String {
        self.observed
            .dominating
            .map_or_else(String::new, |dominating| {
                format!(
                    "dimension {} (from 0) has {} % of the variance",
                    dominating.dimension,
                    percent(dominating.share)
                )
            })
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
