//! The report of a run: table, metrics, results and plots.

use anyhow::Result;
use fullrank::Bounds;
use fullrank_files::npy::read_matrix;
use fullrank_files::write_whole;
use fullrank_report::markdown::{markdown, mean_and_spread};
use fullrank_report::plots::{
    self, BarChart, BarGroup, DimensionStdRun, Palette, Series, Spectrum, SpectrumRun, Term,
};
use fullrank_report::{Embedding, Report, Table, nearest_neighbours};
use fullrank_study::data::Data;
use fullrank_train::metrics::DEAD_BELOW;
use fullrank_train::session::history;
use serde_json::{Value, json};

use crate::config::Method;
use crate::evaluation::Usage;
use crate::run::{EMBEDDING, Entry, Measured, REPRESENTATION, Run, Subject};

const HEADER: [&str; 11] = [
    "",
    "k-NN",
    "linear",
    "embedding s_mu/U",
    "eff. rank",
    "dead",
    "representation s_mu/U",
    "eff. rank",
    "dead",
    "seconds",
    "loss ms/step",
];

/// Images that neighbours are shown of, and how many of each.
const NEIGHBOURS: (usize, usize) = (6, 8);

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
    history::write_all(&run.directory.join("metrics.csv"), "method", trainings)?;
    for (name, svg) in pictures(run, entries) {
        plots::save(run.directory.join(name), &svg)?;
    }
    page(run, data, entries)?.write(run.directory.join("report.html"))?;
    Ok(table)
}

/// The whole report as one HTML file; the pictures are of the first seed.
fn page(run: &Run, data: &Data, entries: &[Entry]) -> Result<Report> {
    let trained = trained(entries);
    let palette = palette(&trained);
    let (seed, images) = (run.config.seeds[0], data.test.len());
    let table = Table::from_markdown(&table(entries)).remove(0);
    let report = Report::new(format!("Self-supervised training: {}", run.name()))
        .with_paragraph(&format!(
            "{} images of {}, without their labels; {} epochs in batches of {}. What follows was measured on \
             {images} test images. The pictures are of seed {seed}.",
            data.train.len(),
            run.config.data.name.key(),
            run.config.epochs,
            run.config.batch_size,
        ))
        .with_table("Results", &table)
        .with_paragraph(&legend(run, entries))
        .with_chart(
            "Accuracy",
            "Means over the seeds, of classifiers on the frozen features.",
            &plots::bars(&accuracies(entries), &palette),
        )
        .with_terms("Training", "step", &curves(run, &trained), &palette)
        .with_embeddings("Embeddings", &matrices(run, data, &trained, EMBEDDING)?)?
        .with_paragraph("The embedding is the output of the expander, which the loss acts on and which is thrown away.");
    let representations = matrices(run, data, &trained, REPRESENTATION)?;
    let mut report = report.with_embeddings("Representations", &representations)?;
    for representation in &representations {
        let (queries, neighbours) = NEIGHBOURS;
        report = report.with_retrievals(
            &format!("Nearest neighbours: {}", representation.name()),
            &format!("{queries} test images and, of the other test images, the {neighbours} whose representations are nearest by cosine."),
            (&data.test, &data.test),
            &nearest_neighbours(representation.rows(), data.test.labels(), queries, neighbours),
        )?;
    }
    Ok(report.with_configuration("Configuration", &run.config))
}

/// The matrices in the files `name` of the trainings with the first seed.
fn matrices(
    run: &Run,
    data: &Data,
    trained: &[(Method, &Measured)],
    name: &str,
) -> Result<Vec<Embedding<'static>>> {
    let matrix = |(method, _): &(Method, &Measured)| {
        let training = run.directory.join(method.key());
        let seed = format!("seed-{}", run.config.seeds[0]);
        let read = read_matrix(&training.join(seed).join(name))?;
        let dims = read.shape()[1];
        let rows: Vec<f32> = read.iter().collect();
        let embedding = Embedding::new(method.title(), rows, dims);
        Ok(embedding.with_labels(data.test.labels(), data.test.classes()))
    };
    trained.iter().map(matrix).collect()
}

