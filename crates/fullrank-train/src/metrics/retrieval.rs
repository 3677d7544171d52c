//! Retrieval scores of all embeddings of a split, at the end of each epoch.

use std::sync::Arc;

use burn::prelude::*;
use burn::tensor::TensorReadError;
use burn::train::metric::{
    Metric, MetricAttributes, MetricMetadata, MetricName, Numeric, NumericAttributes, NumericEntry,
    SerializedEntry,
};
use fullrank_retrieval::scores::{LabelledRows, RankBy, Scores, ScoresConfig};

use super::input::EmbeddingInput;
use super::series::readable;
use crate::host_values::HostValues;

/// A burn-train metric that shows one retrieval score, between 0 and 1, of all embeddings of a split:
/// Recall@K, k-NN accuracy, R-precision or MAP@R as [`fullrank_retrieval::scores`] defines them.
///
/// Each row is a query that ranks the other rows of the split, itself left out (leave-one-out), or the
/// rows of a [`reference`](Self::reference). Queries without a match, a row of the same label, count in
/// none of the scores, k-NN accuracy included. The rows are ranked by their angle; see
/// [`ranked_by`](Self::ranked_by).
///
/// A score of a batch is not the mean of anything, so the metric keeps the rows (on their device) and
/// has no value before the end of the split, as burn-train's AUROC: the dashboard shows that of the split
/// before, and gets one point an epoch. Where a row is not finite, the epoch's value is NaN. Embeddings are
/// ranked in their own precision, f64 as f64 and all else as f32.
///
/// Its input must have labels: [`EmbeddingInput::labelled`]. Several of these metrics keep the same
/// tensors, but score them one by one: `n` rows of `d` dimensions take `n^2 d` multiplications on the
/// host each (a second for 10,000 rows of 512 on two cores), so register them by
/// `metric_valid_numeric` unless the training split is small.
///
/// # Panics
///
/// [`update`](Metric::update) panics if the input has no labels or another dimension than the batches
/// before.
///
/// # Source
///
/// Recall@K: Jegou, Douze and Schmid, "Product quantization for nearest neighbor search", 2011;
/// R-precision and MAP@R in metric learning: Musgrave, Belongie and Lim, "A Metric Learning Reality
/// Check", 2020, [arXiv 2003.08505](https://arxiv.org/abs/2003.08505).
#[derive(Clone)]
pub struct RetrievalMetric {
    name: MetricName,
    score: Score,
    rank_by: RankBy,
    reference: Option<Arc<HostRows>>,
    batches: Vec<EmbeddingInput>,
    value: Option<f64>,
    /// The text of the last split that was scored, shown while the next is under way.
    shown: String,
}

#[derive(Clone, Copy)]
enum Score {
    RecallAt(usize),
    KnnAccuracy(usize),
    RPrecision,
    MapAtR,
}

impl RetrievalMetric {
    /// Recall@K, shown as `Recall@1` for `k = 1`: the share of queries with at least one match among
    /// the `k` nearest rows.
    ///
    /// # Panics
    ///
    /// If `k` is zero.
    pub fn recall_at(k: usize) -> Self {
        assert!(k > 0, "the K of Recall@K must be at least 1, got 0");
        Self::new(format!("Recall@{k}"), Score::RecallAt(k))
    }

    /// k-NN accuracy, shown as `20-NN accuracy` for `k = 20`: the share of queries whose label most of
    /// the `k` nearest rows have, or of all rows if there are fewer.
    ///
    /// # Panics
    ///
    /// If `k` is zero.
    pub fn knn_accuracy(k: usize) -> Self {
        assert!(k > 0, "the k of k-NN must be at least 1, got 0");
        Self::new(format!("{k}-NN accuracy"), Score::KnnAccuracy(k))
    }

    /// R-precision: the share of matches among the R nearest rows, R being their number in all.
    pub fn r_precision() -> Self {
        Self::new("R-precision".to_string(), Score::RPrecision)
    }

    /// MAP@R: as R-precision, but a match counts the more the nearer it is.
    pub fn map_at_r() -> Self {
        Self::new("MAP@R".to_string(), Score::MapAtR)
    }

