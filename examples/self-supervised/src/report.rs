//! What the report says of the trainings: columns, charts and pictures.

use anyhow::Result;
use fullrank::Bounds;
use fullrank_report::Report;
use fullrank_report::plots::{
    self, BarChart, BarGroup, DimensionStdRun, Spectrum, SpectrumRun, Term,
};
use fullrank_study::configuration::key;
use fullrank_study::{Column, Findings, Measured, Panel, Subject, with_neighbours};
use fullrank_train::metrics::DEAD_BELOW;

use crate::config::{Method, RunConfig};
use crate::cost::Cost;
use crate::evaluation::{Evaluation, Usage};
use crate::study::{EMBEDDING, REPRESENTATION};

type Figures<'a> = Findings<'a, RunConfig>;

/// The columns of the table.
pub(crate) fn columns() -> Vec<Column<Measured<Evaluation>>> {
    type C = Column<Measured<Evaluation>>;
    type Part = fn(&Measured<Evaluation>) -> Option<&Usage>;
    let usage = |share, part: Part| {
        [
            C::mean(share, 2, move |m| Some(part(m)?.mean_singular_value)),
            C::mean("eff. rank", 1, move |m| Some(part(m)?.effective_rank)),
            C::count("dead", move |m| Some((part(m)?.dead, part(m)?.dimensions))),
        ]
    };
    let mut columns = vec![
        C::mean("k-NN", 3, |m| Some(m.evaluation.accuracy.knn)),
        C::mean("linear", 3, |m| Some(m.evaluation.accuracy.linear)),
    ];
    columns.extend(usage("embedding s_mu/U", |m| {
        m.evaluation.embedding.as_ref()
    }));
    columns.extend(usage("representation s_mu/U", |m| {
        m.evaluation.representation.as_ref()
    }));
    columns.push(C::mean("seconds", 0, |m| m.training_seconds));
    columns.push(C::text("loss ms/step", share_of_the_step));
    columns
}

/// The milliseconds of the loss out of those of a step, with their ratio: medians over the seeds.
fn share_of_the_step(measured: &[Measured<Evaluation>]) -> String {
    let costs = measured.iter().filter_map(|m| m.evaluation.cost.as_ref());
    let mut costs: Vec<&Cost> = costs.collect();
    costs.sort_by(|a, b| a.share().total_cmp(&b.share()));
    costs.get(costs.len() / 2).map_or("-".to_owned(), |cost| {
        let (loss, step) = (cost.loss_milliseconds, cost.step_milliseconds);
        format!("{loss:.1}/{step:.0} ({:.1}%)", 100.0 * cost.share())
    })
}

/// What the columns are.
pub(crate) fn legend(findings: &Figures<'_>) -> String {
    format!(
        "Accuracies of {}-NN (cosine) and a linear probe on the frozen encoder. On the {} test \
         images, s_mu/U: mean\nsingular value of the unit rows as a share of its upper bound; eff. \
         rank: RankMe; dead: dimensions with a standard\ndeviation of at most {DEAD_BELOW} times \
         the root mean square of all entries; loss ms/step: milliseconds of the loss,\nforward \
         and backward, out of those of a training step without the update of the weights.{}\n",
        findings.study.evaluation.neighbours,
        findings.data.test.len(),
        findings.spread(" "),
    )
}

/// The first paragraph of the report.
pub(crate) fn introduction(findings: &Figures<'_>) -> String {
    let (config, data) = (findings.study, findings.data);
    format!(
        "{} images of {}, without their labels; {} epochs in batches of {}. What follows was measured on \
         {} test images. The pictures are of seed {}.",
        data.train.len(),
        key(config.data.name),
        config.epochs,
        config.batch_size,
        data.test.len(),
        config.seeds[0],
    )
}

