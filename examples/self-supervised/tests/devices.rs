//! A training on the device that `BURN_DEVICE` names, or on ndarray, is that on flex: its initial weights, its batches, its
//! first ten steps, and what is measured on the encoder.

mod common;

use std::path::PathBuf;

use burn::module::Module;
use burn::tensor::Device;
use fullrank_study::agreement::{Agreement, other_device};
use fullrank_study::data::Data;
use fullrank_study::{Study, Training, host, initial};
use fullrank_train::optimizer::OptimizerConfig;
use fullrank_train::session::{Display, Stop, weights};
use self_supervised::config::{Method, RunConfig};
use self_supervised::evaluation::{Usage, evaluate};

fn device() -> Device {
    other_device().unwrap()
}

fn training<'a>(
    study: &'a RunConfig,
    case: Method,
    (data, device): (&'a Data, &'a Device),
    stop: &'a Stop,
) -> Training<'a, RunConfig> {
    Training {
        study,
        case,
        seed: 3,
        data,
        device,
        directory: PathBuf::new(),
        display: Display::Compact,
        stop,
    }
}

/// Ten steps of each method; `moved` is the tolerance of the weights as a share of their change.
fn agree(optimizer: OptimizerConfig, rate: f64, methods: &[Method], moved: f64) {
    let mut config = common::tiny();
    config.optimizer = optimizer;
    config.schedule.learning_rate = rate;
    config.epochs = 2;
    let data = Data::load(&config.data).unwrap();
    for &method in methods {
        let agreement = Agreement::measure(&config, (method, 3), &data, &device(), 10).unwrap();
        assert!(agreement.losses.len() > 1, "{method:?}: {agreement}");
        let losses = agreement.losses.iter().map(|(_, share)| *share);
        assert!(losses.fold(0.0, f64::max) < 1e-3, "{method:?}: {agreement}");
        assert!(agreement.optimizer < 1e-2, "{method:?}: {agreement}");
        assert!(agreement.weights < moved, "{method:?}: {agreement}");
    }
}

#[test]
fn ten_steps_of_lars_are_those_of_flex() {
    let methods = [Method::Svmax, Method::Vicreg, Method::BarlowTwins];
    agree(OptimizerConfig::lars(), 0.2, &methods, 1e-2);
}

#[test]
fn ten_steps_of_adamw_are_those_of_flex() {
    // Adam moves also what has no influence on the loss.
    agree(OptimizerConfig::adamw(), 1e-3, &[Method::Vicreg], 0.1);
}

#[test]
fn initial_weights_are_those_of_flex() {
    let config = common::tiny();
    let data = Data::load(&config.data).unwrap();
    let drawn = |device: &Device, seed| {
        let model = initial(&config, Method::Vicreg, seed, &data, device);
        weights::values(&model)
    };
    for device in [device(), device().autodiff()] {
        assert_eq!(drawn(&device, 3), drawn(&host(), 3));
    }
    assert_ne!(drawn(&device(), 4), drawn(&host(), 3));
}

#[test]
fn views_are_those_of_flex() {
    let config = common::tiny();
    let data = Data::load(&config.data).unwrap();
    let views = |device: &Device| -> Vec<f32> {
        let stop = Stop::new();
        let training = training(&config, Method::None, (&data, device), &stop);
        let (loader, ..) = config.loaders(&training, 1);
        let batch = loader.iter().next().unwrap().unwrap();
        let [a, b] = batch.views.map(|view| view.into_data());
        a.iter::<f32>().chain(b.iter()).collect()
    };
    let (here, there) = (views(&host()), views(&device()));
    assert_eq!(here.len(), 2 * 16 * 28 * 28);
    let differences = here.iter().zip(&there).map(|(a, b)| (a - b).abs());
    let worst = differences.fold(0.0, f32::max);
    assert!(worst < 1e-5, "a pixel differs by {worst}");
}

#[test]
fn an_encoder_is_measured_as_on_flex() {
    let config = common::tiny();
    let data = Data::load(&config.data).unwrap();
    let measured = |device: &Device| {
        let model = initial(&config, Method::Vicreg, 3, &data, device).valid();
        evaluate(&config, &model, &data, device).0
    };
    let (here, there) = (measured(&host()), measured(&device()));
    let images = data.test.len() as f64;
    assert!((here.accuracy.knn - there.accuracy.knn).abs() < 1.5 / images);
    assert!((here.accuracy.linear - there.accuracy.linear).abs() < 1.5 / images);
    let close = |here: Option<Usage>, there: Option<Usage>| {
        let (here, there) = (here.unwrap(), there.unwrap());
        let figures = |u: &Usage| [u.mean_singular_value, u.effective_rank];
        for (a, b) in figures(&here).into_iter().zip(figures(&there)) {
            assert!((a - b).abs() < 1e-4 * a, "{a} on flex, {b} on the device");
        }
        assert_eq!(here.dead, there.dead);
    };
    close(here.embedding, there.embedding);
    close(here.representation, there.representation);
}

/// On a device that records operations instead of executing them, where no computed number can be read, a batch is made
/// and goes through network and loss. (The device knows no autodiff, hence no optimizer.)
#[cfg(feature = "capture")]
#[test]
fn batches_network_and_loss_read_nothing_back() {
    use burn::train::InferenceStep;

    let config = common::tiny();
    let data = Data::load(&config.data).unwrap();
    let device = Device::capture();
    let captured = device.capture_scope(|scope| {
        let stop = Stop::new();
        for method in [
            Method::None,
            Method::Svmax,
            Method::Vicreg,
            Method::BarlowTwins,
        ] {
            let training = training(&config, method, (&data, &device), &stop);
            let (loader, ..) = config.loaders(&training, 1);
            let batch = loader.iter().next().unwrap().unwrap();
            let model = config.model(method, &data, &device);
            InferenceStep::step(&model, batch);
        }
        scope.complete([], [])
    });
    let operations = captured.expect("a capture").graph.operations.len();
    assert!(operations > 500, "{operations} operations");
}
