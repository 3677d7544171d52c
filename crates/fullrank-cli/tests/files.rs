//! The files that users bring to `fullrank inspect`: from pipes, packed, under any name, beside
//! others that cannot be read.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::Output;

use assert_cmd::Command;
use flate2::{Compression, write::GzEncoder};
use npyz::Order;
use safetensors::tensor::{Dtype, TensorView};
use serde_json::{Value, json};
use tempfile::TempDir;

mod support;
use support::write;

/// Five rows that no reader takes for a header or an index.
const ROWS: [f64; 15] = [
    0.5, -1.5, 2.25, 1.5, 0.25, -3.5, -2.75, 4.5, 0.75, 3.25, -0.5, 1.25, -1.75, 2.5, 5.5,
];

struct Files(TempDir);

impl Files {
    /// A folder with the rows in `e.npy` and `e.csv`.
    fn new() -> Self {
        let files = Self(TempDir::new().unwrap());
        write(&files.path("e.npy"), &[5, 3], Order::C, ROWS.to_vec());
        fs::write(files.path("e.csv"), csv()).unwrap();
        files
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn run(&self, args: &[&str], stdin: &[u8]) -> Output {
        let mut command = Command::cargo_bin("fullrank").unwrap();
        command.current_dir(self.0.path()).arg("inspect").args(args);
        command.write_stdin(stdin).output().unwrap()
    }

    /// The figures in JSON, and what was said beside them.
    fn json(&self, args: &[&str], stdin: &[u8]) -> (Value, String) {
        let output = self.run(&[args, &["--json"]].concat(), stdin);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{args:?}: {stderr}");
        (serde_json::from_slice(&output.stdout).unwrap(), stderr)
    }

    fn error(&self, args: &[&str]) -> String {
        let output = self.run(args, b"");
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        String::from_utf8(output.stderr).unwrap()
    }
}

fn csv() -> String {
    let line = |row: &[f64]| format!("{},{},{}\n", row[0], row[1], row[2]);
    ROWS.chunks(3).map(line).collect()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn without_name(mut figures: Value) -> Value {
    figures.as_object_mut().unwrap().remove("file");
    figures
}

#[test]
fn every_place_and_packing_holds_the_same_matrix() {
    let files = Files::new();
    let (expected, notes) = files.json(&["e.npy"], b"");
    let expected = without_name(expected);
    assert!(notes.is_empty(), "{notes}");
    let npy = fs::read(files.path("e.npy")).unwrap();
    let (first, second) = npy.split_at(100);
    let json: Vec<String> = ROWS.chunks(3).map(|row| format!("{row:?}")).collect();
    for (name, bytes) in [
        ("e.npy.gz", gzip(&npy)),
        ("e.csv.gz", gzip(csv().as_bytes())),
        // Of several members, and packed under a plain name.
        ("two.npy.gz", [gzip(first), gzip(second)].concat()),
        ("packed.npy", gzip(&npy)),
        ("e.tsv", csv().replace(',', "\t").into_bytes()),
        ("e.txt", csv().replace(',', " ").into_bytes()),
        ("e.jsonl", json.join("\n").into_bytes()),
        (
            "f.ndjson",
            json.join("\n\n")
                .replace('[', "{\"id\": 7, \"e\": [")
                .replace(']', "]}")
                .into_bytes(),
        ),
        ("e.json", format!("[{}]", json.join(",")).into_bytes()),
        (
            "f.json",
            format!("{{\"e\": [{}], \"n\": 5}}", json.join(",")).into_bytes(),
        ),
    ] {
        fs::write(files.path(name), bytes).unwrap();
        let (found, _) = files.json(&[name], b"");
        assert_eq!(without_name(found), expected, "{name}");
    }
    for bytes in [
        npy.clone(),
        gzip(&npy),
        csv().into_bytes(),
        json.join("\n").into_bytes(),
    ] {
        let (found, _) = files.json(&["-"], &bytes);
        assert_eq!(without_name(found), expected);
    }
    assert!(files.error(&["-"]).contains("standard input is empty"));
    fs::write(files.path("cut.npy.gz"), &gzip(&npy)[..40]).unwrap();
    assert!(
        files
            .error(&["cut.npy.gz"])
            .contains("the gzip file is cut off or corrupt")
    );
    fs::create_dir(files.path("folder.npy")).unwrap();
    assert!(files.error(&["folder.npy"]).contains("this is a folder"));
}

#[cfg(unix)]
#[test]
fn a_pipe_is_read() {
    let files = Files::new();
    let pipe = files.path("pipe");
    assert!(
        std::process::Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    let writer = std::thread::spawn(move || fs::write(pipe, csv()));
    let (found, _) = files.json(&["pipe"], b"");
    writer.join().unwrap().unwrap();
    assert_eq!(
        without_name(found),
        without_name(files.json(&["e.npy"], b"").0)
    );
}

#[test]
fn guesses_are_told_on_standard_error() {
    let files = Files::new();
    let indexed: String = csv()
        .lines()
        .enumerate()
        .map(|(i, line)| format!("{i};{}\n", line.replace(',', ";")))
        .collect();
    fs::write(files.path("i.csv"), indexed).unwrap();
    let (found, notes) = files.json(&["i.csv"], b"");
    assert_eq!(found["dims"], json!(3));
    assert_eq!(
        notes,
        "Note: i.csv: the fields are separated by semicolons; column 1 (0, 1, ..) is an index, no \
         dimension (to keep it, name the columns in a first line)\n"
    );
}

#[test]
fn bad_rows_of_json_are_placed() {
    let files = Files::new();
    for (name, text, message) in [
        (
            "a.jsonl",
            "[1, 2]\n\n[3]\n",
            "line 3: 1 numbers, the first row has 2",
        ),
        (
            "b.jsonl",
            "[1, null]\n",
            "line 1: column 1: null is not a number",
        ),
        (
            "c.jsonl",
            "{\"a\": [1], \"b\": [2]}\n",
            "several fields are lists, choose one with --tensor: a, b",
        ),
        (
            "d.jsonl",
            "{\"a\": 1}\n",
            "no field is a list of numbers; there are: a",
        ),
        ("e.jsonl", "1,2\n", "line 1 is no JSON"),
        ("f.json", "[[1, 2], [3]]", "row 1: 1 numbers"),
    ] {
        fs::write(files.path(name), text).unwrap();
        let error = files.error(&[name]);
        assert!(error.contains(message), "{error}");
    }
    let (found, _) = files.json(&["c.jsonl", "--tensor", "b"], b"");
    assert_eq!(found["singular_values"], json!([2.0]));
}

/// The figures of the others are not lost, and the code is 1.
#[test]
fn one_unreadable_file_among_others() {
    let files = Files::new();
    fs::write(files.path("bad.npy"), "hello").unwrap();
    fs::write(files.path("nan.csv"), "1.5,nan\n2.5,0.5\n").unwrap();
    let output = files.run(&["e.npy", "bad.npy", "nan.csv", "e.csv", "--json"], b"");
    assert_eq!(output.status.code(), Some(1));
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    let names: Vec<&Value> = found
        .as_array()
        .unwrap()
        .iter()
        .map(|f| &f["file"])
        .collect();
    assert_eq!(names, ["e.npy", "bad.npy", "nan.csv", "e.csv"]);
    assert_eq!(found[0]["rankme"], found[3]["rankme"]);
    assert!(
        found[1]["error"]
            .as_str()
            .unwrap()
            .contains("not an .npy file")
    );
    assert!(found[1].get("rankme").is_none());
    assert_eq!(found[2]["not_finite"]["nan"], json!(1));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(
        stderr.contains("error: bad.npy: not an .npy file"),
        "{stderr}"
    );
    let output = files.run(&["bad.npy", "e.npy"], b"");
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains("\ne.npy: ") && !text.contains("bad"),
        "{text}"
    );
}

#[test]
fn a_tensor_is_chosen_only_where_there_are_several() {
    let files = Files::new();
    let body: Vec<u8> = ROWS.iter().flat_map(|x| x.to_le_bytes()).collect();
    let view = || TensorView::new(Dtype::F64, vec![5, 3], &body).unwrap();
    let bytes = safetensors::serialize([("e", view()), ("f", view())], None).unwrap();
    fs::write(files.path("two.safetensors"), bytes).unwrap();
    let (found, _) = files.json(&["e.npy", "e.csv", "two.safetensors", "--tensor", "e"], b"");
    assert_eq!(found.as_array().unwrap().len(), 3);
    assert_eq!(found[0]["rankme"], found[2]["rankme"]);
    assert!(
        files
            .error(&["e.npy", "e.csv", "--tensor", "e"])
            .contains("leave out --tensor")
    );
}

#[cfg(unix)]
#[test]
fn names_do_not_break_the_lines() {
    let files = Files::new();
    let name = "a\nb\u{1b}[31m\u{202e}.npy";
    fs::copy(files.path("e.npy"), files.path(name)).unwrap();
    let output = files.run(&[name], b"");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("a\\nb\\u{1b}[31m\\u{202e}.npy"), "{text}");
    assert!(!text.contains(['\u{1b}', '\u{202e}']));
    assert_eq!(files.json(&[name], b"").0["file"], json!(name));
    fs::write(files.path("c\rd.npy"), "x").unwrap();
    assert!(
        files
            .error(&["c\rd.npy"])
            .starts_with("error: c\\rd.npy: not an")
    );
}

/// A .npy file with this header, as other writers make it.
fn npy(header: &str, body: &[u8]) -> Vec<u8> {
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.bytes());
    bytes.extend(body);
    bytes
}

