//! VICReg in plain Burn: two views of each image, LARS with a warm-up and a cosine, then k-NN and a linear probe
//! on the frozen encoder.
//!
//! ```sh
//! cargo run --release --example vicreg                          # VICReg, five epochs of 2,000 images
//! cargo run --release --example vicreg -- 20 barlow-twins       # epochs, and any two-view loss with its defaults
//! ```

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor};
use datasets::{ImageSet, fashion_mnist};
use fullrank::{AnyTwoViewLoss, TwoViewLoss, TwoViewLossConfig};
use fullrank_train::knn::knn_accuracy;
use fullrank_train::lars::LarsConfig;
use fullrank_train::linear_probe::LinearProbeConfig;
use fullrank_train::schedule::WarmupCosineConfig;
use fullrank_vision::encoder::{Encoder, EncoderConfig};
use fullrank_vision::expander::{Expander, ExpanderConfig};
use fullrank_vision::loader::{features_of, image_tensor};
use fullrank_vision::views::ViewsConfig;

const BATCH: usize = 128;

/// The encoder is kept; the expander is only there for the loss.
#[derive(Module, Debug)]
struct Model {
    encoder: Encoder,
    expander: Expander,
    loss: AnyTwoViewLoss,
}

impl Model {
    fn embed(&self, images: Tensor<4>) -> Tensor<2> {
        self.expander.forward(self.encoder.forward(images))
    }
}

/// 20-NN and linear accuracy of the test images by their frozen features.
fn evaluate(encoder: &Encoder, train: &ImageSet, test: &ImageSet) -> [f64; 2] {
    let device = Device::default();
    let features =
        |set: &ImageSet| features_of(set, 500, &device, |images| encoder.forward(images));
    let (bank, queries) = (features(train), features(test));
    let probe = LinearProbeConfig::new().fit(&bank, train.labels(), train.classes().len());
    let linear = probe.accuracy(&queries, test.labels());
    [
        knn_accuracy(&bank, train.labels(), &queries, test.labels(), 20),
        linear,
    ]
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let epochs: usize = arguments.next().map_or(Ok(5), |epochs| epochs.parse())?;
    let name = arguments.next().unwrap_or_else(|| "vicreg".to_owned());
    let loss: TwoViewLossConfig = serde_json::from_str(&format!(r#"{{ "{name}": {{}} }}"#))?;

    let device = Device::default().autodiff();
    device.seed(1);
    let images = fashion_mnist::mini();
    let (train, test) = (images.train.first_per_class(200), images.test);
    let encoder = EncoderConfig::SmallCnn { width: 8 }.init(1, &device);
    let expander = ExpanderConfig::new(encoder.features(), vec![256, 256]).init(&device);
    let mut model = Model {
        encoder,
        expander,
        loss: loss.init(),
    };
    let [knn, linear] = evaluate(&model.encoder.valid(), &train, &test);
    println!("untrained: 20-NN {knn:.3}, linear {linear:.3}");

    let views = ViewsConfig::new().init();
    let steps = epochs * (train.len() / BATCH);
    let schedule = WarmupCosineConfig::new(0.1, steps / 10, steps).init();
    let mut optimizer = LarsConfig::new().with_eta(0.02).init();
    let mut step = 0;
    for epoch in 1..=epochs {
        let mut values = Vec::new();
        for batch in 0..train.len() / BATCH {
            // The images come class by class: a batch takes them in steps.
            let stride = train.len() / BATCH;
            let rows: Vec<usize> = (0..BATCH).map(|i| batch + i * stride).collect();
            let keys: Vec<u64> = rows.iter().map(|&row| row as u64).collect();
            let pixels = image_tensor(&train, &rows, &device);
            let [first, second] = views
                .two_views(pixels, &keys, 1, epoch)
                .map(|view| model.embed(view));
            // One that draws at random, LeJEPA, draws by the step.
            let loss = model.loss.at_step(step as u64);
            let terms = loss.forward_terms(first, second);
            values = terms.values();
            let gradients = GradientsParams::from_grads(terms.total.backward(), &model);
            model = optimizer.step(schedule.at(step), model, gradients);
            step += 1;
        }
        let values = values
            .iter()
            .map(|(name, value)| format!("{name} {value:.3}"));
        println!("epoch {epoch}: {}", values.collect::<Vec<_>>().join(", "));
    }
    let [knn, linear] = evaluate(&model.encoder.valid(), &train, &test);
    println!("trained: 20-NN {knn:.3}, linear {linear:.3}");
    Ok(())
}
