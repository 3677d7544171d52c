//! A regularizer on every hidden layer of a network, each layer with a weight of its own.
//!
//! ```sh
//! cargo run --release --example several_layers
//! ```

use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::optim::{AdamWConfig, GradientsParams};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Distribution, Tensor};
use fullrank::{
    Activations, LayerRegularizersConfig, RegularizerConfig, SvMaxConfig, rankme, singular_values,
};

#[derive(Module, Debug)]
struct Mlp {
    layers: Vec<Linear>,
    head: Linear,
}

impl Mlp {
    fn new(inputs: usize, width: usize, depth: usize, device: &Device) -> Self {
        let length = |layer| if layer == 0 { inputs } else { width };
        Self {
            layers: (0..depth)
                .map(|layer| LinearConfig::new(length(layer), width).init(device))
                .collect(),
            head: LinearConfig::new(width, 1).init(device),
        }
    }

    /// The output; the activations of the hidden layers are handed on for the regularizers.
    fn forward(&self, inputs: Tensor<2>, activations: &mut Activations) -> Tensor<2> {
        let mut x = inputs;
        for (number, layer) in self.layers.iter().enumerate() {
            x = relu(layer.forward(x));
            activations.push(format!("layer-{number}"), x.clone());
        }
        self.head.forward(x)
    }
}

/// Squared error and the effective rank of each layer, with SVMax of a weight on each that has one.
fn train(weights: [Option<f64>; 4]) -> (f64, Vec<f64>) {
    let device = Device::default().autodiff();
    device.seed(1);
    let inputs = Tensor::<2>::random(
        [256, 16],
        Distribution::Default,
        &device.clone().without_autodiff(),
    );
    let target = (inputs.clone() * 3.0).sin().sum_dim(1);
    let regularizers = weights.iter().enumerate().filter_map(|(layer, weight)| {
        let svmax = SvMaxConfig::new().with_weight((*weight)?);
        Some((format!("layer-{layer}"), RegularizerConfig::SvMax(svmax)))
    });
    let config = LayerRegularizersConfig::new(regularizers);
    let regularizers = (!config.layers.is_empty()).then(|| config.init());
    let mut model = Mlp::new(16, 32, weights.len(), &device);
    let mut optimizer = AdamWConfig::new().init();
    for _ in 0..300 {
        let mut activations = Activations::new();
        let output = model.forward(inputs.clone().autodiff(), &mut activations);
        let error = (output - target.clone().autodiff()).square().mean();
        let loss = match &regularizers {
            // The terms of each layer are there to be logged: `layer-0.penalty` and so on.
            Some(regularizers) => error + regularizers.forward(&activations).total,
            None => error,
        };
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        model = optimizer.step(3e-3, model, gradients);
    }
    let mut activations = Activations::new();
    let output = model.valid().forward(inputs, &mut activations);
    let error = (output - target).square().mean().into_scalar::<f32>();
    let layers = activations.iter();
    let ranks = layers.map(|(_, activation)| rankme(&singular_values(activation)));
    (f64::from(error), ranks.collect())
}

fn main() {
    for (name, weights) in [
        ("no layer", [None; 4]),
        ("last layer", [None, None, None, Some(0.3)]),
        ("all layers", [Some(0.3); 4]),
    ] {
        let (error, ranks) = train(weights);
        let ranks: Vec<String> = ranks.iter().map(|rank| format!("{rank:.1}")).collect();
        println!(
            "{name:10}  squared error {error:.4}, effective rank by layer: {}",
            ranks.join(", ")
        );
    }
}
