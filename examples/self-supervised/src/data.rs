//! The images of a run.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use datasets::image_folder::{self, ImageFolderOptions};
use datasets::{ImageSet, TrainTest, cifar, fashion_mnist};

use crate::config::{DataConfig, DataName};

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
    pub fn load(config: &DataConfig) -> Result<Self> {
        let name = config.name;
        let dir = || {
            let dir = config.dir.as_deref();
            dir.with_context(|| format!("the images of {} need --data-dir", name.key()))
        };
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
        let train = Arc::new(first(train, config.train_per_class));
        let test = Arc::new(first(test, config.test_per_class));
        ensure!(!train.is_empty(), "there are no training images");
        ensure!(!test.is_empty(), "there are no test images");
        Ok(Self { train, test })
    }

    /// The channels of an image.
    pub fn channels(&self) -> usize {
        self.train.shape()[0]
    }
}
