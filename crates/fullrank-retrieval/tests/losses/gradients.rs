//! Every gradient against finite differences, in f64, and on the default device against those.

use burn::tensor::{DType, Device};

use crate::batches::{Batch, f64_device, losses};

#[test]
fn gradients_equal_finite_differences() {
    let device = f64_device();
    for (name, loss) in losses() {
        for batch in [Batch::sines(), Batch::angles(&[0, 0, 1, 1, 2, 2], 1.0)] {
            let gradient = batch.gradient(loss.as_ref(), &device, DType::F64);
            assert!(
                gradient.iter().any(|x| x.abs() > 1e-3),
                "{name}: no gradient"
            );
            for (k, along) in gradient.iter().enumerate() {
                let value = |step: f64| {
                    let mut moved = batch.clone();
                    moved.entries[k] += step;
                    moved.value(loss.as_ref(), &device, DType::F64)
                };
                let slope = (value(1e-6) - value(-1e-6)) / 2e-6;
                assert!(
                    (slope - along).abs() <= 1e-7 * (1.0 + slope.abs()),
                    "{name}, entry {k}: {along} against {slope}"
                );
            }
        }
    }
}

/// Also under gradient checkpointing, whose strategy no constant of a loss may contradict.
#[test]
fn single_precision_agrees_with_double() {
    let batch = Batch::sines();
    for (name, loss) in losses() {
        let exact = batch.gradient(loss.as_ref(), &f64_device(), DType::F64);
        let norm = exact.iter().map(|x| x * x).sum::<f64>().sqrt();
        for device in [
            Device::default(),
            Device::default().autodiff().gradient_checkpointing(),
        ] {
            let single = batch.gradient(loss.as_ref(), &device, DType::F32);
            let error = exact
                .iter()
                .zip(&single)
                .map(|(x, y)| (x - y).powi(2))
                .sum::<f64>()
                .sqrt();
            assert!(error <= 1e-4 * norm, "{name}: error {error:e} of {norm:e}");
        }
    }
}
