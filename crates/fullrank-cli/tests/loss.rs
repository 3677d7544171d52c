//! The command as a user runs it: files in, JSON out.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use npyz::{NpyFile, Order};
use serde_json::Value;
use tempfile::TempDir;

mod support;
use support::write;

fn read(path: &Path) -> (Vec<u64>, Vec<f64>) {
    let file = NpyFile::new(File::open(path).unwrap()).unwrap();
    (file.shape().to_vec(), file.into_vec().unwrap())
}

fn fullrank(args: &[&str]) -> Command {
    let mut command = Command::cargo_bin("fullrank").unwrap();
    command.args(args);
    command
}

fn json(args: &[&str]) -> Value {
    let output = fullrank(args).arg("--json").output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).unwrap()
}

fn error(args: &[&str]) -> String {
    let output = fullrank(args).output().unwrap();
    assert!(!output.status.success() && output.stdout.is_empty());
    String::from_utf8(output.stderr).unwrap()
}

/// The 4 x 3 views of the golden VICReg values, in f64.
fn views(folder: &TempDir) -> [PathBuf; 2] {
    let paths = ["x.npy", "y.npy"].map(|name| folder.path().join(name));
    let entries = |f: fn(f64, f64) -> f64| {
        (0..12)
            .map(|k| f(f64::from(k / 3), f64::from(k % 3)))
            .collect::<Vec<_>>()
    };
    write(
        &paths[0],
        &[4, 3],
        Order::C,
        entries(|i, j| (1.0 + 3.0 * i + j).sin()),
    );
    write(
        &paths[1],
        &[4, 3],
        Order::C,
        entries(|i, j| (2.0 + 2.0 * i + 3.0 * j).cos()),
    );
    paths
}

fn close(value: &Value, expected: f64, tolerance: f64) {
    let value = value.as_f64().unwrap();
    assert!(
        (value - expected).abs() <= tolerance * expected.abs(),
        "{value} is not {expected}"
    );
}

#[test]
fn vicreg_of_two_views() {
    let folder = TempDir::new().unwrap();
    let [x, y] = views(&folder);
    let [x, y] = [x.to_str().unwrap(), y.to_str().unwrap()];
    for (scaling, expected) in [
        ("official", 30.607564786926375),
        ("paper", 82.57602190509274),
    ] {
        for device in ["flex", "ndarray"] {
            let setting = format!("scaling={scaling}");
            let report = json(&[
                "loss", "vicreg", "--input", x, "--second", y, "--set", &setting, "--device",
                device,
            ]);
            close(&report["loss"], expected, 1e-12);
            assert_eq!(report["shape"], serde_json::json!([4, 3]));
            let term = |name: &str| report["terms"][name].as_f64().unwrap();
            let sum = 25.0 * term("invariance") + 25.0 * term("variance") + term("covariance");
            close(&report["loss"], sum, 1e-12);
        }
    }
}

/// The values of the tests of the library, which have the numpy programs that print them.
#[test]
fn newer_losses() {
    let folder = TempDir::new().unwrap();
    let [x, y] = views(&folder);
    let [x, y] = [x.to_str().unwrap(), y.to_str().unwrap()];
    for device in ["flex", "ndarray"] {
        let report = |args: &[&str]| json(&[&["loss"], args, &["--device", device]].concat());
        let loss = |args: &[&str]| report(args)["loss"].clone();
        let one = loss(&["covariance-to-identity", "--input", x]);
        close(&one, 1.7400377473386106, 1e-12);
        let nt_xent = ["nt-xent", "--input", x, "--second", y];
        close(&loss(&nt_xent), 2.3428566441586094, 1e-12);
        let cold = loss(&[&nt_xent[..], &["--set", "temperature=0.07"]].concat());
        close(&cold, 11.446409647112388, 1e-12);
        // What the smoothing changes is below 1e-6 of it.
        let mmcr = report(&["mmcr", "--input", x, "--second", y]);
        close(&mmcr["loss"], -2.2111042669695333, 1e-6);
        close(&mmcr["terms"]["local"], 1.998023767871571, 1e-6);
    }
}

