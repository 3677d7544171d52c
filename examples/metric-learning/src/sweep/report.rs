//! What a sweep found: a table for each part, all outcomes as CSV, and the figures.

use std::path::Path;

use anyhow::{Context, Result};
use fullrank_files::{read_json, write_whole};
use fullrank_report::markdown::{markdown, mean_and_spread};

use super::{Outcome, Point, Sweep, figures};
use crate::config::{LossName, RegularizerName};
use crate::evaluation::Evaluation;

/// The file of the pixels' scores.
pub(super) const PIXELS: &str = "raw-pixels.json";
/// The file of the untrained encoder's scores.
pub(super) const UNTRAINED: &str = "untrained.json";

/// The finished outcomes, and what they are compared with.
pub(super) struct Findings {
    pub(super) outcomes: Vec<Outcome>,
    pub(super) pixels: Evaluation,
    pub(super) untrained: Evaluation,
}

impl Findings {
    /// The measurements of all seeds at the points that `wanted` accepts, those that diverged left out.
    pub(super) fn values(
        &self,
        wanted: impl Fn(&Point) -> bool,
        value: impl Fn(&Evaluation) -> Option<f64>,
    ) -> Vec<f64> {
        let outcomes = self.outcomes.iter().filter(|o| wanted(&o.point));
        outcomes
            .filter_map(|outcome| value(outcome.evaluation.as_ref()?))
            .collect()
    }
}

/// Recall@1.
pub(super) fn recall(evaluation: &Evaluation) -> Option<f64> {
    evaluation.retrieval.recall(1)
}

/// `s_mu / U` of all test embeddings.
pub(super) fn share(evaluation: &Evaluation) -> Option<f64> {
    Some(evaluation.usage.as_ref()?.share())
}

impl Sweep {
    /// Writes `table.md`, `results.csv` and the figures of what is finished; returns the tables.
    pub(super) fn report(&self) -> Result<String> {
        let findings = Findings {
            outcomes: self.outcomes()?,
            pixels: read_json(&self.directory.join(PIXELS))?,
            untrained: read_json(&self.directory.join(UNTRAINED))?,
        };
        let tables = self.tables(&findings);
        let path = self.directory.join("table.md");
        write_whole(&path, tables.as_bytes())?;
        write_csv(&self.directory.join("results.csv"), &findings.outcomes)?;
        figures::write(self, &findings)?;
        Ok(tables)
    }

    fn tables(&self, findings: &Findings) -> String {
        let baseline = |name, evaluation| {
            let recall = recall(evaluation).unwrap_or(f64::NAN);
            format!("{name}: R@1 {recall:.3}")
        };
        let mut text = format!(
            "{}, {}.\n",
            baseline("Raw pixels", &findings.pixels),
            baseline("untrained encoder", &findings.untrained),
        );
        let parts = [
            ("Learning rate", self.rates(findings)),
            ("Batch size", self.batches(findings)),
            ("Weight of SVMax", self.lambdas(findings)),
        ];
        for (title, table) in parts {
            text += &format!("\n{title}\n\n{table}");
        }
        text
    }

    /// Recall@1 and `s_mu / U` of each loss and regularizer at each learning rate.
    fn rates(&self, findings: &Findings) -> String {
        let all = self.grid.all_rates();
        let rates = all.iter();
        let header: Vec<String> = ["".to_owned()]
            .into_iter()
            .chain(rates.clone().map(|rate| format!("R@1, lr {rate}")))
            .chain(rates.clone().map(|rate| format!("s_mu/U, lr {rate}")))
            .collect();
        let mut rows = Vec::new();
        for &(loss, _) in &self.grid.losses {
            for regularizer in self.beside(loss) {
                let at = |rate: f64| self.at_rate(loss, regularizer, rate);
                let recalls = rates.clone().map(|&rate| findings.values(at(rate), recall));
                let shares = rates.clone().map(|&rate| findings.values(at(rate), share));
                let name = format!("{}, {}", loss.title(), regularizer.title());
                rows.push(row(
                    name,
                    recalls.map(|v| (v, 3)).chain(shares.map(|v| (v, 2))),
                ));
            }
        }
        table(&header, &rows)
    }

    fn batches(&self, findings: &Findings) -> String {
        let header = [
            "batch size".to_owned(),
            "s_mu/U".to_owned(),
            "s_mu/U, SVMax".to_owned(),
            "R@1".to_owned(),
            "R@1, SVMax".to_owned(),
        ];
        let rows: Vec<Vec<String>> = self
            .batch_sizes()
            .map(|batch| {
                let at = |regularizer| self.at_batch(regularizer, batch);
                let both = [RegularizerName::None, RegularizerName::Svmax];
                let shares = both.map(|r| (findings.values(at(r), share), 2));
                let recalls = both.map(|r| (findings.values(at(r), recall), 3));
                row(batch.to_string(), shares.into_iter().chain(recalls))
            })
            .collect();
        table(&header, &rows)
    }

