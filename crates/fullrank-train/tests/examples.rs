//! Runs the examples, as a user would, and looks at what they print.

use std::path::PathBuf;
use std::process::{Command, Output};

/// What an example did; `cargo test` builds the examples before it runs the tests.
fn run(example: &str, arguments: &[&str]) -> Output {
    let test = std::env::current_exe().expect("a test has a path");
    let folder = test
        .parent()
        .and_then(|deps| deps.parent())
        .expect("target/PROFILE/deps");
    let path: PathBuf = folder.join("examples").join(example);
    let output = Command::new(&path).args(arguments).output();
    output.unwrap_or_else(|error| panic!("{}: {error}; build it with --examples", path.display()))
}

fn stdout(example: &str, arguments: &[&str]) -> String {
    let output = run(example, arguments);
    assert!(
        output.status.success(),
        "{example}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("text")
}

/// The numbers in a text, in their order.
fn numbers(text: &str) -> Vec<f64> {
    let words = text.split(|c: char| !(c.is_ascii_digit() || c == '.' || c == '-'));
    words.filter_map(|word| word.parse().ok()).collect()
}

#[test]
fn every_two_view_loss() {
    for (loss, terms) in [
        ("vicreg", ["variance", "covariance"]),
        ("barlow-twins", ["invariance", "redundancy"]),
        ("nt-xent", ["alignment", "uniformity"]),
        ("mmcr", ["centroids", "local"]),
        ("lejepa", ["sigreg", "invariance"]),
    ] {
        let output = stdout("vicreg", &["2", loss]);
        let lines: Vec<&str> = output.lines().collect();
        assert_eq!(lines.len(), 4, "{output}");
        assert!(terms.iter().all(|term| lines[2].contains(term)), "{output}");
        // 20-NN and linear accuracy of ten classes, well above chance.
        let trained = numbers(lines[3]);
        assert!(
            trained
                .iter()
                .skip(1)
                .all(|&accuracy| (0.4..1.0).contains(&accuracy)),
            "{output}"
        );
    }
    let output = run("vicreg", &["1", "vicregg"]);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        !output.status.success() && error.contains("expected one of `vicreg`, `barlow-twins`"),
        "{error}"
    );
}

#[test]
fn live_metrics() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    let output = stdout("live_metrics", &[path]);
    for metric in [
        "Dead dimensions",
        "Effective rank",
        "Mean singular value",
        "svmax.penalty",
    ] {
        assert_eq!(output.matches(metric).count(), 2, "{metric} in {output}");
    }
    assert!(folder.path().join("valid/epoch-4").is_dir());
}

/// The weights after ten steps of two and of three workers: with the loss of the whole batch those of one device.
#[test]
fn several_devices() {
    let output = stdout("several_devices", &[]);
    let (_, table) = output.split_once("|---:|---:|---:|").expect("a table");
    let cells: Vec<f64> = table
        .split(['|', '\n'])
        .filter_map(|cell| cell.trim().parse().ok())
        .collect();
    let [2.0, exact_2, own_2, 3.0, exact_3, own_3] = cells[..] else {
        panic!("{table}");
    };
    assert!(exact_2.max(exact_3) < 1e-5, "{table}");
    assert!(own_2.min(own_3) > 1e-2, "{table}");
}

#[test]
fn a_large_batch_in_chunks() {
    let last = |arguments: &[&str]| {
        let output = stdout("large_batch", arguments);
        let line = output.lines().last().expect("a line").to_owned();
        (numbers(&output), line)
    };
    let (whole, line) = last(&["96", "96", "16", "2"]);
    assert!(line.starts_with("batch 96, chunk 96, width 16: "), "{line}");
    let (chunks, _) = last(&["96", "24", "16", "2"]);
    // The losses of two steps: chunks are normalized by their own statistics, hence near.
    for place in [1, 3] {
        let (whole, chunks) = (whole[place], chunks[place]);
        assert!(
            (whole - chunks).abs() < 0.1 * whole && whole != chunks,
            "{whole}, {chunks}"
        );
    }
}
