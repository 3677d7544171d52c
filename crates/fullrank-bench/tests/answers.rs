//! The Rust side of `compare` answers what the Python side asks.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

struct Worker {
    process: Child,
    answers: BufReader<ChildStdout>,
}

impl Worker {
    fn start() -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_fullrank-bench"))
            .arg("flex")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let answers = BufReader::new(process.stdout.take().unwrap());
        Self { process, answers }
    }

    fn ask(&mut self, request: Value) -> Value {
        writeln!(self.process.stdin.as_mut().unwrap(), "{request}").unwrap();
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{line}: {error}"))
    }

    fn end(mut self) {
        drop(self.process.stdin.take());
        assert!(self.process.wait().unwrap().success());
    }
}

fn npy(path: &str) -> Vec<f32> {
    let file = std::fs::File::open(path).unwrap();
    npyz::NpyFile::new(BufReader::new(file))
        .unwrap()
        .into_vec()
        .unwrap()
}

#[test]
fn a_training_step() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().to_str().unwrap();
    let mut worker = Worker::start();
    assert!(worker.ask(json!({"op": "hello"}))["threads"].as_u64() >= Some(1));

    let files = worker.ask(json!({"op": "make step", "batch": 6, "folder": folder}));
    let weights: Vec<&str> = files["weights"]
        .as_array()
        .unwrap()
        .iter()
        .map(|path| path.as_str().unwrap())
        .collect();
    // Four convolutions with their normalizations, two hidden layers with theirs and biases, the last layer.
    assert_eq!(weights.len(), 4 * 3 + 2 * 4 + 1);
    let entries: usize = weights.iter().map(|path| npy(path).len()).sum();
    assert_eq!(npy(files["views"][1].as_str().unwrap()).len(), 6 * 28 * 28);

    let path = format!("{folder}/gradients.npy");
    let request = json!({"op": "evaluate", "loss": "training step", "gradients": [path]});
    let value = worker.ask(request)["value"].as_f64().unwrap();
    assert!(value.is_finite() && value > 0.0, "{value}");
    let gradients = npy(&path);
    assert_eq!(gradients.len(), entries);
    assert!(gradients.iter().all(|x| x.is_finite()) && gradients.iter().any(|x| *x != 0.0));

    for name in ["training step", "views"] {
        let times = worker.ask(json!({"op": "run", "loss": name, "repeat": 2, "discard": 1}));
        let times = times["ms"].as_array().unwrap();
        assert_eq!(times.len(), 2, "{name}");
        assert!(times.iter().all(|ms| ms.as_f64() > Some(0.0)), "{name}");
    }
    worker.end();
}

/// The embeddings of the untrained network, cut to a square; SVMax's value and gradient as the peers have them.
#[test]
fn a_loss_of_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| format!("{}/{name}.npy", folder.path().display());
    let mut worker = Worker::start();
    let request = json!({"op": "make untrained", "shape": [6, 5], "path": path("batch")});
    worker.ask(request);
    worker.ask(json!({"op": "load", "inputs": [path("batch")]}));
    let request = json!({"op": "evaluate", "loss": "svmax", "gradients": [path("gradient")]});
    let value = worker.ask(request)["value"].as_f64().unwrap();
    // The mean singular value is the inner product of the batch with its own gradient.
    let (batch, gradient) = (npy(&path("batch")), npy(&path("gradient")));
    let product: f64 = batch
        .iter()
        .zip(&gradient)
        .map(|(x, g)| f64::from(x * g))
        .sum();
    assert!(
        value > 0.0 && (product / value - 1.0).abs() < 1e-3,
        "{product} {value}"
    );
    worker.end();
}
