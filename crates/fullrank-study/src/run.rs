//! A run: a folder, a study, and the results of every case and seed.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result};
use burn::module::Module;
use burn::tensor::Device;
use fullrank_files::{FileError, read_json, write_json, write_whole};
use fullrank_report::{Report, plots};
use fullrank_train::session::progress::show;
use fullrank_train::session::{Display, Stop, history};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::column::table;
use crate::configuration::{self, CONFIG};
use crate::findings::{EntryOf, Findings};
use crate::folder;
use crate::lock::RunLock;
use crate::measured::{Case, Measured, Subject};
use crate::study::{Measuring, Study};
use crate::training::{Training, initial};

/// A folder of results and the study that they come from.
#[derive(Clone, Debug)]
pub struct Run<S> {
    /// Such as `runs/run-1`.
    pub directory: PathBuf,
    /// What is computed.
    pub study: S,
    /// Keeps other processes out of the folder.
    pub lock: RunLock,
}

/// The file that says that a subject is measured.
const RESULT: &str = "result.json";

impl<S: Study> Run<S> {
    /// A new run in a folder below `runs`, called `name` or `run-1`, `run-2` and so on. It is removed again if the
    /// run is dropped before it was executed.
    ///
    /// # Errors
    ///
    /// If the folder holds a run already, or cannot be made.
    pub fn start(runs: &Path, name: Option<&str>, study: S) -> Result<Self> {
        let lock = folder::new_run(runs, name)?;
        Ok(Self {
            directory: lock.folder().to_path_buf(),
            study,
            lock,
        })
    }

    /// Opens a run to continue it: `name`, or the last numbered one.
    ///
    /// # Errors
    ///
    /// If there is none, or its configuration cannot be read.
    pub fn open(runs: &Path, name: Option<&str>) -> Result<Self> {
        let lock = folder::last_run(runs, name)?;
        let directory = lock.folder().to_path_buf();
        let path = directory.join(CONFIG);
        Ok(Self {
            study: configuration::read(&path, |text| S::from_json(text))?,
            directory,
            lock,
        })
    }

    /// The name of the folder.
    pub fn name(&self) -> String {
        folder::name(&self.directory)
    }

