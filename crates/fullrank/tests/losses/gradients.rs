//! Every gradient against finite differences, in f64, and on the default device against those.

use burn::tensor::{DType, Device};
use fullrank::{Solver, SvMaxConfig, SvMaxForm};

use crate::matrices::{Loss, Matrix, f64_device, number, regimes};

/// Central differences along a direction, with Richardson extrapolation.
fn slope(f: impl Fn(f64) -> f64, step: f64) -> f64 {
    let central = |h: f64| (f(h) - f(-h)) / (2.0 * h);
    (4.0 * central(step / 2.0) - central(step)) / 3.0
}

#[test]
fn gradients_equal_finite_differences() {
    let device = f64_device();
    for (regime, e) in regimes() {
        let scale = e.norm() / (e.entries.len() as f64).sqrt();
        for loss in Loss::all(e.rows, e.dims) {
            let gradient = loss.gradient(&e, &device, DType::F64);
            for direction in 0..4 {
                let direction = Matrix::normal(e.rows, e.dims, 100 + direction);
                let along = gradient.dot(&direction);
                // What is a function of singular values bends on the scale of its smoothing, 1e-4 L, or of
                // the noise, where these vanish; one of unit rows on that of the rows; the distance from the
                // identity and SIGReg, of angles, on that of 1; the other losses on that of their epsilon.
                let bends = regime.starts_with("nearly") || regime == "rank deficient";
                let step = match (loss.is_spectral(), bends) {
                    (true, true) => 1e-6 * scale,
                    (true, false) => 1e-4 * scale,
                    (false, _) if loss.is_of_unit_rows() => 1e-4 * scale,
                    (false, _) if loss.is_of_angles() => 1e-4,
                    (false, _) if loss.name.contains("identity") => 1e-4 * scale.max(1.0),
                    (false, _) => 1e-4 * scale.max(1e-2),
                };
                let measured = slope(
                    |t| {
                        loss.value(
                            &e.clone().zip(&direction, |x, y| x + t * y),
                            &device,
                            DType::F64,
                        )
                    },
                    step,
                );
                // What rounding of the value leaves undecided in a difference. A Gram matrix holds
                // squares: of singular values near zero half the digits are left.
                let value = loss.value(&e, &device, DType::F64).abs();
                let rounding = match (loss.is_spectral(), bends) {
                    (true, true) => 2e-12 * value.max(1.0),
                    // An angle is rounded by its own size, as if the embeddings were.
                    _ if loss.is_of_angles() => 1e-14 * value + 1e-15 * scale * gradient.norm(),
                    _ => 1e-14 * value,
                };
                let noise = rounding / step;
                let tolerance =
                    1e-5 * along.abs() + 1e-7 * gradient.norm() * direction.norm() + 20.0 * noise;
                assert!(
                    gradient.norm() == 0.0 || tolerance < 1e-2 * gradient.norm() * direction.norm(),
                    "{} on {regime}: the test could not fail",
                    loss.name,
                );
                assert!(
                    (along - measured).abs() <= tolerance,
                    "{} on {regime}: {along:e} against {measured:e}, tolerance {tolerance:e}",
                    loss.name,
                );
            }
        }
    }
}

/// The surrogate hands the coefficients over unchanged.
#[test]
fn backward_is_the_coefficients() {
    let device = Device::default();
    for (_, e) in regimes() {
        for loss in Loss::all(e.rows, e.dims) {
            let gradient = loss.gradient(&e, &device, DType::F32);
            let coefficients: Matrix = loss.coefficients(e.tensor(&device, DType::F32)).into();
            assert_eq!(gradient.entries, coefficients.entries, "{}", loss.name);
        }
    }
}

/// On this device in f32, against f64.
#[test]
fn single_precision_agrees_with_double() {
    let device = Device::default();
    for (regime, e) in regimes() {
        // What f32 cannot hold cannot be asked of it: singular values of 1e-4 beside 1.
        if regime == "nearly collapsed, 1e-4" {
            continue;
        }
        for loss in Loss::all(e.rows, e.dims) {
            // Nor an angle of 1e6 and its sine.
            if loss.name.starts_with("sigreg") && regime.starts_with("huge") {
                continue;
            }
            let exact = loss.gradient(&e, &f64_device(), DType::F64);
            let single = loss.gradient(&e, &device, DType::F32);
            let error = single.clone().zip(&exact, |x, y| x - y).norm();
            // Vanishing singular values are rounding noise in f32: their share of SVMax differs.
            let tolerance = if regime == "rank deficient" {
                3e-2
            } else {
                2e-3
            };
            assert!(
                error <= tolerance * exact.norm(),
                "{} on {regime}: error {error:e} of {:e}",
                loss.name,
                exact.norm()
            );
            let value = loss.value(&e, &device, DType::F32);
            let reference = loss.value(&e, &f64_device(), DType::F64);
            let error = (value - reference).abs();
            assert!(
                error <= 2e-4 * reference.abs().max(0.5),
                "{} on {regime}: {value:e}",
                loss.name
            );
        }
    }
}

