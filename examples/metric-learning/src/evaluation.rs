//! What embeddings of the test images are worth: how well they retrieve images of their own class, and how
//! much of their space they use. Without augmentation, in evaluation mode.

use std::fmt;

use anyhow::Result;
use burn::tensor::{Device, Tensor};
use datasets::ImageSet;
use fullrank::{Bounds, rankme};
use fullrank_retrieval::scores::{LabelledRows, RankBy, Scores, ScoresConfig};
use fullrank_train::metrics::EmbeddingInput;
use fullrank_vision::loader::features_of;
use serde::{Deserialize, Serialize};

use crate::config::EvaluationConfig;
use crate::model::Embedder;

/// Images in one forward pass.
const BATCH: usize = 200;

/// The scores of test images that rank each other, in `[0, 1]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Retrieval {
    /// Recall@K as `(K, recall)`, by rising K; 1 and 8 are among them.
    pub recall_at: Vec<(usize, f64)>,
    /// Precision among the R nearest, over the ranks of the matches.
    pub map_at_r: f64,
    /// Normalized mutual information of classes and k-means clusters, if asked for.
    pub nmi: Option<f64>,
}

impl Retrieval {
    /// Recall@`k`, if it was measured.
    pub fn recall(&self, k: usize) -> Option<f64> {
        let found = self.recall_at.iter().find(|(at, _)| *at == k);
        found.map(|(_, recall)| *recall)
    }
}

/// How much of their space the embeddings use.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Usage {
    /// The mean singular value of all test embeddings, `s_mu`.
    pub mean_singular_value: f64,
    /// Its lower bound `L`, at which all rows are one direction.
    pub lower_bound: f64,
    /// Its upper bound `U`, at which all directions are used alike.
    pub upper_bound: f64,
    /// RankMe.
    pub effective_rank: f64,
    /// Number of dimensions.
    pub dimensions: usize,
    /// Number of embeddings.
    pub rows: usize,
    /// The singular values, largest first.
    pub singular_values: Vec<f64>,
}

impl Usage {
    /// `s_mu / U`.
    pub fn share(&self) -> f64 {
        self.mean_singular_value / self.upper_bound
    }
}

/// What was measured on one network, or on a baseline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// The retrieval scores.
    pub retrieval: Retrieval,
    /// Of embeddings; pixels have none.
    pub usage: Option<Usage>,
}

impl fmt::Display for Evaluation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "R@1 {:.3}", self.retrieval.recall(1).unwrap_or(f64::NAN))?;
        match &self.usage {
            Some(usage) => write!(f, ", s_mu/U {:.2}", usage.share()),
            None => Ok(()),
        }
    }
}

/// Measures embeddings of unit length.
///
/// # Shapes
///
/// - embeddings: `[test.len(), dimensions]`
pub fn evaluate(
    config: &EvaluationConfig,
    embeddings: Tensor<2>,
    test: &ImageSet,
) -> Result<Evaluation> {
    Ok(Evaluation {
        retrieval: retrieval(config, embeddings.clone(), test)?,
        usage: Some(usage(embeddings)),
    })
}

/// Measures the pixels themselves as embeddings, by the Euclidean distance.
pub fn evaluate_pixels(
    config: &EvaluationConfig,
    test: &ImageSet,
    device: &Device,
) -> Result<Evaluation> {
    let pixels = features_of(test, BATCH, device, |images| images.flatten::<2>(1, 3));
    Ok(Evaluation {
        retrieval: retrieval(config, pixels, test)?,
        usage: None,
    })
}

/// The embeddings of all images of a set, on the unit sphere.
pub fn embeddings(embedder: &Embedder, images: &ImageSet, device: &Device) -> Tensor<2> {
    features_of(images, BATCH, device, |images| embedder.embed(images))
}

fn retrieval(config: &EvaluationConfig, rows: Tensor<2>, test: &ImageSet) -> Result<Retrieval> {
    let [_, dimensions] = rows.dims();
    let values: Vec<f32> = rows.try_into_vec_as()?;
    let labels: Vec<i64> = test.labels().iter().map(|&label| label as i64).collect();
    let mut recall_at = [&config.recall_at[..], &[1, 8]].concat();
    recall_at.sort_unstable();
    recall_at.dedup();
    let scores: Scores = ScoresConfig::new()
        .with_recall_at(recall_at)
        .with_rank_by(RankBy::Euclidean)
        .with_nmi(config.nmi)
        .score(&LabelledRows::new(&values, dimensions, &labels)?, None)?;
    Ok(Retrieval {
        recall_at: scores.recall_at,
        map_at_r: scores.map_at_r,
        nmi: scores.nmi,
    })
}

fn usage(embeddings: Tensor<2>) -> Usage {
    let [rows, dimensions] = embeddings.dims();
    let input = EmbeddingInput::new(embeddings);
    let singular_values = input.unit_singular_values().to_vec();
    let bounds = Bounds::new(rows, dimensions);
    Usage {
        mean_singular_value: singular_values.iter().sum::<f64>() / singular_values.len() as f64,
        lower_bound: bounds.lower,
        upper_bound: bounds.upper,
        effective_rank: rankme(&singular_values),
        dimensions,
        rows,
        singular_values,
    }
}
