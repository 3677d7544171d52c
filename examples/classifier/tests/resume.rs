//! What happens to a run from outside: kills, damage, a second process, a reader that goes away.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use tempfile::TempDir;

const CONFIG: &str = r#"{
    "data": { "test_per_class": 4 },
    "methods": ["svmax"],
    "per_class": [3],
    "seeds": [1],
    "epochs": EPOCHS,
    "steps_per_epoch": 2,
    "batch_per_class": 2,
    "encoder": { "width": 2 }
}"#;

/// The folder of the one training, below that of the run.
const TRAINING: &str = "3-per-class/svmax/seed-1";

/// A folder with the configuration of a training so long as there are epochs.
struct Place {
    folder: TempDir,
}

impl Place {
    fn new(epochs: usize) -> Self {
        let folder = TempDir::new().unwrap();
        let text = CONFIG.replace("EPOCHS", &epochs.to_string());
        fs::write(folder.path().join("config.json"), text).unwrap();
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A file of the training of the first run.
    fn training(&self, name: &str) -> PathBuf {
        self.path("runs/run-1").join(TRAINING).join(name)
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_classifier"));
        command.current_dir(self.folder.path()).args(args);
        command.env("RUST_BACKTRACE", "1");
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// The run ends well; what it says on standard error.
    fn done(&self, args: &[&str]) -> String {
        let output = self.run(args);
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(0), "{args:?}: {error}");
        error
    }

    /// The run ends with an error; its line.
    fn refused(&self, args: &[&str]) -> String {
        let output = self.run(args);
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{args:?}: {error}");
        assert!(
            error.starts_with("error: ") && error.lines().count() == 1,
            "{error}"
        );
        error
    }

    /// Kills a new run when its checkpoint of an epoch is there.
    fn killed_after(&self, epoch: usize) {
        let mut process = self.command(START).spawn().unwrap();
        wait_for(
            &mut process,
            &self.training(&format!("checkpoint/epoch-{epoch}.json")),
        );
        process.kill().unwrap();
        process.wait().unwrap();
    }

    /// The metrics, but for the time.
    fn metrics(&self) -> Vec<String> {
        let text = fs::read_to_string(self.training("metrics.csv")).unwrap();
        let rows = text.lines().filter(|row| !row.contains(",seconds,"));
        rows.map(str::to_owned).collect()
    }

    /// The epochs of the complete checkpoints, by size.
    fn checkpoints(&self) -> Vec<usize> {
        let entries = fs::read_dir(self.training("checkpoint")).unwrap();
        let epochs = entries.filter_map(|entry| {
            let name = entry.unwrap().file_name().into_string().unwrap();
            name.strip_prefix("epoch-")?
                .strip_suffix(".json")?
                .parse()
                .ok()
        });
        let mut epochs: Vec<usize> = epochs.collect();
        epochs.sort_unstable();
        epochs
    }
}

const START: &[&str] = &["--config", "config.json"];
const RESUME: &[&str] = &["--resume"];

fn wait_for(process: &mut Child, path: &Path) {
    let start = Instant::now();
    while !path.exists() {
        assert!(process.try_wait().unwrap().is_none(), "it has ended");
        assert!(
            start.elapsed() < Duration::from_secs(120),
            "no {}",
            path.display()
        );
        sleep(Duration::from_millis(2));
    }
}

fn temporaries(folder: &Path) -> usize {
    let entries = fs::read_dir(folder).unwrap().map(Result::unwrap);
    let count = |entry: fs::DirEntry| match entry.file_type().unwrap().is_dir() {
        true => temporaries(&entry.path()),
        false => usize::from(entry.file_name().to_string_lossy().contains("partial")),
    };
    entries.map(count).sum()
}

#[test]
fn a_damaged_checkpoint_is_passed_over_for_the_one_before() {
    let whole = Place::new(60);
    assert_eq!(whole.done(START), "");
    let expected = whole.metrics();

    let place = Place::new(60);
    place.killed_after(3);
    let last = *place.checkpoints().last().unwrap();
    assert!(last < 60, "it was killed too late");
    // As a kill within a write leaves it.
    fs::write(place.training("checkpoint/.fullrank-1-1.partial"), "half").unwrap();
    let name = format!("optimizer-{last}.bpk");
    let path = place.training("checkpoint").join(&name);
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    let error = place.done(RESUME);
    let told = error.lines().find(|line| line.contains(&name)).unwrap();
    assert!(
        told.ends_with(&format!("continuing after epoch {}", last - 1)),
        "{told}"
    );
    assert_eq!(place.metrics(), expected);
    assert_eq!(place.checkpoints(), [59, 60]);
    assert_eq!(temporaries(&place.path("runs")), 0);
    assert!(!place.path("runs/run-1/run.lock").exists());
}

#[test]
fn without_an_intact_checkpoint_the_files_are_named() {
    let place = Place::new(400);
    place.killed_after(3);
    let epochs = place.checkpoints();
    for epoch in &epochs {
        let path = place.training(&format!("checkpoint/model-{epoch}.bpk"));
        let mut bytes = fs::read(&path).unwrap();
        let end = bytes.len() - 1;
        bytes[end] ^= 1;
        fs::write(path, bytes).unwrap();
    }
    for _ in 0..2 {
        let error = place.refused(RESUME);
        for epoch in &epochs {
            assert!(
                error.contains(&format!("model-{epoch}.bpk: it is damaged")),
                "{error}"
            );
        }
        assert!(
            error.contains("to start this training anew, delete its folder"),
            "{error}"
        );
    }

    // Lines within the metrics that are no rows are told with their place.
    let place = Place::new(400);
    place.killed_after(3);
    let metrics = place.training("metrics.csv");
    let text = fs::read_to_string(&metrics).unwrap();
    fs::write(&metrics, text.replacen("train,1,2,", "train,1;2;", 1)).unwrap();
    let error = place.refused(RESUME);
    assert!(error.contains("metrics.csv: line "), "{error}");
    // Without the rows of their epochs, no checkpoint can be continued.
    let end = text.find('\n').unwrap() + 1;
    fs::write(&metrics, &text[..end]).unwrap();
    let error = place.refused(RESUME);
    assert!(
        error.contains("metrics.csv does not hold all of epoch"),
        "{error}"
    );
}

#[test]
fn a_second_process_is_kept_out() {
    let place = Place::new(400);
    let mut first = place.command(START).spawn().unwrap();
    wait_for(&mut first, &place.training("checkpoint/epoch-1.json"));
    for args in [RESUME, &["--resume", "--name", "run-1"]] {
        let error = place.refused(args);
        let process = format!("runs/run-1 is in use by process {}", first.id());
        assert!(error.contains(&process), "{error}");
    }
    let error = place.refused(&["--config", "config.json", "--name", "run-1"]);
    assert!(error.contains("runs/run-1 holds a run already"), "{error}");
    assert!(
        first.try_wait().unwrap().is_none(),
        "the first has ended too early"
    );
    // A kill ends the lock.
    first.kill().unwrap();
    first.wait().unwrap();
    assert!(place.path("runs/run-1/run.lock").exists());
    let mut again = place.command(RESUME).spawn().unwrap();
    let next = place.checkpoints().last().unwrap() + 2;
    wait_for(
        &mut again,
        &place.training(&format!("checkpoint/epoch-{next}.json")),
    );
    again.kill().unwrap();
    again.wait().unwrap();
}

#[test]
fn runs_that_start_together_have_a_folder_each() {
    let place = Place::new(2);
    let processes: Vec<Child> = (0..4)
        .map(|_| place.command(START).spawn().unwrap())
        .collect();
    for process in processes {
        let output = process.wait_with_output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{error}");
    }
    for run in 1..=4 {
        assert!(place.path(&format!("runs/run-{run}/report.html")).exists());
    }
    assert!(!place.path("runs/run-5").exists());
}

#[test]
fn errors_are_lines_and_leave_nothing() {
    let place = Place::new(2);
    for name in ["", "..", "a/b", "a\nb"] {
        for args in [
            &["--name", name, "--config", "config.json"][..],
            &["--resume", "--name", name],
        ] {
            let error = place.refused(args);
            assert!(error.contains("a run cannot be named"), "{error}");
        }
    }
    assert!(
        place
            .refused(RESUME)
            .contains("there is no run to continue in runs")
    );
    let error = place.refused(&["--resume", "--name", "no"]);
    assert!(
        error.contains("there is no run to continue in runs/no"),
        "{error}"
    );
    fs::write(place.path("bad.json"), r#"{"data": {"dir": "no"}}"#).unwrap();
    // Of a set that is looked for nowhere else.
    let error = place.refused(&["--config", "bad.json", "--data", "cifar10"]);
    assert!(error.contains("no/"), "{error}");
    // Only the regularizer itself looks at its margin.
    let config = r#"{"weights": {"variance-covariance": {"margin": -1}}}"#;
    fs::write(place.path("bad.json"), config).unwrap();
    let error = place.refused(&["--config", "bad.json"]);
    assert!(error.contains("margin"), "{error}");
    fs::write(place.path("bad.json"), "{").unwrap();
    place.refused(&["--config", "bad.json"]);
    let runs = fs::read_dir(place.path("runs"));
    assert_eq!(runs.map_or(0, Iterator::count), 0);
}

#[test]
fn a_reader_that_has_gone_ends_no_training() {
    let place = Place::new(3);
    let mut process = place.command(START).spawn().unwrap();
    drop(process.stdout.take());
    drop(process.stderr.take());
    assert_eq!(process.wait().unwrap().code(), Some(0));
    assert!(place.path("runs/run-1/report.html").exists());
    if cfg!(target_os = "linux") {
        let full = || fs::File::options().write(true).open("/dev/full").unwrap();
        let mut command = place.command(START);
        command.stdout(full()).stderr(full());
        assert_eq!(command.status().unwrap().code(), Some(0));
        assert!(place.path("runs/run-2/report.html").exists());
        let mut command = place.command(&["--print-config"]);
        let output = command.stdout(full()).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(output.stderr.starts_with(b"error: writing standard output"));
    }
}
