//! What the losses are functions of, each in two ways: on the host, for batches on a CPU, and by tensor
//! operations on any device. [`Solver`] decides between the two, for all of them alike.

mod bounds;
pub(crate) mod correlation;
pub(crate) mod epps_pulley;
pub(crate) mod identity_distance;
pub(crate) mod moments;
pub(crate) mod nuclear_norm;
pub(crate) mod similarity;
pub(crate) mod slices;
mod solver;
#[cfg(feature = "spectrum")]
mod spectrum;
#[cfg(all(test, feature = "host-solver"))]
mod test_matrices;
mod unit_rows;

use burn::tensor::{Bool, Tensor};

pub use bounds::Bounds;
pub use solver::Solver;
#[cfg(feature = "spectrum")]
pub(crate) use spectrum::entropy_rank;
#[cfg(feature = "spectrum")]
pub use spectrum::{rankme, singular_values};
pub(crate) use unit_rows::UnitRows;
pub use unit_rows::unit_rows;

/// Where a d x d matrix has its diagonal.
fn diagonal_mask(like: &Tensor<2>) -> Tensor<2, Bool> {
    let dim = like.dims()[1];
    Tensor::<2, Bool>::diag_mask([dim, dim], 0, &like.device()).bool_not()
}

/// A number that is not negative but for rounding.
fn clamped(number: Tensor<1>) -> Tensor<1> {
    let negative = number.clone().lower_elem(0.0);
    number.mask_fill(negative, 0.0)
}
