//! What a run measures: two baselines, and whatever it trains, with every seed.

use std::path::{Path, PathBuf};

use fullrank_train::session::history::Row;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What one training of a study is about, but for its seed.
pub trait Case: Copy + PartialEq {
    /// Its name in `results.json` and `metrics.csv`, and its folder below that of the run.
    fn key(&self) -> String;

    /// Its name in tables.
    fn title(&self) -> String;

    /// Its name in a chart that shows it beside others like it.
    fn name(&self) -> String {
        self.title()
    }

    /// What `results.json` says of it beside its key.
    fn fields(&self) -> Map<String, Value> {
        Map::new()
    }
}

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
