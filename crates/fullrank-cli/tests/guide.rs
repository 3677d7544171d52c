//! docs/guide.md does what it says: its Python writes the files that are used here, its commands run, and
//! print what stands below them.

mod support;

use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;

use npyz::Order;
use tempfile::TempDir;

const GUIDE: &str = include_str!("../../../docs/guide.md");

/// The blocks of the guide in order: language and text.
fn blocks() -> Vec<(&'static str, &'static str)> {
    let parts = GUIDE.split("```").skip(1).step_by(2);
    parts
        .map(|block| block.split_once('\n').expect("a block has lines"))
        .collect()
}

/// What the guide's Python writes, for machines without numpy.
fn write_files(folder: &Path) {
    let entry = |i: f64, j: f64| {
        let said = [1.1, 2.3, 3.7, 5.1, 7.9].iter().zip(1u8..);
        let said: f64 = said
            .map(|(f, k)| (i * f).sin() * (f64::from(k) * j).cos())
            .sum();
        let faint = (i * i * j).sin();
        let feature = 1.0 + if j > 116.0 { 0.0 } else { said + 0.05 * faint };
        let later = 0.1 * said + faint / (1.0 + j / 64.0);
        [feature, later, later + 0.1 * (i * i * j).cos()].map(|value| value as f32)
    };
    let rows = |count: u64, which: usize| {
        let places = (1..=count as u32).flat_map(|i| (1..=128).map(move |j| (i, j)));
        let entries = places.map(|(i, j)| entry(f64::from(i), f64::from(j))[which]);
        ([count, 128], entries.collect::<Vec<_>>())
    };
    for (name, count, which) in [
        ("features", 2000, 0),
        ("later-128", 128, 1),
        ("later-256", 256, 1),
        ("later-2000", 2000, 1),
        ("views", 256, 2),
    ] {
        let (shape, entries) = rows(count, which);
        let path = folder.join(format!("{name}.npy"));
        support::write(&path, &shape, Order::C, entries);
    }
}

fn entries(path: &Path) -> Vec<f32> {
    let bytes = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    npyz::NpyFile::new(&bytes[..]).unwrap().into_vec().unwrap()
}

/// Skipped where `python3`, or the interpreter that `FULLRANK_PYTHON` names, has no numpy; not if
/// `FULLRANK_REQUIRE_NUMPY` is set.
#[test]
fn its_python_writes_the_files_that_its_commands_read() {
    let python = env::var("FULLRANK_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let probe = Command::new(&python).args(["-c", "import numpy"]).output();
    let has_numpy = probe.is_ok_and(|output| output.status.success());
    if !has_numpy && env::var_os("FULLRANK_REQUIRE_NUMPY").is_none() {
        eprintln!("skipped: {python} has no numpy");
        return;
    }
    let (ours, theirs) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    write_files(ours.path());
    let blocks = blocks();
    let parts = blocks.iter().filter(|(language, _)| *language == "python");
    let script: String = parts.map(|(_, text)| *text).collect();
    let mut command = Command::new(&python);
    let output = command.args(["-c", &script]).current_dir(theirs.path());
    let output = output.output().unwrap();
    let problem = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{problem}");
    for file in fs::read_dir(ours.path()).unwrap() {
        let file = file.unwrap();
        let theirs = entries(&theirs.path().join(file.file_name()));
        let ours = entries(&file.path());
        assert_eq!(ours.len(), theirs.len(), "{:?}", file.file_name());
        for (a, b) in ours.iter().zip(theirs) {
            assert!((a - b).abs() < 1e-6, "{:?}: {a} and {b}", file.file_name());
        }
    }
}

/// Words alike, and numbers to one in a thousand: the last digits of the losses, computed in f32, depend on the
/// processor.
fn assert_alike(printed: &str, expected: &str, script: &str) {
    let parts = |text: &str| -> Vec<String> {
        let parts = text.split(|c: char| c.is_whitespace() || "{}[]():,%\"".contains(c));
        let parts = parts.filter(|part| !part.is_empty());
        parts.map(str::to_owned).collect()
    };
    let (ours, theirs) = (parts(printed), parts(expected));
    let alike = |(a, b): (&String, &String)| match (a.parse::<f64>(), b.parse::<f64>()) {
        (Ok(a), Ok(b)) => (a - b).abs() <= 1e-3 * a.abs().max(b.abs()),
        _ => a == b,
    };
    let differ = ours.iter().zip(&theirs).find(|&pair| !alike(pair));
    assert!(
        ours.len() == theirs.len() && differ.is_none(),
        "{script}prints\n{printed}where the guide has\n{expected}{differ:?}"
    );
}

#[test]
fn its_commands_print_what_stands_below_them() {
    let folder = TempDir::new().unwrap();
    write_files(folder.path());
    let binary = Path::new(env!("CARGO_BIN_EXE_fullrank"));
    let path = env::var_os("PATH").unwrap_or_default();
    let places = [binary.parent().unwrap().to_path_buf()];
    let path = env::join_paths(places.into_iter().chain(env::split_paths(&path))).unwrap();

    let blocks = blocks();
    let mut commands = 0;
    for (place, (language, script)) in blocks.iter().enumerate() {
        if *language != "sh" {
            continue;
        }
        let mut command = Command::new("sh");
        command.args(["-e", "-c", script]).env("PATH", &path);
        let output = command.current_dir(folder.path()).output().unwrap();
        let problem = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{script}{problem}");
        let printed = String::from_utf8(output.stdout).unwrap();
        if let Some(("text", expected)) = blocks.get(place + 1) {
            assert_alike(&printed, expected, script);
        }
        commands += script.matches("fullrank ").count();
    }
    assert!(commands >= 10, "only {commands} commands were found");
}
