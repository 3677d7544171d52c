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

/// The line of an output that begins so.
fn line<'a>(output: &'a str, start: &str) -> &'a str {
    let line = output.lines().find(|line| line.starts_with(start));
    line.unwrap_or_else(|| panic!("no line begins with {start}: {output}"))
}

#[cfg(feature = "spectrum")]
#[test]
fn a_classifier_from_a_configuration_file() {
    let folder = tempfile::tempdir().unwrap();
    let with = |name: &str, json: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, json).unwrap();
        path.into_os_string().into_string().unwrap()
    };
    let none = with("none.json", r#"{"regularizer": null}"#);
    let svmax = with("svmax.json", r#"{"regularizer": {"svmax": {}}}"#);
    let [none, svmax] = [none, svmax].map(|file| {
        let output = stdout("classifier_from_config", &[&file]);
        numbers(line(&output, "accuracy"))
    });
    // Accuracy and effective rank: learned, and the rank follows the penalty.
    assert!(none[0] > 0.7 && svmax[0] > 0.7, "{none:?} {svmax:?}");
    assert!(svmax[1] > 1.2 * none[1], "{none:?} {svmax:?}");

    let typo = with("typo.json", r#"{"regularizer": {"svmax": {"wieght": 1}}}"#);
    let output = run("classifier_from_config", &[&typo]);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        !output.status.success() && error.contains("expected one of `weight`"),
        "{error}"
    );
}

#[test]
fn a_regularizer_of_ones_own() {
    let output = stdout("own_regularizer", &[]);
    assert!(
        line(&output, "terms").ends_with("svmax.penalty, centred.offset"),
        "{output}"
    );
    let [first, last] = ["step   0", "step 200"].map(|step| numbers(line(&output, step)));
    // Step, total, mean singular value, its bound, offset.
    assert!(
        last[1] < first[1] && last[2] > first[2] && last[4] < 0.01 * first[4],
        "{output}"
    );
}

#[cfg(feature = "spectrum")]
#[test]
fn several_layers() {
    let output = stdout("several_layers", &[]);
    let [none, all] = ["no layer", "all layers"].map(|row| numbers(line(&output, row)));
    // Squared error, then the rank of each layer.
    assert_eq!((none.len(), all.len()), (5, 5));
    assert!(all[1] > 1.2 * none[1] && all[2] > 1.2 * none[2], "{output}");
}

#[test]
fn a_batch_in_chunks() {
    let output = stdout("batch_in_chunks", &[]);
    let rows: Vec<&str> = output.lines().filter(|line| line.contains(" x ")).collect();
    assert_eq!(rows.len(), 9, "{output}");
    for row in rows {
        let numbers = numbers(row);
        assert!(numbers[2] >= 0.999_99, "exact: {row}");
        if row.starts_with("| svmax | 32") {
            assert!(numbers[3] < 0.9, "naive: {row}");
        }
    }
}
