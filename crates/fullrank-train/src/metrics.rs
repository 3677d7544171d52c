//! Live metrics of a training run: the named terms of a loss, and how much of its space a batch of
//! embeddings uses.
//!
//! They are ordinary burn-train metrics. A model's output adapts to all of them in two lines:
//!
//! ```
//! use burn::prelude::*;
//! use burn::train::metric::Adaptor;
//! use fullrank_train::metrics::{EmbeddingInput, TermsInput};
//!
//! struct Output {
//!     terms: TermsInput,
//!     embeddings: EmbeddingInput,
//! }
//!
//! impl Adaptor<TermsInput> for Output {
//!     fn adapt(&self) -> TermsInput {
//!         self.terms.clone()
//!     }
//! }
//!
//! impl Adaptor<EmbeddingInput> for Output {
//!     fn adapt(&self) -> EmbeddingInput {
//!         self.embeddings.clone()
//!     }
//! }
//! ```
//!
//! Keep the inputs in the output, as above: the clones share the spectra, which are then computed
//! once an item, whatever the number of metrics that read them.

use std::marker::PhantomData;
use std::sync::{Arc, OnceLock};

use burn::prelude::*;
use burn::tensor::TensorReadError;
use burn::train::metric::state::NumericMetricState;
use burn::train::metric::{
    Metric, MetricAttributes, MetricMetadata, MetricName, Numeric, NumericAttributes, NumericEntry,
    SerializedEntry,
};
use fullrank::{Bounds, diagnostics, rankme, singular_values, unit_rows};

/// The named scalar terms of a loss, off the autodiff graph.
#[derive(Clone, Debug, Default)]
pub struct TermsInput {
    terms: Vec<(String, Tensor<1>)>,
}

impl TermsInput {
    /// Keeps the values of the terms and drops their graph.
    ///
    /// # Shapes
    ///
    /// - each term: `[1]`
    pub fn new<N: Into<String>>(terms: impl IntoIterator<Item = (N, Tensor<1>)>) -> Self {
        let plain = |(name, term): (N, Tensor<1>)| (name.into(), term.without_autodiff());
        Self {
            terms: terms.into_iter().map(plain).collect(),
        }
    }

    /// The value of the term of this name.
    pub fn get(&self, name: &str) -> Option<&Tensor<1>> {
        self.terms
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, term)| term)
    }
}

/// A batch of embeddings, off the autodiff graph, with spectra that are computed once on demand.
///
/// Clones share the spectra.
#[derive(Clone, Debug)]
pub struct EmbeddingInput {
    shared: Arc<Embedding>,
}

#[derive(Debug)]
struct Embedding {
    rows: Tensor<2>,
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
        let rows = embeddings.without_autodiff();
        let shared = Arc::new(Embedding {
            rows,
            raw: OnceLock::new(),
            unit: OnceLock::new(),
        });
        Self { shared }
    }

    /// The embeddings, `[batch, dimensions]`.
    pub fn embeddings(&self) -> &Tensor<2> {
        &self.shared.rows
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

pub use fullrank::diagnostics::DEAD_BELOW;

/// The number of dimensions that hardly vary over the rows:
///
/// ```text
/// std_j <= 0.01 sqrt(mean_{i,k} E_ik^2)
/// ```
///
/// The measure is free of scale, and uncentred on purpose: where all rows are one constant vector
/// every dimension is dead, however large its entries are.
///
/// # Shapes
///
/// - `embeddings`: `[rows, dimensions]`, at least two rows
pub fn dead_dimensions(embeddings: &Tensor<2>) -> usize {
    let values = host_rows(embeddings);
    let squares: f64 = values.iter().map(|value| value * value).sum();
    diagnostics::dead_dimensions(&dimension_std(embeddings), squares / values.len() as f64)
}

/// The standard deviation of each dimension over the rows, unbiased, in double precision.
///
/// # Shapes
///
/// - `embeddings`: `[rows, dimensions]`, at least two rows
pub fn dimension_std(embeddings: &Tensor<2>) -> Vec<f64> {
    let [_, dimensions] = embeddings.dims();
    diagnostics::dimension_std(&host_rows(embeddings), dimensions)
}

fn host_rows(embeddings: &Tensor<2>) -> Vec<f64> {
    let plain = embeddings.clone().without_autodiff();
    plain
        .try_into_vec_as::<f64>()
        .expect("the embeddings can be read back")
}

/// One figure of a batch of embeddings, shown live by [`EmbeddingMetric`].
pub trait EmbeddingFigure: Clone + Send + Sync + 'static {
    /// The name of the metric.
    const NAME: &'static str;
    /// One sentence on what it measures.
    const DESCRIPTION: &'static str;

    /// The value for one batch; `None` where it is not defined.
    fn value(input: &EmbeddingInput) -> Result<Option<f64>, TensorReadError>;

    /// What to print behind the batch's value, such as its bounds.
    fn note(_input: &EmbeddingInput) -> String {
        String::new()
    }
}

