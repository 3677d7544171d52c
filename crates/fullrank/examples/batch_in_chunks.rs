//! A batch too large for one backward pass, in chunks, with exactly the gradient of the whole; and what
//! naive gradient accumulation does in its place.
//!
//! ```sh
//! cargo run --release --example batch_in_chunks
//! ```

use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::optim::{GradientsAccumulator, GradientsParams, SgdConfig};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Distribution, Tensor};
use fullrank::{
    AnyRegularizer, CovarianceConfig, Regularizer, RegularizerConfig, SvMaxConfig, VarianceConfig,
};

/// An encoder without batch normalization: each row has the embedding that it has alone, so that both passes
/// give it the same.
#[derive(Module, Debug)]
struct Encoder {
    hidden: Linear,
    output: Linear,
}

impl Encoder {
    fn forward(&self, inputs: Tensor<2>) -> Tensor<2> {
        self.output.forward(relu(self.hidden.forward(inputs)))
    }
}

/// The gradient of the whole batch, chunk by chunk: memory for the graph of one chunk, and the embeddings of all.
fn exact(
    model: &Encoder,
    loss: &AnyRegularizer,
    batch: &Tensor<2>,
    chunk: usize,
) -> GradientsParams {
    // First pass, without a graph: the embeddings of all rows, and the loss of them.
    let plain = model.valid();
    let chunks = batch.clone().split(chunk, 0);
    let embeddings = chunks
        .iter()
        .map(|rows| plain.forward(rows.clone()))
        .collect();
    let surrogate = loss.evaluate(Tensor::cat(embeddings, 0));
    // Second pass, with a graph: each chunk gets its rows of the gradient. They add up.
    let mut accumulator = GradientsAccumulator::new();
    for (index, rows) in chunks.into_iter().enumerate() {
        let start = index * chunk;
        let range = start..start + rows.dims()[0];
        let embeddings = model.forward(rows.autodiff());
        let share = surrogate.clone().rows(range).attach([embeddings]);
        let gradients = GradientsParams::from_grads(share.backward(), model);
        accumulator.accumulate(model, gradients);
    }
    accumulator.grads()
}

/// The loss of each chunk for itself, averaged: not the gradient of the batch.
fn naive(
    model: &Encoder,
    loss: &AnyRegularizer,
    batch: &Tensor<2>,
    chunk: usize,
) -> GradientsParams {
    let mut accumulator = GradientsAccumulator::new();
    let chunks = batch.clone().split(chunk, 0);
    let share = 1.0 / chunks.len() as f64;
    for rows in chunks {
        let loss = loss.forward(model.forward(rows.autodiff())) * share;
        accumulator.accumulate(model, GradientsParams::from_grads(loss.backward(), model));
    }
    accumulator.grads()
}

fn whole(model: &Encoder, loss: &AnyRegularizer, batch: &Tensor<2>) -> GradientsParams {
    let loss = loss.forward(model.forward(batch.clone().autodiff()));
    GradientsParams::from_grads(loss.backward(), model)
}

/// The gradient in the weights of the hidden layer.
fn hidden(gradients: &GradientsParams, model: &Encoder) -> Vec<f64> {
    let gradient = gradients.get::<2>(model.hidden.weight.id).expect("trained");
    gradient.into_data().iter().collect()
}

fn cosine(a: &[f64], b: &[f64]) -> f64 {
    let dot = |x: &[f64], y: &[f64]| -> f64 { x.iter().zip(y).map(|(x, y)| x * y).sum() };
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

fn main() {
    let device = Device::default().autodiff();
    device.seed(1);
    let batch = Tensor::<2>::random(
        [512, 32],
        Distribution::Normal(0.0, 1.0),
        &device.clone().without_autodiff(),
    );
    let model = Encoder {
        hidden: LinearConfig::new(32, 128).init(&device),
        output: LinearConfig::new(128, 64).init(&device),
    };
    println!("cosine with the gradient of the whole batch of 512:");
    println!("| loss | chunks | exact | naive accumulation |");
    println!("|---|---|---:|---:|");
    for config in [
        RegularizerConfig::SvMax(SvMaxConfig::new()),
        RegularizerConfig::Variance(VarianceConfig::new()),
        RegularizerConfig::Covariance(CovarianceConfig::new()),
    ] {
        let loss = config.init();
        let expected = hidden(&whole(&model, &loss, &batch), &model);
        for chunks in [4, 8, 32] {
            let size = 512 / chunks;
            let ours = cosine(
                &hidden(&exact(&model, &loss, &batch, size), &model),
                &expected,
            );
            let theirs = cosine(
                &hidden(&naive(&model, &loss, &batch, size), &model),
                &expected,
            );
            println!(
                "| {} | {chunks} x {size} | {ours:.6} | {theirs:.2} |",
                config.name()
            );
        }
    }
    // A step of any optimizer, as usual.
    let gradients = exact(
        &model,
        &RegularizerConfig::SvMax(SvMaxConfig::new()).init(),
        &batch,
        64,
    );
    let _trained = SgdConfig::new().init().step(0.1, model, gradients);
}