    fn new(name: String, score: Score) -> Self {
        Self {
            name: Arc::new(name),
            score,
            rank_by: RankBy::Cosine,
            reference: None,
            batches: Vec::new(),
            value: None,
            shown: SerializedEntry::not_available(None).formatted,
        }
    }

    /// By what the rows are ranked. Default: the angle
    #[must_use]
    pub fn ranked_by(mut self, rank_by: RankBy) -> Self {
        self.rank_by = rank_by;
        self
    }

    /// Ranks these rows, the same in every epoch, in place of the other rows of the split: the gallery
    /// of a network that is evaluated, since that of a network in training changes with it.
    ///
    /// # Shapes
    ///
    /// - `embeddings`: `[reference, dimensions]`
    /// - `labels`: `[reference]`
    ///
    /// # Errors
    ///
    /// If a tensor cannot be read back.
    ///
    /// # Panics
    ///
    /// If there are not as many labels as embeddings, none at all, or a row is not finite.
    pub fn reference(
        mut self,
        embeddings: Tensor<2>,
        labels: Tensor<1, Int>,
    ) -> Result<Self, TensorReadError> {
        let rows = HostRows::read(&[EmbeddingInput::labelled(embeddings, labels)])?;
        if let Err(error) = rows.labelled() {
            panic!("the reference of {}: {error}", self.name);
        }
        self.reference = Some(Arc::new(rows));
        Ok(self)
    }

    fn scored(&self) -> Result<f64, TensorReadError> {
        let queries = HostRows::read(&self.batches)?;
        let config = ScoresConfig {
            recall_at: match self.score {
                Score::RecallAt(k) => vec![k],
                _ => Vec::new(),
            },
            rank_by: self.rank_by,
            knn: match self.score {
                Score::KnnAccuracy(k) => Some(k),
                _ => None,
            },
            ..ScoresConfig::new()
        };
        // The shapes were checked: what is left is a row that is not finite.
        let scores = queries.labelled().and_then(|queries| {
            let reference = self.reference.as_deref().map(HostRows::labelled);
            config.score(&queries, reference.transpose()?.as_ref())
        });
        Ok(scores.map_or(f64::NAN, |scores| self.score.of(&scores)))
    }
}

impl Score {
    fn of(self, scores: &Scores) -> f64 {
        match self {
            Self::RecallAt(_) => scores.recall_at[0].1,
            Self::KnnAccuracy(_) => scores.knn_accuracy.unwrap_or(f64::NAN),
            Self::RPrecision => scores.r_precision,
            Self::MapAtR => scores.map_at_r,
        }
    }
}

/// Rows and labels of several batches, on the host.
struct HostRows {
    values: HostValues,
    dimensions: usize,
    labels: Vec<i64>,
}

impl HostRows {
    fn read(batches: &[EmbeddingInput]) -> Result<Self, TensorReadError> {
        let mut rows = Self {
            values: HostValues::Single(Vec::new()),
            dimensions: 0,
            labels: Vec::new(),
        };
        for batch in batches {
            let [_, dimensions] = batch.embeddings().dims();
            rows.dimensions = dimensions;
            rows.values.extend(HostValues::read(batch.embeddings())?);
            if let Some(labels) = batch.labels() {
                rows.labels.extend(labels.clone().try_into_vec_as::<i64>()?);
            }
        }
        Ok(rows)
    }

    fn labelled(&self) -> Result<LabelledRows<'_>, fullrank_retrieval::scores::ScoresError> {
        match &self.values {
            HostValues::Single(values) => LabelledRows::new(values, self.dimensions, &self.labels),
            HostValues::Double(values) => LabelledRows::new(values, self.dimensions, &self.labels),
        }
    }
}

impl Metric for RetrievalMetric {
    type Input = EmbeddingInput;

    fn name(&self) -> MetricName {
        self.name.clone()
    }

