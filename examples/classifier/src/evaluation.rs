//! What a trained classifier is worth, and how much of its space its penultimate layer uses.

use std::sync::Arc;

use anyhow::Result;
use burn::tensor::{Device, Tensor};
use datasets::ImageSet;
use fullrank::diagnostics::Diagnostics;
use serde::{Deserialize, Serialize};

use crate::batches::measuring;
use crate::model::Classifier;

/// What was measured on one classifier.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// The seconds that the training took, with what is measured after each epoch.
    pub seconds: f64,
    /// The share of the images that are classified rightly.
    pub accuracy: f64,
    /// The figures of the penultimate layer of those images.
    pub penultimate: Diagnostics,
}

/// Measures the penultimate layer and the logits of images with these labels.
pub fn evaluate(
    embeddings: Tensor<2>,
    logits: Tensor<2>,
    labels: &[usize],
    seconds: f64,
) -> Result<Evaluation> {
    let predicted: Vec<i64> = logits.argmax(1).into_data().iter().collect();
    let labels: Vec<i64> = labels.iter().map(|&label| label as i64).collect();
    let right = predicted.iter().zip(&labels).filter(|(a, b)| a == b);
    Ok(Evaluation {
        seconds,
        accuracy: right.count() as f64 / labels.len() as f64,
        penultimate: Diagnostics::from_tensor(&embeddings, Some(&labels))?,
    })
}

/// The penultimate layer and the logits of all images, in evaluation mode.
pub fn forward(
    model: &Classifier,
    images: &Arc<ImageSet>,
    device: &Device,
) -> Result<(Tensor<2>, Tensor<2>)> {
    let mut outputs = (Vec::new(), Vec::new());
    for batch in measuring(images, device).iter() {
        let (embeddings, logits) = model.forward(batch?.images);
        outputs.0.push(embeddings);
        outputs.1.push(logits);
    }
    Ok((Tensor::cat(outputs.0, 0), Tensor::cat(outputs.1, 0)))
}
