//! Encoder, expander and objective as one model that burn-train can train.

use anyhow::Result;
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use burn::train::{InferenceStep, TrainOutput, TrainStep};
use fullrank::TwoViewLoss;
use fullrank_study::Workers;
use fullrank_train::all_reduce::sum_gradients;
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
    #[module(skip)]
    workers: Option<Workers>,
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
            workers: config.workers.clone(),
        }
    }

    /// The same model, trained by this process alone.
    #[must_use]
    pub fn alone(self) -> Self {
        Self {
            workers: None,
            ..self
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

    /// A step of one of several workers, of its rows of the batch: loss, terms and embeddings are of the whole batch,
    /// and so is the gradient.
    ///
    /// The statistics of normalization layers are those of the worker's rows.
    fn step_of(&self, workers: &Workers, batch: ViewBatch) -> Result<TrainOutput<StepOutput>> {
        let [a, b] = self.embeddings(batch);
        let seen = self.objective.seen(a.clone().without_autodiff());
        let seen = all_rows(workers, seen)?;
        let terms = self.objective.forward_terms_of_all(a, b, workers.group());
        let output = StepOutput {
            terms: TermsInput::from(&terms),
            loss: terms.total,
            embeddings: EmbeddingInput::new(seen),
        };
        let gradients = output.loss.backward();
        let mut output = TrainOutput::new(self, gradients, output);
        output.grads = sum_gradients(&**workers.group(), self, output.grads)?;
        Ok(output)
    }
}

/// The rows of all workers.
fn all_rows(workers: &Workers, own: Tensor<2>) -> Result<Tensor<2>> {
    let at = (own.device(), own.dtype());
    let lists = workers.group().all_gather(vec![own.into_data()])?.lists;
    let rows = lists.into_iter().flatten();
    let rows = rows.map(|rows| Tensor::from_data(rows, (&at.0, at.1)));
    Ok(Tensor::cat(rows.collect(), 0))
}

impl TrainStep for SelfSupervised {
    type Input = ViewBatch;
    type Output = StepOutput;

    fn step(&self, batch: ViewBatch) -> TrainOutput<StepOutput> {
        if let Some(workers) = &self.workers {
            let output = self.step_of(workers, batch);
            return output.unwrap_or_else(|error| panic!("{error}"));
        }
        let output = self.output(batch);
        let gradients = output.loss.backward();
        TrainOutput::new(self, gradients, output)
    }
}

impl InferenceStep for SelfSupervised {
    type Input = ViewBatch;
    type Output = StepOutput;

    fn step(&self, batch: ViewBatch) -> StepOutput {
        let mut output = self.output(batch);
        if let Some(workers) = &self.workers {
            // Running statistics differ from worker to worker, and a training must stop for all at the same epoch.
            let at = output.loss.device();
            let loss = workers.of_first(vec![output.loss.into_data()]);
            let mut loss = loss.unwrap_or_else(|error| panic!("{error}"));
            output.loss = Tensor::from_data(loss.remove(0), &at);
        }
        output
    }
}
