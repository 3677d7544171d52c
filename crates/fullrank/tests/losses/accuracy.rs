//! SVMax against the exact spectrum, and its way out of a collapse.

use burn::tensor::{DType, Device};
use fullrank::{Solver, SvMaxConfig, SvMaxForm, singular_values};

use crate::matrices::{Matrix, f64_device, number, on_host};

fn linear(solver: Solver) -> fullrank::SvMax {
    SvMaxConfig::paper()
        .with_form(SvMaxForm::Linear)
        .with_normalize(false)
        .with_solver(solver)
        .init()
}

/// Each solver with `c`, its smoothing as a share of the lower bound.
const SOLVERS: [(Solver, f64); 2] = [(Solver::Host, 1e-4), (Solver::Device, 8e-4)];

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
fn exact_up_to_a_condition_of_100() {
    let device = Device::default();
    for (rows, dims) in SHAPES {
        let rank = rows.min(dims);
        for cond in [1.0, 3.0, 30.0, 100.0] {
            for spectrum in spectra(rank, cond) {
                let (e, polar) = Matrix::with_spectrum(rows, dims, &spectrum, 5);
                let exact = spectrum.iter().sum::<f64>() / rank as f64;
                for (solver, _) in SOLVERS {
                    let evaluation = linear(solver).evaluate(e.tensor(&device, DType::F32));
                    let mean = -number(evaluation.value);
                    approx::assert_relative_eq!(mean, exact, max_relative = 1e-4);
                    let [coefficients] = evaluation.coefficients.expect("with gradient");
                    let cosine = -Matrix::from(coefficients).cosine(&polar);
                    assert!(
                        cosine > 0.9999,
                        "{solver:?}, {rows}x{dims}, cond {cond}: cosine {cosine}"
                    );
                }
            }
        }
    }
}

/// Where a Gram matrix of f32 would have lost the small singular values, the host solver has value and gradient to the
/// tolerance of its poles.
#[test]
fn as_exact_on_the_host_at_a_condition_of_10_000() {
    let device = Device::default();
    for (rows, dims) in [(144, 128), (100, 100), (90, 200)] {
        let rank = rows.min(dims);
        for cond in [300.0, 1e3, 1e4] {
            for spectrum in spectra(rank, cond) {
                let (e, polar) = Matrix::with_spectrum(rows, dims, &spectrum, 7);
                let evaluation = linear(Solver::Host).evaluate(e.tensor(&device, DType::F32));
                let exact = spectrum.iter().sum::<f64>() / rank as f64;
                let mean = -number(evaluation.value);
                approx::assert_relative_eq!(mean, exact, max_relative = 5e-5);
                let [coefficients] = evaluation.coefficients.expect("with gradient");
                let missing = 1.0 + Matrix::from(coefficients).cosine(&polar);
                assert!(missing < 1e-5, "{rows}x{dims}, cond {cond}: {missing:e}");
            }
        }
    }
}

/// Any spectrum: the documented smoothed function to 1%, the exact one to 1%, no direction pushed by
/// more than 1.001 / r, and those well above the smoothing as hard as any.
#[test]
fn any_spectrum() {
    let device = Device::default();
    for (rows, dims) in SHAPES {
        let rank = rows.min(dims);
        let r = rank as f64;
        for cond in [1e3, 1e4, 1e6, 1e9] {
            for spectrum in spectra(rank, cond) {
                let (e, _) = Matrix::with_spectrum(rows, dims, &spectrum, 6);
                let tensor = e.tensor(&device, DType::F32);
                let squares: f64 = spectrum.iter().map(|s| s * s).sum();
                let exact = spectrum.iter().sum::<f64>() / r;
                for (solver, share) in SOLVERS {
                    let delta = share * squares.sqrt() / r;
                    let smoothed = spectrum.iter().map(|s| s.hypot(delta)).sum::<f64>() / r;
                    let evaluation = linear(solver).evaluate(tensor.clone());
                    let mean = -number(evaluation.value);
                    approx::assert_relative_eq!(mean, smoothed, max_relative = 1e-2);
                    approx::assert_relative_eq!(mean, exact, max_relative = 1e-2);

                    let what = format!("{solver:?}, {rows}x{dims}, cond {cond}");
                    let [coefficients] = evaluation.coefficients.expect("with gradient");
                    let pushes = singular_values(&coefficients.mul_scalar(r));
                    assert!(pushes[0] <= 1.001, "{what}: pushed by {}", pushes[0]);
                    let well_above = |s: &&f64| **s > 30.0 * delta && **s > 1e-4;
                    let revived = spectrum.iter().filter(well_above).count();
                    let least = pushes[revived - 1];
                    assert!(least > 0.97, "{what}: {revived} pushed by {least}");
                }
            }
        }
    }
}

