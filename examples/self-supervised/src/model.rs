//! Encoder, expander and objective as one model that burn-train can train.

use burn::backend::ExecutionError;
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use burn::train::metric::{Adaptor, LossInput};
use burn::train::{InferenceStep, ItemLazy, TrainOutput, TrainStep};
use fullrank_train::encoder::Encoder;
use fullrank_train::expander::{Expander, ExpanderConfig};
use fullrank_train::loader::ViewBatch;
use fullrank_train::metrics::{EmbeddingInput, TermsInput};
use fullrank_train::run::weights::seeded;

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
    /// A new model for images of `channels` channels, whose weights depend on the seed and, beside
    /// the architecture, on nothing else.
    pub fn new(
        config: &RunConfig,
        method: Method,
        channels: usize,
        seed: u64,
        device: &Device,
    ) -> Self {
        seeded(seed, device, || {
            Self::init(config, method, channels, device)
        })
    }

    fn init(config: &RunConfig, method: Method, channels: usize, device: &Device) -> Self {
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

    /// The names of the loss's terms.
    pub fn term_names(&self) -> &'static [&'static str] {
        self.objective.term_names()
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

    fn output(&self, batch: ViewBatch) -> Output {
        let [a, b] = batch.views.map(|view| {
            let representation = self.encoder.forward(view);
            (
                self.expander.forward(representation.clone()),
                representation,
            )
        });
        let seen = self.objective.seen(a.0.clone().without_autodiff());
        let embeddings = EmbeddingInput::new(seen);
        let representations = EmbeddingInput::new(a.1);
        let loss = self.objective.forward(a.0, b.0);
        let terms = TermsInput::new(loss.terms);
        Output {
            loss: loss.total,
            terms,
            embeddings,
            representations,
        }
    }
}

/// What a step leaves for the metrics.
pub struct Output {
    /// The loss, `[1]`.
    pub loss: Tensor<1>,
    /// The terms of the loss.
    pub terms: TermsInput,
    /// The embeddings of the first view, in the scale in which the loss sees them.
    pub embeddings: EmbeddingInput,
    /// The representations of the first view.
    pub representations: EmbeddingInput,
}

impl ItemLazy for Output {
    fn sync(self) -> Result<Self, ExecutionError> {
        self.loss.device().flush()?;
        Ok(Self {
            loss: self.loss.without_autodiff(),
            ..self
        })
    }
}

impl Adaptor<LossInput> for Output {
    fn adapt(&self) -> LossInput {
        LossInput::new(self.loss.clone())
    }
}

impl Adaptor<TermsInput> for Output {
    fn adapt(&self) -> TermsInput {
        self.terms.clone()
    }
}

impl Adaptor<EmbeddingInput> for Output {
    fn adapt(&self) -> EmbeddingInput {
        self.embeddings.clone()
    }
}

impl TrainStep for SelfSupervised {
    type Input = ViewBatch;
    type Output = Output;

    fn step(&self, batch: ViewBatch) -> TrainOutput<Output> {
        let output = self.output(batch);
        let gradients = output.loss.backward();
        TrainOutput::new(self, gradients, output)
    }
}

impl InferenceStep for SelfSupervised {
    type Input = ViewBatch;
    type Output = Output;

    fn step(&self, batch: ViewBatch) -> Output {
        self.output(batch)
    }
}
