//! `fullrank score`: retrieval scores of embeddings from a file.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum};
use fullrank_cli::exit::print;
use fullrank_retrieval::scores::{LabelledRows, Metric, Scores, ScoresConfig};
use serde_json::{Map, Value, json};

use crate::embeddings::{self, Entries, Matrix, read_labels};

/// Retrieval scores of labelled embeddings
///
/// Ranks, for each row of a matrix [batch, dim], all other rows, or the rows of a reference, by their
/// distance, on the CPU, right to the precision of the entries. A row without a row of its label to find counts in no score but NMI.
#[derive(Args)]
pub(crate) struct ScoreArgs {
    /// The embeddings, a matrix: a file that `inspect` reads
    embeddings: PathBuf,
    /// The label of each row: whole numbers or names, in a file that `inspect` reads
    #[arg(long, value_name = "FILE")]
    labels: PathBuf,
    /// The name of the matrix, in files that hold several
    #[arg(long, value_name = "NAME")]
    tensor: Option<String>,
    /// Rank these embeddings for each row, in place of the other rows
    #[arg(long, value_name = "FILE", requires = "reference_labels")]
    reference: Option<PathBuf>,
    /// The label of each row of the reference
    #[arg(long, value_name = "FILE", requires = "reference")]
    reference_labels: Option<PathBuf>,
    /// The K of Recall@K: whether one of the K nearest has the row's label
    #[arg(long, value_name = "K,..", value_delimiter = ',', default_value = "1,2,4,8",
          value_parser = clap::value_parser!(u64).range(1..))]
    recall_at: Vec<u64>,
    /// By what to rank
    #[arg(long, value_enum, default_value_t)]
    metric: MetricArg,
    /// Also the accuracy of the vote of the k nearest; of labels with equally many votes, the nearest wins
    #[arg(long, value_name = "k", value_parser = clap::value_parser!(u64).range(1..))]
    knn: Option<u64>,
    /// Also the normalized mutual information of labels and k-means clusters
    #[arg(long)]
    nmi: bool,
    /// The seed of k-means
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Default, ValueEnum)]
enum MetricArg {
    /// The distance of the rows as they are
    #[default]
    Euclidean,
    /// The angle between the rows
    Cosine,
}

/// Embeddings, in the precision of their file, and labels as read.
struct Set {
    matrix: Matrix,
    labels: Vec<i64>,
}

impl Set {
    fn read(embeddings: &Path, tensor: Option<&str>, labels: &Path) -> Result<Self> {
        let matrix = embeddings::read(embeddings, tensor)?;
        let read = read_labels(labels)?;
        ensure!(
            read.len() == matrix.rows,
            "{} has {} rows, but {} has {} labels",
            embeddings.display(),
            matrix.rows,
            labels.display(),
            read.len()
        );
        Ok(Self {
            matrix,
            labels: read,
        })
    }

    fn rows(&self, path: &Path) -> Result<LabelledRows<'_>> {
        let (dims, labels) = (self.matrix.dims, &self.labels);
        let rows = match &self.matrix.entries {
            Entries::F32(entries) => LabelledRows::new(entries, dims, labels),
            Entries::F64(entries) => LabelledRows::new(entries, dims, labels),
        };
        rows.with_context(|| format!("{}", path.display()))
    }
}

pub(crate) fn run(args: &ScoreArgs) -> Result<()> {
    let config = ScoresConfig::new()
        .with_recall_at(args.recall_at.iter().map(|&k| k as usize).collect())
        .with_metric(match args.metric {
            MetricArg::Euclidean => Metric::Euclidean,
            MetricArg::Cosine => Metric::Cosine,
        })
        .with_knn(args.knn.map(|k| k as usize))
        .with_nmi(args.nmi)
        .with_seed(args.seed);
    let tensor = args.tensor.as_deref();
    let queries = Set::read(&args.embeddings, tensor, &args.labels)?;
    let reference = match (&args.reference, &args.reference_labels) {
        (Some(reference), Some(labels)) => Some((Set::read(reference, tensor, labels)?, reference)),
        _ => None,
    };
    let reference = reference
        .as_ref()
        .map(|(set, path)| set.rows(path))
        .transpose()?;
    let scores = config.score(&queries.rows(&args.embeddings)?, reference.as_ref())?;
    ensure!(
        scores.queries > 0,
        "no row has another of its label to find: there is nothing to score"
    );
    print(&match args.json {
        true => format!("{}\n", report(&scores)),
        false => text(&scores),
    })
}

fn report(scores: &Scores) -> Value {
    let recall: Map<String, Value> = scores
        .recall_at
        .iter()
        .map(|(k, recall)| (k.to_string(), json!(recall)))
        .collect();
    let mut report = Map::new();
    report.insert("recall_at".to_owned(), Value::Object(recall));
    for (name, score) in named(scores) {
        report.insert(name.to_owned(), json!(score));
    }
    report.insert("queries".to_owned(), json!(scores.queries));
    report.insert("without_match".to_owned(), json!(scores.without_match));
    Value::Object(report)
}

fn text(scores: &Scores) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: String| text += &format!("{name:<16} {value}\n");
    for (k, recall) in &scores.recall_at {
        line(&format!("recall_at_{k}"), format!("{recall:.4}"));
    }
    for (name, score) in named(scores) {
        line(name, format!("{score:.4}"));
    }
    line("queries", scores.queries.to_string());
    line("without_match", scores.without_match.to_string());
    text
}

/// The scores that are one number, those that were computed.
fn named(scores: &Scores) -> impl Iterator<Item = (&'static str, f64)> {
    [
        ("precision_at_1", Some(scores.precision_at_1)),
        ("r_precision", Some(scores.r_precision)),
        ("map_at_r", Some(scores.map_at_r)),
        ("mrr", Some(scores.mrr)),
        ("knn_accuracy", scores.knn_accuracy),
        ("nmi", scores.nmi),
    ]
    .into_iter()
    .filter_map(|(name, score)| score.map(|score| (name, score)))
}