    fn description(&self) -> Option<String> {
        let of = match self.score {
            Score::RecallAt(k) => format!("queries with a match among the {k} nearest rows"),
            Score::KnnAccuracy(k) => format!("queries that their {k} nearest rows label rightly"),
            Score::RPrecision => "matches among the R nearest rows".to_string(),
            Score::MapAtR => "matches among the R nearest rows, the nearer the more".to_string(),
        };
        Some(format!("Share of {of}, over the split"))
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
        _metadata: &MetricMetadata,
    ) -> Result<SerializedEntry, TensorReadError> {
        let name = &self.name;
        assert!(
            item.labels().is_some(),
            "{name} needs labels: make its input by EmbeddingInput::labelled"
        );
        let [_, dimensions] = item.embeddings().dims();
        let known = match (self.batches.first(), &self.reference) {
            (Some(batch), _) => batch.embeddings().dims()[1],
            (None, Some(reference)) => reference.dimensions,
            (None, None) => dimensions,
        };
        assert_eq!(
            dimensions, known,
            "{name}: a batch has {dimensions} dimensions, the rows before have {known}"
        );
        self.batches.push(item.clone());
        Ok(SerializedEntry::new(
            self.shown.clone(),
            SerializedEntry::NOT_AVAILABLE.to_string(),
        ))
    }

    fn compute(&mut self) -> Result<SerializedEntry, TensorReadError> {
        if self.batches.is_empty() {
            return Ok(SerializedEntry::not_available(None));
        }
        let value = self.scored()?;
        self.value = Some(value);
        self.shown = format!("epoch {} - batch N/A", readable(value));
        Ok(SerializedEntry::new(
            self.shown.clone(),
            NumericEntry::Value(value).serialize(),
        ))
    }

    fn clear(&mut self) {
        self.batches.clear();
        self.value = None;
    }
}

impl Numeric for RetrievalMetric {
    fn value(&self) -> Option<NumericEntry> {
        None
    }

    fn running_value(&self) -> Option<NumericEntry> {
        None
    }

