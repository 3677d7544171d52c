//! Forward and backward of the losses: `cargo bench -p fullrank`.
//!
//! The shapes are those of `compare`, which also holds them against PyTorch.

use burn::tensor::{Device, Distribution, Tensor};
use divan::Bencher;
use fullrank::{
    BarlowTwinsLoss, CovarianceToIdentity, MmcrLoss, NtXentLoss, SigRegConfig, Solver, SvMaxConfig,
    SvMaxForm, VicRegLoss,
};

const ONE_VIEW: [[usize; 2]; 5] = [
    [144, 128],
    [256, 256],
    [512, 512],
    [1024, 512],
    [2048, 1024],
];

const TWO_VIEWS: [[usize; 2]; 5] = [
    [256, 512],
    [256, 2048],
    [512, 2048],
    [256, 8192],
    [2048, 512],
];

fn main() {
    divan::main();
}

#[divan::bench(args = ONE_VIEW.map(Shape))]
fn svmax(bencher: Bencher, shape: &Shape) {
    let loss = SvMaxConfig::paper()
        .with_form(SvMaxForm::Linear)
        .with_normalize(false)
        .init();
    bench(bencher, shape, |[e]| loss.forward(e));
}

/// All rows near one direction: what SVMax takes two steps for.
#[divan::bench(args = ONE_VIEW.map(Shape))]
fn svmax_nearly_collapsed(bencher: Bencher, shape: &Shape) {
    let loss = SvMaxConfig::new()
        .with_form(SvMaxForm::Linear)
        .with_normalize(false)
        .init();
    bench(bencher, shape, |[e]| {
        loss.forward(e.mul_scalar(1e-3).add_scalar(1.0))
    });
}

#[divan::bench(args = ONE_VIEW.map(Shape))]
fn svmax_by_matrix_products(bencher: Bencher, shape: &Shape) {
    let loss = SvMaxConfig::paper()
        .with_form(SvMaxForm::Linear)
        .with_normalize(false)
        .with_solver(Solver::Device)
        .init();
    bench(bencher, shape, |[e]| loss.forward(e));
}

#[divan::bench(args = TWO_VIEWS.map(Shape))]
fn vicreg(bencher: Bencher, shape: &Shape) {
    let loss = VicRegLoss::default();
    bench(bencher, shape, |[x, y]| loss.forward(x, y));
}

#[divan::bench(args = TWO_VIEWS.map(Shape))]
fn barlow_twins(bencher: Bencher, shape: &Shape) {
    let loss = BarlowTwinsLoss::default();
    bench(bencher, shape, |[x, y]| loss.forward(x, y));
}

#[divan::bench(args = ONE_VIEW.map(Shape))]
fn covariance_to_identity(bencher: Bencher, shape: &Shape) {
    let loss = CovarianceToIdentity::default();
    bench(bencher, shape, |[e]| loss.forward(e));
}

/// With the drawing of its 1024 directions.
#[divan::bench(args = ONE_VIEW.map(Shape))]
fn sigreg(bencher: Bencher, shape: &Shape) {
    let loss = SigRegConfig::new().init();
    bench(bencher, shape, |[e]| loss.forward(e));
}

#[divan::bench(args = ONE_VIEW.map(Shape))]
fn sigreg_by_tensors(bencher: Bencher, shape: &Shape) {
    let loss = SigRegConfig::new().with_solver(Solver::Device).init();
    bench(bencher, shape, |[e]| loss.forward(e));
}

#[divan::bench(args = TWO_VIEWS.map(Shape))]
fn nt_xent(bencher: Bencher, shape: &Shape) {
    let loss = NtXentLoss::default();
    bench(bencher, shape, |[x, y]| loss.forward(x, y));
}

#[divan::bench(args = TWO_VIEWS.map(Shape))]
fn mmcr(bencher: Bencher, shape: &Shape) {
    let loss = MmcrLoss::default();
    bench(bencher, shape, |[x, y]| loss.forward(x, y));
}

/// `[batch, dim]`
struct Shape([usize; 2]);

impl std::fmt::Display for Shape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}x{}", self.0[0], self.0[1])
    }
}

fn bench<const VIEWS: usize>(
    bencher: Bencher,
    shape: &Shape,
    loss: impl Fn([Tensor<2>; VIEWS]) -> Tensor<1>,
) {
    let plain = Device::default();
    plain.seed(1);
    let device = plain.clone().autodiff();
    let views: [Tensor<2>; VIEWS] =
        std::array::from_fn(|_| Tensor::random(shape.0, Distribution::Normal(0.0, 1.0), &device));
    bencher.bench_local(|| {
        let leaves = views.each_ref().map(|view| view.clone().require_grad());
        let gradients = loss(leaves.clone()).backward();
        let gradients = leaves.map(|leaf| leaf.grad(&gradients));
        plain.sync().expect("the device computes");
        gradients
    });
}
