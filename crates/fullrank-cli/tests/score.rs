//! `fullrank score` as a user runs it: files in, JSON or a table out.

use std::path::Path;

use assert_cmd::Command;
use serde_json::Value;
use tempfile::TempDir;

mod support;

fn write<T: npyz::AutoSerialize>(path: &Path, shape: &[u64], entries: Vec<T>) {
    support::write(path, shape, npyz::Order::C, entries);
}

/// Twelve rows of three entries sin(1 + 3i + j^2 + 0.3ij), and all of them in two parts.
struct Files {
    folder: TempDir,
}

impl Files {
    fn new() -> Self {
        let files = Self {
            folder: TempDir::new().unwrap(),
        };
        let entries: Vec<f64> = (0..36)
            .map(|k| (f64::from(k / 3), f64::from(k % 3)))
            .map(|(i, j)| (1.0 + 3.0 * i + j * j + 0.3 * i * j).sin())
            .collect();
        let labels = [0i64, 0, 0, 1, 1, 2, 2, 3, 0, 1, 2, 4];
        let single = entries.iter().map(|&x| x as f32).collect::<Vec<_>>();
        write(&files.path("e.npy"), &[12, 3], single);
        write(&files.path("l.npy"), &[12], labels.to_vec());
        write(&files.path("q.npy"), &[5, 3], entries[21..].to_vec());
        write(&files.path("ql.npy"), &[5], labels[7..].to_vec());
        write(&files.path("r.npy"), &[7, 3], entries[..21].to_vec());
        let narrow: Vec<u8> = labels[..7].iter().map(|&label| label as u8).collect();
        write(&files.path("rl.npy"), &[7], narrow);
        files
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    /// `fullrank score` in this folder.
    fn score(&self, args: &str) -> std::process::Output {
        let mut command = Command::cargo_bin("fullrank").unwrap();
        command.current_dir(self.folder.path()).arg("score");
        command.args(args.split_whitespace()).output().unwrap()
    }

    fn json(&self, args: &str) -> Value {
        let output = self.score(&format!("{args} --json"));
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{stderr}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    fn error(&self, args: &str) -> String {
        let output = self.score(args);
        assert!(!output.status.success() && output.stdout.is_empty());
        String::from_utf8(output.stderr).unwrap()
    }
}

fn close(value: &Value, expected: f64) {
    let value = value.as_f64().unwrap();
    assert!(
        (value - expected).abs() <= 1e-7,
        "{value} is not {expected}"
    );
}

/// ```python
/// i, j = np.arange(12.)[:, None], np.arange(3.); e = np.sin(1 + 3 * i + j * j + .3 * i * j)
/// t = np.array([0, 0, 0, 1, 1, 2, 2, 3, 0, 1, 2, 4]); knn = CustomKNN(LpDistance(normalize_embeddings=False))
/// calculator = AccuracyCalculator(knn_func=knn)    # pytorch-metric-learning 2.8.1
/// calculator.get_accuracy(e, t)
/// # precision_at_1 0.1, r_precision 0.2, mean_average_precision_at_r 0.11666667, mean_reciprocal_rank 0.41666669
/// calculator.get_accuracy(e[7:], t[7:], e[:7], t[:7], ref_includes_query=False)
/// # 0.0, 0.44444444, 0.20370370, 0.44444445
/// ```
#[test]
fn values_of_pytorch_metric_learning() {
    let files = Files::new();
    let alone = files.json("e.npy --labels l.npy");
    let separate = files.json("q.npy --labels ql.npy --reference r.npy --reference-labels rl.npy");
    for (report, expected, [queries, without_match]) in [
        (
            alone,
            [0.1, 0.2, 0.11666666666666665, 0.41666666666],
            [10, 2],
        ),
        (
            separate,
            [0.0, 0.4444444444444444, 0.20370370370370372, 0.4444444444],
            [3, 2],
        ),
    ] {
        let names = ["precision_at_1", "r_precision", "map_at_r", "mrr"];
        for (name, expected) in names.into_iter().zip(expected) {
            close(&report[name], expected);
        }
        close(&report["recall_at"]["1"], expected[0]);
        assert_eq!(report["queries"], queries);
        assert_eq!(report["without_match"], without_match);
        assert!(report.get("nmi").is_none() && report.get("knn_accuracy").is_none());
    }
}

#[test]
fn what_is_asked_for() {
    let files = Files::new();
    let report = files.json("e.npy --labels l.npy --recall-at 3,11 --nmi --seed 5 --knn 3");
    let recall = report["recall_at"].as_object().unwrap();
    assert_eq!(recall.keys().collect::<Vec<_>>(), ["3", "11"]);
    close(&recall["11"], 1.0);
    for name in ["nmi", "knn_accuracy"] {
        let score = report[name].as_f64().unwrap();
        assert!((0.0..=1.0).contains(&score), "{name} {score}");
    }
    // The rows lie near the unit sphere's equator, but not on it: the angle ranks otherwise.
    let cosine = files.json("e.npy --labels l.npy --metric cosine");
    assert_ne!(cosine["mrr"], files.json("e.npy --labels l.npy")["mrr"]);
}

#[test]
fn a_table() {
    let output = Files::new().score("e.npy --labels l.npy --recall-at 11");
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        "recall_at_11     1.0000\n\
         precision_at_1   0.1000\n\
         r_precision      0.2000\n\
         map_at_r         0.1167\n\
         mrr              0.4167\n\
         queries          10\n\
         without_match    2\n"
    );
}

#[test]
fn errors_name_what_is_wrong() {
    let files = Files::new();
    let stderr = files.error("e.npy --labels ql.npy");
    assert!(
        stderr.contains("e.npy has 12 rows, but ql.npy has 5 labels"),
        "{stderr}"
    );
    let stderr = files.error("e.npy --labels l.npy --reference r.npy");
    assert!(stderr.contains("--reference-labels"), "{stderr}");
    let stderr = files.error("e.npy --labels l.npy --recall-at 0");
    assert!(stderr.contains("0 is not in 1.."), "{stderr}");
    let stderr = files.error("missing.npy --labels l.npy");
    assert!(stderr.contains("missing.npy"), "{stderr}");
    write(&files.path("wide.npy"), &[7, 4], vec![1.0f32; 28]);
    let stderr =
        files.error("q.npy --labels ql.npy --reference wide.npy --reference-labels rl.npy");
    assert!(
        stderr.contains("the queries have 3 dimensions, but the reference has 4"),
        "{stderr}"
    );
    let infinite = vec![1.0f32, f32::INFINITY];
    write(&files.path("infinite.npy"), &[2, 1], infinite);
    write(&files.path("two.npy"), &[2], vec![0i32, 0]);
    let stderr = files.error("infinite.npy --labels two.npy");
    assert!(
        stderr.contains("infinite.npy") && stderr.contains("the first at row 1, column 0"),
        "{stderr}"
    );
    write(&files.path("own.npy"), &[12], (0..12).collect::<Vec<i32>>());
    let stderr = files.error("e.npy --labels own.npy");
    assert!(stderr.contains("there is nothing to score"), "{stderr}");
}

/// Files whose classes f32 products, or f32 at all, cannot tell apart: 0.3 sin(..) in 30 rows of 10 classes,
/// with little of it beside an offset.
#[test]
fn the_precision_of_the_file() {
    let files = Files::new();
    let dim = 6u64;
    let labels: Vec<i64> = (0..30).map(|i| i % 10).collect();
    write(&files.path("l.npy"), &[30], labels.clone());
    let rows = |of: &dyn Fn(f64, f64, f64) -> f64| -> Vec<f64> {
        let row = |i: u64| (0..dim).map(move |j| (i, j));
        let entry = |(i, j): (u64, u64)| {
            let (class, j) = ((i % 10) as f64, j as f64);
            let within = 0.03 * (i as f64 * 1.9 + j * 2.3).sin();
            let sign = if i % 2 == 0 { 1.0 } else { -1.0 };
            of((1.0 + class + j * (1.7 + class)).sin() + within, sign, j)
        };
        (0..30).flat_map(row).map(entry).collect()
    };
    let single = |rows: Vec<f64>| rows.into_iter().map(|x| x as f32).collect::<Vec<_>>();
    let shape = [30, dim];
    let opposite = rows(&|x, sign, j| sign * (100.0 + j) + 1e-2 * x);
    write(&files.path("opposite.npy"), &shape, single(opposite));
    write(
        &files.path("tiny.npy"),
        &shape,
        single(rows(&|x, _, _| 1e-24 * x)),
    );
    write(
        &files.path("large.npy"),
        &shape,
        single(rows(&|x, _, _| 1e30 * x)),
    );
    write(&files.path("offset.npy"), &shape, rows(&|x, _, _| 1e8 + x));
    write(
        &files.path("minute.npy"),
        &shape,
        rows(&|x, _, _| 1e-200 * x),
    );
    for file in ["opposite", "tiny", "large", "offset", "minute"] {
        for metric in ["euclidean", "cosine"] {
            let args = format!("{file}.npy --labels l.npy --metric {metric} --knn 2 --nmi");
            let report = files.json(&args);
            for name in ["precision_at_1", "mrr", "r_precision", "knn_accuracy"] {
                assert_eq!(report[name], 1.0, "{file} {metric} {name}");
            }
        }
    }
    let nmi = |file: &str| files.json(&format!("{file}.npy --labels l.npy --nmi"))["nmi"].clone();
    let scaled = |by: f64| {
        single(rows(&|x, _, _| x))
            .into_iter()
            .map(move |x| x * by as f32)
    };
    write(
        &files.path("one.npy"),
        &shape,
        scaled(1.0).collect::<Vec<_>>(),
    );
    write(
        &files.path("small.npy"),
        &shape,
        scaled(2.0f64.powi(-40)).collect::<Vec<_>>(),
    );
    assert_eq!(nmi("one"), nmi("small"));
}

/// Zero rows of another label do not come before rows of the label by the cosine.
#[test]
fn zero_rows_by_the_cosine() {
    let files = Files::new();
    write(&files.path("q.npy"), &[1, 3], vec![1.0f32, 0.0, 0.0]);
    write(&files.path("ql.npy"), &[1], vec![1i64]);
    let rows = vec![0.0f32, 0.0, 0.0, 0.4, 0.9, 0.2, 0.0, 0.0, 0.0];
    write(&files.path("r.npy"), &[3, 3], rows);
    write(&files.path("rl.npy"), &[3], vec![0i64, 1, 0]);
    let args = "q.npy --labels ql.npy --reference r.npy --reference-labels rl.npy --metric cosine";
    assert_eq!(files.json(args)["mrr"], 1.0);
}

/// A hub in the middle of a sphere, a copy, and rows that nobody finds; with labels and without.
#[test]
fn neighbours_of_the_whole_file() {
    let files = Files::new();
    let (rows, dims) = (300, 24);
    let mut state = 1u64;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 40) as f32 / (1u64 << 24) as f32 - 0.5
    };
    let mut entries: Vec<f32> = (0..rows * dims).map(|_| next()).collect();
    for row in entries.chunks_exact_mut(dims) {
        let norm = row.iter().map(|x| x * x).sum::<f32>().sqrt();
        row.iter_mut().for_each(|x| *x /= norm);
    }
    entries[11 * dims..12 * dims].fill(0.0);
    entries.copy_within(5 * dims..6 * dims, 200 * dims);
    write(
        &files.path("n.npy"),
        &[rows as u64, dims as u64],
        entries.clone(),
    );
    let labels: Vec<i64> = (0..rows as i64).map(|row| row % 7).collect();
    write(&files.path("nl.npy"), &[rows as u64], labels);

    let found = files.json("n.npy --neighbours=4")["neighbours"].clone();
    // By all distances, computed here.
    let mut times = vec![0; rows];
    for i in 0..rows {
        let square = |j: usize| -> f64 {
            let (a, b) = (&entries[i * dims..][..dims], &entries[j * dims..][..dims]);
            a.iter().zip(b).map(|(x, y)| f64::from(x - y).powi(2)).sum()
        };
        let mut others: Vec<usize> = (0..rows).filter(|&j| j != i).collect();
        others.sort_by(|&a, &b| square(a).total_cmp(&square(b)));
        others[..4].iter().for_each(|&j| times[j] += 1);
    }
    assert_eq!(found["k"], 4);
    assert_eq!(found["largest_in_degree"]["row"], 11);
    assert_eq!(found["largest_in_degree"]["times"], times[11]);
    let never: Vec<usize> = (0..rows).filter(|&j| times[j] == 0).collect();
    assert!(!never.is_empty());
    assert_eq!(found["never_retrieved"], never.len());
    assert_eq!(found["never_retrieved_rows"], serde_json::json!(never));
    assert_eq!(
        found["near_duplicate_pairs"],
        serde_json::json!([[5, 200, 0.0]])
    );
    assert_eq!(found["near_duplicates"], 2);
    let mean = 4.0;
    let moment = |power: i32| {
        let of = times
            .iter()
            .map(|&times| (f64::from(times) - mean).powi(power));
        of.sum::<f64>() / rows as f64
    };
    close(&found["skewness"], moment(3) / moment(2).powf(1.5));
    let kinds: Vec<&str> = (found["findings"].as_array().unwrap().iter())
        .map(|finding| finding["kind"].as_str().unwrap())
        .collect();
    assert_eq!(kinds[0], "hubness");
    assert_eq!(kinds.contains(&"never-retrieved"), never.len() > rows / 10);

    // Beside the scores, which stay as they are.
    let both = files.json("n.npy --labels nl.npy --neighbours");
    let alone = files.json("n.npy --labels nl.npy");
    assert_eq!(both["neighbours"]["k"], 10);
    for (name, score) in alone.as_object().unwrap() {
        assert_eq!(&both[name], score, "{name}");
    }
    assert!(alone.get("neighbours").is_none());
    let output = files.score("n.npy --neighbours=4");
    let text = String::from_utf8(output.stdout).unwrap();
    let hub = format!("largest_hub      row 11, found {} times", times[11]);
    assert!(text.contains(&hub), "{text}");
    assert!(
        text.contains("  - hubness: the skewness of how often a row is found is"),
        "{text}"
    );

    // Of a reference: a query that is one of its rows.
    write(
        &files.path("nq.npy"),
        &[1, dims as u64],
        entries[..dims].to_vec(),
    );
    let found = files.json("nq.npy --reference n.npy --neighbours=1");
    let found = &found["neighbours"];
    assert_eq!(
        (&found["rows"], &found["queries"]),
        (&serde_json::json!(rows), &serde_json::json!(1))
    );
    assert_eq!(
        found["near_duplicate_pairs"],
        serde_json::json!([[0, 0, 0.0]])
    );

    assert!(files.error("n.npy").contains("--labels"));
    assert!(
        files
            .error("nq.npy --neighbours")
            .contains("a single row has no neighbours")
    );
    assert!(
        files
            .error("n.npy --neighbours=0")
            .contains("0 is not in 1..")
    );
    assert!(files.error("n.npy --neighbours --nmi").contains("--labels"));
}
