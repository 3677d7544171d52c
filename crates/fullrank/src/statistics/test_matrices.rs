//! The embeddings of the tests of the losses, for the tests inside the crate.

#[path = "../../tests/losses/matrices.rs"]
#[allow(dead_code)]
mod matrices;

use crate::Surrogate;

use matrices::Matrix;

pub(crate) use matrices::{f64_device, regimes};

/// A view with a correlation of about 0.8 with this one.
pub(crate) fn other_view(view: &Matrix, seed: u64) -> Matrix {
    let size = view.norm() / (view.entries.len() as f64).sqrt();
    let noise = Matrix::normal(view.rows, view.dims, seed);
    view.clone().zip(&noise, |x, y| 0.8 * x + 0.6 * size * y)
}

/// Values to 1e-6, gradients to 1e-5.
pub(crate) fn assert_evaluations_agree<const N: usize>(
    a: Surrogate<N>,
    b: Surrogate<N>,
    what: &str,
) {
    let (value, other) = (matrices::number(a.value), matrices::number(b.value));
    assert!(
        (value - other).abs() <= 1e-6 * other.abs(),
        "{what}: {value:e} and {other:e}"
    );
    let gradients = a.coefficients.expect("with gradient").into_iter();
    for (a, b) in gradients.zip(b.coefficients.expect("with gradient")) {
        let (a, b) = (Matrix::from(a), Matrix::from(b));
        let error = a.zip(&b, |x, y| x - y).norm();
        assert!(
            error <= 1e-5 * b.norm(),
            "gradient of {what}: error {error:e} of {:e}",
            b.norm()
        );
    }
}
