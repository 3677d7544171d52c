//! A whole run writes every file it promises, and a resumed one equals an uninterrupted one.

mod common;

use std::fs;
use std::path::Path;

use burn::tensor::Device;
use burn_store::{ModuleSnapshot, PyTorchToBurnAdapter, SafetensorsStore};
use fullrank_files::npy::read_matrix;
use fullrank_retrieval::scores::{LabelledRows, ScoresConfig};
use fullrank_study::configuration::key;
use fullrank_study::data::Data;
use fullrank_study::lock::RunLock;
use fullrank_study::{EntryOf, Run, Subject};
use fullrank_train::session::history::{Row, SECONDS};
use fullrank_train::session::{Display, Stop};
use metric_learning::config::{DataName, LossName, RegularizerName, RunConfig};
use metric_learning::data;
use metric_learning::evaluation::embeddings;
use metric_learning::export;
use metric_learning::model::Embedder;

type Entry = EntryOf<RunConfig>;

const LOSSES: [LossName; 6] = [
    LossName::Contrastive,
    LossName::Triplet,
    LossName::NPair,
    LossName::Angular,
    LossName::LiftedStructure,
    LossName::MultiSimilarity,
];

fn execute(run: &Run<RunConfig>, data: &Data, stop: &Stop) -> Option<Vec<Entry>> {
    run.execute(data, &Device::flex(), Display::Compact, stop)
        .unwrap()
}

fn tiny() -> RunConfig {
    common::tiny(DataName::EmojiMini)
}

#[test]
fn every_loss_trains_with_every_regularizer() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = tiny();
    config.iterations = 2;
    config.losses = LOSSES.to_vec();
    config.regularizers = vec![
        RegularizerName::None,
        RegularizerName::Svmax,
        RegularizerName::Variance,
        RegularizerName::VarianceCovariance,
        RegularizerName::SpreadOut,
    ];
    config.learning_rates = vec![0.1];
    config.evaluation.nmi = false;
    let data = data::load(&config.data).unwrap();
    let run = Run::start(folder.path(), None, config).unwrap();
    let entries = execute(&run, &data, &Stop::new()).unwrap();
    assert_eq!(entries.len(), 2 + 6 * 5);
    for loss in 0..6 {
        // The regularizer changes what is learned.
        let of_loss = &entries[2 + 5 * loss..][..5];
        let usage = |entry: &Entry| entry.measured[0].evaluation.usage.clone().unwrap();
        for entry in &of_loss[1..] {
            let title = entry.subject.title();
            assert_ne!(usage(entry), usage(&of_loss[0]), "{title}");
            let penalty = |row: &&Row| row.metric == "penalty" && row.split == "train";
            assert_eq!(
                entry.measured[0].rows.iter().filter(penalty).count(),
                2,
                "{title}"
            );
        }
    }
}

#[test]
fn a_run_writes_every_file() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = tiny();
    config.seeds = vec![1, 2];
    config.learning_rates = vec![0.1];
    let data = data::load(&config.data).unwrap();
    let run = Run::start(folder.path(), None, config).unwrap();
    assert!(execute(&run, &data, &Stop::new().after_epoch(2)).is_none());
    drop(run);
    let run = Run::<RunConfig>::open(folder.path(), None).unwrap();
    let entries = execute(&run, &data, &Stop::new()).unwrap();
    let text = run.report(&data, &entries).unwrap();
    let (table, legend) = text.split_once("\n\n").unwrap();

    assert_eq!(table.lines().count(), 2 + 4);
    for line in table.lines() {
        assert_eq!(line.matches('|').count(), 9, "{line}");
    }
    assert!(table.contains("| raw pixels ") && table.contains("| contrastive + SVMax, lr 0.1 "));
    assert!(table.lines().last().unwrap().contains(" ± "));
    assert!(legend.contains("over 2 seeds"));
    let file = |name: &str| fs::read_to_string(run.directory.join(name)).unwrap();
    assert_eq!(file("table.md"), text);
    assert!(file("terms.svg").contains("SVMax"));
    let html = file("report.html");
    assert!(html.contains("Retrievals: contrastive + SVMax, lr 0.1"));
    assert!(html.contains("Retrievals: raw pixels"));

    let results: serde_json::Value = serde_json::from_str(&file("results.json")).unwrap();
    let names: Vec<&str> = (0..4)
        .map(|i| results[i]["name"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        [
            "raw-pixels",
            "untrained",
            "contrastive-none-lr-0.1",
            "contrastive-svmax-lr-0.1"
        ]
    );
    assert_eq!(results[3]["seeds"][1]["seed"], 2);
    assert!(results[1]["seeds"][0]["retrieval"]["nmi"].as_f64().unwrap() > 0.0);

    let mut metrics = csv::Reader::from_path(run.directory.join("metrics.csv")).unwrap();
    let rows: Vec<csv::StringRecord> = metrics.records().map(Result::unwrap).collect();
    for (metric, split, count) in [
        ("loss", "train", 6),
        ("mean_singular_value", "train", 6),
        ("ranking", "valid", 3),
        ("recall@1", "valid", 3),
    ] {
        for seed in ["1", "2"] {
            let wanted = |row: &&csv::StringRecord| {
                &row[0] == "contrastive-svmax-lr-0.1"
                    && &row[1] == split
                    && &row[4] == metric
                    && &row[6] == seed
            };
            assert_eq!(rows.iter().filter(wanted).count(), count, "{metric}");
        }
    }
    // The last live Recall@1 is that of the table.
    let last = entries[3].measured[0]
        .rows
        .iter()
        .rfind(|row| row.metric == "recall@1")
        .unwrap();
    let measured = entries[3].measured[0]
        .evaluation
        .retrieval
        .recall(1)
        .unwrap();
    assert!(
        (last.value - measured).abs() < 1e-9,
        "{} and {measured}",
        last.value
    );

    // Continuing a finished run computes nothing and reports the same.
    let config = run.study.clone();
    drop(run);
    let run = Run::<RunConfig>::open(folder.path(), Some("run-1")).unwrap();
    let again = execute(&run, &data, &Stop::new()).unwrap();
    let again = run.report(&data, &again);
    assert_eq!(again.unwrap(), text);
    let error = Run::start(folder.path(), Some("run-1"), config).unwrap_err();
    assert!(error.to_string().contains("--resume"), "{error}");
}

