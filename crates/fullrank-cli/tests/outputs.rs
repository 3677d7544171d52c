//! What the command writes: over nothing that is not its own, and without a word if nobody reads it.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use npyz::Order;
use tempfile::TempDir;

mod support;
use support::write;

struct Files {
    folder: TempDir,
}

impl Files {
    /// Two matrices, `one.npy` and `two.npy`.
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        for (name, shift) in [("one.npy", 0.0), ("two.npy", 0.5)] {
            let entries: Vec<f64> = (0..24)
                .map(|k| (f64::from(k) * 0.7 + shift).sin())
                .collect();
            write(&folder.path().join(name), &[6, 4], Order::C, entries);
        }
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, args: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fullrank"));
        command
            .current_dir(self.folder.path())
            .args(args.split_whitespace());
        command
    }

    fn run(&self, args: &str) -> Output {
        self.command(args).output().unwrap()
    }

    /// The command succeeds.
    fn done(&self, args: &str) {
        let output = self.run(args);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{args}: {stderr}");
    }

    /// The command fails and leaves every file as it is; its message.
    fn refused(&self, args: &str) -> String {
        let before = self.contents();
        let output = self.run(args);
        assert_eq!(output.status.code(), Some(1), "{args}");
        assert!(output.stdout.is_empty(), "{args}");
        assert!(self.contents() == before, "{args} changed a file");
        String::from_utf8(output.stderr).unwrap()
    }

    fn contents(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let entries = fs::read_dir(self.folder.path()).unwrap();
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        let read = |path: PathBuf| {
            let bytes = fs::read(&path).unwrap_or_default();
            (path, bytes)
        };
        paths.into_iter().map(read).collect()
    }
}

const LOSS: &str = "loss variance --input one.npy";

#[test]
fn an_output_is_no_input() {
    let files = Files::new();
    fs::create_dir(files.path("deep")).unwrap();
    fs::hard_link(files.path("one.npy"), files.path("hard.npy")).unwrap();
    let mut same = vec!["one.npy", "./one.npy", "deep/../one.npy"];
    if cfg!(unix) {
        same.push("hard.npy");
        #[cfg(unix)]
        std::os::unix::fs::symlink("one.npy", files.path("soft.npy")).unwrap();
        same.push("soft.npy");
    }
    for output in same {
        for force in ["", "--force"] {
            for args in [
                format!("inspect one.npy two.npy --html {output} {force}"),
                format!("{LOSS} --gradient {output} {force}"),
            ] {
                let error = files.refused(&args);
                assert!(
                    error.contains(&format!("{output} and one.npy are one file")),
                    "{error}"
                );
            }
        }
    }
    let labels: Vec<i64> = (0..6).map(|row| row % 2).collect();
    write(&files.path("l.npy"), &[6], Order::C, labels);
    let error = files.refused("inspect one.npy --labels l.npy --html l.npy");
    assert!(error.contains("l.npy and l.npy are one file"), "{error}");
    let error = files.refused(
        "loss vicreg --input one.npy --second two.npy --gradient g.npy --second-gradient ./g.npy",
    );
    assert!(error.contains("./g.npy and g.npy are one file"), "{error}");
}

#[test]
fn a_file_of_someone_else_is_kept() {
    let files = Files::new();
    let html = "inspect one.npy --html r.html";
    let gradient = &format!("{LOSS} --gradient g.npy");
    for (args, name) in [(html, "r.html"), (gradient, "g.npy")] {
        fs::write(files.path(name), "<!DOCTYPE html>\n<p>My own.").unwrap();
        let error = files.refused(args);
        assert!(error.contains(name) && error.contains("--force"), "{error}");
        files.done(&format!("{args} --force"));
        // Its own it replaces, and an empty file.
        files.done(args);
        fs::write(files.path(name), "").unwrap();
        files.done(args);
        assert!(fs::metadata(files.path(name)).unwrap().len() > 100);
    }
    fs::create_dir(files.path("folder")).unwrap();
    let error = files.refused("inspect one.npy --html folder --force");
    assert!(error.contains("folder: it is a folder"), "{error}");
    assert!(
        !files
            .contents()
            .iter()
            .any(|(path, _)| path.to_string_lossy().contains("partial"))
    );
}

