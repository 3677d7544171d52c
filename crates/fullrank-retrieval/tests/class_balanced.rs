//! The class-balanced sampler, its dataset and its loader.

use std::collections::BTreeMap;
use std::sync::Arc;

use burn::data::dataloader::DataLoader;
use burn::data::dataloader::batcher::Batcher;
use burn::data::dataset::{Dataset, InMemDataset};
use burn::tensor::Device;
use fullrank_retrieval::{
    ClassBalancedDataset, ClassBalancedLoader, ClassBalancedSampler, ClassBalancedSamplerConfig,
    StepBatcher,
};
use proptest::prelude::*;

/// How often each value occurs.
fn counts<T: Ord>(values: impl IntoIterator<Item = T>) -> BTreeMap<T, usize> {
    let mut counts = BTreeMap::new();
    for value in values {
        *counts.entry(value).or_insert(0) += 1;
    }
    counts
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn batches_are_balanced_and_epochs_cover_the_classes(
        labels in prop::collection::vec(0u8..12, 12..200),
        classes in 1usize..6,
        images in 1usize..6,
        seed in 0u64..1000,
    ) {
        let sizes = counts(labels.iter().copied());
        prop_assume!(sizes.len() >= classes);
        let sampler = ClassBalancedSamplerConfig::new(classes, images).with_seed(seed).init(&labels);
        let every_class = sizes.len().div_ceil(classes);
        let every_image = labels.len().div_ceil(classes * images);
        prop_assert_eq!(sampler.num_batches(), every_class.max(every_image));
        let epoch = sampler.epoch(3);
        prop_assert_eq!(epoch.len(), sampler.num_batches());
        for batch in &epoch {
            let of_batch = counts(batch.iter().map(|&i| labels[i]));
            prop_assert_eq!(of_batch.len(), classes);
            prop_assert!(of_batch.values().all(|&count| count == images));
            // An image twice only where its class is small, and then as evenly as can be.
            for (&i, &times) in &counts(batch.iter().copied()) {
                prop_assert!(times <= images.div_ceil(sizes[&labels[i]]));
            }
        }
        let seen = counts(epoch.concat().iter().map(|&i| labels[i]));
        prop_assert_eq!(seen.len(), sizes.len());
        // The same whatever was asked for before.
        sampler.epoch(2);
        prop_assert_eq!(&epoch, &sampler.epoch(3));
        let anew = ClassBalancedSamplerConfig::new(classes, images).with_seed(seed).init(&labels);
        prop_assert_eq!(&epoch, &anew.epoch(3));
    }

    /// An epoch goes on where the last ended: of a class that has come up `n` times, `n K` images were
    /// shown, each as often as another, give or take one more for each end of its deck within a batch.
    #[test]
    fn every_image_is_shown_as_often_as_another(
        sizes in prop::collection::vec(1usize..40, 2..12),
        classes in 1usize..4,
        images in 1usize..6,
        batches in 1usize..5,
        epochs in 1usize..12,
    ) {
        prop_assume!(sizes.len() >= classes);
        let labels: Vec<usize> =
            (0..sizes.len()).flat_map(|class| vec![class; sizes[class]]).collect();
        let sampler = ClassBalancedSamplerConfig::new(classes, images)
            .with_batches(Some(batches))
            .init(&labels);
        let shown = counts((1..=epochs).flat_map(|epoch| sampler.epoch(epoch).concat()));
        for class in 0..sizes.len() {
            let times = |i| shown.get(&i).copied().unwrap_or(0);
            let of_class: Vec<usize> =
                (0..labels.len()).filter(|&i| labels[i] == class).map(times).collect();
            let (most, least) = (of_class.iter().max().unwrap(), of_class.iter().min().unwrap());
            prop_assert!(most - least <= 1, "{of_class:?}");
        }
        // And so is every class, if an epoch is not longer than all of them.
        if classes * batches <= sizes.len() {
            let drawn = counts(shown.iter().flat_map(|(&i, &times)| vec![labels[i]; times]));
            let times = |class| drawn.get(&class).map_or(0, |images_shown| images_shown / images);
            let most = (0..sizes.len()).map(times).max().unwrap();
            let least = (0..sizes.len()).map(times).min().unwrap();
            prop_assert!(most - least <= 1);
        }
    }
}

