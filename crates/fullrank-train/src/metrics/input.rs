//! What the metrics of embeddings read.

use std::sync::{Arc, OnceLock};

use burn::prelude::*;
use fullrank::{singular_values, unit_rows};

/// A batch of embeddings, off the autodiff graph, with spectra that are computed once on demand.
///
/// Clones share the spectra. Labels are needed by [`RetrievalMetric`](super::RetrievalMetric) alone.
#[derive(Clone, Debug)]
pub struct EmbeddingInput {
    shared: Arc<Embedding>,
}

#[derive(Debug)]
struct Embedding {
    rows: Tensor<2>,
    labels: Option<Tensor<1, Int>>,
    raw: OnceLock<Vec<f64>>,
    unit: OnceLock<Vec<f64>>,
}

impl EmbeddingInput {
    /// Keeps the values of the embeddings and drops their graph.
    ///
    /// # Shapes
    ///
    /// - `embeddings`: `[batch, dimensions]`
    pub fn new(embeddings: Tensor<2>) -> Self {
        Self::of(embeddings, None)
    }

    /// As [`new`](Self::new), with the label of each embedding.
    ///
    /// # Shapes
    ///
    /// - `embeddings`: `[batch, dimensions]`
    /// - `labels`: `[batch]`
    ///
    /// # Panics
    ///
    /// If there are not as many labels as embeddings.
    pub fn labelled(embeddings: Tensor<2>, labels: Tensor<1, Int>) -> Self {
        let ([rows, _], [count]) = (embeddings.dims(), labels.dims());
        assert_eq!(rows, count, "{rows} embeddings but {count} labels");
        Self::of(embeddings, Some(labels.without_autodiff()))
    }

    fn of(embeddings: Tensor<2>, labels: Option<Tensor<1, Int>>) -> Self {
        let shared = Arc::new(Embedding {
            rows: embeddings.without_autodiff(),
            labels,
            raw: OnceLock::new(),
            unit: OnceLock::new(),
        });
        Self { shared }
    }

    /// The embeddings, `[batch, dimensions]`.
    pub fn embeddings(&self) -> &Tensor<2> {
        &self.shared.rows
    }

    /// The labels, `[batch]`, if the input has them.
    pub fn labels(&self) -> Option<&Tensor<1, Int>> {
        self.shared.labels.as_ref()
    }

    /// The singular values of the embeddings as they are, largest first; exact, computed on the
    /// host at the first call.
    pub fn singular_values(&self) -> &[f64] {
        self.shared
            .raw
            .get_or_init(|| singular_values(&self.shared.rows))
    }

    /// The singular values of the embeddings with every row scaled to unit length, largest first;
    /// exact, computed on the host at the first call. A zero row stays zero.
    pub fn unit_singular_values(&self) -> &[f64] {
        self.shared
            .unit
            .get_or_init(|| singular_values(&unit_rows(self.shared.rows.clone())))
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_inputs::rows;
    use super::*;

    #[test]
    fn clones_share_the_spectra() {
        let input = EmbeddingInput::new(rows([[1.0, 2.0], [3.0, 4.0]]));
        let clone = input.clone();
        assert!(std::ptr::eq(
            input.singular_values(),
            clone.singular_values()
        ));
        assert!(std::ptr::eq(
            input.unit_singular_values(),
            clone.unit_singular_values()
        ));
    }
}
