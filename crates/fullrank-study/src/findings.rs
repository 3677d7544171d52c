//! A finished run, for its report.

use std::path::Path;

use anyhow::{Context, Result};
use datasets::ImageSet;
use fullrank_files::npy::read_matrix;
use fullrank_report::plots::{Palette, Series, Term};
use fullrank_report::{Embedding, Report, nearest_neighbours};

use crate::measured::{Case, Entry, Measured, Subject};
use crate::study::Study;

/// [`Entry`] of a study.
pub type EntryOf<S> = Entry<<S as Study>::Case, <S as Study>::Evaluation>;

/// A metric over the steps, a line for each training.
#[derive(Clone, Copy, Debug)]
pub struct Panel {
    /// `train` or `valid`.
    pub split: &'static str,
    /// The metric, as `metrics.csv` calls it.
    pub metric: &'static str,
    /// The heading.
    pub title: &'static str,
    /// What the values are.
    pub y_label: &'static str,
}

impl Panel {
    /// A metric of the training batches.
    pub fn train(metric: &'static str, title: &'static str, y_label: &'static str) -> Self {
        Self {
            split: "train",
            metric,
            title,
            y_label,
        }
    }

    /// A metric of the validation.
    pub fn valid(metric: &'static str, title: &'static str, y_label: &'static str) -> Self {
        Self {
            split: "valid",
            ..Self::train(metric, title, y_label)
        }
    }
}

/// A finished run, for its report.
pub struct Findings<'a, S: Study> {
    /// Its folder.
    pub directory: &'a Path,
    /// What was computed.
    pub study: &'a S,
    /// On what.
    pub data: &'a S::Data,
    /// What came of it.
    pub entries: &'a [EntryOf<S>],
}

impl<'a, S: Study> Findings<'a, S> {
    /// Some of the entries.
    pub fn of(&self, entries: &'a [EntryOf<S>]) -> Self {
        Self { entries, ..*self }
    }

    /// The cases with what was measured with the first seed.
    pub fn trained(&self) -> impl Iterator<Item = (S::Case, &'a Measured<S::Evaluation>)> {
        let entries = self.entries.iter();
        entries.filter_map(|entry| Some((entry.subject.case()?, entry.measured.first()?)))
    }

    /// A colour for each case.
    pub fn palette(&self) -> Palette {
        Palette::new(self.trained().map(|(case, _)| case.name()))
    }

    /// The panels that at least one case has, with a line for each that has it, of the first seed. `scale` divides
    /// the values of a metric.
    pub fn curves(&self, panels: &[Panel], scale: impl Fn(S::Case, &str) -> f64) -> Vec<Term> {
        let term = |panel: &Panel| {
            let series = self.trained().map(|(case, measured)| {
                let scale = scale(case, panel.metric);
                let rows = measured.rows.iter();
                let rows = rows.filter(|r| r.split == panel.split && r.metric == panel.metric);
                Series {
                    name: case.name(),
                    points: rows
                        .map(|row| (row.step as f64, row.value / scale))
                        .collect(),
                }
            });
            let series: Vec<Series> = series.filter(|line| !line.points.is_empty()).collect();
            (!series.is_empty()).then(|| Term {
                name: panel.title.to_owned(),
                y_label: panel.y_label.to_owned(),
                series,
            })
        };
        panels.iter().filter_map(term).collect()
    }

    /// The matrices that were written as `file`, of the images and the first seed, of each subject that `wanted`
    /// accepts.
    ///
    /// # Errors
    ///
    /// If one cannot be read.
    pub fn embeddings(
        &self,
        file: &str,
        images: &ImageSet,
        wanted: impl Fn(Subject<S::Case>) -> bool,
    ) -> Result<Vec<Embedding<'static>>> {
        let subjects = self.entries.iter().map(|entry| entry.subject);
        let embedding = |subject: Subject<S::Case>| {
            let folder = subject.folder(self.directory, self.study.seeds().first().copied());
            let read = read_matrix(&folder.join(file))?;
            let rows: Vec<f32> = read.iter().collect();
            let dims = *read.shape().last().context("a matrix has columns")?;
            let embedding = Embedding::new(subject.name(), rows, dims);
            Ok(embedding.with_labels(images.labels(), images.classes()))
        };
        subjects
            .filter(|subject| wanted(*subject))
            .map(embedding)
            .collect()
    }

    /// What `±` means, behind `lead`, if there are several seeds.
    pub fn spread(&self, lead: &str) -> String {
        match self.study.seeds().len() {
            1 => String::new(),
            n => format!("{lead}Mean ± sample standard deviation over {n} seeds."),
        }
    }
}

/// Adds a page of some images with those whose rows are nearest by cosine.
///
/// # Errors
///
/// If the rows are not those of the images.
pub fn with_neighbours(
    report: Report,
    (heading, of): (&str, &str),
    images: &ImageSet,
    rows: &[f32],
    (queries, nearest): (usize, usize),
) -> Result<Report> {
    let found = nearest_neighbours(rows, images.labels(), queries, nearest);
    let note = format!(
        "{queries} test images and, of the other test images, the {nearest} {of} nearest by cosine."
    );
    Ok(report.with_retrievals(heading, &note, (images, images), &found)?)
}
