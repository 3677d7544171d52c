//! What a sweep found: a table and a picture for each part, and all outcomes as CSV.

use anyhow::{Context, Result};
use fullrank::Bounds;
use fullrank_files::{read_json, write_whole};
use fullrank_report::plots::{self, Circle, Level, Palette, Trend, TrendPanel};
use fullrank_report::{Table, mean_and_spread};
use serde::Serialize;

use super::grid::{BOTH, point};
use super::{Outcome, PIXELS, Point, Sweep, Trace, UNTRAINED};
use crate::config::{LossName, RegularizerName};
use crate::evaluation::{Evaluation, Usage};

const RECALL: &str = "Recall@1, test classes";

/// The finished outcomes, and what they are compared with.
struct Found<'a> {
    sweep: &'a Sweep,
    outcomes: Vec<Outcome>,
    pixels: Evaluation,
    untrained: Evaluation,
}

/// A figure of an evaluation, and the digits that it has in a table.
type Figure = (fn(&Evaluation) -> Option<f64>, usize);

/// Recall@1.
const RECALL_AT_1: Figure = (|evaluation| evaluation.retrieval.recall(1), 3);
/// `s_mu / U` of all test embeddings.
const SHARE: Figure = (|evaluation| Some(evaluation.usage.as_ref()?.share()), 2);

impl Sweep {
    /// Writes `table.md`, `results.csv` and the pictures of what is finished; returns the tables.
    pub(super) fn report(&self) -> Result<String> {
        let found = Found {
            sweep: self,
            outcomes: self.outcomes()?,
            pixels: read_json(&self.directory.join(PIXELS))?,
            untrained: read_json(&self.directory.join(UNTRAINED))?,
        };
        let recall = |evaluation| RECALL_AT_1.0(evaluation).unwrap_or(f64::NAN);
        let text = format!(
            "Raw pixels: R@1 {:.3}, untrained encoder: R@1 {:.3}.\n\nLearning rate\n\n{}\nBatch size\n\n{}\n\
             Weight of SVMax\n\n{}",
            recall(&found.pixels),
            recall(&found.untrained),
            found.rates_table().to_markdown(),
            found.batches_table().to_markdown(),
            found.lambdas_table().to_markdown(),
        );
        write_whole(&self.directory.join("table.md"), text.as_bytes())?;
        found.write_csv()?;
        found.write_pictures()?;
        Ok(text)
    }
}