#[test]
fn headers_of_other_writers_are_read() {
    let files = Files::new();
    let (expected, _) = files.json(&["e.npy"], b"");
    let body: Vec<u8> = ROWS.iter().flat_map(|x| x.to_le_bytes()).collect();
    for (k, header) in [
        "{'descr': '<f8', 'fortran_order': False, 'shape': (5L, 3L), }\n",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (np.int64(5), np.int64(3))}",
        "{\"shape\": (5,3,), \"fortran_order\": False, \"descr\": \"<f8\"}   \n",
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("{k}.npy");
        fs::write(files.path(&name), npy(header, &body)).unwrap();
        let (found, _) = files.json(&[&name], b"");
        assert_eq!(
            without_name(found),
            without_name(expected.clone()),
            "{header}"
        );
    }
    let header =
        |descr: &str| format!("{{'descr': {descr}, 'fortran_order': False, 'shape': (5, 3), }}");
    for (descr, words) in [
        ("'<c16'", "complex numbers"),
        ("'|O'", "pickled Python objects"),
        ("'<f16'", "a long double"),
        ("'|b1'", "true or false"),
        (
            "[('id', '<i8'), ('e', '<f8', (3,))]",
            "a structured type: save one of its fields",
        ),
    ] {
        fs::write(files.path("x.npy"), npy(&header(descr), &body)).unwrap();
        let error = files.error(&["x.npy"]);
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn labels_of_every_kind() {
    let files = Files::new();
    write(
        &files.path("vector.npy"),
        &[5],
        Order::C,
        vec![2i64, 0, 2, 1, 0],
    );
    write(
        &files.path("column.npy"),
        &[5, 1],
        Order::C,
        vec![2u8, 0, 2, 1, 0],
    );
    write(
        &files.path("floats.npy"),
        &[5],
        Order::C,
        vec![2f32, 0.0, 2.0, 1.0, 0.0],
    );
    write(
        &files.path("row.npy"),
        &[1, 5],
        Order::C,
        vec![2i64, 0, 2, 1, 0],
    );
    write(
        &files.path("parts.npy"),
        &[5],
        Order::C,
        vec![2f32, 0.5, 2.0, 1.0, 0.0],
    );
    fs::write(files.path("l.txt"), "2\n0\n2\n1\n0\n").unwrap();
    fs::write(files.path("names.csv"), "label\nc\na\nc\nb\na\n").unwrap();
    let words: Vec<u8> = ["cow", "ant", "cow", "bee", "ant"]
        .iter()
        .flat_map(|word| word.chars())
        .flat_map(|c| (c as u32).to_le_bytes())
        .collect();
    let header = "{'descr': '<U3', 'fortran_order': False, 'shape': (5,), }";
    fs::write(files.path("words.npy"), npy(header, &words)).unwrap();
    let mut archive = zip::ZipWriter::new(fs::File::create(files.path("both.npz")).unwrap());
    for name in ["e", "vector", "floats"] {
        let file = if name == "e" { "e.npy" } else { "vector.npy" };
        archive
            .start_file(format!("{name}.npy"), zip::write::FileOptions::default())
            .unwrap();
        archive
            .write_all(&fs::read(files.path(file)).unwrap())
            .unwrap();
    }
    archive.finish().unwrap();
    let labels: Vec<u8> = [2i64, 0, 2, 1, 0]
        .iter()
        .flat_map(|x| x.to_le_bytes())
        .collect();
    let body: Vec<u8> = ROWS.iter().flat_map(|x| x.to_le_bytes()).collect();
    let bytes = safetensors::serialize(
        [
            ("e", TensorView::new(Dtype::F64, vec![5, 3], &body).unwrap()),
            (
                "bias",
                TensorView::new(Dtype::F64, vec![3], &body[..24]).unwrap(),
            ),
            ("l", TensorView::new(Dtype::I64, vec![5], &labels).unwrap()),
        ],
        None,
    )
    .unwrap();
    fs::write(files.path("both.safetensors"), bytes).unwrap();

    let (expected, _) = files.json(&["e.npy", "--labels", "vector.npy"], b"");
    assert_eq!(expected["classes"], json!(3));
    for labels in [
        "column.npy",
        "floats.npy",
        "l.txt",
        "names.csv",
        "words.npy",
        "both.npz:vector",
        "both.safetensors",
    ] {
        let (found, _) = files.json(&["e.npy", "--labels", labels], b"");
        assert_eq!(found, expected, "{labels}");
    }
    for (labels, message) in [
        (
            "row.npy",
            "row.npy: expected labels [batch], found shape [1, 5]: a row of labels",
        ),
        ("parts.npy", "label 1: 0.5 is not a whole number"),
        (
            "both.npz",
            "several vectors, choose one as FILE:NAME: floats, vector",
        ),
        ("both.npz:x", "no vector of labels 'x'"),
    ] {
        let error = files.error(&["e.npy", "--labels", labels]);
        assert!(error.contains(message), "{error}");
    }
}

/// Without the feature, by its name or by its content: what to do.
#[cfg(not(feature = "parquet"))]
#[test]
fn parquet_needs_its_feature() {
    let files = Files::new();
    fs::write(files.path("e.parquet"), b"PAR1").unwrap();
    let message = "this build does not read .parquet: install it with --features parquet";
    let stderr = files.error(&["e.parquet"]);
    assert!(stderr.starts_with("error: e.parquet: "), "{stderr}");
    assert!(stderr.contains(message), "{stderr}");
    let output = files.run(&["-"], b"PAR1\x15\x04");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stderr).unwrap().contains(message));
    assert!(
        files
            .error(&["e.npy", "--labels", "e.parquet"])
            .contains(message)
    );
}
