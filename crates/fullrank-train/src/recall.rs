//! Recall@K as a live metric: how often an image of an epoch has one of its own class among its `K`
//! nearest.

use std::sync::Arc;

use burn::prelude::*;
use burn::tensor::TensorReadError;
use burn::train::metric::{
    Metric, MetricAttributes, MetricMetadata, MetricName, Numeric, NumericAttributes, NumericEntry,
    SerializedEntry,
};
use fullrank_retrieval::scores::{LabelledRows, Metric as Ranking, ScoresConfig};

/// A batch of embeddings with the class of each, off the autodiff graph.
#[derive(Clone, Debug)]
pub struct LabelledEmbeddings {
    rows: Tensor<2>,
    labels: Arc<Vec<i64>>,
}

impl LabelledEmbeddings {
    /// Keeps the values of the embeddings and drops their graph.
    ///
    /// # Shapes
    ///
    /// - `embeddings`: `[batch, dimensions]`
    ///
    /// # Panics
    ///
    /// If there is not one label for each row.
    pub fn new(embeddings: Tensor<2>, labels: Arc<Vec<i64>>) -> Self {
        let [batch, _] = embeddings.dims();
        assert_eq!(
            batch,
            labels.len(),
            "{batch} rows, but {} labels",
            labels.len()
        );
        Self {
            rows: embeddings.without_autodiff(),
            labels,
        }
    }
}

/// Recall@K over all the embeddings of an epoch, by cosine: the share of those that have one of their
/// own class among the `K` nearest others. An embedding that is alone in its class does not count.
///
/// It belongs to a validation, where the model stays the same over an epoch; it has no value before the
/// epoch's end. An epoch in which no embedding has a match, or one is not finite, has the value 0.
#[derive(Clone)]
pub struct RecallMetric {
    k: usize,
    name: MetricName,
    values: Vec<f32>,
    labels: Vec<i64>,
    recall: Option<f64>,
}

impl RecallMetric {
    /// Recall@`k`.
    ///
    /// # Panics
    ///
    /// If `k` is zero.
    pub fn new(k: usize) -> Self {
        assert!(k > 0, "the K of Recall@K must be at least 1, got 0");
        Self {
            k,
            name: Self::name_at(k),
            values: Vec::new(),
            labels: Vec::new(),
            recall: None,
        }
    }

    /// The name of the metric of this `k`: `Recall at 1`.
    pub fn name_at(k: usize) -> MetricName {
        Arc::new(format!("Recall at {k}"))
    }

    fn score(&self) -> f64 {
        let dim = self.values.len() / self.labels.len().max(1);
        let config = ScoresConfig::new()
            .with_recall_at(vec![self.k])
            .with_metric(Ranking::Cosine);
        let recall = LabelledRows::new(&self.values, dim, &self.labels)
            .and_then(|rows| config.score(&rows, None))
            .map(|scores| scores.recall_at[0].1);
        recall.ok().filter(|recall| recall.is_finite()).unwrap_or(0.0)
    }
}

impl Metric for RecallMetric {
    type Input = LabelledEmbeddings;

    fn name(&self) -> MetricName {
        self.name.clone()
    }

    fn description(&self) -> Option<String> {
        Some("Share of the images with one of their class among the nearest".to_string())
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
        item: &LabelledEmbeddings,
        _metadata: &MetricMetadata,
    ) -> Result<SerializedEntry, TensorReadError> {
        let values: Vec<f32> = item.rows.clone().try_into_vec_as()?;
        self.values.extend(values);
        self.labels.extend(item.labels.iter());
        Ok(SerializedEntry::not_available(None))
    }

    fn compute(&mut self) -> Result<SerializedEntry, TensorReadError> {
        let recall = self.score();
        self.recall = Some(recall);
        Ok(SerializedEntry::new(
            format!("epoch {recall:.3} - batch N/A"),
            self.final_value().serialize(),
        ))
    }

    fn clear(&mut self) {
        self.values.clear();
        self.labels.clear();
        self.recall = None;
    }
}

impl Numeric for RecallMetric {
    fn value(&self) -> Option<NumericEntry> {
        self.recall.map(NumericEntry::Value)
    }

    fn running_value(&self) -> Option<NumericEntry> {
        self.value()
    }

    fn final_value(&self) -> NumericEntry {
        NumericEntry::Final(self.recall.unwrap_or(0.0))
    }
}

#[cfg(test)]
mod tests {
    use burn::data::dataloader::Progress;

    use super::*;

    fn metadata() -> MetricMetadata {
        MetricMetadata {
            progress: Progress::new(1, 2, None),
            iteration: None,
            lr: None,
        }
    }

    /// Points of the unit circle, in degrees.
    fn input(points: &[(f32, i64)]) -> LabelledEmbeddings {
        let values: Vec<f32> = points
            .iter()
            .flat_map(|(degrees, _)| {
                let (sin, cos) = degrees.to_radians().sin_cos();
                [3.0 * cos, 3.0 * sin]
            })
            .collect();
        let labels = points.iter().map(|point| point.1).collect();
        let data = TensorData::new(values, [points.len(), 2]);
        LabelledEmbeddings::new(
            Tensor::from_data(data, &Device::default()),
            Arc::new(labels),
        )
    }

    #[test]
    fn it_ranks_over_the_batches_of_an_epoch() {
        let batches = [
            input(&[(0.0, 0), (40.0, 1), (90.0, 2)]),
            input(&[(5.0, 0), (44.0, 0), (100.0, 2), (60.0, 1)]),
        ];
        for (k, expected) in [(1, 4.0 / 7.0), (2, 6.0 / 7.0)] {
            let mut metric = RecallMetric::new(k);
            for batch in &batches {
                metric.update(batch, &metadata()).unwrap();
                assert!(metric.value().is_none() && metric.running_value().is_none());
            }
            metric.compute().unwrap();
            approx::assert_abs_diff_eq!(metric.final_value().current(), expected, epsilon = 1e-12);

            metric.clear();
            metric.update(&input(&[(0.0, 5), (1.0, 5)]), &metadata()).unwrap();
            metric.compute().unwrap();
            assert_eq!(metric.final_value().current(), 1.0);
        }
    }

    #[test]
    fn without_a_match_or_a_number_it_is_zero() {
        for points in [&[(0.0, 0), (1.0, 1)][..], &[(f32::NAN, 0), (1.0, 0)], &[]] {
            let mut metric = RecallMetric::new(1);
            if !points.is_empty() {
                metric.update(&input(points), &metadata()).unwrap();
            }
            metric.compute().unwrap();
            assert_eq!(metric.final_value().current(), 0.0, "{points:?}");
        }
    }

    #[test]
    #[should_panic(expected = "2 rows, but 1 labels")]
    fn a_label_for_each_row() {
        let rows = Tensor::zeros([2, 3], &Device::default());
        LabelledEmbeddings::new(rows, Arc::new(vec![0]));
    }
}
