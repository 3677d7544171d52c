//! The report of a run: table, metrics, results and plots.

use std::fs;

use anyhow::{Context, Result};
use fullrank::Bounds;
use fullrank_train::plots::{self, Palette, Series, Term};
use fullrank_train::run::history;
use fullrank_train::table::{markdown, mean_and_spread};
use serde_json::{Value, json};

use crate::run::{Entry, Measured, Run, Subject};

const HEADER: [&str; 8] = [
    "", "R@1", "R@8", "MAP@R", "NMI", "s_mu/U", "eff. rank", "seconds",
];

/// Writes the report into the run's folder and returns its table with a legend.
pub fn write(run: &Run, entries: &[Entry]) -> Result<String> {
    let table = table(entries) + "\n" + &legend(run, entries);
    let save = |name: &str, text: &str| {
        let path = run.directory.join(name);
        fs::write(&path, text).with_context(|| format!("writing {}", path.display()))
    };
    save("table.md", &table)?;
    save(
        "results.json",
        &(serde_json::to_string_pretty(&results(entries)?)? + "\n"),
    )?;
    let trainings = entries.iter().flat_map(|entry| {
        let seeds = entry.measured.iter();
        seeds.map(|m| (entry.subject.key(), m.seed, m.rows.as_slice()))
    });
    history::write_all(&run.directory.join("metrics.csv"), "training", trainings)?;
    plots::save(run.directory.join("terms.svg"), &curves(run, entries))?;
    Ok(table)
}

/// The table as Markdown, aligned so that it reads as plain text too.
pub fn table(entries: &[Entry]) -> String {
    let row = |entry: &Entry| {
        let cell = |value: &dyn Fn(&Measured) -> Option<f64>, digits: usize| {
            mean_and_spread(entry.measured.iter().filter_map(value), digits)
        };
        vec![
            entry.subject.title(),
            cell(&|m| m.evaluation.retrieval.recall(1), 3),
            cell(&|m| m.evaluation.retrieval.recall(8), 3),
            cell(&|m| Some(m.evaluation.retrieval.map_at_r), 3),
            cell(&|m| m.evaluation.retrieval.nmi, 3),
            cell(&|m| Some(m.evaluation.usage.as_ref()?.share()), 2),
            cell(&|m| Some(m.evaluation.usage.as_ref()?.effective_rank), 1),
            cell(&|m| m.training_seconds, 0),
        ]
    };
    let rows: Vec<Vec<String>> = entries.iter().map(row).collect();
    markdown(&HEADER, &rows)
}

/// What the columns of the table are.
fn legend(run: &Run, entries: &[Entry]) -> String {
    let usage = |entry: &Entry| entry.measured.first()?.evaluation.usage.clone();
    let rows = entries.iter().find_map(usage).map_or(0, |usage| usage.rows);
    let seeds = match run.config.seeds.len() {
        1 => String::new(),
        n => format!("\nMean ± sample standard deviation over {n} seeds."),
    };
    format!(
        "{rows} test images of classes that were not trained on rank each other. R@K: one of the K nearest is \
         of the\nsame class; s_mu/U: mean singular value of the embeddings, on the unit sphere, as a share \
         of its upper bound;\neff. rank: RankMe, of {} dimensions; seconds: of {} training steps.{seeds}\n",
        run.config.dimensions, run.config.iterations,
    )
}

fn results(entries: &[Entry]) -> Result<Value> {
    let entry = |entry: &Entry| {
        Ok(json!({
            "name": entry.subject.key(),
            "seeds": serde_json::to_value(&entry.measured)?,
        }))
    };
    entries.iter().map(entry).collect()
}

/// The live metrics of the first seed over the steps, one line for each training.
fn curves(run: &Run, entries: &[Entry]) -> String {
    let trained: Vec<(String, usize, &Measured)> = entries
        .iter()
        .filter_map(|entry| match entry.subject {
            Subject::Trained(cell) => {
                let batch = run.config.objectives.of(cell.loss).batch_size();
                Some((cell.title(), batch, entry.measured.first()?))
            }
            _ => None,
        })
        .collect();
    let palette = Palette::new(trained.iter().map(|(title, _, _)| title.clone()));
    let panels = [
        (
            "valid",
            "recall@1",
            "Recall@1, test classes",
            "share of the images",
        ),
        (
            "train",
            "mean_singular_value",
            "Mean singular value, training batch",
            "share of its upper bound",
        ),
        (
            "train",
            "effective_rank",
            "Effective rank, training batch",
            "dimensions",
        ),
        ("train", "ranking", "Ranking loss", "value"),
    ];
    let terms = panels.map(|(split, metric, name, y_label)| {
        let series = trained.iter().map(|(title, batch, measured)| {
            let scale = match metric {
                "mean_singular_value" => Bounds::new(*batch, run.config.dimensions).upper,
                _ => 1.0,
            };
            let rows = measured.rows.iter();
            let wanted = rows.filter(|row| row.split == split && row.metric == metric);
            Series {
                name: title.clone(),
                points: wanted
                    .map(|row| (row.step as f64, row.value / scale))
                    .collect(),
            }
        });
        Term {
            name: name.to_owned(),
            y_label: y_label.to_owned(),
            series: series.collect(),
        }
    });
    plots::terms_over_time("Training", "step", &terms, &palette)
}