    /// The value of the split. `Value`, not `Final`: of a metric's `Final` entries the dashboard draws
    /// the first alone.
    fn final_value(&self) -> NumericEntry {
        NumericEntry::Value(self.value.unwrap_or(f64::NAN))
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_inputs::{at, rows};
    use super::*;

    fn labels<const N: usize>(labels: [i32; N]) -> Tensor<1, Int> {
        Tensor::from_ints(labels, &Device::default())
    }

    fn at_the_end(mut metric: RetrievalMetric, batches: &[EmbeddingInput]) -> f64 {
        for (iteration, batch) in batches.iter().enumerate() {
            let entry = metric.update(batch, &at(iteration + 1)).unwrap();
            assert!(entry.is_not_available());
            assert!(metric.value().is_none() && metric.running_value().is_none());
        }
        let entry = metric.compute().unwrap();
        let entry_of_the_split = metric.final_value();
        // A point of the dashboard's plot in every epoch.
        assert!(matches!(entry_of_the_split, NumericEntry::Value(_)));
        let value = entry_of_the_split.current();
        if value.is_finite() {
            assert_eq!(entry.serialized, value.to_string());
        }
        metric.clear();
        assert!(metric.compute().unwrap().is_not_available());
        assert!(metric.final_value().current().is_nan());
        value
    }

    /// On a line, 0 1 2 and 9 10: the row at 2 is nearest to that at 1, of another label.
    fn batches() -> [EmbeddingInput; 2] {
        [
            EmbeddingInput::labelled(rows([[0.0], [1.0], [9.0]]), labels([7, 7, -2])),
            EmbeddingInput::labelled(rows([[2.1], [10.0]]), labels([-2, -2])),
        ]
    }

    #[test]
    fn the_rows_of_all_batches_rank_each_other() {
        let value =
            |metric: RetrievalMetric| at_the_end(metric.ranked_by(RankBy::Euclidean), &batches());
        // Of 2.1 the nearest are 1, 0, 9: a match at rank 3.
        assert_eq!(value(RetrievalMetric::recall_at(1)), 0.8);
        assert_eq!(value(RetrievalMetric::recall_at(2)), 0.8);
        assert_eq!(value(RetrievalMetric::recall_at(3)), 1.0);
        assert_eq!(value(RetrievalMetric::knn_accuracy(1)), 0.8);
        // R is 1, 1, 2, 2, 2: for 2.1 none of the two nearest, for the others all.
        approx::assert_relative_eq!(value(RetrievalMetric::r_precision()), 0.8);
        approx::assert_relative_eq!(value(RetrievalMetric::map_at_r()), 0.8);
    }

    #[test]
    fn one_batch_or_several_is_the_same() {
        let [first, second] = batches();
        let rows = Tensor::cat(
            vec![first.embeddings().clone(), second.embeddings().clone()],
            0,
        );
        let whole = EmbeddingInput::labelled(rows, labels([7, 7, -2, -2, -2]));
        let metric = || RetrievalMetric::r_precision().ranked_by(RankBy::Euclidean);
        assert_eq!(
            at_the_end(metric(), &[whole]),
            at_the_end(metric(), &[first, second])
        );
    }

    #[test]
    fn rows_are_ranked_by_their_angle_unless_told_otherwise() {
        let batch = EmbeddingInput::labelled(
            rows([[1.0, 0.0], [9.0, 0.1], [1.0, 1.0], [0.5, 0.4]]),
            labels([0, 0, 1, 1]),
        );
        let metric = RetrievalMetric::recall_at(1);
        let value = at_the_end(metric.clone(), std::slice::from_ref(&batch));
        assert_eq!(value, 1.0);
        // By distance (1, 0) and (0.5, 0.4) are nearest to each other.
        let value = at_the_end(metric.ranked_by(RankBy::Euclidean), &[batch]);
        assert_eq!(value, 0.5);
    }

    #[test]
    fn a_reference_is_ranked_in_place_of_the_split() {
        let metric = RetrievalMetric::knn_accuracy(3)
            .ranked_by(RankBy::Euclidean)
            .reference(
                rows([[0.0], [0.2], [9.0], [9.1], [9.2]]),
                labels([7, 7, -2, -2, -2]),
            )
            .unwrap();
        // Two of the three nearest of 0, 1 and 2.1 are 7, three of those of 9 and 10 are -2.
        assert_eq!(at_the_end(metric, &batches()), 0.8);
    }

    /// Rows that are equal in f32, in one batch of f64 and one of f32.
    #[test]
    fn embeddings_in_f64_stay_f64() {
        let device = Device::default();
        let near = |by: f64| 1.0 + 1e-10 * by;
        let data = TensorData::new(vec![near(1.0), near(5.0), near(1.5), near(6.0)], [4, 1]);
        let wide = Tensor::from_data(data, (&device, burn::tensor::DType::F64));
        let batches = [
            EmbeddingInput::labelled(wide, labels([0, 1, 0, 1])),
            EmbeddingInput::labelled(rows([[9.0], [8.0]]), labels([2, 2])),
        ];
        for batches in [
            &batches[..1],
            &batches,
            &[batches[1].clone(), batches[0].clone()],
        ] {
            let metric = RetrievalMetric::recall_at(1).ranked_by(RankBy::Euclidean);
            assert_eq!(at_the_end(metric, batches), 1.0);
        }
    }

    #[test]
    fn an_embedding_that_is_not_finite_has_no_score() {
        let batch = EmbeddingInput::labelled(rows([[1.0], [f32::NAN]]), labels([0, 0]));
        assert!(at_the_end(RetrievalMetric::recall_at(1), &[batch]).is_nan());
    }

    #[test]
    #[should_panic(expected = "Recall@1 needs labels")]
    fn labels_are_needed() {
        let batch = EmbeddingInput::new(rows([[1.0], [2.0]]));
        let _ = RetrievalMetric::recall_at(1).update(&batch, &at(1));
    }

    #[test]
    #[should_panic(expected = "a batch has 2 dimensions, the rows before have 1")]
    fn all_batches_have_the_same_dimensions() {
        let mut metric = RetrievalMetric::knn_accuracy(1);
        let _ = metric.update(&batches()[0], &at(1));
        let batch = EmbeddingInput::labelled(rows([[1.0, 2.0]]), labels([0]));
        let _ = metric.update(&batch, &at(2));
    }

    #[test]
    #[should_panic(expected = "the K of Recall@K must be at least 1, got 0")]
    fn recall_at_zero_is_none() {
        let _ = RetrievalMetric::recall_at(0);
    }

    #[test]
    #[should_panic(expected = "2 embeddings but 1 labels")]
    fn each_embedding_has_a_label() {
        let _ = EmbeddingInput::labelled(rows([[1.0], [2.0]]), labels([0]));
    }
}