/// The embeddings as `fullrank score` reads them, and the network as other programs do.
#[test]
fn exports_hold_what_was_measured() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = tiny();
    config.regularizers = vec![RegularizerName::Svmax];
    config.learning_rates = vec![0.1];
    let data = data::load(&config.data).unwrap();
    let run = Run::start(folder.path(), None, config).unwrap();
    let entries = execute(&run, &data, &Stop::new()).unwrap();
    let entry = &entries[2];
    let directory = entry.subject.folder(&run.directory, Some(1));
    let exported = read_matrix(&directory.join(export::EMBEDDINGS)).unwrap();
    assert_eq!(exported.shape().to_vec(), [120, 8]);
    let values: Vec<f32> = exported.iter().collect();
    let labels = fs::read(directory.join(export::LABELS)).unwrap();
    let labels: Vec<i64> = npyz::NpyFile::new(labels.as_slice())
        .unwrap()
        .into_vec()
        .unwrap();
    let rows = LabelledRows::new(&values, 8, &labels).unwrap();
    let scores = ScoresConfig::new().score(&rows, None).unwrap();
    let retrieval = &entry.measured[0].evaluation.retrieval;
    assert_eq!(Some(scores.precision_at_1), retrieval.recall(1));
    assert_eq!(scores.map_at_r, retrieval.map_at_r);

    let device = Device::flex();
    let mut network = Embedder::new(&run.study, data.channels(), &device);
    let mut store = SafetensorsStore::from_file(directory.join(export::NETWORK))
        .skip_enum_variants(true)
        .with_from_adapter(PyTorchToBurnAdapter);
    network.load_from(&mut store).unwrap();
    let loaded: Vec<f32> = embeddings(&network, &data.test, &device)
        .into_data()
        .iter()
        .collect();
    assert_eq!(loaded, values);
}

fn train(config: &RunConfig, data: &Data, folder: &Path, stops: &[usize]) -> Entry {
    let run = Run {
        directory: folder.to_path_buf(),
        study: config.clone(),
        lock: RunLock::take(folder).unwrap(),
    };
    for &epoch in stops {
        assert!(execute(&run, data, &Stop::new().after_epoch(epoch)).is_none());
    }
    execute(&run, data, &Stop::new()).unwrap().remove(2)
}

#[test]
fn a_resumed_run_equals_the_uninterrupted_one() {
    let mut config = tiny();
    config.regularizers = vec![RegularizerName::Svmax];
    config.learning_rates = vec![0.3];
    config.evaluation.nmi = false;
    let data = data::load(&config.data).unwrap();
    let folder = tempfile::tempdir().unwrap();
    for loss in [LossName::Contrastive, LossName::Triplet] {
        config.losses = vec![loss];
        let at = |name: &str| folder.path().join(format!("{}-{name}", key(loss)));
        let whole = train(&config, &data, &at("whole"), &[]);
        let resumed = train(&config, &data, &at("resumed"), &[2, 3]);
        assert!(matches!(whole.subject, Subject::Trained(_)));
        assert_eq!(resumed.measured[0].evaluation, whole.measured[0].evaluation);
        let timeless = |entry: &Entry| -> Vec<Row> {
            let rows = entry.measured[0].rows.iter();
            rows.filter(|row| row.metric != SECONDS).cloned().collect()
        };
        assert_eq!(timeless(&resumed), timeless(&whole));

        config.seeds = vec![2];
        let other = train(&config, &data, &at("other"), &[]);
        config.seeds = vec![1];
        assert_ne!(other.measured[0].evaluation, whole.measured[0].evaluation);
    }
}

#[test]
fn what_would_fail_later_fails_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = tiny();
    config
        .objectives
        .of_mut(LossName::Contrastive)
        .classes_per_batch = 21;
    let data = data::load(&config.data).unwrap();
    let run = Run::start(folder.path(), None, config).unwrap();
    let result = run.execute(&data, &Device::flex(), Display::Compact, &Stop::new());
    let error = result.unwrap_err().to_string();
    assert_eq!(
        error,
        "objectives.contrastive: a batch of 21 classes cannot be filled from 20"
    );
    let directory = run.directory.clone();
    drop(run);
    assert!(!directory.exists());
}