    /// Measures the baselines, then trains and measures every case with every seed. What an earlier call finished
    /// is read from its files. `None` if the stop came first.
    ///
    /// # Errors
    ///
    /// Those of the study and of its trainings, and if a file cannot be read or written.
    pub fn execute(
        &self,
        data: &S::Data,
        device: &Device,
        display: Display,
        stop: &Stop,
    ) -> Result<Option<Vec<EntryOf<S>>>> {
        self.study.check(data)?;
        folder::write_config(&self.directory, &configuration::to_json(&self.study)?)?;
        let baselines = [Subject::Pixels, Subject::Untrained];
        let baselines = baselines.into_iter().filter(|_| S::BASELINES);
        let cases = self.study.cases();
        let subjects = baselines.chain(cases.iter().copied().map(Subject::Trained));
        let mut entries: Vec<EntryOf<S>> = subjects
            .map(|subject| EntryOf::<S> {
                subject,
                measured: Vec::new(),
            })
            .collect();
        for &seed in self.study.seeds() {
            for entry in &mut entries {
                let seed = match entry.subject {
                    Subject::Pixels if !entry.measured.is_empty() => continue,
                    Subject::Pixels => None,
                    _ => Some(seed),
                };
                let folder = entry.subject.folder(&self.directory, seed);
                let measured = match finished(entry.subject, &folder)? {
                    Some(measured) => measured,
                    None => {
                        fs::create_dir_all(&folder).map_err(FileError::write(&folder))?;
                        let (subject, at) = (entry.subject, (data, device));
                        let measured = self.measure(subject, seed, &folder, at, display, stop)?;
                        let Some(measured) = measured else {
                            return Ok(None);
                        };
                        write_json(&folder.join(RESULT), &measured)?;
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

    /// Trains and measures a subject with a seed; `None` if the stop came first.
    fn measure(
        &self,
        subject: Subject<S::Case>,
        seed: Option<u64>,
        folder: &Path,
        (data, device): (&S::Data, &Device),
        display: Display,
        stop: &Stop,
    ) -> Result<Option<Measured<S::Evaluation>>> {
        let study = &self.study;
        let (model, training_seconds, rows) = match (subject, seed) {
            (Subject::Trained(case), Some(seed)) => {
                let training = Training {
                    study,
                    case,
                    seed,
                    data,
                    device,
                    directory: folder.to_path_buf(),
                    display,
                    stop,
                };
                let Some(trained) = training.run()? else {
                    return Ok(None);
                };
                let seconds = trained.seconds();
                (Some(trained.model), Some(seconds), trained.rows)
            }
            (Subject::Untrained, Some(seed)) => {
                let cases = study.cases();
                let case = *cases.first().context("a study has cases")?;
                let model = initial(study, case, seed, data, device);
                (Some(model.valid()), None, Vec::new())
            }
            _ => (None, None, Vec::new()),
        };
        let start = Instant::now();
        let measuring = Measuring {
            subject,
            seed,
            data,
            device,
            run: &self.directory,
            folder,
            training_seconds,
        };
        let evaluation = study.evaluate(model, &measuring)?;
        let measured = Measured {
            seed,
            training_seconds,
            evaluation_seconds: start.elapsed().as_secs_f64(),
            evaluation,
            rows,
        };
        let seed = seed
            .map(|seed| format!(", seed {seed}"))
            .unwrap_or_default();
        show(&format!(
            "{}{seed}: {} ({:.0} s)\n",
            subject.title(),
            study.summary(&measured.evaluation),
            measured.seconds(),
        ));
        Ok(Some(measured))
    }

    /// Writes table, results, metrics, pictures and the report into the run's folder, and returns the table with its
    /// legend.
    ///
    /// # Errors
    ///
    /// If a file cannot be written, or one of the run's own cannot be read.
    pub fn report(&self, data: &S::Data, entries: &[EntryOf<S>]) -> Result<String> {
        let study = &self.study;
        let findings = Findings {
            directory: &self.directory,
            study,
            data,
            entries,
        };
        let file = |name: &str| self.directory.join(name);
        let rows = entries
            .iter()
            .map(|e| (e.subject.title(), e.measured.as_slice()));
        let table = table(&study.columns(), rows);
        let legend = study.legend(&findings);
        let text = format!("{}\n{legend}", table.to_markdown());
        write_whole(&file("table.md"), text.as_bytes())?;
        write_json(&file("results.json"), &results::<S>(entries)?)?;
        let trainings = entries.iter().flat_map(|entry| {
            let seeds = entry.measured.iter();
            seeds.map(|m| (entry.subject.key(), m.seed, m.rows.as_slice()))
        });
        history::write_all(&file("metrics.csv"), S::CASE, trainings)?;
        for (name, svg) in study.pictures(&findings) {
            plots::save(file(name), &svg)?;
        }
        let report = Report::new(format!("{}: {}", S::TITLE, self.name()))
            .with_paragraph(&study.introduction(&findings))
            .with_table("Results", &table)
            .with_paragraph(&legend);
        let report = study.sections(report, &findings)?;
        let report = report.with_configuration("Configuration", study);
        report.write(file("report.html"))?;
        Ok(text)
    }
}

fn results<S: Study>(entries: &[EntryOf<S>]) -> Result<Value> {
    let entry = |entry: &EntryOf<S>| {
        let mut result = json!({ "name": entry.subject.key() });
        let fields = entry.subject.case().map(|case| case.fields());
        for (key, value) in fields.into_iter().flatten() {
            result[key] = value;
        }
        result["seeds"] = serde_json::to_value(&entry.measured)?;
        Ok(result)
    };
    entries.iter().map(entry).collect()
}

/// What an earlier call measured.
fn finished<C: Case, E: DeserializeOwned>(
    subject: Subject<C>,
    folder: &Path,
) -> Result<Option<Measured<E>>, FileError> {
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
