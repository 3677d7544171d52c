//! The expander: the head between features and the embeddings that a loss sees.

use burn::config::Config;
use burn::module::{Content, DisplaySettings, Module, ModuleDisplay};
use burn::nn::{BatchNorm, BatchNormConfig, Linear, LinearConfig};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};

/// Configuration of [`Expander`].
#[derive(Config, Debug)]
pub struct ExpanderConfig {
    /// Length of the features.
    pub input: usize,
    /// Output lengths of the linear layers; the last one is the length of the embeddings.
    pub dims: Vec<usize>,
}

impl ExpanderConfig {
    /// Builds the head on `device`.
    ///
    /// # Panics
    ///
    /// If `dims` is empty, or `input` or one of the `dims` is zero.
    pub fn init(&self, device: &Device) -> Expander {
        let Some((&last, hidden)) = self.dims.split_last() else {
            panic!("dims must not be empty");
        };
        assert!(
            self.input > 0 && self.dims.iter().all(|&dim| dim > 0),
            "input and dims must be positive, got {} and {:?}",
            self.input,
            self.dims
        );
        let mut width = self.input;
        let hidden = hidden
            .iter()
            .map(|&dim| {
                let linear = LinearConfig::new(width, dim).init(device);
                width = dim;
                HiddenLayer {
                    linear,
                    norm: BatchNormConfig::new(dim).init(device),
                }
            })
            .collect();
        let output = LinearConfig::new(width, last).with_bias(false).init(device);
        Expander { hidden, output }
    }
}

/// The expander of VICReg (Bardes, Ponce and LeCun, ICLR 2022, section 4.2).
///
/// Each layer but the last is linear with bias, batch normalization and ReLU; the last is linear
/// without bias, as in the official code.
///
/// Made by [`ExpanderConfig`].
#[derive(Module, Debug)]
#[module(custom_display)]
pub struct Expander {
    hidden: Vec<HiddenLayer>,
    output: Linear,
}

impl Expander {
    /// Embeddings of a batch of features.
    ///
    /// # Shapes
    ///
    /// - features: `[n, input]`
    /// - output: `[n, dims.last()]`
    pub fn forward(&self, features: Tensor<2>) -> Tensor<2> {
        let x = self.hidden.iter().fold(features, |x, layer| {
            relu(layer.norm.forward(layer.linear.forward(x)))
        });
        self.output.forward(x)
    }

    /// Input length of the head, then the output length of each linear layer.
    fn lengths(&self) -> Vec<usize> {
        let linears = || {
            self.hidden
                .iter()
                .map(|layer| &layer.linear)
                .chain([&self.output])
        };
        let input = linears()
            .take(1)
            .map(|linear| linear.weight.lazy_shape()[0]);
        input
            .chain(linears().map(|linear| linear.weight.lazy_shape()[1]))
            .collect()
    }
}

impl ModuleDisplay for Expander {
    fn custom_settings(&self) -> Option<DisplaySettings> {
        DisplaySettings::new()
            .with_new_line_after_attribute(false)
            .optional()
    }

    fn custom_content(&self, content: Content) -> Option<Content> {
        content
            .add_debug_attribute("lengths", &self.lengths())
            .optional()
    }
}

#[derive(Module, Debug)]
struct HiddenLayer {
    linear: Linear,
    norm: BatchNorm,
}

#[cfg(test)]
mod tests {
    use burn::tensor::Distribution;

    use super::*;
    use crate::encoder::tests::check_gradients;

    #[test]
    fn gradient_reaches_every_parameter() {
        let device = Device::default().autodiff();
        let expander = ExpanderConfig::new(5, vec![7, 11, 3]).init(&device);
        let features = Tensor::random([9, 5], Distribution::Default, &device);
        let embeddings = expander.forward(features);
        assert_eq!(embeddings.dims(), [9, 3]);

        let gradients = embeddings.square().sum().backward();
        // Two layers with weight, bias, scale and shift; the last one has a weight.
        let expected = [2 * 4 + 1, (5 + 3) * 7 + (7 + 3) * 11 + 11 * 3];
        assert_eq!(check_gradients(&expander, &gradients), expected);
    }

    #[test]
    fn one_layer_is_a_matrix() {
        let device = Device::default();
        let expander = ExpanderConfig::new(2, vec![4]).init(&device);
        let embeddings = expander.forward(Tensor::eye(2, &device));
        embeddings
            .into_data()
            .assert_eq(&expander.output.weight.val().into_data(), true);
        assert!(expander.output.bias.is_none());
    }

    #[test]
    fn display() {
        let expander = ExpanderConfig::new(128, vec![512, 256]).init(&Device::default());
        // 128 * 512 + 512 + 2 * 512 + 512 * 256 = 198144 trained values; Burn counts the 2 * 512
        // running statistics too.
        assert_eq!(
            expander.to_string(),
            "Expander {lengths: [128, 512, 256], params: 199168}"
        );
    }

    #[test]
    #[should_panic(expected = "dims must not be empty")]
    fn no_layer_is_rejected() {
        ExpanderConfig::new(8, vec![]).init(&Device::default());
    }
}