impl Found<'_> {
    /// The figures of all seeds of a training, those that diverged left out.
    fn values(&self, of: &Point, (figure, _): Figure) -> Vec<f64> {
        let outcomes = self
            .outcomes
            .iter()
            .filter(|outcome| outcome.point.repeats(of));
        outcomes
            .filter_map(|outcome| figure(outcome.evaluation.as_ref()?))
            .collect()
    }

    /// A row of a table: the first figure of these trainings, then the second.
    fn row(&self, name: String, trainings: &[Point]) -> Vec<String> {
        let cells = [RECALL_AT_1, SHARE].into_iter().flat_map(|figure| {
            let values = trainings.iter().map(move |of| self.values(of, figure));
            values.map(move |values| mean_and_spread(values, figure.1))
        });
        [name].into_iter().chain(cells).collect()
    }

    fn at_rate(&self, loss: LossName, regularizer: RegularizerName, rate: f64) -> Point {
        point(&self.sweep.config, loss, regularizer, rate, 0)
    }

    fn at_batch(&self, regularizer: RegularizerName, classes: usize) -> Point {
        let (grid, config) = (&self.sweep.grid, &self.sweep.config);
        grid.of_batch(config, regularizer, classes, 0)
    }

    fn at_lambda(&self, loss: LossName, lambda: f64) -> Point {
        let (grid, config) = (&self.sweep.grid, &self.sweep.config);
        grid.of_lambda(config, loss, lambda, 0)
    }

    /// Of each loss and regularizer at each learning rate.
    fn rates_table(&self) -> Table {
        let grid = &self.sweep.grid;
        let rates = grid.all_rates();
        let columns = |what| rates.iter().map(move |rate| format!("{what}, lr {rate}"));
        let header = ["".to_owned()].into_iter();
        let mut table = Table::new(header.chain(columns("R@1")).chain(columns("s_mu/U")));
        for &(loss, _) in &grid.losses {
            for regularizer in grid.beside(loss) {
                let name = format!("{}, {}", loss.title(), regularizer.title());
                let rates = rates
                    .iter()
                    .map(|&rate| self.at_rate(loss, regularizer, rate));
                table = table.with_row(self.row(name, &rates.collect::<Vec<_>>()));
            }
        }
        table
    }

    fn batches_table(&self) -> Table {
        let header = ["batch size", "s_mu/U", "s_mu/U, SVMax", "R@1", "R@1, SVMax"];
        let mut table = Table::new(header);
        for &classes in &self.sweep.grid.batch_classes {
            let both = BOTH.map(|regularizer| self.at_batch(regularizer, classes));
            let row = self.row(both[0].batch_size().to_string(), &both);
            // The singular values come first here.
            table = table.with_row([0, 3, 4, 1, 2].map(|column| row[column].clone()));
        }
        table
    }

    fn lambdas_table(&self) -> Table {
        let grid = &self.sweep.grid;
        let losses = &grid.lambda_losses;
        let columns = |what| {
            losses
                .iter()
                .map(move |loss| format!("{what}, {}", loss.title()))
        };
        let header = ["lambda".to_owned()].into_iter();
        let mut table = Table::new(header.chain(columns("R@1")).chain(columns("s_mu/U")));
        for &lambda in [0.0].iter().chain(&grid.lambdas) {
            let losses = losses.iter().map(|&loss| self.at_lambda(loss, lambda));
            table = table.with_row(self.row(lambda.to_string(), &losses.collect::<Vec<_>>()));
        }
        table
    }

    fn write_csv(&self) -> Result<()> {
        let path = self.sweep.directory.join("results.csv");
        let context = || format!("writing {}", path.display());
        let mut writer = csv::WriterBuilder::new()
            .has_headers(false)
            .from_writer(Vec::new());
        writer.write_record(Record::HEADER).with_context(context)?;
        for outcome in &self.outcomes {
            writer
                .serialize(Record::new(outcome))
                .with_context(context)?;
        }
        let bytes = writer.into_inner().with_context(context)?;
        Ok(write_whole(&path, &bytes)?)
    }

    /// Writes `learning-rate.svg`, `batch-size.svg`, `lambda.svg` and `circle.svg`, those that have data.
    fn write_pictures(&self) -> Result<()> {
        let folder = &self.sweep.directory;
        let [none, svmax] = BOTH;
        let palette = [none, svmax, RegularizerName::SpreadOut].map(RegularizerName::title);
        let palette = Palette::new(palette);
        let batches = "Contrastive loss, mean singular value of the test embeddings";
        for (file, title, x_label, panels) in [
            (
                "learning-rate.svg",
                "Retrieval over the learning rate",
                "learning rate",
                self.rates(),
            ),
            ("batch-size.svg", batches, "batch size", self.batches()),
            (
                "lambda.svg",
                "Retrieval over the weight of SVMax",
                "lambda",
                self.lambdas(),
            ),
        ] {
            let mut trends = panels.iter().flat_map(|panel| &panel.trends);
            if trends.any(|trend| !trend.points.is_empty()) {
                let svg = plots::trends(title, x_label, &panels, &palette);
                plots::save(folder.join(file), &svg)?;
            }
        }
        self.write_circles()
    }

    /// A line from what each setting gave; settings without a measurement are left out.
    fn trend(
        &self,
        name: &str,
        settings: impl Iterator<Item = (f64, Point)>,
        figure: Figure,
    ) -> Trend {
        let points = settings.map(|(setting, of)| (setting, self.values(&of, figure)));
        Trend {
            name: name.to_owned(),
            points: points.filter(|(_, values)| !values.is_empty()).collect(),
        }
    }

    fn rates(&self) -> Vec<TrendPanel> {
        let grid = &self.sweep.grid;
        let pixels = RECALL_AT_1.0(&self.pixels).unwrap_or(f64::NAN);
        let panel = |(loss, rates): &(LossName, Vec<f64>)| {
            let trends = grid.beside(*loss).into_iter().map(|beside| {
                let at = rates
                    .iter()
                    .map(|&rate| (rate, self.at_rate(*loss, beside, rate)));
                self.trend(beside.title(), at, RECALL_AT_1)
            });
            TrendPanel {
                name: loss.title().to_owned(),
                y_label: RECALL.to_owned(),
                trends: trends.collect(),
                levels: vec![level("raw pixels", rates, pixels)],
            }
        };
        grid.losses.iter().map(panel).collect()
    }

    fn batches(&self) -> Vec<TrendPanel> {
        let classes = &self.sweep.grid.batch_classes;
        let size = |&classes: &usize| self.at_batch(BOTH[0], classes).batch_size() as f64;
        let sizes: Vec<f64> = classes.iter().map(size).collect();
        let trends = |figure: Figure| {
            let trend = |beside: RegularizerName| {
                let at = classes.iter().map(|n| (size(n), self.at_batch(beside, *n)));
                self.trend(beside.title(), at, figure)
            };
            BOTH.map(trend).to_vec()
        };
        let bound = |name, value: fn(&Usage) -> f64| {
            let usage = self.untrained.usage.as_ref();
            usage.map(|usage| level(name, &sizes, value(usage)))
        };
        let bounds = [
            bound("upper bound", |usage| usage.upper_bound),
            bound("lower bound", |usage| usage.lower_bound),
        ];
        vec![
            TrendPanel {
                name: "Mean singular value".to_owned(),
                y_label: "s_mu, all test images".to_owned(),
                trends: trends((|e| Some(e.usage.as_ref()?.mean_singular_value), 2)),
                levels: bounds.into_iter().flatten().collect(),
            },
            TrendPanel {
                name: "Recall@1".to_owned(),
                y_label: RECALL.to_owned(),
                trends: trends(RECALL_AT_1),
                levels: Vec::new(),
            },
        ]
    }

    fn lambdas(&self) -> Vec<TrendPanel> {
        let grid = &self.sweep.grid;
        let panel = |&loss: &LossName| {
            let without = self.values(&self.at_lambda(loss, 0.0), RECALL_AT_1);
            let mean = without.iter().sum::<f64>() / without.len() as f64;
            let at = grid
                .lambdas
                .iter()
                .map(|&lambda| (lambda, self.at_lambda(loss, lambda)));
            TrendPanel {
                name: loss.title().to_owned(),
                y_label: RECALL.to_owned(),
                trends: vec![self.trend(BOTH[1].title(), at, RECALL_AT_1)],
                levels: vec![level("without, mean", &grid.lambdas, mean)],
            }
        };
        grid.lambda_losses.iter().map(panel).collect()
    }

    fn write_circles(&self) -> Result<()> {
        let folder = &self.sweep.directory;
        let mut rows = Vec::new();
        let mut classes = Vec::new();
        for (regularizer, path) in self.sweep.circle.files(folder) {
            if !path.exists() {
                continue;
            }
            let trace: Trace = read_json(&path)?;
            let circles = trace.snapshots.iter().map(|(step, points)| Circle {
                name: format!("step {step}, s_mu/U {:.2}", plane_share(points)),
                points: trace
                    .labels
                    .iter()
                    .copied()
                    .zip(points.iter().copied())
                    .collect(),
            });
            rows.push((regularizer.title().to_owned(), circles.collect()));
            classes = trace.classes;
        }
        if !rows.is_empty() {
            let palette = Palette::new(classes.clone());
            let title = "Contrastive loss, embeddings of two dimensions";
            let svg = plots::circles(title, &rows, &classes, &palette);
            plots::save(folder.join("circle.svg"), &svg)?;
        }
        Ok(())
    }
}

