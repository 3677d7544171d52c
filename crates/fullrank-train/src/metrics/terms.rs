//! The named terms of a loss.

use burn::prelude::*;
use burn::tensor::TensorReadError;
use burn::train::metric::{
    Adaptor, LossInput, LossMetric, Metric, MetricAttributes, MetricMetadata, MetricName, Numeric,
    NumericAttributes, NumericEntry, SerializedEntry,
};
use burn::train::{InferenceStep, LearnerModel, SupervisedTraining, TrainStep};

use super::every::MetricExt;
use super::series::Series;

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

    /// The names and values of the terms.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Tensor<1>)> {
        self.terms.iter().map(|(name, term)| (name.as_str(), term))
    }

    /// The value of the term of this name.
    pub fn get(&self, name: &str) -> Option<&Tensor<1>> {
        self.iter()
            .find(|(known, _)| *known == name)
            .map(|(_, term)| term)
    }
}

/// The terms of a loss of fullrank, without its total.
impl From<&fullrank::Terms> for TermsInput {
    fn from(terms: &fullrank::Terms) -> Self {
        Self::new(terms.iter().map(|(name, term)| (name, term.clone())))
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
        self.state.name()
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
        match item.get(&self.state.name()) {
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
        self.state.final_value()
    }
}

/// Adds burn-train's loss metric and one for each of these terms. In training they look at one step in `every`, in
/// validation at all.
///
/// # Panics
///
/// If `every` is zero.
pub fn with_loss_and_terms<M>(
    training: SupervisedTraining<M>,
    terms: &[String],
    every: usize,
) -> SupervisedTraining<M>
where
    M: LearnerModel,
    <M as TrainStep>::Output: Adaptor<LossInput> + Adaptor<TermsInput>,
    <M as InferenceStep>::Output: Adaptor<LossInput> + Adaptor<TermsInput>,
{
    let training = training
        .metric_train_numeric(LossMetric::new().every(every))
        .metric_valid_numeric(LossMetric::new());
    let terms = terms.iter().map(|name| TermMetric::new(name));
    terms.fold(training, |training, term| {
        training
            .metric_train_numeric(term.clone().every(every))
            .metric_valid_numeric(term)
    })
}

#[cfg(test)]
mod tests {
    use super::super::test_inputs::at;
    use super::*;

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
}
