//! Writes three reports into a folder: of a healthy and of a collapsed embedding, each alone, and of both beside one
//! another with what a report of a training has. The embeddings are drawn at random, with a fixed seed.
//!
//! ```sh
//! cargo run --release -p fullrank-report --example report -- FOLDER
//! ```

use std::error::Error;
use std::path::PathBuf;

use datasets::fashion_mnist;
use fullrank_report::plots::{Palette, Series, Term};
use fullrank_report::{Embedding, Report, Table, inspect_report, nearest_neighbours};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const DIMS: usize = 64;

/// Rows about the mean of their class, of which `directions` dimensions vary by more than a thousandth, about a common
/// offset.
fn rows(labels: &[usize], directions: usize, offset: f64, seed: u64) -> Vec<f32> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut normal = || (0..12).map(|_| random.random::<f64>()).sum::<f64>() - 6.0;
    let means: Vec<f64> = (0..10 * DIMS).map(|_| normal()).collect();
    let mixing: Vec<f64> = (0..DIMS * DIMS)
        .map(|_| normal() / (DIMS as f64).sqrt())
        .collect();
    let mut rows = Vec::with_capacity(labels.len() * DIMS);
    for &label in labels {
        let row: Vec<f64> = (0..DIMS)
            .map(|j| {
                let scale = if j < directions { 1.0 } else { 1e-3 };
                scale * (0.35 * means[label * DIMS + j] + normal())
            })
            .collect();
        rows.extend((0..DIMS).map(|j| {
            let mixed: f64 = (0..DIMS).map(|k| row[k] * mixing[k * DIMS + j]).sum();
            (mixed + offset * mixing[j]) as f32
        }));
    }
    rows
}

fn main() -> Result<(), Box<dyn Error>> {
    let folder = PathBuf::from(std::env::args().nth(1).ok_or("name a folder")?);
    std::fs::create_dir_all(&folder)?;
    let images = fashion_mnist::mini().test;
    let labels = images.labels();
    let (healthy, collapsed) = (rows(labels, DIMS, 0.0, 1), rows(labels, 2, 40.0, 2));
    let embedding = |name: &str, rows: &[f32]| {
        Embedding::new(name, rows.to_vec(), DIMS).with_labels(labels, images.classes())
    };
    let both = [
        embedding("healthy", &healthy),
        embedding("collapsed", &collapsed),
    ];
    let settings = |file: &str| vec![("command".to_string(), format!("fullrank inspect {file}"))];
    for (one, name) in both.iter().zip(["healthy", "collapsed"]) {
        let title = format!("Embedding {name}.npy");
        let one = std::slice::from_ref(one);
        inspect_report(&title, &settings(&format!("{name}.npy")), one)?
            .write(folder.join(format!("{name}.html")))?;
    }

    let term = |name: &str, rates: [f64; 2]| Term {
        name: name.into(),
        y_label: "term of the loss".into(),
        series: ["healthy", "collapsed"]
            .into_iter()
            .zip(rates)
            .map(|(name, rate)| Series {
                name: name.into(),
                points: (0..200)
                    .map(f64::from)
                    .map(|step| (step, (-rate * step).exp()))
                    .collect(),
            })
            .collect(),
    };
    Report::new("Two embeddings beside one another")
        .with_paragraph("Drawn at random: one that uses its space and one that does not.")
        .with_settings(
            "What was run",
            [("command", "cargo run --example report"), ("seed", "1")],
        )
        .with_table(
            "Results",
            &Table::new(["", "dimensions that vary"])
                .with_row(["healthy", "64"])
                .with_row(["collapsed", "2"]),
        )
        .with_terms(
            "Training",
            "step",
            &[
                term("Invariance", [0.02, 0.05]),
                term("Penalty", [0.03, 0.0]),
            ],
            &Palette::new(["healthy", "collapsed"]),
        )
        .with_embeddings("Embeddings", &both)?
        .with_retrievals(
            "Nearest neighbours",
            "Test images of Fashion-MNIST with the nearest rows of the healthy embedding.",
            (&images, &images),
            &nearest_neighbours(&healthy, labels, 8, 8),
        )?
        .write(folder.join("run.html"))?;
    println!("{}", folder.display());
    Ok(())
}
