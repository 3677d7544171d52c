//! Checkpoints that survive an interruption at any moment.

use std::fs;
use std::path::{Path, PathBuf};

use burn::train::checkpoint::{
    Checkpoint, Checkpointer, CheckpointerError, CheckpointingAction, CheckpointingStrategy,
};
use burn::train::metric::store::{Aggregate, EventStoreClient, Split};

/// The three records of a checkpoint.
const PARTS: [&str; 3] = ["model", "optimizer", "scheduler"];

/// Saves one record of an epoch's checkpoint under a temporary name first: a file with the final
/// name is whole.
pub struct WholeFileCheckpointer {
    directory: PathBuf,
    part: &'static str,
}

/// The checkpointers of model, optimizer and learning-rate schedule in `directory`.
pub fn checkpointers(directory: &Path) -> [WholeFileCheckpointer; 3] {
    PARTS.map(|part| WholeFileCheckpointer {
        directory: directory.to_path_buf(),
        part,
    })
}

/// The last epoch in `directory` whose checkpoint is complete.
pub fn last_epoch(directory: &Path) -> Option<usize> {
    let epochs = fs::read_dir(directory).ok()?.filter_map(|entry| {
        let name = entry.ok()?.file_name().into_string().ok()?;
        name.strip_prefix("model-")?
            .strip_suffix(".bpk")?
            .parse()
            .ok()
    });
    epochs
        .filter(|&epoch| {
            PARTS
                .iter()
                .all(|part| directory.join(file_name(part, epoch)).exists())
        })
        .max()
}

fn file_name(part: &str, epoch: usize) -> String {
    format!("{part}-{epoch}.bpk")
}

impl<R: Checkpoint> Checkpointer<R> for WholeFileCheckpointer {
    fn save(&self, epoch: usize, record: R) -> Result<(), CheckpointerError> {
        fs::create_dir_all(&self.directory).map_err(CheckpointerError::IOError)?;
        let partial = self.directory.join(format!("{}-partial.bpk", self.part));
        record.save(partial.clone())?;
        let whole = self.directory.join(file_name(self.part, epoch));
        fs::rename(partial, whole).map_err(CheckpointerError::IOError)
    }

    fn restore(&self, epoch: usize) -> Result<R, CheckpointerError> {
        R::load(self.directory.join(file_name(self.part, epoch)))
    }

    fn delete(&self, epoch: usize) -> Result<(), CheckpointerError> {
        let path = self.directory.join(file_name(self.part, epoch));
        match path.exists() {
            true => fs::remove_file(path).map_err(CheckpointerError::IOError),
            false => Ok(()),
        }
    }
}

/// Saves every epoch and keeps the last two: the three records are written at the same time, and
/// until all are there the epoch before is the last that is complete.
pub struct KeepTwo;

impl CheckpointingStrategy for KeepTwo {
    fn checkpointing(
        &mut self,
        epoch: usize,
        store: &EventStoreClient,
    ) -> Vec<CheckpointingAction> {
        // Waits until the epoch's metrics are on disk: a checkpoint never is ahead of them.
        let _ = store.find_metric("Loss", epoch, Aggregate::Mean, &Split::Valid);
        let old = (epoch > 2).then(|| CheckpointingAction::Delete(epoch - 2));
        [CheckpointingAction::Save].into_iter().chain(old).collect()
    }
}
