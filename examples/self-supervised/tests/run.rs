//! A whole run writes every file it promises, and can be continued.

mod common;

use std::fs;

use burn::module::Module;
use burn::tensor::Device;
use fullrank_study::Run;
use fullrank_study::configuration::key;
use fullrank_study::data::Data;
use fullrank_train::session::{Display, Stop};
use fullrank_vision::encoder::EncoderConfig;
use self_supervised::config::{Method, RunConfig};

const METHODS: [Method; 5] = [
    Method::None,
    Method::Svmax,
    Method::Variance,
    Method::Vicreg,
    Method::BarlowTwins,
];

#[test]
fn a_run_writes_every_file() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = common::tiny();
    config.methods = METHODS.to_vec();
    config.seeds = vec![1, 2];
    config.epochs = 2;
    let data = Data::load(&config.data).unwrap();
    let device = Device::flex();
    let run = Run::start(folder.path(), None, config).unwrap();
    assert_eq!(run.name(), "run-1");

    let execute = |run: &Run<RunConfig>, stop: &Stop| {
        run.execute(&data, &device, Display::Compact, stop).unwrap()
    };
    assert!(execute(&run, &Stop::new().after_epoch(1)).is_none());
    drop(run);
    let run = Run::<RunConfig>::open(folder.path(), None).unwrap();
    let entries = execute(&run, &Stop::new()).unwrap();
    let text = run.report(&data, &entries).unwrap();
    let (table, legend) = text.split_once("\n\n").unwrap();

    assert_eq!(table.lines().count(), 2 + 2 + METHODS.len());
    for line in table.lines().skip(2) {
        assert_eq!(line.matches('|').count(), 12, "{line}");
    }
    // The share of the loss in a step, of every training.
    assert_eq!(table.matches("%) |").count(), METHODS.len());
    assert!(table.contains("| VICReg "));
    assert!(table.lines().last().unwrap().contains(" ± "));
    assert!(legend.contains("over 2 seeds"));
    let directory = run.directory.clone();
    let file = |name: &str| directory.join(name);
    assert_eq!(fs::read_to_string(file("table.md")).unwrap(), text);
    for plot in ["terms", "spectrum", "std", "accuracy", "headline"] {
        let svg = fs::read_to_string(file(&format!("{plot}.svg"))).unwrap();
        assert!(svg.starts_with("<svg") && svg.contains("SVMax"), "{plot}");
    }

    let page = fs::read_to_string(file("report.html")).unwrap();
    // Terms, accuracies, and of embeddings and representations the bounds and five charts of each.
    assert_eq!(
        page.matches("<svg").count(),
        2 + 2 * (1 + 5 * METHODS.len())
    );
    for method in METHODS {
        let heading = format!("Nearest neighbours: {}", method.title());
        assert!(page.contains(&heading), "{heading}");
    }

    let results = fs::read_to_string(file("results.json")).unwrap();
    let results: serde_json::Value = serde_json::from_str(&results).unwrap();
    let names: Vec<&str> = results
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["name"].as_str().unwrap())
        .collect();
    let trained = METHODS.map(key);
    assert_eq!(names[..2], ["raw-pixels", "untrained"]);
    assert_eq!(names[2..], trained);
    assert_eq!(results[5]["seeds"][1]["seed"], 2);

    let mut metrics = csv::Reader::from_path(file("metrics.csv")).unwrap();
    let header = [
        "method", "split", "epoch", "step", "metric", "value", "seed",
    ];
    assert_eq!(metrics.headers().unwrap(), header.as_slice());
    let rows: Vec<csv::StringRecord> = metrics.records().map(Result::unwrap).collect();
    for method in &trained {
        for split in ["train", "valid"] {
            for metric in [
                "loss",
                "invariance",
                "mean_singular_value",
                "effective_rank",
                "mean_std",
            ] {
                let wanted = |row: &&csv::StringRecord| {
                    &row[0] == method.as_str() && &row[1] == split && &row[4] == metric
                };
                // Two seeds, two epochs, eight steps each or one validation.
                let expected = if split == "train" { 2 * 2 * 8 } else { 2 * 2 };
                assert_eq!(
                    rows.iter().filter(wanted).count(),
                    expected,
                    "{method} {metric}"
                );
            }
        }
    }

    for method in &trained {
        let path = file(method).join("seed-1/encoder.bpk");
        let encoder = EncoderConfig::SmallCnn { width: 2 }.init(1, &device);
        encoder.try_load_file(path).unwrap();
    }

    // Continuing a finished run computes nothing and reports the same.
    drop(run);
    let run = Run::<RunConfig>::open(folder.path(), Some("run-1")).unwrap();
    let again = execute(&run, &Stop::new()).unwrap();
    assert_eq!(run.report(&data, &again).unwrap(), text);
    assert_eq!(fs::read_to_string(file("report.html")).unwrap(), page);
    // A folder that holds a run is not overwritten.
    let error = Run::start(folder.path(), Some("run-1"), run.study.clone()).unwrap_err();
    assert!(error.to_string().contains("--resume"), "{error}");
    assert_eq!(
        Run::start(folder.path(), None, run.study).unwrap().name(),
        "run-2"
    );
}
