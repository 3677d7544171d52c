//! An interrupted training that is resumed equals the uninterrupted one.

mod common;

use std::path::Path;

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Tensor};
use self_supervised::checkpoint::last_epoch;
use self_supervised::config::{Method, RunConfig};
use self_supervised::data::Data;
use self_supervised::history::{Row, SECONDS};
use self_supervised::stop::Stop;
use self_supervised::training::{Display, Trained, Training};

/// The bits of every weight and running statistic.
#[derive(Default)]
struct Bits(Vec<u32>);

impl ModuleVisitor for Bits {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let values = param.val().into_data();
        self.0.extend(values.iter::<f32>().map(f32::to_bits));
    }
}

fn weights(trained: &Trained) -> Vec<u32> {
    let mut bits = Bits::default();
    trained.model.visit(&mut bits);
    bits.0
}

fn metrics(trained: &Trained) -> Vec<Row> {
    let timeless = trained.rows.iter().filter(|row| row.metric != SECONDS);
    timeless.cloned().collect()
}

fn train(config: &RunConfig, method: Method, directory: &Path, stop: &Stop) -> Option<Trained> {
    let training = Training {
        config,
        method,
        seed: 5,
        data: &Data::load(&config.data).unwrap(),
        device: &Device::flex(),
        directory: directory.to_path_buf(),
        display: Display::Compact,
        stop,
    };
    training.run().unwrap()
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
    let run = |name: &str| {
        train(
            &config,
            Method::None,
            &folder.path().join(name),
            &Stop::new(),
        )
        .unwrap()
    };
    let (first, second) = (run("first"), run("second"));
    assert_eq!(weights(&first), weights(&second));
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
