//! A classifier with a regularizer at its penultimate layer, chosen in a configuration file.
//!
//! ```sh
//! cargo run --release --example classifier_from_config                   # SVMax at its default
//! cargo run --release --example classifier_from_config -- my-config.json
//! ```

use burn::module::Module;
use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::{Linear, LinearConfig};
use burn::optim::{AdamWConfig, GradientsParams};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Int, Tensor, TensorData};
use datasets::{ImageSet, fashion_mnist};
use fullrank::{AnyRegularizer, Regularizer, RegularizerConfig, rankme, singular_values};
use serde::Deserialize;

/// What the file may set; the rest has its defaults.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Config {
    epochs: usize,
    learning_rate: f64,
    regularizer: Option<RegularizerConfig>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            epochs: 20,
            learning_rate: 1e-3,
            regularizer: serde_json::from_str(r#"{ "svmax": { "weight": 0.1 } }"#).ok(),
        }
    }
}

#[derive(Module, Debug)]
struct Classifier {
    hidden: Linear,
    head: Linear,
    regularizer: Option<AnyRegularizer>,
}

impl Classifier {
    /// The penultimate layer and the logits.
    fn forward(&self, images: Tensor<2>) -> (Tensor<2>, Tensor<2>) {
        let embeddings = relu(self.hidden.forward(images));
        let logits = self.head.forward(embeddings.clone());
        (embeddings, logits)
    }

    fn loss(&self, step: u64, images: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
        let (embeddings, logits) = self.forward(images);
        let cross_entropy = CrossEntropyLossConfig::new().init(&logits.device());
        let loss = cross_entropy.forward(logits, labels);
        match &self.regularizer {
            // One that draws at random, SIGReg, draws by the step.
            Some(regularizer) => loss + regularizer.at_step(step).forward(embeddings),
            None => loss,
        }
    }
}

fn tensors(images: &ImageSet, device: &Device) -> (Tensor<2>, Tensor<1, Int>) {
    let pixels: Vec<f32> = images
        .pixels()
        .iter()
        .map(|&x| f32::from(x) / 255.0)
        .collect();
    let labels: Vec<i32> = images.labels().iter().map(|&label| label as i32).collect();
    let shape = [images.len(), pixels.len() / images.len()];
    (
        Tensor::from_data(TensorData::new(pixels, shape), device),
        Tensor::from_data(TensorData::new(labels, [images.len()]), device),
    )
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let config: Config = match std::env::args().nth(1) {
        Some(path) => serde_json::from_str(&std::fs::read_to_string(path)?)?,
        None => Config::default(),
    };
    if let Some(regularizer) = &config.regularizer {
        regularizer.check()?;
    }

    let device = Device::default().autodiff();
    device.seed(1);
    let images = fashion_mnist::mini();
    let (inputs, labels) = tensors(&images.train.first_per_class(100), &device);
    let mut model = Classifier {
        hidden: LinearConfig::new(784, 64).init(&device),
        head: LinearConfig::new(64, 10).init(&device),
        regularizer: config.regularizer.as_ref().map(RegularizerConfig::init),
    };
    let mut optimizer = AdamWConfig::new().init();
    let batch = 100;
    let mut step = 0;
    for _ in 0..config.epochs {
        // The images come class by class: every tenth of them is a batch of all classes.
        for start in 0..inputs.dims()[0] / batch {
            let rows: Vec<i32> = (0..batch).map(|i| (start + 10 * i) as i32).collect();
            let rows = Tensor::<1, Int>::from_data(TensorData::new(rows, [batch]), &device);
            let loss = model.loss(
                step,
                inputs.clone().select(0, rows.clone()),
                labels.clone().select(0, rows),
            );
            let gradients = GradientsParams::from_grads(loss.backward(), &model);
            model = optimizer.step(config.learning_rate, model, gradients);
            step += 1;
        }
    }

    let (inputs, labels) = tensors(&images.test, &device.without_autodiff());
    let (embeddings, logits) = model.valid().forward(inputs);
    let right = logits
        .argmax(1)
        .squeeze_dim::<1>(1)
        .equal(labels)
        .int()
        .sum();
    let accuracy = right.into_scalar::<i32>() as f64 / images.test.len() as f64;
    let rank = rankme(&singular_values(&embeddings));
    println!(
        "regularizer: {:?}",
        config.regularizer.map(|config| config.name())
    );
    println!("accuracy {accuracy:.3}, effective rank {rank:.1} of 64");
    Ok(())
}
