//! `fullrank inspect`: how much of its space an embedding uses.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum};
use fullrank::diagnostics::{
    Accumulator, DEAD_BELOW, Diagnostics, DiagnosticsError, Health, NonFinite, Thresholds,
};
use fullrank_cli::exit::print;
use fullrank_files::{Output, OutputKind, check_outputs, note};
use fullrank_report::{Embedding, Report, RowSample, inspect_report};
use serde_json::{Map, Value, json};

use super::{comparison, over};
use crate::files::{self, Sink, labels_file, may_hold_several, read_labels, shown};

/// How much of its space an embedding uses, and whether it has collapsed
///
/// Reads matrices [batch, dim] from .npy, .npz, .safetensors, .csv (.tsv, .txt) and .jsonl files, and
/// from .parquet if it was built with that feature, written by any framework, and computes in f64.
/// Large files are read in blocks.
#[derive(Args)]
#[command(after_long_help = explained())]
pub(crate) struct InspectArgs {
    /// The embeddings: a column each; - is standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The label of each row, the same for all files: a vector of whole numbers in a .npy, .npz
    /// (FILE:NAME chooses) or .safetensors file, or a text with a number or a name a line
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,
    /// Which array of .npz and .safetensors files that hold several
    #[arg(long, value_name = "NAME")]
    tensor: Option<String>,
    /// Also the differences to the first file
    #[arg(long)]
    compare: bool,
    /// A row for each file, in the order of the numbers in their names: figures over the layers of a network, or over
    /// epochs; in the report a plot of them
    #[arg(long, conflicts_with = "compare")]
    over: bool,
    /// Print one JSON object, or with several files an array of them
    #[arg(long)]
    json: bool,
    /// Also write a report with pictures, one HTML file
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Let the report replace a file that is no report
    #[arg(long, requires = "html")]
    force: bool,
    /// End with the exit code 3 if the verdict on a file is this or worse: a check for CI
    #[arg(long, value_enum, value_name = "VERDICT")]
    fail_on: Option<FailOn>,
    /// Where findings begin, a JSON object; what it leaves out keeps its default, see below
    #[arg(long, value_name = "FILE")]
    thresholds: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum FailOn {
    /// Next to nothing of the space is used
    Collapsed,
    /// Much of it is unused, or all but nothing is used
    PartlyCollapsed,
}

impl FailOn {
    fn includes(self, health: Health) -> bool {
        match self {
            Self::Collapsed => health == Health::Collapsed,
            Self::PartlyCollapsed => health <= Health::PartlyCollapsed,
        }
    }
}

fn explained() -> String {
    let Thresholds {
        collapsed_below,
        partly_collapsed_below,
        dead_share_above,
        common_offset_above,
        dominating_above,
        duplicates_above,
    } = Thresholds::default();
    format!(
        "The verdict rests on two shares of what random isotropic rows of the same shape reach: \
         that of the effective rank, and that of the mean singular value above its lower bound. \
         'collapsed': the smaller is below {collapsed_below}, or every dimension is dead. 'partly \
         collapsed': it is below {partly_collapsed_below}, or more than {} % of the dimensions are \
         dead. A dimension is dead if its standard deviation is at most {DEAD_BELOW} times the \
         root mean square of those of the others.\n\n\
         Below the verdict stand the findings, each with its figure, its threshold and what to do: \
         lost rank, a common offset (mean cosine of two rows above {common_offset_above}), one \
         dominating dimension or direction (more than {} % of the variance), dead dimensions, \
         duplicates (more than {} % of the rows equal an earlier one).\n\n\
         --thresholds takes a JSON object of these shares; the defaults are\n{}\n\n\
         Exit code: 1 after an error, else 2 if a file has entries that are NaN or infinite, else \
         3 if --fail-on says so, else 0; the other files have their figures all the same. In CI:\n\
         fullrank inspect embeddings.npy --fail-on collapsed",
        100.0 * dead_share_above,
        100.0 * dominating_above,
        100.0 * duplicates_above,
        json!(Thresholds::default()),
    )
}

/// The thresholds in a file, or the default ones.
fn read_thresholds(path: Option<&Path>) -> Result<Thresholds> {
    let Some(path) = path else {
        return Ok(Thresholds::default());
    };
    let read = || -> Result<Thresholds> {
        let thresholds: Thresholds = serde_json::from_str(&fs::read_to_string(path)?)?;
        thresholds.check()?;
        Ok(thresholds)
    };
    read().with_context(|| shown(&path.display().to_string()))
}

/// What was found in a file.
enum Found {
    Figures(Box<Diagnostics>),
    NotFinite(NonFinite),
    /// No matrix.
    Failed(anyhow::Error),
}

pub(crate) fn run(args: &InspectArgs) -> Result<ExitCode> {
    if let Some(path) = &args.html {
        let labels = args.labels.as_deref().map(labels_file);
        let inputs =
            (args.files.iter().chain(&labels).chain(&args.thresholds)).map(PathBuf::as_path);
        let kind = OutputKind::Report;
        check_outputs(
            &[Output { path, kind }],
            &inputs.collect::<Vec<_>>(),
            args.force,
        )?;
    }
    let thresholds = read_thresholds(args.thresholds.as_deref())?;
    let labels = args.labels.as_ref().map(|path| read_labels(path));
    let labels = labels.transpose()?;
    ensure!(
        args.tensor.is_none() || args.files.iter().any(|file| may_hold_several(file)),
        "files of this format hold one matrix: leave out --tensor"
    );
    let mut inspected = Vec::new();
    let mut pictured = Vec::new();
    let mut paths: Vec<&PathBuf> = args.files.iter().collect();
    if args.over {
        paths.sort_by_cached_key(|path| over::numbers_in_order(&path.display().to_string()));
    }
    for path in paths {
        let mut sample = None;
        let wanted = args.html.is_some().then_some(&mut sample);
        let found = inspect(path, args.tensor.as_deref(), labels.as_deref(), wanted)
            .unwrap_or_else(Found::Failed);
        let file = path.display().to_string();
        if let (Some(sample), Found::Figures(figures)) = (sample, &found) {
            let name = shown(&file);
            let embedding = sample.into_embedding(&name, (**figures).clone(), labels.as_deref());
            pictured.push(embedding.with_thresholds(thresholds));
        }
        inspected.push((file, found));
    }
    if let (Some(path), false) = (&args.html, pictured.is_empty()) {
        report(args, &pictured)?.write(path)?;
    }
    // What failed alone leaves nothing to print.
    if (inspected.iter()).any(|(_, found)| !matches!(found, Found::Failed(_))) {
        print(&match args.json {
            true => json_text(&inspected, args.compare, &thresholds)?,
            false if args.over => over_text(&inspected, &thresholds),
            false => table_text(&inspected, args.compare, &thresholds),
        })?;
    }
    Ok(ExitCode::from(exit_code(
        &inspected,
        args.fail_on,
        &thresholds,
    )))
}

/// Says on standard error what is wrong, for which there is an exit code: of several the smallest but 0.
fn exit_code(
    inspected: &[(String, Found)],
    fail_on: Option<FailOn>,
    thresholds: &Thresholds,
) -> u8 {
    let codes = inspected.iter().map(|(file, found)| {
        let file = shown(file);
        match found {
            Found::Failed(error) => {
                note(&format!("error: {file}: {error:#}"));
                1
            }
            Found::NotFinite(found) => {
                note(&format!("error: {file}: {found}"));
                2
            }
            Found::Figures(figures) => {
                let verdict = figures.verdict_by(thresholds);
                if !fail_on.is_some_and(|fail_on| fail_on.includes(verdict.health)) {
                    return 0;
                }
                note(&format!("--fail-on: {file}: {}", verdict.text));
                3
            }
        }
    });
    let codes: Vec<u8> = codes.collect();
    codes
        .into_iter()
        .filter(|&code| code > 0)
        .min()
        .unwrap_or(0)
}

/// The report on files that have figures.
fn report(args: &InspectArgs, embeddings: &[Embedding<'_>]) -> Result<Report> {
    let title = match embeddings {
        [one] => format!("Embedding {}", one.name()),
        several => format!("{} embeddings", several.len()),
    };
    let files = args
        .files
        .iter()
        .map(|file| ("file", file.display().to_string()));
    let labels = args
        .labels
        .iter()
        .map(|file| ("labels", file.display().to_string()));
    let tensor = args.tensor.iter().map(|name| ("tensor", name.clone()));
    let thresholds = args
        .thresholds
        .iter()
        .map(|file| ("thresholds", file.display().to_string()));
    let settings: Vec<(String, String)> = (files.chain(labels).chain(tensor).chain(thresholds))
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    let report = inspect_report(&title, &settings, embeddings)?;
    Ok(match args.over {
        true => report.with_figures_over("Over the files", embeddings)?,
        false => report,
    })
}

/// The figures of the matrix in a file, and a sample of its rows into `sample` if there is one.
fn inspect(
    path: &Path,
    tensor: Option<&str>,
    labels: Option<&[i64]>,
    sample: Option<&mut Option<RowSample>>,
) -> Result<Found> {
    let mut rows = Inspected {
        sample,
        labels,
        row: 0,
        dims: 0,
        accumulator: None,
    };
    files::stream(path, tensor, &mut rows)?;
    if let Some(labels) = labels {
        let row = rows.row;
        ensure!(
            row == labels.len(),
            "there are {row} rows but {} labels",
            labels.len()
        );
    }
    let accumulator = rows.accumulator.context("no rows")?;
    match accumulator.finish() {
        Ok(diagnostics) => Ok(Found::Figures(Box::new(diagnostics))),
        Err(DiagnosticsError::NotFinite(found)) => Ok(Found::NotFinite(found)),
        Err(error) => Err(error.into()),
    }
}

/// Rows on their way from a file to their figures.
struct Inspected<'a> {
    sample: Option<&'a mut Option<RowSample>>,
    labels: Option<&'a [i64]>,
    row: usize,
    dims: usize,
    accumulator: Option<Accumulator>,
}

impl Sink for Inspected<'_> {
    fn start(&mut self, dims: usize, entry_epsilon: f64) -> Result<()> {
        self.dims = dims;
        self.accumulator = Some(Accumulator::new(dims).entry_epsilon(entry_epsilon));
        if let Some(sample) = &mut self.sample {
            **sample = Some(RowSample::new(dims));
        }
        Ok(())
    }

