//! The values of one metric over an epoch.

use std::sync::Arc;

use burn::train::metric::state::NumericMetricState;
use burn::train::metric::{MetricName, NumericEntry, SerializedEntry};

/// The values of one metric over an epoch, some of whose iterations may have none.
#[derive(Clone)]
pub(super) struct Series {
    name: MetricName,
    state: NumericMetricState,
    formatted: String,
    fresh: bool,
    seen: bool,
}

impl Series {
    pub(super) fn new(name: &str) -> Self {
        Self {
            name: Arc::new(name.to_string()),
            state: NumericMetricState::new(),
            formatted: SerializedEntry::not_available(None).formatted,
            fresh: false,
            seen: false,
        }
    }

    pub(super) fn update(&mut self, value: f64, count: usize, note: &str) -> SerializedEntry {
        self.state.update(value, count);
        self.fresh = true;
        self.seen = true;
        let epoch = readable(self.state.running_value().current());
        self.formatted = format!("epoch {epoch} - batch {}{note}", readable(value));
        SerializedEntry::new(
            self.formatted.clone(),
            self.state.current_value().serialize(),
        )
    }

    /// An iteration without a value shows the last one and records none.
    pub(super) fn skip(&mut self) -> SerializedEntry {
        self.fresh = false;
        SerializedEntry::new(
            self.formatted.clone(),
            SerializedEntry::NOT_AVAILABLE.to_string(),
        )
    }

    pub(super) fn finish(&mut self) -> SerializedEntry {
        if !self.seen {
            return SerializedEntry::not_available(None);
        }
        SerializedEntry::new(self.formatted.clone(), self.state.final_value().serialize())
    }

    pub(super) fn clear(&mut self) {
        *self = Self {
            name: self.name.clone(),
            ..Self::new("")
        };
    }

    pub(super) fn name(&self) -> MetricName {
        self.name.clone()
    }

    pub(super) fn value(&self) -> Option<NumericEntry> {
        self.fresh.then(|| self.state.current_value())
    }

    pub(super) fn running_value(&self) -> Option<NumericEntry> {
        self.seen.then(|| self.state.running_value())
    }

    pub(super) fn final_value(&self) -> NumericEntry {
        self.state.final_value()
    }
}

/// Three digits behind the point, or scientific notation where that would hide the number. Unlike
/// burn-train's own format it treats negative values as it does positive ones.
pub(super) fn readable(value: f64) -> String {
    let size = value.abs();
    if size == 0.0 || (1e-2..1e5).contains(&size) || !size.is_finite() {
        format!("{value:.3}")
    } else {
        format!("{value:.2e}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_and_large_numbers_keep_their_digits() {
        let text: Vec<String> = [0.0, 0.01, -0.25, 1.5e-4, -3e-9, 2.5e7, f64::NAN]
            .map(readable)
            .into();
        assert_eq!(
            text,
            [
                "0.000", "0.010", "-0.250", "1.50e-4", "-3.00e-9", "2.50e7", "NaN"
            ]
        );
    }
}