/// Directions from a file, those of the tests of the library; drawn ones are those of the seed.
#[test]
fn sigreg_and_lejepa_along_given_slices() {
    let folder = TempDir::new().unwrap();
    let [x, y] = views(&folder);
    let [x, y] = [x.to_str().unwrap(), y.to_str().unwrap()];
    let path = folder.path().join("slices.npy");
    let third = 3f64.sqrt().recip();
    let slices = |diagonal: f64| {
        let row = |i: usize| (0..3).map(move |j| if i == j { diagonal } else { 0.0 });
        (0..3)
            .flat_map(|i| row(i).chain([third]))
            .collect::<Vec<f64>>()
    };
    write(&path, &[3, 4], Order::C, slices(1.0));
    let slices_path = path.to_str().unwrap();
    for device in ["flex", "ndarray"] {
        for (quadrature, one, two) in [
            ("official", 0.5922859555389763, 0.24195743171358622),
            ("paper", 0.607117637054382, 0.24244745045270286),
        ] {
            let set = format!("quadrature={quadrature}");
            let along = ["--slices", slices_path, "--set", &set, "--device", device];
            let loss = |args: &[&str]| json(&[&["loss"], args, &along].concat())["loss"].clone();
            close(&loss(&["sigreg", "--input", x]), one, 1e-12);
            close(&loss(&["lejepa", "--input", x, "--second", y]), two, 1e-12);
        }
    }
    let drawn = |seed: &str| json(&["loss", "sigreg", "--input", x, "--set", seed])["loss"].clone();
    assert_eq!(drawn("seed=1"), drawn("seed=1"));
    assert_ne!(drawn("seed=1"), drawn("seed=2"));

    let sigreg = ["loss", "sigreg", "--input", x, "--slices", slices_path];
    write(&path, &[3, 4], Order::C, slices(1.1));
    let stderr = error(&sigreg);
    assert!(stderr.contains("column 0 has a norm of 1.1"), "{stderr}");
    write(&path, &[2, 1], Order::C, vec![0.6, 0.8]);
    let stderr = error(&sigreg);
    assert!(
        stderr.contains("the slices have 2 rows for embeddings of 3 dimensions"),
        "{stderr}"
    );
    let stderr = error(&["loss", "svmax", "--input", x, "--slices", slices_path]);
    assert!(stderr.contains("leave out --slices"), "{stderr}");
    let stderr = error(&["loss", "sigreg", "--input", x, "--set", "slices=0"]);
    assert!(stderr.contains("at least one slice, got 0"), "{stderr}");
}

#[test]
fn svmax_in_single_precision_and_fortran_order() {
    let folder = TempDir::new().unwrap();
    let angles: Vec<f32> = (0..5).map(|i| (20.0 * i as f32).to_radians()).collect();
    let c_order = folder.path().join("c.npy");
    write(
        &c_order,
        &[5, 2],
        Order::C,
        angles.iter().flat_map(|a| [a.cos(), a.sin()]).collect(),
    );
    let fortran = folder.path().join("f.npy");
    let columns = angles
        .iter()
        .map(|a| a.cos())
        .chain(angles.iter().map(|a| a.sin()))
        .collect();
    write(&fortran, &[5, 2], Order::Fortran, columns);
    for path in [c_order, fortran] {
        let report = json(&["loss", "svmax", "--input", path.to_str().unwrap()]);
        close(
            &report["terms"]["mean_singular_value"],
            1.5072890873666207,
            1e-6,
        );
        close(&report["terms"]["lower_bound"], 1.118033988749895, 1e-6);
        close(&report["terms"]["upper_bound"], 1.5811388300841898, 1e-6);
        close(&report["terms"]["penalty"], 1.172885057386248, 1e-6);
        close(&report["loss"], 1.172885057386248, 1e-6);
    }
}

