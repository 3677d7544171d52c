//! A data loader of augmented views that an interrupted run can take up again: what an epoch shows
//! depends on the seed and the number of the epoch, and on nothing else.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use burn::data::dataloader::{DataLoader, DataLoaderIterator, Progress};
use burn::data::dataset::DatasetError;
use burn::prelude::*;
use datasets::ImageSet;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use crate::views::Views;

/// Two augmented views of the same images.
#[derive(Clone, Debug)]
pub struct ViewBatch {
    /// The views, each `[batch, channels, height, width]` with values in `[0, 1]`.
    pub views: [Tensor<4>; 2],
    /// The class of each image, `[batch]`; no self-supervised loss reads it.
    pub labels: Tensor<1, Int>,
    /// The index of each image in its [`ImageSet`].
    pub indices: Vec<usize>,
}

/// Serves an in-memory [`ImageSet`] as batches of two views each, made on the loader's device.
///
/// [`ViewLoader::training`] shuffles anew every epoch, [`ViewLoader::validation`] shows the same
/// views in the order of the set every time. The order depends on `(seed, epoch)` and the views of
/// an image on `(seed, epoch, index)`, so that a run resumed at an epoch sees what the
/// uninterrupted run saw, whatever the batch size.
///
/// Copies made by [`to_device`](DataLoader::to_device) share the count of epochs with the
/// original; each [`slice`](DataLoader::slice) counts for itself, since all slices of a loader are
/// read within one epoch. A slice is a range of positions in the *shuffled* order: together the
/// slices of a loader show what the loader shows.
#[derive(Clone, Debug)]
pub struct ViewLoader {
    images: Arc<ImageSet>,
    views: Views,
    batch_size: usize,
    seed: u64,
    device: Device,
    positions: Range<usize>,
    epochs: Epochs,
    shard: Shard,
}

/// Whose rows of a batch are served.
#[derive(Clone, Copy, Debug)]
struct Shard {
    worker: usize,
    workers: usize,
}

impl Shard {
    const WHOLE: Self = Self {
        worker: 0,
        workers: 1,
    };

    /// Of a batch of so many rows.
    fn rows(self, batch: usize) -> Range<usize> {
        let start = |worker| worker * batch / self.workers;
        start(self.worker)..start(self.worker + 1)
    }
}

/// Which epoch the next call of `iter` serves.
#[derive(Clone, Debug)]
enum Epochs {
    /// Shuffled; counted up at each call.
    Counted(Arc<AtomicUsize>),
    /// In order, with the views of epoch 0.
    Fixed,
}

impl ViewLoader {
    /// A loader for training: shuffled, without a last short batch, from epoch 1.
    ///
    /// # Panics
    ///
    /// If `batch_size` is zero or there are fewer images than one batch holds.
    pub fn training(
        images: Arc<ImageSet>,
        views: Views,
        batch_size: usize,
        seed: u64,
        device: &Device,
    ) -> Self {
        assert!(
            (1..=images.len()).contains(&batch_size),
            "a batch of {batch_size} cannot be filled from {} images",
            images.len()
        );
        // Losses of batch statistics change with the batch size: no short batch.
        let positions = 0..images.len() / batch_size * batch_size;
        let epochs = Epochs::Counted(Arc::new(AtomicUsize::new(1)));
        Self {
            images,
            views,
            batch_size,
            seed,
            device: device.clone(),
            positions,
            epochs,
            shard: Shard::WHOLE,
        }
    }

    /// A loader for validation: every image once, in order, always with the same views (those of
    /// epoch 0, which no training loader shows).
    ///
    /// # Panics
    ///
    /// If `batch_size` is zero.
    pub fn validation(
        images: Arc<ImageSet>,
        views: Views,
        batch_size: usize,
        seed: u64,
        device: &Device,
    ) -> Self {
        assert!(batch_size > 0, "the batch size must be at least 1, got 0");
        let positions = 0..images.len();
        let epochs = Epochs::Fixed;
        Self {
            images,
            views,
            batch_size,
            seed,
            device: device.clone(),
            positions,
            epochs,
            shard: Shard::WHOLE,
        }
    }

    /// Sets the epoch that the next call of `iter` serves; for a run resumed from the checkpoint
    /// of epoch `k` that is `k + 1`. No effect on a validation loader. Default: `1`.
    #[must_use]
    pub fn starting_at(mut self, epoch: usize) -> Self {
        if let Epochs::Counted(_) = self.epochs {
            self.epochs = Epochs::Counted(Arc::new(AtomicUsize::new(epoch)));
        }
        self
    }

    /// Serves of every batch the rows of one of the `workers` that share it, each a contiguous part: the same images and
    /// views that the loader of the whole batch shows there. The numbers of items and of batches are those of the whole.
    ///
    /// # Panics
    ///
    /// If `worker` is not below `workers`.
    #[must_use]
    pub fn shard(mut self, worker: usize, workers: usize) -> Self {
        assert!(
            worker < workers,
            "worker {worker} of {workers} is counted from 0"
        );
        self.shard = Shard { worker, workers };
        self
    }

