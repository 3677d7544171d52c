//! A whole run writes every file it promises, can be continued, and repeats itself.

use std::fs;

use burn::tensor::Device;
use classifier::config::{Method, RunConfig};
use fullrank_study::data::Data;
use fullrank_study::{EntryOf, Run};
use fullrank_train::session::Display;
use fullrank_train::session::Stop;
use fullrank_train::session::history::{Row, SECONDS};

type Entry = EntryOf<RunConfig>;

/// Three epochs of four steps on a few images, a tiny network.
fn tiny() -> RunConfig {
    RunConfig::from_json(
        r#"{
            "data": { "test_per_class": 4 },
            "per_class": [3, 5],
            "seeds": [1, 2],
            "epochs": 3,
            "steps_per_epoch": 4,
            "batch_per_class": 2,
            "encoder": { "width": 2 },
            "spectrum_every": 1
        }"#,
    )
    .unwrap()
}

fn data(config: &RunConfig) -> Data {
    config
        .measured_on(Data::load(&config.data).unwrap())
        .unwrap()
}

fn execute(run: &Run<RunConfig>, stop: &Stop) -> Option<Vec<Entry>> {
    let (data, device) = (data(&run.study), Device::flex());
    run.execute(&data, &device, Display::Compact, stop).unwrap()
}

/// Everything that was measured but for the time it took.
fn timeless(entries: &[Entry]) -> Vec<(f64, String, Vec<Row>)> {
    let seeds = entries.iter().flat_map(|entry| &entry.measured);
    seeds
        .map(|measured| {
            let rows = measured.rows.iter().filter(|row| row.metric != SECONDS);
            // In four digits: a number read from JSON may be off by a rounding.
            let figures = measured.evaluation.penultimate.to_string();
            (
                measured.evaluation.accuracy,
                figures,
                rows.cloned().collect(),
            )
        })
        .collect()
}

#[test]
fn a_run_writes_every_file_and_a_stopped_one_comes_to_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let config = tiny();
    let methods = config.methods.clone();
    assert_eq!(methods.len(), 4);
    let whole = Run::start(folder.path(), Some("whole"), config.clone()).unwrap();
    let entries = execute(&whole, &Stop::new()).unwrap();
    assert_eq!(entries.len(), 2 * methods.len());

    let run = Run::start(folder.path(), None, config).unwrap();
    assert!(execute(&run, &Stop::new().after_epoch(2)).is_none());
    drop(run);
    let run: Run<RunConfig> = Run::open(folder.path(), None).unwrap();
    assert!(execute(&run, &Stop::new().after_epoch(3)).is_none());
    let resumed = execute(&run, &Stop::new()).unwrap();
    assert!(timeless(&resumed) == timeless(&entries));
    // Read from its files.
    let again = execute(&run, &Stop::new()).unwrap();
    assert!(timeless(&again) == timeless(&entries));

    let data = data(&run.study);
    let text = run.report(&data, &resumed).unwrap();
    assert!(text.contains("On 40 test images"));
    let (table, _) = text.split_once("\n\n").unwrap();
    assert_eq!(table.lines().count(), 2 + resumed.len());
    assert!(table.contains("| 3 per class, SVMax "));
    assert!(table.contains(" ± ") && table.contains(" of 8 |"));
    let file = |name: &str| fs::read_to_string(run.directory.join(name)).unwrap();
    assert_eq!(file("table.md"), text);
    let html = file("report.html");
    for part in [
        "Training on 5 images of each class",
        "Recall@1",
        "steps_per_epoch",
    ] {
        assert!(html.contains(part), "{part}");
    }
    let results: serde_json::Value = serde_json::from_str(&file("results.json")).unwrap();
    assert_eq!(results.as_array().unwrap().len(), resumed.len());
    let last = &results[7];
    assert_eq!(last["method"], "weight-decay");
    assert_eq!(last["per_class"], 5);
    assert!(last["seeds"][1]["seconds"].as_f64().unwrap() > 0.0);
    assert_eq!(last["seeds"][1]["penultimate"]["dims"], 8);
}

#[test]
fn methods_start_alike_and_part() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = tiny();
    config.per_class = vec![5];
    config.seeds = vec![1];
    let run = Run::start(folder.path(), None, config).unwrap();
    let entries = execute(&run, &Stop::new()).unwrap();
    let rows = |method: Method, metric: &str| -> Vec<f64> {
        let entry = (entries.iter())
            .find(|entry| entry.subject.case().unwrap().method == method)
            .unwrap();
        let rows = entry.measured[0].rows.iter();
        let rows = rows.filter(|row| row.metric == metric && row.split == "train");
        rows.map(|row| row.value).collect()
    };
    let none = rows(Method::None, "cross_entropy");
    assert_eq!(none.len(), 12);
    for method in [
        Method::Svmax,
        Method::VarianceCovariance,
        Method::WeightDecay,
    ] {
        let terms = rows(method, "cross_entropy");
        // The same weights and batch; then each goes its way.
        assert_eq!(terms[0], none[0], "{method:?}");
        assert_ne!(terms[11], none[11], "{method:?}");
        let penalties = rows(method, "penalty").len();
        assert_eq!(
            penalties,
            if method == Method::WeightDecay { 0 } else { 12 }
        );
    }
    // The metrics of the validation, recall and dead dimensions among them.
    let rows = &entries[0].measured[0].rows;
    for metric in ["recall@1", "dead_dimensions", "accuracy", "effective_rank"] {
        let valid = rows
            .iter()
            .filter(|row| row.split == "valid" && row.metric == metric);
        assert_eq!(valid.count(), 3, "{metric}");
    }
}

#[test]
fn images_set_apart_are_the_last_of_each_class() {
    let mut config = tiny();
    config.data.train_per_class = Some(7);
    config.validation = Some(2);
    let all = Data::load(&config.data).unwrap();
    let split = config.measured_on(all.clone()).unwrap();
    assert_eq!(split.train.class_counts(), [5; 10]);
    assert_eq!(split.test.class_counts(), [2; 10]);
    assert_eq!(*split.train, all.train.first_per_class(5));
    config.validation = Some(7);
    let problem = config.measured_on(all).unwrap_err().to_string();
    assert!(
        problem.starts_with("validation leaves no images"),
        "{problem}"
    );
}

#[test]
fn a_configuration_that_cannot_be_is_refused() {
    for (part, problem) in [
        (r#"{"epochs": 0}"#, "epochs must be at least 1, got 0"),
        (r#"{"seeds": [3, 3]}"#, "seeds holds 3 twice"),
        (
            r#"{"per_class": []}"#,
            "per_class must hold at least one value",
        ),
        (
            r#"{"per_class": [0]}"#,
            "per_class must be at least 1, got 0",
        ),
        (
            r#"{"learning_rate": -1.0}"#,
            "learning_rate must be above 0 and finite, got -1",
        ),
        (
            r#"{"encoder": {"width": 0}}"#,
            "encoder.width must be at least 1, got 0",
        ),
    ] {
        let config = RunConfig::from_json(part).unwrap();
        assert_eq!(config.validate().unwrap_err().to_string(), problem);
    }
    let unknown = RunConfig::from_json(r#"{"weights": {"svmaks": 1}}"#);
    let problem = unknown.unwrap_err().to_string();
    assert!(problem.contains("svmaks"), "{problem}");
}
