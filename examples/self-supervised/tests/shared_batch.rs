//! Workers that share a batch train as one process that gives each of their parts to the network by itself, for the
//! statistics of normalization layers, and the loss all rows.

mod common;

use std::sync::Arc;
use std::thread;

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor};
use burn::train::TrainStep;
use fullrank::TwoViewLoss;
use fullrank::shards::ThreadGroup;
use fullrank_study::data::Data;
use fullrank_study::{Study, Training, Workers, initial};
use fullrank_train::large_batch::LargeBatch;
use fullrank_train::optimizer::OptimizerConfig;
use fullrank_train::session::{Display, Stop};
use fullrank_vision::loader::ViewBatch;
use self_supervised::config::{Accumulation, Method, RunConfig};
use self_supervised::model::SelfSupervised;

const WORKERS: usize = 3;
const STEPS: usize = 5;
/// Images in a batch.
const BATCH: usize = 16;

/// The first batches of a training, or of them the rows of a worker.
fn batches(config: &RunConfig, method: Method, data: &Data) -> Vec<ViewBatch> {
    let training = Training {
        study: config,
        case: method,
        seed: 1,
        data,
        device: &Device::flex(),
        directory: Default::default(),
        display: Display::Silent,
        stop: &Stop::new(),
    };
    let (loader, _, _) = config.loaders(&training, 1);
    let loader = loader.to_device(&Device::flex().autodiff());
    let batches = loader.iter().take(STEPS);
    batches.map(|batch| batch.unwrap()).collect()
}

/// The weights after some steps; the buffers of normalization layers are left out, which are of each worker's rows.
fn trained(
    config: &RunConfig,
    method: Method,
    data: &Data,
    gradients: impl Fn(&SelfSupervised, usize) -> GradientsParams,
) -> Vec<f64> {
    let mut model = initial(config, method, 1, data, &Device::flex().autodiff());
    let mut optimizer = config.optimizer.init();
    for step in 0..STEPS {
        let gradients = gradients(&model, step);
        model = optimizer.step(0.05, model, gradients);
    }
    trainable(&model)
}

fn trainable(model: &SelfSupervised) -> Vec<f64> {
    use burn::module::{ModuleVisitor, Param};

    #[derive(Default)]
    struct Trainable(Vec<f64>);

    impl ModuleVisitor for Trainable {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let value = param.val();
            if value.is_require_grad() {
                self.0.extend(value.into_data().iter::<f64>());
            }
        }
    }

    let mut values = Trainable::default();
    model.visit(&mut values);
    values.0
}

fn distance(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    let squares = a.iter().zip(b).map(|(a, b)| (a - b).powi(2));
    squares.sum::<f64>().sqrt()
}

#[test]
fn workers_train_as_one_process_with_the_loss_of_all_rows() {
    let mut config = common::tiny();
    config.optimizer = OptimizerConfig::sgd();
    let data = Data::load(&config.data).unwrap();
    for method in [
        Method::None,
        Method::Svmax,
        Method::Variance,
        Method::Vicreg,
        Method::BarlowTwins,
    ] {
        compare(&config, method, &data);
    }
    // Each worker its rows in two chunks.
    config.accumulation = Some(Accumulation::Exact(3));
    compare(&config, Method::Vicreg, &data);
}

fn compare(config: &RunConfig, method: Method, data: &Data) {
    let group = Arc::new(ThreadGroup::new(WORKERS));
    let shared: Vec<RunConfig> = (0..WORKERS)
        .map(|rank| {
            let workers = Workers::new(group.clone(), rank);
            config.clone().shared(workers).unwrap()
        })
        .collect();
    let parts: Vec<Vec<ViewBatch>> = shared
        .iter()
        .map(|config| batches(config, method, data))
        .collect();
    let sizes: Vec<usize> = parts.iter().map(|part| part[0].indices.len()).collect();
    assert_eq!(sizes, [5, 5, 6]);
    let weights: Vec<Vec<f64>> = thread::scope(|scope| {
        let workers = shared.iter().zip(&parts).map(|(config, parts)| {
            let parts = parts.clone();
            scope.spawn(move || {
                trained(config, method, data, |model, step| {
                    TrainStep::step(model, parts[step].clone()).grads
                })
            })
        });
        let workers: Vec<_> = workers.collect();
        workers
            .into_iter()
            .map(|worker| worker.join().unwrap())
            .collect()
    });
    let chunk = config.accumulation.map_or(BATCH, Accumulation::chunk);
    let alone = trained(config, method, data, |model, step| {
        let (mut first, mut second) = (Vec::new(), Vec::new());
        for part in parts.iter().map(|part| &part[step]) {
            for images in LargeBatch::new(chunk).chunks(part.indices.len()) {
                let views = part.views.clone();
                let [a, b] = model.embeddings(views.map(|view| view.slice([images.clone()])));
                first.push(a);
                second.push(b);
            }
        }
        let (a, b) = (Tensor::cat(first, 0), Tensor::cat(second, 0));
        let loss = model.objective().forward(a, b);
        GradientsParams::from_grads(loss.backward(), model)
    });
    let device = Device::flex().autodiff();
    let start = trainable(&initial(config, method, 1, data, &device));
    let moved = distance(&alone, &start);
    for worker in &weights {
        assert_eq!(worker, &weights[0], "{method:?}");
        let share = distance(worker, &alone) / moved;
        assert!(share < 1e-4, "{method:?}: {share:.1e} of {moved:.1e}");
    }
}