    /// Batches that one call of `iter` serves.
    pub fn num_batches(&self) -> usize {
        self.num_items().div_ceil(self.batch_size)
    }

    /// The indices of the images in the order in which `epoch` shows them, all positions.
    fn order(&self, epoch: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.images.len()).collect();
        if let Epochs::Counted(_) = self.epochs {
            let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
            rng.set_stream(epoch as u64);
            order.shuffle(&mut rng);
        }
        order
    }

    fn batch(&self, epoch: usize, indices: &[usize]) -> ViewBatch {
        let images = image_tensor(&self.images, indices, &self.device);
        let keys: Vec<u64> = indices.iter().map(|&index| index as u64).collect();
        let labels: Vec<i32> = indices
            .iter()
            .map(|&i| self.images.label(i) as i32)
            .collect();
        ViewBatch {
            views: self.views.two_views(images, &keys, self.seed, epoch),
            labels: Tensor::from_data(TensorData::new(labels, [indices.len()]), &self.device),
            indices: indices.to_vec(),
        }
    }
}

/// The images of these indices as one tensor with values in `[0, 1]`.
///
/// # Shapes
///
/// - output: `[indices.len(), channels, height, width]`
///
/// # Panics
///
/// If an index is out of range.
pub fn image_tensor(images: &ImageSet, indices: &[usize], device: &Device) -> Tensor<4> {
    let [channels, height, width] = images.shape();
    let mut values = Vec::with_capacity(indices.len() * channels * height * width);
    for &index in indices {
        values.extend(
            images
                .image(index)
                .iter()
                .map(|&byte| f32::from(byte) / 255.0),
        );
    }
    Tensor::from_data(
        TensorData::new(values, [indices.len(), channels, height, width]),
        device,
    )
}

/// The features of all images of a set as they are, in their order, from batches of at most `batch_size`.
///
/// # Shapes
///
/// - `features`: from `[n, channels, height, width]` to `[n, dimensions]`
/// - output: `[images.len(), dimensions]`
///
/// # Panics
///
/// If there are no images or `batch_size` is zero.
pub fn features_of(
    images: &ImageSet,
    batch_size: usize,
    device: &Device,
    features: impl Fn(Tensor<4>) -> Tensor<2>,
) -> Tensor<2> {
    let indices: Vec<usize> = (0..images.len()).collect();
    let batches = indices.chunks(batch_size);
    let rows = batches.map(|batch| features(image_tensor(images, batch, device)));
    Tensor::cat(rows.collect(), 0)
}

impl DataLoader<ViewBatch> for ViewLoader {
    fn iter<'a>(&'a self) -> Box<dyn DataLoaderIterator<ViewBatch> + 'a> {
        let epoch = match &self.epochs {
            Epochs::Counted(next) => next.fetch_add(1, Ordering::SeqCst),
            Epochs::Fixed => 0,
        };
        let order = self.order(epoch)[self.positions.clone()].to_vec();
        Box::new(ViewIterator {
            loader: self,
            epoch,
            order,
            served: 0,
        })
    }

    fn num_items(&self) -> usize {
        self.positions.len()
    }

    fn to_device(&self, device: &Device) -> Arc<dyn DataLoader<ViewBatch>> {
        Arc::new(Self {
            device: device.clone(),
            ..self.clone()
        })
    }

    fn slice(&self, start: usize, end: usize) -> Arc<dyn DataLoader<ViewBatch>> {
        let mut slice = self.clone();
        slice.positions = self.positions.start + start..self.positions.start + end;
        if let Epochs::Counted(next) = &self.epochs {
            slice.positions.end -= (end - start) % self.batch_size;
            slice = slice.starting_at(next.load(Ordering::SeqCst));
        }
        Arc::new(slice)
    }
}

/// One epoch of a [`ViewLoader`].
struct ViewIterator<'a> {
    loader: &'a ViewLoader,
    epoch: usize,
    order: Vec<usize>,
    served: usize,
}

impl Iterator for ViewIterator<'_> {
    type Item = Result<ViewBatch, DatasetError>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = &self.order[self.served..];
        if rest.is_empty() {
            return None;
        }
        let indices = &rest[..rest.len().min(self.loader.batch_size)];
        let own = &indices[self.loader.shard.rows(indices.len())];
        let batch = self.loader.batch(self.epoch, own);
        self.served += indices.len();
        Some(Ok(batch))
    }
}

