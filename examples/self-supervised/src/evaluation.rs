//! What a frozen encoder is worth, and how much of its space it uses: measured on the test images,
//! without augmentation, in evaluation mode.

use burn::tensor::{Device, Tensor};
use datasets::ImageSet;
use fullrank::{Bounds, rankme};
use fullrank_train::knn::knn_accuracy;
use fullrank_train::metrics::{EmbeddingInput, dead_dimensions, dimension_std};
use fullrank_vision::loader::features_of;
use serde::{Deserialize, Serialize};

use crate::config::{EvaluationConfig, RunConfig};
use crate::cost::Cost;
use crate::model::SelfSupervised;
use fullrank_study::data::Data;

/// Images in one forward pass.
const BATCH: usize = 500;

/// The test accuracies of classifiers on frozen features, in `[0, 1]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Accuracy {
    /// Of the nearest neighbours by cosine.
    pub knn: f64,
    /// Of the linear probe.
    pub linear: f64,
}

/// How much of its space a matrix of feature rows uses.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Usage {
    /// The mean singular value with unit rows as a share of its upper bound, `s_mu / U`.
    pub mean_singular_value: f64,
    /// RankMe, of the singular values of the rows as they are.
    pub effective_rank: f64,
    /// Dimensions that hardly vary: see [`dead_dimensions`].
    pub dead: usize,
    /// Number of rows.
    pub rows: usize,
    /// Number of dimensions.
    pub dimensions: usize,
    /// The singular values with unit rows, largest first.
    pub singular_values: Vec<f64>,
    /// The standard deviation of each dimension.
    pub std: Vec<f64>,
}

/// What was measured on one encoder, or on a baseline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// k-NN and linear probe on the representation.
    pub accuracy: Accuracy,
    /// Of the expander's output, in the scale in which the loss sees it.
    pub embedding: Option<Usage>,
    /// Of the encoder's output.
    pub representation: Option<Usage>,
    /// What the loss costs, for a training.
    #[serde(default)]
    pub cost: Option<Cost>,
}

/// The features of the test images, a row for each image.
#[derive(Clone, Debug)]
pub struct Features {
    /// Of the expander, in the scale in which the loss sees them.
    pub embedding: Tensor<2>,
    /// Of the encoder.
    pub representation: Tensor<2>,
}

/// Measures an encoder, its representation and its embedding.
pub fn evaluate(
    config: &RunConfig,
    model: &SelfSupervised,
    data: &Data,
    device: &Device,
) -> (Evaluation, Features) {
    let represent = |images: &ImageSet| {
        features_of(images, BATCH, device, |images| {
            model.encoder.forward(images)
        })
    };
    let (train, test) = (represent(&data.train), represent(&data.test));
    let features = Features {
        embedding: model.embed(test.clone()),
        representation: test,
    };
    let evaluation = Evaluation {
        accuracy: accuracy(&config.evaluation, &train, &features.representation, data),
        embedding: Some(usage(features.embedding.clone())),
        representation: Some(usage(features.representation.clone())),
        cost: None,
    };
    (evaluation, features)
}

/// Measures the pixels themselves as features.
pub fn evaluate_pixels(config: &RunConfig, data: &Data, device: &Device) -> Evaluation {
    let pixels =
        |images: &ImageSet| features_of(images, BATCH, device, |images| images.flatten::<2>(1, 3));
    let accuracy = accuracy(
        &config.evaluation,
        &pixels(&data.train),
        &pixels(&data.test),
        data,
    );
    Evaluation {
        accuracy,
        embedding: None,
        representation: None,
        cost: None,
    }
}

fn accuracy(
    config: &EvaluationConfig,
    train: &Tensor<2>,
    test: &Tensor<2>,
    data: &Data,
) -> Accuracy {
    let (train_labels, test_labels) = (data.train.labels(), data.test.labels());
    let neighbours = config.neighbours.min(train_labels.len());
    let probe = config
        .probe
        .fit(train, train_labels, data.train.classes().len());
    Accuracy {
        knn: knn_accuracy(train, train_labels, test, test_labels, neighbours),
        linear: probe.accuracy(test, test_labels),
    }
}

fn usage(rows: Tensor<2>) -> Usage {
    let [count, dimensions] = rows.dims();
    let input = EmbeddingInput::new(rows);
    let unit = input.unit_singular_values();
    let mean = unit.iter().sum::<f64>() / unit.len() as f64;
    Usage {
        mean_singular_value: mean / Bounds::new(count, dimensions).upper,
        effective_rank: rankme(input.singular_values()),
        dead: dead_dimensions(input.embeddings()),
        rows: count,
        dimensions,
        singular_values: unit.to_vec(),
        std: dimension_std(input.embeddings()),
    }
}
