//! An interrupted training that is resumed equals the uninterrupted one.

mod common;

use std::fs::{self, File};
use std::path::Path;

use anyhow::Result;
use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Tensor};
use fullrank_study::data::Data;
use fullrank_study::{Training, initial};
use fullrank_train::session::checkpoint::last_epoch;
use fullrank_train::session::history::{FILE, Row, SECONDS};
use fullrank_train::session::{self, Display, Stop};
use self_supervised::config::{Method, RunConfig};
use self_supervised::model::SelfSupervised;
use self_supervised::study::ENCODER;

type Trained = session::Trained<SelfSupervised>;

/// The bits of every weight and running statistic.
#[derive(Default)]
struct Bits(Vec<u32>);

impl ModuleVisitor for Bits {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let values = param.val().into_data();
        self.0.extend(values.iter::<f32>().map(f32::to_bits));
    }
}

fn bits(module: &impl Module) -> Vec<u32> {
    let mut bits = Bits::default();
    module.visit(&mut bits);
    bits.0
}

fn weights(trained: &Trained) -> Vec<u32> {
    bits(&trained.model)
}

fn metrics(trained: &Trained) -> Vec<Row> {
    let timeless = trained.rows.iter().filter(|row| row.metric != SECONDS);
    timeless.cloned().collect()
}

fn train(config: &RunConfig, method: Method, directory: &Path, stop: &Stop) -> Option<Trained> {
    attempt(config, method, 5, directory, stop).unwrap()
}

fn attempt(
    config: &RunConfig,
    method: Method,
    seed: u64,
    directory: &Path,
    stop: &Stop,
) -> Result<Option<Trained>> {
    let training = Training {
        study: config,
        case: method,
        seed,
        data: &Data::load(&config.data).unwrap(),
        device: &Device::flex(),
        directory: directory.to_path_buf(),
        display: Display::Compact,
        stop,
    };
    training.run()
}

#[test]
fn a_resumed_training_equals_the_uninterrupted_one() {
    let config = common::tiny();
    for method in [Method::Vicreg, Method::Svmax] {
        let folder = tempfile::tempdir().unwrap();
        let whole = train(&config, method, &folder.path().join("whole"), &Stop::new()).unwrap();

        // Stopped when the third epoch is done but not yet kept: two epochs are.
        let directory = folder.path().join("resumed");
        let stopped = train(&config, method, &directory, &Stop::new().after_epoch(3));
        assert!(stopped.is_none());
        assert_eq!(last_epoch(&directory.join("checkpoint")), Some(2));
        let resumed = train(&config, method, &directory, &Stop::new()).unwrap();

        assert_eq!(weights(&resumed), weights(&whole));
        assert_eq!(metrics(&resumed), metrics(&whole));

        // A finished training is read back, not repeated.
        let again = train(&config, method, &directory, &Stop::new()).unwrap();
        assert_eq!(weights(&again), weights(&whole));
        assert_eq!(again.rows, resumed.rows);
    }
}

#[test]
fn the_seed_decides_the_weights() {
    let mut config = common::tiny();
    config.epochs = 1;
    let folder = tempfile::tempdir().unwrap();
    let run = |name: &str, seed| {
        let directory = folder.path().join(name);
        let trained = attempt(&config, Method::None, seed, &directory, &Stop::new());
        weights(&trained.unwrap().unwrap())
    };
    let first = run("first", 5);
    assert_eq!(first, run("second", 5));
    assert_ne!(first, run("third", 6));
}

#[test]
fn all_methods_start_from_the_same_encoder() {
    let config = common::tiny();
    let device = Device::flex();
    let data = Data::load(&config.data).unwrap();
    let encoder = |method, seed| {
        let model = initial(&config, method, seed, &data, &device);
        bits(&model.encoder)
    };
    let first = encoder(Method::None, 5);
    for method in [
        Method::Svmax,
        Method::Variance,
        Method::Vicreg,
        Method::BarlowTwins,
    ] {
        assert_eq!(encoder(method, 5), first, "{method:?}");
    }
    assert_ne!(encoder(Method::None, 6), first);
}

#[test]
fn a_torn_line_of_the_metrics_is_no_obstacle() {
    let config = common::tiny();
    let folder = tempfile::tempdir().unwrap();
    let whole = folder.path().join("whole");
    let whole = train(&config, Method::None, &whole, &Stop::new()).unwrap();

    let directory = folder.path().join("torn");
    let stop = Stop::new().after_epoch(3);
    assert!(train(&config, Method::None, &directory, &stop).is_none());
    let file = File::options().write(true).open(directory.join(FILE));
    let file = file.unwrap();
    file.set_len(file.metadata().unwrap().len() - 7).unwrap();
    let resumed = train(&config, Method::None, &directory, &Stop::new()).unwrap();
    assert_eq!(weights(&resumed), weights(&whole));
    assert_eq!(metrics(&resumed), metrics(&whole));

    let text = fs::read_to_string(directory.join(FILE)).unwrap();
    assert_eq!(text.lines().count(), 1 + resumed.rows.len());
}

#[test]
fn a_diverged_training_is_an_error_and_leaves_no_encoder() {
    let mut config = common::tiny();
    config.schedule.learning_rate = 1e30;
    config.schedule.warmup = 0.0;
    let folder = tempfile::tempdir().unwrap();
    // The second call continues from the checkpoint of the last epoch.
    for _ in 0..2 {
        let result = attempt(&config, Method::Vicreg, 5, folder.path(), &Stop::new());
        let text = result.err().expect("it diverges").to_string();
        assert_eq!(
            text,
            "VICReg: the training diverged (weights are not finite); lower the learning rate"
        );
        assert!(!folder.path().join(ENCODER).exists());
    }
}

#[test]
fn patience_ends_a_training_that_gets_worse() {
    let mut config = common::tiny();
    config.epochs = 6;
    config.patience = Some(1);
    // A learning rate that no loss survives.
    config.schedule.learning_rate = 1e3;
    config.schedule.warmup = 0.0;
    let folder = tempfile::tempdir().unwrap();
    let trained = train(&config, Method::Vicreg, folder.path(), &Stop::new()).unwrap();
    let last = trained.rows.iter().map(|row| row.epoch).max().unwrap();
    let losses: Vec<f64> = trained
        .rows
        .iter()
        .filter(|row| row.split == "valid" && row.metric == "loss")
        .map(|row| row.value)
        .collect();
    assert!(last < 6, "six epochs of {losses:?}");
    assert!(losses[last - 1] >= losses[last - 2]);
}