/// The sections of the report; the pictures are of the first seed.
pub(crate) fn sections(report: Report, findings: &Figures<'_>) -> Result<Report> {
    let (images, palette) = (&findings.data.test, findings.palette());
    let trained = |subject: Subject<Method>| subject.case().is_some();
    let embeddings = findings.embeddings(EMBEDDING, images, trained)?;
    let representations = findings.embeddings(REPRESENTATION, images, trained)?;
    let mut report = report
        .with_chart(
            "Accuracy",
            "Means over the seeds, of classifiers on the frozen features.",
            &plots::bars(&accuracies(findings), &palette),
        )
        .with_terms("Training", "step", &curves(findings), &palette)
        .with_embeddings("Embeddings", &embeddings)?
        .with_paragraph("The embedding is the output of the expander, which the loss acts on and which is thrown away.")
        .with_embeddings("Representations", &representations)?;
    for representation in &representations {
        let heading = format!("Nearest neighbours: {}", representation.name());
        let heading = (heading.as_str(), "whose representations are");
        report = with_neighbours(report, heading, images, representation.rows(), (6, 8))?;
    }
    Ok(report)
}

/// The plots, of the first seed, with the names of their files.
pub(crate) fn pictures(findings: &Figures<'_>) -> Vec<(&'static str, String)> {
    let palette = findings.palette();
    let spectra = spectra(findings);
    let chart = accuracies(findings);
    let spectrum = "Singular values on the test images";
    let std = "Standard deviation of each dimension on the test images";
    let headline = "What keeps an embedding from collapsing";
    let margin = findings.study.objectives.vicreg.margin;
    vec![
        (
            "terms.svg",
            plots::terms_over_time("Training", "step", &curves(findings), &palette),
        ),
        (
            "spectrum.svg",
            plots::singular_value_spectrum(spectrum, &spectra, &palette),
        ),
        (
            "std.svg",
            plots::dimension_std(std, &deviations(findings), Some(margin), &palette),
        ),
        ("accuracy.svg", plots::bars(&chart, &palette)),
        (
            "headline.svg",
            plots::headline(headline, &spectra, &chart, &palette),
        ),
    ]
}

fn spectra(findings: &Figures<'_>) -> Vec<SpectrumRun> {
    let spectrum = |usage: &Usage| Spectrum {
        singular_values: usage.singular_values.clone(),
        rows: usage.rows,
        columns: usage.dimensions,
    };
    let run = |(method, measured): (Method, &Measured<Evaluation>)| {
        Some(SpectrumRun {
            name: method.title().to_owned(),
            embedding: spectrum(measured.evaluation.embedding.as_ref()?),
            representation: spectrum(measured.evaluation.representation.as_ref()?),
        })
    };
    findings.trained().filter_map(run).collect()
}

fn deviations(findings: &Figures<'_>) -> Vec<DimensionStdRun> {
    let run = |(method, measured): (Method, &Measured<Evaluation>)| {
        Some(DimensionStdRun {
            name: method.title().to_owned(),
            embedding: measured.evaluation.embedding.as_ref()?.std.clone(),
            representation: measured.evaluation.representation.as_ref()?.std.clone(),
        })
    };
    findings.trained().filter_map(run).collect()
}

/// The mean accuracies over the seeds, in per cent.
fn accuracies(findings: &Figures<'_>) -> BarChart {
    let groups = findings.entries.iter().map(|entry| {
        let mean = |value: fn(&Measured<Evaluation>) -> f64| {
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
        title: "Test accuracy on the frozen features".to_owned(),
        axis_label: "test accuracy (%)".to_owned(),
        axis_min: 0.0,
        metrics: vec!["k-NN".to_owned(), "linear probe".to_owned()],
        groups: groups.collect(),
    }
}

/// One panel for each metric that at least one method has.
fn curves(findings: &Figures<'_>) -> Vec<Term> {
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
    let panels = panels.map(|(metric, title, y_label)| Panel::train(metric, title, y_label));
    let dimensions = |method: Method| {
        let mut trained = findings.trained().filter(|(case, _)| *case == method);
        Some(trained.next()?.1.evaluation.embedding.as_ref()?.dimensions)
    };
    findings.curves(&panels, |method, metric| {
        match (metric, dimensions(method)) {
            ("mean_singular_value", Some(dimensions)) => {
                Bounds::new(findings.study.batch_size, dimensions).upper
            }
            _ => 1.0,
        }
    })
}
