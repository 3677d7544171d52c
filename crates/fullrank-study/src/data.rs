//! The images of a run, by the name of their set.

use std::collections::HashSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;
use datasets::image_folder::{self, ImageFolderOptions};
use datasets::{ImageSet, TrainTest, cifar, fashion_mnist};
use serde::{Deserialize, Serialize};

use crate::configuration::key;

/// The images of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DataConfig {
    /// Which set.
    pub name: DataName,
    /// Where its files are.
    #[serde(default)]
    pub dir: Option<PathBuf>,
    /// Channels, height and width that the images of a folder are brought to; other sets have
    /// their own.
    #[serde(default = "folder_shape")]
    pub folder_shape: [usize; 3],
    /// Train on the first `n` images of each class only.
    #[serde(default)]
    pub train_per_class: Option<usize>,
    /// Test on the first `n` images of each class only.
    #[serde(default)]
    pub test_per_class: Option<usize>,
}

fn folder_shape() -> [usize; 3] {
    [3, 32, 32]
}

impl DataConfig {
    /// All images of a set, in its own place.
    pub fn new(name: DataName) -> Self {
        Self {
            name,
            dir: None,
            folder_shape: folder_shape(),
            train_per_class: None,
            test_per_class: None,
        }
    }

    /// Checks the shape of the images.
    ///
    /// # Errors
    ///
    /// If no image can have it.
    pub fn validate(&self) -> Result<()> {
        let [channels, height, width] = self.folder_shape;
        ensure!(
            matches!(channels, 1 | 3) && height > 0 && width > 0,
            "data.folder_shape must be 1 or 3 channels and sides of at least 1, got {:?}",
            self.folder_shape
        );
        Ok(())
    }
}

/// The image sets that a run can use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DataName {
    /// 6,000 + 1,000 images of Fashion-MNIST that ship with this repository
    FashionMnistMini,
    /// All of Fashion-MNIST (needs its files: --data-dir or Debian's dataset-fashion-mnist)
    FashionMnist,
    /// CIFAR-10, binary version (needs --data-dir)
    Cifar10,
    /// CIFAR-100, binary version (needs --data-dir)
    Cifar100,
    /// Any images, as DATA_DIR/{train,test}/CLASS/*
    Folder,
}

/// The images of a run, in memory.
#[derive(Clone, Debug)]
pub struct Data {
    /// The images to train on.
    pub train: Arc<ImageSet>,
    /// The images that every number of the report is measured on; during a training they also
    /// give the validation loss, without their labels.
    pub test: Arc<ImageSet>,
}

impl Data {
    /// Loads the images that `config` names.
    ///
    /// # Errors
    ///
    /// If they are not there, cannot be read, or are none.
    pub fn load(config: &DataConfig) -> Result<Self> {
        let name = config.name;
        let dir = || folder_of(name, config.dir.as_deref());
        let TrainTest { train, test } = match name {
            DataName::FashionMnistMini => fashion_mnist::mini(),
            DataName::FashionMnist => {
                let dir = fashion_mnist::find(config.dir.as_deref()).context(
                    "Fashion-MNIST was not found: give the folder of its four IDX files with \
                     --data-dir, or install Debian's package dataset-fashion-mnist",
                )?;
                fashion_mnist::load(dir)?
            }
            DataName::Cifar10 => cifar::load_cifar10(dir()?)?,
            DataName::Cifar100 => cifar::load_cifar100(dir()?)?,
            DataName::Folder => {
                let [channels, height, width] = config.folder_shape;
                image_folder::load(
                    dir()?,
                    ImageFolderOptions {
                        height,
                        width,
                        channels,
                    },
                )?
            }
        };
        let first = |set: ImageSet, per_class: Option<usize>| match per_class {
            Some(n) => set.first_per_class(n),
            None => set,
        };
        Self::new(
            first(train, config.train_per_class),
            first(test, config.test_per_class),
        )
    }

    /// These images.
    ///
    /// # Errors
    ///
    /// If there are none to train on or to test on.
    pub fn new(train: ImageSet, test: ImageSet) -> Result<Self> {
        ensure!(!train.is_empty(), "there are no training images");
        ensure!(!test.is_empty(), "there are no test images");
        let (train, test) = (Arc::new(train), Arc::new(test));
        Ok(Self { train, test })
    }

    /// The channels of an image.
    pub fn channels(&self) -> usize {
        self.train.shape()[0]
    }
}

impl fmt::Display for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [channels, height, width] = self.train.shape();
        let (train, test) = (self.train.len(), self.test.len());
        write!(
            f,
            "{train} training and {test} test images of {channels} x {height} x {width}"
        )?;
        let known: HashSet<_> = self.train.classes().iter().collect();
        if self
            .test
            .classes()
            .iter()
            .all(|class| !known.contains(class))
        {
            write!(f, ", of other classes")?;
        }
        Ok(())
    }
}

/// The folder of a set that does not ship.
///
/// # Errors
///
/// If it is not given.
pub fn folder_of(name: impl ValueEnum, dir: Option<&Path>) -> Result<&Path> {
    dir.with_context(|| format!("the images of {} need --data-dir", key(name)))
}
