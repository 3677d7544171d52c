//! A run so small that it takes a moment.

use metric_learning::config::{DataName, RunConfig};

/// Twenty classes of six drawings each in either part, a tiny network, four steps.
pub(crate) fn tiny(_: DataName) -> RunConfig {
    let objective = |loss: &str| format!(r#""{loss}": {{ "classes_per_batch": 6 }}"#);
    let losses = [
        "contrastive",
        "triplet",
        "n-pair",
        "angular",
        "lifted-structure",
        "multi-similarity",
    ];
    let config = format!(
        r#"{{
            "data": {{ "train_classes": 20, "test_classes": 20 }},
            "iterations": 6,
            "validate_every": 2,
            "encoder": {{ "name": "small-cnn", "width": 2 }},
            "dimensions": 8,
            "objectives": {{ {} }}
        }}"#,
        losses.map(objective).join(", ")
    );
    RunConfig::from_json(&config, None, RunConfig::defaults).expect("the configuration is valid")
}
