//! Regularizers of the activations of several layers.

use std::collections::BTreeMap;

use burn::module::Module;
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::hyper_parameters::require;
use super::{AnyRegularizer, HyperParameterError, Regularizer, RegularizerConfig};
use crate::burn_config;
use crate::surrogate::Terms;

/// The activations of named layers, as a forward pass leaves them.
///
/// A module hands them over by a line a layer:
///
/// ```
/// use burn::module::Module;
/// use burn::nn::Linear;
/// use burn::nn::conv::Conv2d;
/// use burn::tensor::Tensor;
/// use burn::tensor::activation::relu;
/// use fullrank::{Activations, MapRows};
///
/// #[derive(Module, Debug)]
/// struct Network {
///     conv: Conv2d,
///     hidden: Linear,
///     head: Linear,
/// }
///
/// impl Network {
///     fn forward(&self, images: Tensor<4>, activations: &mut Activations) -> Tensor<2> {
///         let x = relu(self.conv.forward(images));
///         activations.push_map("conv", x.clone(), MapRows::Pooled);
///         let x = relu(self.hidden.forward(x.flatten(1, 3)));
///         activations.push("hidden", x.clone());
///         self.head.forward(x)
///     }
/// }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Activations {
    layers: Vec<(String, Tensor<2>)>,
}

/// What the rows of a convolutional map are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MapRows {
    /// A row an image, `[batch, channels]`: the mean over the positions. The rows are as independent as the images;
    /// what differs between the positions of an image does not count.
    Pooled,
    /// A row a position, `[batch * height * width, channels]`: channels are used if they differ anywhere. The rows of an
    /// image depend on each other, so that there is less in them than in as many images: a standard deviation or a
    /// rank is that of these rows, not an estimate from so many independent ones.
    Positions,
}

impl Activations {
    /// Of no layer yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds those of a layer, shape `[batch, dim]`.
    ///
    /// # Panics
    ///
    /// If there are some under this name.
    pub fn push(&mut self, layer: impl Into<String>, activation: Tensor<2>) {
        let layer = layer.into();
        assert!(
            self.get(&layer).is_none(),
            "there are activations of a layer {layer} already"
        );
        self.layers.push((layer, activation));
    }

    /// Adds those of a convolutional layer, shape `[batch, channels, height, width]`.
    ///
    /// # Panics
    ///
    /// As [`push`](Self::push).
    pub fn push_map(&mut self, layer: impl Into<String>, map: Tensor<4>, rows: MapRows) {
        let [batch, channels, height, width] = map.dims();
        let positions = height * width;
        let activation = match rows {
            MapRows::Pooled => {
                let mean = map.reshape([batch, channels, positions]).mean_dim(2);
                mean.reshape([batch, channels])
            }
            MapRows::Positions => {
                let rows = map.permute([0, 2, 3, 1]);
                rows.reshape([batch * positions, channels])
            }
        };
        self.push(layer, activation);
    }

    /// Those of this layer.
    pub fn get(&self, layer: &str) -> Option<&Tensor<2>> {
        self.iter()
            .find_map(|(name, activation)| (name == layer).then_some(activation))
    }

    /// Every layer with its name, in the order in which they came.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Tensor<2>)> {
        self.layers
            .iter()
            .map(|(name, activation)| (name.as_str(), activation))
    }
}

/// The regularizer of each layer, by the layer's name, as it stands in a configuration file. A negative weight asks for
/// the opposite of what the regularizer does.
///
/// ```
/// use burn::tensor::{Device, Distribution, Tensor};
/// use fullrank::{Activations, LayerRegularizersConfig};
///
/// let config: LayerRegularizersConfig = serde_json::from_str(
///     r#"{"hidden": {"svmax": {"weight": 0.1}}, "last": {"variance": {"weight": 2.0}}}"#,
/// )?;
/// config.check()?;
/// let device = Device::default();
/// let mut activations = Activations::new();
/// for layer in ["hidden", "last"] {
///     activations.push(layer, Tensor::random([32, 16], Distribution::Default, &device));
/// }
/// let terms = config.init().forward(&activations);
/// assert!(terms.get("hidden.penalty").is_some() && terms.get("last.variance").is_some());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LayerRegularizersConfig {
    /// The layers.
    pub layers: BTreeMap<String, RegularizerConfig>,
}

