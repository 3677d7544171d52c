//! What is measured of the losses, by name.

use burn::tensor::Tensor;
use fullrank::{BarlowTwinsLossConfig, Solver, SvMaxConfig, SvMaxForm, VicRegLossConfig};

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
        "vicreg" => {
            let loss = VicRegLossConfig::new().init();
            Box::new(move |views| loss.forward(views[0].clone(), views[1].clone()))
        }
        "barlow-twins" => {
            let loss = BarlowTwinsLossConfig::new().init();
            Box::new(move |views| loss.forward(views[0].clone(), views[1].clone()))
        }
        other => panic!("unknown loss: {other}"),
    }
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
