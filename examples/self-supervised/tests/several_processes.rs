//! Trainings that several processes share over MPI. They need `mpirun` of Open MPI; run by `.ci/mpi`.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use self_supervised::config::Method;
use self_supervised::study::ENCODER;
use serde_json::Value;

/// `mpirun` of so many processes of the program, on the run in this folder.
fn program(processes: usize, folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new("mpirun");
    command
        .args(["--oversubscribe", "--bind-to", "none", "-n"])
        .arg(processes.to_string())
        .arg(env!("CARGO_BIN_EXE_self-supervised"))
        .args(["--distributed", "--name", "run", "--runs"])
        .arg(folder)
        .args(arguments);
    // In a container there may be no other user.
    command.env("OMPI_ALLOW_RUN_AS_ROOT", "1");
    command.env("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1");
    command.env("RAYON_NUM_THREADS", "1");
    command.stdin(Stdio::null());
    command
}

/// The configuration of a small run, in a file.
fn configuration(folder: &Path, epochs: usize) -> PathBuf {
    let mut config = common::tiny();
    config.methods = vec![Method::Vicreg, Method::Svmax];
    config.epochs = epochs;
    config.patience = Some(epochs);
    let path = folder.join("config.json");
    fs::write(&path, serde_json::to_string(&config).unwrap()).unwrap();
    path
}

fn succeeds(mut command: Command) -> String {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().expect("mpirun is there");
    let error = String::from_utf8_lossy(&stderr);
    assert!(status.success(), "{status}: {error}");
    String::from_utf8(stdout).expect("text")
}

/// What was learned, by file: the entries of the weights, whose headers have random ids.
fn weights(run: &Path) -> BTreeMap<String, Vec<u8>> {
    let files = ["vicreg", "svmax"]
        .into_iter()
        .flat_map(|method| [ENCODER, "expander.bpk"].map(|file| format!("{method}/seed-1/{file}")));
    files
        .map(|file| {
            let bytes = fs::read(run.join(&file)).unwrap();
            let header = u32::from_le_bytes(bytes[6..10].try_into().unwrap());
            (file, bytes[10 + header as usize..].to_vec())
        })
        .collect()
}

/// The processes of the run in this folder.
fn processes(folder: &Path) -> Vec<u32> {
    let folder = folder.to_str().unwrap().as_bytes();
    let entries = fs::read_dir("/proc").unwrap().flatten();
    entries
        .filter_map(|entry| {
            let id = entry.file_name().to_str()?.parse().ok()?;
            let line = fs::read(entry.path().join("cmdline")).ok()?;
            let program = env!("CARGO_BIN_EXE_self-supervised").as_bytes();
            let is = line.starts_with(program) && line.windows(folder.len()).any(|w| w == folder);
            is.then_some(id)
        })
        .collect()
}

/// Waits until a training has this checkpoint.
fn wait_for(checkpoint: &Path, run: &mut Child) {
    let start = Instant::now();
    while !checkpoint.exists() {
        assert!(run.try_wait().unwrap().is_none(), "it ended too early");
        assert!(start.elapsed() < Duration::from_secs(120), "no checkpoint");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_run_whose_process_was_killed_is_resumed_to_the_same_weights() {
    let folder = tempfile::tempdir().unwrap();
    let config = configuration(folder.path(), 6);
    let with_config = ["--config", config.to_str().unwrap()];
    let undisturbed = folder.path().join("undisturbed");
    let told = succeeds(program(4, &undisturbed, &with_config));
    // One process tells, not four.
    assert_eq!(told.matches("Report (report.html)").count(), 1, "{told}");
    assert_eq!(told.matches("SVMax, seed 1: k-NN").count(), 1, "{told}");
    let expected = weights(&undisturbed.join("run"));

    // Any of the processes: the first, which has the files, or another.
    for (first, method) in [(true, "vicreg"), (false, "svmax")] {
        let runs = folder.path().join(format!("killed-{method}"));
        let mut command = program(4, &runs, &with_config);
        let mut run = command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let checkpoints = runs.join(format!("run/{method}/seed-1/checkpoint"));
        wait_for(&checkpoints.join("epoch-2.json"), &mut run);
        let lock = fs::read_to_string(runs.join("run/run.lock")).unwrap();
        let lock: u32 = lock.trim().parse().unwrap();
        let victim = processes(&runs)
            .into_iter()
            .find(|&id| (id == lock) == first);
        let victim = victim.expect("four processes").to_string();
        let killed = Command::new("kill").args(["-9", &victim]).status().unwrap();
        assert!(killed.success());
        let start = Instant::now();
        assert!(!run.wait().unwrap().success());
        assert!(
            start.elapsed() < Duration::from_secs(20),
            "{:?}",
            start.elapsed()
        );
        assert!(processes(&runs).is_empty());

        succeeds(program(4, &runs, &["--resume"]));
        assert!(weights(&runs.join("run")) == expected, "{method}");
    }
}

#[test]
fn one_process_over_mpi_trains_as_one_without() {
    let folder = tempfile::tempdir().unwrap();
    let config = configuration(folder.path(), 2);
    let with_config = ["--config", config.to_str().unwrap(), "--optimizer", "sgd"];
    let results = |runs: &Path| -> Value {
        let text = fs::read_to_string(runs.join("run/results.json")).unwrap();
        serde_json::from_str(&text).unwrap()
    };
    let shared = folder.path().join("shared");
    succeeds(program(1, &shared, &with_config));
    let alone = folder.path().join("alone");
    let mut command = Command::new(env!("CARGO_BIN_EXE_self-supervised"));
    command.args(["--name", "run", "--runs"]).arg(&alone);
    command.args(with_config);
    succeeds(command);
    let mut compared = 0;
    let (shared, alone) = (results(&shared), results(&alone));
    for (shared, alone) in shared
        .as_array()
        .unwrap()
        .iter()
        .zip(alone.as_array().unwrap())
    {
        let rank = |result: &Value| {
            result
                .pointer("/seeds/0/representation/effective_rank")?
                .as_f64()
        };
        if let (Some(shared), Some(alone)) = (rank(shared), rank(alone)) {
            assert!((shared - alone).abs() < 1e-3 * alone, "{shared} {alone}");
            compared += 1;
        }
    }
    assert_eq!(compared, 3, "two methods and the untrained encoder");
}

#[test]
fn an_error_of_the_first_process_ends_all_and_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = program(3, folder.path(), &["--batch-size", "2"]);
    let output = command.output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success());
    let told = "error: a batch of 2 is too small for 3 processes";
    assert!(error.contains(told), "{error}");
}
