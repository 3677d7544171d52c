//! The loaded batches of embeddings, and a loss on them.

use std::time::Instant;

use burn::tensor::{Device, Tensor};
use serde_json::{Value, json};

use crate::losses::{Loss, loss, sign};
use crate::npy;

/// Batches of embeddings of one shape, one a view, on the host and on the device.
pub(crate) struct Batches {
    device: Device,
    views: Vec<Batch>,
}

struct Batch {
    entries: Vec<f32>,
    shape: [usize; 2],
    tensor: Tensor<2>,
}

/// What forward and backward took and found.
pub(crate) struct Step {
    pub(crate) milliseconds: f64,
    pub(crate) value: Tensor<1>,
    pub(crate) gradients: Vec<Tensor<2>>,
}

impl Batches {
    /// None yet.
    pub(crate) fn none(device: &Device) -> Self {
        Self {
            device: device.clone(),
            views: Vec::new(),
        }
    }

    /// From files.
    pub(crate) fn read<'a>(device: &Device, paths: impl Iterator<Item = &'a str>) -> Self {
        let view = |path| {
            let data = npy::read(path);
            let tensor = Tensor::<2>::from_data(data.clone(), &device.clone().autodiff());
            Batch {
                shape: tensor.dims(),
                entries: data.iter().collect(),
                tensor,
            }
        };
        Self {
            device: device.clone(),
            views: paths.map(view).collect(),
        }
    }

    pub(crate) fn device(&self) -> &Device {
        &self.device
    }

    /// `[rows, dims]` of each view.
    pub(crate) fn shape(&self) -> [usize; 2] {
        self.views[0].shape
    }

    /// The entries of each view, row after row.
    pub(crate) fn entries(&self) -> impl Iterator<Item = &[f32]> {
        self.views.iter().map(|view| view.entries.as_slice())
    }

    /// Each view outside autodiff.
    pub(crate) fn plain(&self) -> impl Iterator<Item = Tensor<2>> {
        (self.views.iter()).map(|view| view.tensor.clone().without_autodiff())
    }

    pub(crate) fn synchronize(&self) {
        self.device.sync().expect("the device computes");
    }

    /// Forward and backward, from leaves to their gradients.
    pub(crate) fn step(&self, loss: &Loss) -> Step {
        let leaves: Vec<Tensor<2>> = (self.views.iter())
            .map(|view| view.tensor.clone().require_grad())
            .collect();
        self.synchronize();
        let start = Instant::now();
        let value = loss(&leaves);
        let found = value.backward();
        let gradients = (leaves.iter())
            .map(|leaf| leaf.grad(&found).expect("a gradient for each view"))
            .collect();
        drop(found);
        self.synchronize();
        Step {
            milliseconds: start.elapsed().as_secs_f64() * 1e3,
            value,
            gradients,
        }
    }

    /// Value and gradients as the peers have them: for SVMax those of the mean singular value.
    pub(crate) fn evaluate<'a>(&self, name: &str, paths: impl Iterator<Item = &'a str>) -> Value {
        let sign = sign(name);
        let step = self.step(&loss(name));
        for (gradient, path) in step.gradients.into_iter().zip(paths) {
            npy::write(path, gradient * sign);
        }
        let value: f64 = step.value.to_data().iter().next().expect("a value");
        json!({ "value": sign * value })
    }
}
