//! Checkpoints that survive an interruption at any moment, and whose damage is found.
//!
//! The checkpoint of an epoch is three records and `epoch-N.json`, which holds the length and the checksum of
//! each and is written last: where it is, the checkpoint is complete. The last two are kept.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use burn::lr_scheduler::LrSchedulerRecord;
use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::OptimizerRecord;
use burn::store::ModuleRecord;
use burn::tensor::{Bytes, Tensor};
use burn::train::checkpoint::{
    Checkpoint, Checkpointer, CheckpointerError, CheckpointingAction, CheckpointingStrategy,
};
use burn::train::metric::store::{Aggregate, EventStoreClient, Split};
use fullrank_files::{FileError, note, read_json, write_json, write_whole};
use serde::{Deserialize, Serialize};

use super::SessionError;

/// The three records of a checkpoint.
const PARTS: [&str; 3] = ["model", "optimizer", "scheduler"];

/// The checkpoints of one training. Clones share what is being written.
#[derive(Clone)]
pub struct Checkpoints {
    directory: PathBuf,
    writing: Arc<Mutex<Writing>>,
}

/// What is under way.
#[derive(Default)]
struct Writing {
    /// Of each epoch, the records that are on disk.
    written: BTreeMap<usize, Manifest>,
    failure: Option<FileError>,
}

/// What `epoch-N.json` says.
#[derive(Clone, Default, Serialize, Deserialize)]
struct Manifest {
    epoch: usize,
    files: BTreeMap<String, Sum>,
}

/// By what a record is known.
#[derive(Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Sum {
    bytes: usize,
    crc32: u32,
}

impl Sum {
    fn of(bytes: &[u8]) -> Self {
        Self {
            bytes: bytes.len(),
            crc32: crc32fast::hash(bytes),
        }
    }
}

/// The last epoch in `directory` whose checkpoint is complete and intact.
pub fn last_epoch(directory: &Path) -> Option<usize> {
    let checkpoints = Checkpoints::new(directory);
    let mut epochs = checkpoints.complete().into_iter().rev();
    epochs.find(|&epoch| checkpoints.read(epoch).is_ok())
}

impl Checkpoints {
    /// The checkpoints in `directory`, which need not be there yet.
    pub fn new(directory: &Path) -> Self {
        Self {
            directory: directory.to_path_buf(),
            writing: Arc::default(),
        }
    }

    /// The epoch to continue from: the last whose checkpoint is intact and whose metrics are there, which
    /// are whole up to the epoch `measured` in the file `metrics`. Standard error tells which are passed over,
    /// and why. What is not needed any more is removed.
    ///
    /// # Errors
    ///
    /// [`SessionError::Damaged`] if there are checkpoints but none to continue from. Nothing is removed then.
    pub fn resume(&self, measured: usize, metrics: &Path) -> Result<Option<usize>, SessionError> {
        let mut problems = Vec::new();
        for epoch in self.complete().into_iter().rev() {
            if epoch > measured {
                let problem = format!("{} does not hold all of epoch {epoch}", metrics.display());
                problems.push(problem);
                continue;
            }
            match self.read(epoch) {
                Ok(_) => {
                    for problem in problems {
                        note(&format!("{problem}: continuing after epoch {epoch}"));
                    }
                    self.go_back_to(epoch);
                    return Ok(Some(epoch));
                }
                Err(error) => problems.push(error.to_string()),
            }
        }
        if !problems.is_empty() {
            return Err(SessionError::Damaged {
                folder: self.directory.clone(),
                problems: problems.join("; "),
                training: self.directory.parent().unwrap_or(&self.directory).into(),
            });
        }
        let whole = |epoch: &usize| PARTS.iter().all(|part| self.path(part, *epoch).exists());
        if self.epochs("model-", ".bpk").iter().any(whole) {
            note(&format!(
                "{}: the checkpoint has no epoch-N.json, so it may not be complete: the training starts anew",
                self.directory.display()
            ));
        }
        self.go_back_to(0);
        Ok(None)
    }

