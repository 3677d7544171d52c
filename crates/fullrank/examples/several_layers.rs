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
use fullrank::{Regularizer, SvMax, SvMaxConfig, Terms, rankme, singular_values};

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

    /// The activations of all hidden layers, and the output: what a regularizer needs is handed on.
    fn forward(&self, inputs: Tensor<2>) -> (Vec<Tensor<2>>, Tensor<2>) {
        let mut activations: Vec<Tensor<2>> = Vec::new();
        for layer in &self.layers {
            let below = activations.last().unwrap_or(&inputs).clone();
            activations.push(relu(layer.forward(below)));
        }
        let output = self
            .head
            .forward(activations.last().unwrap_or(&inputs).clone());
        (activations, output)
    }
}

/// One loss and the terms of each layer, as `layer-0.penalty` and so on.
fn penalties(regularizers: &[SvMax], activations: Vec<Tensor<2>>) -> Option<Terms> {
    let layers = regularizers.iter().zip(activations).enumerate();
    layers
        .map(|(layer, (regularizer, activation))| {
            Regularizer::forward_terms(regularizer, activation).prefixed(&format!("layer-{layer}"))
        })
        .reduce(Terms::merge)
}

fn train(weights: [f64; 4]) -> (f64, Vec<f64>) {
    let device = Device::default().autodiff();
    device.seed(1);
    let inputs = Tensor::<2>::random(
        [256, 16],
        Distribution::Default,
        &device.clone().without_autodiff(),
    );
    let target = (inputs.clone() * 3.0).sin().sum_dim(1);
    let regularizers = weights.map(|weight| SvMaxConfig::new().with_weight(weight).init());
    let mut model = Mlp::new(16, 32, weights.len(), &device);
    let mut optimizer = AdamWConfig::new().init();
    for _ in 0..300 {
        let (activations, output) = model.forward(inputs.clone().autodiff());
        let error = (output - target.clone().autodiff()).square().mean();
        let loss = match penalties(&regularizers, activations) {
            Some(terms) => error + terms.total,
            None => error,
        };
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        model = optimizer.step(3e-3, model, gradients);
    }
    let (activations, output) = model.valid().forward(inputs);
    let error = (output - target).square().mean().into_scalar::<f32>();
    let ranks = activations
        .iter()
        .map(|layer| rankme(&singular_values(layer)));
    (f64::from(error), ranks.collect())
}

fn main() {
    for (name, weights) in [
        ("no layer", [0.0; 4]),
        ("last layer", [0.0, 0.0, 0.0, 0.3]),
        ("all layers", [0.3; 4]),
    ] {
        let (error, ranks) = train(weights);
        let ranks: Vec<String> = ranks.iter().map(|rank| format!("{rank:.1}")).collect();
        println!(
            "{name:10}  squared error {error:.4}, effective rank by layer: {}",
            ranks.join(", ")
        );
    }
}
