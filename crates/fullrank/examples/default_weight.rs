//! Which weight and which gradient of SVMax leave a plain classifier alone: trainings with each, as a table.
//!
//! A small CNN on 1,000 images of Fashion-MNIST at half their size, 40 epochs, three seeds. The penalty is on the layer
//! before the last: without a normalization, with LayerNorm or with BatchNorm; before or after its ReLU; under AdamW
//! (Burn's defaults, rate 1e-3) or SGD (momentum 0.9, rate 0.1). A cell has the test accuracy, its standard deviation
//! over the seeds, the utilization `(s_mu - L) / (U - L)` and the effective rank of the test images.
//!
//! ```sh
//! cargo run --release --example default_weight               # the table, row by row
//! cargo run --release --example default_weight plain after   # only the rows with these words
//! cargo run --release --example default_weight trace         # what happens at the first steps
//! ```

use std::io::Write;

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::{
    BatchNorm, BatchNormConfig, LayerNorm, LayerNormConfig, Linear, LinearConfig, PaddingConfig2d,
};
use burn::optim::momentum::MomentumConfig;
use burn::optim::{AdamWConfig, GradientsParams, SgdConfig};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Int, Tensor, TensorData};
use datasets::{ImageSet, TrainTest, fashion_mnist};
use fullrank::{Diagnostics, SvMaxConfig};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

const SEEDS: u64 = 3;
const EPOCHS: usize = 40;
const BATCH: usize = 128;
const DIMS: usize = 64;

/// Name, weight, floor of the norm (0: the exact gradient), and what else the gradient is multiplied by: a ramp from 0
/// to 1 over the first half of the training, the norm of the row.
const COLUMNS: [(&str, f64, f64, bool, bool); 8] = [
    ("no penalty", 0.0, 0.0, false, false),
    ("1, exact", 1.0, 0.0, false, false),
    ("0.3, exact", 0.3, 0.0, false, false),
    ("0.1, exact", 0.1, 0.0, false, false),
    ("1, exact, ramp", 1.0, 0.0, true, false),
    ("0.1, times norm", 0.1, 0.0, false, true),
    ("1, floor 1", 1.0, 1.0, false, false),
    ("0.3, floor 1", 0.3, 1.0, false, false),
];

#[derive(Module, Debug)]
struct Network {
    convs: Vec<Conv2d>,
    layer: Linear,
    layer_norm: Option<LayerNorm>,
    batch_norm: Option<BatchNorm>,
    head: Linear,
}

impl Network {
    fn new(normalization: &str, device: &Device) -> Self {
        let padding = PaddingConfig2d::Explicit(1, 1, 1, 1);
        let conv = |channels| {
            Conv2dConfig::new(channels, [3, 3])
                .with_stride([2, 2])
                .with_padding(padding.clone())
        };
        let [layer, batch] = ["LayerNorm", "BatchNorm"].map(|name| name == normalization);
        Self {
            convs: [[1, 8], [8, 16], [16, 32]]
                .map(|c| conv(c).init(device))
                .into(),
            layer: LinearConfig::new(32, DIMS).init(device),
            layer_norm: layer.then(|| LayerNormConfig::new(DIMS).init(device)),
            batch_norm: batch.then(|| BatchNormConfig::new(DIMS).init(device)),
            head: LinearConfig::new(DIMS, 10).init(device),
        }
    }

    /// The layer, before its ReLU or after.
    fn embed(&self, images: Tensor<4>, after: bool) -> Tensor<2> {
        let maps = self.convs.iter().fold(images, |x, c| relu(c.forward(x)));
        let mut e = self
            .layer
            .forward(maps.flatten::<3>(2, 3).mean_dim(2).squeeze_dim(2));
        e = self.layer_norm.iter().fold(e, |e, norm| norm.forward(e));
        e = self.batch_norm.iter().fold(e, |e, norm| norm.forward(e));
        if after { relu(e) } else { e }
    }
}

/// Every second pixel of every second row, in [0, 1], and the labels.
fn tensors(set: &ImageSet, images: &[usize], device: &Device) -> (Tensor<4>, Tensor<1, Int>) {
    let rows = |&i: &usize| set.image(i).chunks_exact(28).step_by(2);
    let pixels = images
        .iter()
        .flat_map(rows)
        .flat_map(|row| row.iter().step_by(2));
    let pixels: Vec<f32> = pixels.map(|&x| f32::from(x) / 255.0).collect();
    let labels: Vec<i32> = images.iter().map(|&i| set.label(i) as i32).collect();
    let pixels = TensorData::new(pixels, [images.len(), 1, 14, 14]);
    let labels = TensorData::new(labels, [images.len()]);
    (
        Tensor::from_data(pixels, device),
        Tensor::from_data(labels, device),
    )
}

fn norms(rows: Tensor<2>) -> Tensor<2> {
    rows.square().sum_dim(1).sqrt()
}