/// Ten classes of sixty images: 15 epochs of three batches of 4 x 4 draw each class at least 15 times.
#[test]
fn short_epochs_show_every_image() {
    let labels: Vec<usize> = (0..600).map(|i| i / 60).collect();
    let sampler = ClassBalancedSamplerConfig::new(4, 4)
        .with_batches(Some(3))
        .with_seed(1)
        .init(&labels);
    let shown = counts((1..=15).flat_map(|epoch| sampler.epoch(epoch).concat()));
    assert_eq!(shown.len(), 600);
    for epoch in 1..=15 {
        let draws = counts(sampler.epoch(epoch).concat().iter().map(|&i| labels[i]));
        assert_eq!(draws.len(), 10);
        assert!(draws.values().all(|&images| images == 4 || images == 8));
    }
}

/// By default an epoch has as many images as there are.
#[test]
fn the_default_epoch_is_as_long_as_the_data() {
    let labels: Vec<usize> = (0..600).map(|i| i / 60).collect();
    let sampler = ClassBalancedSamplerConfig::new(10, 12).init(&labels);
    assert_eq!(sampler.num_batches(), 5);
    assert_eq!(counts(sampler.epoch(1).concat()).len(), 600);
}

/// pytorch-metric-learning's test of MPerClassSampler: 10,000 items of 100 labels, 5 of a label, batches
/// of 100 in a length of 9,999 at most: 20 labels, 5 items of each, in every batch.
#[test]
fn twenty_classes_of_five() {
    let labels: Vec<usize> = (0..10_000).map(|i| i * 37 % 100).collect();
    let sampler = ClassBalancedSamplerConfig::new(20, 5)
        .with_batches(Some(95))
        .init(&labels);
    let epoch = sampler.epoch(1);
    assert_eq!((epoch.len(), sampler.batch_size()), (95, 100));
    for batch in &epoch {
        let of_batch = counts(batch.iter().map(|&i| labels[i]));
        assert_eq!(of_batch.len(), 20);
        assert!(of_batch.values().all(|&count| count == 5));
    }
    // 95 batches of 20 of 100 classes: each comes up 19 times, with 95 of its 100 images.
    let classes = counts(epoch.iter().flatten().map(|&i| labels[i]));
    assert!(classes.values().all(|&count| count == 95));
    assert!(counts(epoch.concat()).values().all(|&count| count == 1));
}

#[test]
fn epochs_and_seeds_differ() {
    let labels: Vec<usize> = (0..60).map(|i| i / 6).collect();
    let sampler = |seed| {
        ClassBalancedSamplerConfig::new(4, 3)
            .with_seed(seed)
            .init(&labels)
    };
    assert_ne!(sampler(1).epoch(1), sampler(1).epoch(2));
    assert_ne!(sampler(1).epoch(1), sampler(2).epoch(1));
    assert_eq!(sampler(1).epoch(2), sampler(1).epoch(2));
}

/// A batch of items is their list.
struct List;

impl Batcher<usize, Vec<usize>> for List {
    fn batch(&self, items: Vec<usize>, _device: &Device) -> Vec<usize> {
        items
    }
}

type Loader = ClassBalancedLoader<usize, Vec<usize>>;

/// Item `i` is 1000 + i.
fn loader() -> (ClassBalancedSampler, Arc<dyn Dataset<usize>>, Loader) {
    let labels: Vec<usize> = (0..40).map(|i| i / 4).collect();
    let sampler = ClassBalancedSamplerConfig::new(3, 2)
        .with_batches(Some(4))
        .init(&labels);
    let dataset: Arc<dyn Dataset<usize>> =
        Arc::new(InMemDataset::new((1000..1040).collect::<Vec<usize>>()));
    let loader = ClassBalancedLoader::new(
        dataset.clone(),
        Arc::new(List),
        sampler.clone(),
        &Device::default(),
    );
    (sampler, dataset, loader)
}

