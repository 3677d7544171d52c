//! Runs an example, as a user would, and looks at what it prints and draws.

use std::path::PathBuf;
use std::process::Command;

/// The figures of a loss in one of the tables.
fn norms(table: &str, loss: &str) -> Vec<f64> {
    let row = table
        .lines()
        .find(|line| line.starts_with(&format!("| {loss} ")));
    let row = row.unwrap_or_else(|| panic!("no row of {loss}: {table}"));
    row.split('|')
        .filter_map(|cell| cell.trim().parse().ok())
        .collect()
}

#[test]
fn gradient_at_collapse() {
    let test = std::env::current_exe().unwrap();
    let folder = test.parent().and_then(|deps| deps.parent()).unwrap();
    let example: PathBuf = folder.join("examples/gradient_at_collapse");
    let drawn = tempfile::tempdir().unwrap();
    let figure = drawn.path().join("figure.svg");
    let output = Command::new(&example).arg(&figure).output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );

    let printed = String::from_utf8(output.stdout).unwrap();
    let (shrinking, towards) = printed.split_once("towards one direction").unwrap();
    // Where all is a point, SVMax pushes as ever, a hinge on the spread hardly.
    let (svmax, variance) = (
        norms(shrinking, "mean singular value"),
        norms(shrinking, "variance"),
    );
    assert_eq!((svmax.len(), variance.len()), (9, 9));
    assert!(
        svmax.iter().all(|norm| (0.1..1.0).contains(norm)),
        "{svmax:?}"
    );
    assert!(variance[8] < 1e-5 * variance[0], "{variance:?}");
    // On a line as well, down to what f32 resolves.
    let (svmax, sigreg) = (
        norms(towards, "mean singular value"),
        norms(towards, "SIGReg"),
    );
    assert!(
        svmax[4] > 0.5 * svmax[0] && sigreg[4] < 1e-2 * sigreg[0],
        "{svmax:?} {sigreg:?}"
    );

    let svg = std::fs::read_to_string(figure).unwrap();
    let document = roxmltree::Document::parse(&svg).unwrap();
    let texts = document.descendants().filter_map(|node| node.text());
    assert!(texts.collect::<String>().contains("mean singular value"));
}
