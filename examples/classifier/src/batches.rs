//! Labelled images as batches.

use std::sync::Arc;

use burn::data::dataloader::batcher::Batcher;
use burn::data::dataloader::{DataLoader, DataLoaderBuilder};
use burn::data::dataset::InMemDataset;
use burn::tensor::{Device, Int, Tensor};
use datasets::ImageSet;
use fullrank_retrieval::{ClassBalancedLoader, ClassBalancedSamplerConfig};
use fullrank_vision::loader::image_tensor;

use crate::config::RunConfig;

/// Images in a batch that is measured.
const MEASURED: usize = 500;

/// Images with their classes.
#[derive(Clone, Debug)]
pub struct ImageBatch {
    /// `[batch, channels, height, width]`, with values in `[0, 1]`.
    pub images: Tensor<4>,
    /// `[batch]`.
    pub labels: Tensor<1, Int>,
}

/// Makes batches of images of one set from their indices.
struct ImageBatcher(Arc<ImageSet>);

impl Batcher<usize, ImageBatch> for ImageBatcher {
    fn batch(&self, indices: Vec<usize>, device: &Device) -> ImageBatch {
        let labels = indices.iter().map(|&index| self.0.label(index) as i32);
        let labels: Vec<i32> = labels.collect();
        ImageBatch {
            images: image_tensor(&self.0, &indices, device),
            labels: Tensor::from_ints(labels.as_slice(), device),
        }
    }
}

fn indices(images: &ImageSet) -> InMemDataset<usize> {
    InMemDataset::new((0..images.len()).collect())
}

/// Batches to train on, from the epoch `first`: each of all classes, with as many images of one as of
/// another. What an epoch shows depends on the seed and its number, on nothing else.
pub fn training(
    config: &RunConfig,
    images: &Arc<ImageSet>,
    seed: u64,
    first: usize,
    device: &Device,
) -> Arc<dyn DataLoader<ImageBatch>> {
    let classes = images.class_counts().iter().filter(|&&n| n > 0).count();
    let sampler = ClassBalancedSamplerConfig::new(classes, config.batch_per_class)
        .with_batches(Some(config.steps_per_epoch))
        .with_seed(seed)
        .init(images.labels());
    let batcher = Arc::new(ImageBatcher(images.clone()));
    let dataset = Arc::new(indices(images));
    Arc::new(ClassBalancedLoader::new(dataset, batcher, sampler, device).starting_at(first))
}

/// Every image once, in order.
pub fn measuring(images: &Arc<ImageSet>, device: &Device) -> Arc<dyn DataLoader<ImageBatch>> {
    DataLoaderBuilder::new(ImageBatcher(images.clone()))
        .batch_size(MEASURED)
        .set_device(device.clone())
        .build(indices(images))
}
