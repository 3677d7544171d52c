//! A convolutional encoder small enough for a CPU.

use burn::config::Config;
use burn::module::Module;
use burn::nn::conv::Conv2d;
use burn::nn::{BatchNorm, BatchNormConfig};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};

use crate::resnet::{conv, global_mean};

/// Configuration of [`SmallCnn`].
#[derive(Config, Debug)]
pub struct SmallCnnConfig {
    /// Channels of the images.
    pub channels_in: usize,
    /// Channels after the first convolution; the features are four times as many. Default: 32
    #[config(default = 32)]
    pub width: usize,
}

impl SmallCnnConfig {
    /// Builds the network on `device`.
    ///
    /// # Panics
    ///
    /// If `channels_in` or `width` is zero.
    pub fn init(&self, device: &Device) -> SmallCnn {
        assert!(self.channels_in > 0, "channels_in must be positive, got 0");
        assert!(self.width > 0, "width must be positive, got 0");
        let w = self.width;
        let layers = [
            (self.channels_in, w, 2),
            (w, 2 * w, 2),
            (2 * w, 4 * w, 2),
            (4 * w, 4 * w, 1),
        ]
        .map(|(channels_in, channels, stride)| ConvLayer {
            conv: conv([channels_in, channels], 3, stride, device),
            norm: BatchNormConfig::new(channels).init(device),
        });
        SmallCnn {
            layers: layers.into(),
            features: 4 * w,
        }
    }
}

/// Four 3 x 3 convolutions, each with batch normalization and ReLU, and a global mean.
///
/// With the width `w` the channels are `w`, `2w`, `4w` and `4w`; all but the last layer have stride 2,
/// the first too, for it would otherwise take half of the time.
/// Convolutions have no bias and start as in [`ResNet18`](crate::resnet::ResNet18). Meant for
/// images of 28 x 28 and 32 x 32.
///
/// Made by [`SmallCnnConfig`].
#[derive(Module, Debug)]
pub struct SmallCnn {
    layers: Vec<ConvLayer>,
    features: usize,
}

impl SmallCnn {
    /// Length of a feature vector: four times the width.
    pub fn features(&self) -> usize {
        self.features
    }

    /// Features of a batch of images.
    ///
    /// # Shapes
    ///
    /// - images: `[n, channels_in, height, width]`
    /// - output: `[n, features]`
    pub fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        let maps = self.layers.iter().fold(images, |x, layer| {
            relu(layer.norm.forward(layer.conv.forward(x)))
        });
        global_mean(maps)
    }
}

#[derive(Module, Debug)]
struct ConvLayer {
    conv: Conv2d,
    norm: BatchNorm,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_image_sizes_give_four_times_the_width() {
        let device = Device::default();
        for (channels, side) in [(1, 28), (3, 32)] {
            let network = SmallCnnConfig::new(channels).with_width(3).init(&device);
            let features = network.forward(Tensor::ones([2, channels, side, side], &device));
            assert_eq!(features.dims(), [2, 12]);
        }
    }

    #[test]
    #[should_panic(expected = "width must be positive")]
    fn zero_width_is_rejected() {
        SmallCnnConfig::new(1)
            .with_width(0)
            .init(&Device::default());
    }
}
