//! What a loss costs: its share of a training step.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use burn::data::dataloader::DataLoader;
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use burn::train::TrainStep;
use fullrank::TwoViewLoss;
use fullrank_vision::loader::ViewLoader;
use serde::{Deserialize, Serialize};

use crate::config::RunConfig;
use crate::model::SelfSupervised;
use fullrank_study::data::Data;

/// Medians on one batch, after the training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    /// Of the loss alone: its value and its gradient in the two embeddings.
    pub loss_milliseconds: f64,
    /// Of a step: both views through the network, the loss, and back to the weights. The update of
    /// the weights is left out.
    pub step_milliseconds: f64,
}

impl Cost {
    /// The share of the loss in the step.
    pub fn share(&self) -> f64 {
        self.loss_milliseconds / self.step_milliseconds
    }

    /// Measures them on a batch of training images.
    ///
    /// The statistics of the model's normalization layers take part in the steps: do not use it
    /// afterwards.
    pub fn measure(
        config: &RunConfig,
        model: SelfSupervised,
        data: &Data,
        device: &Device,
    ) -> Result<Self> {
        // Without the other processes, if there are some: they take no part.
        let model = model.alone().train();
        let images = data.train.clone();
        let loader =
            ViewLoader::training(images, config.views.init(), config.batch_size, 0, device);
        let batch = loader
            .iter()
            .next()
            .context("no batch to measure the loss on")??;
        let embeddings = (model.clone().no_grad())
            .embeddings(batch.views.clone())
            .map(Tensor::without_autodiff);
        Ok(Self {
            loss_milliseconds: median(31, device, || {
                let leaves = embeddings.clone().map(|e| e.autodiff().require_grad());
                let [a, b] = leaves.clone();
                let gradients = model.objective().forward(a, b).backward();
                assert!(leaves.iter().all(|leaf| leaf.grad(&gradients).is_some()));
            }),
            step_milliseconds: median(7, device, || {
                TrainStep::step(&model, batch.clone());
            }),
        })
    }
}

/// The median time of `work` in milliseconds, after a run that does not count.
fn median(runs: usize, device: &Device, work: impl Fn()) -> f64 {
    let mut times: Vec<Duration> = (0..=runs)
        .map(|_| {
            let start = Instant::now();
            work();
            device.sync().expect("the device computes");
            start.elapsed()
        })
        .collect();
    times.remove(0);
    times.sort();
    times[runs / 2].as_secs_f64() * 1e3
}
