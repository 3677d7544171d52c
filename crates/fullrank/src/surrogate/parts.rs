//! A loss as the weighted sum of its named parts.

use std::ops::Add;

use burn::tensor::{Device, Tensor};

use super::{SumsOverRows, Surrogate, Terms, in_statistics_precision, scalar};

/// A named part of a loss: the loss is the weighted sum of its parts.
///
/// A part of weight 0 is reported and does not count.
pub struct Part<const N: usize> {
    /// What it is listed under.
    pub name: &'static str,
    /// Its weight in the loss.
    pub weight: f64,
    /// Its value and coefficients, unweighted.
    pub surrogate: Surrogate<N>,
}

/// A loss as this crate sees it: its parts as a function of plain embedding matrices.
///
/// `gradient` tells whether coefficients are wanted; without it they are left out.
pub trait Parts<const N: usize> {
    /// Every part, each with coefficients of its own.
    fn parts(&self, embeddings: [Tensor<2>; N], gradient: bool) -> Vec<Part<N>>;

    /// The weighted sum of the parts. A loss that has its gradient in fewer passes than those of its
    /// parts has it here.
    fn total(&self, embeddings: [Tensor<2>; N], gradient: bool) -> Surrogate<N> {
        self.parts(embeddings.clone(), gradient)
            .into_iter()
            .filter(|part| part.weight != 0.0)
            .map(|part| part.surrogate.scale(part.weight))
            .reduce(Add::add)
            .unwrap_or_else(|| nothing(embeddings, gradient))
    }

    /// The loss by sums over the rows, which those of a batch in shards add up to, if it has such on the device.
    /// Without them the shards exchange their rows.
    fn sums_over_rows(&self, device: &Device) -> Option<&dyn SumsOverRows<N>> {
        let _ = device;
        None
    }
}

/// The value and coefficients of the whole loss.
pub fn evaluate<const N: usize>(
    loss: &impl Parts<N>,
    embeddings: [Tensor<2>; N],
    gradient: bool,
) -> Surrogate<N> {
    loss.total(plain(&embeddings), gradient)
}

/// The loss on the graph of `embeddings`, keeping one coefficient matrix for each.
pub fn forward<const N: usize>(loss: &impl Parts<N>, embeddings: [Tensor<2>; N]) -> Tensor<1> {
    let gradient = embeddings.iter().any(Tensor::is_autodiff);
    evaluate(loss, embeddings.clone(), gradient).attach(embeddings)
}

/// The loss and its parts, each on the graph of `embeddings`.
pub fn forward_terms<const N: usize>(loss: &impl Parts<N>, embeddings: [Tensor<2>; N]) -> Terms {
    let gradient = embeddings.iter().any(Tensor::is_autodiff);
    let plain = plain(&embeddings);
    let parts = loss.parts(plain.clone(), gradient);
    let mut total = None;
    let mut named = Vec::new();
    for part in parts {
        let term = part.surrogate.attach(embeddings.clone());
        if part.weight != 0.0 {
            let weighted = term.clone().mul_scalar(part.weight);
            total = Some(match total {
                Some(total) => total + weighted,
                None => weighted,
            });
        }
        named.push((part.name, term));
    }
    let total = total.unwrap_or_else(|| nothing(plain, gradient).attach(embeddings));
    named
        .into_iter()
        .fold(Terms::new(total), |terms, (name, term)| {
            terms.with(name, term)
        })
}

/// The embeddings outside autodiff, in the precision of the statistics.
///
/// # Panics
///
/// If a matrix is empty.
fn plain<const N: usize>(embeddings: &[Tensor<2>; N]) -> [Tensor<2>; N] {
    embeddings.clone().map(|matrix| {
        let [rows, dims] = matrix.dims();
        assert!(
            rows > 0 && dims > 0,
            "the embeddings must have at least one row and one dimension, got [{rows}, {dims}]"
        );
        in_statistics_precision(matrix.without_autodiff())
    })
}

/// The loss whose weights are all zero: still on the graph, so that a sweep over weights may hold 0.
fn nothing<const N: usize>(embeddings: [Tensor<2>; N], gradient: bool) -> Surrogate<N> {
    Surrogate {
        value: scalar(&embeddings[0], 0.0),
        coefficients: gradient.then(|| embeddings.map(|matrix| matrix.zeros_like())),
    }
}
