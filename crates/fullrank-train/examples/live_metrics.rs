//! How much of its space an embedding uses, live: fullrank's metrics in burn-train, for any model that hands on its
//! embeddings.
//!
//! ```sh
//! cargo run --release --example live_metrics            # in a terminal with burn-train's dashboard
//! cargo run --release --example live_metrics -- FOLDER
//! ```

use std::path::PathBuf;

use burn::data::dataloader::DataLoaderBuilder;
use burn::data::dataloader::batcher::Batcher;
use burn::data::dataset::InMemDataset;
use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::optim::AdamWConfig;
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor, TensorData};
use burn::train::metric::LossMetric;
use burn::train::{InferenceStep, Learner, SupervisedTraining, TrainOutput, TrainStep};
use fullrank::{AnyRegularizer, Regularizer, RegularizerConfig, SvMaxConfig};
use fullrank_train::metrics::{
    DeadDimensionsMetric, EffectiveRankMetric, EmbeddingInput, MeanSingularValueMetric, MetricExt,
    StepOutput, TermMetric,
};

/// Numbers between 0 and 1 whose squares are to be learned.
#[derive(Clone, Debug)]
struct Batch {
    inputs: Tensor<2>,
}

#[derive(Clone)]
struct Numbers;

impl Batcher<f32, Batch> for Numbers {
    fn batch(&self, items: Vec<f32>, device: &Device) -> Batch {
        let shape = [items.len(), 1];
        Batch {
            inputs: Tensor::from_data(TensorData::new(items, shape), device),
        }
    }
}

#[derive(Module, Debug)]
struct Model {
    hidden: Linear,
    head: Linear,
    regularizer: AnyRegularizer,
}

impl Model {
    /// The loss, its terms, and the embeddings: what every metric below reads.
    fn output(&self, batch: Batch) -> StepOutput {
        let embeddings = relu(self.hidden.forward(batch.inputs.clone()));
        let error = self.head.forward(embeddings.clone()) - batch.inputs.square();
        let error = error.square().mean();
        let penalty = self
            .regularizer
            .forward_terms(embeddings.clone())
            .prefixed("svmax");
        StepOutput {
            loss: error + penalty.total.clone(),
            terms: (&penalty).into(),
            embeddings: EmbeddingInput::new(embeddings),
        }
    }
}

impl TrainStep for Model {
    type Input = Batch;
    type Output = StepOutput;

    fn step(&self, batch: Batch) -> TrainOutput<StepOutput> {
        let output = self.output(batch);
        TrainOutput::new(self, output.loss.backward(), output)
    }
}

impl InferenceStep for Model {
    type Input = Batch;
    type Output = StepOutput;

    fn step(&self, batch: Batch) -> StepOutput {
        self.output(batch)
    }
}

fn main() {
    let folder = std::env::args().nth(1).map(PathBuf::from);
    let folder = folder.unwrap_or_else(|| std::env::temp_dir().join("fullrank-live-metrics"));
    let numbers = |count: usize| {
        let numbers = (0..count).map(|i| (i as f32 * 0.618).fract());
        let dataset = InMemDataset::new(numbers.collect());
        DataLoaderBuilder::new(Numbers)
            .batch_size(32)
            .build(dataset)
    };
    let device = Device::default().autodiff();
    device.seed(1);
    let model = Model {
        hidden: LinearConfig::new(1, 16).init(&device),
        head: LinearConfig::new(16, 1).init(&device),
        regularizer: RegularizerConfig::SvMax(SvMaxConfig::new().with_weight(0.01)).init(),
    };
    let learner = Learner::new(model, AdamWConfig::new().init(), 1e-2);
    // `every(n)`: the spectrum of every n-th batch only, which waits for the device.
    let result = SupervisedTraining::new(&folder, numbers(512), numbers(128))
        .metrics((
            LossMetric::new(),
            MeanSingularValueMetric::new().every(4),
            EffectiveRankMetric::new().every(4),
            DeadDimensionsMetric::new().every(4),
            TermMetric::new("svmax.penalty"),
        ))
        .num_epochs(4)
        .summary()
        .launch(learner);
    println!("metrics are in {}", folder.display());
    let _model = result.model;
}
