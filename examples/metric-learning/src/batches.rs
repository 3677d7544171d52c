//! Batches of images with their classes.

use std::sync::Arc;

use burn::data::dataloader::batcher::Batcher;
use burn::data::dataloader::{DataLoader, DataLoaderBuilder};
use burn::data::dataset::{Dataset, DatasetError};
use burn::tensor::{Device, Tensor};
use datasets::ImageSet;
use fullrank_retrieval::{ClassBalancedLoader, ClassBalancedSamplerConfig, StepBatcher};
use fullrank_vision::loader::image_tensor;
use fullrank_vision::views::{Views, apply_views};

/// Images and the class of each.
#[derive(Clone, Debug)]
pub struct ImageBatch {
    /// `[batch, channels, height, width]`, values in `[0, 1]`.
    pub images: Tensor<4>,
    /// One for each image.
    pub labels: Arc<Vec<i64>>,
}

/// The images of a set by their index.
struct Indices(usize);

impl Dataset<usize> for Indices {
    fn get(&self, index: usize) -> Result<usize, DatasetError> {
        Ok(index)
    }

    fn len(&self) -> usize {
        self.0
    }
}

/// Makes batches of a set's images.
struct Images(Arc<ImageSet>);

impl Images {
    fn labels(&self, indices: &[usize]) -> Arc<Vec<i64>> {
        let label = |&index: &usize| self.0.label(index) as i64;
        Arc::new(indices.iter().map(label).collect())
    }
}

impl Batcher<usize, ImageBatch> for Images {
    fn batch(&self, indices: Vec<usize>, device: &Device) -> ImageBatch {
        ImageBatch {
            images: image_tensor(&self.0, &indices, device),
            labels: self.labels(&indices),
        }
    }
}

/// Makes batches of one augmented view of each image, which depends on the seed, the step, the image, and
/// how often the batch shows it before.
struct Augmented {
    images: Images,
    views: Views,
    seed: u64,
}

impl StepBatcher<usize, ImageBatch> for Augmented {
    fn batch(&self, indices: Vec<usize>, step: usize, device: &Device) -> ImageBatch {
        let plain = self.images.batch(indices.clone(), device);
        let [_, _, height, width] = plain.images.dims();
        let parameters: Vec<_> = indices
            .iter()
            .enumerate()
            .map(|(place, index)| {
                let before = indices[..place].iter().filter(|&i| i == index).count();
                let key = *index as u64;
                let side = [height, width];
                self.views.sample(side, self.seed, step, key, before)
            })
            .collect();
        ImageBatch {
            images: apply_views(plain.images, &parameters),
            ..plain
        }
    }
}

/// Which batches a training shows.
pub struct TrainingBatches {
    /// Classes in a batch.
    pub classes_per_batch: usize,
    /// Images of each class in a batch.
    pub images_per_class: usize,
    /// Batches of an epoch.
    pub batches: usize,
    /// Decides the order and the augmentation.
    pub seed: u64,
}

impl TrainingBatches {
    /// The loader of augmented, class-balanced batches, which begins with this epoch, counted from 1.
    pub fn loader(
        &self,
        images: Arc<ImageSet>,
        views: Views,
        device: &Device,
        epoch: usize,
    ) -> ClassBalancedLoader<usize, ImageBatch> {
        let sampler =
            ClassBalancedSamplerConfig::new(self.classes_per_batch, self.images_per_class)
                .with_batches(Some(self.batches))
                .with_seed(self.seed)
                .init(images.labels());
        let dataset = Arc::new(Indices(images.len()));
        let batcher = Augmented {
            images: Images(images),
            views,
            seed: self.seed,
        };
        ClassBalancedLoader::by_step(dataset, Arc::new(batcher), sampler, device).starting_at(epoch)
    }
}

/// The loader of all images of a set in their order, as they are.
pub fn plain_batches(images: Arc<ImageSet>, batch_size: usize) -> Arc<dyn DataLoader<ImageBatch>> {
    let dataset = Indices(images.len());
    DataLoaderBuilder::new(Images(images))
        .batch_size(batch_size)
        .build(dataset)
}