    /// Checks that the checkpoint of `epoch` can be loaded into `model`, and that the state of the optimizer is
    /// that of the model's parameters: Burn knows them by numbers that are drawn in every process, and leaves
    /// out a state whose number it does not find.
    ///
    /// # Errors
    ///
    /// [`SessionError::Foreign`] if it does not fit, [`FileError::Read`] if a record cannot be read.
    pub fn check<M: Module>(&self, epoch: usize, model: M) -> Result<(), SessionError> {
        let [model_bytes, optimizer_bytes, scheduler_bytes] = self.read(epoch)?;
        let [model_path, optimizer_path, scheduler_path] = PARTS.map(|part| self.path(part, epoch));
        let record = ModuleRecord::from_bytes(Bytes::from_bytes_vec(model_bytes))
            .map_err(FileError::read(&model_path))?;
        let model = (model.try_load_record(record)).map_err(|error| SessionError::Foreign {
            path: model_path.clone(),
            problem: error.to_string(),
        })?;
        let mut known = Parameters::default();
        model.visit(&mut known);
        let states = states(&optimizer_bytes).map_err(FileError::read(&optimizer_path))?;
        if let Some(id) = states.iter().find(|id| !known.0.contains(id)) {
            return Err(SessionError::Foreign {
                path: optimizer_path,
                problem: format!(
                    "it has a state of the parameter {id}, which {} does not have",
                    model_path.display()
                ),
            });
        }
        OptimizerRecord::from_bytes(Bytes::from_bytes_vec(optimizer_bytes))
            .map_err(FileError::read(&optimizer_path))?;
        LrSchedulerRecord::from_bytes(Bytes::from_bytes_vec(scheduler_bytes))
            .map_err(FileError::read(&scheduler_path))?;
        Ok(())
    }

    /// The checkpointers of model, optimizer and learning-rate schedule.
    pub fn checkpointers(&self) -> [PartCheckpointer; 3] {
        PARTS.map(|part| PartCheckpointer {
            checkpoints: self.clone(),
            part,
        })
    }

    /// Why a checkpoint could not be written, once.
    pub(super) fn take_failure(&self) -> Option<FileError> {
        self.writing().failure.take()
    }

    fn writing(&self) -> MutexGuard<'_, Writing> {
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The epochs that have a manifest, by size.
    fn complete(&self) -> Vec<usize> {
        self.epochs("epoch-", ".json")
    }

    /// The `N` of the files `prefix N suffix`, by size.
    fn epochs(&self, prefix: &str, suffix: &str) -> Vec<usize> {
        let names = fs::read_dir(&self.directory)
            .into_iter()
            .flatten()
            .flatten();
        let epochs = names.filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            name.strip_prefix(prefix)?
                .strip_suffix(suffix)?
                .parse()
                .ok()
        });
        let mut epochs: Vec<usize> = epochs.collect();
        epochs.sort_unstable();
        epochs
    }

    /// The three records of an epoch, held against their checksums.
    fn read(&self, epoch: usize) -> Result<[Vec<u8>; 3], FileError> {
        let path = self.manifest(epoch);
        let manifest: Manifest = read_json(&path)?;
        if manifest.epoch != epoch {
            let problem = format!("it is of epoch {}", manifest.epoch);
            return Err(FileError::read(&path)(problem));
        }
        let mut records = [const { Vec::new() }; 3];
        for (part, record) in PARTS.iter().zip(&mut records) {
            let name = file_name(part, epoch);
            let Some(expected) = manifest.files.get(&name) else {
                return Err(FileError::read(&path)(format!("{name} is missing in it")));
            };
            let path = self.directory.join(name);
            *record = fs::read(&path).map_err(FileError::read(&path))?;
            let found = Sum::of(record);
            if found.bytes != expected.bytes {
                let problem = format!("it has {} of {} bytes", found.bytes, expected.bytes);
                return Err(FileError::read(&path)(problem));
            }
            if found != *expected {
                return Err(FileError::read(&path)(
                    "it is damaged (its checksum differs)",
                ));
            }
        }
        Ok(records)
    }

    /// Notes that a record is on disk; with the last of an epoch the checkpoint is complete.
    fn written(&self, epoch: usize, part: &str, sum: Sum) -> Result<(), FileError> {
        let mut writing = self.writing();
        let manifest = writing.written.entry(epoch).or_default();
        manifest.epoch = epoch;
        manifest.files.insert(file_name(part, epoch), sum);
        if manifest.files.len() == PARTS.len() {
            write_json(&self.manifest(epoch), manifest)?;
            writing.written.remove(&epoch);
            self.remove_older(epoch);
        }
        Ok(())
    }

    /// Removes every checkpoint before the one that came before that of `epoch`. Those behind it may be under
    /// way.
    fn remove_older(&self, epoch: usize) {
        let mut complete = self.complete().into_iter().rev();
        if let Some(before) = complete.find(|&other| other < epoch) {
            self.remove(|other| other < before);
        }
    }

    /// Removes, when nothing is under way, what came after the checkpoint of `epoch` too.
    fn go_back_to(&self, epoch: usize) {
        self.remove_older(epoch);
        let complete = self.complete();
        self.remove(|other| other > epoch || !complete.contains(&other));
    }

    /// Removes the checkpoints of these epochs, as far as there is anything of them.
    fn remove(&self, unwanted: impl Fn(usize) -> bool) {
        // What is left over is in nobody's way. The manifests go first: one stands for all of its records.
        for epoch in self.complete().into_iter().filter(|&epoch| unwanted(epoch)) {
            let _ = fs::remove_file(self.manifest(epoch));
        }
        for part in PARTS {
            let epochs = self.epochs(&format!("{part}-"), ".bpk");
            for epoch in epochs.into_iter().filter(|&epoch| unwanted(epoch)) {
                let _ = fs::remove_file(self.path(part, epoch));
            }
        }
    }

    fn manifest(&self, epoch: usize) -> PathBuf {
        self.directory.join(format!("epoch-{epoch}.json"))
    }

    fn path(&self, part: &str, epoch: usize) -> PathBuf {
        self.directory.join(file_name(part, epoch))
    }
}

