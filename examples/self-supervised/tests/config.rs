//! Configurations: defaults, what is laid over them, and what is refused.

use std::path::Path;

use clap::Parser;
use fullrank_study::configuration;
use fullrank_study::data::DataName;
use fullrank_train::optimizer::OptimizerConfig;
use self_supervised::args::Args;
use self_supervised::config::{Accumulation, RunConfig};
use serde_json::Value;

fn json(config: &RunConfig) -> Value {
    serde_json::to_value(config).unwrap()
}

fn error(text: &str) -> String {
    format!("{:#}", RunConfig::from_json(text, None).unwrap_err())
}

#[test]
fn what_is_written_reads_back() {
    for data in [
        DataName::FashionMnistMini,
        DataName::FashionMnist,
        DataName::Cifar10,
    ] {
        let config = RunConfig::defaults(data);
        config.validate().unwrap();
        let text = configuration::to_json(&config).unwrap();
        assert_eq!(
            json(&RunConfig::from_json(&text, None).unwrap()),
            json(&config)
        );
    }
}

#[test]
fn a_part_is_laid_over_the_defaults() {
    let part = r#"{ "epochs": 3, "objectives": { "vicreg": { "covariance_weight": 2 } },
                    "encoder": { "width": 8 } }"#;
    let config = RunConfig::from_json(part, None).unwrap();
    let mut expected = json(&RunConfig::defaults(DataName::FashionMnistMini));
    expected["epochs"] = 3.into();
    expected["objectives"]["vicreg"]["covariance_weight"] = 2.0.into();
    expected["encoder"]["width"] = 8.into();
    assert_eq!(json(&config), expected);
}

#[test]
fn another_name_brings_its_own_defaults() {
    let part = r#"{ "data": { "name": "cifar10" }, "optimizer": { "name": "lars", "eta": 0.02 },
                    "encoder": { "name": "resnet18" }, "views": { "hue": 0.05 } }"#;
    let config = json(&RunConfig::from_json(part, None).unwrap());
    assert_eq!(config["encoder"]["zero_init_residual"], true);
    assert_eq!(config["optimizer"]["momentum"], 0.9);
    assert_eq!(config["optimizer"]["eta"], 0.02);
    assert_eq!(config["views"]["hue"], 0.05);
    assert_eq!(
        config["views"]["saturation"], 0.2,
        "the views of colour images"
    );
    let given = RunConfig::from_json(part, Some(DataName::FashionMnist)).unwrap();
    assert_eq!(json(&given)["data"]["name"], "fashion-mnist");
}