/// The table as Markdown, aligned so that it reads as plain text too.
pub fn table(entries: &[Entry]) -> String {
    let rows = entries.iter().map(|entry| {
        let cell = |value: &dyn Fn(&Measured) -> Option<f64>, digits: usize| {
            mean_and_spread(entry.measured.iter().filter_map(value), digits)
        };
        let of = |part: fn(&Measured) -> Option<&Usage>| {
            let dimensions = entry
                .measured
                .first()
                .and_then(part)
                .map(|usage| usage.dimensions);
            let dead = cell(&|m| Some(part(m)?.dead as f64), 0);
            [
                cell(&|m| Some(part(m)?.mean_singular_value), 2),
                cell(&|m| Some(part(m)?.effective_rank), 1),
                dimensions.map_or(dead.clone(), |of| format!("{dead} of {of}")),
            ]
        };
        let mut row = vec![
            entry.subject.title(),
            cell(&|m| Some(m.evaluation.accuracy.knn), 3),
            cell(&|m| Some(m.evaluation.accuracy.linear), 3),
        ];
        row.extend(of(|m| m.evaluation.embedding.as_ref()));
        row.extend(of(|m| m.evaluation.representation.as_ref()));
        row.push(cell(&|m| m.training_seconds, 0));
        row.push(share_of_the_step(entry));
        row
    });
    markdown(&HEADER, &rows.collect::<Vec<_>>())
}

/// The milliseconds of the loss out of those of a step, with their ratio: medians over the seeds.
fn share_of_the_step(entry: &Entry) -> String {
    let mut costs: Vec<_> = entry
        .measured
        .iter()
        .filter_map(|m| m.evaluation.cost.as_ref())
        .collect();
    costs.sort_by(|a, b| a.share().total_cmp(&b.share()));
    costs.get(costs.len() / 2).map_or("-".to_owned(), |cost| {
        let (loss, step) = (cost.loss_milliseconds, cost.step_milliseconds);
        format!("{loss:.1}/{step:.0} ({:.1}%)", 100.0 * cost.share())
    })
}

