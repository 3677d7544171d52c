//! A run so small that it takes a moment.

use self_supervised::config::RunConfig;

/// Eight batches of sixteen images an epoch, a tiny network.
pub(crate) fn tiny() -> RunConfig {
    let config = r#"{
        "data": { "name": "fashion-mnist-mini", "train_per_class": 13, "test_per_class": 4 },
        "epochs": 3,
        "batch_size": 16,
        "encoder": { "name": "small-cnn", "width": 2 },
        "expander": [16, 16, 16],
        "objectives": { "svmax": { "dimensions": 8 } }
    }"#;
    RunConfig::from_json(config, None).expect("the configuration is valid")
}
