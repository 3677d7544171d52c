//! The losses that are made of second moments.

use burn::tensor::{Device, Tensor};

use crate::shards::MomentSums;
use crate::statistics::Solver;
use crate::statistics::moments::{MomentTerms, Moments};
use crate::surrogate::{Part, Parts, SumsOverRows, Surrogate};

/// The name of a part, its weight, and the one term that it is.
pub(crate) type NamedTerm = (&'static str, f64, MomentTerms);

/// A loss made of [second moments](crate::statistics::moments).
pub(crate) trait MomentLoss<const N: usize> {
    /// Every part for views of this shape.
    fn moment_terms(&self, shape: [usize; 2]) -> Vec<NamedTerm>;

    /// Where to compute them.
    fn solver(&self) -> Solver;
}

impl<const N: usize, L: MomentLoss<N>> Parts<N> for L {
    fn parts(&self, embeddings: [Tensor<2>; N], gradient: bool) -> Vec<Part<N>> {
        let terms = self.moment_terms(embeddings[0].dims());
        let moments = Moments::new(embeddings, self.solver());
        terms.into_iter().map(part(&moments, gradient)).collect()
    }

    fn total(&self, embeddings: [Tensor<2>; N], gradient: bool) -> Surrogate<N> {
        let sum = weighted_sum(self.moment_terms(embeddings[0].dims()));
        Moments::new(embeddings, self.solver()).evaluate(sum, gradient)
    }

    fn sums_over_rows(&self, _: &Device) -> Option<&dyn SumsOverRows<N>> {
        Some(self)
    }
}

impl<const N: usize, L: MomentLoss<N>> SumsOverRows<N> for L {
    fn numbers(&self, dim: usize) -> usize {
        let products = if has_covariance(self) { dim } else { 0 };
        N * dim * (2 + products)
    }

    fn sums(&self, shard: &[Tensor<2>; N]) -> MomentSums {
        Moments::sums(shard, has_covariance(self))
    }

    fn parts_of_shard(
        &self,
        shard: &[Tensor<2>; N],
        batch: &MomentSums,
        gradient: bool,
    ) -> Vec<Part<N>> {
        let moments = Moments::of_shard(shard.clone(), batch, has_covariance(self));
        let [_, dim] = shard[0].dims();
        let terms = self.moment_terms([batch.rows(), dim]).into_iter();
        terms.map(part(&moments, gradient)).collect()
    }

    fn total_of_shard(
        &self,
        shard: &[Tensor<2>; N],
        batch: &MomentSums,
        gradient: bool,
    ) -> Surrogate<N> {
        let [_, dim] = shard[0].dims();
        let sum = weighted_sum(self.moment_terms([batch.rows(), dim]));
        Moments::of_shard(shard.clone(), batch, has_covariance(self)).evaluate(sum, gradient)
    }
}

/// Whether it has a covariance term, which takes the products of the columns.
fn has_covariance<const N: usize>(loss: &impl MomentLoss<N>) -> bool {
    let terms = loss.moment_terms([1, 1]);
    terms.iter().any(|(.., term)| term.covariance.is_some())
}

fn part<const N: usize>(moments: &Moments<N>, gradient: bool) -> impl Fn(NamedTerm) -> Part<N> {
    move |(name, weight, term)| Part {
        name,
        weight,
        surrogate: moments.evaluate(term, gradient),
    }
}

fn weighted_sum(terms: Vec<NamedTerm>) -> MomentTerms {
    let terms = terms.into_iter();
    terms.fold(MomentTerms::default(), |sum, (_, weight, term)| {
        sum.add(term, weight)
    })
}
