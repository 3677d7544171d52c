//! A batch worked through in chunks.

mod common;

use std::ops::ControlFlow;
use std::path::PathBuf;

use burn::tensor::Device;
use fullrank_study::Training;
use fullrank_study::data::Data;
use fullrank_train::session::{Display, Stop, weights};
use self_supervised::config::{Accumulation, Method, RunConfig};

/// What three steps on batches of sixteen images leave: the values of loss and terms at each, then the weights.
fn three_steps(accumulation: Option<Accumulation>, method: Method) -> (Vec<f64>, Vec<f64>) {
    let config = RunConfig {
        accumulation,
        ..common::tiny()
    };
    let (data, device) = (Data::load(&config.data).unwrap(), Device::flex());
    let training = Training {
        study: &config,
        case: method,
        seed: 3,
        data: &data,
        device: &device,
        directory: PathBuf::new(),
        display: Display::Compact,
        stop: &Stop::new(),
    };
    let mut values = Vec::new();
    let model = training.model(&device.clone().autodiff());
    let steps = training.steps(model, 3, |_, _, output| {
        if let Some(output) = output {
            let terms = output.terms.iter().map(|(_, term)| term.clone());
            for value in terms.chain([output.loss.clone()]) {
                values.push(value.into_scalar::<f64>());
            }
            assert_eq!(output.embeddings.embeddings().dims()[0], 16);
        }
        Ok(ControlFlow::Continue(()))
    });
    (values, weights::values(&steps.unwrap().0))
}

#[test]
fn a_chunk_that_holds_the_batch_is_the_plain_step() {
    for method in [Method::Svmax, Method::Vicreg] {
        let plain = three_steps(None, method);
        for accumulation in [
            Accumulation::Exact(16),
            Accumulation::Exact(100),
            Accumulation::Naive(16),
        ] {
            assert_eq!(
                three_steps(Some(accumulation), method),
                plain,
                "{accumulation:?}"
            );
        }
    }
}

#[test]
fn exact_and_naive_chunks_differ_in_the_loss_alone() {
    for method in [Method::Svmax, Method::Variance, Method::Vicreg] {
        let (exact, trained) = three_steps(Some(Accumulation::Exact(8)), method);
        let (naive, other) = three_steps(Some(Accumulation::Naive(8)), method);
        // The first step has the same embeddings: the invariance is a mean over images, the rest is not.
        let close = |a: f64, b: f64| (a - b).abs() < 1e-5 * a.abs();
        assert!(
            close(exact[0], naive[0]),
            "{method:?}: {exact:?}, {naive:?}"
        );
        assert!(
            !close(exact[1], naive[1]),
            "{method:?}: {exact:?}, {naive:?}"
        );
        assert_ne!(trained, other);
    }
    // Without a regularizer there is nothing but the mean over images.
    let (exact, _) = three_steps(Some(Accumulation::Exact(8)), Method::None);
    let (naive, _) = three_steps(Some(Accumulation::Naive(8)), Method::None);
    for (exact, naive) in exact.iter().zip(&naive) {
        assert!(
            (exact - naive).abs() < 1e-3 * exact.abs(),
            "{exact}, {naive}"
        );
    }
}
