//! Encoder, expander and objective as one model that burn-train can train.

use std::ops::Range;

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use burn::train::{InferenceStep, TrainOutput, TrainStep};
use fullrank::shards::GroupError;
use fullrank::{Terms, TwoViewLoss};
use fullrank_study::Workers;
use fullrank_train::all_reduce::sum_gradients;
use fullrank_train::large_batch::LargeBatch;
use fullrank_train::metrics::StepOutput;
use fullrank_vision::encoder::Encoder;
use fullrank_vision::expander::{Expander, ExpanderConfig};
use fullrank_vision::loader::ViewBatch;

use crate::config::{Accumulation, Method, RunConfig};
use crate::naive::naive_step;
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
    chunks: Chunks,
    #[module(skip)]
    workers: Option<Workers>,
}

/// How a training step works through its batch.
#[derive(Clone, Debug)]
enum Chunks {
    Exact(LargeBatch),
    Naive(LargeBatch),
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
        let chunks = match config.accumulation {
            Some(Accumulation::Exact(chunk)) => Chunks::Exact(LargeBatch::new(chunk)),
            Some(Accumulation::Naive(chunk)) => Chunks::Naive(LargeBatch::new(chunk)),
            None => Chunks::Exact(LargeBatch::new(config.batch_size)),
        };
        Self {
            encoder,
            expander,
            objective,
            chunks,
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
    pub fn embeddings(&self, views: [Tensor<4>; 2]) -> [Tensor<2>; 2] {
        views.map(|view| self.expander.forward(self.encoder.forward(view)))
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

    /// What the metrics read of the loss, of the embeddings of one view.
    pub(crate) fn output(&self, terms: &Terms, embeddings: Tensor<2>) -> StepOutput {
        let seen = self.objective.seen(embeddings.without_autodiff());
        StepOutput::new(terms, seen)
    }

    /// The loss of the batch; of several workers each has its rows of it, and the gradient of these.
    ///
    /// The statistics of normalization layers are those of the worker's rows.
    fn terms(&self, a: Tensor<2>, b: Tensor<2>) -> Terms {
        match &self.workers {
            Some(workers) => (self.objective).forward_terms_of_all(a, b, workers.group()),
            None => self.objective.forward_terms(a, b),
        }
    }

    /// The rows of all workers.
    fn of_all(&self, own: Tensor<2>) -> Tensor<2> {
        let Some(workers) = &self.workers else {
            return own;
        };
        let (device, dtype) = (own.device(), own.dtype());
        let gathered = exchanged(workers.group().all_gather(vec![own.into_data()]));
        let rows = gathered.lists.into_iter().flatten();
        let rows = rows.map(|rows| Tensor::from_data(rows, (&device, dtype)));
        Tensor::cat(rows.collect(), 0)
    }
}

/// What workers exchanged.
///
/// # Panics
///
/// If they could not: a step has no errors.
fn exchanged<T>(result: Result<T, GroupError>) -> T {
    result.unwrap_or_else(|error| panic!("{error}"))
}

/// These images of both views.
pub(crate) fn part(views: &[Tensor<4>; 2], images: Range<usize>) -> [Tensor<4>; 2] {
    (views.clone()).map(|view| view.slice([images.clone()]))
}

impl TrainStep for SelfSupervised {
    type Input = ViewBatch;
    type Output = StepOutput;

    fn step(&self, batch: ViewBatch) -> TrainOutput<StepOutput> {
        let ViewBatch { views, indices, .. } = batch;
        let mut output = match &self.chunks {
            Chunks::Exact(large) => large
                .step(
                    self,
                    indices.len(),
                    |model, images| model.embeddings(part(&views, images)),
                    |[a, b]| self.terms(a, b),
                )
                .train_output(|terms, [a, _]| self.output(&terms, self.of_all(a))),
            Chunks::Naive(large) => naive_step(self, &views, large.chunks(indices.len())),
        };
        if let Some(workers) = &self.workers {
            output.grads = exchanged(sum_gradients(&**workers.group(), self, output.grads));
        }
        output
    }
}

impl InferenceStep for SelfSupervised {
    type Input = ViewBatch;
    type Output = StepOutput;

    fn step(&self, batch: ViewBatch) -> StepOutput {
        let [a, b] = self.embeddings(batch.views);
        let terms = self.objective.forward_terms(a.clone(), b);
        let mut output = self.output(&terms, a);
        if let Some(workers) = &self.workers {
            // Running statistics differ from worker to worker, and a training must stop for all at the same epoch.
            let at = output.loss.device();
            let mut loss = exchanged(workers.of_first(vec![output.loss.into_data()]));
            output.loss = Tensor::from_data(loss.remove(0), &at);
        }
        output
    }
}
