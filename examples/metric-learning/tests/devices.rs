//! A training on the device that `BURN_DEVICE` names, or on ndarray, is that on flex over its first ten steps.

mod common;

use std::path::PathBuf;

use burn::tensor::Device;
use fullrank_study::Training;
use fullrank_study::agreement::Agreement;
use fullrank_train::session::{Display, Stop};
use metric_learning::cell::Cell;
use metric_learning::config::{DataName, LossName, RegularizerName};
use metric_learning::data;

/// The device to hold against flex.
#[allow(deprecated, reason = "ndarray is there until Burn removes it in 0.23")]
fn device() -> Device {
    match std::env::var_os("BURN_DEVICE") {
        Some(_) => Device::default(),
        None => Device::ndarray(),
    }
}

#[test]
fn ten_steps_are_those_of_flex() {
    let mut config = common::tiny(DataName::EmojiMini);
    config.iterations = 20;
    config.validate_every = 10;
    let data = data::load(&config.data).unwrap();
    for (loss, regularizer) in [
        (LossName::Contrastive, RegularizerName::None),
        (LossName::Contrastive, RegularizerName::Svmax),
        // Which triplets count is decided by mining.
        (LossName::Triplet, RegularizerName::Svmax),
    ] {
        let (device, stop) = (device(), Stop::new());
        let training = Training {
            study: &config,
            case: Cell {
                loss,
                regularizer,
                learning_rate: 0.01,
            },
            seed: 3,
            data: &data,
            device: &device,
            directory: PathBuf::new(),
            display: Display::Compact,
            stop: &stop,
        };
        let agreement = Agreement::measure(&training, 10).unwrap();
        assert!(
            agreement.worst() < 1e-3,
            "{loss:?}, {regularizer:?}: {agreement}"
        );
    }
}