    fn lambdas(&self, findings: &Findings) -> String {
        let losses = &self.grid.lambda_losses;
        let header: Vec<String> = ["lambda".to_owned()]
            .into_iter()
            .chain(losses.iter().map(|loss| format!("R@1, {}", loss.title())))
            .chain(
                losses
                    .iter()
                    .map(|loss| format!("s_mu/U, {}", loss.title())),
            )
            .collect();
        let rows: Vec<Vec<String>> = [0.0]
            .iter()
            .chain(&self.grid.lambdas)
            .map(|&lambda| {
                let at = |loss: &LossName| self.at_lambda(*loss, lambda);
                let recalls = losses
                    .iter()
                    .map(|loss| (findings.values(at(loss), recall), 3));
                let shares = losses
                    .iter()
                    .map(|loss| (findings.values(at(loss), share), 2));
                row(lambda.to_string(), recalls.chain(shares))
            })
            .collect();
        table(&header, &rows)
    }

    /// The regularizers that stand beside a loss over the learning rate.
    pub(super) fn beside(&self, loss: LossName) -> Vec<RegularizerName> {
        let mut beside = vec![RegularizerName::None, RegularizerName::Svmax];
        if self.grid.spread_out.contains(&loss) {
            beside.push(RegularizerName::SpreadOut);
        }
        beside
    }

    /// Whether a point is one of the comparison of learning rates.
    pub(super) fn at_rate(
        &self,
        loss: LossName,
        regularizer: RegularizerName,
        rate: f64,
    ) -> impl Fn(&Point) -> bool {
        let objective = self.config.objectives.of(loss);
        let batch = objective.batch_size();
        let lambda = match regularizer {
            RegularizerName::Svmax => objective.svmax_weight,
            _ => 0.0,
        };
        move |point| {
            point.cell.loss == loss
                && point.cell.regularizer == regularizer
                && point.cell.learning_rate == rate
                && point.lambda == lambda
                && point.batch_size() == batch
        }
    }

    /// The batch sizes that are compared.
    pub(super) fn batch_sizes(&self) -> impl Iterator<Item = usize> + '_ {
        let images = self.config.objectives.contrastive.images_per_class;
        let classes = self.grid.batch_classes.iter();
        classes.map(move |classes| classes * images)
    }

    /// Whether a point is one of the comparison of batch sizes.
    pub(super) fn at_batch(
        &self,
        regularizer: RegularizerName,
        batch: usize,
    ) -> impl Fn(&Point) -> bool {
        let objective = &self.config.objectives.contrastive;
        let lambda = match regularizer {
            RegularizerName::Svmax => objective.svmax_weight,
            _ => 0.0,
        };
        let rate = self.grid.batch_rate;
        move |point| {
            point.cell.loss == LossName::Contrastive
                && point.cell.regularizer == regularizer
                && point.cell.learning_rate == rate
                && point.lambda == lambda
                && point.batch_size() == batch
        }
    }

    /// Whether a point is one of the comparison of weights; the weight 0 is that without SVMax.
    pub(super) fn at_lambda(&self, loss: LossName, lambda: f64) -> impl Fn(&Point) -> bool {
        let batch = self.config.objectives.of(loss).batch_size();
        let rate = self.grid.lambda_rate;
        let regularizer = match lambda {
            0.0 => RegularizerName::None,
            _ => RegularizerName::Svmax,
        };
        move |point| {
            point.cell.loss == loss
                && point.cell.regularizer == regularizer
                && point.cell.learning_rate == rate
                && point.lambda == lambda
                && point.batch_size() == batch
        }
    }
}

fn row(name: String, cells: impl Iterator<Item = (Vec<f64>, usize)>) -> Vec<String> {
    let cells = cells.map(|(values, digits)| mean_and_spread(values, digits));
    [name].into_iter().chain(cells).collect()
}

fn table(header: &[String], rows: &[Vec<String>]) -> String {
    let header: Vec<&str> = header.iter().map(String::as_str).collect();
    markdown(&header, rows)
}

fn write_csv(path: &Path, outcomes: &[Outcome]) -> Result<()> {
    let context = || format!("writing {}", path.display());
    let mut writer = csv::WriterBuilder::new()
        .has_headers(false)
        .from_writer(Vec::new());
    writer
        .write_record([
            "loss",
            "regularizer",
            "learning_rate",
            "lambda",
            "batch_size",
            "seed",
            "recall_at_1",
            "recall_at_8",
            "map_at_r",
            "mean_singular_value",
            "lower_bound",
            "upper_bound",
            "effective_rank",
            "seconds",
        ])
        .with_context(context)?;
    for outcome in outcomes {
        let (point, evaluation) = (&outcome.point, outcome.evaluation.as_ref());
        let usage = evaluation.and_then(|evaluation| evaluation.usage.as_ref());
        let record = (
            point.cell,
            (point.lambda, point.batch_size(), point.seed),
            (
                evaluation.and_then(recall),
                evaluation.and_then(|evaluation| evaluation.retrieval.recall(8)),
                evaluation.map(|evaluation| evaluation.retrieval.map_at_r),
            ),
            (
                usage.map(|usage| usage.mean_singular_value),
                usage.map(|usage| usage.lower_bound),
                usage.map(|usage| usage.upper_bound),
                usage.map(|usage| usage.effective_rank),
            ),
            outcome.seconds,
        );
        writer.serialize(record).with_context(context)?;
    }
    let bytes = writer.into_inner().with_context(context)?;
    Ok(write_whole(path, &bytes)?)
}
