//! A step of the self-supervised example at its defaults: two views through encoder and expander, VICReg, and back to
//! every weight. And what comes before it: the views of a batch.

use std::time::Instant;

use burn::data::dataloader::DataLoader;
use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Gradients, Tensor};
use datasets::fashion_mnist;
use fullrank::{VicRegLoss, VicRegLossConfig};
use fullrank_train::session::weights::seeded;
use fullrank_vision::encoder::{Encoder, EncoderConfig};
use fullrank_vision::expander::{Expander, ExpanderConfig};
use fullrank_vision::loader::{ViewBatch, ViewLoader};
use fullrank_vision::views::ViewsConfig;
use serde_json::{Value, json};

use crate::npy;

const SEED: u64 = 1;
const EXPANDER: [usize; 3] = [512, 512, 512];

#[derive(Module, Debug)]
struct Network {
    encoder: Encoder,
    expander: Expander,
}

/// Network, loss and a batch.
pub(crate) struct TrainingStep {
    device: Device,
    network: Network,
    loss: VicRegLoss,
    loader: ViewLoader,
    batch: ViewBatch,
}

impl TrainingStep {
    /// On the first images of the shipped part of Fashion-MNIST.
    pub(crate) fn new(batch_size: usize, device: &Device) -> Self {
        let on_graph = device.clone().autodiff();
        let network = seeded(SEED, &fullrank_study::host(), &on_graph, |device| {
            let encoder = EncoderConfig::small_cnn().init(1, device);
            let expander = ExpanderConfig::new(encoder.features(), EXPANDER.into()).init(device);
            Network { encoder, expander }
        });
        let images = fashion_mnist::mini().train.into();
        let views = ViewsConfig::grayscale_images().init();
        let loader = ViewLoader::training(images, views, batch_size, SEED, device);
        let batch = batch_of(&loader);
        Self {
            device: device.clone(),
            network,
            loss: VicRegLossConfig::new().init(),
            loader,
            batch,
        }
    }

    /// Writes the views, and the weights in their order, into `folder`; the paths.
    pub(crate) fn export(&self, folder: &str) -> Value {
        let views: Vec<String> = (self.batch.views.iter().enumerate())
            .map(|(i, view)| {
                let path = format!("{folder}/view-{i}.npy");
                npy::write(&path, view.clone());
                path
            })
            .collect();
        let mut weights = Export {
            folder,
            paths: Vec::new(),
        };
        self.network.visit(&mut weights);
        json!({ "views": views, "weights": weights.paths })
    }

    /// The embeddings of the first view.
    pub(crate) fn embeddings(&self) -> Tensor<2> {
        self.embed(&self.batch.views[0]).without_autodiff()
    }

    fn embed(&self, view: &Tensor<4>) -> Tensor<2> {
        let features = self.network.encoder.forward(view.clone());
        self.network.expander.forward(features)
    }

    /// Milliseconds of forward and backward.
    pub(crate) fn time(&self) -> f64 {
        self.device.sync().expect("the device computes");
        let start = Instant::now();
        let (_, gradients) = self.run();
        self.device.sync().expect("the device computes");
        drop(gradients);
        start.elapsed().as_secs_f64() * 1e3
    }

    /// The loss; all gradients, one after the other, go to `path`.
    pub(crate) fn evaluate(&self, path: &str) -> Value {
        let (value, gradients) = self.run();
        let mut all = Flat {
            gradients: &gradients,
            parts: Vec::new(),
        };
        self.network.visit(&mut all);
        npy::write(path, Tensor::cat(all.parts, 0));
        let value: f64 = value.to_data().iter().next().expect("a value");
        json!({ "value": value })
    }

    fn run(&self) -> (Tensor<1>, Gradients) {
        let [a, b] = &self.batch.views;
        let value = self.loss.forward(self.embed(a), self.embed(b));
        let gradients = value.backward();
        (value, gradients)
    }

    /// Milliseconds until a batch of views is on the device.
    pub(crate) fn time_views(&self) -> f64 {
        self.device.sync().expect("the device computes");
        let start = Instant::now();
        let batch = batch_of(&self.loader);
        self.device.sync().expect("the device computes");
        drop(batch);
        start.elapsed().as_secs_f64() * 1e3
    }
}

fn batch_of(loader: &ViewLoader) -> ViewBatch {
    let batch = loader.iter().next().expect("a batch");
    batch.expect("images in memory")
}

/// Writes each weight to a file of its own.
struct Export<'a> {
    folder: &'a str,
    paths: Vec<String>,
}

impl ModuleVisitor for Export<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let weight = param.val();
        if weight.is_require_grad() {
            let path = format!("{}/weight-{:02}.npy", self.folder, self.paths.len());
            npy::write(&path, weight);
            self.paths.push(path);
        }
    }
}

/// The gradient of each weight as a vector.
struct Flat<'a> {
    gradients: &'a Gradients,
    parts: Vec<Tensor<1>>,
}

impl ModuleVisitor for Flat<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let weight = param.val();
        if weight.is_require_grad() {
            let gradient = weight.grad(self.gradients).expect("a gradient");
            self.parts.push(gradient.flatten(0, D - 1));
        }
    }
}
