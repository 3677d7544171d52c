//! The images of a run: the test classes are none of the training classes.

use std::sync::Arc;

use anyhow::Result;
use datasets::image_folder::{self, ImageFolderOptions};
use datasets::{ImageSet, ZeroShot, cars196, cub200, emoji, manifest, stanford_online_products};
use fullrank_study::data::{Data, folder_of};

use crate::config::{DataConfig, DataName};

/// Loads the images that `config` names.
///
/// # Errors
///
/// If they are not there, cannot be read, or are none.
pub fn load(config: &DataConfig) -> Result<Data> {
    let name = config.name;
    let dir = || folder_of(name, config.dir.as_deref());
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
    Data::new(
        first(train, config.train_classes),
        first(test, config.test_classes),
    )
}

/// The images of `n` classes, or all if there are fewer, at even distances in their order.
pub fn spaced_classes(images: &ImageSet, n: usize) -> Arc<ImageSet> {
    let all = images.classes().len();
    let n = n.min(all);
    let chosen: Vec<usize> = (0..n).map(|place| place * all / n).collect();
    Arc::new(of_classes(images, &chosen))
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