/// The terms are on the graph too: their weighted sum has the gradient of the loss.
#[test]
fn terms_are_trainable() {
    let device = f64_device();
    for (regime, e) in regimes() {
        for loss in Loss::all(e.rows, e.dims) {
            let leaf = e
                .tensor(&device.clone().autodiff(), DType::F64)
                .require_grad();
            let terms = loss.forward_terms(leaf.clone());
            approx::assert_relative_eq!(
                number(terms.total.clone()),
                loss.value(&e, &device, DType::F64),
                max_relative = 1e-12
            );
            let gradients = terms.total.backward();
            let ours: Matrix = leaf.grad(&gradients).expect("on the graph").into();
            let whole = loss.gradient(&e, &device, DType::F64);
            let error = ours.zip(&whole, |x, y| x - y).norm();
            assert!(error <= 1e-12 * whole.norm(), "{} on {regime}", loss.name);
        }
    }
}

/// Below the floor of the norm a row has the exact gradient times its norm over the floor, from the floor on
/// the exact one; the value knows no floor.
#[test]
fn short_rows_of_svmax_have_the_gradient_of_the_floor() {
    let device = f64_device();
    let norms = [1e-9, 0.003, 0.4, 0.999, 1.001, 2.5, 40.0, 0.0];
    let directions = Matrix::normal(8, 5, 22);
    let scaled = |i: usize, j: usize| {
        let row = &directions.entries[5 * i..5 * (i + 1)];
        let norm = row.iter().map(|x| x * x).sum::<f64>().sqrt();
        norms[i] * row[j] / norm
    };
    let e = Matrix::from_fn(8, 5, scaled);
    for form in [SvMaxForm::Bounded, SvMaxForm::Linear, SvMaxForm::Normalized] {
        for solver in [Solver::Host, Solver::Device] {
            let paper = SvMaxConfig::paper().with_form(form).with_solver(solver);
            let evaluate = |floor: f64| {
                let svmax = paper.clone().with_norm_floor(floor).init();
                let evaluation = svmax.evaluate(e.tensor(&device, DType::F64));
                let [coefficients] = evaluation.coefficients.unwrap();
                (number(evaluation.value), Matrix::from(coefficients))
            };
            let (value, exact) = evaluate(0.0);
            for floor in [1.0, 0.01, 3.0] {
                let (floored_value, floored) = evaluate(floor);
                assert_eq!(value, floored_value);
                for (i, norm) in norms.iter().enumerate() {
                    let factor = (norm / floor).min(1.0);
                    for k in 5 * i..5 * (i + 1) {
                        let expected = factor * exact.entries[k];
                        approx::assert_relative_eq!(
                            floored.entries[k],
                            expected,
                            max_relative = 1e-12
                        );
                    }
                }
            }
        }
    }
    assert_eq!(SvMaxConfig::new().norm_floor, 1.0);
}

/// A term can be trained alone.
#[test]
fn the_mean_singular_value_has_its_own_gradient() {
    let device = f64_device();
    let e = Matrix::normal(6, 4, 21);
    let svmax = SvMaxConfig::new()
        .with_weight(1.0)
        .with_form(SvMaxForm::Linear)
        .init();
    let leaf = e
        .tensor(&device.clone().autodiff(), DType::F64)
        .require_grad();
    let mean = svmax
        .forward_terms(leaf.clone())
        .get("mean_singular_value")
        .unwrap()
        .clone();
    let alone: Matrix = leaf.grad(&mean.backward()).unwrap().into();
    let leaf = e.tensor(&device.autodiff(), DType::F64).require_grad();
    let linear: Matrix = leaf
        .grad(&svmax.forward(leaf.clone()).backward())
        .unwrap()
        .into();
    let error = alone.zip(&linear, |x, y| x + y).norm();
    assert!(error < 1e-14, "{error:e}");
}
