//! What Burn's multi-device training does when one of the workers that share a batch has no more to do, or panics.

use std::sync::Arc;
use std::time::{Duration, Instant};

use burn::data::dataloader::DataLoaderBuilder;
use burn::data::dataloader::batcher::Batcher;
use burn::data::dataset::InMemDataset;
use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::optim::SgdConfig;
use burn::tensor::{Device, Tensor};
use burn::train::metric::LossMetric;
use burn::train::{
    ExecutionStrategy, InferenceStep, Learner, MultiDeviceOptim, SupervisedTraining, TrainOutput,
    TrainStep,
};
use fullrank::shards::{Sharded, ThreadGroup};
use fullrank::{Regularizer, Variance, VarianceConfig};
use fullrank_train::metrics::StepOutput;

#[derive(Clone)]
struct Rows;

impl Batcher<[f32; 2], Tensor<2>> for Rows {
    fn batch(&self, rows: Vec<[f32; 2]>, device: &Device) -> Tensor<2> {
        let rows = rows
            .into_iter()
            .map(|row| Tensor::<1>::from_floats(row, device));
        Tensor::stack(rows.collect(), 0)
    }
}

#[derive(Module, Debug)]
struct Model {
    layer: Linear,
    #[module(skip)]
    variance: Sharded<Variance>,
    #[module(skip)]
    group: ThreadGroup,
}

impl Model {
    fn output(&self, rows: Tensor<2>) -> StepOutput {
        let embeddings = self.layer.forward(rows);
        let terms = self.variance.forward_terms(embeddings.clone());
        StepOutput::new(&terms, embeddings)
    }
}

impl TrainStep for Model {
    type Input = Tensor<2>;
    type Output = StepOutput;

    fn step(&self, rows: Tensor<2>) -> TrainOutput<StepOutput> {
        let _watch = self.group.watch();
        let first = rows.clone().slice([0..1, 0..1]).into_scalar::<f32>();
        assert!(first >= 0.0, "a row that is broken");
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

/// The error of a training of two workers on these rows, two in a batch.
fn train(rows: &[[f32; 2]], timeout: Duration) -> Option<String> {
    let folder = tempfile::tempdir().unwrap();
    let loader = || {
        let loader = DataLoaderBuilder::new(Rows).batch_size(2);
        loader.build(InMemDataset::new(rows.to_vec()))
    };
    let device = Device::default().autodiff();
    let group = ThreadGroup::new(2).with_timeout(timeout);
    let model = Model {
        layer: LinearConfig::new(2, 3).init(&device),
        variance: Sharded::new(VarianceConfig::new().init(), Arc::new(group.clone())),
        group,
    };
    let strategy = ExecutionStrategy::multi(vec![device; 2], MultiDeviceOptim::OptimMainDevice);
    let result = SupervisedTraining::new(folder.path(), loader(), loader())
        .metrics((LossMetric::new(),))
        .with_training_strategy(strategy.into())
        .num_epochs(1)
        .launch(Learner::new(model, SgdConfig::new().init(), 0.1));
    result.error.map(|error| error.to_string())
}

fn rows(count: usize) -> Vec<[f32; 2]> {
    (0..count).map(|i| [i as f32, (i * i % 5) as f32]).collect()
}

#[test]
fn workers_with_as_many_batches_train() {
    assert_eq!(train(&rows(8), Duration::from_secs(60)), None);
}

/// Of nine rows one worker has four, two batches, and the other five, three.
#[test]
fn a_worker_without_a_last_batch_is_an_error_and_not_a_wait_without_end() {
    let started = Instant::now();
    let error = train(&rows(9), Duration::from_millis(300)).expect("an error");
    assert!(
        error.contains("of 2 workers that share a batch, 1 came within 300ms"),
        "{error}"
    );
    assert!(started.elapsed() < Duration::from_secs(30));
}

#[test]
fn a_worker_that_panics_ends_the_training_before_the_timeout() {
    let mut broken = rows(8);
    broken[4] = [-1.0, 0.0];
    let started = Instant::now();
    let error = train(&broken, Duration::from_secs(600)).expect("an error");
    assert!(
        error.contains("a row that is broken") || error.contains("one has ended"),
        "{error}"
    );
    assert!(started.elapsed() < Duration::from_secs(60));
}
