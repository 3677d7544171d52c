//! A regularizer of one's own beside SVMax, in one sum: `forward` is all it needs.
//!
//! ```sh
//! cargo run --release --example own_regularizer
//! ```

use burn::tensor::{Device, Distribution, Tensor};
use fullrank::{Regularizer, RegularizerSum, SvMaxConfig, Terms};

/// Keeps the mean of each dimension near zero: the mean over the dimensions of its square.
#[derive(Debug)]
struct Centred {
    weight: f64,
}

impl Regularizer for Centred {
    fn forward(&self, embeddings: Tensor<2>) -> Tensor<1> {
        self.forward_terms(embeddings).total
    }

    // Optional: terms to log.
    fn forward_terms(&self, embeddings: Tensor<2>) -> Terms {
        let offset = embeddings.mean_dim(0).square().mean();
        Terms::new(offset.clone() * self.weight).with("offset", offset)
    }

    fn term_names(&self) -> Vec<String> {
        vec!["offset".to_owned()]
    }
}

fn main() {
    // Members of several types: boxed.
    let regularizer = RegularizerSum::<Box<dyn Regularizer>>::new([
        (
            "svmax",
            Box::new(SvMaxConfig::new().with_weight(1.0).init()) as _,
        ),
        ("centred", Box::new(Centred { weight: 10.0 }) as _),
    ]);
    println!("terms: {}", regularizer.term_names().join(", "));

    // Embeddings with a common offset, moved down the gradient.
    let device = Device::default();
    device.seed(1);
    let mut embeddings = Tensor::<2>::random([64, 16], Distribution::Normal(1.0, 0.5), &device);
    for step in 0..=200 {
        let leaf = embeddings.clone().autodiff().require_grad();
        let terms = regularizer.forward_terms(leaf.clone());
        if step % 100 == 0 {
            let values = terms.values();
            let value = |name| {
                values
                    .iter()
                    .find(|(key, _)| key == name)
                    .expect("a term")
                    .1
            };
            println!(
                "step {step:3}: total {:.3}, mean singular value {:.3} of at most {:.3}, offset {:.4}",
                value("total"),
                value("svmax.mean_singular_value"),
                value("svmax.upper_bound"),
                value("centred.offset"),
            );
        }
        let gradients = terms.total.backward();
        embeddings = embeddings - leaf.grad(&gradients).expect("on the graph") * 2.0;
    }
}
