//! `fullrank inspect` as a user runs it: files in, a table or JSON out.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::Output;

use assert_cmd::Command;
use npyz::Order;
use safetensors::tensor::{Dtype, TensorView};
use serde_json::{Value, json};
use tempfile::TempDir;

mod support;
use support::write;

struct Files {
    folder: TempDir,
}

impl Files {
    fn new() -> Self {
        Self {
            folder: TempDir::new().unwrap(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn npy(&self, name: &str, [rows, dims]: [usize; 2], entries: &[f64]) {
        let shape = [rows as u64, dims as u64];
        write(&self.path(name), &shape, Order::C, entries.to_vec());
    }

    /// `fullrank inspect` in this folder.
    fn inspect(&self, args: &str) -> Output {
        let mut command = Command::cargo_bin("fullrank").unwrap();
        command.current_dir(self.folder.path()).arg("inspect");
        command.args(args.split_whitespace()).output().unwrap()
    }

    fn json(&self, args: &str) -> Value {
        let output = self.inspect(&format!("{args} --json"));
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{stderr}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    fn text(&self, args: &str) -> String {
        let output = self.inspect(args);
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap()
    }

    /// The message of an error that leaves the exit code 1 and prints nothing else.
    fn error(&self, args: &str) -> String {
        let output = self.inspect(args);
        assert_eq!(output.status.code(), Some(1));
        assert!(output.stdout.is_empty());
        String::from_utf8(output.stderr).unwrap()
    }
}

/// Numbers of a standard normal distribution, nearly: a linear congruential generator, summed over
/// twelve draws.
fn normal(count: usize) -> Vec<f64> {
    let mut state = 1u64;
    let mut uniform = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1u64 << 53) as f64
    };
    (0..count)
        .map(|_| (0..12).map(|_| uniform()).sum::<f64>() - 6.0)
        .collect()
}

/// `a b`, of the shapes `[rows, inner]` and `[inner, dims]`.
fn product(a: &[f64], b: &[f64], inner: usize, dims: usize) -> Vec<f64> {
    let entry = |row: &[f64], j: usize| -> f64 {
        row.iter()
            .zip(b[j..].iter().step_by(dims))
            .map(|(x, y)| x * y)
            .sum()
    };
    (a.chunks_exact(inner))
        .flat_map(|row| (0..dims).map(move |j| entry(row, j)))
        .collect()
}

/// Four rows along the axes, of which the first is twice as long: every figure by hand.
const AXES: [f64; 8] = [2.0, 0.0, 0.0, 1.0, -2.0, 0.0, 0.0, -1.0];

/// That both are the same but for rounding: numbers to 1e-6 of the larger, lists to 1e-6 of their
/// largest.
fn assert_close(name: &str, found: &Value, expected: &Value) {
    let numbers = |value: &Value| -> Option<Vec<f64>> {
        match value {
            Value::Array(values) => values.iter().map(Value::as_f64).collect(),
            value => value.as_f64().map(|number| vec![number]),
        }
    };
    let (Some(a), Some(b)) = (numbers(found), numbers(expected)) else {
        assert_eq!(found, expected, "{name}");
        return;
    };
    assert_eq!(a.len(), b.len(), "{name}");
    let scale = b.iter().fold(0.0f64, |scale, x| scale.max(x.abs()));
    for (a, b) in a.iter().zip(&b) {
        assert!((a - b).abs() <= 1e-6 * scale, "{name}: {a} is not {b}");
    }
}

#[test]
fn the_keys_of_the_json() {
    let files = Files::new();
    files.npy("axes.npy", [4, 2], &AXES);
    write(
        &files.path("labels.npy"),
        &[4],
        Order::C,
        vec![0i64, 1, 0, 1],
    );
    let found = files.json("axes.npy --labels labels.npy");
    let rank = ((2.0 / 3.0) * 1.5f64.ln() + (1.0 / 3.0) * 3f64.ln()).exp();
    for (name, expected) in [
        ("rows", json!(4)),
        ("dims", json!(2)),
        ("mean_singular_value", json!(2f64.sqrt())),
        ("lower_bound", json!(1.0)),
        ("upper_bound", json!(2f64.sqrt())),
        ("utilization", json!(1.0)),
        ("rankme", json!(rank)),
        ("effective_rank", json!(rank)),
        (
            "spectral_entropy",
            json!(-(0.8 * 0.8f64.log2() + 0.2 * 0.2f64.log2())),
        ),
        ("participation_ratio", json!(100.0 / 68.0)),
        ("numerical_rank", json!(2)),
        ("condition_number", json!(2.0)),
        ("alpha_req", Value::Null),
        ("dead_dimensions", json!(0)),
        (
            "mean_std",
            json!(((8.0 / 3.0f64).sqrt() + (2.0 / 3.0f64).sqrt()) / 2.0),
        ),
        ("unit_row_std", json!((2.0 / 3.0f64).sqrt())),
        ("mean_abs_correlation", json!(0.0)),
        ("singular_values", json!([8f64.sqrt(), 2f64.sqrt()])),
        ("unit_singular_values", json!([2f64.sqrt(), 2f64.sqrt()])),
        ("centred_singular_values", json!([8f64.sqrt(), 2f64.sqrt()])),
        ("classes", json!(2)),
        ("alignment", json!(4.0)),
        ("lidar", json!(0.0)),
        ("file", json!("axes.npy")),
        ("health", json!("healthy")),
    ] {
        assert_close(name, &found[name], &expected);
    }
    for name in ["random_reference", "random_effective_rank", "uniformity"] {
        assert!(found[name].is_f64(), "{name}");
    }
    assert!(
        found["verdict"]
            .as_str()
            .unwrap()
            .starts_with("healthy: uses 1.9 of 2 dimensions")
    );
    // Without labels, what needs them is null.
    let without = files.json("axes.npy");
    assert!(without["alignment"].is_null() && without["lidar"].is_null());
}

/// A .npy file of any type, version 1.
fn npy_bytes(descr: &str, fortran: bool, shape: &str, body: &[u8]) -> Vec<u8> {
    let fortran = if fortran { "True" } else { "False" };
    let mut header =
        format!("{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': {shape}, }}");
    while (10 + header.len() + 1) % 64 != 0 {
        header.push(' ');
    }
    header.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.bytes());
    bytes.extend(body);
    bytes
}

fn little_endian(entries: &[f64]) -> Vec<u8> {
    entries.iter().flat_map(|x| x.to_le_bytes()).collect()
}

/// A .npz file of these members.
fn npz_bytes(members: &[(&str, Vec<u8>)], method: zip::CompressionMethod) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in members {
        let options = zip::write::FileOptions::default().compression_method(method);
        archive.start_file(*name, options).unwrap();
        archive.write_all(bytes).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

fn safetensors_bytes(tensors: &[(&str, Dtype, &[usize], Vec<u8>)]) -> Vec<u8> {
    let views = tensors.iter().map(|(name, dtype, shape, bytes)| {
        (
            *name,
            TensorView::new(*dtype, shape.to_vec(), bytes).unwrap(),
        )
    });
    safetensors::serialize(views, None).unwrap()
}

#[test]
fn every_format_and_type_holds_the_same_matrix() {
    let files = Files::new();
    let columns: Vec<f64> = (0..8).map(|k| AXES[k % 4 * 2 + k / 4]).collect();
    let bytes = |entries: &[f64], encode: fn(f64) -> Vec<u8>| -> Vec<u8> {
        entries.iter().flat_map(|x| encode(*x)).collect()
    };
    let half = bytes(&AXES, |x| half::f16::from_f64(x).to_le_bytes().to_vec());
    let brain = bytes(&AXES, |x| half::bf16::from_f64(x).to_le_bytes().to_vec());
    let single = bytes(&AXES, |x| (x as f32).to_le_bytes().to_vec());
    let double = little_endian(&AXES);
    let mut names = Vec::new();
    let mut file = |name: &'static str, bytes: &[u8]| {
        fs::write(files.path(name), bytes).unwrap();
        names.push(name);
    };
    let npy = |descr, body: &[u8]| npy_bytes(descr, false, "(4, 2)", body);
    file("f8.npy", &npy("<f8", &double));
    file("f4.npy", &npy("<f4", &single));
    file("f2.NPY", &npy("<f2", &half));
    file(
        "big.npy",
        &npy(">f8", &bytes(&AXES, |x| x.to_be_bytes().to_vec())),
    );
    file(
        "big4.npy",
        &npy(">f4", &bytes(&AXES, |x| (x as f32).to_be_bytes().to_vec())),
    );
    file(
        "i1.npy",
        &npy("|i1", &bytes(&AXES, |x| vec![x as i8 as u8])),
    );
    file(
        "i4.npy",
        &npy("<i4", &bytes(&AXES, |x| (x as i32).to_le_bytes().to_vec())),
    );
    let fortran = npy_bytes("<f8", true, "(4, 2)", &little_endian(&columns));
    file("fortran.npy", &fortran);

    let vector = npy_bytes("<i8", false, "(4,)", &little_endian(&AXES[..4]));
    let members = [
        ("labels.npy", vector),
        ("embeddings.npy", npy("<f4", &single)),
    ];
    file(
        "stored.npz",
        &npz_bytes(&members, zip::CompressionMethod::Stored),
    );
    file(
        "deflated.npz",
        &npz_bytes(&members, zip::CompressionMethod::Deflated),
    );
    let members = [("arr_0.npy", fortran), ("about.txt", b"text".to_vec())];
    file(
        "fortran.npz",
        &npz_bytes(&members, zip::CompressionMethod::Deflated),
    );

    for (name, dtype, body) in [
        ("f16.safetensors", Dtype::F16, half),
        ("bf16.safetensors", Dtype::BF16, brain),
        ("f32.safetensors", Dtype::F32, single),
        ("f64.safetensors", Dtype::F64, double),
    ] {
        let bias = vec![0; 8];
        let tensors = [
            ("bias", Dtype::F32, &[2usize][..], bias),
            ("weight", dtype, &[4, 2], body),
        ];
        file(name, &safetensors_bytes(&tensors));
    }
    file("plain.csv", b"2, 0\n0,1\n-2,0\r\n0,-1e0\n");
    file("header.csv", b"x,\"y, or so\"\n2,0\n0,1\n-2,0\n0,-1");

    let all = files.json(&names.join(" "));
    let first = all[0].as_object().unwrap();
    for (name, found) in names.iter().zip(all.as_array().unwrap()) {
        assert_eq!(found["file"], json!(name));
        for (key, value) in first.iter().filter(|(key, _)| *key != "file") {
            assert_eq!(&found[key], value, "{name} {key}");
        }
    }
    assert_eq!(all.as_array().unwrap().len(), 17);
}

#[test]
fn one_of_several_arrays_is_chosen() {
    let files = Files::new();
    let matrix = |scale: f64| {
        npy_bytes(
            "<f8",
            false,
            "(4, 2)",
            &little_endian(&AXES.map(|x| x * scale)),
        )
    };
    let members = [("a.npy", matrix(1.0)), ("b.npy", matrix(3.0))];
    let bytes = npz_bytes(&members, zip::CompressionMethod::Stored);
    fs::write(files.path("two.npz"), bytes).unwrap();
    let tensors = [
        ("a", Dtype::F64, &[4usize, 2][..], little_endian(&AXES)),
        (
            "b",
            Dtype::F64,
            &[4, 2],
            little_endian(&AXES.map(|x| x * 3.0)),
        ),
    ];
    fs::write(files.path("two.safetensors"), safetensors_bytes(&tensors)).unwrap();
    for file in ["two.npz", "two.safetensors"] {
        let stderr = files.error(file);
        assert!(stderr.contains(file), "{stderr}");
        assert!(
            stderr.contains("several matrices, choose one with --tensor: a [4, 2], b [4, 2]"),
            "{stderr}"
        );
        let found = files.json(&format!("{file} --tensor b"));
        assert_close(
            "s",
            &found["singular_values"],
            &json!([72f64.sqrt(), 18f64.sqrt()]),
        );
        let stderr = files.error(&format!("{file} --tensor c"));
        assert!(
            stderr.contains("no array 'c'; there are: a [4, 2], b [4, 2]"),
            "{stderr}"
        );
    }
    files.npy("one.npy", [4, 2], &AXES);
    assert!(
        files
            .error("one.npy --tensor a")
            .contains("leave out --tensor")
    );
    let tensors = [(
        "cube",
        Dtype::F64,
        &[2usize, 2, 2][..],
        little_endian(&AXES),
    )];
    fs::write(files.path("cube.safetensors"), safetensors_bytes(&tensors)).unwrap();
    let stderr = files.error("cube.safetensors");
    assert!(stderr.contains("no array is a matrix [batch, dim]; there are: cube [2, 2, 2]"));
    let stderr = files.error("cube.safetensors --tensor cube");
    assert!(
        stderr.contains("in tensor 'cube'") && stderr.contains("shape [2, 2, 2]"),
        "{stderr}"
    );
}

#[test]
fn files_side_by_side() {
    let files = Files::new();
    files.npy("healthy.npy", [300, 16], &normal(300 * 16));
    let factor = normal(300 * 2);
    let collapsed: Vec<f64> = product(&factor, &normal(2 * 16), 2, 16);
    // The last four dimensions are dead.
    let collapsed: Vec<f64> = (collapsed.iter().enumerate())
        .map(|(k, x)| if k % 16 < 12 { *x } else { 0.5 })
        .collect();
    files.npy("collapsed.npy", [300, 16], &collapsed);
    let text = files.text("healthy.npy collapsed.npy");
    let line = |name: &str| text.lines().find(|line| line.starts_with(name)).unwrap();
    let words = |name: &str| line(name).split_whitespace().collect::<Vec<_>>();
    assert!(
        text.starts_with("                     healthy.npy"),
        "{text}"
    );
    assert_eq!(words("dead dimensions"), ["dead", "dimensions", "0", "4"]);
    assert_eq!(words("numerical rank"), ["numerical", "rank", "16", "3"]);
    assert!(line("centred spectrum").contains('█'));
    assert!(line("healthy.npy: ").starts_with("healthy.npy: healthy: uses 16 of 16 dimensions (1"));
    let verdict = line("collapsed.npy: ");
    assert!(
        verdict.starts_with("collapsed.npy: partly collapsed: uses 1.9 of 16 dimensions (1"),
        "{verdict}"
    );
    assert!(verdict.contains("; 4 are dead; "), "{verdict}");

    let text = files.text("healthy.npy collapsed.npy --compare");
    assert!(
        text.contains("4 (+4)") && text.contains("3 (-13)"),
        "{text}"
    );
    let both = files.json("healthy.npy collapsed.npy --compare");
    assert!(both[0].get("difference").is_none());
    assert_eq!(both[1]["difference"]["dead_dimensions"], json!(4.0));
    let difference = both[1]["rankme"].as_f64().unwrap() - both[0]["rankme"].as_f64().unwrap();
    assert_eq!(both[1]["difference"]["rankme"], json!(difference));
}

#[test]
fn a_report_shows_the_files_side_by_side() {
    let files = Files::new();
    files.npy("<a>.npy", [60, 4], &normal(240));
    files.npy("b.npy", [60, 4], &[0.5; 240]);
    let labels = (0..60).map(|row| row % 3 - 1).collect::<Vec<i64>>();
    write(&files.path("labels.npy"), &[60], Order::C, labels);
    let args = "<a>.npy b.npy --labels labels.npy";
    let table = files.text(&format!("{args} --html report.html"));
    assert_eq!(table, files.text(args));
    let html = fs::read_to_string(files.path("report.html")).unwrap();
    for text in [
        "<h1>2 embeddings</h1>",
        "<dd>&lt;a&gt;.npy</dd>",
        "<strong>&lt;a&gt;.npy</strong>: healthy",
        "<strong>b.npy</strong>: collapsed",
        "class -1",
    ] {
        assert!(html.contains(text), "{text}");
    }
    assert_eq!(html.matches("<svg").count(), 1 + 2 * 5);

    // A file without figures has no part in it, nor is there a report of such files alone.
    files.npy("nan.npy", [2, 2], &[1.0, f64::NAN, 0.0, 2.0]);
    let output = files.inspect("nan.npy --html none.html");
    assert_eq!(output.status.code(), Some(2));
    assert!(!files.path("none.html").exists());
    let output = files.inspect("nan.npy b.npy --html one.html");
    assert_eq!(output.status.code(), Some(2));
    let html = fs::read_to_string(files.path("one.html")).unwrap();
    assert!(html.contains("<h1>Embedding b.npy</h1>"));
    assert!(
        files
            .error("b.npy --html no/where.html")
            .contains("where.html")
    );
}

#[test]
fn equal_rows_have_collapsed_and_one_row_says_nothing() {
    let files = Files::new();
    files.npy("equal.npy", [20, 3], &[0.1; 60]);
    files.npy("one.npy", [1, 3], &[1.0, 2.0, 2.0]);
    let found = files.json("equal.npy one.npy");
    assert_eq!(found[0]["health"], json!("collapsed"));
    assert_eq!(found[0]["dead_dimensions"], json!(3));
    assert_eq!(found[0]["effective_rank"], json!(0.0));
    assert_eq!(found[1]["health"], json!("unknown"));
    assert_close("s", &found[1]["singular_values"], &json!([3.0]));
    for undefined in [
        "mean_std",
        "effective_rank",
        "dead_dimensions",
        "uniformity",
    ] {
        assert!(found[1][undefined].is_null(), "{undefined}");
    }
}

#[test]
fn entries_that_are_not_finite_leave_the_code_2() {
    let files = Files::new();
    let mut entries = AXES;
    entries[3] = f64::NAN;
    entries[6] = f64::INFINITY;
    files.npy("bad.npy", [4, 2], &entries);
    files.npy("good.npy", [4, 2], &AXES);
    fs::write(files.path("bad.csv"), "1,2\nnan,3\n").unwrap();
    let output = files.inspect("bad.npy");
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.is_empty());
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(
        stderr,
        "error: bad.npy: 2 of 8 entries are not finite (1 NaN, 1 infinite), at row 1, column 1; \
         row 3, column 0\n"
    );
    let output = files.inspect("good.npy bad.npy bad.csv --json");
    assert_eq!(output.status.code(), Some(2));
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(found[0]["numerical_rank"], json!(2));
    let expected = json!({"nan": 1, "infinite": 1, "entries": 8, "first": [[1, 1], [3, 0]]});
    assert_eq!(found[1]["not_finite"], expected);
    assert!(found[1].get("rankme").is_none());
    assert_eq!(found[2]["not_finite"]["first"], json!([[1, 0]]));
    let output = files.inspect("good.npy bad.npy");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains("good.npy: healthy") && !text.contains("NaN"),
        "{text}"
    );
}