/// The gradient files against central differences of the command's own output.
#[test]
fn gradients_of_both_views() {
    let folder = TempDir::new().unwrap();
    let paths = views(&folder);
    let outputs = ["gx.npy", "gy.npy"].map(|name| folder.path().join(name));
    let [x, y, gx, gy] =
        [&paths[0], &paths[1], &outputs[0], &outputs[1]].map(|p| p.to_str().unwrap());
    for loss in ["vicreg", "barlow-twins", "nt-xent", "mmcr", "lejepa"] {
        let mut args = vec!["loss", loss, "--input", x, "--second", y];
        json(&[&args[..], &["--gradient", gx, "--second-gradient", gy]].concat());
        let moved = folder.path().join("moved.npy");
        for side in [0, 1] {
            let (shape, gradient) = read(&outputs[side]);
            assert_eq!(shape, [4, 3]);
            let (_, entries) = read(&paths[side]);
            args[3 + 2 * side] = moved.to_str().unwrap();
            for k in [0, 5, 11] {
                let value = |step: f64| {
                    let mut entries = entries.clone();
                    entries[k] += step;
                    write(&moved, &[4, 3], Order::C, entries);
                    json(&args)["loss"].as_f64().unwrap()
                };
                let slope = (value(1e-5) - value(-1e-5)) / 2e-5;
                let difference = (slope - gradient[k]).abs();
                assert!(
                    difference <= 1e-6 * slope.abs().max(1.0),
                    "{slope} {}",
                    gradient[k]
                );
            }
            args[3 + 2 * side] = [x, y][side];
        }
    }
}

/// The command gives the gradient of the value, of short rows too; the library's default, which does not, by
/// its field.
#[test]
fn svmax_has_the_exact_gradient_of_short_rows() {
    let folder = TempDir::new().unwrap();
    let paths = views(&folder);
    let (_, entries) = read(&paths[0]);
    let short: Vec<f64> = entries.iter().map(|x| 0.01 * x).collect();
    let [x, g, moved] = ["x.npy", "g.npy", "moved.npy"].map(|name| folder.path().join(name));
    write(&x, &[4, 3], Order::C, short.clone());
    let [x, g, moved_path] = [&x, &g, &moved].map(|path| path.to_str().unwrap());
    let gradient = |set: &[&str]| {
        json(&[&["loss", "svmax", "--input", x, "--gradient", g], set].concat());
        read(&folder.path().join("g.npy")).1
    };
    let exact = gradient(&[]);
    for k in [0, 5, 11] {
        let value = |step: f64| {
            let mut entries = short.clone();
            entries[k] += step;
            write(&moved, &[4, 3], Order::C, entries);
            json(&["loss", "svmax", "--input", moved_path])["loss"]
                .as_f64()
                .unwrap()
        };
        let slope = (value(3e-8) - value(-3e-8)) / 6e-8;
        assert!(
            (slope - exact[k]).abs() <= 1e-5 * slope.abs().max(1.0),
            "{slope}"
        );
    }
    let floored = gradient(&["--set", "norm_floor=1"]);
    for row in 0..4 {
        let squares = short[3 * row..3 * (row + 1)].iter().map(|x| x * x);
        let norm = squares.sum::<f64>().sqrt();
        for k in 3 * row..3 * (row + 1) {
            assert!((floored[k] - norm * exact[k]).abs() <= 1e-9 * exact[k].abs());
        }
    }
}

#[test]
fn every_loss_of_one_view() {
    let folder = TempDir::new().unwrap();
    let paths = views(&folder);
    let outputs = ["g.npy", "moved.npy"].map(|name| folder.path().join(name));
    let [x, g, moved] = [&paths[0], &outputs[0], &outputs[1]].map(|p| p.to_str().unwrap());
    let (_, entries) = read(&paths[0]);
    for name in [
        "svmax",
        "variance",
        "covariance",
        "variance-covariance",
        "covariance-to-identity",
        "sigreg",
    ] {
        json(&["loss", name, "--input", x, "--gradient", g]);
        let (shape, gradient) = read(&outputs[0]);
        assert_eq!(shape, [4, 3]);
        assert!(gradient.iter().any(|x| x.abs() > 1e-3), "{name}");
        for k in [0, 5, 11] {
            let value = |step: f64| {
                let mut entries = entries.clone();
                entries[k] += step;
                write(&outputs[1], &[4, 3], Order::C, entries);
                json(&["loss", name, "--input", moved])["loss"]
                    .as_f64()
                    .unwrap()
            };
            let slope = (value(3e-6) - value(-3e-6)) / 6e-6;
            assert!(
                (slope - gradient[k]).abs() <= 1e-5 * slope.abs().max(1.0),
                "{name}"
            );
        }
    }
    let loss =
        |args: &[&str]| json(&[&["loss", "variance-covariance", "--input", x], args].concat());
    close(&loss(&[])["loss"], 3.8946568, 1e-7);
    let half = loss(&[
        "--set",
        "variance_weight=6.25",
        "--set",
        "covariance_weight=0.5",
    ]);
    close(&half["loss"], 3.8946568 / 2.0, 1e-7);
}