    fn rows(&mut self, rows: &[f64]) -> Result<()> {
        let accumulator = self.accumulator.as_mut().context("no start")?;
        let first = self.row;
        self.row += rows.len() / self.dims;
        if let Some(Some(sample)) = self.sample.as_deref_mut() {
            sample.push(rows);
        }
        match self.labels {
            Some(labels) => {
                let these = labels.get(first..self.row).with_context(|| {
                    format!("there are more rows than the {} labels", labels.len())
                })?;
                accumulator.push_labelled(rows, these)?;
            }
            None => accumulator.push(rows)?,
        }
        Ok(())
    }
}

fn json_text(
    inspected: &[(String, Found)],
    compare: bool,
    thresholds: &Thresholds,
) -> Result<String> {
    let mut objects = Vec::new();
    for (file, found) in inspected {
        objects.push(object(file, found, thresholds)?);
    }
    if compare && let Some((first, others)) = objects.split_first_mut() {
        for other in others {
            let difference = difference(other, first);
            other.insert("difference".to_owned(), Value::Object(difference));
        }
    }
    let mut values: Vec<Value> = objects.into_iter().map(Value::Object).collect();
    let one = if values.len() == 1 {
        values.pop()
    } else {
        None
    };
    Ok(format!("{}\n", one.unwrap_or(Value::Array(values))))
}

