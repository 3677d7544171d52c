//! The values of every metric of one training, on disk as it goes and in memory.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use burn::train::logger::MetricLogger;
use burn::train::metric::store::{EpochSummary, MetricsUpdate, Split};
use burn::train::metric::{MetricDefinition, NumericEntry};
use serde::{Deserialize, Serialize};

use super::RunError;
use super::files::write_whole;

/// One value of one metric.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// `train` or `valid`.
    pub split: String,
    /// Counted from 1.
    pub epoch: usize,
    /// Optimizer steps taken since the start of the training.
    pub step: usize,
    /// Such as `loss` or `mean_singular_value`.
    pub metric: String,
    /// A batch's value in `train`, the epoch's mean in `valid`.
    pub value: f64,
}

/// The name of the file in the folder of a training.
pub const FILE: &str = "metrics.csv";

/// The name of the row that holds the seconds an epoch took.
pub const SECONDS: &str = "seconds";

/// The metrics of one training. Clones share the rows; a clone serves as burn-train's
/// [`MetricLogger`], which appends to the file at the end of each epoch.
#[derive(Clone)]
pub struct History {
    shared: Arc<Mutex<Shared>>,
}

struct Shared {
    path: PathBuf,
    rows: Vec<Row>,
    written: usize,
    names: Vec<MetricDefinition>,
    steps_per_epoch: usize,
    step: usize,
    epoch_start: Instant,
    failure: Option<RunError>,
}

impl History {
    /// Opens the history at `path`, keeping what it holds of the epochs up to `epoch`, the last
    /// that the resumed checkpoint has seen (0: starts anew). A last line that an interruption
    /// left unfinished is dropped.
    ///
    /// # Errors
    ///
    /// If the file cannot be read or written.
    pub fn resume(path: &Path, epoch: usize, steps_per_epoch: usize) -> Result<Self, RunError> {
        let mut rows = match epoch {
            0 => Vec::new(),
            _ => read_interrupted(path)?,
        };
        rows.retain(|row| row.epoch <= epoch);
        write(path, &rows)?;
        let written = rows.len();
        let shared = Shared {
            path: path.to_path_buf(),
            rows,
            written,
            names: Vec::new(),
            steps_per_epoch,
            step: 0,
            epoch_start: Instant::now(),
            failure: None,
        };
        Ok(Self {
            shared: Arc::new(Mutex::new(shared)),
        })
    }

    /// Every row.
    ///
    /// # Errors
    ///
    /// The one that kept a row from being written.
    pub fn into_rows(self) -> Result<Vec<Row>, RunError> {
        self.with(|shared| match shared.failure.take() {
            Some(failure) => Err(failure),
            None => Ok(std::mem::take(&mut shared.rows)),
        })
    }

