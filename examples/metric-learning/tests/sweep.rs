//! A sweep computes each cell once, whatever interrupts it.

mod common;

use std::fs;
use std::path::Path;

use burn::tensor::Device;
use clap::ValueEnum;
use fullrank_train::session::Stop;
use metric_learning::config::{DataName, LossName, RunConfig};
use metric_learning::data;
use metric_learning::sweep::{CircleConfig, GridConfig, Part, Sweep};

fn tiny() -> RunConfig {
    let mut config = common::tiny(DataName::EmojiMini);
    config.iterations = 2;
    config.validate_every = 2;
    config.evaluation.nmi = false;
    config
}

fn sweep(directory: &Path) -> Sweep {
    let mut sweep = Sweep::open(directory, tiny()).unwrap();
    sweep.grid = GridConfig {
        losses: vec![
            (LossName::Contrastive, vec![0.1, 1.0]),
            (LossName::Triplet, vec![0.1]),
        ],
        seeds: vec![1],
        headline_seeds: vec![2],
        spread_out: vec![LossName::Contrastive],
        batch_classes: vec![4, 6],
        batch_rate: 1.0,
        lambdas: vec![0.1, 1.0],
        lambda_losses: vec![LossName::Contrastive],
        lambda_rate: 1.0,
    };
    sweep.circle = CircleConfig {
        classes: 3,
        steps: vec![0, 2],
        learning_rate: 0.1,
        seed: 1,
    };
    sweep
}

fn cells(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory.join("cells")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

#[test]
fn a_sweep_can_be_interrupted() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("sweep");
    let sweep = sweep(&directory);
    let data = data::load(&sweep.config.data).unwrap();
    let device = Device::flex();
    let execute = |parts: &[Part], stop: &Stop| sweep.execute(parts, &data, &device, stop).unwrap();

    assert!(execute(&[Part::Lr], &Stop::new().after_epoch(1)).is_none());
    assert!(cells(&directory).is_empty());
    let tables = execute(&[Part::Lr], &Stop::new()).unwrap();
    // Three rates with and without SVMax, and the headline at the largest rate of both losses again.
    assert_eq!(cells(&directory).len(), 3 * 2 + 2 * 2);
    assert!(tables.contains("| contrastive, SVMax "), "{tables}");

    // What is there is not computed again.
    let kept = directory.join("cells").join(&cells(&directory)[0]);
    let before = fs::metadata(&kept).unwrap().modified().unwrap();
    let tables = execute(Part::value_variants(), &Stop::new()).unwrap();
    assert_eq!(fs::metadata(&kept).unwrap().modified().unwrap(), before);
    // Two of another batch size, one of another weight, two beside spread-out.
    assert_eq!(cells(&directory).len(), 10 + 2 + 1 + 2);
    for picture in ["learning-rate", "batch-size", "lambda", "circle"] {
        let svg = fs::read_to_string(directory.join(format!("{picture}.svg"))).unwrap();
        assert!(
            svg.starts_with("<svg") && !svg.contains("no data"),
            "{picture}"
        );
    }
    assert_eq!(
        fs::read_to_string(directory.join("table.md")).unwrap(),
        tables
    );
    assert!(
        tables.contains(" ± ") && !tables.contains("NaN"),
        "{tables}"
    );

    let mut csv = csv::Reader::from_path(directory.join("results.csv")).unwrap();
    let header = csv.headers().unwrap().clone();
    let column = |name| header.iter().position(|known| known == name).unwrap();
    let (value, lower, upper) = (
        column("mean_singular_value"),
        column("lower_bound"),
        column("upper_bound"),
    );
    let mut rows = 0;
    for record in csv.records() {
        let record = record.unwrap();
        let number = |at: usize| record[at].parse::<f64>().unwrap();
        // A collapsed embedding reaches the lower bound, but for the rounding of its unit rows.
        assert!(number(lower) * (1.0 - 1e-7) <= number(value) && number(value) < number(upper));
        rows += 1;
    }
    assert_eq!(rows, 15);

    // Another configuration does not mix with these cells.
    let mut other = tiny();
    other.dimensions = 4;
    let error = Sweep::open(&directory, other).unwrap_err().to_string();
    assert!(
        error.contains("another configuration") && error.contains("--out"),
        "{error}"
    );
}

#[test]
fn a_cell_comes_out_the_same_again() {
    let folder = tempfile::tempdir().unwrap();
    let outcome = |name: &str| {
        let sweep = sweep(&folder.path().join(name));
        let data = data::load(&sweep.config.data).unwrap();
        let tables = sweep.execute(&[Part::Lambda], &data, &Device::flex(), &Stop::new());
        tables.unwrap().unwrap()
    };
    assert_eq!(outcome("first"), outcome("second"));
}
