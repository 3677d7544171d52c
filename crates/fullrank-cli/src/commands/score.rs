//! `fullrank score`: retrieval scores of embeddings from a file.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum};
use fullrank_cli::exit::print;
use fullrank_retrieval::scores::{
    LabelledRows, Neighbours, RankBy, Rows, Scores, ScoresConfig, neighbours,
};
use serde_json::{Map, Value, json};

use super::neighbours;
use crate::files::{self, Entries, Matrix, read_labels};

/// Retrieval scores of labelled embeddings
///
/// Ranks, for each row of a matrix [batch, dim], all other rows, or the rows of a reference, by their
/// distance, on the CPU, right to the precision of the entries. A row without a row of its label to find counts in no
/// score but NMI. With --neighbours also, or without labels only, how unevenly rows are found.
#[derive(Args)]
#[command(after_long_help = neighbours::explained())]
pub(crate) struct ScoreArgs {
    /// The embeddings, a matrix: a file that `inspect` reads
    embeddings: PathBuf,
    /// The label of each row: whole numbers or names, in a file that `inspect` reads
    #[arg(long, value_name = "FILE", required_unless_present = "neighbours")]
    labels: Option<PathBuf>,
    /// The name of the matrix, in files that hold several
    #[arg(long, value_name = "NAME")]
    tensor: Option<String>,
    /// Rank these embeddings for each row, in place of the other rows
    #[arg(long, value_name = "FILE")]
    reference: Option<PathBuf>,
    /// The label of each row of the reference
    #[arg(long, value_name = "FILE", requires = "reference", requires = "labels")]
    reference_labels: Option<PathBuf>,
    /// The K of Recall@K: whether one of the K nearest has the row's label
    #[arg(long, value_name = "K,..", value_delimiter = ',', default_value = "1,2,4,8",
          value_parser = clap::value_parser!(u64).range(1..))]
    recall_at: Vec<u64>,
    /// By what to rank
    #[arg(long, value_enum, default_value_t)]
    metric: MetricArg,
    /// Also the accuracy of the vote of the k nearest; of labels with equally many votes, the nearest wins
    #[arg(long, value_name = "k", requires = "labels", value_parser = clap::value_parser!(u64).range(1..))]
    knn: Option<u64>,
    /// Also the normalized mutual information of labels and k-means clusters
    #[arg(long, requires = "labels")]
    nmi: bool,
    /// The seed of k-means
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Also hubs, rows that are never found and near-duplicates, by the k nearest of each row (--neighbours=k)
    #[arg(long, value_name = "k", num_args = 0..=1, require_equals = true, default_missing_value = "10",
          value_parser = clap::value_parser!(u64).range(1..))]
    neighbours: Option<u64>,
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
    labels: Option<Vec<i64>>,
}

impl Set {
    fn read(embeddings: &Path, tensor: Option<&str>, labels: Option<&Path>) -> Result<Self> {
        let matrix = files::read(embeddings, tensor)?;
        let read = labels.map(read_labels).transpose()?;
        if let (Some(labels), Some(read)) = (labels, &read) {
            ensure!(
                read.len() == matrix.rows,
                "{} has {} rows, but {} has {} labels",
                embeddings.display(),
                matrix.rows,
                labels.display(),
                read.len()
            );
        }
        Ok(Self {
            matrix,
            labels: read,
        })
    }

    fn rows(&self, path: &Path) -> Result<Rows<'_>> {
        let dims = self.matrix.dims;
        let rows = match &self.matrix.entries {
            Entries::F32(entries) => Rows::new(entries, dims),
            Entries::F64(entries) => Rows::new(entries, dims),
        };
        rows.with_context(|| format!("{}", path.display()))
    }

    /// The rows with their labels, if there are labels.
    fn labelled(&self, path: &Path) -> Result<Option<LabelledRows<'_>>> {
        let Some(labels) = &self.labels else {
            return Ok(None);
        };
        let dims = self.matrix.dims;
        let rows = match &self.matrix.entries {
            Entries::F32(entries) => LabelledRows::new(entries, dims, labels),
            Entries::F64(entries) => LabelledRows::new(entries, dims, labels),
        };
        rows.map(Some)
            .with_context(|| format!("{}", path.display()))
    }
}

pub(crate) fn run(args: &ScoreArgs) -> Result<()> {
    ensure!(
        args.labels.is_none() || args.reference.is_none() || args.reference_labels.is_some(),
        "the labels of the reference are missing: --reference-labels"
    );
    let metric = match args.metric {
        MetricArg::Euclidean => RankBy::Euclidean,
        MetricArg::Cosine => RankBy::Cosine,
    };
    let config = ScoresConfig::new()
        .with_recall_at(args.recall_at.iter().map(|&k| k as usize).collect())
        .with_rank_by(metric)
        .with_knn(args.knn.map(|k| k as usize))
        .with_nmi(args.nmi)
        .with_seed(args.seed);
    let tensor = args.tensor.as_deref();
    let queries = Set::read(&args.embeddings, tensor, args.labels.as_deref())?;
    let reference = match &args.reference {
        Some(path) => Some((
            Set::read(path, tensor, args.reference_labels.as_deref())?,
            path,
        )),
        None => None,
    };
    let mut scores = None;
    if let Some(labelled) = queries.labelled(&args.embeddings)? {
        let reference = match &reference {
            Some((set, path)) => set.labelled(path)?,
            None => None,
        };
        let found = config.score(&labelled, reference.as_ref())?;
        ensure!(
            found.queries > 0,
            "no row has another of its label to find: there is nothing to score"
        );
        scores = Some(found);
    }
    let mut found = None;
    if let Some(k) = args.neighbours {
        let reference = match &reference {
            Some((set, path)) => Some(set.rows(path)?),
            None => None,
        };
        let rows = queries.rows(&args.embeddings)?;
        found = Some(neighbours(&rows, reference.as_ref(), k as usize, metric)?);
    }
    print(&match args.json {
        true => format!("{}\n", report(scores.as_ref(), found.as_ref())),
        false => text(scores.as_ref(), found.as_ref()),
    })
}

fn report(scores: Option<&Scores>, found: Option<&Neighbours>) -> Value {
    let mut report = Map::new();
    if let Some(scores) = scores {
        let recall: Map<String, Value> = scores
            .recall_at
            .iter()
            .map(|(k, recall)| (k.to_string(), json!(recall)))
            .collect();
        report.insert("recall_at".to_owned(), Value::Object(recall));
        for (name, score) in named(scores) {
            report.insert(name.to_owned(), json!(score));
        }
        report.insert("queries".to_owned(), json!(scores.queries));
        report.insert("without_match".to_owned(), json!(scores.without_match));
    }
    if let Some(found) = found {
        report.insert("neighbours".to_owned(), neighbours::report(found));
    }
    Value::Object(report)
}

fn text(scores: Option<&Scores>, found: Option<&Neighbours>) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: String| text += &format!("{name:<16} {value}\n");
    if let Some(scores) = scores {
        for (k, recall) in &scores.recall_at {
            line(&format!("recall_at_{k}"), format!("{recall:.4}"));
        }
        for (name, score) in named(scores) {
            line(name, format!("{score:.4}"));
        }
        line("queries", scores.queries.to_string());
        line("without_match", scores.without_match.to_string());
    }
    text + &found.map_or_else(String::new, neighbours::text)
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
