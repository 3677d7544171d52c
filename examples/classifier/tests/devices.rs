//! A training on the device that `BURN_DEVICE` names, or on ndarray, is that on flex over its first ten steps.

use classifier::config::{Method, RunConfig};
use classifier::study::FewLabels;
use fullrank_study::agreement::{Agreement, other_device};
use fullrank_study::data::Data;

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
    let device = other_device().unwrap();
    for method in [Method::None, Method::Svmax] {
        let case = FewLabels {
            per_class: 5,
            method,
        };
        let agreement = Agreement::measure(&config, (case, 3), &data, &device, 10).unwrap();
        assert!(agreement.weights < 1e-3, "{method:?}: {agreement}");
        assert!(agreement.worst() < 1e-3, "{method:?}: {agreement}");
    }
}