fn file_name(part: &str, epoch: usize) -> String {
    format!("{part}-{epoch}.bpk")
}

/// The numbers of a module's parameters.
#[derive(Default)]
struct Parameters(HashSet<u64>);

impl ModuleVisitor for Parameters {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.0.insert(param.id.val());
    }
}

/// The numbers of the parameters that a record of the optimizer has a state of.
fn states(optimizer: &[u8]) -> Result<Vec<u64>, String> {
    let reader = burn_pack::Reader::from_bytes(Bytes::from_bytes_vec(optimizer.to_vec()));
    let reader = reader.map_err(|error| error.to_string())?;
    let scalars = reader.scalars().keys().map(String::as_str);
    let names = scalars.chain(reader.tensor_names());
    let ids = names.filter_map(|name| name.split('.').next()?.parse().ok());
    Ok(ids.collect())
}

/// Saves and restores one record of each epoch.
pub struct PartCheckpointer {
    checkpoints: Checkpoints,
    part: &'static str,
}

impl<R: Checkpoint> Checkpointer<R> for PartCheckpointer {
    fn save(&self, epoch: usize, record: R) -> Result<(), CheckpointerError> {
        let checkpoints = &self.checkpoints;
        let bytes = record
            .checkpoint_into_bytes()
            .map_err(CheckpointerError::Record)?;
        let path = checkpoints.path(self.part, epoch);
        // Before it is written: what the disk makes of it is found out.
        let sum = Sum::of(&bytes);
        let directory = &checkpoints.directory;
        let saved = fs::create_dir_all(directory)
            .map_err(FileError::write(directory))
            .and_then(|()| write_whole(&path, &bytes))
            .and_then(|()| checkpoints.written(epoch, self.part, sum));
        saved.map_err(|error| {
            let text = error.to_string();
            checkpoints.writing().failure.get_or_insert(error);
            CheckpointerError::Unknown(text)
        })
    }

    fn restore(&self, epoch: usize) -> Result<R, CheckpointerError> {
        let records = self.checkpoints.read(epoch);
        let records = records.map_err(|error| CheckpointerError::Unknown(error.to_string()))?;
        let record = PARTS
            .into_iter()
            .zip(records)
            .find(|(part, _)| *part == self.part);
        let bytes = record.map(|(_, bytes)| bytes).unwrap_or_default();
        R::checkpoint_from_bytes(Bytes::from_bytes_vec(bytes)).map_err(CheckpointerError::Record)
    }

