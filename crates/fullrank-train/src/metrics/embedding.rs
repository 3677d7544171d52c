//! A figure of each batch of embeddings.

use std::marker::PhantomData;

use burn::tensor::TensorReadError;
use burn::train::metric::{
    Metric, MetricAttributes, MetricMetadata, MetricName, Numeric, NumericAttributes, NumericEntry,
    SerializedEntry,
};

use super::input::EmbeddingInput;
use super::series::Series;

/// One figure of a batch of embeddings, shown live by [`EmbeddingMetric`].
pub trait EmbeddingFigure: Clone + Send + Sync + 'static {
    /// The name of the metric.
    const NAME: &'static str;
    /// One sentence on what it measures.
    const DESCRIPTION: &'static str;
    /// Whether an embedding that uses more of its space has a higher value.
    const HIGHER_IS_BETTER: bool = true;

    /// The value for one batch; `None` where it is not defined.
    fn value(input: &EmbeddingInput) -> Result<Option<f64>, TensorReadError>;

    /// What to print behind the batch's value, such as its bounds.
    fn note(_input: &EmbeddingInput) -> String {
        String::new()
    }
}

/// A burn-train metric that shows one [`EmbeddingFigure`]; its epoch value is the mean over the
/// batches, weighted by their rows.
#[derive(Clone)]
pub struct EmbeddingMetric<F: EmbeddingFigure> {
    state: Series,
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
            figure: PhantomData,
        }
    }
}

impl<F: EmbeddingFigure> Metric for EmbeddingMetric<F> {
    type Input = EmbeddingInput;

    fn name(&self) -> MetricName {
        self.state.name()
    }

    fn description(&self) -> Option<String> {
        Some(F::DESCRIPTION.to_string())
    }

    fn attributes(&self) -> MetricAttributes {
        NumericAttributes {
            unit: None,
            higher_is_better: F::HIGHER_IS_BETTER,
        }
        .into()
    }

    fn update(
        &mut self,
        item: &EmbeddingInput,
        _metadata: &MetricMetadata,
    ) -> Result<SerializedEntry, TensorReadError> {
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
        self.state.final_value()
    }
}

#[cfg(test)]
mod tests {
    use super::super::figures::MeanStdMetric;
    use super::super::test_inputs::{at, rows};
    use super::*;

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
}