/// The eight rows of five sines and their labels, of which the tests of fullrank-retrieval have the
/// values of pytorch-metric-learning.
fn sines(folder: &TempDir) -> [PathBuf; 2] {
    let paths = ["z.npy", "t.npy"].map(|name| folder.path().join(name));
    let entries: Vec<f64> = (0..40)
        .map(|k| (f64::from(k / 5), f64::from(k % 5)))
        .map(|(i, j)| (1.0 + 3.0 * i + j * j + 0.3 * i * j).sin())
        .collect();
    write(&paths[0], &[8, 5], Order::C, entries);
    write(&paths[1], &[8], Order::C, vec![0i64, 0, 0, 1, 1, 2, 2, 3]);
    paths
}

#[test]
fn ranking_losses() {
    let folder = TempDir::new().unwrap();
    let paths = sines(&folder);
    let outputs = ["g.npy", "moved.npy"].map(|name| folder.path().join(name));
    let [z, t, g, moved] =
        [&paths[0], &paths[1], &outputs[0], &outputs[1]].map(|p| p.to_str().unwrap());
    let (_, entries) = read(&paths[0]);
    for (name, set, expected) in [
        ("contrastive", "squared_hinge=false", 1.7186956623935445),
        ("triplet", "mining=batch-all", 0.580661924639539),
        ("n-pair", "normalize=false", 2.7610403645052615),
        ("angular", "pairs=n-pair", 4.744601150588978),
        ("lifted-structure", "margin=1", 6.976509862788232),
        ("multi-similarity", "mining_epsilon=0.1", 1.2906365125527857),
    ] {
        let args = |input| ["loss", name, "--input", input, "--labels", t, "--set", set];
        for device in ["flex", "ndarray"] {
            let report = json(&[&args(z)[..], &["--device", device, "--gradient", g]].concat());
            close(&report["loss"], expected, 1e-12);
            assert!(!report["terms"].as_object().unwrap().is_empty());
        }
        let (shape, gradient) = read(&outputs[0]);
        assert_eq!(shape, [8, 5]);
        for k in [0, 17, 33] {
            let value = |step: f64| {
                let mut entries = entries.clone();
                entries[k] += step;
                write(&outputs[1], &[8, 5], Order::C, entries);
                json(&args(moved))["loss"].as_f64().unwrap()
            };
            let slope = (value(1e-6) - value(-1e-6)) / 2e-6;
            assert!(
                (slope - gradient[k]).abs() <= 1e-6 * slope.abs().max(1.0),
                "{name}: {slope} {}",
                gradient[k]
            );
        }
    }
}

#[test]
fn labels_that_do_not_fit() {
    let folder = TempDir::new().unwrap();
    let [z, t] = sines(&folder);
    let [z, t] = [z.to_str().unwrap(), t.to_str().unwrap()];
    let stderr = error(&["loss", "triplet", "--input", z]);
    assert!(stderr.contains("--labels"), "{stderr}");
    let stderr = error(&["loss", "svmax", "--input", z, "--labels", t]);
    assert!(stderr.contains("takes no labels"), "{stderr}");
    let stderr = error(&[
        "loss", "triplet", "--input", z, "--labels", t, "--second", z,
    ]);
    assert!(stderr.contains("one view"), "{stderr}");
    let stderr = error(&["loss", "triplet", "--input", z, "--labels", z]);
    assert!(
        stderr.contains("expected labels [batch], found shape [8, 5]"),
        "{stderr}"
    );
    let path = folder.path().join("labels.npy");
    let labels = |entries: Vec<i32>| {
        write(&path, &[entries.len() as u64], Order::C, entries);
        error(&[
            "loss",
            "triplet",
            "--input",
            z,
            "--labels",
            path.to_str().unwrap(),
        ])
    };
    let stderr = labels(vec![1; 7]);
    assert!(stderr.contains("there are 8 rows but 7 labels"), "{stderr}");
    write(&path, &[8], Order::C, vec![1.5f32; 8]);
    let stderr = error(&[
        "loss",
        "triplet",
        "--input",
        z,
        "--labels",
        path.to_str().unwrap(),
    ]);
    assert!(
        stderr.contains("labels.npy") && stderr.contains("1.5 is not a whole number"),
        "{stderr}"
    );
    write(&path, &[2], Order::C, vec![1, u64::MAX]);
    let stderr = error(&[
        "loss",
        "triplet",
        "--input",
        z,
        "--labels",
        path.to_str().unwrap(),
    ]);
    assert!(
        stderr.contains("label 1 is 18446744073709551615"),
        "{stderr}"
    );
}

