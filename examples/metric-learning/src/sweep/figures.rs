//! The figures of a sweep, each written when its part has begun.

use anyhow::Result;
use fullrank::Bounds;
use fullrank_files::read_json;
use fullrank_report::plots::{self, Circle, Level, Palette, Trend, TrendPanel};

use super::report::{Findings, recall};
use super::{Sweep, Trace};
use crate::config::{LossName, RegularizerName};
use crate::evaluation::{Evaluation, Usage};

const RECALL: &str = "Recall@1, test classes";

/// Writes `learning-rate.svg`, `batch-size.svg`, `lambda.svg` and `circle.svg`, those that have data.
pub(super) fn write(sweep: &Sweep, findings: &Findings) -> Result<()> {
    let palette = Palette::new(
        [
            RegularizerName::None,
            RegularizerName::Svmax,
            RegularizerName::SpreadOut,
        ]
        .map(RegularizerName::title),
    );
    let pictures = [
        (
            "learning-rate.svg",
            "Retrieval over the learning rate",
            "learning rate",
            rates(sweep, findings),
        ),
        (
            "batch-size.svg",
            "Contrastive loss, mean singular value of the test embeddings",
            "batch size",
            batches(sweep, findings),
        ),
        (
            "lambda.svg",
            "Retrieval over the weight of SVMax",
            "lambda",
            lambdas(sweep, findings),
        ),
    ];
    for (file, title, x_label, panels) in pictures {
        let mut trends = panels.iter().flat_map(|panel| &panel.trends);
        if trends.any(|trend| !trend.points.is_empty()) {
            let svg = plots::trends(title, x_label, &panels, &palette);
            plots::save(sweep.directory.join(file), &svg)?;
        }
    }
    circles(sweep)
}

/// A line from what each setting gave; settings without a measurement are left out.
fn trend(
    name: &str,
    settings: impl Iterator<Item = f64>,
    values: impl Fn(f64) -> Vec<f64>,
) -> Trend {
    let points = settings.map(|setting| (setting, values(setting)));
    Trend {
        name: name.to_owned(),
        points: points.filter(|(_, values)| !values.is_empty()).collect(),
    }
}

fn level(name: &str, settings: impl Iterator<Item = f64>, value: f64) -> Level {
    Level {
        name: name.to_owned(),
        points: settings.map(|setting| (setting, value)).collect(),
    }
}

fn rates(sweep: &Sweep, findings: &Findings) -> Vec<TrendPanel> {
    let pixels = recall(&findings.pixels).unwrap_or(f64::NAN);
    let panel = |(loss, rates): &(LossName, Vec<f64>)| {
        let rates = || rates.iter().copied();
        let beside = sweep.beside(*loss).into_iter();
        let trends = beside.map(|regularizer| {
            trend(regularizer.title(), rates(), |rate| {
                findings.values(sweep.at_rate(*loss, regularizer, rate), recall)
            })
        });
        TrendPanel {
            name: loss.title().to_owned(),
            y_label: RECALL.to_owned(),
            trends: trends.collect(),
            levels: vec![level("raw pixels", rates(), pixels)],
        }
    };
    sweep.grid.losses.iter().map(panel).collect()
}

fn batches(sweep: &Sweep, findings: &Findings) -> Vec<TrendPanel> {
    let sizes = || sweep.batch_sizes().map(|batch| batch as f64);
    let both = [RegularizerName::None, RegularizerName::Svmax];
    let trends = |value: fn(&Evaluation) -> Option<f64>| {
        let trends = both.map(|regularizer| {
            trend(regularizer.title(), sizes(), |batch| {
                findings.values(sweep.at_batch(regularizer, batch as usize), value)
            })
        });
        trends.to_vec()
    };
    let bound = |name, value: fn(&Usage) -> f64| {
        let usage = findings.untrained.usage.as_ref();
        usage.map(|usage| level(name, sizes(), value(usage)))
    };
    let bounds = [
        bound("upper bound", |usage| usage.upper_bound),
        bound("lower bound", |usage| usage.lower_bound),
    ];
    vec![
        TrendPanel {
            name: "Mean singular value".to_owned(),
            y_label: "s_mu, all test images".to_owned(),
            trends: trends(|e| Some(e.usage.as_ref()?.mean_singular_value)),
            levels: bounds.into_iter().flatten().collect(),
        },
        TrendPanel {
            name: "Recall@1".to_owned(),
            y_label: RECALL.to_owned(),
            trends: trends(recall),
            levels: Vec::new(),
        },
    ]
}

fn lambdas(sweep: &Sweep, findings: &Findings) -> Vec<TrendPanel> {
    let lambdas = || sweep.grid.lambdas.iter().copied();
    let panel = |loss: &LossName| {
        let without = findings.values(sweep.at_lambda(*loss, 0.0), recall);
        let mean = without.iter().sum::<f64>() / without.len() as f64;
        TrendPanel {
            name: loss.title().to_owned(),
            y_label: RECALL.to_owned(),
            trends: vec![trend(RegularizerName::Svmax.title(), lambdas(), |lambda| {
                findings.values(sweep.at_lambda(*loss, lambda), recall)
            })],
            levels: vec![level("without, mean", lambdas(), mean)],
        }
    };
    sweep.grid.lambda_losses.iter().map(panel).collect()
}

fn circles(sweep: &Sweep) -> Result<()> {
    let mut rows = Vec::new();
    let mut classes = Vec::new();
    for (regularizer, path) in sweep.circle.files(&sweep.directory) {
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
        plots::save(sweep.directory.join("circle.svg"), &svg)?;
    }
    Ok(())
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