#[test]
fn errors_name_the_file_and_the_place() {
    let files = Files::new();
    let file = |name: &str, bytes: &[u8]| fs::write(files.path(name), bytes).unwrap();
    let whole = npy_bytes("<f8", false, "(4, 2)", &little_endian(&AXES));
    file("cut.npy", &whole[..whole.len() - 3]);
    file("cut-header.npy", &whole[..40]);
    file("text.npy", b"hello");
    file(
        "claim.npy",
        &npy_bytes("<f8", false, "(999999999999, 4096)", &[0; 64]),
    );
    file(
        "wide.npy",
        &npy_bytes("<f8", false, "(1, 99999999)", &[0; 64]),
    );
    file(
        "overflow.npy",
        &npy_bytes("<f8", false, "(9999999999999, 9999999999)", &[0; 64]),
    );
    file(
        "brackets.npy",
        &npy_bytes("<f8", false, &"(".repeat(5000), &[]),
    );
    file("complex.npy", &npy_bytes("<c16", false, "(4, 1)", &[0; 64]));
    file("vector.npy", &npy_bytes("<f8", false, "(8,)", &[0; 64]));
    file("empty.npy", &npy_bytes("<f8", false, "(0, 8)", &[]));
    let mut long = b"\x93NUMPY\x02\x00".to_vec();
    long.extend([0xff; 64]);
    file("long.npy", &long);
    file("text.npz", b"hello");
    let members = [("a.npy", whole[..whole.len() - 3].to_vec())];
    file(
        "cut.npz",
        &npz_bytes(&members, zip::CompressionMethod::Deflated),
    );
    file(
        "none.npz",
        &npz_bytes(&[("a.txt", vec![1])], zip::CompressionMethod::Stored),
    );
    file("short.safetensors", b"hello");
    let mut claim = u64::MAX.to_le_bytes().to_vec();
    claim.extend(b"{}");
    file("claim.safetensors", &claim);
    let tensors = [("a", Dtype::F64, &[4usize, 2][..], little_endian(&AXES))];
    let safe = safetensors_bytes(&tensors);
    file("cut.safetensors", &safe[..safe.len() - 3]);
    file("word.csv", b"1,2\n3,x y\n");
    file("ragged.csv", b"a,b\n1,2\n3\n");
    file("half.csv", b"a,2\n1,2\n");
    file("empty.csv", b"");
    file("heading.csv", b"a,b\n");
    file("what.bin", b"1,2\n");
    file("huge.csv", b"1,2\n3,1e200\n");
    for (name, message) in [
        ("missing.npy", "No such file"),
        (
            "cut.npy",
            "the header says 4 x 2 entries of 8 bytes, but 61 bytes follow it at byte 128",
        ),
        ("cut-header.npy", "the header is cut off"),
        ("text.npy", "not an .npy file"),
        (
            "claim.npy",
            "the header says 999999999999 x 4096 entries of 8 bytes, but 64 bytes",
        ),
        ("wide.npy", "rows of 99999999 entries are too long"),
        (
            "overflow.npy",
            "the header says 9999999999999 x 9999999999 entries",
        ),
        ("brackets.npy", "structured type"),
        ("complex.npy", "found <c16"),
        (
            "vector.npy",
            "expected a matrix [batch, dim], found shape [8]",
        ),
        (
            "empty.npy",
            "expected a matrix with entries, found shape [0, 8]",
        ),
        ("long.npy", "a header of 4294967295 bytes"),
        ("text.npz", "not an .npz file"),
        ("cut.npz", "the header says 4 x 2 entries"),
        ("none.npz", "the file holds no arrays"),
        ("short.safetensors", "not a .safetensors file"),
        (
            "claim.safetensors",
            "a header of 18446744073709551615 bytes, in a file of 10",
        ),
        (
            "cut.safetensors",
            "the header says 64 bytes of tensors, but 61 bytes follow it",
        ),
        ("word.csv", "line 2, column 2: 'x y' is not a number"),
        ("ragged.csv", "line 3 has 1 fields, the first row 2"),
        ("half.csv", "line 1, column 1: 'a' is not a number"),
        ("empty.csv", "found no rows"),
        ("heading.csv", "found no rows"),
        ("what.bin", ".npy, .npz, .safetensors or .csv"),
        ("huge.csv", "row 1, column 1 is 1e200"),
    ] {
        let stderr = files.error(name);
        assert!(
            stderr.contains(message) && stderr.contains(name),
            "{name}: {stderr}"
        );
    }
}