/// The mean singular value of the batch with unit rows, `||E||_* / min(b, d)`, with its bounds for
/// this batch size and dimension (SVMax, section 3): the lower is full collapse, the upper a batch
/// that uses every direction equally.
#[derive(Clone, Debug)]
pub struct MeanSingularValue;

impl EmbeddingFigure for MeanSingularValue {
    const NAME: &'static str = "Mean singular value";
    const DESCRIPTION: &'static str =
        "Mean singular value of the batch with unit rows, and its bounds";

    fn value(input: &EmbeddingInput) -> Result<Option<f64>, TensorReadError> {
        let spectrum = input.unit_singular_values();
        Ok(Some(spectrum.iter().sum::<f64>() / spectrum.len() as f64))
    }

    fn note(input: &EmbeddingInput) -> String {
        let [batch, dimensions] = input.embeddings().dims();
        let bounds = Bounds::new(batch, dimensions);
        format!(
            " of [{}, {}]",
            readable(bounds.lower),
            readable(bounds.upper)
        )
    }
}

/// The effective rank of the batch: RankMe, `exp(-sum p_k ln p_k)` with `p_k = s_k / sum s`, of the
/// *singular values* (not the eigenvalues of the covariance) of the embeddings as they are, neither
/// centred nor normalised (Garrido et al. 2023). It lies between 1, full collapse, and `min(b, d)`.
#[derive(Clone, Debug)]
pub struct EffectiveRank;

impl EmbeddingFigure for EffectiveRank {
    const NAME: &'static str = "Effective rank";
    const DESCRIPTION: &'static str =
        "RankMe of the batch: exp of the entropy of its singular values";

    fn value(input: &EmbeddingInput) -> Result<Option<f64>, TensorReadError> {
        Ok(Some(rankme(input.singular_values())))
    }
}

/// The standard deviation of each dimension over the batch (unbiased), averaged over the
/// dimensions. VICReg's variance term pushes it to at least 1. Not defined for a single row.
#[derive(Clone, Debug)]
pub struct MeanStd;

impl EmbeddingFigure for MeanStd {
    const NAME: &'static str = "Mean std";
    const DESCRIPTION: &'static str = "Standard deviation of a dimension over the batch, averaged";

    fn value(input: &EmbeddingInput) -> Result<Option<f64>, TensorReadError> {
        let rows = input.embeddings().clone();
        if rows.dims()[0] < 2 {
            return Ok(None);
        }
        rows.var(0).sqrt().mean().try_into_scalar::<f64>().map(Some)
    }
}

/// Shows the [`MeanSingularValue`] of the embeddings, as `0.92 of [0.09, 1.06]`.
pub type MeanSingularValueMetric = EmbeddingMetric<MeanSingularValue>;
/// Shows the [`EffectiveRank`] of the embeddings.
pub type EffectiveRankMetric = EmbeddingMetric<EffectiveRank>;
/// Shows the [`MeanStd`] of the embeddings.
pub type MeanStdMetric = EmbeddingMetric<MeanStd>;

