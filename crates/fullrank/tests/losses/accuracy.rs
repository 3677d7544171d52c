//! SVMax against the exact spectrum, and its way out of a collapse.

use burn::tensor::{DType, Device};
use fullrank::{SvMaxConfig, SvMaxForm, singular_values};

use crate::matrices::{Matrix, number};

fn linear() -> fullrank::SvMax {
    SvMaxConfig::new()
        .with_form(SvMaxForm::Linear)
        .with_normalize(false)
        .init()
}

const SHAPES: [(usize, usize); 4] = [(144, 128), (48, 48), (100, 24), (24, 100)];

/// Geometric decay from 1 to 1 / cond, and one large among equals: the two ways to be ill-conditioned.
fn spectra(rank: usize, cond: f64) -> [Vec<f64>; 2] {
    let share = |i: usize| i as f64 / (rank - 1) as f64;
    let decay = (0..rank).map(|i| cond.powf(-share(i))).collect();
    let spike = (0..rank)
        .map(|i| if i == 0 { 1.0 } else { 1.0 / cond })
        .collect();
    [decay, spike]
}

#[test]
fn exact_up_to_a_condition_of_1000() {
    let device = Device::default();
    for (rows, dims) in SHAPES {
        let rank = rows.min(dims);
        for cond in [1.0, 30.0, 1000.0] {
            for spectrum in spectra(rank, cond) {
                let (e, polar) = Matrix::with_spectrum(rows, dims, &spectrum, 5);
                let evaluation = linear().evaluate(e.tensor(&device, DType::F32));
                let exact = spectrum.iter().sum::<f64>() / rank as f64;
                let mean = -number(evaluation.value);
                approx::assert_relative_eq!(mean, exact, max_relative = 1e-4);
                let [coefficients] = evaluation.coefficients.expect("with gradient");
                let cosine = -Matrix::from(coefficients).cosine(&polar);
                assert!(
                    cosine > 0.999,
                    "{rows}x{dims}, cond {cond}: cosine {cosine}"
                );
            }
        }
    }
}

/// The documented smoothing holds for any spectrum: below the exact value by at most 1e-4 of the
/// root mean square, and no direction pushed by more than 1.1 / r.
#[test]
fn worse_spectra_stay_within_the_smoothing() {
    let device = Device::default();
    for (rows, dims) in SHAPES {
        let rank = rows.min(dims);
        for cond in [1e4, 1e9] {
            for spectrum in spectra(rank, cond) {
                let (e, _) = Matrix::with_spectrum(rows, dims, &spectrum, 6);
                let evaluation = linear().evaluate(e.tensor(&device, DType::F32));
                let r = rank as f64;
                let exact = spectrum.iter().sum::<f64>() / r;
                let rms = (spectrum.iter().map(|s| s * s).sum::<f64>() / r).sqrt();
                let missing = exact + number(evaluation.value);
                assert!(
                    (-1e-5 * exact..=1e-4 * rms + 1e-5 * exact).contains(&missing),
                    "{rows}x{dims}, cond {cond}: {missing:e} of {exact}"
                );
                let [coefficients] = evaluation.coefficients.expect("with gradient");
                let pushes = singular_values(&coefficients.mul_scalar(r));
                assert!(pushes[0] <= 1.1, "pushed by {}", pushes[0]);
            }
        }
    }
}

#[test]
fn the_exact_spectrum_agrees() {
    let (e, _) = Matrix::with_spectrum(
        20,
        12,
        &std::array::from_fn::<f64, 12, _>(|i| 12.0 - i as f64),
        9,
    );
    let values = singular_values(&e.tensor(&Device::default(), DType::F32));
    for (i, value) in values.iter().enumerate() {
        approx::assert_relative_eq!(*value, 12.0 - i as f64, max_relative = 1e-5);
    }
}

/// 200 steps of the penalty alone on a free matrix that starts as unit rows of rank 1 plus 1e-3 noise.
#[test]
fn recovers_from_rank_one() {
    let device = Device::default();
    for (rows, dims) in [(144, 128), (32, 64)] {
        let rank_one = Matrix::normal(rows, 1, 1).product(&Matrix::normal(1, dims, 2));
        let start = rank_one.zip(&Matrix::normal(rows, dims, 3), |x, y| x + 1e-3 * y);
        let svmax = fullrank::SvMax::default();
        let bounds = fullrank::Bounds::new(rows, dims);
        let rate = 0.05 * bounds.rank as f64;

        let mut e = fullrank::unit_rows(start.tensor(&device, DType::F32));
        let before = number(
            svmax
                .forward_terms(e.clone())
                .get("mean_singular_value")
                .unwrap()
                .clone(),
        );
        for _ in 0..200 {
            let leaf = e.clone().autodiff().require_grad();
            let gradients = svmax.forward(leaf.clone()).backward();
            e = e - leaf.grad(&gradients).unwrap().mul_scalar(rate);
        }
        let after = number(
            svmax
                .forward_terms(e)
                .get("mean_singular_value")
                .unwrap()
                .clone(),
        );
        assert!(
            before < 0.2 * bounds.upper,
            "{rows}x{dims} starts at {before}"
        );
        assert!(
            after >= 0.9 * bounds.upper,
            "{rows}x{dims}: {after} of {}",
            bounds.upper
        );
    }
}
