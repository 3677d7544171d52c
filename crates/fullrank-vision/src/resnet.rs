//! ResNet-18 for small images.

use std::f64::consts::SQRT_2;

use burn::config::Config;
use burn::module::{Initializer, Module};
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{BatchNorm, BatchNormConfig, PaddingConfig2d};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};

/// Configuration of [`ResNet18`].
#[derive(Config, Debug)]
pub struct ResNet18Config {
    /// Channels of the images.
    pub channels_in: usize,
    /// Whether the last batch normalization of each block starts with a scale of zero, so that
    /// each block starts as the identity; as in the official code of VICReg. Default: true
    #[config(default = true)]
    pub zero_init_residual: bool,
}

impl ResNet18Config {
    /// Builds the network on `device`.
    ///
    /// # Panics
    ///
    /// If `channels_in` is zero.
    pub fn init(&self, device: &Device) -> ResNet18 {
        assert!(self.channels_in > 0, "channels_in must be positive, got 0");
        let stages = [(64, 64, 1), (64, 128, 2), (128, 256, 2), (256, 512, 2)];
        let blocks = stages
            .iter()
            .flat_map(|&(channels_in, channels, stride)| {
                [(channels_in, channels, stride), (channels, channels, 1)]
            })
            .map(|(channels_in, channels, stride)| {
                self.block(channels_in, channels, stride, device)
            })
            .collect();
        ResNet18 {
            stem: conv([self.channels_in, 64], 3, 1, device),
            stem_norm: BatchNormConfig::new(64).init(device),
            blocks,
        }
    }

    fn block(
        &self,
        channels_in: usize,
        channels: usize,
        stride: usize,
        device: &Device,
    ) -> BasicBlock {
        let norm = || BatchNormConfig::new(channels).init(device);
        let mut norm2 = norm();
        if self.zero_init_residual {
            norm2.gamma = Initializer::Zeros.init([channels], device);
        }
        let shortcut = (stride != 1 || channels_in != channels).then(|| Shortcut {
            conv: conv([channels_in, channels], 1, stride, device),
            norm: norm(),
        });
        BasicBlock {
            conv1: conv([channels_in, channels], 3, stride, device),
            norm1: norm(),
            conv2: conv([channels, channels], 3, 1, device),
            norm2,
            shortcut,
        }
    }
}

/// ResNet-18 (He et al., CVPR 2016) without its classifier, for images of about 32 x 32.
///
/// The stem is one 3 x 3 convolution of stride 1 without max pooling, as is usual for CIFAR; the
/// four stages have 64, 128, 256 and 512 channels and two basic blocks each. Convolutions have no
/// bias and start from a normal distribution of variance `2 / fan_out` (Kaiming), as in
/// torchvision.
///
/// Made by [`ResNet18Config`].
#[derive(Module, Debug)]
pub struct ResNet18 {
    stem: Conv2d,
    stem_norm: BatchNorm,
    blocks: Vec<BasicBlock>,
}

impl ResNet18 {
    /// Length of a feature vector.
    pub const FEATURES: usize = 512;

    /// Features of a batch of images: the means over the last maps.
    ///
    /// # Shapes
    ///
    /// - images: `[n, channels_in, height, width]`
    /// - output: `[n, 512]`
    pub fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        let mut x = relu(self.stem_norm.forward(self.stem.forward(images)));
        for block in &self.blocks {
            x = block.forward(x);
        }
        global_mean(x)
    }
}

/// Two 3 x 3 convolutions with a shortcut around them.
#[derive(Module, Debug)]
struct BasicBlock {
    conv1: Conv2d,
    norm1: BatchNorm,
    conv2: Conv2d,
    norm2: BatchNorm,
    shortcut: Option<Shortcut>,
}

impl BasicBlock {
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let shortcut = match &self.shortcut {
            Some(shortcut) => shortcut.norm.forward(shortcut.conv.forward(x.clone())),
            None => x.clone(),
        };
        let x = relu(self.norm1.forward(self.conv1.forward(x)));
        let x = self.norm2.forward(self.conv2.forward(x));
        relu(x + shortcut)
    }
}

/// The 1 x 1 convolution of a block whose input and output differ in shape.
#[derive(Module, Debug)]
struct Shortcut {
    conv: Conv2d,
    norm: BatchNorm,
}

/// A square convolution without bias, Kaiming-normal by fan-out, that keeps the size at stride 1.
pub(crate) fn conv(channels: [usize; 2], kernel: usize, stride: usize, device: &Device) -> Conv2d {
    let padding = kernel / 2;
    Conv2dConfig::new(channels, [kernel, kernel])
        .with_stride([stride, stride])
        .with_padding(PaddingConfig2d::Explicit(
            padding, padding, padding, padding,
        ))
        .with_bias(false)
        .with_initializer(Initializer::KaimingNormal {
            gain: SQRT_2,
            fan_out_only: true,
        })
        .init(device)
}

/// Means over rows and columns: `[n, c, height, width]` to `[n, c]`.
pub(crate) fn global_mean(x: Tensor<4>) -> Tensor<2> {
    x.flatten::<3>(2, 3).mean_dim(2).squeeze_dim(2)
}

#[cfg(test)]
mod tests {
    use burn::tensor::Distribution;

    use super::*;

    #[test]
    fn blocks_start_as_the_identity_by_default() {
        let device = Device::default().autodiff();
        let network = ResNet18Config::new(1).init(&device);
        let x = Tensor::<4>::random([2, 64, 4, 4], Distribution::Uniform(0.0, 1.0), &device);
        let first = &network.blocks[0];
        first
            .forward(x.clone())
            .into_data()
            .assert_eq(&x.clone().into_data(), true);

        let network = ResNet18Config::new(1)
            .with_zero_init_residual(false)
            .init(&device);
        let change = (network.blocks[0].forward(x.clone()) - x)
            .abs()
            .max()
            .into_scalar::<f32>();
        assert!(change > 0.1, "largest change {change}");
    }

    #[test]
    fn three_stages_halve_the_maps() {
        let device = Device::default();
        let network = ResNet18Config::new(3).init(&device);
        let mut x = Tensor::<4>::zeros([1, 64, 32, 32], &device);
        let mut shapes = Vec::new();
        for block in &network.blocks {
            x = block.forward(x);
            shapes.push((x.dims()[1], x.dims()[2]));
        }
        let stages = [(64, 32), (128, 16), (256, 8), (512, 4)];
        assert_eq!(
            shapes,
            stages.iter().flat_map(|&s| [s, s]).collect::<Vec<_>>()
        );
        assert_eq!(network.stem.stride, [1, 1]);
    }

    #[test]
    fn kernels_start_with_the_variance_of_kaiming_by_fan_out() {
        let kernel = conv([16, 64], 3, 2, &Device::default()).weight.val();
        let variance = kernel.square().mean().into_scalar::<f32>();
        // 9216 values: the standard error of the variance is 1.5 % of it.
        approx::assert_relative_eq!(variance, 2.0 / (64.0 * 9.0), max_relative = 0.08);
    }
}
