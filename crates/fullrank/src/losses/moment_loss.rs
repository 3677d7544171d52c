//! The losses that are made of second moments.

use burn::tensor::Tensor;

use crate::statistics::Solver;
use crate::statistics::moments::{MomentTerms, Moments};
use crate::surrogate::{Part, Parts, Surrogate};

/// A loss made of [second moments](crate::statistics::moments).
pub(crate) trait MomentLoss<const N: usize> {
    /// Every part for views of this shape: its name, its weight, and the one term that it is.
    fn moment_terms(&self, shape: [usize; 2]) -> Vec<(&'static str, f64, MomentTerms)>;

    /// Where to compute them.
    fn solver(&self) -> Solver;
}

impl<const N: usize, L: MomentLoss<N>> Parts<N> for L {
    fn parts(&self, embeddings: [Tensor<2>; N], gradient: bool) -> Vec<Part<N>> {
        let terms = self.moment_terms(embeddings[0].dims());
        let moments = Moments::new(embeddings, self.solver());
        let part = |(name, weight, term)| Part {
            name,
            weight,
            surrogate: moments.evaluate(term, gradient),
        };
        terms.into_iter().map(part).collect()
    }

    fn total(&self, embeddings: [Tensor<2>; N], gradient: bool) -> Surrogate<N> {
        let terms = self.moment_terms(embeddings[0].dims()).into_iter();
        let sum = terms.fold(MomentTerms::default(), |sum, (_, weight, term)| {
            sum.add(term, weight)
        });
        Moments::new(embeddings, self.solver()).evaluate(sum, gradient)
    }
}