fn object(file: &str, found: &Found, thresholds: &Thresholds) -> Result<Map<String, Value>> {
    let mut object = Map::new();
    object.insert("file".to_owned(), json!(file));
    match found {
        Found::Figures(diagnostics) => {
            let verdict = diagnostics.verdict_by(thresholds);
            object.insert("verdict".to_owned(), json!(verdict.text));
            object.insert("health".to_owned(), json!(verdict.health));
            object.insert("findings".to_owned(), json!(verdict.findings));
            if let Value::Object(figures) = serde_json::to_value(diagnostics)? {
                object.extend(figures);
            }
        }
        Found::NotFinite(found) => {
            object.insert("verdict".to_owned(), json!(found.to_string()));
            object.insert("not_finite".to_owned(), json!(found));
        }
        Found::Failed(error) => {
            object.insert("error".to_owned(), json!(format!("{error:#}")));
        }
    }
    Ok(object)
}

/// The numbers that both objects have, the other's less the first's.
fn difference(other: &Map<String, Value>, first: &Map<String, Value>) -> Map<String, Value> {
    (other.iter())
        .filter_map(|(name, value)| {
            let difference = value.as_f64()? - first.get(name)?.as_f64()?;
            Some((name.clone(), json!(difference)))
        })
        .collect()
}

fn table_text(inspected: &[(String, Found)], compare: bool, thresholds: &Thresholds) -> String {
    let figures = figures(inspected);
    if figures.is_empty() {
        return String::new();
    }
    let figures: Vec<(&str, &Diagnostics)> = (figures.iter())
        .map(|(file, diagnostics)| (file.as_str(), *diagnostics))
        .collect();
    let mut text = comparison::table(&figures, compare) + "\n";
    for (file, diagnostics) in &figures {
        let verdict = diagnostics.verdict_by(thresholds);
        text += &format!("{file}: {}\n", verdict.text);
        for finding in &verdict.findings {
            text += &format!("  - {finding}\n");
        }
    }
    text
}

fn over_text(inspected: &[(String, Found)], thresholds: &Thresholds) -> String {
    let figures = figures(inspected);
    match figures.is_empty() {
        true => String::new(),
        false => over::table(&figures, thresholds),
    }
}

/// The files of which there are figures, by their names as a terminal shows them.
fn figures(inspected: &[(String, Found)]) -> Vec<(String, &Diagnostics)> {
    (inspected.iter())
        .filter_map(|(file, found)| match found {
            Found::Figures(diagnostics) => Some((shown(file), &**diagnostics)),
            Found::NotFinite(_) | Found::Failed(_) => None,
        })
        .collect()
}
