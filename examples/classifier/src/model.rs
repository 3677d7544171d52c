//! A classifier with a regularizer at its penultimate layer, as burn-train trains it.

use burn::backend::ExecutionError;
use burn::module::Module;
use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor};
use burn::train::metric::{AccuracyInput, Adaptor, LossInput};
use burn::train::{ClassificationOutput, InferenceStep, ItemLazy, TrainOutput, TrainStep};
use fullrank::{AnyRegularizer, Regularizer};
use fullrank_train::metrics::{EmbeddingInput, TermsInput};
use fullrank_vision::encoder::Encoder;

use crate::batches::ImageBatch;
use crate::config::{Method, RunConfig};

/// An encoder and a linear layer that classifies its output, the penultimate layer.
#[derive(Module, Debug)]
pub struct Classifier {
    encoder: Encoder,
    head: Linear,
    regularizer: Option<AnyRegularizer>,
}

impl Classifier {
    /// A new classifier of images of `channels` channels. All methods draw the same weights.
    pub fn new(
        config: &RunConfig,
        method: Method,
        (channels, classes): (usize, usize),
        device: &Device,
    ) -> Self {
        let encoder = config.encoder.init(channels, device);
        let head = LinearConfig::new(encoder.features(), classes).init(device);
        Self {
            encoder,
            head,
            regularizer: config.regularizer(method).map(|config| config.init()),
        }
    }

    /// The penultimate layer and the logits of images.
    ///
    /// # Shapes
    ///
    /// - `images`: `[batch, channels, height, width]`
    /// - output: `[batch, dimensions]` and `[batch, classes]`
    pub fn forward(&self, images: Tensor<4>) -> (Tensor<2>, Tensor<2>) {
        let embeddings = self.encoder.forward(images);
        let logits = self.head.forward(embeddings.clone());
        (embeddings, logits)
    }

    fn classify(&self, batch: ImageBatch) -> Output {
        let (embeddings, logits) = self.forward(batch.images);
        let cross_entropy = CrossEntropyLossConfig::new().init(&logits.device());
        let cross_entropy = cross_entropy.forward(logits.clone(), batch.labels.clone());
        let mut loss = cross_entropy.clone();
        let mut terms = vec![("cross-entropy", cross_entropy)];
        if let Some(regularizer) = &self.regularizer {
            let penalty = regularizer.forward(embeddings.clone());
            loss = loss + penalty.clone();
            terms.push(("penalty", penalty));
        }
        Output {
            terms: TermsInput::new(terms),
            embeddings: EmbeddingInput::labelled(embeddings, batch.labels.clone()),
            classification: ClassificationOutput::new(loss, logits, batch.labels),
        }
    }

    /// The names of the terms of the loss.
    pub fn term_names(&self) -> &'static [&'static str] {
        match self.regularizer {
            Some(_) => &["cross-entropy", "penalty"],
            None => &["cross-entropy"],
        }
    }
}

/// What a step leaves for the metrics.
pub struct Output {
    classification: ClassificationOutput,
    terms: TermsInput,
    embeddings: EmbeddingInput,
}

impl Adaptor<EmbeddingInput> for Output {
    fn adapt(&self) -> EmbeddingInput {
        self.embeddings.clone()
    }
}

impl Adaptor<TermsInput> for Output {
    fn adapt(&self) -> TermsInput {
        self.terms.clone()
    }
}

impl Adaptor<LossInput> for Output {
    fn adapt(&self) -> LossInput {
        self.classification.adapt()
    }
}

impl Adaptor<AccuracyInput> for Output {
    fn adapt(&self) -> AccuracyInput {
        self.classification.adapt()
    }
}

impl ItemLazy for Output {
    fn sync(self) -> Result<Self, ExecutionError> {
        let classification = self.classification.sync()?;
        Ok(Self {
            classification,
            ..self
        })
    }
}

impl TrainStep for Classifier {
    type Input = ImageBatch;
    type Output = Output;

    fn step(&self, batch: ImageBatch) -> TrainOutput<Output> {
        let output = self.classify(batch);
        TrainOutput::new(self, output.classification.loss.backward(), output)
    }
}

impl InferenceStep for Classifier {
    type Input = ImageBatch;
    type Output = Output;

    fn step(&self, batch: ImageBatch) -> Output {
        self.classify(batch)
    }
}