/// What the columns of the table are.
fn legend(run: &Run, entries: &[Entry]) -> String {
    let usage = |entry: &Entry| {
        Some(
            entry
                .measured
                .first()?
                .evaluation
                .representation
                .as_ref()?
                .rows,
        )
    };
    let images = entries.iter().find_map(usage).unwrap_or(0);
    let seeds = match run.config.seeds.len() {
        1 => String::new(),
        n => format!(" Mean ± sample standard deviation over {n} seeds."),
    };
    format!(
        "Accuracies of {}-NN (cosine) and a linear probe on the frozen encoder. On the {images} test \
         images, s_mu/U: mean\nsingular value of the unit rows as a share of its upper bound; eff. \
         rank: RankMe; dead: dimensions with a standard\ndeviation of at most {DEAD_BELOW} times \
         the root mean square of all entries; loss ms/step: milliseconds of the loss,\nforward \
         and backward, out of those of a training step without the update of the weights.{seeds}\n",
        run.config.evaluation.neighbours,
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

/// The plots, of the first seed, with the names of their files.
fn pictures(run: &Run, entries: &[Entry]) -> Vec<(&'static str, String)> {
    let trained = trained(entries);
    let palette = palette(&trained);
    let spectra = spectra(&trained);
    let chart = accuracies(entries);
    vec![
        (
            "terms.svg",
            plots::terms_over_time("Training", "step", &curves(run, &trained), &palette),
        ),
        (
            "spectrum.svg",
            plots::singular_value_spectrum(
                "Singular values on the test images",
                &spectra,
                &palette,
            ),
        ),
        (
            "std.svg",
            plots::dimension_std(
                "Standard deviation of each dimension on the test images",
                &deviations(&trained),
                Some(run.config.objectives.vicreg.margin),
                &palette,
            ),
        ),
        ("accuracy.svg", plots::bars(&chart, &palette)),
        (
            "headline.svg",
            plots::headline(
                "What keeps an embedding from collapsing",
                &spectra,
                &chart,
                &palette,
            ),
        ),
    ]
}

/// Every method with what was measured with the first seed.
fn trained(entries: &[Entry]) -> Vec<(Method, &Measured)> {
    let of = |entry: &'_ Entry| match entry.subject {
        Subject::Trained(method) => Some(method),
        _ => None,
    };
    entries
        .iter()
        .filter_map(|entry| Some((of(entry)?, entry.measured.first()?)))
        .collect()
}

fn palette(trained: &[(Method, &Measured)]) -> Palette {
    Palette::new(trained.iter().map(|(method, _)| method.title()))
}

fn spectra(trained: &[(Method, &Measured)]) -> Vec<SpectrumRun> {
    let spectrum = |usage: &Usage| Spectrum {
        singular_values: usage.singular_values.clone(),
        rows: usage.rows,
        columns: usage.dimensions,
    };
    let run = |(method, measured): &(Method, &Measured)| {
        Some(SpectrumRun {
            name: method.title().to_string(),
            embedding: spectrum(measured.evaluation.embedding.as_ref()?),
            representation: spectrum(measured.evaluation.representation.as_ref()?),
        })
    };
    trained.iter().filter_map(run).collect()
}

fn deviations(trained: &[(Method, &Measured)]) -> Vec<DimensionStdRun> {
    let run = |(method, measured): &(Method, &Measured)| {
        Some(DimensionStdRun {
            name: method.title().to_string(),
            embedding: measured.evaluation.embedding.as_ref()?.std.clone(),
            representation: measured.evaluation.representation.as_ref()?.std.clone(),
        })
    };
    trained.iter().filter_map(run).collect()
}

/// The mean accuracies over the seeds, in per cent.
fn accuracies(entries: &[Entry]) -> BarChart {
    let groups = entries.iter().map(|entry| {
        let mean = |value: fn(&Measured) -> f64| {
            let sum: f64 = entry.measured.iter().map(value).sum();
            100.0 * sum / entry.measured.len() as f64
        };
        BarGroup {
            name: entry.subject.title(),
            values: vec![
                mean(|m| m.evaluation.accuracy.knn),
                mean(|m| m.evaluation.accuracy.linear),
            ],
        }
    });
    BarChart {
        title: "Test accuracy on the frozen features".to_string(),
        axis_label: "test accuracy (%)".to_string(),
        axis_min: 0.0,
        metrics: vec!["k-NN".to_string(), "linear probe".to_string()],
        groups: groups.collect(),
    }
}

/// One panel for each metric that at least one method has.
fn curves(run: &Run, trained: &[(Method, &Measured)]) -> Vec<Term> {
    let panels = [
        (
            "mean_singular_value",
            "Mean singular value",
            "share of its upper bound",
        ),
        ("effective_rank", "Effective rank (RankMe)", "dimensions"),
        ("mean_std", "Standard deviation", "mean over dimensions"),
        ("invariance", "Invariance", "term of the loss"),
        ("variance", "Variance", "term of the loss"),
        ("covariance", "Covariance", "term of the loss"),
        ("penalty", "SVMax penalty", "term of the loss"),
        ("redundancy", "Redundancy", "term of the loss"),
        ("loss", "Loss", "weighted sum of the terms"),
    ];
    let term = |(metric, name, y_label): (&str, &str, &str)| {
        let series: Vec<Series> = trained
            .iter()
            .map(|(method, measured)| {
                let scale = match (metric, &measured.evaluation.embedding) {
                    ("mean_singular_value", Some(usage)) => {
                        Bounds::new(run.config.batch_size, usage.dimensions).upper
                    }
                    _ => 1.0,
                };
                let rows = measured.rows.iter();
                let wanted = rows.filter(|row| row.metric == metric && row.split == "train");
                Series {
                    name: method.title().to_string(),
                    points: wanted
                        .map(|row| (row.step as f64, row.value / scale))
                        .collect(),
                }
            })
            .filter(|series| !series.points.is_empty())
            .collect();
        (!series.is_empty()).then(|| Term {
            name: name.to_string(),
            y_label: y_label.to_string(),
            series,
        })
    };
    panels.into_iter().filter_map(term).collect()
}