#[test]
fn bounds() {
    let report = json(&["bounds", "--batch", "144", "--dim", "128"]);
    close(&report["lower"], 0.09375, 1e-15);
    close(&report["upper"], 1.0606601717798214, 1e-15);
    assert_eq!(report["rank"], 128);
    assert!(error(&["bounds", "--batch", "0", "--dim", "3"]).contains("0 is not in 1.."));
}

#[test]
fn errors_name_what_is_wrong() {
    let folder = TempDir::new().unwrap();
    let [x, _] = views(&folder);
    let file = |name: &str| folder.path().join(name);
    let x = x.to_str().unwrap();
    let input = |path: &Path| error(&["loss", "svmax", "--input", path.to_str().unwrap()]);

    let stderr = error(&["loss", "svmax", "--input", x, "--set", "margin=1"]);
    assert!(
        stderr.contains("unknown key 'margin'; known: weight, form, normalize, solver"),
        "{stderr}"
    );
    let stderr = error(&["loss", "variance", "--input", x, "--set", "margin=-2"]);
    assert!(
        stderr.contains("must be positive and finite, got -2"),
        "{stderr}"
    );
    let stderr = error(&["loss", "vicreg", "--input", x]);
    assert!(stderr.contains("--second"), "{stderr}");
    let stderr = error(&["loss", "svmax", "--input", x, "--set", "normalize=false"]);
    assert!(stderr.contains("use SvMaxForm::Linear"), "{stderr}");
    let stderr = error(&["loss", "svmax", "--input", x, "--second", x]);
    assert!(stderr.contains("one view"), "{stderr}");
    let stderr = error(&["loss", "svmax", "--input", x, "--device", "cuda"]);
    assert!(stderr.contains("--features cuda"), "{stderr}");

    assert!(input(&file("missing.npy")).contains("missing.npy"));
    fs::write(file("text.npy"), "not a matrix").unwrap();
    assert!(input(&file("text.npy")).contains("not an .npy file"));
    write(&file("vector.npy"), &[3], Order::C, vec![1.0f64; 3]);
    assert!(input(&file("vector.npy")).contains("expected a matrix [batch, dim], found shape [3]"));
    write(
        &file("integers.npy"),
        &[2, 2],
        Order::C,
        vec![1i32, 2, 3, 4],
    );
    write(
        &file("floats.npy"),
        &[2, 2],
        Order::C,
        vec![1.0f64, 2.0, 3.0, 4.0],
    );
    let [integers, floats] = ["integers.npy", "floats.npy"].map(|name| {
        json(&["loss", "variance", "--input", file(name).to_str().unwrap()])["loss"].clone()
    });
    assert_eq!(integers, floats);
    write(
        &file("nan.npy"),
        &[2, 2],
        Order::C,
        vec![1.0, 2.0, f64::NAN, f64::INFINITY],
    );
    let stderr = input(&file("nan.npy"));
    assert!(
        stderr.contains("2 of 4 entries are not finite, the first at row 1, column 0"),
        "{stderr}"
    );

    let whole = fs::read(x).unwrap();
    fs::write(file("cut.npy"), &whole[..whole.len() - 5]).unwrap();
    assert!(
        input(&file("cut.npy")).contains("the header says 4 x 3 entries of 8 bytes, but 91 bytes")
    );
    // A header that claims more than memory holds.
    let header = "{'descr': '<f8', 'fortran_order': False, 'shape': (9999999999, 9999999999), }\n";
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    fs::write(file("claim.npy"), bytes).unwrap();
    assert!(input(&file("claim.npy")).contains("the header says 9999999999 x 9999999999 entries"));
}