/// Unit rows in `clusters` directions with noise about them: `opposite` makes two of them one line.
fn clusters(
    (rows, dims): (usize, usize),
    seed: u64,
    clusters: usize,
    noise: f64,
    opposite: bool,
) -> Matrix {
    let directions = Matrix::normal(clusters, dims, 7 + seed);
    let spread = Matrix::normal(rows, dims, 107 + seed);
    unit(Matrix::from_fn(rows, dims, |i, j| {
        let sign = if opposite && i % 2 == 1 { -1.0 } else { 1.0 };
        let direction = sign * directions.entries[(i % clusters) * dims + j];
        direction + noise * spread.entries[i * dims + j]
    }))
}

/// Unit rows whose columns fall off as `size` does.
fn falling((rows, dims): (usize, usize), seed: u64, size: impl Fn(usize) -> f64) -> Matrix {
    let normal = Matrix::normal(rows, dims, 8 + seed);
    unit(Matrix::from_fn(rows, dims, |i, j| {
        size(j) * normal.entries[i * dims + j]
    }))
}

fn unit(mut e: Matrix) -> Matrix {
    for row in e.entries.chunks_mut(e.dims) {
        let norm = row.iter().map(|x| x * x).sum::<f64>().sqrt();
        row.iter_mut().for_each(|x| *x /= norm);
    }
    e
}

#[test]
fn collapsed_and_nearly() {
    let shapes = [
        (64, 64),
        (100, 100),
        (144, 128),
        (256, 100),
        (80, 200),
        (130, 130),
    ];
    let mut batches: Vec<_> = shapes
        .iter()
        .flat_map(|&shape| collapsed(shape, 0))
        .collect();
    let large = clusters((512, 256), 0, 1, 1e-5, false);
    batches.push(("one, 1e-5".into(), large));
    check_collapsed(batches, 0.985);
}

/// The same at six seeds, larger shapes among them.
#[test]
#[ignore = "takes minutes"]
fn collapsed_at_six_seeds() {
    for seed in 0..6 {
        for shape in [
            (16, 16),
            (100, 100),
            (256, 100),
            (100, 256),
            (300, 300),
            (512, 256),
            (512, 512),
        ] {
            check_collapsed(collapsed(shape, 1000 * seed), 0.98);
        }
    }
}

/// Unit rows collapsed or nearly so, in every way that training finds.
fn collapsed(shape: (usize, usize), seed: u64) -> Vec<(String, Matrix)> {
    let (rows, dims) = shape;
    let one = [1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8].map(|noise| {
        let what = format!("one, {noise:e}");
        (what, clusters(shape, seed, 1, noise, false))
    });
    let two = [1e-3, 1e-5].map(|noise| {
        let what = format!("two, {noise:e}");
        (what, clusters(shape, seed, 2, noise, false))
    });
    let line = [1e-3, 1e-5].map(|noise| {
        let what = format!("line, {noise:e}");
        (what, clusters(shape, seed, 1, noise, true))
    });
    let square = |j: usize| 1.0 / ((1 + j) * (1 + j)) as f64;
    let half = |j: usize| if 2 * j < dims { 1.0 } else { 0.0 };
    let normal = Matrix::normal(rows, dims, 9 + seed);
    let twice = Matrix::from_fn(rows, dims, |i, j| normal.entries[i / 2 * dims + j]);
    let others = [
        ("1/i", falling(shape, seed, |j| 1.0 / (1 + j) as f64)),
        ("1/i^2", falling(shape, seed, square)),
        ("half the dimensions", falling(shape, seed, half)),
        ("each row twice", unit(twice)),
    ];
    let others = others.map(|(what, e)| (what.to_owned(), e));
    one.into_iter()
        .chain(two)
        .chain(line)
        .chain(others)
        .collect()
}