    fn with<T>(&self, f: impl FnOnce(&mut Shared) -> T) -> T {
        f(&mut self.shared.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Reads the rows of a file that [`History`] wrote.
///
/// # Errors
///
/// If the file cannot be read or holds something else.
pub fn read(path: &Path) -> Result<Vec<Row>, RunError> {
    let mut reader = csv::Reader::from_path(path).map_err(RunError::read(path))?;
    let rows: csv::Result<_> = reader.deserialize().collect();
    rows.map_err(RunError::read(path))
}

/// Reads the rows of a file whose last line may be torn.
fn read_interrupted(path: &Path) -> Result<Vec<Row>, RunError> {
    let bytes = fs::read(path).map_err(RunError::read(path))?;
    let end = bytes.iter().rposition(|&byte| byte == b'\n');
    let whole = &bytes[..end.map_or(0, |end| end + 1)];
    let mut rows: Vec<csv::Result<Row>> = csv::Reader::from_reader(whole).deserialize().collect();
    if rows.last().is_some_and(Result::is_err) {
        rows.pop();
    }
    let rows = rows.into_iter().collect::<csv::Result<_>>();
    rows.map_err(RunError::read(path))
}

fn write(path: &Path, rows: &[Row]) -> Result<(), RunError> {
    let bytes = || -> csv::Result<Vec<u8>> {
        let mut writer = csv::WriterBuilder::new()
            .has_headers(false)
            .from_writer(Vec::new());
        writer.write_record(["split", "epoch", "step", "metric", "value"])?;
        for row in rows {
            writer.serialize(row)?;
        }
        (writer.into_inner()).map_err(|error| error.into_error().into())
    };
    write_whole(path, &bytes().map_err(RunError::write(path))?)
}

/// Writes the metrics of several trainings to one CSV file, each row between the name of its training, in the
/// column `what`, and its seed.
///
/// # Errors
///
/// If the file cannot be written.
pub fn write_all<'a>(
    path: &Path,
    what: &str,
    trainings: impl IntoIterator<Item = (String, Option<u64>, &'a [Row])>,
) -> Result<(), RunError> {
    let mut writer = csv::WriterBuilder::new()
        .has_headers(false)
        .from_path(path)
        .map_err(RunError::write(path))?;
    let header = [what, "split", "epoch", "step", "metric", "value", "seed"];
    writer.write_record(header).map_err(RunError::write(path))?;
    for (name, seed, rows) in trainings {
        for row in rows {
            let record = (&name, row, seed);
            writer.serialize(record).map_err(RunError::write(path))?;
        }
    }
    writer.flush().map_err(RunError::write(path))
}

/// `Mean singular value` becomes `mean_singular_value`.
fn column_name(metric: &str) -> String {
    metric.to_lowercase().replace([' ', '-'], "_")
}

impl Shared {
    fn append(&mut self) -> csv::Result<()> {
        let file = File::options().append(true).open(&self.path)?;
        let mut writer = csv::WriterBuilder::new()
            .has_headers(false)
            .from_writer(file);
        for row in &self.rows[self.written..] {
            writer.serialize(row)?;
        }
        writer.flush()?;
        writer
            .into_inner()
            .map_err(|error| error.into_error())?
            .sync_data()?;
        self.written = self.rows.len();
        Ok(())
    }

    fn name_of(&self, id: &burn::train::metric::MetricId) -> Option<String> {
        let known = self
            .names
            .iter()
            .find(|definition| definition.metric_id == *id);
        known.map(|definition| column_name(&definition.name))
    }
}

impl MetricLogger for History {
    fn log(&mut self, update: MetricsUpdate, epoch: usize, split: &Split) {
        self.with(|shared| {
            let is_final = |entry: &NumericEntry| matches!(entry, NumericEntry::Final(_));
            let train = *split == Split::Train;
            let values: Vec<_> = (update.entries_numeric.iter())
                .filter_map(|metric| {
                    let value = metric.numeric_entry.as_ref()?;
                    Some((shared.name_of(&metric.entry.metric_id)?, value))
                })
                .collect();
            // The end of a split reports the mean over its batches: that is the value kept of a
            // validation, while a training keeps its steps.
            let end_of_split = values.iter().any(|(_, value)| is_final(value));
            if train && !end_of_split {
                shared.step += 1;
            }
            if train == end_of_split {
                return;
            }
            let step = match train {
                true => (epoch - 1) * shared.steps_per_epoch + shared.step,
                false => epoch * shared.steps_per_epoch,
            };
            for (metric, value) in values {
                let value = value.current();
                if !train && value.is_nan() {
                    continue;
                }
                shared.rows.push(Row {
                    split: split.to_string(),
                    epoch,
                    step,
                    metric,
                    value,
                });
            }
        });
    }

    fn read_numeric(
        &mut self,
        name: &str,
        epoch: usize,
        split: &Split,
    ) -> Result<Vec<NumericEntry>, String> {
        let (split, name) = (split.to_string(), column_name(name));
        let wanted = |row: &&Row| row.epoch == epoch && row.split == split && row.metric == name;
        Ok(self.with(|shared| {
            let rows = shared.rows.iter().filter(wanted);
            rows.map(|row| NumericEntry::Value(row.value)).collect()
        }))
    }

    fn log_metric_definition(&mut self, definition: MetricDefinition) {
        self.with(|shared| shared.names.push(definition));
    }

    fn log_epoch_summary(&mut self, summary: EpochSummary) {
        self.with(|shared| {
            shared.step = 0;
            if summary.split != Split::Valid {
                return;
            }
            let epoch = summary.epoch_number;
            shared.rows.push(Row {
                split: Split::Train.to_string(),
                epoch,
                step: epoch * shared.steps_per_epoch,
                metric: SECONDS.to_string(),
                value: shared.epoch_start.elapsed().as_secs_f64(),
            });
            shared.epoch_start = Instant::now();
            if let Err(error) = shared.append() {
                let error = RunError::write(&shared.path)(error);
                shared.failure.get_or_insert(error);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_line_of_the_metrics_may_be_torn() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        let resume = |text: &str| {
            fs::write(&path, text).unwrap();
            let rows = History::resume(&path, 1, 2).and_then(History::into_rows);
            rows.map(|rows| (rows.len(), fs::read_to_string(&path).unwrap()))
        };
        let first = "split,epoch,step,metric,value\ntrain,1,1,loss,0.5\n".to_string();
        let whole = first.clone() + "train,1,2,loss,0.25\n";
        let kept = (2, whole.clone());
        assert_eq!(resume(&whole).unwrap(), kept);
        assert_eq!(resume(&format!("{whole}train,1\n")).unwrap(), kept);
        assert_eq!(resume(&format!("{whole}\0\0\0\n")).unwrap(), kept);
        // What is left of the last number reads as one, and a wrong one.
        assert_eq!(resume(&whole[..whole.len() - 2]).unwrap(), (1, first));
        let error = resume(&whole.replace("loss,0.5", "")).unwrap_err();
        assert!(error.to_string().contains(FILE), "{error}");
    }
}