/// A burn-train metric that shows one [`EmbeddingFigure`]; its epoch value is the mean over the
/// batches, weighted by their rows.
#[derive(Clone)]
pub struct EmbeddingMetric<F: EmbeddingFigure> {
    state: Series,
    every: usize,
    figure: PhantomData<F>,
}

impl<F: EmbeddingFigure> Default for EmbeddingMetric<F> {
    fn default() -> Self {
        Self::new()
    }
}

impl<F: EmbeddingFigure> EmbeddingMetric<F> {
    /// A metric computed at every iteration.
    pub fn new() -> Self {
        Self {
            state: Series::new(F::NAME),
            every: 1,
            figure: PhantomData,
        }
    }

    /// Computes the figure at the first iteration of an epoch and at every `every`-th after it;
    /// the iterations between have no value. Default: `1`.
    ///
    /// # Panics
    ///
    /// If `every` is zero.
    #[must_use]
    pub fn every(mut self, every: usize) -> Self {
        assert!(every > 0, "every must be at least 1, got {every}");
        self.every = every;
        self
    }
}

impl<F: EmbeddingFigure> Metric for EmbeddingMetric<F> {
    type Input = EmbeddingInput;

    fn name(&self) -> MetricName {
        self.state.name.clone()
    }

    fn description(&self) -> Option<String> {
        Some(F::DESCRIPTION.to_string())
    }

    fn attributes(&self) -> MetricAttributes {
        NumericAttributes {
            unit: None,
            higher_is_better: true,
        }
        .into()
    }

    fn update(
        &mut self,
        item: &EmbeddingInput,
        metadata: &MetricMetadata,
    ) -> Result<SerializedEntry, TensorReadError> {
        // Iterations count from one.
        let due = |iteration: usize| iteration.saturating_sub(1).is_multiple_of(self.every);
        if !metadata.iteration.is_none_or(due) {
            return Ok(self.state.skip());
        }
        let [batch, _] = item.embeddings().dims();
        Ok(match F::value(item)? {
            Some(value) => self.state.update(value, batch, &F::note(item)),
            None => self.state.skip(),
        })
    }

    fn compute(&mut self) -> Result<SerializedEntry, TensorReadError> {
        Ok(self.state.finish())
    }

    fn clear(&mut self) {
        self.state.clear();
    }
}

impl<F: EmbeddingFigure> Numeric for EmbeddingMetric<F> {
    fn value(&self) -> Option<NumericEntry> {
        self.state.value()
    }

    fn running_value(&self) -> Option<NumericEntry> {
        self.state.running_value()
    }

    fn final_value(&self) -> NumericEntry {
        self.state.state.final_value()
    }
}

/// A named term of a loss, such as `"variance"`; its epoch value is the mean over the batches.
///
/// A step whose [`TermsInput`] lacks the term has no value.
#[derive(Clone)]
pub struct TermMetric {
    state: Series,
}

impl TermMetric {
    /// A metric for the term of this name, which becomes the metric's name.
    pub fn new(term: &str) -> Self {
        Self {
            state: Series::new(term),
        }
    }
}

impl Metric for TermMetric {
    type Input = TermsInput;

    fn name(&self) -> MetricName {
        self.state.name.clone()
    }

    fn attributes(&self) -> MetricAttributes {
        NumericAttributes {
            unit: None,
            higher_is_better: false,
        }
        .into()
    }

    fn update(
        &mut self,
        item: &TermsInput,
        _metadata: &MetricMetadata,
    ) -> Result<SerializedEntry, TensorReadError> {
        match item.get(&self.state.name) {
            Some(term) => {
                let value = term.clone().mean().try_into_scalar::<f64>()?;
                Ok(self.state.update(value, 1, ""))
            }
            None => Ok(self.state.skip()),
        }
    }

    fn compute(&mut self) -> Result<SerializedEntry, TensorReadError> {
        Ok(self.state.finish())
    }

    fn clear(&mut self) {
        self.state.clear();
    }
}

impl Numeric for TermMetric {
    fn value(&self) -> Option<NumericEntry> {
        self.state.value()
    }

    fn running_value(&self) -> Option<NumericEntry> {
        self.state.running_value()
    }