#[test]
fn labels_belong_to_the_rows() {
    let files = Files::new();
    files.npy("e.npy", [4, 2], &AXES);
    for count in [3u64, 5] {
        write(
            &files.path("l.npy"),
            &[count],
            Order::C,
            vec![1i64; count as usize],
        );
        let stderr = files.error("e.npy --labels l.npy");
        assert!(stderr.contains(&format!("{count} labels")), "{stderr}");
    }
    let stderr = files.error("e.npy --labels e.npy");
    assert!(
        stderr.contains("expected labels [batch], found shape [4, 2]"),
        "{stderr}"
    );
}

/// Large enough that the file is read in several blocks and the figures come from Gram matrices.
#[test]
fn a_large_file_is_streamed() {
    let files = Files::new();
    let (rows, dims) = (70_000, 128);
    let factor = normal(1000 * dims);
    // Every row seventy times: the singular values are sqrt(70) times those of the thousand.
    let entries: Vec<f32> = (0..70)
        .flat_map(|_| factor.iter().map(|x| *x as f32))
        .collect();
    let few: Vec<f32> = factor.iter().map(|x| *x as f32).collect();
    let shape = [rows as u64, dims as u64];
    let columns = (0..rows * dims)
        .map(|k| entries[k % rows * dims + k / rows])
        .collect();
    write(&files.path("many.npy"), &shape, Order::C, entries.clone());
    write(
        &files.path("many-fortran.npy"),
        &shape,
        Order::Fortran,
        columns,
    );
    write(&files.path("few.npy"), &[1000, dims as u64], Order::C, few);
    let body: Vec<u8> = entries.iter().flat_map(|x| x.to_le_bytes()).collect();
    let tensors = [("e", Dtype::F32, &[rows, dims][..], body)];
    fs::write(files.path("many.safetensors"), safetensors_bytes(&tensors)).unwrap();

    let found = files.json("many.npy many-fortran.npy many.safetensors few.npy");
    for name in [
        "rankme",
        "effective_rank",
        "mean_abs_correlation",
        "condition_number",
        "singular_values",
    ] {
        assert_eq!(found[0][name], found[1][name], "{name}");
        assert_eq!(found[0][name], found[2][name], "{name}");
    }
    assert_eq!(
        (&found[0]["method"], &found[3]["method"]),
        (&json!("gram"), &json!("svd"))
    );
    assert_close("rankme", &found[0]["rankme"], &found[3]["rankme"]);
    assert_close(
        "correlation",
        &found[0]["mean_abs_correlation"],
        &found[3]["mean_abs_correlation"],
    );
    assert_close(
        "condition",
        &found[0]["condition_number"],
        &found[3]["condition_number"],
    );
    let scaled: Vec<f64> = (found[3]["singular_values"].as_array().unwrap().iter())
        .map(|s| s.as_f64().unwrap() * 70f64.sqrt())
        .collect();
    assert_close("s", &found[0]["singular_values"], &json!(scaled));
    assert_eq!(found[0]["uniformity_rows"], json!(8192));
}