    /// Nothing: a complete checkpoint removes those that it makes superfluous.
    fn delete(&self, _epoch: usize) -> Result<(), CheckpointerError> {
        Ok(())
    }
}

/// Saves every epoch.
pub struct EveryEpoch;

impl CheckpointingStrategy for EveryEpoch {
    fn checkpointing(
        &mut self,
        epoch: usize,
        store: &EventStoreClient,
    ) -> Vec<CheckpointingAction> {
        // Waits until the epoch's metrics are on disk: a checkpoint never is ahead of them.
        let _ = store.find_metric("Loss", epoch, Aggregate::Mean, &Split::Valid);
        vec![CheckpointingAction::Save]
    }
}

#[cfg(test)]
mod tests {
    use burn::optim::GradientsParams;
    use burn::tensor::Device;

    use super::*;
    use crate::optimizer::OptimizerConfig;

    #[derive(Module, Debug)]
    struct Point {
        x: Param<Tensor<1>>,
    }

    /// Trains a point and saves a checkpoint for each of `epochs` steps.
    fn train(directory: &Path, epochs: usize, dims: usize) {
        let device = Device::default().autodiff();
        let mut point = Point {
            x: Param::from_tensor(Tensor::ones([dims], &device)),
        };
        let mut optimizer = OptimizerConfig::sgd().init();
        let [model, optim, scheduler] = Checkpoints::new(directory).checkpointers();
        for epoch in 1..=epochs {
            let gradients = point.x.val().sum().backward();
            let gradients = GradientsParams::from_grads(gradients, &point);
            point = optimizer.step(0.1, point, gradients);
            model.save(epoch, point.clone().into_record()).unwrap();
            optim.save(epoch, optimizer.to_record()).unwrap();
            scheduler.save(epoch, LrSchedulerRecord::default()).unwrap();
        }
    }

    fn point(dims: usize) -> Point {
        Point {
            x: Param::from_tensor(Tensor::zeros([dims], &Device::default())),
        }
    }

    fn names(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    }

    fn resume(directory: &Path, measured: usize) -> Result<Option<usize>, String> {
        let resumed = Checkpoints::new(directory).resume(measured, Path::new("metrics.csv"));
        resumed.map_err(|error| error.to_string())
    }

    #[test]
    fn the_last_two_are_kept_and_the_last_intact_one_is_continued() {
        let whole = tempfile::tempdir().unwrap();
        train(whole.path(), 4, 1);
        let kept = names(whole.path());
        assert_eq!(kept.len(), 8, "{kept:?}");
        assert!(
            kept.iter()
                .all(|name| name.contains("-3.") || name.contains("-4."))
        );
        assert_eq!(resume(whole.path(), 4), Ok(Some(4)));
        assert_eq!(names(whole.path()), kept);

        // Every file in every way: cut, emptied, lengthened, one bit, removed, another epoch's.
        type Damage = fn(&mut Vec<u8>);
        let damages: [Damage; 4] = [
            |bytes| bytes.truncate(bytes.len() / 2),
            Vec::clear,
            |bytes| bytes.push(0),
            |bytes| {
                let middle = bytes.len() / 2;
                bytes[middle] ^= 4;
            },
        ];
        for name in kept.iter().filter(|name| name.contains("-4.")) {
            for (kind, damage) in damages.iter().map(Some).chain([None]).enumerate() {
                // A blank more is the same JSON; a bit of it may be in a blank or make another digit, which
                // then is another sum.
                if name.ends_with(".json") && kind >= 2 {
                    continue;
                }
                let folder = tempfile::tempdir().unwrap();
                for file in &kept {
                    fs::copy(whole.path().join(file), folder.path().join(file)).unwrap();
                }
                let path = folder.path().join(name);
                match damage {
                    Some(damage) => {
                        let mut bytes = fs::read(&path).unwrap();
                        damage(&mut bytes);
                        fs::write(&path, bytes).unwrap();
                    }
                    None => fs::remove_file(&path).unwrap(),
                }
                let before = names(folder.path());
                // With the metrics of the first two epochs, neither can be continued.
                let error = resume(folder.path(), 2).unwrap_err();
                assert!(
                    error.contains("metrics.csv does not hold all of epoch 3"),
                    "{error}"
                );
                assert_eq!(names(folder.path()), before);
                assert_eq!(last_epoch(folder.path()), Some(3), "{name}, damage {kind}");
                assert_eq!(
                    resume(folder.path(), 4),
                    Ok(Some(3)),
                    "{name}, damage {kind}"
                );
                assert!(names(folder.path()).iter().all(|name| name.contains("-3.")));

                fs::write(folder.path().join("model-3.bpk"), "short").unwrap();
                let error = resume(folder.path(), 4).unwrap_err();
                assert!(error.contains("model-3.bpk: it has 5 of "), "{error}");
                assert!(
                    error.contains("to start this training anew, delete"),
                    "{error}"
                );
            }
        }
    }