    fn final_value(&self) -> NumericEntry {
        self.state.state.final_value()
    }
}

/// The values of one metric over an epoch, some of whose iterations may have none.
#[derive(Clone)]
struct Series {
    name: MetricName,
    state: NumericMetricState,
    formatted: String,
    fresh: bool,
    seen: bool,
}

impl Series {
    fn new(name: &str) -> Self {
        Self {
            name: Arc::new(name.to_string()),
            state: NumericMetricState::new(),
            formatted: SerializedEntry::not_available(None).formatted,
            fresh: false,
            seen: false,
        }
    }

    fn update(&mut self, value: f64, count: usize, note: &str) -> SerializedEntry {
        self.state.update(value, count);
        self.fresh = true;
        self.seen = true;
        let epoch = readable(self.state.running_value().current());
        self.formatted = format!("epoch {epoch} - batch {}{note}", readable(value));
        SerializedEntry::new(
            self.formatted.clone(),
            self.state.current_value().serialize(),
        )
    }

    /// An iteration without a value shows the last one and records none.
    fn skip(&mut self) -> SerializedEntry {
        self.fresh = false;
        SerializedEntry::new(
            self.formatted.clone(),
            SerializedEntry::NOT_AVAILABLE.to_string(),
        )
    }

    fn finish(&mut self) -> SerializedEntry {
        if !self.seen {
            return SerializedEntry::not_available(None);
        }
        SerializedEntry::new(self.formatted.clone(), self.state.final_value().serialize())
    }

    fn clear(&mut self) {
        *self = Self {
            name: self.name.clone(),
            ..Self::new("")
        };
    }

    fn value(&self) -> Option<NumericEntry> {
        self.fresh.then(|| self.state.current_value())
    }

    fn running_value(&self) -> Option<NumericEntry> {
        self.seen.then(|| self.state.running_value())
    }
}

/// Three digits behind the point, or scientific notation where that would hide the number. Unlike
/// burn-train's own format it treats negative values as it does positive ones.
fn readable(value: f64) -> String {
    let size = value.abs();
    if size == 0.0 || (1e-2..1e5).contains(&size) || !size.is_finite() {
        format!("{value:.3}")
    } else {
        format!("{value:.2e}")
    }
}

#[cfg(test)]
mod tests {
    use burn::data::dataloader::Progress;

    use super::*;

    fn rows<const N: usize, const D: usize>(values: [[f32; D]; N]) -> Tensor<2> {
        Tensor::from_floats(values, &Device::default())
    }

    fn at(iteration: usize) -> MetricMetadata {
        let progress = Progress::new(1, 1, None);
        MetricMetadata {
            progress,
            iteration: Some(iteration),
            lr: None,
        }
    }

    fn shown<F: EmbeddingFigure>(input: &EmbeddingInput) -> String {
        EmbeddingMetric::<F>::new()
            .update(input, &at(1))
            .unwrap()
            .formatted
    }

    #[test]
    fn a_flat_spectrum_reaches_the_upper_bound() {
        // Rows 2 e_1, 3 e_2: unit rows have singular values 1 and 1, the rows themselves 3 and 2.
        let input = EmbeddingInput::new(rows([[2.0, 0.0, 0.0], [0.0, 3.0, 0.0]]));
        assert_eq!(
            shown::<MeanSingularValue>(&input),
            "epoch 1.000 - batch 1.000 of [0.707, 1.000]"
        );
        // exp(-0.6 ln 0.6 - 0.4 ln 0.4) = 1.9601
        assert_eq!(shown::<EffectiveRank>(&input), "epoch 1.960 - batch 1.960");
        // sqrt(2), 3 / sqrt(2) and 0, averaged.
        assert_eq!(shown::<MeanStd>(&input), "epoch 1.179 - batch 1.179");
        assert_eq!(dead_dimensions(input.embeddings()), 1);
    }

