//! One batch over several devices, with the gradient of the whole batch: Burn's multi-device training and
//! `fullrank`'s losses. Here the devices are workers on one CPU, and what comes of it is held against one device
//! that has the whole batch.
//!
//! ```sh
//! cargo run --release --example several_devices
//! ```

use std::path::Path;
use std::sync::Arc;

use burn::data::dataloader::DataLoaderBuilder;
use burn::data::dataloader::batcher::Batcher;
use burn::data::dataset::InMemDataset;
use burn::module::{Module, ModuleVisitor, Param};
use burn::nn::{Linear, LinearConfig};
use burn::optim::SgdConfig;
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor, TensorData};
use burn::train::metric::LossMetric;
use burn::train::{
    ExecutionStrategy, InferenceStep, Learner, MultiDeviceOptim, SupervisedTraining, TrainOutput,
    TrainStep,
};
use fullrank::shards::{Sharded, ThreadGroup};
use fullrank::{Regularizer, RegularizerConfig, SvMaxConfig};
use fullrank_train::metrics::StepOutput;

const INPUTS: usize = 12;
const BATCH: usize = 48;
const STEPS: usize = 10;

#[derive(Clone)]
struct Rows;

impl Batcher<[f32; INPUTS], Tensor<2>> for Rows {
    fn batch(&self, rows: Vec<[f32; INPUTS]>, device: &Device) -> Tensor<2> {
        let shape = [rows.len(), INPUTS];
        Tensor::from_data(TensorData::new(rows.concat(), shape), device)
    }
}

#[derive(Module, Debug)]
struct Model {
    hidden: Linear,
    output: Linear,
    /// Over the rows of all workers, or each worker over its own.
    #[module(skip)]
    regularizer: Arc<dyn Regularizer>,
}

impl Model {
    fn output(&self, rows: Tensor<2>) -> StepOutput {
        let embeddings = self.output.forward(relu(self.hidden.forward(rows)));
        let terms = self.regularizer.forward_terms(embeddings.clone());
        StepOutput::new(&terms, embeddings)
    }
}

impl TrainStep for Model {
    type Input = Tensor<2>;
    type Output = StepOutput;

    fn step(&self, rows: Tensor<2>) -> TrainOutput<StepOutput> {
        let output = self.output(rows);
        TrainOutput::new(self, output.loss.backward(), output)
    }
}

impl InferenceStep for Model {
    type Input = Tensor<2>;
    type Output = StepOutput;

    fn step(&self, rows: Tensor<2>) -> StepOutput {
        self.output(rows)
    }
}

/// The weights after some steps with so many workers, one batch an epoch.
fn train(regularizer: Arc<dyn Regularizer>, workers: usize, folder: &Path) -> Vec<f32> {
    let rows: Vec<[f32; INPUTS]> = (0..BATCH)
        .map(|i| std::array::from_fn(|j| ((1 + i * (j + 3)) as f32 * 0.618).fract() - 0.5))
        .collect();
    let loader = |batch_size: usize| {
        let loader = DataLoaderBuilder::new(Rows).batch_size(batch_size);
        loader.build(InMemDataset::new(rows.clone()))
    };
    let device = Device::default().autodiff();
    device.seed(1);
    let model = Model {
        hidden: LinearConfig::new(INPUTS, 32).init(&device),
        output: LinearConfig::new(32, 24).init(&device),
        regularizer,
    };
    let strategy = match workers {
        1 => ExecutionStrategy::single(device),
        // Of each device its own gradients; their sum is that of the batch.
        _ => ExecutionStrategy::multi(vec![device; workers], MultiDeviceOptim::OptimMainDevice),
    };
    let result = SupervisedTraining::new(folder, loader(BATCH / workers), loader(BATCH))
        .metrics((LossMetric::new(),))
        .with_training_strategy(strategy.into())
        .num_epochs(STEPS)
        .launch(Learner::new(model, SgdConfig::new().init(), 0.1));
    if let Some(error) = result.error {
        panic!("{error}");
    }
    let mut weights = Weights::default();
    result.model.visit(&mut weights);
    weights.0
}

#[derive(Default)]
struct Weights(Vec<f32>);

impl ModuleVisitor for Weights {
    fn visit_float<const D: usize>(&mut self, weight: &Param<Tensor<D>>) {
        self.0.extend(weight.val().into_data().iter::<f32>());
    }
}

fn distance(a: &[f32], b: &[f32]) -> f32 {
    let square = |(a, b): (&f32, &f32)| (a - b) * (a - b);
    a.iter().zip(b).map(square).sum::<f32>().sqrt()
}

fn main() {
    let folder = std::env::temp_dir().join(format!("several-devices-{}", std::process::id()));
    let svmax = || RegularizerConfig::SvMax(SvMaxConfig::new()).init();
    let whole = train(Arc::new(svmax()), 1, &folder);
    let rows = [2, 3].map(|workers| {
        let group = Arc::new(ThreadGroup::new(workers));
        let exact = train(Arc::new(Sharded::new(svmax(), group)), workers, &folder);
        let own = train(Arc::new(svmax()), workers, &folder);
        let [exact, own] = [exact, own].map(|weights| distance(&weights, &whole));
        format!("| {workers} | {exact:.1e} | {own:.1e} |")
    });
    // Burn tells what it does on the same output: the table comes after that.
    println!("How far the weights are from those of one device, after {STEPS} steps:");
    println!("| workers | over the whole batch | each over its own rows |");
    println!("|---:|---:|---:|");
    println!("{}", rows.join("\n"));
    std::fs::remove_dir_all(folder).ok();
}