/// What is wrong, with its figure, its threshold and what to do, in the terminal, in JSON and in the report.
#[test]
fn findings_are_told_everywhere() {
    let files = Files::new();
    let offset: Vec<f64> = normal(200 * 16).iter().map(|x| 40.0 + x).collect();
    files.npy("offset.npy", [200, 16], &offset);
    files.npy("healthy.npy", [200, 16], &normal(200 * 16));
    let text = files.text("offset.npy healthy.npy --html report.html");
    let lines: Vec<&str> = text.lines().collect();
    let verdict = lines
        .iter()
        .position(|line| line.starts_with("offset.npy: "))
        .unwrap();
    assert!(
        lines[verdict].starts_with(
            "offset.npy: collapsed by a common offset: the mean cosine of two rows is 0.999, -0.005 once"
        ),
        "{text}"
    );
    let finding = lines[verdict + 1];
    for part in [
        "  - common offset: the mean cosine of two rows is 0.999 (above 0.75), -0.005 once their mean is subtracted",
        ", about which they spread by 2.",
        " % of their length; subtract the mean of the rows before they are compared",
    ] {
        assert!(finding.contains(part), "{finding}");
    }
    assert!(
        lines[verdict + 2].starts_with("healthy.npy: healthy: uses 16"),
        "{text}"
    );
    assert_eq!(lines.len(), verdict + 3);

    let found = files.json("offset.npy healthy.npy");
    let finding = &found[0]["findings"][0];
    assert_eq!(finding["kind"], json!("common-offset"));
    assert_eq!(finding["health"], json!("collapsed"));
    assert_eq!(finding["figure"], found[0]["mean_cosine"]);
    assert_eq!(finding["threshold"], json!(0.75));
    assert!(finding["text"].is_string() && finding["remedy"].is_string());
    assert_eq!(found[1]["findings"], json!([]));

    let html = fs::read_to_string(files.path("report.html")).unwrap();
    assert!(html.contains("<li><em>common offset</em>: the mean cosine of two rows is 0.999"));
    assert!(html.contains("What to do: subtract the mean of the rows"));
}

