//! A training on the device that `BURN_DEVICE` names, or on ndarray, is that on flex over its first ten steps.

use std::path::PathBuf;

use burn::tensor::Device;
use classifier::config::{Method, RunConfig};
use classifier::study::FewLabels;
use fullrank_study::Training;
use fullrank_study::agreement::Agreement;
use fullrank_study::data::Data;
use fullrank_train::session::{Display, Stop};

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
    let config = RunConfig::from_json(
        r#"{
            "per_class": [5],
            "seeds": [3],
            "epochs": 2,
            "steps_per_epoch": 10,
            "batch_per_class": 2,
            "encoder": { "width": 2 }
        }"#,
    )
    .unwrap();
    let data = Data::load(&config.data).unwrap();
    for method in [Method::None, Method::Svmax] {
        let (device, stop) = (device(), Stop::new());
        let training = Training {
            study: &config,
            case: FewLabels {
                per_class: 5,
                method,
            },
            seed: 3,
            data: &data,
            device: &device,
            directory: PathBuf::new(),
            display: Display::Compact,
            stop: &stop,
        };
        let agreement = Agreement::measure(&training, 10).unwrap();
        assert!(agreement.weights < 1e-3, "{method:?}: {agreement}");
        assert!(agreement.worst() < 1e-3, "{method:?}: {agreement}");
    }
}
