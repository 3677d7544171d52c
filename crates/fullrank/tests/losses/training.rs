//! Training steps: a small network on the default device, and what a step reads back.

use burn::module::{Module, Param};
use burn::optim::{AdamWConfig, GradientsParams};
use burn::tensor::activation::{log_softmax, relu};
use burn::tensor::{DType, Device, Tensor};
#[cfg(feature = "capture")]
use fullrank::Solver;
use fullrank::{SvMaxConfig, VicRegLoss};

use crate::matrices::{Matrix, number, on_host};

/// Two layers, `tanh` between them, trained by gradient descent.
struct Mlp {
    weights: [Tensor<2>; 2],
}

impl Mlp {
    fn new(device: &Device) -> Self {
        let layer = |rows, dims, seed| {
            let scale = 1.0 / (rows as f64).sqrt();
            let weight = Matrix::normal(rows, dims, seed).map(|x| scale * x);
            weight.tensor(&device.clone().autodiff(), DType::F32)
        };
        Self {
            weights: [layer(12, 24, 1), layer(24, 16, 2)],
        }
    }

    /// One step down the gradient of `loss`, a function of the embedding.
    fn step(&mut self, rate: f64, loss: impl Fn(&dyn Fn(&Tensor<2>) -> Tensor<2>) -> Tensor<1>) {
        let leaves = self.weights.clone().map(Tensor::require_grad);
        let embed = |x: &Tensor<2>| {
            let hidden = x.clone().matmul(leaves[0].clone()).tanh();
            hidden.matmul(leaves[1].clone())
        };
        let gradients = loss(&embed).backward();
        self.weights = leaves.map(|leaf| {
            let gradient = leaf.grad(&gradients).expect("the loss depends on it");
            let next = leaf.without_autodiff() - gradient.mul_scalar(rate);
            next.autodiff()
        });
    }

    fn embed(&self, x: &Tensor<2>) -> Tensor<2> {
        let [first, second] = self.weights.clone().map(Tensor::without_autodiff);
        x.clone().matmul(first).tanh().matmul(second)
    }
}

/// A supervised loss that collapses the embedding, all rows towards one target, against SVMax.
#[test]
fn a_small_network_keeps_its_rank_with_svmax() {
    let device = Device::default();
    let x = Matrix::normal(40, 12, 3).tensor(&device, DType::F32);
    let target = Matrix::from_fn(1, 16, |_, j| if j == 0 { 1.0 } else { 0.0 });
    let target = target.tensor(&device, DType::F32);
    let trained = |weight: f64| {
        let svmax = SvMaxConfig::new().with_weight(weight).init();
        let mut mlp = Mlp::new(&device);
        for _ in 0..60 {
            mlp.step(0.2, |embed| {
                let e = embed(&x);
                let pull = (e.clone() - target.clone()).square().sum_dim(1).mean();
                pull + svmax.forward(e)
            });
        }
        let terms = svmax.forward_terms(mlp.embed(&x));
        number(terms.get("mean_singular_value").unwrap().clone())
    };
    let (plain, regularized) = (trained(0.0), trained(1.0));
    let upper = fullrank::Bounds::new(40, 16).upper;
    assert!(plain < 0.6 * upper, "{plain} of {upper} without");
    assert!(
        regularized > plain + 0.2 * upper,
        "{regularized} with, {plain} without, of {upper}"
    );
}

/// Three layers without bias or normalization, ReLU between them.
#[derive(Module, Debug)]
struct Classifier {
    weights: Vec<Param<Tensor<2>>>,
}

impl Classifier {
    fn new(device: &Device, seed: u64) -> Self {
        let layer = |rows: usize, dims, seed| {
            let scale = 1.0 / (3.0 * rows as f64).sqrt();
            let weight = Matrix::normal(rows, dims, seed).map(|x| scale * x);
            Param::from_tensor(weight.tensor(device, DType::F32))
        };
        Self {
            weights: vec![
                layer(8, 16, seed),
                layer(16, 8, seed + 1),
                layer(8, 3, seed + 2),
            ],
        }
    }

    /// The layer before the last, and the logits.
    fn forward(&self, x: Tensor<2>) -> [Tensor<2>; 2] {
        let hidden = relu(x.matmul(self.weights[0].val()));
        let embedding = relu(hidden.matmul(self.weights[1].val()));
        let logits = embedding.clone().matmul(self.weights[2].val());
        [embedding, logits]
    }
}