/// The value to 1e-3 of the exact one, on the host to 2e-4, no push above 1.001 / r, and all well above the
/// smoothing alike.
fn check_collapsed(batches: Vec<(String, Matrix)>, alike: f64) {
    for (what, e) in batches {
        let (rows, dims) = (e.rows, e.dims);
        if !on_host() && rows * dims > 10_000 {
            continue;
        }
        for (dtype, device) in [(DType::F32, Device::default()), (DType::F64, f64_device())] {
            let tensor = e.tensor(&device, dtype);
            let exact = singular_values(&tensor);
            let r = exact.len() as f64;
            let expected = exact.iter().sum::<f64>() / r;
            for ((solver, share), close) in SOLVERS.into_iter().zip([2e-4, 1e-3]) {
                let what = format!("{what}: {solver:?}, {rows}x{dims}, {dtype:?}");
                let evaluation = linear(solver).evaluate(tensor.clone());
                let mean = -number(evaluation.value);
                let error = mean / expected - 1.0;
                assert!(error.abs() <= close, "{what}: off by {error:e}");

                let [coefficients] = evaluation.coefficients.expect("with gradient");
                let pushes = singular_values(&coefficients.mul_scalar(r));
                assert!(pushes[0] <= 1.001, "{what}: pushed by {}", pushes[0]);
                let delta = share * (rows as f64).sqrt() / r;
                let above = exact.iter().filter(|s| **s > 30.0 * delta).count();
                let least = pushes[above - 1];
                assert!(least > alike, "{what}: {above} pushed by {least}");
            }
        }
    }
}

/// Random shapes as they come, square ones among them, whose smallest singular value can be tiny.
#[test]
fn random_embeddings() {
    let device = Device::default();
    for (rows, dims) in [
        (1, 1),
        (2, 2),
        (7, 7),
        (40, 40),
        (64, 60),
        (300, 10),
        (10, 300),
        (80, 80),
        (128, 128),
        (150, 140),
        (100, 400),
    ] {
        for seed in 0..4 {
            let tensor = Matrix::normal(rows, dims, seed).tensor(&device, DType::F32);
            let exact = singular_values(&tensor);
            let r = exact.len() as f64;
            for (solver, _) in SOLVERS {
                let evaluation = linear(solver).evaluate(tensor.clone());
                let mean = -number(evaluation.value);
                let expected = exact.iter().sum::<f64>() / r;
                approx::assert_relative_eq!(mean, expected, max_relative = 1e-4);
                let [coefficients] = evaluation.coefficients.expect("with gradient");
                let pushes = singular_values(&coefficients.mul_scalar(r));
                assert!(pushes[0] <= 1.001, "{solver:?}: pushed by {}", pushes[0]);
            }
        }
    }
}

