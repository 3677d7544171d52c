//! What a run measures: two baselines, and whatever it trains, with every seed.

use std::fs;
use std::path::{Path, PathBuf};

use fullrank_files::{FileError, read_json, write_json};
use fullrank_train::session::Stop;
use fullrank_train::session::history::{self, Row};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::StudyError;

/// What a training is about, but for its seed.
pub trait Training: Copy {
    /// Its name in `results.json` and that of its folder.
    fn key(&self) -> String;
    /// Its name in tables and plots.
    fn title(&self) -> String;
}

/// What a row of the report is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject<T> {
    /// The pixels as features.
    Pixels,
    /// The network with its initial weights.
    Untrained,
    /// A trained network.
    Trained(T),
}

impl<T: Training> Subject<T> {
    /// Its name in `results.json` and that of its folder.
    pub fn key(&self) -> String {
        match self {
            Self::Pixels => "raw-pixels".to_owned(),
            Self::Untrained => "untrained".to_owned(),
            Self::Trained(training) => training.key(),
        }
    }

    /// Its name in tables and plots.
    pub fn title(&self) -> String {
        match self {
            Self::Pixels => "raw pixels".to_owned(),
            Self::Untrained => "untrained encoder".to_owned(),
            Self::Trained(training) => training.title(),
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
}

/// A row of the report: a subject and its measurements, one for each seed.
#[derive(Clone, Debug)]
pub struct Entry<T, E> {
    /// The subject.
    pub subject: Subject<T>,
    /// In the order of the seeds.
    pub measured: Vec<Measured<E>>,
}

/// The file that says that a subject is measured.
const RESULT: &str = "result.json";

/// Measures the baselines and all trainings with every seed, into the folder of the run. What an earlier
/// call finished is read from its files. `None` if the stop came first.
///
/// `measure` trains and measures a subject with a seed, in its folder; it gives `None` if the stop came
/// first.
///
/// # Errors
///
/// Those of `measure`, and if a file cannot be read or written.
pub fn measure_all<T: Training, E: Serialize + DeserializeOwned, Error: From<StudyError>>(
    run: &Path,
    trainings: impl IntoIterator<Item = T>,
    seeds: &[u64],
    stop: &Stop,
    mut measure: impl FnMut(Subject<T>, Option<u64>, &Path) -> Result<Option<Measured<E>>, Error>,
) -> Result<Option<Vec<Entry<T, E>>>, Error> {
    let trained = trainings.into_iter().map(Subject::Trained);
    let subjects = [Subject::Pixels, Subject::Untrained]
        .into_iter()
        .chain(trained);
    let mut entries: Vec<Entry<T, E>> = subjects
        .map(|subject| Entry {
            subject,
            measured: Vec::new(),
        })
        .collect();
    for &seed in seeds {
        for entry in &mut entries {
            let seed = match entry.subject {
                Subject::Pixels if !entry.measured.is_empty() => continue,
                Subject::Pixels => None,
                _ => Some(seed),
            };
            let folder = entry.subject.folder(run, seed);
            let measured = match finished(entry.subject, &folder)? {
                Some(measured) => measured,
                None => {
                    fs::create_dir_all(&folder)
                        .map_err(|error| StudyError::from(FileError::write(&folder)(error)))?;
                    let Some(measured) = measure(entry.subject, seed, &folder)? else {
                        return Ok(None);
                    };
                    write_json(&folder.join(RESULT), &measured).map_err(StudyError::from)?;
                    if stop.requested() {
                        return Ok(None);
                    }
                    measured
                }
            };
            entry.measured.push(measured);
        }
    }
    Ok(Some(entries))
}

/// What an earlier call measured.
fn finished<T: Training, E: DeserializeOwned>(
    subject: Subject<T>,
    folder: &Path,
) -> Result<Option<Measured<E>>, StudyError> {
    let path = folder.join(RESULT);
    if !path.exists() {
        return Ok(None);
    }
    let mut measured: Measured<E> = read_json(&path)?;
    if let Subject::Trained(_) = subject {
        measured.rows = history::read(&folder.join(history::FILE))?;
    }
    Ok(Some(measured))
}