#[test]
fn unknown_keys_are_refused_with_the_known_ones() {
    let text = error(r#"{ "epoch": 3 }"#);
    assert!(
        text.contains("`epoch`") && text.contains("epochs, batch_size"),
        "{text}"
    );
    let text = error(r#"{ "objectives": { "vicreg": { "covariance": 2 } } }"#);
    assert!(text.contains("`objectives.vicreg.covariance`"), "{text}");
    assert!(text.contains("covariance_weight"), "{text}");
    let text = error(r#"{ "encoder": { "name": "small-cnn", "depth": 2 } }"#);
    assert!(text.contains("encoder") && text.contains("depth"), "{text}");
    assert!(text.contains("width"), "{text}");
    let text = error(r#"{ "methods": ["svmaxx"] }"#);
    assert!(
        text.contains("in `methods[0]`") && text.contains("barlow-twins"),
        "{text}"
    );
}

#[test]
fn values_out_of_range_are_refused() {
    for (part, named) in [
        (r#"{ "methods": [] }"#, "methods"),
        (r#"{ "methods": ["none", "none"] }"#, "none twice"),
        (r#"{ "seeds": [1, 1] }"#, "seeds holds 1 twice"),
        (r#"{ "epochs": 0 }"#, "epochs"),
        (r#"{ "batch_size": 1 }"#, "batch_size"),
        (
            r#"{ "accumulation": { "exact": 0 } }"#,
            "the chunk in accumulation must be at least 2, got 0",
        ),
        (
            r#"{ "accumulation": { "naive": 1 } }"#,
            "the chunk in accumulation must be at least 2, got 1",
        ),
        (r#"{ "schedule": { "warmup": 1.0 } }"#, "schedule.warmup"),
        (r#"{ "schedule": { "warmup": -0.1 } }"#, "got -0.1"),
        (
            r#"{ "schedule": { "learning_rate": 0 } }"#,
            "schedule.learning_rate",
        ),
        (r#"{ "schedule": { "learning_rate": -2.5 } }"#, "got -2.5"),
        (
            r#"{ "schedule": { "final_fraction": 1.5 } }"#,
            "schedule.final_fraction must be in [0, 1], got 1.5",
        ),
        (r#"{ "patience": 0 }"#, "patience"),
        (r#"{ "expander": [] }"#, "expander"),
        (r#"{ "expander": [16, 0] }"#, "expander"),
        (r#"{ "encoder": { "width": 0 } }"#, "encoder.width"),
        (
            r#"{ "objectives": { "svmax": { "dimensions": 0 } } }"#,
            "objectives.svmax.dimensions",
        ),
        (
            r#"{ "evaluation": { "neighbours": 0 } }"#,
            "evaluation.neighbours",
        ),
        (
            r#"{ "evaluation": { "probe": { "steps": 0 } } }"#,
            "evaluation.probe.steps",
        ),
        (
            r#"{ "evaluation": { "probe": { "tolerance": 0 } } }"#,
            "evaluation.probe.tolerance",
        ),
        (
            r#"{ "data": { "folder_shape": [2, 32, 32] } }"#,
            "data.folder_shape",
        ),
        (
            r#"{ "data": { "folder_shape": [3, 0, 32] } }"#,
            "[3, 0, 32]",
        ),
    ] {
        let config = RunConfig::from_json(part, None).unwrap();
        let text = config.validate().unwrap_err().to_string();
        assert!(text.contains(named), "{part}: {text}");
    }
    let mut config = RunConfig::defaults(DataName::FashionMnistMini);
    for rate in [f64::NAN, f64::INFINITY] {
        config.schedule.learning_rate = rate;
        let text = config.validate().unwrap_err().to_string();
        assert!(text.contains("schedule.learning_rate"), "{text}");
    }
}

#[test]
fn the_command_line_chooses_the_optimizer() {
    let parse = |options: &[&str]| Args::try_parse_from([&["self-supervised"], options].concat());
    for (name, expected) in [
        ("lars", OptimizerConfig::lars()),
        ("adamw", OptimizerConfig::adamw()),
        ("sgd", OptimizerConfig::sgd()),
    ] {
        let config = parse(&["--optimizer", name]).unwrap().run_config().unwrap();
        assert_eq!(config.optimizer, expected);
    }
    assert!(parse(&["--resume"]).is_ok());
    assert!(parse(&["--resume", "--optimizer", "sgd"]).is_err());
}

#[test]
fn the_command_line_chooses_the_chunk() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("naive.json");
    std::fs::write(&file, r#"{ "accumulation": { "naive": 64 } }"#).unwrap();
    let accumulation = |options: &[&str]| {
        let args = Args::try_parse_from([&["self-supervised"], options].concat()).unwrap();
        args.run_config().map(|config| config.accumulation)
    };
    let file = file.to_str().unwrap();
    assert_eq!(accumulation(&[]).unwrap(), None);
    let exact = Some(Accumulation::Exact(32));
    assert_eq!(accumulation(&["--chunk", "32"]).unwrap(), exact);
    let naive = Some(Accumulation::Naive(64));
    assert_eq!(accumulation(&["--config", file]).unwrap(), naive);
    assert_eq!(
        accumulation(&["--config", file, "--chunk", "32"]).unwrap(),
        exact
    );
    let text = format!("{:#}", accumulation(&["--chunk", "0"]).unwrap_err());
    assert_eq!(
        text,
        "in the configuration: the chunk in accumulation must be at least 2, got 0"
    );
}

#[test]
fn the_shipped_files_are_valid() {
    for (file, accumulation) in [
        ("small.json", None),
        ("large-batch.json", Some(Accumulation::Exact(256))),
    ] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
        let config = RunConfig::load(&path, None).unwrap();
        config.validate().unwrap();
        assert_eq!(config.accumulation, accumulation, "{file}");
    }
}