/// Short rows, nearly parallel: the exact gradient at the paper's weight takes away what they have in common and
/// with it their length, which makes it grow until nothing is learned; the default raises the rank and lets the
/// classifier learn.
#[test]
fn the_default_svmax_leaves_a_plain_classifier_alone() {
    // Nine trainings, of which a device would make others, but no other kind.
    if !on_host() {
        return;
    }
    let device = Device::default().autodiff();
    let trained = |config: SvMaxConfig, seed: u64| {
        let means = Matrix::normal(3, 8, 100 + seed);
        let noise = Matrix::normal(60, 8, 200 + seed);
        let x = Matrix::from_fn(60, 8, |i, j| {
            3.0 + 0.5 * means.entries[8 * (i % 3) + j] + 0.3 * noise.entries[8 * i + j]
        });
        let x = x.tensor(&device, DType::F32);
        let classes = Matrix::from_fn(60, 3, |i, j| f64::from(u8::from(i % 3 == j)));
        let classes = classes.tensor(&device, DType::F32);
        let svmax = config.init();
        let mut classifier = Classifier::new(&device, 10 * seed);
        let mut optimizer = AdamWConfig::new().init();
        for _ in 0..200 {
            let [embedding, logits] = classifier.forward(x.clone());
            let cross_entropy = -(log_softmax(logits, 1) * classes.clone()).sum() / 60.0;
            let loss = cross_entropy + svmax.forward(embedding);
            let gradients = GradientsParams::from_grads(loss.backward(), &classifier);
            classifier = optimizer.step(3e-3, classifier, gradients);
        }
        let [embedding, logits] = classifier.forward(x);
        let right = logits.argmax(1).equal(classes.argmax(1)).float().mean();
        let terms = svmax.forward_terms(embedding.without_autodiff());
        [
            number(right.without_autodiff()),
            number(terms.get("mean_singular_value").unwrap().clone()),
        ]
    };
    let mut lost = 0.0;
    for seed in 1..4 {
        let [plain, plain_mean] = trained(SvMaxConfig::new().with_weight(0.0), seed);
        let [ours, our_mean] = trained(SvMaxConfig::new(), seed);
        let [paper, _] = trained(SvMaxConfig::paper(), seed);
        println!("{plain} {plain_mean}; {ours} {our_mean}; {paper}");
        assert!(
            plain > 0.9 && ours > plain - 0.05,
            "{ours} with the default, {plain} without"
        );
        assert!(
            our_mean > 1.1 * plain_mean,
            "{our_mean} with the default, {plain_mean} without"
        );
        lost += (plain - paper) / 3.0;
    }
    // Not seed by seed: how a training that is destroyed goes on depends on the last bit, and so on the processor.
    assert!(
        lost > 0.2,
        "{lost} of the accuracy lost with the exact gradient at weight 1"
    );
}

/// VICReg of two noisy views: every term falls or stays, and the loss by half.
#[test]
fn a_small_network_learns_by_vicreg() {
    let device = Device::default();
    let clean = Matrix::normal(40, 12, 4);
    let view = |seed| {
        let noisy = clean
            .clone()
            .zip(&Matrix::normal(40, 12, seed), |x, noise| x + 0.2 * noise);
        noisy.tensor(&device, DType::F32)
    };
    let vicreg = VicRegLoss::default();
    let mut mlp = Mlp::new(&device);
    let (first, second) = (view(5), view(6));
    let loss = |mlp: &Mlp| number(vicreg.forward(mlp.embed(&first), mlp.embed(&second)));
    let before = loss(&mlp);
    for _ in 0..60 {
        mlp.step(0.02, |embed| vicreg.forward(embed(&first), embed(&second)));
    }
    let after = loss(&mlp);
    assert!(after < 0.5 * before, "{before} before, {after} after");
}

/// The matmul-only path reads nothing back: on a device that records operations instead of executing
/// them, where no computed number can be read, values and coefficients go through. (The device knows no
/// autodiff; attaching them to the graph is arithmetic alone.) The host solver, which has to read the
/// batch, does not.
#[cfg(feature = "capture")]
#[test]
fn nothing_is_read_back_from_the_device() {
    let operations = |solver: Solver, all: bool| {
        let device = Device::capture();
        let captured = device.capture_scope(|scope| {
            let input = Matrix::normal(24, 16, 7).tensor(&device, DType::F32);
            // Computed, so that its entries are not known.
            let e = input.mul_scalar(2.0);
            let svmax = SvMaxConfig::new().with_solver(solver).init();
            let mut coefficients = vec![svmax.evaluate(e.clone()).coefficients.unwrap()[0].clone()];
            if all {
                let other = e.clone().neg().add_scalar(1.0);
                let vicreg = VicRegLoss::default().evaluate(e.clone(), other.clone());
                let barlow = fullrank::BarlowTwinsLoss::default();
                let barlow = barlow.evaluate(e.clone(), other.clone());
                let identity = fullrank::CovarianceToIdentity::default().evaluate(e.clone());
                let nt_xent = fullrank::NtXentLoss::default().evaluate(e.clone(), other.clone());
                let mmcr = fullrank::MmcrLossConfig::new()
                    .with_local_weight(0.7)
                    .init();
                let mmcr = mmcr.evaluate(e.clone(), other.clone());
                let sigreg = fullrank::SigReg::default().evaluate(e.clone());
                let lejepa = fullrank::LeJepaLoss::default().evaluate(e, other);
                for one_view in [identity, sigreg] {
                    coefficients.extend(one_view.coefficients.unwrap());
                }
                for two_views in [vicreg, barlow, nt_xent, mmcr, lejepa] {
                    coefficients.extend(two_views.coefficients.unwrap());
                }
            }
            assert!(coefficients.iter().all(|c| c.dims() == [24, 16]));
            scope.complete([], [])
        });
        captured.expect("a capture").graph.operations.len()
    };
    let by_products = operations(Solver::Device, true);
    assert!(by_products > 50, "{by_products} operations");
    assert_eq!(operations(Solver::Auto, true), by_products);
    let host = std::panic::catch_unwind(|| operations(Solver::Host, false));
    assert!(host.is_err(), "the host solver cannot have read the batch");
}
