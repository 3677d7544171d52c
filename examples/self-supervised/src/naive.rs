//! Gradient accumulation as it is usually done, to be compared with: each chunk's loss for itself.

use std::ops::Range;

use burn::optim::{GradientsAccumulator, GradientsParams};
use burn::tensor::Tensor;
use burn::train::TrainOutput;
use fullrank::{Terms, TwoViewLoss};
use fullrank_train::metrics::StepOutput;

use crate::model::{SelfSupervised, part};

/// A step by the mean of the chunks' losses, each weighted by its number of images: the gradient is not that of the loss of
/// the batch. The metrics see this mean, and the embeddings of all chunks.
pub(crate) fn naive_step(
    model: &SelfSupervised,
    views: &[Tensor<4>; 2],
    chunks: impl Iterator<Item = Range<usize>>,
) -> TrainOutput<StepOutput> {
    let [images, ..] = views[0].dims();
    let mut accumulator = GradientsAccumulator::new();
    let (mut losses, mut embeddings) = (Vec::new(), Vec::new());
    for chunk in chunks {
        let share = chunk.len() as f64 / images as f64;
        let [a, b] = model.embeddings(part(views, chunk));
        let terms = model.objective().forward_terms(a.clone(), b);
        let gradients = (terms.total.clone() * share).backward();
        accumulator.accumulate(model, GradientsParams::from_grads(gradients, model));
        losses.push((share, terms));
        embeddings.push(a.without_autodiff());
    }
    TrainOutput {
        grads: accumulator.grads(),
        item: model.output(&mean(&losses), Tensor::cat(embeddings, 0)),
    }
}

/// The weighted mean of losses of the same terms, off autodiff.
fn mean(losses: &[(f64, Terms)]) -> Terms {
    let of = |value: &dyn Fn(&Terms) -> Tensor<1>| {
        let weighted = losses
            .iter()
            .map(|(share, terms)| value(terms).without_autodiff() * *share);
        weighted.reduce(|sum, value| sum + value).expect("a chunk")
    };
    let names = losses.iter().take(1).flat_map(|(_, terms)| terms.iter());
    let total = Terms::new(of(&|terms| terms.total.clone()));
    names.fold(total, |mean, (name, _)| {
        let term = of(&|terms| terms.get(name).expect("the same terms").clone());
        mean.with(name, term)
    })
}
