//! Compact progress: one line that moves in a terminal, one line an epoch elsewhere.

use std::io::{IsTerminal, Write};
use std::time::Instant;

use burn::train::logger::{EvaluationProgressLogger, TrainingProgressLogger};
use burn::train::metric::{MetricDefinition, MetricId};
use burn::train::renderer::{
    EvaluationName, MetricState, MetricsRenderer, MetricsRendererEvaluation,
    MetricsRendererTraining,
};

/// Shows a training on standard output, in a line each for an epoch.
pub struct CompactProgress {
    label: String,
    silent: bool,
    terminal: bool,
    shown: Vec<Shown>,
    epochs: usize,
    epoch: usize,
    items: usize,
    training: bool,
    start: Instant,
}

/// Prints text and shows it at once. A terminal that has gone away is no reason to stop training.
pub fn show(text: &str) {
    let mut output = std::io::stdout().lock();
    let _ = output
        .write_all(text.as_bytes())
        .and_then(|()| output.flush());
}

/// A metric on the line, and what it last said.
#[derive(Clone, Debug)]
pub struct Shown {
    metric: String,
    title: String,
    valid: bool,
    id: Option<MetricId>,
    text: String,
}

impl Shown {
    /// The metric called `metric` of the training batches, shown as `title`.
    pub fn new(metric: impl Into<String>, title: impl Into<String>) -> Self {
        Self {
            metric: metric.into(),
            title: title.into(),
            valid: false,
            id: None,
            text: String::new(),
        }
    }

    /// The metric called `metric` of the last validation, shown as `title`.
    pub fn of_validation(metric: impl Into<String>, title: impl Into<String>) -> Self {
        Self {
            valid: true,
            ..Self::new(metric, title)
        }
    }
}

/// `text` with the number that it begins with in three significant digits, if that is shorter.
fn shortened(text: &str) -> String {
    let (number, note) = text.split_at(text.find(' ').unwrap_or(text.len()));
    let rounded = number.parse().map(|value: f64| {
        let text = format!("{value:.2e}");
        let exponent = text.split_once('e').and_then(|(_, e)| e.parse().ok());
        match exponent {
            Some(exponent @ -3_i32..=3) => {
                format!("{value:.*}", usize::try_from(2 - exponent).unwrap_or(0))
            }
            _ => text,
        }
    });
    match rounded {
        Ok(rounded) if rounded.len() < number.len() => rounded + note,
        _ => text.to_string(),
    }
}

impl CompactProgress {
    /// Progress of the training called `label`, with these metrics.
    pub fn new(label: &str, shown: Vec<Shown>) -> Self {
        Self {
            label: label.to_string(),
            silent: false,
            terminal: std::io::stdout().is_terminal(),
            shown,
            epochs: 0,
            epoch: 1,
            items: 0,
            training: true,
            start: Instant::now(),
        }
    }

    /// Progress that is not shown.
    pub(super) fn silent() -> Self {
        Self {
            silent: true,
            ..Self::new("", Vec::new())
        }
    }

    fn tell(&self, text: &str) {
        if !self.silent {
            show(text);
        }
    }

    fn update(&mut self, state: &MetricState, valid: bool) {
        let (MetricState::Generic(entry) | MetricState::Numeric(entry, _)) = state;
        let wanted = |shown: &&mut Shown| {
            shown.valid == valid && shown.id.as_ref() == Some(&entry.metric_id)
        };
        if let Some(shown) = self.shown.iter_mut().find(wanted) {
            // burn-train's text is "epoch X - batch Y"; the line has room for one of them.
            let text = entry.serialized_entry.formatted.as_str();
            let part = match (valid, text.split_once(" - batch ")) {
                (false, Some((_, batch))) => batch,
                (true, Some((epoch, _))) => epoch.trim_start_matches("epoch "),
                (_, None) => text,
            };
            shown.text = shortened(part);
        }
    }

    fn figures(&self) -> String {
        let told = self.shown.iter().filter(|shown| !shown.text.is_empty());
        told.map(|shown| format!("  {} {}", shown.title, shown.text))
            .collect()
    }

    fn heading(&self) -> String {
        format!(
            "  {:<12} epoch {:>3}/{}",
            self.label, self.epoch, self.epochs
        )
    }
}

impl MetricsRendererTraining for CompactProgress {
    fn update_train(&mut self, state: MetricState) {
        self.update(&state, false);
    }

    fn update_valid(&mut self, state: MetricState) {
        self.update(&state, true);
    }
}

impl TrainingProgressLogger for CompactProgress {
    fn start(
        &mut self,
        total_epochs: usize,
        starting_epoch: usize,
        _total_items: Option<usize>,
        _label: Option<&str>,
    ) {
        self.epochs = total_epochs;
        self.epoch = starting_epoch;
        self.start = Instant::now();
    }

