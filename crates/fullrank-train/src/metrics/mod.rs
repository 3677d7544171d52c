//! Live metrics of a training run: the named terms of a loss, how much of its space an embedding uses,
//! and what can be retrieved with it.
//!
//! They are ordinary burn-train metrics, for any model whose step hands on its embeddings: those of
//! any layer, whatever the loss. All but the terms read [`EmbeddingInput`], so one adaptor serves them.
//!
//! | metric | of | shows |
//! |---|---|---|
//! | [`MeanSingularValueMetric`] | each batch | the mean singular value of the unit rows, with its bounds |
//! | [`EffectiveRankMetric`] | each batch | RankMe |
//! | [`MeanStdMetric`] | each batch | the standard deviation of a dimension, averaged |
//! | [`DeadDimensionsMetric`] | each batch | how many dimensions hardly vary |
//! | [`RetrievalMetric`] | the split | Recall@K, k-NN accuracy, R-precision or MAP@R, with labels |
//! | [`TermMetric`] | each batch | a named term of the loss, from [`TermsInput`] |
//!
//! # A classifier's penultimate layer in the dashboard
//!
//! An ordinary Burn classifier. What is added for the metrics is marked `// +`:
//!
//! ```
//! use std::path::Path;
//! use std::sync::Arc;
//!
//! use burn::backend::ExecutionError;
//! use burn::data::dataloader::DataLoader;
//! use burn::nn::loss::CrossEntropyLossConfig;
//! use burn::nn::{Linear, LinearConfig};
//! use burn::optim::AdamConfig;
//! use burn::prelude::*;
//! use burn::tensor::activation::relu;
//! use burn::train::metric::{AccuracyInput, AccuracyMetric, Adaptor, LossInput, LossMetric};
//! use burn::train::{
//!     ClassificationOutput, InferenceStep, ItemLazy, Learner, LearningResult, SupervisedTraining,
//!     TrainOutput, TrainStep,
//! };
//! use fullrank_train::metrics::{
//!     DeadDimensionsMetric, EffectiveRankMetric, EmbeddingInput, MeanSingularValueMetric,
//!     RetrievalMetric,
//! };
//!
//! #[derive(Module, Debug)]
//! struct Classifier {
//!     hidden: Linear,
//!     head: Linear,
//! }
//!
//! #[derive(Clone, Debug)]
//! struct Batch {
//!     inputs: Tensor<2>,
//!     labels: Tensor<1, Int>,
//! }
//!
//! struct Output {
//!     classification: ClassificationOutput,
//!     embeddings: EmbeddingInput, // +
//! }
//!
//! impl Classifier {
//!     fn classify(&self, batch: Batch) -> Output {
//!         let embeddings = relu(self.hidden.forward(batch.inputs));
//!         let logits = self.head.forward(embeddings.clone());
//!         let cross_entropy = CrossEntropyLossConfig::new().init(&logits.device());
//!         let loss = cross_entropy.forward(logits.clone(), batch.labels.clone());
//!         Output {
//!             embeddings: EmbeddingInput::labelled(embeddings, batch.labels.clone()), // +
//!             classification: ClassificationOutput::new(loss, logits, batch.labels),
//!         }
//!     }
//! }
//!
//! // +
//! impl Adaptor<EmbeddingInput> for Output {
//!     fn adapt(&self) -> EmbeddingInput {
//!         self.embeddings.clone()
//!     }
//! }
//!
//! impl Adaptor<LossInput> for Output {
//!     fn adapt(&self) -> LossInput {
//!         self.classification.adapt()
//!     }
//! }
//!
//! impl Adaptor<AccuracyInput> for Output {
//!     fn adapt(&self) -> AccuracyInput {
//!         self.classification.adapt()
//!     }
//! }
//!
//! impl ItemLazy for Output {
//!     fn sync(self) -> Result<Self, ExecutionError> {
//!         let classification = self.classification.sync()?;
//!         Ok(Self { classification, ..self })
//!     }
//! }
//!
//! impl TrainStep for Classifier {
//!     type Input = Batch;
//!     type Output = Output;
//!
//!     fn step(&self, batch: Batch) -> TrainOutput<Output> {
//!         let output = self.classify(batch);
//!         TrainOutput::new(self, output.classification.loss.backward(), output)
//!     }
//! }
//!
//! impl InferenceStep for Classifier {
//!     type Input = Batch;
//!     type Output = Output;
//!
//!     fn step(&self, batch: Batch) -> Output {
//!         self.classify(batch)
//!     }
//! }
//!
//! fn train(
//!     directory: &Path,
//!     batches: Arc<dyn DataLoader<Batch>>,
//!     validation: Arc<dyn DataLoader<Batch>>,
//!     device: &Device,
//! ) -> LearningResult<Classifier> {
//!     let model = Classifier {
//!         hidden: LinearConfig::new(784, 128).init(device),
//!         head: LinearConfig::new(128, 10).init(device),
//!     };
//!     SupervisedTraining::new(directory, batches, validation)
//!         .metrics((LossMetric::new(), AccuracyMetric::new()))
//!         .metrics((
//!             MeanSingularValueMetric::new(), // +
//!             EffectiveRankMetric::new(),     // +
//!             DeadDimensionsMetric::new(),    // +
//!         ))
//!         .metric_valid_numeric(RetrievalMetric::recall_at(1)) // +
//!         .metric_valid_numeric(RetrievalMetric::knn_accuracy(20)) // +
//!         .num_epochs(2)
//!         .launch(Learner::new(model, AdamConfig::new().init(), 1e-3))
//! }
//! #
//! # // Two classes of random inputs that differ in their mean, and the files of the metrics.
//! # struct Rows;
//! #
//! # impl burn::data::dataloader::batcher::Batcher<usize, Batch> for Rows {
//! #     fn batch(&self, rows: Vec<usize>, device: &Device) -> Batch {
//! #         let labels: Vec<i32> = rows.iter().map(|row| (row % 2) as i32).collect();
//! #         let labels = Tensor::from_ints(labels.as_slice(), device);
//! #         let noise = burn::tensor::Distribution::Normal(0.0, 0.1);
//! #         let noise = Tensor::random([rows.len(), 784], noise, device);
//! #         let inputs = noise + (labels.clone() * 2 - 1).float().unsqueeze_dim(1);
//! #         Batch { inputs, labels }
//! #     }
//! # }
//! #
//! # let folder = tempfile::tempdir().unwrap();
//! # let rows = || {
//! #     let rows = burn::data::dataset::InMemDataset::new((0..64).collect());
//! #     burn::data::dataloader::DataLoaderBuilder::new(Rows).batch_size(16).build(rows)
//! # };
//! # let device = Device::default().autodiff();
//! # train(folder.path(), rows(), rows(), &device);
//! # for (name, lines) in [("Recall@1", 1), ("20-NN_accuracy", 1), ("Effective_rank", 5)] {
//! #     let file = folder.path().join(format!("valid/epoch-2/{name}.log"));
//! #     let log = std::fs::read_to_string(&file).unwrap();
//! #     assert_eq!(log.lines().count(), lines, "{name}: {log}");
//! #     if lines == 1 {
//! #         assert_eq!(log.trim(), "1", "{name}");
//! #     }
//! # }
//! ```
//!
//! In a terminal, `launch` opens burn-train's dashboard (its feature `tui`), with a plot of each metric.
//!
//! Keep the [`EmbeddingInput`] in the output, as above: its clones share the spectra, which are then
//! computed once an item, whatever the number of metrics that read them.
//!
//! # On a GPU
//!
//! A metric reads numbers from the device, which has to finish its work for that. [`MetricExt::every`] makes any metric,
//! burn-train's own as well, look at one step in so many: `LossMetric::new().every(10)`.
//!
//! # The terms of a loss
//!
//! [`TermsInput`] takes any named scalars; those of fullrank's losses are in `forward_terms`.
//!
//! ```
//! use burn::train::metric::Adaptor;
//! use fullrank_train::metrics::TermsInput;
//!
//! struct Output {
//!     terms: TermsInput,
//! }
//!
//! impl Adaptor<TermsInput> for Output {
//!     fn adapt(&self) -> TermsInput {
//!         self.terms.clone()
//!     }
//! }
//! ```

mod deviation;
mod embedding;
mod every;
mod figures;
mod input;
mod retrieval;
mod series;
mod step_output;
mod terms;
#[cfg(test)]
mod test_inputs;

pub use deviation::{DEAD_BELOW, dead_dimensions, dimension_std};
pub use embedding::{EmbeddingFigure, EmbeddingMetric};
pub use every::{EveryNth, MetricExt};
pub use figures::{
    DeadDimensions, DeadDimensionsMetric, EffectiveRank, EffectiveRankMetric, MeanSingularValue,
    MeanSingularValueMetric, MeanStd, MeanStdMetric,
};
pub use input::EmbeddingInput;
pub use retrieval::RetrievalMetric;
pub use step_output::StepOutput;
pub use terms::{TermMetric, TermsInput, with_loss_and_terms};
