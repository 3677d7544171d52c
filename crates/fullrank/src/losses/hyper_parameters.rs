//! Hyper-parameters and their ranges.

use crate::statistics::Solver;

/// A hyper-parameter out of its range; the message names it and its value.
///
/// `check` of a configuration returns it, `init` panics with its message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub struct HyperParameterError {
    problem: String,
}

impl HyperParameterError {
    /// An error with this message, for a configuration of your own.
    pub fn new(problem: impl Into<String>) -> Self {
        Self {
            problem: problem.into(),
        }
    }

    /// The same error of a part of a larger configuration: `place: message`.
    #[must_use]
    pub fn within(self, place: &str) -> Self {
        Self::new(format!("{place}: {}", self.problem))
    }
}

/// # Errors
///
/// If the value is not finite.
pub fn finite(what: &str, value: f64) -> Result<(), HyperParameterError> {
    in_range(value.is_finite(), what, "finite", value)
}

/// # Errors
///
/// If the value is not positive and finite.
pub fn finite_and_positive(what: &str, value: f64) -> Result<(), HyperParameterError> {
    in_range(
        value.is_finite() && value > 0.0,
        what,
        "positive and finite",
        value,
    )
}

/// # Errors
///
/// If the value is negative or not finite.
pub fn finite_and_not_negative(what: &str, value: f64) -> Result<(), HyperParameterError> {
    in_range(
        value.is_finite() && value >= 0.0,
        what,
        "finite and not negative",
        value,
    )
}

/// # Errors
///
/// If it does not hold.
pub fn require(holds: bool, problem: impl FnOnce() -> String) -> Result<(), HyperParameterError> {
    match holds {
        true => Ok(()),
        false => Err(HyperParameterError::new(problem())),
    }
}

fn in_range(fine: bool, what: &str, range: &str, value: f64) -> Result<(), HyperParameterError> {
    require(fine, || format!("the {what} must be {range}, got {value}"))
}

impl Solver {
    /// # Errors
    ///
    /// If the host solver is asked for and the feature `host-solver` is off.
    pub(crate) fn check(self) -> Result<(), HyperParameterError> {
        require(cfg!(feature = "host-solver") || self != Self::Host, || {
            "Solver::Host needs the feature `host-solver` of fullrank".to_owned()
        })
    }
}