/// A line of `results.csv`.
#[derive(Serialize)]
struct Record {
    loss: LossName,
    regularizer: RegularizerName,
    learning_rate: f64,
    lambda: f64,
    batch_size: usize,
    seed: u64,
    recall_at_1: Option<f64>,
    recall_at_8: Option<f64>,
    map_at_r: Option<f64>,
    mean_singular_value: Option<f64>,
    lower_bound: Option<f64>,
    upper_bound: Option<f64>,
    effective_rank: Option<f64>,
    seconds: f64,
}

impl Record {
    /// Written also where there is no outcome yet.
    const HEADER: [&'static str; 14] = [
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
    ];

    fn new(outcome: &Outcome) -> Self {
        let (point, evaluation) = (&outcome.point, outcome.evaluation.as_ref());
        let usage = evaluation.and_then(|evaluation| evaluation.usage.as_ref());
        Self {
            loss: point.cell.loss,
            regularizer: point.cell.regularizer,
            learning_rate: point.cell.learning_rate,
            lambda: point.lambda,
            batch_size: point.batch_size(),
            seed: point.seed,
            recall_at_1: evaluation.and_then(|e| e.retrieval.recall(1)),
            recall_at_8: evaluation.and_then(|e| e.retrieval.recall(8)),
            map_at_r: evaluation.map(|e| e.retrieval.map_at_r),
            mean_singular_value: usage.map(|usage| usage.mean_singular_value),
            lower_bound: usage.map(|usage| usage.lower_bound),
            upper_bound: usage.map(|usage| usage.upper_bound),
            effective_rank: usage.map(|usage| usage.effective_rank),
            seconds: outcome.seconds,
        }
    }
}

fn level(name: &str, settings: &[f64], value: f64) -> Level {
    Level {
        name: name.to_owned(),
        points: settings.iter().map(|&setting| (setting, value)).collect(),
    }
}

/// `s_mu / U` of points of the unit circle: from the two eigenvalues of their second moments.
fn plane_share(points: &[[f64; 2]]) -> f64 {
    let moment = |i: usize, j: usize| points.iter().map(|p| p[i] * p[j]).sum::<f64>();
    let (a, b, c) = (moment(0, 0), moment(0, 1), moment(1, 1));
    let (middle, half) = ((a + c) / 2.0, ((a - c) / 2.0).hypot(b));
    let roots = (middle + half).sqrt() + (middle - half).max(0.0).sqrt();
    roots / 2.0 / Bounds::new(points.len(), 2).upper
}

#[cfg(test)]
mod tests {
    use super::plane_share;

    #[test]
    fn a_right_angle_uses_the_plane_and_a_line_does_not() {
        let share = plane_share(&[[1.0, 0.0], [0.0, -1.0]]);
        assert!((share - 1.0).abs() < 1e-12);
        let share = plane_share(&[[0.6, 0.8], [-0.6, -0.8], [0.6, 0.8]]);
        assert!((share - 0.5_f64.sqrt()).abs() < 1e-7, "{share}");
    }
}