    fn update_epoch(&mut self, epoch: usize) {
        let clear = if self.terminal { "\r\x1b[K" } else { "" };
        let seconds = self.start.elapsed().as_secs_f64();
        self.tell(&format!(
            "{clear}{}{}  {seconds:.0} s\n",
            self.heading(),
            self.figures()
        ));
        self.epoch = epoch + 1;
    }

    fn start_split(&mut self, split: &str, total_items: usize) {
        self.training = split == "train";
        self.items = total_items;
    }

    fn update_split(&mut self, items_processed: usize) {
        if self.terminal && self.training {
            let done = 100 * items_processed / self.items.max(1);
            // A line that wraps could not be overwritten: a narrow terminal cuts it off instead.
            let line = format!("{} {done:>3} %{}", self.heading(), self.figures());
            self.tell(&format!("\r\x1b[K\x1b[?7l{line}\x1b[?7h"));
        }
    }

    fn end_split(&mut self) {}

    fn end(&mut self) {
        if self.terminal {
            self.tell("\r\x1b[K");
        }
    }

    fn log_event_training(&mut self, _event: String) {}
}

impl MetricsRenderer for CompactProgress {
    fn manual_close(&mut self) {}

    fn register_metric(&mut self, definition: MetricDefinition) {
        let name = definition.name.as_str();
        for shown in self.shown.iter_mut().filter(|shown| shown.metric == name) {
            shown.id = Some(definition.metric_id.clone());
        }
    }
}

// A renderer must be able to show an evaluation too; this one is only used for training.
impl MetricsRendererEvaluation for CompactProgress {
    fn update_test(&mut self, _name: EvaluationName, _state: MetricState) {}
}

impl EvaluationProgressLogger for CompactProgress {
    fn start_global_progress(&mut self, _total_tests: usize) {}
    fn start_test(&mut self, _name: &str, _total_items: usize) {}
    fn update_test_progress(&mut self, _items_processed: usize) {}
    fn end_test(&mut self) {}
    fn end_global_progress(&mut self) {}
    fn log_event_evaluation(&mut self, _event: String) {}
}

#[cfg(test)]
mod tests {
    use burn::train::metric::{MetricEntry, SerializedEntry};

    use super::*;

    #[test]
    fn numbers_have_three_digits() {
        for (text, expected) in [
            ("0.000", "0.00"),
            ("-2.000", "-2.00"),
            ("0.012", "0.012"),
            ("0.9996", "1.00"),
            ("123.456", "123"),
            ("1234.567", "1235"),
            ("98765.432", "9.88e4"),
            ("1.50e-4", "1.50e-4"),
            ("NaN", "NaN"),
            ("N/A", "N/A"),
            ("1.237 of [0.500, 1.414]", "1.24 of [0.500, 1.414]"),
        ] {
            assert_eq!(shortened(text), expected);
        }
    }

    #[test]
    fn a_metric_is_shown_of_its_own_split() {
        let shown = [
            Shown::new("Loss", "loss"),
            Shown::of_validation("Loss", "test loss"),
        ];
        let mut progress = CompactProgress::new("SVMax", shown.to_vec());
        let id = MetricId::new(std::sync::Arc::new("Loss".to_string()));
        for shown in &mut progress.shown {
            shown.id = Some(id.clone());
        }
        let state = |text: &str| {
            let entry = SerializedEntry::new(text.to_string(), String::new());
            MetricState::Generic(MetricEntry::new(id.clone(), entry))
        };
        progress.update_train(state("epoch 0.500 - batch 0.250"));
        assert_eq!(progress.figures(), "  loss 0.250");
        progress.update_valid(state("epoch 0.750 - batch N/A"));
        assert_eq!(progress.figures(), "  loss 0.250  test loss 0.750");
    }

    #[test]
    fn a_line_with_three_terms_fits() {
        let names = [
            "loss",
            "s_mu",
            "rank",
            "std",
            "invariance",
            "variance",
            "covariance",
        ];
        let shown = names.map(|name| Shown::new(name, name)).to_vec();
        let mut progress = CompactProgress::new("VICReg", shown);
        progress.epochs = 100;
        let texts = [
            "20.26",
            "0.666 of [0.250, 1.000]",
            "77.780",
            "0.349",
            "0.140",
            "0.662",
            "0.215",
        ];
        for (shown, text) in progress.shown.iter_mut().zip(texts) {
            shown.text = shortened(text);
        }
        let line = format!("{} 100 %{}", progress.heading(), progress.figures());
        assert!(line.len() <= 150, "{} columns: {line}", line.len());
        assert!(line.ends_with("  invariance 0.140  variance 0.662  covariance 0.215"));
    }
}
