//! Encoder, embedding layer and objective as one model that burn-train can train.

use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor};
use burn::train::{InferenceStep, TrainOutput, TrainStep};
use fullrank::unit_rows;
use fullrank_train::metrics::{EmbeddingInput, StepOutput, TermsInput};
use fullrank_vision::encoder::Encoder;

use crate::batches::ImageBatch;
use crate::config::RunConfig;
use crate::objective::{Objective, label_tensor};

/// A network from images to embeddings: what is trained, kept and measured.
#[derive(Module, Debug)]
pub struct Embedder {
    /// Images to features.
    pub encoder: Encoder,
    /// Features to embeddings.
    pub head: Linear,
}

impl Embedder {
    /// A new network for images of `channels` channels.
    pub fn new(config: &RunConfig, channels: usize, device: &Device) -> Self {
        let encoder = config.encoder.init(channels, device);
        let head = LinearConfig::new(encoder.features(), config.dimensions).init(device);
        Self { encoder, head }
    }

    /// The embeddings of images before they are divided by their norms.
    ///
    /// # Shapes
    ///
    /// - images: `[n, channels, height, width]`
    /// - output: `[n, dimensions]`
    pub fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        self.head.forward(self.encoder.forward(images))
    }

    /// The embeddings of images on the unit sphere, for measurements.
    ///
    /// # Shapes
    ///
    /// - images: `[n, channels, height, width]`
    /// - output: `[n, dimensions]`
    pub fn embed(&self, images: Tensor<4>) -> Tensor<2> {
        unit_rows(self.forward(images))
    }
}

/// A network in training.
#[derive(Module, Debug)]
pub struct MetricLearning {
    /// Images to embeddings.
    pub embedder: Embedder,
    objective: Objective,
}

impl MetricLearning {
    /// The network with what it is to minimize.
    pub fn new(embedder: Embedder, objective: Objective) -> Self {
        Self {
            embedder,
            objective,
        }
    }

    /// The names of the loss's parts.
    pub fn term_names(&self) -> &'static [&'static str] {
        self.objective.term_names()
    }

    /// The loss of a batch, on the graph, and what the metrics show of it.
    pub fn output(&self, batch: ImageBatch) -> StepOutput {
        let embeddings = self.embedder.forward(batch.images);
        let loss = self.objective.forward(embeddings.clone(), &batch.labels);
        let terms = [("ranking", Some(loss.ranking)), ("penalty", loss.penalty)];
        let given = terms
            .into_iter()
            .filter_map(|(name, term)| Some((name, term?)));
        let unit = unit_rows(embeddings.without_autodiff());
        let labels = label_tensor(&batch.labels, &unit.device());
        StepOutput {
            loss: loss.total,
            terms: TermsInput::new(given),
            embeddings: EmbeddingInput::labelled(unit, labels),
        }
    }
}

impl TrainStep for MetricLearning {
    type Input = ImageBatch;
    type Output = StepOutput;

    fn step(&self, batch: ImageBatch) -> TrainOutput<StepOutput> {
        let output = self.output(batch);
        let gradients = output.loss.backward();
        TrainOutput::new(self, gradients, output)
    }
}

impl InferenceStep for MetricLearning {
    type Input = ImageBatch;
    type Output = StepOutput;

    fn step(&self, batch: ImageBatch) -> StepOutput {
        self.output(batch)
    }
}
