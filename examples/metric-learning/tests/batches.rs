//! What a training shows of its images.

mod common;

use std::sync::Arc;

use burn::data::dataloader::DataLoader;
use burn::tensor::{Device, Tensor};
use datasets::ImageSet;
use fullrank_vision::views::ViewsConfig;
use metric_learning::batches::{ImageBatch, TrainingBatches, plain_batches};
use metric_learning::config::DataName;
use metric_learning::data;

fn images() -> Arc<ImageSet> {
    let data = data::load(&common::tiny(DataName::EmojiMini).data).unwrap();
    assert_eq!((data.train.len(), data.test.len()), (120, 120));
    data.train
}

fn batches(classes_per_batch: usize, images_per_class: usize) -> TrainingBatches {
    TrainingBatches {
        classes_per_batch,
        images_per_class,
        batches: 3,
        seed: 9,
    }
}

fn served(loader: &dyn DataLoader<ImageBatch>) -> Vec<(Vec<f32>, Vec<i64>)> {
    loader
        .iter()
        .map(|batch| {
            let batch = batch.unwrap();
            (values(batch.images), batch.labels.to_vec())
        })
        .collect()
}

fn values(images: Tensor<4>) -> Vec<f32> {
    images.into_data().iter().collect()
}

#[test]
fn each_loss_gets_its_layout() {
    let views = ViewsConfig::new().init();
    for (classes, per_class) in [(6, 4), (4, 6), (12, 2)] {
        let loader =
            batches(classes, per_class).loader(images(), views.clone(), &Device::flex(), 1);
        let served = served(&loader);
        assert_eq!(served.len(), 3);
        for (pixels, labels) in served {
            assert_eq!(labels.len(), classes * per_class);
            assert_eq!(pixels.len(), labels.len() * 3 * 32 * 32);
            let mut distinct = Vec::new();
            for class in labels.chunks(per_class) {
                assert!(class.iter().all(|label| *label == class[0]), "{class:?}");
                assert!(!distinct.contains(&class[0]));
                distinct.push(class[0]);
            }
        }
    }
}

#[test]
fn a_step_decides_what_is_shown() {
    let (set, device) = (images(), Device::flex());
    let loader = |epoch| {
        let views = ViewsConfig::new().init();
        batches(6, 4).loader(set.clone(), views, &device, epoch)
    };
    let whole = loader(1);
    let (first, second) = (served(&whole), served(&whole));
    assert_eq!(served(&loader(2)), second);
    assert_eq!(served(&loader(1)), first);
    assert_ne!(first, second);
    // A class with fewer images than the batch wants shows one again, seen otherwise.
    let few = Arc::new(set.first_per_class(1));
    let views = ViewsConfig::new().init();
    let loader = batches(2, 2).loader(few, views, &device, 1);
    for (pixels, _) in served(&loader) {
        let (image, again) = pixels[..2 * 3072].split_at(3072);
        assert_ne!(image, again);
    }
}

#[test]
fn a_test_image_is_shown_once_and_as_it_is() {
    let set = images();
    let loader = plain_batches(set.clone(), 50);
    let batches: Vec<ImageBatch> = loader.iter().map(Result::unwrap).collect();
    let sizes: Vec<usize> = batches.iter().map(|batch| batch.labels.len()).collect();
    assert_eq!(sizes, [50, 50, 20]);
    let labels: Vec<i64> = batches.iter().flat_map(|b| b.labels.to_vec()).collect();
    let expected: Vec<i64> = set.labels().iter().map(|&label| label as i64).collect();
    assert_eq!(labels, expected);
    let pixels = values(batches[0].images.clone());
    assert_eq!(
        pixels[..3072],
        set.image(0)
            .iter()
            .map(|&b| f32::from(b) / 255.0)
            .collect::<Vec<_>>()
    );
}
