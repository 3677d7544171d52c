//! Encoder, expander and objective as one model that burn-train can train.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use burn::train::{InferenceStep, TrainOutput, TrainStep};
use fullrank::TwoViewLoss;
use fullrank_train::metrics::{EmbeddingInput, StepOutput, TermsInput};
use fullrank_vision::encoder::Encoder;
use fullrank_vision::expander::{Expander, ExpanderConfig};
use fullrank_vision::loader::ViewBatch;

use crate::config::{Method, RunConfig};
use crate::objective::Objective;

/// An encoder in training: the expander maps its representation to the embedding that the
/// objective sees, and is discarded afterwards.
#[derive(Module, Debug)]
pub struct SelfSupervised {
    /// Images to representations; what the training is for.
    pub encoder: Encoder,
    /// Representations to embeddings.
    pub expander: Expander,
    #[module(skip)]
    objective: Objective,
}

impl SelfSupervised {
    /// A new model for images of `channels` channels.
    pub fn new(config: &RunConfig, method: Method, channels: usize, device: &Device) -> Self {
        let encoder = config.encoder.init(channels, device);
        let mut lengths = config.expander.clone();
        if let (Method::Svmax, Some(last)) = (method, lengths.last_mut()) {
            *last = config.objectives.svmax.dimensions;
        }
        let expander = ExpanderConfig::new(encoder.features(), lengths).init(device);
        let objective = Objective::new(&config.objectives, method);
        Self {
            encoder,
            expander,
            objective,
        }
    }

    /// The loss.
    pub fn objective(&self) -> &Objective {
        &self.objective
    }

    /// The embeddings of both views, as the loss gets them.
    pub fn embeddings(&self, batch: ViewBatch) -> [Tensor<2>; 2] {
        let embed = |view| self.expander.forward(self.encoder.forward(view));
        batch.views.map(embed)
    }

    /// The embeddings of representations, in the scale in which the loss sees them.
    ///
    /// # Shapes
    ///
    /// - `representations`: `[batch, features]`
    /// - output: `[batch, dimensions]`
    pub fn embed(&self, representations: Tensor<2>) -> Tensor<2> {
        self.objective.seen(self.expander.forward(representations))
    }

    fn output(&self, batch: ViewBatch) -> StepOutput {
        let [a, b] = self.embeddings(batch);
        let seen = self.objective.seen(a.clone().without_autodiff());
        let terms = self.objective.forward_terms(a, b);
        StepOutput {
            terms: TermsInput::from(&terms),
            loss: terms.total,
            embeddings: EmbeddingInput::new(seen),
        }
    }
}

impl TrainStep for SelfSupervised {
    type Input = ViewBatch;
    type Output = StepOutput;

    fn step(&self, batch: ViewBatch) -> TrainOutput<StepOutput> {
        let output = self.output(batch);
        let gradients = output.loss.backward();
        TrainOutput::new(self, gradients, output)
    }
}

impl InferenceStep for SelfSupervised {
    type Input = ViewBatch;
    type Output = StepOutput;

    fn step(&self, batch: ViewBatch) -> StepOutput {
        self.output(batch)
    }
}
