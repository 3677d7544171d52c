//! The report of a run: table, metrics, results and plots.

use anyhow::Result;
use fullrank::Bounds;
use fullrank_files::npy::read_matrix;
use fullrank_files::write_whole;
use fullrank_report::markdown::{markdown, mean_and_spread};
use fullrank_report::plots::{self, Palette, Series, Term};
use fullrank_report::{Embedding, Report, Table, nearest_neighbours};
use fullrank_study::folder;
use fullrank_train::session::history;
use serde_json::{Value, json};

use crate::data::Data;
use crate::export;
use crate::run::{Entry, Measured, Run, Subject};

const HEADER: [&str; 8] = [
    "",
    "R@1",
    "R@8",
    "MAP@R",
    "NMI",
    "s_mu/U",
    "eff. rank",
    "seconds",
];

/// Images that neighbours are shown of, and how many of each.
const NEIGHBOURS: (usize, usize) = (8, 8);

/// Writes the report into the run's folder and returns its table with a legend.
pub fn write(run: &Run, data: &Data, entries: &[Entry]) -> Result<String> {
    let table = table(entries) + "\n" + &legend(run, entries);
    let save = |name: &str, text: &str| write_whole(&run.directory.join(name), text.as_bytes());
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
    let (terms, palette) = curves(run, entries);
    let svg = plots::terms_over_time("Training", "step", &terms, &palette);
    plots::save(run.directory.join("terms.svg"), &svg)?;
    page(run, data, entries)?.write(run.directory.join("report.html"))?;
    Ok(table)
}

/// The whole report as one HTML file; the pictures are of the first seed.
fn page(run: &Run, data: &Data, entries: &[Entry]) -> Result<Report> {
    let table = Table::from_markdown(&table(entries)).remove(0);
    let (terms, palette) = curves(run, entries);
    let embeddings = embeddings(run, data, entries)?;
    let seed = run.config.seeds[0];
    let mut report = Report::new(format!("Metric learning: {}", folder::name(&run.directory)))
        .with_paragraph(&format!("{data}. The pictures are of seed {seed}."))
        .with_table("Results", &table)
        .with_paragraph(&legend(run, entries))
        .with_terms("Training", "step", &terms, &palette)
        .with_embeddings("Embeddings of the test images", &embeddings)?;
    let (queries, nearest) = NEIGHBOURS;
    let pixels = data.test.pixels().iter().map(|&byte| f32::from(byte));
    let pixels: Vec<f32> = pixels.collect();
    let named = embeddings.iter().map(|e| (e.name(), e.rows()));
    for (name, rows) in [("raw pixels", pixels.as_slice())].into_iter().chain(named) {
        report = report.with_retrievals(
            &format!("Retrievals: {name}"),
            &format!("{queries} test images and, of the other test images, the {nearest} nearest by cosine."),
            (&data.test, &data.test),
            &nearest_neighbours(rows, data.test.labels(), queries, nearest),
        )?;
    }
    Ok(report.with_configuration("Configuration", &run.config))
}

/// The embeddings of the untrained and the trained networks with the first seed, from their files.
fn embeddings(run: &Run, data: &Data, entries: &[Entry]) -> Result<Vec<Embedding<'static>>> {
    let networks = entries.iter().map(|entry| entry.subject);
    let networks = networks.filter(|&subject| subject != Subject::Pixels);
    let embedding = |subject: Subject| {
        let folder = run.folder_of(subject, Some(run.config.seeds[0]));
        let read = read_matrix(&folder.join(export::EMBEDDINGS))?;
        let dimensions = read.shape()[1];
        let rows: Vec<f32> = read.iter().collect();
        let embedding = Embedding::new(subject.title(), rows, dimensions);
        Ok(embedding.with_labels(data.test.labels(), data.test.classes()))
    };
    networks.map(embedding).collect()
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
fn curves(run: &Run, entries: &[Entry]) -> (Vec<Term>, Palette) {
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
    (terms.to_vec(), palette)
}
