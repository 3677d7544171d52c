//! Metric learning in plain Burn: triplet loss, a miner, class-balanced batches and Recall@K on classes that
//! were not trained on, with SVMax beside it.
//!
//! ```sh
//! cargo run --release --example triplet
//! ```

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{Linear, LinearConfig, PaddingConfig2d};
use burn::optim::{AdamWConfig, GradientsParams};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Int, Tensor, TensorData};
use datasets::{ImageSet, emoji};
use fullrank::{SvMaxConfig, unit_rows};
use fullrank_retrieval::scores::{LabelledRows, ScoresConfig};
use fullrank_retrieval::{
    ClassBalancedSamplerConfig, Miner, RankingLoss, TripletLossConfig, TripletMarginMiner,
};

/// Three convolutions and a linear layer: 3 x 32 x 32 pixels to 64 dimensions.
#[derive(Module, Debug)]
struct Encoder {
    convs: Vec<Conv2d>,
    head: Linear,
}

impl Encoder {
    fn new(device: &Device) -> Self {
        let conv = |channels| {
            Conv2dConfig::new(channels, [3, 3])
                .with_stride([2, 2])
                .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
                .init(device)
        };
        Self {
            convs: [[3, 16], [16, 32], [32, 64]].map(conv).into(),
            head: LinearConfig::new(64 * 4 * 4, 64).init(device),
        }
    }

    fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        let maps = self
            .convs
            .iter()
            .fold(images, |x, conv| relu(conv.forward(x)));
        self.head.forward(maps.flatten(1, 3))
    }
}

fn images(set: &ImageSet, rows: &[usize], device: &Device) -> Tensor<4> {
    let pixels = rows.iter().flat_map(|&row| set.image(row));
    let pixels: Vec<f32> = pixels.map(|&x| f32::from(x) / 255.0 - 0.5).collect();
    let [channels, height, width] = set.shape();
    let shape = [rows.len(), channels, height, width];
    Tensor::from_data(TensorData::new(pixels, shape), device)
}

/// Recall@1 and Recall@8 of the test images, every one ranking the others by Euclidean distance of unit rows.
fn recall(encoder: &Encoder, set: &ImageSet) -> Result<[f64; 2], Box<dyn std::error::Error>> {
    let rows: Vec<usize> = (0..set.len()).collect();
    let device = Device::default();
    let embeddings = unit_rows(encoder.forward(images(set, &rows, &device)));
    let [_, dim] = embeddings.dims();
    let entries: Vec<f32> = embeddings.into_data().iter().collect();
    let labels: Vec<i64> = set.labels().iter().map(|&label| label as i64).collect();
    let queries = LabelledRows::new(&entries, dim, &labels)?;
    let scores = ScoresConfig::new()
        .with_recall_at(vec![1, 8])
        .score(&queries, None)?;
    Ok([scores.recall_at[0].1, scores.recall_at[1].1])
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let device = Device::default().autodiff();
    device.seed(1);
    let set = emoji::mini().images;
    let train = set.train.first_per_class(6);
    // 16 classes of 4 images in each batch; the loss of the triplets that violate the margin.
    let sampler = ClassBalancedSamplerConfig::new(16, 4)
        .with_seed(1)
        .init(train.labels());
    let miner = TripletMarginMiner::default();
    let svmax = SvMaxConfig::new().with_weight(0.1).init();
    let loss = TripletLossConfig::new()
        .init()
        .with_regularizer("svmax", svmax);

    let mut encoder = Encoder::new(&device);
    let mut optimizer = AdamWConfig::new().init();
    let untrained = recall(&encoder.valid(), &set.test)?;
    println!(
        "untrained: Recall@1 {:.3}, Recall@8 {:.3}",
        untrained[0], untrained[1]
    );
    for epoch in 1..=4 {
        let mut last = Vec::new();
        for rows in sampler.epoch(epoch) {
            let labels: Vec<i32> = rows.iter().map(|&row| train.label(row) as i32).collect();
            let labels = TensorData::new(labels, [rows.len()]);
            let labels = Tensor::<1, Int>::from_data(labels, &device);
            let embeddings = encoder.forward(images(&train, &rows, &device));
            let tuples = miner.mine(&embeddings, &labels);
            let terms = loss.forward_tuples_terms(embeddings, &tuples);
            last = terms.values();
            let gradients = GradientsParams::from_grads(terms.total.backward(), &encoder);
            encoder = optimizer.step(1e-3, encoder, gradients);
        }
        let term = |name| last.iter().find(|(key, _)| key == name).expect("a term").1;
        let [one, eight] = recall(&encoder.valid(), &set.test)?;
        println!(
            "epoch {epoch}: triplet {:.3}, mean singular value {:.3}, Recall@1 {one:.3}, Recall@8 {eight:.3}",
            term("triplet"),
            term("svmax.mean_singular_value"),
        );
    }
    Ok(())
}