burn_config!(LayerRegularizersConfig);

impl LayerRegularizersConfig {
    /// The regularizers of these layers.
    pub fn new<N: Into<String>>(layers: impl IntoIterator<Item = (N, RegularizerConfig)>) -> Self {
        let layers = layers.into_iter();
        Self {
            layers: layers.map(|(name, config)| (name.into(), config)).collect(),
        }
    }

    /// Whether every hyper-parameter is in its range.
    ///
    /// # Errors
    ///
    /// If one is not, or there is no layer.
    pub fn check(&self) -> Result<(), HyperParameterError> {
        require(!self.layers.is_empty(), || {
            "the regularizers of layers need at least one layer, got none".to_owned()
        })?;
        (self.layers.iter())
            .try_for_each(|(layer, config)| config.check().map_err(|error| error.within(layer)))
    }

    /// Initializes the regularizers.
    ///
    /// # Panics
    ///
    /// If [`check`](Self::check) finds an error.
    pub fn init(&self) -> LayerRegularizers {
        self.check().unwrap_or_else(|error| panic!("{error}"));
        LayerRegularizers::new(
            (self.layers.iter()).map(|(layer, config)| (layer.clone(), config.init())),
        )
    }
}

/// Regularizers of the [activations](Activations) of several layers, each with its own, in one loss on one graph. Made
/// by [`LayerRegularizersConfig`].
///
/// # Terms
///
/// Those of each layer's regularizer, as `layer.term`.
#[derive(Module, Debug)]
pub struct LayerRegularizers<R = AnyRegularizer> {
    layers: Vec<String>,
    regularizers: Vec<R>,
}

impl<R: Regularizer> LayerRegularizers<R> {
    /// The regularizers of these layers.
    ///
    /// # Panics
    ///
    /// If there is none.
    pub fn new<N: Into<String>>(layers: impl IntoIterator<Item = (N, R)>) -> Self {
        let layers = layers.into_iter();
        let (layers, regularizers): (Vec<String>, Vec<R>) = layers
            .map(|(layer, regularizer)| (layer.into(), regularizer))
            .unzip();
        assert!(
            !layers.is_empty(),
            "the regularizers of layers need at least one layer, got none"
        );
        Self {
            layers,
            regularizers,
        }
    }

    /// The sum of the layers' penalties, and the terms of all. Activations of layers that have no regularizer do not
    /// count.
    ///
    /// # Panics
    ///
    /// If a layer that has one has no activations.
    pub fn forward(&self, activations: &Activations) -> Terms {
        self.named()
            .map(|(layer, regularizer)| {
                let activation = activations.get(layer).unwrap_or_else(|| {
                    let known: Vec<&str> = activations.iter().map(|(name, _)| name).collect();
                    panic!(
                        "there are no activations of a layer {layer}, only of: {}",
                        known.join(", ")
                    )
                });
                regularizer
                    .forward_terms(activation.clone())
                    .prefixed(layer)
            })
            .reduce(Terms::merge)
            .expect("at least one layer")
    }

    /// The names of the terms, in their order.
    pub fn term_names(&self) -> Vec<String> {
        let names = self.named().map(|(layer, regularizer)| {
            let terms = regularizer.term_names().into_iter();
            terms.map(move |term| format!("{layer}.{term}"))
        });
        names.flatten().collect()
    }

    fn named(&self) -> impl Iterator<Item = (&str, &R)> {
        self.layers
            .iter()
            .map(String::as_str)
            .zip(&self.regularizers)
    }
}

impl LayerRegularizers<AnyRegularizer> {
    /// The same at this step of the training: see [`AnyRegularizer::at_step`].
    #[must_use]
    pub fn at_step(&self, step: u64) -> Self {
        let regularizers = self.regularizers.iter();
        Self {
            layers: self.layers.clone(),
            regularizers: regularizers
                .map(|regularizer| regularizer.at_step(step))
                .collect(),
        }
    }
}