impl DataLoaderIterator<ViewBatch> for ViewIterator<'_> {
    fn progress(&self) -> Progress {
        Progress::new(self.served, self.order.len(), Some("images".to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::views::ViewsConfig;

    /// Ten images of 4 x 4, each of its own gray.
    fn images() -> Arc<ImageSet> {
        let pixels = (0..10).flat_map(|image| [20 * image as u8; 16]).collect();
        let labels = (0..10).map(|image| image % 2).collect();
        Arc::new(ImageSet::new(
            [1, 4, 4],
            pixels,
            labels,
            vec!["even".into(), "odd".into()],
        ))
    }

    fn training() -> ViewLoader {
        ViewLoader::training(
            images(),
            ViewsConfig::new().init(),
            4,
            7,
            &Device::default(),
        )
    }

    fn batches(loader: &dyn DataLoader<ViewBatch>) -> Vec<ViewBatch> {
        loader.iter().map(|batch| batch.unwrap()).collect()
    }

    fn pixels(batches: &[ViewBatch]) -> Vec<Vec<f32>> {
        let views = batches.iter().flat_map(|batch| batch.views.clone());
        views
            .map(|view| view.into_data().iter::<f32>().collect())
            .collect()
    }

    fn indices(batches: &[ViewBatch]) -> Vec<usize> {
        batches
            .iter()
            .flat_map(|batch| batch.indices.clone())
            .collect()
    }

    #[test]
    fn a_resumed_loader_shows_what_the_uninterrupted_one_shows() {
        let whole = training();
        let epochs: Vec<_> = (0..3).map(|_| batches(&whole)).collect();
        let resumed = batches(&training().starting_at(3));
        assert_eq!(indices(&resumed), indices(&epochs[2]));
        assert_eq!(pixels(&resumed), pixels(&epochs[2]));
        assert_ne!(indices(&epochs[0]), indices(&epochs[1]));
        assert_ne!(pixels(&epochs[1]), pixels(&epochs[2]));
    }

    #[test]
    fn training_has_no_short_batch() {
        let loader = training();
        assert_eq!((loader.num_items(), loader.num_batches()), (8, 2));
        let batches = batches(&loader);
        assert!(
            batches
                .iter()
                .all(|batch| batch.views[0].dims() == [4, 1, 4, 4])
        );
        let mut seen = indices(&batches);
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 8);
    }

    #[test]
    fn validation_shows_every_image_in_order_and_always_the_same_views() {
        let views = ViewsConfig::new().init();
        let loader = ViewLoader::validation(images(), views, 4, 7, &Device::default());
        let (first, second) = (batches(&loader), batches(&loader));
        assert_eq!(indices(&first), (0..10).collect::<Vec<_>>());
        assert_eq!(first[2].views[1].dims(), [2, 1, 4, 4]);
        assert_eq!(pixels(&first), pixels(&second));
        let labels: Vec<i64> = first[0].labels.clone().into_data().iter().collect();
        assert_eq!(labels, [0, 1, 0, 1]);
    }

    #[test]
    fn a_copy_on_a_device_continues_the_count_of_epochs() {
        let original = training();
        let copy = original.to_device(&Device::default());
        let first = indices(&batches(copy.as_ref()));
        let second = indices(&batches(&original));
        assert_ne!(first, second);
        assert_eq!(second, indices(&batches(&training().starting_at(2))));
    }

    #[test]
    fn slices_together_show_the_epoch() {
        let loader = training().starting_at(5);
        let halves = [loader.slice(0, 4), loader.slice(4, 8)];
        let parts: Vec<usize> = halves
            .iter()
            .flat_map(|half| indices(&batches(half.as_ref())))
            .collect();
        assert_eq!(parts, indices(&batches(&loader)));
    }

    #[test]
    fn shards_together_show_every_batch() {
        let whole = batches(&training());
        let shards: Vec<Vec<ViewBatch>> = (0..3)
            .map(|worker| batches(&training().shard(worker, 3)))
            .collect();
        for (step, batch) in whole.iter().enumerate() {
            let parts: Vec<ViewBatch> = shards.iter().map(|shard| shard[step].clone()).collect();
            let sizes: Vec<usize> = parts.iter().map(|part| part.indices.len()).collect();
            assert_eq!(sizes, [1, 1, 2]);
            assert_eq!(indices(&parts), batch.indices);
            for view in 0..2 {
                let rows = parts.iter().map(|part| part.views[view].clone());
                let together = Tensor::cat(rows.collect(), 0).into_data();
                together.assert_eq(&batch.views[view].clone().into_data(), true);
            }
        }
        assert_eq!(shards[0].len(), whole.len());
    }

    #[test]
    fn pixels_are_scaled_to_one() {
        let tensor = image_tensor(&images(), &[1, 3], &Device::default());
        assert_eq!(tensor.dims(), [2, 1, 4, 4]);
        let values: Vec<f32> = tensor.into_data().iter().collect();
        assert_eq!((values[0], values[31]), (20.0 / 255.0, 60.0 / 255.0));
    }

    #[test]
    #[should_panic(expected = "a batch of 11 cannot be filled from 10 images")]
    fn a_batch_needs_its_images() {
        ViewLoader::training(
            images(),
            ViewsConfig::new().init(),
            11,
            7,
            &Device::default(),
        );
    }
}