    #[test]
    fn a_record_of_the_next_epoch_may_come_before_the_last_of_this() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        train(from.path(), 1, 1);
        let sum = |part: &str| {
            let bytes = fs::read(from.path().join(file_name(part, 1))).unwrap();
            Sum::of(&bytes)
        };
        let checkpoints = Checkpoints::new(to.path());
        let save = |part: &str, epoch| {
            let whole = from.path().join(file_name(part, 1));
            fs::copy(whole, checkpoints.path(part, epoch)).unwrap();
            checkpoints.written(epoch, part, sum(part)).unwrap();
        };
        // The three are written by a thread each.
        for epoch in 1..=4 {
            save("model", epoch);
            if epoch > 1 {
                save("scheduler", epoch - 1);
            }
            save("optimizer", epoch);
        }
        assert_eq!(checkpoints.complete(), [2, 3]);
        assert!(checkpoints.read(2).is_ok() && checkpoints.read(3).is_ok());
        save("scheduler", 4);
        assert_eq!(checkpoints.complete(), [3, 4]);
        assert!(checkpoints.read(3).is_ok() && checkpoints.read(4).is_ok());
    }

    #[test]
    fn what_is_not_complete_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(resume(&folder.path().join("no"), 0), Ok(None));
        train(folder.path(), 2, 1);
        let kept = names(folder.path());
        for name in ["model-3.bpk", "optimizer-3.bpk", "scheduler-1.bpk"] {
            fs::write(folder.path().join(name), "left").unwrap();
        }
        assert_eq!(resume(folder.path(), 2), Ok(Some(2)));
        assert_eq!(names(folder.path()), kept);
        for epoch in [1, 2] {
            fs::remove_file(folder.path().join(format!("epoch-{epoch}.json"))).unwrap();
        }
        assert_eq!(resume(folder.path(), 2), Ok(None));
        assert_eq!(names(folder.path()), [""; 0]);
    }

    #[test]
    fn a_checkpoint_of_something_else_is_refused() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        train(one.path(), 2, 1);
        train(two.path(), 2, 1);
        let checkpoints = Checkpoints::new(one.path());
        checkpoints.check(2, point(1)).unwrap();
        let error = checkpoints.check(2, point(2)).unwrap_err().to_string();
        assert!(
            error.contains("model-2.bpk is not of this training"),
            "{error}"
        );

        // The optimizer of another process, with a manifest that is made to fit.
        let name = "optimizer-2.bpk";
        fs::copy(two.path().join(name), one.path().join(name)).unwrap();
        assert_eq!(resume(one.path(), 2), Ok(Some(1)));
        train(one.path(), 2, 1);
        fs::copy(two.path().join(name), one.path().join(name)).unwrap();
        let path = one.path().join("epoch-2.json");
        let mut manifest: Manifest = read_json(&path).unwrap();
        let bytes = fs::read(two.path().join(name)).unwrap();
        manifest.files.insert(name.to_owned(), Sum::of(&bytes));
        write_json(&path, &manifest).unwrap();
        let error = checkpoints.check(2, point(1)).unwrap_err().to_string();
        assert!(
            error.contains("optimizer-2.bpk is not of this training"),
            "{error}"
        );
        assert!(error.contains("model-2.bpk does not have"), "{error}");
    }
}
