//! The choice of an encoder: what turns an image into a feature vector.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use crate::resnet::{ResNet18, ResNet18Config};
use crate::small_cnn::{SmallCnn, SmallCnnConfig};

/// Configuration of an [`Encoder`].
///
/// In a file, `name` chooses the network and the other settings have defaults:
///
/// ```json
/// { "name": "small-cnn", "width": 32 }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "name", deny_unknown_fields)]
pub enum EncoderConfig {
    /// `small-cnn`: see [`SmallCnn`].
    #[serde(rename = "small-cnn")]
    SmallCnn {
        /// Channels after the first convolution; a quarter of the features. Default: 32
        #[serde(default = "default_width")]
        width: usize,
    },
    /// `resnet18`: see [`ResNet18`].
    #[serde(rename = "resnet18")]
    ResNet18 {
        /// Whether each block starts as the identity. Default: true
        #[serde(default = "default_zero_init_residual")]
        zero_init_residual: bool,
    },
}

fn default_width() -> usize {
    SmallCnnConfig::new(1).width
}

fn default_zero_init_residual() -> bool {
    ResNet18Config::new(1).zero_init_residual
}

impl EncoderConfig {
    /// [`SmallCnn`] with its default settings.
    pub fn small_cnn() -> Self {
        Self::SmallCnn {
            width: default_width(),
        }
    }

    /// [`ResNet18`] with its default settings.
    pub fn resnet18() -> Self {
        Self::ResNet18 {
            zero_init_residual: default_zero_init_residual(),
        }
    }

    /// Builds the encoder of images with `channels_in` channels on `device`.
    ///
    /// # Panics
    ///
    /// If `channels_in` or a setting is zero.
    pub fn init(&self, channels_in: usize, device: &Device) -> Encoder {
        match *self {
            Self::SmallCnn { width } => {
                let config = SmallCnnConfig::new(channels_in).with_width(width);
                Encoder::SmallCnn(config.init(device))
            }
            Self::ResNet18 { zero_init_residual } => {
                let config =
                    ResNet18Config::new(channels_in).with_zero_init_residual(zero_init_residual);
                Encoder::ResNet18(config.init(device))
            }
        }
    }
}

/// A network from images to feature vectors; made by [`EncoderConfig`].
#[derive(Module, Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "a model holds one, and a Module cannot be boxed"
)]
pub enum Encoder {
    /// The network for a CPU.
    SmallCnn(SmallCnn),
    /// The network of the papers' small-image runs.
    ResNet18(ResNet18),
}

impl Encoder {
    /// Length of a feature vector.
    pub fn features(&self) -> usize {
        match self {
            Self::SmallCnn(network) => network.features(),
            Self::ResNet18(_) => ResNet18::FEATURES,
        }
    }

    /// Features of a batch of images.
    ///
    /// # Shapes
    ///
    /// - images: `[n, channels_in, height, width]`
    /// - output: `[n, features]`
    pub fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        match self {
            Self::SmallCnn(network) => network.forward(images),
            Self::ResNet18(network) => network.forward(images),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use burn::module::{ModuleVisitor, Param};
    use burn::tensor::{Distribution, Gradients};

    use super::*;

    struct GradientCheck<'a> {
        gradients: &'a Gradients,
        parameters: usize,
        values: usize,
    }

    impl ModuleVisitor for GradientCheck<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let value = param.val();
            if !value.is_require_grad() {
                return;
            }
            self.parameters += 1;
            self.values += value.shape().num_elements();
            let gradient = value
                .grad(self.gradients)
                .expect("a parameter without gradient");
            let norm = gradient.square().sum().into_scalar::<f32>();
            assert!(
                norm > 0.0 && norm.is_finite(),
                "squared norm {norm} of a gradient"
            );
        }
    }

    /// Checks that every trained parameter has a gradient that is not zero and returns how many
    /// parameter tensors and how many values there are.
    pub(crate) fn check_gradients(module: &impl Module, gradients: &Gradients) -> [usize; 2] {
        let mut check = GradientCheck {
            gradients,
            parameters: 0,
            values: 0,
        };
        module.visit(&mut check);
        [check.parameters, check.values]
    }

    #[test]
    fn small_cnn_has_the_documented_layers() {
        let device = Device::default().autodiff();
        let encoder = EncoderConfig::SmallCnn { width: 4 }.init(1, &device);
        let images = Tensor::random([6, 1, 28, 28], Distribution::Default, &device);
        let features = encoder.forward(images);
        assert_eq!(features.dims(), [6, encoder.features()]);
        assert_eq!(encoder.features(), 16);

        let gradients = features.square().sum().backward();
        // 3 x 3 kernels 1 -> 4 -> 8 -> 16 -> 16 and a scale and a shift per output channel.
        let kernels = 9 * (4 + 4 * 8 + 8 * 16 + 16 * 16);
        let expected = [4 * 3, kernels + 2 * (4 + 8 + 16 + 16)];
        assert_eq!(check_gradients(&encoder, &gradients), expected);
    }

    #[test]
    fn resnet18_has_the_parameters_of_the_cifar_variant() {
        let device = Device::default().autodiff();
        // With a scale of zero no gradient reaches the convolutions of a block.
        let encoder = EncoderConfig::ResNet18 {
            zero_init_residual: false,
        }
        .init(3, &device);
        let images = Tensor::random([2, 3, 16, 16], Distribution::Default, &device);
        let features = encoder.forward(images);
        assert_eq!(features.dims(), [2, encoder.features()]);
        assert_eq!(encoder.features(), 512);

        let gradients = features.square().sum().backward();
        // 11,173,962 of the usual CIFAR ResNet-18 less its 512 x 10 + 10 classifier; 20
        // convolutions with one normalization each.
        assert_eq!(check_gradients(&encoder, &gradients), [20 * 3, 11_168_832]);
    }

    #[test]
    fn files_name_the_encoder_in_kebab_case() {
        let read = |text| serde_json::from_str::<EncoderConfig>(text).map_err(|e| e.to_string());
        assert_eq!(
            read(r#"{"name": "small-cnn"}"#),
            Ok(EncoderConfig::small_cnn())
        );
        assert_eq!(
            read(r#"{"name": "small-cnn", "width": 24}"#),
            Ok(EncoderConfig::SmallCnn { width: 24 })
        );
        assert_eq!(
            read(r#"{"name": "resnet18"}"#),
            Ok(EncoderConfig::resnet18())
        );
        let text = serde_json::to_string(&EncoderConfig::resnet18()).unwrap();
        assert_eq!(text, r#"{"name":"resnet18","zero_init_residual":true}"#);

        let error = read(r#"{"name": "small-cnn", "widht": 24}"#).unwrap_err();
        assert!(error.contains("widht"), "{error}");
        let error = read(r#"{"name": "vgg"}"#).unwrap_err();
        assert!(
            error.contains("vgg") && error.contains("small-cnn"),
            "{error}"
        );
    }
}