/// Singular values that fall to zero evenly, as those of a square random batch do: the host solver's
/// value and gradient are those of a well-conditioned one. So are they with equal rows, of which the
/// zeros count for nothing.
#[test]
fn evenly_down_to_zero() {
    let device = Device::default();
    let host = linear(Solver::Host);
    for (rows, dims, zeros) in [
        (100usize, 100usize, 0usize),
        (160, 160, 0),
        (160, 160, 3),
        (100, 130, 1),
    ] {
        let rank = rows.min(dims);
        let even = |i: usize| (rank - zeros).saturating_sub(i) as f64 / rank as f64;
        let spectrum: Vec<f64> = (0..rank).map(even).collect();
        let (e, _) = Matrix::with_spectrum(rows, dims, &spectrum, 12);
        let ones: Vec<f64> = spectrum.iter().map(|s| s.ceil()).collect();
        let (polar, _) = Matrix::with_spectrum(rows, dims, &ones, 12);
        let evaluation = host.evaluate(e.tensor(&device, DType::F32));
        let exact = spectrum.iter().sum::<f64>() / rank as f64;
        let mean = -number(evaluation.value);
        approx::assert_relative_eq!(mean, exact, max_relative = 1e-4);
        let [coefficients] = evaluation.coefficients.expect("with gradient");
        let pushes = singular_values(&coefficients.clone().mul_scalar(rank as f64));
        assert!(pushes[0] <= 1.001, "pushed by {}", pushes[0]);
        let cosine = -Matrix::from(coefficients).cosine(&polar);
        assert!(cosine > 0.9999, "{rows}x{dims}, {zeros} zeros: {cosine}");
    }
}

/// On a CPU the host solves, elsewhere the device; either can be told. All rows equal: the solvers
/// differ by their smoothing.
#[test]
fn the_device_chooses_the_solver() {
    let e = Matrix::from_fn(20, 12, |_, j| j as f64 - 4.0);
    let value = |solver, device: &Device| {
        number(linear(solver).evaluate(e.tensor(device, DType::F32)).value)
    };
    let device = Device::default();
    let [host, by_device] = SOLVERS.map(|(solver, _)| value(solver, &device));
    assert_ne!(host, by_device);
    let on_cpu = !matches!(std::env::var("BURN_DEVICE").as_deref(), Ok("wgpu"));
    let chosen = value(Solver::Auto, &device);
    assert_eq!(chosen, if on_cpu { host } else { by_device });
    assert_eq!(value(Solver::Auto, &device.autodiff()), chosen);
}

/// Same input, same bits.
#[test]
fn the_host_solver_repeats_itself() {
    let device = Device::default();
    let tensor = Matrix::normal(150, 130, 4).tensor(&device, DType::F32);
    let run = || {
        let evaluation = linear(Solver::Host).evaluate(tensor.clone());
        let [coefficients] = evaluation.coefficients.expect("with gradient");
        (number(evaluation.value), Matrix::from(coefficients).entries)
    };
    let first = run();
    for _ in 0..5 {
        assert!(run() == first);
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

/// 200 steps of the penalty alone on a free matrix that starts as unit rows of rank 1 plus 1e-3 noise; by the
/// default also with rows ten times as short, below its floor of the norm.
#[test]
fn recovers_from_rank_one() {
    let device = Device::default();
    for (rows, dims) in [(144, 128), (32, 64)] {
        let rank_one = Matrix::normal(rows, 1, 1).product(&Matrix::normal(1, dims, 2));
        let start = rank_one.zip(&Matrix::normal(rows, dims, 3), |x, y| x + 1e-3 * y);
        let paper = (SvMaxConfig::paper(), 1.0);
        let ours = [1.0, 0.1].map(|scale| (SvMaxConfig::new(), scale));
        let configs = [paper].into_iter().chain(ours);
        for ((config, scale), (solver, _)) in
            configs.flat_map(|case| SOLVERS.map(|solver| (case.clone(), solver)))
        {
            if solver == Solver::Host && !on_host() {
                continue;
            }
            let svmax = config.with_solver(solver).init();
            let bounds = fullrank::Bounds::new(rows, dims);
            let rate = 0.05 * bounds.rank as f64 * scale / svmax.weight;

            let mut e = fullrank::unit_rows(start.tensor(&device, DType::F32)).mul_scalar(scale);
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
                "{solver:?}, {rows}x{dims} starts at {before}"
            );
            assert!(
                after >= 0.9 * bounds.upper,
                "{solver:?}, {rows}x{dims}: {after} of {}",
                bounds.upper
            );
        }
    }
}
