//! What is measured of the losses, by name.

use burn::tensor::{Tensor, TensorData};
use fullrank::{
    BarlowTwinsLossConfig, CovarianceToIdentity, LeJepaLoss, MmcrLossConfig, NtXentLoss, SigReg,
    Solver, SvMaxConfig, SvMaxForm, TwoViewLoss, VicRegLossConfig,
};

/// A function of as many views as there are inputs.
pub(crate) type Loss = Box<dyn Fn(&[Tensor<2>]) -> Tensor<1>>;

/// A loss by its name; SVMax also with a solver, as in `svmax host`.
///
/// # Panics
///
/// If there is none of this name.
pub(crate) fn loss(name: &str) -> Loss {
    match name {
        "svmax" => svmax(Solver::Auto),
        "svmax host" => svmax(Solver::Host),
        "svmax device" => svmax(Solver::Device),
        #[cfg(feature = "linalg")]
        "burn svd" => Box::new(|views| burn_svd(&views[0])),
        "vicreg" => two_views(VicRegLossConfig::new().init()),
        "barlow-twins" => two_views(BarlowTwinsLossConfig::new().init()),
        "nt-xent" => two_views(NtXentLoss::default()),
        "mmcr" => two_views(MmcrLossConfig::new().with_local_weight(5e-3).init()),
        "covariance-to-identity" => {
            let loss = CovarianceToIdentity::default();
            Box::new(move |views| loss.forward(views[0].clone()))
        }
        "sigreg" => Box::new(|views| {
            let sigreg = SigReg::default().along(slices(&views[0]));
            sigreg.forward(views[0].clone())
        }),
        "lejepa" => Box::new(|views| {
            let lejepa = LeJepaLoss::default().along(slices(&views[0]));
            lejepa.forward(views[0].clone(), views[1].clone())
        }),
        other => panic!("unknown loss: {other}"),
    }
}

fn two_views(loss: impl TwoViewLoss + 'static) -> Loss {
    Box::new(move |views| loss.forward(views[0].clone(), views[1].clone()))
}

/// The directions that both sides look along: the columns of cos(1 + 3 i + 7 j + i j), divided by their norm.
fn slices(embeddings: &Tensor<2>) -> Tensor<2> {
    const COUNT: usize = 1024;
    let [_, dim] = embeddings.dims();
    let entry = |i: usize, j: usize| ((1 + 3 * i + 7 * j + i * j) as f64).cos();
    let norms: Vec<f64> = (0..COUNT)
        .map(|j| (0..dim).map(|i| entry(i, j).powi(2)).sum::<f64>().sqrt())
        .collect();
    let entries: Vec<f32> = (0..dim * COUNT)
        .map(|k| (k / COUNT, k % COUNT))
        .map(|(i, j)| (entry(i, j) / norms[j]) as f32)
        .collect();
    let device = embeddings.device().without_autodiff();
    Tensor::from_data(TensorData::new(entries, [dim, COUNT]), &device)
}

/// What has to be negated for the mean singular value.
pub(crate) fn sign(name: &str) -> f64 {
    match name.starts_with("svmax") {
        true => -1.0,
        false => 1.0,
    }
}

/// The negative mean singular value of the rows as they are.
fn svmax(solver: Solver) -> Loss {
    let loss = SvMaxConfig::paper()
        .with_form(SvMaxForm::Linear)
        .with_normalize(false)
        .with_solver(solver)
        .init();
    Box::new(move |views| loss.forward(views[0].clone()))
}

/// The mean singular value by Burn's decomposition, which takes no tensor on a graph: so its gradient `U V^T / r` is
/// put there by hand.
#[cfg(feature = "linalg")]
fn burn_svd(embeddings: &Tensor<2>) -> Tensor<1> {
    /// At most, as its documentation has it.
    const SWEEPS: usize = 10;

    let plain = embeddings.clone().without_autodiff();
    let [rows, dims] = plain.dims();
    let (u, values, vt) = burn::linalg::svd::<2, 1>(plain, SWEEPS);
    let coefficients = u.matmul(vt).div_scalar(rows.min(dims) as f64);
    let nothing = embeddings.clone() - embeddings.clone().without_autodiff();
    values.mean() + (nothing * coefficients).sum()
}
