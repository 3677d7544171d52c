//! The report of a run: table, metrics, results and one HTML file.

use std::sync::Arc;

use anyhow::{Result, bail};
use burn::tensor::Device;
use datasets::ImageSet;
use fullrank_files::{write_json, write_whole};
use fullrank_report::markdown::{markdown, mean_and_spread};
use fullrank_report::plots::{Palette, Series, Term};
use fullrank_report::{Embedding, Report, Table};
use fullrank_study::data::Data;
use fullrank_train::session::history::Row;

use crate::evaluation::forward;
use crate::run::{Entry, Measured, Run};

const HEADER: [&str; 7] = [
    "",
    "accuracy",
    "Recall@1",
    "s_mu/U",
    "eff. rank",
    "dead",
    "seconds",
];

/// Writes the report into the run's folder and returns its table with a legend.
pub fn write(run: &Run, entries: &[Entry], data: &Data, device: &Device) -> Result<String> {
    let file = |name: &str| run.directory.join(name);
    let legend = legend(run, &data.test);
    let table = table(entries);
    let text = format!("{table}\n{legend}");
    write_whole(&file("table.md"), text.as_bytes())?;
    write_json(&file("results.json"), &entries)?;

    let mut report = Report::new("A regularizer at the penultimate layer")
        .with_paragraph(&legend.replace('\n', " "))
        .with_configuration("What was run", &run.config);
    for table in Table::from_markdown(&table) {
        report = report.with_table("Results", &table);
    }
    for entries in entries.chunk_by(|a, b| a.per_class == b.per_class) {
        let palette = Palette::new(entries.iter().map(|entry| entry.method.title()));
        let images = format!("{} images of each class", entries[0].per_class);
        let mut embeddings = Vec::new();
        for entry in entries {
            embeddings.push(embedding(run, entry, &data.test, device)?);
        }
        report = report
            .with_terms(
                &format!("Training on {images}"),
                "step",
                &curves(entries),
                &palette,
            )
            .with_embeddings(&format!("Penultimate layer, {images}"), &embeddings)?;
    }
    report.write(file("report.html"))?;
    Ok(text)
}

/// The penultimate layer of the images, by the classifier of the first seed.
fn embedding(
    run: &Run,
    entry: &Entry,
    images: &Arc<ImageSet>,
    device: &Device,
) -> Result<Embedding<'static>> {
    let title = entry.method.title();
    let Some(trained) = run.trained(entry, images, device)? else {
        bail!("{title}: the classifier of the first seed is not there");
    };
    let (rows, _) = forward(&trained.model, images, device)?;
    Ok(Embedding::from_tensor(title, &rows).with_labels(images.labels(), images.classes()))
}

/// The metrics of the first seed over the steps, a panel each.
fn curves(entries: &[Entry]) -> Vec<Term> {
    let panels = [
        ("train", "cross_entropy", "Cross-entropy", "training batch"),
        ("valid", "accuracy", "Accuracy", "% of the measured images"),
        (
            "valid",
            "recall@1",
            "Recall@1",
            "share of the measured images",
        ),
        ("valid", "effective_rank", "RankMe", "dimensions"),
    ];
    let panel = |(split, metric, name, y_label): (&str, &str, &str, &str)| Term {
        name: name.to_string(),
        y_label: y_label.to_string(),
        series: (entries.iter())
            .filter_map(|entry| {
                let wanted = |row: &&Row| row.split == split && row.metric == metric;
                let rows = entry.seeds.first()?.rows.iter().filter(wanted);
                Some(Series {
                    name: entry.method.title().to_string(),
                    points: rows.map(|row| (row.step as f64, row.value)).collect(),
                })
            })
            .collect(),
    };
    panels.map(panel).into()
}

/// The table as Markdown.
pub fn table(entries: &[Entry]) -> String {
    let row = |entry: &Entry| {
        let cell = |value: &dyn Fn(&Measured) -> Option<f64>, digits| {
            mean_and_spread(entry.seeds.iter().filter_map(value), digits)
        };
        let figures = |measured: &Measured| measured.evaluation.penultimate.clone();
        let dims = entry.seeds.first().map_or(0, |first| figures(first).dims);
        let share = |m: &Measured| figures(m).mean_singular_value / figures(m).upper_bound;
        let recall = |m: &Measured| {
            let mut rows = m.rows.iter().rev();
            Some(rows.find(|row| row.metric == "recall@1")?.value)
        };
        let dead = |m: &Measured| figures(m).dead_dimensions.map(|dead| dead as f64);
        vec![
            format!("{} per class, {}", entry.per_class, entry.method.title()),
            cell(&|m| Some(m.evaluation.accuracy), 3),
            cell(&recall, 3),
            cell(&|m| Some(share(m)), 2),
            cell(&|m| figures(m).effective_rank, 1),
            format!("{} of {dims}", cell(&dead, 0)),
            cell(&|m| Some(m.seconds), 0),
        ]
    };
    markdown(&HEADER, &entries.iter().map(row).collect::<Vec<_>>())
}

fn legend(run: &Run, images: &Arc<ImageSet>) -> String {
    let measured_on = match run.config.validation {
        Some(_) => "training images set apart",
        None => "test images",
    };
    let seeds = match run.config.seeds.len() {
        1 => String::new(),
        n => format!(" Mean ± sample standard deviation over {n} seeds."),
    };
    format!(
        "On {} {measured_on}. Of their penultimate layer, Recall@1: the share whose nearest other image by\n\
         angle is of their class; s_mu/U: mean singular value of the unit rows as a share of its upper bound;\n\
         eff. rank: effective rank of the centred rows; dead: dimensions with a standard deviation of at most\n\
         {} times the root mean square of all entries.{seeds}\n",
        images.len(),
        fullrank::diagnostics::DEAD_BELOW,
    )
}
