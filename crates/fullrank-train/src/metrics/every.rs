//! Any metric at some of the iterations only.

use burn::tensor::TensorReadError;
use burn::train::metric::{
    Metric, MetricAttributes, MetricMetadata, MetricName, Numeric, NumericEntry, SerializedEntry,
};

/// Makes any metric an [`EveryNth`].
pub trait MetricExt: Metric + Numeric + Sized {
    /// The metric at the first iteration of an epoch and at every `every`-th after it. The iterations between have
    /// no value, and nothing of them is read from the device.
    ///
    /// # Panics
    ///
    /// If `every` is zero.
    fn every(self, every: usize) -> EveryNth<Self> {
        assert!(every > 0, "every must be at least 1, got {every}");
        EveryNth {
            metric: self,
            every,
            due: false,
            formatted: None,
        }
    }
}

impl<M: Metric + Numeric> MetricExt for M {}

/// A metric that looks at some iterations of an epoch only: [`MetricExt::every`].
///
/// Reading a number makes a GPU finish its work first. A training in which every metric looks at one step in ten
/// hands the steps between to the device without waiting for it.
#[derive(Clone)]
pub struct EveryNth<M> {
    metric: M,
    every: usize,
    /// Whether the last iteration had a value.
    due: bool,
    /// What the metric last said in this epoch.
    formatted: Option<String>,
}

impl<M: Metric + Numeric> Metric for EveryNth<M> {
    type Input = M::Input;

    fn name(&self) -> MetricName {
        self.metric.name()
    }

    fn description(&self) -> Option<String> {
        self.metric.description()
    }

    fn attributes(&self) -> MetricAttributes {
        self.metric.attributes()
    }

    fn update(
        &mut self,
        item: &M::Input,
        metadata: &MetricMetadata,
    ) -> Result<SerializedEntry, TensorReadError> {
        // Iterations count from one.
        let due = |iteration: usize| iteration.saturating_sub(1).is_multiple_of(self.every);
        self.due = metadata.iteration.is_none_or(due);
        if self.due {
            let entry = self.metric.update(item, metadata)?;
            self.formatted = Some(entry.formatted.clone());
            return Ok(entry);
        }
        let nothing = SerializedEntry::not_available(None);
        Ok(match &self.formatted {
            Some(formatted) => SerializedEntry::new(formatted.clone(), nothing.serialized),
            None => nothing,
        })
    }

    fn compute(&mut self) -> Result<SerializedEntry, TensorReadError> {
        self.metric.compute()
    }

    fn clear(&mut self) {
        self.metric.clear();
        (self.due, self.formatted) = (false, None);
    }
}

impl<M: Metric + Numeric> Numeric for EveryNth<M> {
    fn value(&self) -> Option<NumericEntry> {
        self.metric.value().filter(|_| self.due)
    }

    fn running_value(&self) -> Option<NumericEntry> {
        self.metric.running_value()
    }

    fn final_value(&self) -> NumericEntry {
        self.metric.final_value()
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Tensor};
    use burn::train::metric::{LossInput, LossMetric};

    use super::super::figures::EffectiveRankMetric;
    use super::super::input::EmbeddingInput;
    use super::super::test_inputs::{at, rows};
    use super::*;

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
        let running = metric.running_value().unwrap().serialize();
        assert_eq!(running.split(',').next_back(), Some("6"));
    }

    #[test]
    fn the_mean_is_over_the_iterations_that_were_looked_at() {
        let mut metric = LossMetric::new().every(2);
        for (iteration, loss) in [(1, 1.0), (2, f32::NAN), (3, 3.0), (4, 100.0)] {
            let loss = LossInput::new(Tensor::from_floats([loss], &Device::default()));
            metric.update(&loss, &at(iteration)).unwrap();
        }
        assert_eq!(metric.final_value().current(), 2.0);
        metric.clear();
        let nothing = LossInput::new(Tensor::from_floats([9.0], &Device::default()));
        let entry = metric.update(&nothing, &at(2)).unwrap();
        assert!(entry.is_not_available() && metric.value().is_none());
    }

    #[test]
    #[should_panic(expected = "every must be at least 1, got 0")]
    fn every_zeroth_is_refused() {
        let _ = LossMetric::new().every(0);
    }
}
