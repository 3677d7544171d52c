//! Configurations: defaults, JSON, what is refused, and the command line.

use clap::Parser;
use fullrank_study::Case;
use fullrank_study::configuration::{self, key};
use metric_learning::args::{Args, Command};
use metric_learning::cell::Cell;
use metric_learning::config::{DataName, LossName, RegularizerName, RunConfig};
use metric_learning::sweep;

fn read(text: &str) -> anyhow::Result<RunConfig> {
    RunConfig::from_json(text, None, RunConfig::defaults)
}

/// The batches of SVMax's paper: 144 images for every loss that it has.
#[test]
fn the_defaults_are_those_of_the_paper() {
    let config = RunConfig::defaults(DataName::EmojiMini);
    config.validate().unwrap();
    assert_eq!(config.dimensions, 128);
    for (loss, classes, images, lambda) in [
        (LossName::Contrastive, 36, 4, 1.0),
        (LossName::Triplet, 24, 6, 0.1),
        (LossName::NPair, 72, 2, 1.0),
        (LossName::Angular, 72, 2, 2.0),
        (LossName::LiftedStructure, 36, 4, 1.0),
        (LossName::MultiSimilarity, 36, 4, 1.0),
    ] {
        let objective = config.objectives.of(loss);
        assert_eq!(objective.loss.name(), key(loss));
        assert_eq!(
            (objective.classes_per_batch, objective.images_per_class),
            (classes, images)
        );
        assert_eq!(objective.batch_size(), 144);
        assert_eq!(objective.svmax_weight, lambda);
    }
}

#[test]
fn json_goes_and_comes_back() {
    let config = read(r#"{ "seeds": [4], "objectives": { "n-pair": { "svmax_weight": 3 } } }"#);
    let config = config.unwrap();
    let text = configuration::to_json(&config).unwrap();
    assert_eq!(configuration::to_json(&read(&text).unwrap()).unwrap(), text);
    assert_eq!(config.objectives.of(LossName::NPair).svmax_weight, 3.0);
    assert_eq!(config.objectives.of(LossName::NPair).classes_per_batch, 72);
}

#[test]
fn unknown_keys_and_values_are_named() {
    for (text, named) in [
        (r#"{ "epochs": 3 }"#, "unknown key `epochs`"),
        (r#"{ "objectives": { "npair": {} } }"#, "npair"),
        (r#"{ "losses": ["pairs"] }"#, "in `losses[0]`"),
        (r#"{ "data": { "name": "mnist" } }"#, "data.name"),
    ] {
        let error = format!("{:#}", read(text).unwrap_err());
        assert!(error.contains(named), "{text}: {error}");
    }
}

#[test]
fn bad_settings_are_named() {
    for (part, named) in [
        (r#"{ "losses": [] }"#, "losses must hold at least one"),
        (r#"{ "seeds": [3, 3] }"#, "seeds holds 3 twice"),
        (
            r#"{ "regularizers": ["svmax", "svmax"] }"#,
            "holds svmax twice",
        ),
        (
            r#"{ "learning_rates": [0.1, 0] }"#,
            "learning_rates must be above 0 and finite, got 0",
        ),
        (
            r#"{ "learning_rates": [0.1], "schedule": { "end": 0.2 } }"#,
            "schedule.end must be in [0, 0.1], got 0.2",
        ),
        (
            r#"{ "schedule": { "constant": 1 } }"#,
            "schedule.constant must be in [0, 1), got 1",
        ),
        (r#"{ "schedule": { "power": 0 } }"#, "schedule.power"),
        (r#"{ "iterations": 0 }"#, "iterations must be at least 1"),
        (
            r#"{ "iterations": 10, "validate_every": 4 }"#,
            "validate_every must divide iterations, got 4 and 10",
        ),
        (r#"{ "dimensions": 0 }"#, "dimensions must be at least 1"),
        (r#"{ "encoder": { "width": 0 } }"#, "encoder.width"),
        (
            r#"{ "evaluation": { "recall_at": [0] } }"#,
            "evaluation.recall_at",
        ),
        (
            r#"{ "data": { "image_shape": [2, 8, 8] } }"#,
            "data.image_shape",
        ),
        (
            r#"{ "objectives": { "contrastive": { "images_per_class": 1 } } }"#,
            "objectives.contrastive must have batches of at least 2 classes with 2 images each, got 36 x 1",
        ),
        (
            r#"{ "losses": ["triplet"],
                 "objectives": { "triplet": { "loss": { "n-pair": { "l2_weight": 0, "normalize": true } } } } }"#,
            "objectives",
        ),
    ] {
        let error = match read(part) {
            Ok(config) => config.validate().unwrap_err(),
            Err(error) => error,
        };
        let error = format!("{error:#}");
        assert!(error.contains(named), "{part}: {error}");
    }
}

#[test]
fn cells_have_names() {
    let config = read(r#"{ "losses": ["n-pair"], "learning_rates": [0.001, 10] }"#).unwrap();
    let cells = Cell::all(&config);
    let keys: Vec<String> = cells.iter().map(Cell::key).collect();
    assert_eq!(
        keys,
        [
            "n-pair-none-lr-0.001",
            "n-pair-svmax-lr-0.001",
            "n-pair-none-lr-10",
            "n-pair-svmax-lr-10"
        ]
    );
    assert_eq!(cells[3].title(), "N-pair + SVMax, lr 10");
    assert_eq!(cells[0].title(), "N-pair, lr 0.001");
}

#[test]
fn the_command_line_wins_over_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("part.json");
    std::fs::write(
        &file,
        r#"{ "seeds": [8], "iterations": 20, "validate_every": 5 }"#,
    )
    .unwrap();
    let file = file.to_str().unwrap();
    let parse = |options: &[&str]| {
        Args::try_parse_from([&["metric-learning", "--config", file], options].concat())
    };
    let config = parse(&["--losses", "triplet,angular", "--iterations", "40"]);
    let config = config.unwrap().run_config().unwrap();
    assert_eq!(config.losses, [LossName::Triplet, LossName::Angular]);
    assert_eq!((config.iterations, config.validate_every), (40, 10));
    assert_eq!(config.seeds, [8]);
    // Where as many validations do not fit, there is one at the end.
    let config = parse(&["--iterations", "7"]).unwrap().run_config().unwrap();
    assert_eq!((config.iterations, config.validate_every), (7, 7));
    let error = parse(&["--learning-rates", "-1"]);
    assert!(error.is_err() || error.unwrap().run_config().is_err());

    let resume = ["metric-learning", "--resume"];
    assert!(Args::try_parse_from(resume).is_ok());
    for option in [
        &["--seeds", "1"][..],
        &["--losses", "triplet"],
        &["--config", file],
    ] {
        assert!(
            Args::try_parse_from([&resume, option].concat()).is_err(),
            "{option:?}"
        );
    }
}

#[test]
fn a_sweep_has_its_own_defaults() {
    let args = Args::try_parse_from(["metric-learning", "sweep", "--only", "lr,circle"]).unwrap();
    let Some(Command::Sweep(args)) = args.command else {
        panic!("a sweep");
    };
    assert_eq!(args.only.as_ref().map(Vec::len), Some(2));
    let config = args.settings.over(sweep::defaults).unwrap();
    assert_eq!(config.iterations, config.validate_every);
    assert!(!config.evaluation.nmi);
    assert_eq!(key(RegularizerName::Svmax), "svmax");
}
