//! A loss and its named terms.

use burn::tensor::Tensor;

/// A loss beside the named terms it is made of, all on one graph: train [`total`](Terms::total), log
/// the terms (or train a combination of your own). A term that does not depend on the embeddings, such
/// as SVMax's bounds, is a plain tensor.
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
    /// A loss without terms; for a [`Regularizer`](crate::Regularizer) of your own.
    pub fn new(total: Tensor<1>) -> Self {
        Self {
            total,
            terms: Vec::new(),
        }
    }

    /// Adds a named term to the list; the total stays as it is.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, term: Tensor<1>) -> Self {
        self.terms.push((name.into(), term));
        self
    }

    /// The same terms as `prefix.name`.
    #[must_use]
    pub fn prefixed(mut self, prefix: &str) -> Self {
        for (name, _) in &mut self.terms {
            *name = format!("{prefix}.{name}");
        }
        self
    }

    /// The sum of two losses, with the terms of both.
    #[must_use]
    pub fn merge(mut self, other: Self) -> Self {
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

    /// The numbers: the total under the name `total`, then every term, all in one transfer from the device.
    pub fn values(&self) -> Vec<(String, f64)> {
        let total = [("total", &self.total)].into_iter();
        let (names, tensors): (Vec<_>, Vec<_>) = total.chain(self.iter()).unzip();
        let precision = self.total.dtype();
        let plain = tensors.into_iter().map(|tensor| {
            let plain = tensor.clone().without_autodiff();
            plain.cast(precision)
        });
        let numbers = Tensor::cat(plain.collect(), 0).into_data();
        (names.into_iter().map(str::to_owned))
            .zip(numbers.iter::<f64>())
            .collect()
    }
}
