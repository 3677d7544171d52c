//! Inputs of the tests.

use burn::data::dataloader::Progress;
use burn::tensor::{Device, Tensor};
use burn::train::metric::MetricMetadata;

pub(super) fn rows<const N: usize, const D: usize>(values: [[f32; D]; N]) -> Tensor<2> {
    Tensor::from_floats(values, &Device::default())
}

pub(super) fn at(iteration: usize) -> MetricMetadata {
    let progress = Progress::new(1, 1, None);
    MetricMetadata {
        progress,
        iteration: Some(iteration),
        lr: None,
    }
}
