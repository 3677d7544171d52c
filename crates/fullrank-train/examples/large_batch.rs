//! VICReg on batches in chunks, with the gradient of the whole batch: what a step costs in time and memory.
//!
//! ```sh
//! cargo run --release --example large_batch -- 2048                     # images in a batch; the plain step
//! cargo run --release --example large_batch -- 2048 256                 # in chunks of at most 256 images
//! cargo run --release --example large_batch -- 2048 256 8192 3          # width of the expander, number of steps
//! cargo run --release --example large_batch -- 1024 128 512 1 resnet18  # ResNet-18 in place of the small CNN
//! ```

use std::time::Instant;

use burn::module::Module;
use burn::optim::AdamWConfig;
use burn::tensor::{Device, Tensor};
use datasets::fashion_mnist;
use fullrank::{AnyTwoViewLoss, TwoViewLoss, VicRegLossConfig};
use fullrank_train::large_batch::LargeBatch;
use fullrank_vision::encoder::{Encoder, EncoderConfig};
use fullrank_vision::expander::{Expander, ExpanderConfig};
use fullrank_vision::loader::image_tensor;
use fullrank_vision::views::ViewsConfig;

/// Encoder, expander and loss.
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

/// The most memory that the process has had, in MB, where the system tells it.
fn peak_memory() -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kilobytes: usize = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kilobytes / 1024)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let encoder = match arguments.pop_if(|last| last == "resnet18") {
        Some(_) => EncoderConfig::resnet18(),
        None => EncoderConfig::small_cnn(),
    };
    let numbers: Result<Vec<usize>, _> = arguments.iter().map(|a| a.parse()).collect();
    let numbers = numbers?;
    let number = |place: usize, default| numbers.get(place).copied().unwrap_or(default);
    let batch = number(0, 1024);
    let (chunk, width, steps) = (number(1, batch), number(2, 512), number(3, 5));

    let device = Device::default().autodiff();
    device.seed(1);
    let images = fashion_mnist::mini().train;
    if images.len() < batch {
        return Err(format!("there are {} images", images.len()).into());
    }
    let encoder = encoder.init(1, &device);
    let expander = ExpanderConfig::new(encoder.features(), vec![width; 3]).init(&device);
    let mut model = Model {
        encoder,
        expander,
        loss: AnyTwoViewLoss::VicReg(VicRegLossConfig::new().init()),
    };
    let large_batch = LargeBatch::new(chunk);
    let views = ViewsConfig::new().init();
    let mut optimizer = AdamWConfig::new().init();
    let mut seconds = Vec::new();
    for step in 1..=steps {
        // The images come class by class: a batch takes them in strides.
        let stride = images.len() / batch;
        let rows: Vec<usize> = (0..batch).map(|row| row * stride + step % stride).collect();
        let keys: Vec<u64> = rows.iter().map(|&row| row as u64).collect();
        let views = views.two_views(image_tensor(&images, &rows, &device), &keys, 1, step);

        let start = Instant::now();
        let result = large_batch.step(
            &model,
            batch,
            |model, rows| (views.clone()).map(|view| model.embed(view.slice([rows.clone()]))),
            |[a, b]| model.loss.forward_terms(a, b),
        );
        let loss = result.terms.values()[0].1;
        model = optimizer.step(1e-3, model, result.gradients);
        device.sync()?;
        seconds.push(start.elapsed().as_secs_f64());
        println!("step {step}: loss {loss:.3}");
    }
    // The first step also allocates.
    seconds.sort_by(f64::total_cmp);
    let milliseconds = seconds[seconds.len() / 2] * 1e3 / batch as f64;
    let peak = peak_memory().map_or("-".to_owned(), |peak| peak.to_string());
    println!(
        "batch {batch}, chunk {chunk}, width {width}: {milliseconds:.3} ms/image, peak {peak} MB"
    );
    Ok(())
}