#[cfg(unix)]
#[test]
fn links_and_devices_stay_what_they_are() {
    use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};

    let files = Files::new();
    fs::create_dir(files.path("deep")).unwrap();
    symlink("deep/target.html", files.path("link.html")).unwrap();
    symlink("link.html", files.path("again.html")).unwrap();
    for _ in 0..2 {
        files.done("inspect one.npy --html again.html");
        for name in ["again.html", "link.html"] {
            assert!(fs::symlink_metadata(files.path(name)).unwrap().is_symlink());
        }
        let target = files.path("deep/target.html");
        assert!(
            fs::read_to_string(&target)
                .unwrap()
                .starts_with("<!DOCTYPE html>")
        );
        // The rights of a file are kept.
        fs::set_permissions(&target, fs::Permissions::from_mode(0o640)).unwrap();
    }
    let mode = fs::metadata(files.path("link.html"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o640);
    symlink("round.html", files.path("round.html")).unwrap();
    assert!(
        files
            .refused("inspect one.npy --html round.html")
            .contains("round.html")
    );

    files.done("inspect one.npy --html /dev/null");
    files.done(&format!("{LOSS} --gradient /dev/null"));
    assert!(
        fs::metadata("/dev/null")
            .unwrap()
            .file_type()
            .is_char_device()
    );
    let output = files.run(&format!("{LOSS} --gradient /dev/stdout --json"));
    assert!(output.status.success() && output.stdout.starts_with(b"\x93NUMPY"));
    assert!(output.stdout.ends_with(b"\"shape\":[6,4]}\n"));

    let fifo = files.path("fifo");
    assert!(
        Command::new("mkfifo")
            .arg(&fifo)
            .status()
            .unwrap()
            .success()
    );
    let mut reader = Command::new("cat");
    let reader = reader.arg(&fifo).stdout(Stdio::piped()).spawn().unwrap();
    files.done("inspect one.npy --html fifo");
    let read = reader.wait_with_output().unwrap().stdout;
    assert!(read.starts_with(b"<!DOCTYPE html>") && read.ends_with(b"</html>\n"));
    assert!(fs::metadata(&fifo).unwrap().file_type().is_fifo());
}

const COMMANDS: [&str; 4] = [
    "inspect one.npy two.npy --compare",
    "loss variance --input one.npy",
    "score one.npy --labels l.npy",
    "bounds --batch 4 --dim 2 --json",
];

#[test]
fn a_reader_that_has_gone_is_not_missed() {
    let files = Files::new();
    write(
        &files.path("l.npy"),
        &[6],
        Order::C,
        vec![0_i64, 0, 1, 1, 2, 2],
    );
    for args in COMMANDS {
        let mut command = files.command(args);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = command.spawn().unwrap();
        drop(process.stdout.take());
        let output = process.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{args}");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{args}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_result_that_cannot_be_written_is_an_error() {
    let files = Files::new();
    write(
        &files.path("l.npy"),
        &[6],
        Order::C,
        vec![0_i64, 0, 1, 1, 2, 2],
    );
    let full = || fs::File::options().write(true).open("/dev/full").unwrap();
    for args in COMMANDS {
        let output = files.command(args).stdout(full()).output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{args}: {error}");
        assert!(
            error.starts_with("error: writing standard output: "),
            "{args}: {error}"
        );
    }
    let error = files.refused("inspect one.npy --html /dev/full");
    assert!(error.contains("/dev/full"), "{error}");
    // Nor does a standard error that is full bring it down.
    let status = files
        .command("inspect no.npy")
        .stderr(full())
        .status()
        .unwrap();
    assert_eq!(status.code(), Some(1));
}

#[test]
fn an_error_is_a_line() {
    let files = Files::new();
    fs::write(files.path("bad.npy"), "no matrix").unwrap();
    for args in [
        "inspect no.npy",
        "inspect bad.npy",
        "loss variance --input bad.npy",
        "loss triplet --input one.npy",
        "loss variance --input one.npy --set margin=-1",
        "score one.npy --labels one.npy",
    ] {
        let output = files
            .command(args)
            .env("RUST_BACKTRACE", "1")
            .output()
            .unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{args}: {error}");
        assert!(
            error.starts_with("error: ") && error.lines().count() == 1,
            "{args}: {error}"
        );
    }
}
