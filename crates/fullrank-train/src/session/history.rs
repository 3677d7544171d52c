//! The values of every metric of one training, on disk as it goes and in memory.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use burn::train::Interrupter;
use burn::train::logger::MetricLogger;
use burn::train::metric::store::{EpochSummary, MetricsUpdate, Split};
use burn::train::metric::{MetricDefinition, NumericEntry};
use fullrank_files::{FileError, note, write_whole};
use serde::{Deserialize, Serialize};

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

const COLUMNS: [&str; 5] = ["split", "epoch", "step", "metric", "value"];

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
    /// Of the file, with what is written.
    length: u64,
    interrupter: Interrupter,
    names: Vec<MetricDefinition>,
    steps_per_epoch: usize,
    step: usize,
    epoch_start: Instant,
    failure: Option<FileError>,
}

impl History {
    /// Opens the history at `path`, keeping what it holds of the epochs up to `epoch`, the last
    /// that the resumed checkpoint has seen (0: starts anew). A last line that an interruption
    /// left unfinished is dropped, and standard error tells it.
    ///
    /// When the file cannot be written, the interrupter is told to stop, before there is a checkpoint that
    /// is ahead of the metrics.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, which names the line, or written.
    pub fn resume(
        path: &Path,
        epoch: usize,
        steps_per_epoch: usize,
        interrupter: &Interrupter,
    ) -> Result<Self, FileError> {
        let mut rows = match epoch {
            0 => Vec::new(),
            _ => read(path)?,
        };
        rows.retain(|row| row.epoch <= epoch);
        let length = write(path, &rows)?;
        let written = rows.len();
        let shared = Shared {
            path: path.to_path_buf(),
            rows,
            written,
            length,
            interrupter: interrupter.clone(),
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
    pub fn into_rows(self) -> Result<Vec<Row>, FileError> {
        self.with(|shared| match shared.failure.take() {
            Some(failure) => Err(failure),
            None => Ok(std::mem::take(&mut shared.rows)),
        })
    }

    fn with<T>(&self, f: impl FnOnce(&mut Shared) -> T) -> T {
        f(&mut self.shared.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Reads the rows of a file that [`History`] wrote. A last line that is cut off is left out, and standard
/// error tells it.
///
/// # Errors
///
/// If the file cannot be read or holds something else, which names the line.
pub fn read(path: &Path) -> Result<Vec<Row>, FileError> {
    let (rows, cut_off) = parse(path)?;
    if cut_off {
        note(&format!(
            "{}: the last line is cut off and left out",
            path.display()
        ));
    }
    Ok(rows)
}

/// The epochs of which the file at `path` holds every row, 0 if there is no file.
///
/// # Errors
///
/// If the file cannot be read or holds something else, which names the line.
pub fn whole_epochs(path: &Path) -> Result<usize, FileError> {
    if !path.exists() {
        return Ok(0);
    }
    // The time is the last row of an epoch.
    let (rows, _) = parse(path)?;
    let ends = rows.iter().filter(|row| row.metric == SECONDS);
    let epochs = ends.map(|row| row.epoch).zip(1..);
    Ok(epochs
        .take_while(|(epoch, expected)| epoch == expected)
        .count())
}

/// The rows, and whether what follows them is less than a row.
fn parse(path: &Path) -> Result<(Vec<Row>, bool), FileError> {
    let bytes = fs::read(path).map_err(FileError::read(path))?;
    let end = bytes.iter().rposition(|&byte| byte == b'\n');
    let whole = &bytes[..end.map_or(0, |end| end + 1)];
    let problem =
        |line: u64, problem: String| FileError::read(path)(format!("line {line}: {problem}"));
    let mut reader = csv::Reader::from_reader(whole);
    let header = reader.headers().map_err(FileError::read(path))?;
    if header != COLUMNS.as_slice() {
        let expected = format!("expected the header {}", COLUMNS.join(","));
        return Err(problem(1, expected));
    }
    let mut rows = Vec::new();
    let mut damaged = None;
    let mut records = reader.records();
    while let Some(record) = records.next() {
        if let Some(damaged) = damaged {
            return Err(damaged);
        }
        let line = records.reader().position().line();
        match row(record) {
            Ok(row) => rows.push(row),
            // It is told if it is not the last.
            Err(error) => damaged = Some(problem(line.saturating_sub(1), error)),
        }
    }
    Ok((rows, damaged.is_some() || whole.len() < bytes.len()))
}

fn row(record: csv::Result<csv::StringRecord>) -> Result<Row, String> {
    let text = |error: csv::Error| match error.kind() {
        csv::ErrorKind::Deserialize { err, .. } => err.to_string(),
        csv::ErrorKind::Utf8 { .. } => "it is no text".to_owned(),
        csv::ErrorKind::UnequalLengths {
            expected_len, len, ..
        } => {
            format!("expected {expected_len} fields, found {len}")
        }
        _ => error.to_string(),
    };
    let header = csv::StringRecord::from(COLUMNS.to_vec());
    let row: Row = record
        .map_err(text)?
        .deserialize(Some(&header))
        .map_err(text)?;
    let known = [Split::Train, Split::Valid].map(|split| split.to_string());
    if !known.contains(&row.split) {
        return Err(format!(
            "expected the split train or valid, found {:?}",
            row.split
        ));
    }
    Ok(row)
}

/// Returns the length of the file.
fn write(path: &Path, rows: &[Row]) -> Result<u64, FileError> {
    let bytes = || -> csv::Result<Vec<u8>> {
        let mut writer = csv::WriterBuilder::new()
            .has_headers(false)
            .from_writer(Vec::new());
        writer.write_record(COLUMNS)?;
        for row in rows {
            writer.serialize(row)?;
        }
        (writer.into_inner()).map_err(|error| error.into_error().into())
    };
    let bytes = bytes().map_err(FileError::write(path))?;
    write_whole(path, &bytes)?;
    Ok(bytes.len() as u64)
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
) -> Result<(), FileError> {
    let mut writer = csv::WriterBuilder::new()
        .has_headers(false)
        .from_writer(Vec::new());
    let header = [what, "split", "epoch", "step", "metric", "value", "seed"];
    writer
        .write_record(header)
        .map_err(FileError::write(path))?;
    for (name, seed, rows) in trainings {
        for row in rows {
            let record = (&name, row, seed);
            writer.serialize(record).map_err(FileError::write(path))?;
        }
    }
    let bytes = writer.into_inner().map_err(FileError::write(path))?;
    write_whole(path, &bytes)
}

/// `Mean singular value` becomes `mean_singular_value`.
fn column_name(metric: &str) -> String {
    metric.to_lowercase().replace([' ', '-'], "_")
}

impl Shared {
    /// Appends the rows that are not on disk: all of them, or none.
    fn append(&mut self) -> csv::Result<()> {
        let mut writer = csv::WriterBuilder::new()
            .has_headers(false)
            .from_writer(Vec::new());
        for row in &self.rows[self.written..] {
            writer.serialize(row)?;
        }
        let bytes = writer.into_inner().map_err(|error| error.into_error())?;
        let mut file = File::options().append(true).open(&self.path)?;
        if let Err(error) = file.write_all(&bytes).and_then(|()| file.sync_data()) {
            let _ = file.set_len(self.length);
            return Err(error.into());
        }
        self.length += bytes.len() as u64;
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
                let error = FileError::write(&shared.path)(error);
                shared.failure.get_or_insert(error);
                shared
                    .interrupter
                    .stop(Some("the metrics cannot be written"));
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
            let rows =
                History::resume(&path, 1, 2, &Interrupter::new()).and_then(History::into_rows);
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
        assert!(
            error.to_string().contains("line 2: expected 5 fields"),
            "{error}"
        );
        let error = resume("split,epoch,metric,value\n")
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("line 1: expected the header split,"),
            "{error}"
        );
        assert!(resume("").is_err());
        for (from, to) in [
            ("0.5", "half"),
            ("train,1,1", "train,-1,1"),
            ("train,1,1", "trbin,1,1"),
        ] {
            let error = resume(&whole.replace(from, to)).unwrap_err().to_string();
            assert!(
                error.contains("line 2: ") && error.lines().count() == 1,
                "{error}"
            );
        }
        let mut bytes = whole.into_bytes();
        bytes[40] = 0xff;
        fs::write(&path, bytes).unwrap();
        assert!(
            read(&path)
                .unwrap_err()
                .to_string()
                .contains("line 2: it is no text")
        );
    }

    #[test]
    fn an_epoch_is_whole_with_its_last_row() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        assert_eq!(whole_epochs(&path).unwrap(), 0);
        let mut text = "split,epoch,step,metric,value\n".to_string();
        for epoch in 1..=2 {
            text += &format!("train,{epoch},1,loss,0.5\n");
            fs::write(&path, &text).unwrap();
            assert_eq!(whole_epochs(&path).unwrap(), epoch - 1);
            text += &format!("train,{epoch},1,seconds,0.5\n");
            fs::write(&path, &text).unwrap();
            assert_eq!(whole_epochs(&path).unwrap(), epoch);
        }
        fs::write(&path, &text[..text.len() - 1]).unwrap();
        assert_eq!(whole_epochs(&path).unwrap(), 1);
        fs::write(&path, text.replace("train,1,1,seconds,0.5\n", "")).unwrap();
        assert_eq!(whole_epochs(&path).unwrap(), 0);
    }
}