#[test]
fn a_verdict_as_an_exit_code() {
    let files = Files::new();
    files.npy("healthy.npy", [200, 16], &normal(200 * 16));
    let low = product(&normal(200 * 4), &normal(4 * 16), 4, 16);
    files.npy("partly.npy", [200, 16], &low);
    files.npy("collapsed.npy", [200, 16], &[1.0; 200 * 16]);
    files.npy("row.npy", [1, 16], &[1.0; 16]);
    files.npy("nan.npy", [2, 2], &[1.0, f64::NAN, 1.0, 1.0]);
    for (args, code) in [
        ("healthy.npy row.npy --fail-on partly-collapsed", 0),
        ("partly.npy --fail-on collapsed", 0),
        ("healthy.npy partly.npy --fail-on partly-collapsed", 3),
        ("collapsed.npy healthy.npy --fail-on collapsed --json", 3),
        ("collapsed.npy --fail-on partly-collapsed", 3),
        ("collapsed.npy", 0),
        // What could not be judged comes first.
        ("collapsed.npy nan.npy --fail-on collapsed", 2),
        ("collapsed.npy nan.npy missing.npy --fail-on collapsed", 1),
    ] {
        let output = files.inspect(args);
        assert_eq!(output.status.code(), Some(code), "{args}");
        let stderr = String::from_utf8(output.stderr).unwrap();
        let told = stderr
            .lines()
            .filter(|line| line.starts_with("--fail-on: "))
            .count();
        let failed = args.contains("--fail-on") && code > 0;
        assert_eq!(told, usize::from(failed), "{args}: {stderr}");
        // The figures are printed all the same.
        assert!(!output.stdout.is_empty(), "{args}");
    }
    let stderr =
        String::from_utf8(files.inspect("collapsed.npy --fail-on collapsed").stderr).unwrap();
    assert_eq!(
        stderr,
        "--fail-on: collapsed.npy: collapsed: all 200 rows are the same\n"
    );
}