/// Accuracy, utilization and effective rank after a training. `row` holds normalization, place and optimizer.
fn train(set: &TrainTest, row: [&str; 3], column: usize, seed: u64, trace: bool) -> [f64; 3] {
    let (_, weight, floor, ramp, times_norm) = COLUMNS[column];
    let svmax = SvMaxConfig::paper()
        .with_weight(weight)
        .with_norm_floor(floor)
        .init();
    let (device, after) = (Device::default().autodiff(), row[1] == "after");
    device.seed(seed);
    let mut network = Network::new(row[0], &device);
    let momentum = MomentumConfig::new().with_momentum(0.9).with_dampening(0.0);
    let (mut optimizer, rate) = match row[2] {
        "AdamW" => (AdamWConfig::new().init(), 1e-3),
        _ => (SgdConfig::new().with_momentum(Some(momentum)).init(), 0.1),
    };
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut order: Vec<usize> = (0..set.train.len()).collect();
    let steps = EPOCHS * (order.len() / BATCH);
    for step in 0..if trace { 71 } else { steps } {
        let place = step % (order.len() / BATCH);
        if place == 0 {
            order.shuffle(&mut random);
        }
        let batch = &order[place * BATCH..(place + 1) * BATCH];
        let (images, labels) = tensors(&set.train, batch, &device);
        let e = network.embed(images, after);
        let cross_entropy = |e: Tensor<2>| {
            let logits = network.head.forward(relu(e));
            CrossEntropyLossConfig::new()
                .init(&device)
                .forward(logits, labels.clone())
        };
        let mut evaluation = svmax.evaluate(e.clone());
        if trace && step % 10 == 0 {
            let mean = |rows: Tensor<2>| norms(rows).mean().into_scalar::<f32>();
            let plain = e.clone().without_autodiff();
            let leaf = plain.clone().autodiff().require_grad();
            let task = cross_entropy(leaf.clone());
            let slope = leaf.grad(&task.backward()).expect("a gradient");
            let [penalty] = evaluation.coefficients.clone().expect("a gradient");
            let (ratio, task) = (mean(penalty) / mean(slope), task.into_scalar::<f32>());
            println!("| {step} | {task:.3} | {:.3} | {ratio:.1} |", mean(plain));
        }
        let progress = step as f64 / steps as f64;
        evaluation.coefficients = evaluation.coefficients.map(|[c]| {
            let c = if ramp {
                c * (2.0 * progress).min(1.0)
            } else {
                c
            };
            [if times_norm {
                c * norms(e.clone().without_autodiff())
            } else {
                c
            }]
        });
        let loss = cross_entropy(e.clone()) + evaluation.attach([e]);
        let gradients = GradientsParams::from_grads(loss.backward(), &network);
        network = optimizer.step(rate, network, gradients);
    }
    let all: Vec<usize> = (0..set.test.len()).collect();
    let (images, labels) = tensors(&set.test, &all, &Device::default());
    let network = network.valid();
    let e = network.embed(images, after);
    let guess = network
        .head
        .forward(relu(e.clone()))
        .argmax(1)
        .squeeze_dim::<1>(1);
    let right = guess.equal(labels).int().sum().into_scalar::<i32>();
    let rows: Vec<f64> = e.to_data().iter().collect();
    let figures = Diagnostics::new(&rows, DIMS, None).expect("a finite layer");
    let rank = figures.effective_rank.unwrap_or(0.0);
    [
        f64::from(right) / all.len() as f64,
        figures.utilization,
        rank,
    ]
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).map(|w| w.to_lowercase()).collect();
    let mut set = fashion_mnist::mini();
    set.train = set.train.first_per_class(100);
    if words == ["trace"] {
        for column in [1, 7] {
            let name = COLUMNS[column].0;
            println!("\n| step, {name} | cross-entropy | row norm | penalty's gradient : task's |");
            println!("|---|---|---|---|");
            train(&set, ["plain", "after", "AdamW"], column, 0, true);
        }
        return;
    }
    println!("| layer | {} |", COLUMNS.map(|column| column.0).join(" | "));
    println!("|---|{}", "---|".repeat(COLUMNS.len()));
    for cell in 0..12 {
        let norm = ["plain", "LayerNorm", "BatchNorm"][cell / 4];
        let (place, optimizer) = (
            ["before", "after"][cell % 2],
            ["AdamW", "SGD"][cell / 2 % 2],
        );
        let name = format!("{norm}, {place} ReLU, {optimizer}");
        if words.iter().any(|word| !name.to_lowercase().contains(word)) {
            continue;
        }
        print!("| {name} |");
        for column in 0..COLUMNS.len() {
            let run = |seed| train(&set, [norm, place, optimizer], column, seed, false);
            let runs: Vec<[f64; 3]> = (0..SEEDS).map(run).collect();
            let mean = |k: usize| runs.iter().map(|run| run[k]).sum::<f64>() / SEEDS as f64;
            let [accuracy, utilization, rank] = [0, 1, 2].map(mean);
            let squares: f64 = runs.iter().map(|run| (run[0] - accuracy).powi(2)).sum();
            let deviation = (squares / (SEEDS - 1) as f64).sqrt();
            print!(" {accuracy:.3} ± {deviation:.3}, {utilization:.2}, {rank:.0} |");
            std::io::stdout().flush().expect("a standard output");
        }
        println!();
    }
}
