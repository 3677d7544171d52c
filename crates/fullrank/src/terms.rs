//! A loss and its named terms.

use burn::tensor::Tensor;

/// A loss beside the named terms it is made of, all on one graph: train [`total`](Terms::total), log
/// the terms (or train a combination of your own).
///
/// Every tensor has shape `[1]`. The terms are unweighted: the total is their sum, each times its
/// weight in the configuration.
#[derive(Clone, Debug)]
pub struct Terms {
    /// The loss.
    pub total: Tensor<1>,
    terms: Vec<(String, Tensor<1>)>,
}

impl Terms {
    pub(crate) fn new(zero: Tensor<1>) -> Self {
        Self {
            total: zero,
            terms: Vec::new(),
        }
    }

    /// Adds `weight * term` to the total and lists the term.
    pub(crate) fn push(&mut self, name: &str, weight: f64, term: Tensor<1>) {
        if weight != 0.0 {
            self.total = self.total.clone() + term.clone().mul_scalar(weight);
        }
        self.terms.push((name.to_string(), term));
    }

    /// The same terms as `prefix.name`.
    pub(crate) fn under(mut self, prefix: &str) -> Self {
        for (name, _) in &mut self.terms {
            *name = format!("{prefix}.{name}");
        }
        self
    }

    /// The sum of two losses, with the terms of both.
    pub(crate) fn merge(mut self, other: Self) -> Self {
        self.total = self.total + other.total;
        self.terms.extend(other.terms);
        self
    }

    /// The term of this name, if the loss has one.
    pub fn get(&self, name: &str) -> Option<&Tensor<1>> {
        self.iter()
            .find_map(|(candidate, term)| (candidate == name).then_some(term))
    }

    /// Every term with its name, in a fixed order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Tensor<1>)> {
        self.terms.iter().map(|(name, term)| (name.as_str(), term))
    }
}
