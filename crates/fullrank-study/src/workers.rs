//! Processes that train together.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use burn::tensor::{Device, TensorData};
use fullrank::shards::{Group, GroupError};
use fullrank_files::{FileError, write_whole};
use fullrank_train::session::{CHECKPOINTS, Display, Stop, history};
use serde::{Deserialize, Serialize};

use crate::configuration;
use crate::measured::Case;
use crate::study::Study;
use crate::training::Training;

/// The processes that train together, as one of them sees it. The first has the run: its folder, its checkpoints, its
/// measurements. The others [follow](Self::follow) it through its trainings and leave no file.
#[derive(Clone, Debug)]
pub struct Workers {
    group: Arc<dyn Group>,
    rank: usize,
}

/// What the first tells the others.
#[derive(Serialize, Deserialize)]
enum Order {
    /// The study, as the configuration of its run has it.
    Study { config: String },
    /// To train a case with a seed, from these files in the folder of the training; they come with it.
    Train {
        case: String,
        seed: u64,
        files: Vec<String>,
    },
    /// There is no more.
    End,
}

impl Workers {
    /// The process of this rank, counted from 0. The group gathers in the order of the ranks.
    pub fn new(group: Arc<dyn Group>, rank: usize) -> Self {
        Self { group, rank }
    }

    /// All of them.
    pub fn group(&self) -> &Arc<dyn Group> {
        &self.group
    }

    /// Which of them this is.
    pub fn rank(&self) -> usize {
        self.rank
    }

    /// Whether this one has the run.
    pub fn is_first(&self) -> bool {
        self.rank == 0
    }

    /// What the first brings, for all.
    ///
    /// # Errors
    ///
    /// If they cannot reach each other.
    pub fn of_first(&self, own: Vec<TensorData>) -> Result<Vec<TensorData>, GroupError> {
        let own = if self.is_first() { own } else { Vec::new() };
        let mut lists = self.group.all_gather(own)?.lists;
        Ok(lists.swap_remove(0))
    }

    /// Takes part in the trainings of the first, from their checkpoints where it has some, until it has no more.
    ///
    /// # Errors
    ///
    /// If the processes cannot reach each other, the data is not there, or a training fails.
    pub fn follow<S: Study>(&self, device: &Device) -> Result<()> {
        let (Order::Study { config }, _) = self.receive()? else {
            bail!("the first process has told of no study");
        };
        let study = S::from_json(&config)?.shared(self.clone())?;
        let data = study.data()?;
        study.check(&data)?;
        let stop = Stop::new();
        loop {
            let (case, seed, files) = match self.receive()? {
                (Order::Train { case, seed, files }, bytes) => {
                    (case, seed, files.into_iter().zip(bytes))
                }
                (Order::End, _) => return Ok(()),
                (Order::Study { .. }, _) => bail!("the first process has told of two studies"),
            };
            let case = study.cases().into_iter().find(|known| known.key() == case);
            let folder = tempfile::tempdir().context("making a folder for a training")?;
            for (name, bytes) in files {
                let path = folder.path().join(name);
                let parent = path.parent().unwrap_or(folder.path());
                fs::create_dir_all(parent).map_err(FileError::write(parent))?;
                write_whole(&path, bytes.as_bytes())?;
            }
            let training = Training {
                study: &study,
                case: case.context("the first process trains a case that is not of the study")?,
                seed,
                data: &data,
                device,
                directory: folder.path().to_path_buf(),
                display: Display::Silent,
                stop: &stop,
            };
            training.run()?;
        }
    }

    /// Tells the others which study it is.
    pub(crate) fn begin<S: Study>(&self, study: &S) -> Result<()> {
        let config = configuration::to_json(study)?;
        self.tell(&Order::Study { config }, Vec::new())
    }

    /// Tells the others to take part in a training, if this is the first.
    pub(crate) fn train<S: Study>(&self, training: &Training<'_, S>) -> Result<()> {
        if !self.is_first() {
            return Ok(());
        }
        let files = files(&training.directory)?;
        let (names, contents) = files.into_iter().unzip();
        let order = Order::Train {
            case: training.case.key(),
            seed: training.seed,
            files: names,
        };
        self.tell(&order, contents)
    }

    /// Tells the others that there is no more.
    pub(crate) fn end(&self) -> Result<()> {
        self.tell(&Order::End, Vec::new())
    }

    fn tell(&self, order: &Order, files: Vec<Vec<u8>>) -> Result<()> {
        let message = [serde_json::to_vec(order)?].into_iter().chain(files);
        self.of_first(message.map(bytes).collect())?;
        Ok(())
    }

    fn receive(&self) -> Result<(Order, impl Iterator<Item = TensorData>)> {
        let mut message = self.of_first(Vec::new())?.into_iter();
        let order = message.next().context("the first process is silent")?;
        Ok((serde_json::from_slice(order.as_bytes())?, message))
    }
}

fn bytes(bytes: Vec<u8>) -> TensorData {
    let length = bytes.len();
    TensorData::new(bytes, [length])
}

/// What a training is continued from: its metrics and its checkpoints, with their names in its folder.
fn files(folder: &Path) -> Result<Vec<(String, Vec<u8>)>, FileError> {
    let checkpoints = fs::read_dir(folder.join(CHECKPOINTS));
    let names = checkpoints.into_iter().flatten().flatten();
    let names = names.filter_map(|entry| {
        let name = entry.file_name().into_string().ok()?;
        Some(format!("{CHECKPOINTS}/{name}"))
    });
    let names = names.chain([history::FILE.to_owned()]);
    let read = |name: String| {
        let path = folder.join(&name);
        let bytes = fs::read(&path).map_err(FileError::read(&path))?;
        Ok((name, bytes))
    };
    names
        .filter(|name| folder.join(name).is_file())
        .map(read)
        .collect()
}
