//! The similarities of the rows of a batch with each other.

use burn::tensor::{Bool, Tensor};

use crate::surrogate::Surrogate;

/// How alike the rows are, and the gradient:
///
/// ```text
/// L = (1/n) sum_i log sum_{k != i} exp(S_ik),   S = U U^T / temperature
/// dL/dU = (P + P^T) U / (n temperature),        P_ik = exp(S_ik) / sum_{l != i} exp(S_il),  P_ii = 0
/// ```
///
/// The largest similarity of each row is taken out of its sum: nothing overflows, and no sum is zero,
/// whatever the temperature. At least two rows.
pub(crate) fn log_sum_exp(rows: &Tensor<2>, temperature: f64, gradient: bool) -> Surrogate<1> {
    let [count, _] = rows.dims();
    let similarities = rows.clone().matmul(rows.clone().transpose());
    let similarities = similarities.div_scalar(temperature);
    let itself = Tensor::<2, Bool>::diag_mask([count, count], 0, &similarities.device()).bool_not();
    // Less than any: those of unit rows are at least -1 / temperature.
    let others = similarities
        .clone()
        .mask_fill(itself.clone(), -2.0 / temperature);
    let largest = others.max_dim(1);
    let shares = (similarities - largest.clone()).exp();
    let shares = shares.mask_fill(itself, 0.0);
    let sums = shares.clone().sum_dim(1);
    let coefficients = gradient.then(|| {
        let shares = (shares / sums.clone()).div_scalar(count as f64 * temperature);
        [(shares.clone() + shares.transpose()).matmul(rows.clone())]
    });
    Surrogate {
        value: (largest + sums.log()).mean(),
        coefficients,
    }
}
