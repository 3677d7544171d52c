//! What a run measures: two baselines, and whatever it trains, with every seed.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use burn::tensor::Device;
use datasets::ImageSet;
use fullrank_files::npy::read_matrix;
use fullrank_report::plots::{Palette, Series, Term};
use fullrank_report::{Embedding, Report, nearest_neighbours};
use fullrank_train::session::history::Row;
use serde::{Deserialize, Serialize};

use crate::study::{Case, Study};

/// What a row of the report is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject<C> {
    /// The pixels as features.
    Pixels,
    /// The model with its initial weights.
    Untrained,
    /// A trained model.
    Trained(C),
}

impl<C: Case> Subject<C> {
    /// Its name in `results.json` and that of its folder.
    pub fn key(&self) -> String {
        match self {
            Self::Pixels => "raw-pixels".to_owned(),
            Self::Untrained => "untrained".to_owned(),
            Self::Trained(case) => case.key(),
        }
    }

    /// Its name in tables.
    pub fn title(&self) -> String {
        match self {
            Self::Pixels => "raw pixels".to_owned(),
            Self::Untrained => "untrained encoder".to_owned(),
            Self::Trained(case) => case.title(),
        }
    }

    /// Its name in charts.
    pub fn name(&self) -> String {
        match self {
            Self::Trained(case) => case.name(),
            baseline => baseline.title(),
        }
    }

    /// The case, unless it is a baseline.
    pub fn case(&self) -> Option<C> {
        match self {
            Self::Trained(case) => Some(*case),
            _ => None,
        }
    }

    /// The folder of its files with a seed, below that of the run.
    pub fn folder(&self, run: &Path, seed: Option<u64>) -> PathBuf {
        let folder = run.join(self.key());
        match seed {
            Some(seed) => folder.join(format!("seed-{seed}")),
            None => folder,
        }
    }
}

/// What was measured on a subject with one seed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Measured<E> {
    /// The seed; the pixels have none.
    pub seed: Option<u64>,
    /// The seconds that the training took.
    pub training_seconds: Option<f64>,
    /// The seconds that the evaluation took.
    #[serde(default)]
    pub evaluation_seconds: f64,
    /// The measurements.
    #[serde(flatten)]
    pub evaluation: E,
    /// The metrics of the training, which have their own file.
    #[serde(skip)]
    pub rows: Vec<Row>,
}

impl<E> Measured<E> {
    /// The seconds of training and evaluation.
    pub fn seconds(&self) -> f64 {
        self.training_seconds.unwrap_or(0.0) + self.evaluation_seconds
    }

    /// The last value of a metric.
    pub fn last(&self, metric: &str) -> Option<f64> {
        let row = self.rows.iter().rfind(|row| row.metric == metric)?;
        Some(row.value)
    }
}

/// A row of the report: a subject and its measurements, one for each seed.
#[derive(Clone, Debug)]
pub struct Entry<C, E> {
    /// The subject.
    pub subject: Subject<C>,
    /// In the order of the seeds.
    pub measured: Vec<Measured<E>>,
}

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
    /// Where.
    pub device: &'a Device,
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

    /// `, mean ± ...` if there are several seeds.
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
