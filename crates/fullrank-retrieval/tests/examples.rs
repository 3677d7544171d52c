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
fn triplets() {
    let output = stdout("triplet", &[]);
    let lines: Vec<Vec<f64>> = output.lines().map(numbers).collect();
    // Recall@ 1 and its value, Recall@ 8 and its value; the epochs have more before it.
    let recall = |line: &[f64]| line[line.len() - 3];
    assert_eq!(lines.len(), 5, "{output}");
    assert!(recall(&lines[4]) > recall(&lines[0]) + 0.02, "{output}");
    assert!(
        run("triplet", &[]).stdout == output.into_bytes(),
        "another run, other numbers"
    );
}