fn served(loader: &dyn DataLoader<Vec<usize>>) -> Vec<Vec<usize>> {
    loader.iter().map(|batch| batch.unwrap()).collect()
}

fn items(epoch: Vec<Vec<usize>>) -> Vec<Vec<usize>> {
    let item = |i: usize| 1000 + i;
    epoch
        .into_iter()
        .map(|batch| batch.into_iter().map(item).collect())
        .collect()
}

#[test]
fn the_loader_serves_epoch_after_epoch() {
    let (sampler, _, loader) = loader();
    assert_eq!(loader.num_items(), 24);
    assert_eq!(served(&loader), items(sampler.epoch(1)));
    // A copy continues the count, a resumed one starts where it is told.
    assert_eq!(
        served(loader.to_device(&Device::default()).as_ref()),
        items(sampler.epoch(2))
    );
    assert_eq!(served(&loader), items(sampler.epoch(3)));
    assert_eq!(
        served(&loader.clone().starting_at(2)),
        items(sampler.epoch(2))
    );
    let mut iterator = loader.iter();
    iterator.next();
    let progress = iterator.progress();
    assert_eq!((progress.items_processed, progress.items_total), (6, 24));
}

/// Puts the step in front of the items.
struct Stepped;

impl StepBatcher<usize, Vec<usize>> for Stepped {
    fn batch(&self, items: Vec<usize>, step: usize, _device: &Device) -> Vec<usize> {
        [vec![step], items].concat()
    }
}

#[test]
fn steps_count_over_the_epochs() {
    let (sampler, dataset, _) = loader();
    let device = Device::default();
    let loader = ClassBalancedLoader::by_step(dataset, Arc::new(Stepped), sampler, &device);
    let steps = |loader: &dyn DataLoader<Vec<usize>>| -> Vec<usize> {
        served(loader).iter().map(|batch| batch[0]).collect()
    };
    assert_eq!(steps(&loader), [0, 1, 2, 3]);
    assert_eq!(steps(&loader), [4, 5, 6, 7]);
    let resumed = loader.starting_at(3);
    assert_eq!(steps(resumed.slice(12, 24).as_ref()), [10, 11]);
    assert_eq!(steps(&resumed), [8, 9, 10, 11]);
}

#[test]
fn slices_together_are_the_epoch() {
    let (sampler, _, loader) = loader();
    for cut in [6, 7, 12, 18] {
        let parts = [loader.slice(0, cut), loader.slice(cut, 24)];
        let whole: Vec<Vec<usize>> = parts
            .iter()
            .flat_map(|part| served(part.as_ref()))
            .collect();
        assert_eq!(whole, items(sampler.epoch(1)), "cut at {cut}");
    }
}

#[test]
fn the_dataset_is_an_epoch() {
    let (sampler, dataset, _) = loader();
    let epoch = ClassBalancedDataset::new(dataset, &sampler, 5);
    assert_eq!(epoch.len(), 24);
    let all: Vec<usize> = (0..24).map(|i| epoch.get(i).unwrap()).collect();
    assert_eq!(all, items(sampler.epoch(5)).concat());
}

#[test]
#[should_panic(expected = "a batch of 5 classes cannot be filled from 2")]
fn too_few_classes() {
    ClassBalancedSamplerConfig::new(5, 2).init(&[0, 1, 0, 1]);
}

#[test]
#[should_panic(expected = "epochs count from 1, got 0")]
fn no_epoch() {
    ClassBalancedSamplerConfig::new(2, 2)
        .init(&[0, 1, 0, 1])
        .epoch(0);
}

#[test]
#[should_panic(expected = "a batch must have classes and images, got 2 x 0")]
fn no_images() {
    ClassBalancedSamplerConfig::new(2, 0).init(&[0, 1, 0, 1]);
}