#[test]
fn thresholds_from_a_file() {
    let files = Files::new();
    let low = product(&normal(200 * 4), &normal(4 * 16), 4, 16);
    files.npy("e.npy", [200, 16], &low);
    let health = |text: &str| {
        fs::write(files.path("t.json"), text).unwrap();
        files.json("e.npy --thresholds t.json")["health"].clone()
    };
    assert_eq!(health("{}"), json!("partly-collapsed"));
    let lenient = r#"{"collapsed_below": 0.05, "partly_collapsed_below": 0.1}"#;
    assert_eq!(health(lenient), json!("healthy"));
    assert_eq!(health(r#"{"collapsed_below": 0.4}"#), json!("collapsed"));
    let output = files.inspect("e.npy --thresholds t.json --fail-on collapsed");
    assert_eq!(output.status.code(), Some(3));
    for (text, message) in [
        (
            r#"{"collapsed": 0.4}"#,
            "unknown field `collapsed`, expected one of `collapsed_below`, `partly_collapsed_below`",
        ),
        (
            r#"{"collapsed_below": 4}"#,
            "collapsed_below must be between 0 and 1, got 4",
        ),
        (
            r#"{"collapsed_below": 0.9}"#,
            "must not be above partly_collapsed_below",
        ),
        ("0.4", "invalid type"),
    ] {
        fs::write(files.path("t.json"), text).unwrap();
        let stderr = files.error("e.npy --thresholds t.json");
        assert!(
            stderr.starts_with("error: t.json: ") && stderr.contains(message),
            "{stderr}"
        );
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
    }
    // The help has the defaults as they are read.
    let help = String::from_utf8(files.inspect("--help").stdout).unwrap();
    let start = help.find("{\"collapsed_below\"").unwrap();
    let end = start + help[start..].find('}').unwrap() + 1;
    assert_eq!(
        health(&help[start..end].replace('\n', " ")),
        json!("partly-collapsed")
    );
    assert!(
        files
            .error("e.npy --thresholds none.json")
            .contains("none.json")
    );
}

/// Every figure against numpy's, by `numpy_reference.py`.
///
/// Skipped where `python3`, or the interpreter that `FULLRANK_PYTHON` names, has no numpy; not if
/// `FULLRANK_REQUIRE_NUMPY` is set.
#[test]
fn figures_agree_with_numpy() {
    let python = std::env::var("FULLRANK_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let run = |args: &[&str]| std::process::Command::new(&python).args(args).output();
    let has_numpy = run(&["-c", "import numpy"]).is_ok_and(|output| output.status.success());
    if !has_numpy && std::env::var_os("FULLRANK_REQUIRE_NUMPY").is_none() {
        eprintln!("skipped: {python} has no numpy");
        return;
    }
    // At run time: a target directory may serve several checkouts.
    let package = std::env::var("CARGO_MANIFEST_DIR").expect("cargo runs the tests");
    let script = &format!("{package}/tests/numpy_reference.py");
    let files = Files::new();
    let offset = |entries: Vec<f64>, by: f64| entries.into_iter().map(|x| x + by).collect();
    let scaled = |entries: Vec<f64>, dims: usize, scale: fn(usize) -> f64| {
        (entries.iter().enumerate())
            .map(|(k, x)| x * scale(k % dims))
            .collect()
    };
    let cases: [(&str, [usize; 2], Vec<f64>); 9] = [
        ("healthy", [500, 32], normal(500 * 32)),
        (
            "deficient",
            [200, 24],
            product(&normal(200 * 5), &normal(5 * 24), 5, 24),
        ),
        ("wide", [30, 70], normal(30 * 70)),
        ("square", [40, 40], normal(40 * 40)),
        ("offset", [200, 12], offset(normal(200 * 12), 1e3)),
        (
            "decaying",
            [300, 110],
            scaled(normal(300 * 110), 110, |j| 1.0 / (1.0 + j as f64)),
        ),
        // Condition 1e9, and dead dimensions.
        (
            "ill-conditioned",
            [100, 10],
            scaled(normal(1000), 10, |j| 10f64.powi(-(j as i32))),
        ),
        (
            "constant dimension",
            [90, 6],
            scaled(normal(540), 6, |j| if j == 3 { 0.0 } else { 1.0 }),
        ),
        (
            "zero rows",
            [60, 5],
            (normal(300).into_iter().enumerate())
                .map(|(k, x)| if k / 5 % 20 == 3 { 0.0 } else { x })
                .collect(),
        ),
    ];
    for (name, shape, entries) in cases {
        files.npy("e.npy", shape, &entries);
        let labels: Vec<i64> = (0..shape[0] as i64).map(|i| i * i % 7 - 3).collect();
        write(&files.path("l.npy"), &[shape[0] as u64], Order::C, labels);
        let [e, l] = ["e.npy", "l.npy"].map(|file| files.path(file).display().to_string());
        for labelled in [false, true] {
            let mut args = vec![script, e.as_str()];
            args.extend(labelled.then_some(l.as_str()));
            let output = run(&args).unwrap();
            let stderr = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{name}: {stderr}");
            let expected: Value = serde_json::from_slice(&output.stdout).unwrap();
            let found = files.json(if labelled {
                "e.npy --labels l.npy"
            } else {
                "e.npy"
            });
            for (key, expected) in expected.as_object().unwrap() {
                assert_close(&format!("{name}: {key}"), &found[key], expected);
            }
            // No figure is left out.
            let others = ["file", "verdict", "health", "findings", "method"];
            let keys = found.as_object().unwrap().keys();
            for key in keys.filter(|key| !others.contains(&key.as_str())) {
                assert!(expected.get(key).is_some(), "{key}");
            }
        }
    }
}

/// The layers of a network in the order of their numbers, a row each, and a plot of them in the report.
#[test]
fn figures_over_layers() {
    let files = Files::new();
    for layer in [1, 2, 10] {
        let rows: Vec<f64> = (0..40 * layer)
            .map(|k| (1.0 + 2.7 * k as f64 + (k * k % 17) as f64).sin())
            .collect();
        files.npy(&format!("layer-{layer}.npy"), [40, layer], &rows);
    }
    let output = files.text("layer-1.npy layer-10.npy layer-2.npy --over --html over.html");
    let rows: Vec<Vec<&str>> = (output.lines())
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(rows.len(), 4, "{output}");
    let column = |k: usize| rows[1..].iter().map(|row| row[k]).collect::<Vec<_>>();
    assert_eq!(column(0), ["layer-1.npy", "layer-2.npy", "layer-10.npy"]);
    assert_eq!(column(1), ["1", "2", "10"]);
    let report = fs::read_to_string(files.path("over.html")).unwrap();
    assert!(report.contains("Over the files") && report.contains("spectral entropy"));
    let both = files.inspect("layer-1.npy layer-2.npy --over --compare");
    let error = String::from_utf8(both.stderr).unwrap();
    assert!(error.contains("cannot be used with"), "{error}");
}
