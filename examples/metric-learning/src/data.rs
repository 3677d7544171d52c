//! The images of a run.

use std::fmt;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use datasets::image_folder::{self, ImageFolderOptions};
use datasets::{
    ImageSet, ZeroShot, cars196, cub200, emoji, manifest, stanford_online_products,
};

use crate::config::{DataConfig, DataName};

/// The images of a run, in memory; the test classes are none of the training classes.
#[derive(Clone, Debug)]
pub struct Data {
    /// The images to train on.
    pub train: Arc<ImageSet>,
    /// The images that every number of the report is measured on.
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
        let [channels, height, width] = config.image_shape;
        let options = ImageFolderOptions {
            height,
            width,
            channels,
        };
        let ZeroShot { train, test } = match name {
            DataName::EmojiMini => emoji::mini().images,
            DataName::Emoji => emoji::load(dir()?)?.images,
            DataName::Cub200 => cub200::load(dir()?, options)?,
            DataName::Cars196 => cars196::load(dir()?, options)?,
            DataName::StanfordOnlineProducts => stanford_online_products::load(dir()?, options)?,
            DataName::Folder => image_folder::load_zero_shot(dir()?, options)?,
            DataName::Manifest => manifest::load_zero_shot(dir()?, options)?,
        };
        let first = |set: ImageSet, n: Option<usize>| match n {
            Some(n) => first_classes(&set, n),
            None => set,
        };
        let train = Arc::new(first(train, config.train_classes));
        let test = Arc::new(first(test, config.test_classes));
        ensure!(!train.is_empty(), "there are no training images");
        ensure!(!test.is_empty(), "there are no test images");
        Ok(Self { train, test })
    }

    /// The training images of `n` classes, or all if there are fewer, at even distances in their order,
    /// with those classes only.
    pub fn spaced_training_classes(&self, n: usize) -> Arc<ImageSet> {
        let all = self.train.classes();
        let n = n.min(all.len());
        let chosen: Vec<usize> = (0..n).map(|place| place * all.len() / n).collect();
        let place = |index: &usize| chosen.iter().position(|&class| class == self.train.label(*index));
        let images: Vec<usize> = (0..self.train.len())
            .filter(|index| place(index).is_some())
            .collect();
        let part = self.train.subset(&images);
        Arc::new(ImageSet::new(
            part.shape(),
            part.pixels().to_vec(),
            images.iter().filter_map(place).collect(),
            chosen.iter().map(|&class| all[class].clone()).collect(),
        ))
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
            "{train} training and {test} test images of {channels} x {height} x {width}, of other classes"
        )
    }
}

/// The images of the first `n` classes.
fn first_classes(set: &ImageSet, n: usize) -> ImageSet {
    let indices: Vec<usize> = (0..set.len()).filter(|&i| set.label(i) < n).collect();
    set.subset(&indices)
}
