//! The figures of a batch: what each says, and its metric.

use burn::tensor::TensorReadError;
use fullrank::{Bounds, rankme};

use super::deviation::dead_dimensions;
use super::embedding::{EmbeddingFigure, EmbeddingMetric};
use super::input::EmbeddingInput;
use super::series::readable;

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
/// centred nor normalized (Garrido et al. 2023). It lies between 1, full collapse, and `min(b, d)`.
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

/// The number of dimensions that hardly vary over the batch: see [`dead_dimensions`]. Behind it stands
/// how many there are. Not defined for a single row.
///
/// A batch shows fewer variations than the whole set: a dimension that answers to a rare class is dead
/// in the batches without it.
#[derive(Clone, Debug)]
pub struct DeadDimensions;

impl EmbeddingFigure for DeadDimensions {
    const NAME: &'static str = "Dead dimensions";
    const DESCRIPTION: &'static str = "Dimensions that hardly vary over the batch";
    const HIGHER_IS_BETTER: bool = false;

    fn value(input: &EmbeddingInput) -> Result<Option<f64>, TensorReadError> {
        let rows = input.embeddings();
        Ok((rows.dims()[0] > 1).then(|| dead_dimensions(rows) as f64))
    }

    fn note(input: &EmbeddingInput) -> String {
        let [_, dimensions] = input.embeddings().dims();
        format!(" of {dimensions}")
    }
}

/// Shows the [`MeanSingularValue`] of the embeddings, as `0.92 of [0.09, 1.06]`.
pub type MeanSingularValueMetric = EmbeddingMetric<MeanSingularValue>;
/// Shows the [`EffectiveRank`] of the embeddings.
pub type EffectiveRankMetric = EmbeddingMetric<EffectiveRank>;
/// Shows the [`MeanStd`] of the embeddings.
pub type MeanStdMetric = EmbeddingMetric<MeanStd>;
/// Shows the [`DeadDimensions`] of the embeddings, as `12.000 of 128`.
pub type DeadDimensionsMetric = EmbeddingMetric<DeadDimensions>;

#[cfg(test)]
mod tests {
    use burn::train::metric::Metric;

    use super::super::test_inputs::{at, rows};
    use super::*;

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
        assert_eq!(
            shown::<DeadDimensions>(&input),
            "epoch 1.000 - batch 1.000 of 3"
        );
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
}