    #[test]
    fn a_constant_batch_has_rank_one_and_only_dead_dimensions() {
        let input = EmbeddingInput::new(rows([[3.0, 4.0]; 8]));
        let lower = Bounds::new(8, 2).lower;
        let value = MeanSingularValue::value(&input).unwrap().unwrap();
        approx::assert_relative_eq!(value, lower, epsilon = 1e-6);
        approx::assert_relative_eq!(
            EffectiveRank::value(&input).unwrap().unwrap(),
            1.0,
            epsilon = 1e-4
        );
        assert_eq!(dead_dimensions(input.embeddings()), 2);
        assert_eq!(dead_dimensions(&rows([[0.0, 0.0]; 3])), 2);
    }

    #[test]
    fn dead_dimensions_do_not_depend_on_the_scale() {
        for scale in [1e-6, 1.0, 1e6] {
            let matrix = rows([[1.0, 0.005, 0.2], [-1.0, 0.0, -0.2], [0.5, 0.0, 0.1]]);
            assert_eq!(dead_dimensions(&(matrix * scale)), 1);
        }
    }

    #[test]
    fn standard_deviations_are_unbiased() {
        let std = dimension_std(&rows([[1.0, 0.0], [3.0, 0.0], [5.0, 6.0]]));
        approx::assert_relative_eq!(std[0], 2.0);
        approx::assert_relative_eq!(std[1], 12f64.sqrt());
    }

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

    #[test]
    fn iterations_between_have_no_value() {
        let mut metric = EffectiveRankMetric::new().every(3);
        let input = EmbeddingInput::new(rows([[1.0, 0.0], [0.0, 1.0]]));
        let valued: Vec<bool> = (1..=7)
            .map(|iteration| {
                let entry = metric.update(&input, &at(iteration)).unwrap();
                assert_eq!(entry.formatted, "epoch 2.000 - batch 2.000");
                assert_eq!(metric.value().is_some(), !entry.is_not_available());
                metric.value().is_some()
            })
            .collect();
        assert_eq!(valued, [true, false, false, true, false, false, true]);
        assert_eq!(
            metric
                .running_value()
                .unwrap()
                .serialize()
                .split(',')
                .next_back(),
            Some("6")
        );
    }

    #[test]
    fn a_single_row_has_no_standard_deviation_and_does_not_spoil_the_epoch() {
        let mut metric = MeanStdMetric::new();
        metric
            .update(&EmbeddingInput::new(rows([[0.0], [2.0]])), &at(1))
            .unwrap();
        let entry = metric
            .update(&EmbeddingInput::new(rows([[5.0]])), &at(2))
            .unwrap();
        assert!(entry.is_not_available());
        approx::assert_relative_eq!(metric.final_value().current(), 2f64.sqrt(), epsilon = 1e-6);
        metric.clear();
        assert!(metric.compute().unwrap().is_not_available());
    }

    #[test]
    fn a_term_is_found_by_name_and_may_be_negative() {
        let device = Device::default();
        let value = |value: f32| Tensor::<1>::from_floats([value], &device);
        let mut metric = TermMetric::new("penalty");
        let terms = TermsInput::new([("invariance", value(1.0)), ("penalty", value(-2.0))]);
        let entry = metric.update(&terms, &at(1)).unwrap();
        assert_eq!(entry.formatted, "epoch -2.000 - batch -2.000");
        let without = TermsInput::new([("invariance", value(1.0))]);
        assert!(metric.update(&without, &at(2)).unwrap().is_not_available());
        assert!(metric.value().is_none());
        assert_eq!(metric.final_value().current(), -2.0);
    }

    #[test]
    fn small_and_large_numbers_keep_their_digits() {
        let text: Vec<String> = [0.0, 0.01, -0.25, 1.5e-4, -3e-9, 2.5e7, f64::NAN]
            .map(readable)
            .into();
        assert_eq!(
            text,
            [
                "0.000", "0.010", "-0.250", "1.50e-4", "-3.00e-9", "2.50e7", "NaN"
            ]
        );
    }

    #[test]
    #[should_panic(expected = "every must be at least 1, got 0")]
    fn every_zeroth_iteration_is_none() {
        let _ = MeanStdMetric::new().every(0);
    }
}
