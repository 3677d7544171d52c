//! `fullrank loss`: a loss, its terms and its gradients for given matrices.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use burn::tensor::{DType, Int, Tensor, TensorData};
use clap::{Args, ValueEnum};
use fullrank::{
    BarlowTwinsLossConfig, CovarianceConfig, CovarianceToIdentityConfig, LeJepaLossConfig,
    MmcrLossConfig, NtXentLossConfig, SigRegConfig, SvMaxConfig, Terms, VarianceConfig,
    VarianceCovarianceConfig, VicRegLossConfig,
};
use fullrank_cli::device::DeviceArg;
use fullrank_cli::exit::print;
use fullrank_files::{Output, OutputKind, check_outputs, npy};
use fullrank_retrieval::{
    AngularLossConfig, ContrastiveLossConfig, LiftedStructureLossConfig, MultiSimilarityLossConfig,
    NPairLossConfig, RankingLoss, TripletLossConfig,
};
use serde_json::{Map, Value, json};

use super::settings::with_settings;
use crate::files::{self, labels_file, read_labels};

/// Evaluate a loss on embeddings from a file
///
/// Reads matrices [batch, dim] from the files that `inspect` reads and computes in their precision, f32 or
/// f64, whole numbers in f64. To hold
/// another implementation against this one, compare the loss and the gradient.
#[derive(Args)]
pub(crate) struct LossArgs {
    /// Which loss
    name: LossName,
    /// The embeddings, or those of the first view: a file that `inspect` reads
    #[arg(long, value_name = "FILE")]
    input: PathBuf,
    /// The embeddings of the second view, for vicreg, barlow-twins, nt-xent, mmcr and
    /// lejepa
    #[arg(long, value_name = "FILE")]
    second: Option<PathBuf>,
    /// The label of each row, for the ranking losses: whole numbers or names
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,
    /// The directions of sigreg and lejepa, in place of drawn ones: a matrix [dim, slices] with unit columns
    #[arg(long, value_name = "FILE")]
    slices: Option<PathBuf>,
    /// The name of the matrix, in files that hold several
    #[arg(long, value_name = "NAME")]
    tensor: Option<String>,
    /// Change a field of the loss's configuration; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Write the gradient in the input to this .npy file
    #[arg(long, value_name = "FILE")]
    gradient: Option<PathBuf>,
    /// Write the gradient in the second view to this .npy file
    #[arg(long, value_name = "FILE", requires = "second")]
    second_gradient: Option<PathBuf>,
    /// Let a gradient replace a file that is no .npy file
    #[arg(long)]
    force: bool,
    /// Where to compute
    #[arg(long, value_enum, default_value_t)]
    device: DeviceArg,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LossName {
    /// Raises the mean singular value (Taha et al. 2021)
    #[value(name = "svmax")]
    SvMax,
    /// Hinge on each dimension's standard deviation (VICReg's variance term)
    Variance,
    /// Squared covariances between dimensions (VICReg's covariance term)
    Covariance,
    /// Both of a single embedding
    VarianceCovariance,
    /// The distance of the covariance from the identity (Weak-SIGReg, 2026)
    CovarianceToIdentity,
    /// Standard normal along each of many directions (LeJEPA, Balestriero and LeCun 2025)
    #[value(name = "sigreg")]
    SigReg,
    /// Variance, invariance and covariance of two views (Bardes et al. 2021)
    #[value(name = "vicreg")]
    VicReg,
    /// Cross-correlation of two views towards the identity (Zbontar et al. 2021)
    BarlowTwins,
    /// Each view of a sample against all other rows (SimCLR, Chen et al. 2020)
    NtXent,
    /// The nuclear norm of the views' centroids (Yerxa et al. 2023)
    Mmcr,
    /// Both views close to their mean, and SIGReg on each (Balestriero and LeCun 2025)
    #[value(name = "lejepa")]
    LeJepa,
    /// Positive pairs together, negative pairs a margin apart (Hadsell et al. 2006)
    Contrastive,
    /// The negative farther than the positive by a margin (Schroff et al. 2015, Hermans et al. 2017)
    Triplet,
    /// One pair of each class against all other classes (Sohn 2016)
    NPair,
    /// Bounds the angle at the negative of each triplet (Wang et al. 2017)
    Angular,
    /// Each positive pair against all negatives of both its rows (Song et al. 2016)
    LiftedStructure,
    /// Pairs weighted by their similarity and by each other (Wang et al. 2019)
    MultiSimilarity,
}

/// A configured loss of one or two views, or of one with labels.
enum Loss {
    One(Box<dyn Fn(Tensor<2>) -> Terms>),
    Two(Box<dyn Fn(Tensor<2>, Tensor<2>) -> Terms>),
    Labelled(Box<dyn RankingLoss>),
}

pub(crate) fn run(args: &LossArgs) -> Result<()> {
    check_files(args)?;
    let device = args.device.device()?.autodiff();
    let slices = args.slices.as_ref().map(|path| read_slices(args, path));
    let slices = slices.transpose()?;
    let directions = slices.clone().map(|slices| {
        let dtype = slices.dtype();
        Tensor::from_data(slices, (&device.clone().without_autodiff(), dtype))
    });
    let loss = configure(args.name, &args.set, directions)?;
    let leaf = |path: &PathBuf| -> Result<Tensor<2>> {
        let data = files::read(path, args.tensor.as_deref())?.into_data();
        ensure!(
            data.dtype() == DType::F32 || args.device.computes_in_f64(),
            "{}: this backend does not compute in f64; convert the file to f32, or use --device flex",
            path.display()
        );
        // In its own precision.
        let dtype = data.dtype();
        Ok(Tensor::from_data(data, (&device, dtype)).require_grad())
    };
    let first = leaf(&args.input)?;
    let second = args.second.as_ref().map(leaf).transpose()?;

    if let Some(slices) = slices {
        let ([_, dim], rows) = (first.dims(), slices.shape()[0]);
        ensure!(
            rows == dim,
            "the slices have {rows} rows for embeddings of {dim} dimensions: they must be a matrix [dim, slices]"
        );
    }
    let labels = args.labels.as_ref().map(|path| read_labels(path));
    let labels = labels.transpose()?;

    let terms = match (loss, second.clone(), labels) {
        (Loss::One(loss), None, None) => loss(first.clone()),
        (Loss::Labelled(loss), None, Some(labels)) => {
            let [rows, _] = first.dims();
            ensure!(
                labels.len() == rows,
                "there are {rows} rows but {} labels",
                labels.len()
            );
            let labels = TensorData::new(numbered(&labels), [rows]);
            loss.forward_terms(first.clone(), Tensor::<1, Int>::from_data(labels, &device))
        }
        (Loss::Two(loss), Some(second), None) => {
            ensure!(
                first.dims() == second.dims() && first.dtype() == second.dtype(),
                "the two views must have one shape and type, got {:?} {:?} and {:?} {:?}",
                first.dims(),
                first.dtype(),
                second.dims(),
                second.dtype()
            );
            loss(first.clone(), second)
        }
        (Loss::One(_) | Loss::Labelled(_), Some(_), _) => {
            bail!("this loss takes one view: leave out --second")
        }
        (Loss::Two(_), None, _) => bail!("this loss takes two views: give the other with --second"),
        (Loss::Labelled(_), None, None) => {
            bail!("this loss takes labels: give them with --labels")
        }
        (Loss::One(_) | Loss::Two(_), _, Some(_)) => {
            bail!("this loss takes no labels: leave out --labels")
        }
    };

    let report = report(&terms, first.dims())?;
    if args.gradient.is_some() || args.second_gradient.is_some() {
        write_gradients(args, &terms, first, second)?;
    }
    print(&match args.json {
        true => format!("{}\n", Value::Object(report)),
        false => text(&report),
    })
}

/// A matrix of unit columns.
fn read_slices(args: &LossArgs, path: &Path) -> Result<TensorData> {
    /// What rounding to few digits does to a norm.
    const ROUNDING: f64 = 1e-3;
    let data = files::read(path, args.tensor.as_deref())?.into_data();
    ensure!(
        data.dtype() == DType::F32 || args.device.computes_in_f64(),
        "{}: this backend does not compute in f64; convert the file to f32, or use --device flex",
        path.display()
    );
    let slices = data.shape()[1];
    let mut squares = vec![0.0; slices];
    for (place, entry) in data.iter::<f64>().enumerate() {
        squares[place % slices] += entry * entry;
    }
    for (slice, square) in squares.into_iter().enumerate() {
        let norm: f64 = square.sqrt();
        ensure!(
            (norm - 1.0).abs() <= ROUNDING,
            "{}: the slices are unit columns of a matrix [dim, slices], but column {slice} has a norm of {norm}",
            path.display()
        );
    }
    Ok(data)
}

/// Before anything is computed.
fn check_files(args: &LossArgs) -> Result<()> {
    let labels = args.labels.as_deref().map(labels_file);
    let inputs = [
        Some(&args.input),
        args.second.as_ref(),
        args.slices.as_ref(),
        labels.as_ref(),
    ];
    let inputs: Vec<&Path> = inputs.into_iter().flatten().map(PathBuf::as_path).collect();
    let outputs = args.gradient.iter().chain(&args.second_gradient);
    let kind = OutputKind::Npy;
    let outputs: Vec<Output<'_>> = outputs.map(|path| Output { path, kind }).collect();
    Ok(check_outputs(&outputs, &inputs, args.force)?)
}

fn configure(name: LossName, set: &[String], slices: Option<Tensor<2>>) -> Result<Loss> {
    ensure!(
        slices.is_none() || matches!(name, LossName::SigReg | LossName::LeJepa),
        "this loss looks along no directions: leave out --slices"
    );
    macro_rules! one {
        ($defaults:expr) => {{
            let config = with_settings(&$defaults, set)?;
            config.check()?;
            let loss = config.init();
            Loss::One(Box::new(move |e| loss.forward_terms(e)))
        }};
    }
    macro_rules! two {
        ($config:ty) => {{
            let config = with_settings(&<$config>::new(), set)?;
            config.check()?;
            let loss = config.init();
            Loss::Two(Box::new(move |a, b| loss.forward_terms(a, b)))
        }};
    }
    macro_rules! labelled {
        ($config:ty) => {{
            let config = with_settings(&<$config>::new(), set)?;
            config.check()?;
            Loss::Labelled(Box::new(config.init()))
        }};
    }
    macro_rules! along {
        ($config:ty) => {{
            let config = with_settings(&<$config>::new(), set)?;
            config.check()?;
            let loss = config.init();
            match slices {
                Some(slices) => loss.along(slices),
                None => loss,
            }
        }};
    }
    Ok(match name {
        // The exact gradient, to hold others against.
        LossName::SvMax => one!(SvMaxConfig::paper()),
        LossName::Variance => one!(VarianceConfig::new()),
        LossName::Covariance => one!(CovarianceConfig::new()),
        LossName::VarianceCovariance => one!(VarianceCovarianceConfig::new()),
        LossName::CovarianceToIdentity => one!(CovarianceToIdentityConfig::new()),
        LossName::SigReg => {
            let loss = along!(SigRegConfig);
            Loss::One(Box::new(move |e| loss.forward_terms(e)))
        }
        LossName::LeJepa => {
            let loss = along!(LeJepaLossConfig);
            Loss::Two(Box::new(move |a, b| loss.forward_terms(a, b)))
        }
        LossName::VicReg => two!(VicRegLossConfig),
        LossName::BarlowTwins => two!(BarlowTwinsLossConfig),
        LossName::NtXent => two!(NtXentLossConfig),
        LossName::Mmcr => two!(MmcrLossConfig),
        LossName::Contrastive => labelled!(ContrastiveLossConfig),
        LossName::Triplet => labelled!(TripletLossConfig),
        LossName::NPair => labelled!(NPairLossConfig),
        LossName::Angular => labelled!(AngularLossConfig),
        LossName::LiftedStructure => labelled!(LiftedStructureLossConfig),
        LossName::MultiSimilarity => labelled!(MultiSimilarityLossConfig),
    })
}

/// The labels numbered from 0, so that they fit every device's integers.
fn numbered(labels: &[i64]) -> Vec<i32> {
    let mut distinct = labels.to_vec();
    distinct.sort_unstable();
    distinct.dedup();
    labels
        .iter()
        .map(|label| distinct.partition_point(|other| other < label) as i32)
        .collect()
}

fn report(terms: &Terms, shape: [usize; 2]) -> Result<Map<String, Value>> {
    let mut numbers = terms.values().into_iter();
    let (_, loss) = numbers.next().context("the total comes first")?;
    // A term of weight zero may be beyond its type: null in JSON.
    let values: Map<String, Value> = numbers.map(|(name, value)| (name, json!(value))).collect();
    ensure!(loss.is_finite(), "the loss overflows: it is {loss}");
    let mut report = Map::new();
    report.insert("loss".to_owned(), json!(loss));
    report.insert("terms".to_owned(), Value::Object(values));
    report.insert("shape".to_owned(), json!(shape));
    Ok(report)
}

fn write_gradients(
    args: &LossArgs,
    terms: &Terms,
    first: Tensor<2>,
    second: Option<Tensor<2>>,
) -> Result<()> {
    let gradients = terms.total.is_tracked().then(|| terms.total.backward());
    let write = |path: &Option<PathBuf>, leaf: Option<Tensor<2>>| -> Result<()> {
        let (Some(path), Some(leaf)) = (path, leaf) else {
            return Ok(());
        };
        // With every weight at zero, nothing depends on the embeddings.
        let gradient = gradients
            .as_ref()
            .and_then(|gradients| leaf.grad(gradients))
            .unwrap_or_else(|| leaf.without_autodiff().zeros_like());
        Ok(npy::write_matrix(path, &gradient)?)
    };
    write(&args.gradient, Some(first))?;
    write(&args.second_gradient, second)
}

fn text(report: &Map<String, Value>) -> String {
    let mut text = format!("loss   {}\n", report["loss"]);
    if let Value::Object(terms) = &report["terms"] {
        for (name, value) in terms {
            text += &format!("  {name:<20} {value}\n");
        }
    }
    text + &format!("shape  {}\n", report["shape"])
}
