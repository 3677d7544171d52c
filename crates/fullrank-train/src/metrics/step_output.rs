//! What a training step hands on to the metrics.

use burn::backend::ExecutionError;
use burn::prelude::*;
use burn::train::ItemLazy;
use burn::train::metric::{Adaptor, LossInput};
use fullrank::Terms;

use super::input::EmbeddingInput;
use super::terms::TermsInput;

/// The loss of a step, its terms and the embeddings: an output for models that have no other, which
/// burn-train's loss metric and every metric of this module read.
pub struct StepOutput {
    /// The loss, `[1]`.
    pub loss: Tensor<1>,
    /// The terms of the loss.
    pub terms: TermsInput,
    /// The embeddings.
    pub embeddings: EmbeddingInput,
}

impl StepOutput {
    /// What the metrics read of a loss and its embeddings; the graph of the embeddings is dropped.
    ///
    /// # Shapes
    ///
    /// - `embeddings`: `[batch, dimensions]`
    pub fn new(terms: &Terms, embeddings: Tensor<2>) -> Self {
        Self {
            loss: terms.total.clone(),
            terms: TermsInput::from(terms),
            embeddings: EmbeddingInput::new(embeddings),
        }
    }
}

impl ItemLazy for StepOutput {
    fn sync(self) -> Result<Self, ExecutionError> {
        self.loss.device().flush()?;
        Ok(Self {
            loss: self.loss.without_autodiff(),
            ..self
        })
    }
}

impl Adaptor<LossInput> for StepOutput {
    fn adapt(&self) -> LossInput {
        LossInput::new(self.loss.clone())
    }
}

impl Adaptor<TermsInput> for StepOutput {
    fn adapt(&self) -> TermsInput {
        self.terms.clone()
    }
}

impl Adaptor<EmbeddingInput> for StepOutput {
    fn adapt(&self) -> EmbeddingInput {
        self.embeddings.clone()
    }
}
