//! The images of a run.

use std::fmt;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use datasets::image_folder::{self, ImageFolderOptions};
use datasets::{ImageSet, ZeroShot, cars196, cub200, emoji, manifest, stanford_online_products};

use fullrank_study::configuration::key;

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
            dir.with_context(|| format!("the images of {} need --data-dir", key(name)))
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
            Some(n) => of_classes(&set, &(0..n.min(set.classes().len())).collect::<Vec<_>>()),
            None => set,
        };
        let train = Arc::new(first(train, config.train_classes));
        let test = Arc::new(first(test, config.test_classes));
        ensure!(!train.is_empty(), "there are no training images");
        ensure!(!test.is_empty(), "there are no test images");
        Ok(Self { train, test })
    }

    /// The training images of `n` classes, or all if there are fewer, at even distances in their order.
    pub fn spaced_training_classes(&self, n: usize) -> Arc<ImageSet> {
        let all = self.train.classes().len();
        let n = n.min(all);
        let chosen: Vec<usize> = (0..n).map(|place| place * all / n).collect();
        Arc::new(of_classes(&self.train, &chosen))
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

/// The images of these classes, numbered anew in this order.
fn of_classes(set: &ImageSet, chosen: &[usize]) -> ImageSet {
    let number = |index: &usize| chosen.iter().position(|&class| class == set.label(*index));
    let wanted: Vec<usize> = (0..set.len()).filter(|i| number(i).is_some()).collect();
    ImageSet::new(
        set.shape(),
        set.subset(&wanted).pixels().to_vec(),
        wanted.iter().filter_map(number).collect(),
        chosen
            .iter()
            .map(|&class| set.classes()[class].clone())
            .collect(),
    )
}
