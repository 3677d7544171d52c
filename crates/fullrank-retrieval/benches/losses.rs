//! Forward and backward of the ranking losses: `cargo bench -p fullrank-retrieval`.
//!
//! Normal rows, four of each class.

use burn::tensor::{Device, Distribution, Int, Tensor, TensorData};
use divan::Bencher;
use fullrank_retrieval::{
    AngularLossConfig, AngularPairs, ContrastiveLossConfig, LiftedStructureLossConfig,
    MultiSimilarityLossConfig, NPairLossConfig, RankingLoss, SpreadOutConfig, TripletLossConfig,
    TripletMining,
};

const SHAPES: [[usize; 2]; 2] = [[144, 128], [600, 64]];

fn main() {
    divan::main();
}

#[divan::bench(args = SHAPES.map(Shape))]
fn contrastive(bencher: Bencher, shape: &Shape) {
    bench(bencher, shape, &ContrastiveLossConfig::new().init());
}

#[divan::bench(args = SHAPES.map(Shape))]
fn triplet_batch_hard(bencher: Bencher, shape: &Shape) {
    bench(bencher, shape, &TripletLossConfig::new().init());
}

#[divan::bench(args = SHAPES.map(Shape))]
fn triplet_batch_all(bencher: Bencher, shape: &Shape) {
    let loss = TripletLossConfig::new().with_mining(TripletMining::BatchAll);
    bench(bencher, shape, &loss.init());
}

#[divan::bench(args = SHAPES.map(Shape))]
fn triplet_semi_hard(bencher: Bencher, shape: &Shape) {
    let loss = TripletLossConfig::new().with_mining(TripletMining::SemiHard);
    bench(bencher, shape, &loss.init());
}

#[divan::bench(args = SHAPES.map(Shape))]
fn n_pair(bencher: Bencher, shape: &Shape) {
    bench(bencher, shape, &NPairLossConfig::new().init());
}

#[divan::bench(args = SHAPES.map(Shape))]
fn angular(bencher: Bencher, shape: &Shape) {
    bench(bencher, shape, &AngularLossConfig::new().init());
}

#[divan::bench(args = SHAPES.map(Shape))]
fn angular_of_all_pairs(bencher: Bencher, shape: &Shape) {
    let loss = AngularLossConfig::new().with_pairs(AngularPairs::All);
    bench(bencher, shape, &loss.init());
}

#[divan::bench(args = SHAPES.map(Shape))]
fn lifted_structure(bencher: Bencher, shape: &Shape) {
    bench(bencher, shape, &LiftedStructureLossConfig::new().init());
}

#[divan::bench(args = SHAPES.map(Shape))]
fn multi_similarity(bencher: Bencher, shape: &Shape) {
    bench(bencher, shape, &MultiSimilarityLossConfig::new().init());
}

#[divan::bench(args = SHAPES.map(Shape))]
fn spread_out(bencher: Bencher, shape: &Shape) {
    bench(bencher, shape, &SpreadOutConfig::new().init());
}

/// `[batch, dim]`
struct Shape([usize; 2]);

impl std::fmt::Display for Shape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}x{}", self.0[0], self.0[1])
    }
}

fn bench(bencher: Bencher, shape: &Shape, loss: &dyn RankingLoss) {
    let plain = Device::default();
    plain.seed(1);
    let device = plain.clone().autodiff();
    let rows = Tensor::<2>::random(shape.0, Distribution::Normal(0.0, 1.0), &device);
    let labels: Vec<i32> = (0..shape.0[0] as i32).map(|row| row / 4).collect();
    let labels = Tensor::<1, Int>::from_data(TensorData::new(labels, [shape.0[0]]), &plain);
    bencher.bench_local(|| {
        let leaf = rows.clone().require_grad();
        let gradients = loss.forward(leaf.clone(), labels.clone()).backward();
        leaf.grad(&gradients).expect("on the graph").into_data()
    });
}
