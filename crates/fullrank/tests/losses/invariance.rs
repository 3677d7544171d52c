//! What the losses must not depend on, for shapes and entries drawn at random.

use burn::tensor::{DType, Device};
use fullrank::{Bounds, SvMaxConfig, TwoViewLoss};
use proptest::prelude::*;

use crate::matrices::{Loss, Matrix, f64_device, number, on_host};

fn matrices() -> impl Strategy<Value = Matrix> {
    (1..20usize, 1..20usize, any::<u64>(), -3..4i32).prop_map(|(rows, dims, seed, scale)| {
        Matrix::normal(rows, dims, seed).map(|x| x * 10f64.powi(scale))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Single-view losses do not care about the order of the rows nor of the dimensions, nor about
    /// the sign of a dimension; SIGReg, which looks along given directions, not about the order of the rows.
    #[test]
    fn permutations_and_signs(e in matrices()) {
        let device = f64_device();
        let (n, d) = (e.rows, e.dims);
        let reversed = Matrix::from_fn(n, d, |i, j| {
            let sign = if j % 2 == 0 { 1.0 } else { -1.0 };
            sign * e.entries[(n - 1 - i) * d + (d - 1 - j)]
        });
        let upside_down = Matrix::from_fn(n, d, |i, j| e.entries[(n - 1 - i) * d + j]);
        for loss in Loss::all(n, d).iter().filter(|loss| !loss.takes_two_views()) {
            let before = loss.value(&e, &device, DType::F64);
            let reversed = if loss.is_of_angles() { &upside_down } else { &reversed };
            let after = loss.value(reversed, &device, DType::F64);
            prop_assert!((before - after).abs() <= 1e-9 * before.abs().max(1e-9), "{}", loss.name);
        }
    }

    /// SVMax does not care about rotations of the space.
    #[test]
    fn rotations(e in matrices(), seed in any::<u32>()) {
        let device = f64_device();
        let rotated = e.product(&Matrix::orthonormal(e.dims, e.dims, u64::from(seed)));
        for loss in Loss::all(e.rows, e.dims).iter().filter(|l| l.name.starts_with("svmax")) {
            let before = loss.value(&e, &device, DType::F64);
            let after = loss.value(&rotated, &device, DType::F64);
            prop_assert!((before - after).abs() <= 1e-8 * before.abs().max(1e-9), "{}", loss.name);
        }
    }

    /// Normalized rows: the scale of a row does not count. And L <= s_mu <= U.
    #[test]
    fn svmax_scale_and_bounds(e in matrices(), seed in any::<u64>()) {
        let device = Device::default();
        let svmax = SvMaxConfig::new().init();
        let factors = Matrix::normal(e.rows, 1, seed).map(|x| 0.1 + x.abs());
        let scaled = Matrix::from_fn(e.rows, e.dims, |i, j| {
            factors.entries[i] * e.entries[i * e.dims + j]
        });
        let mean = |e: &Matrix| {
            let terms = svmax.forward_terms(e.tensor(&device, DType::F32));
            number(terms.get("mean_singular_value").unwrap().clone())
        };
        let (before, after) = (mean(&e), mean(&scaled));
        prop_assert!((before - after).abs() <= 1e-5 * before);
        let bounds = Bounds::new(e.rows, e.dims);
        prop_assert!(before >= bounds.lower * (1.0 - 1e-4) && before <= bounds.upper * (1.0 + 1e-5));
    }

    /// The mean singular value agrees with the exact spectrum within the documented smoothing.
    #[test]
    fn svmax_against_the_exact_spectrum(e in matrices()) {
        let device = Device::default();
        let tensor = e.tensor(&device, DType::F32);
        let terms = SvMaxConfig::new().init().forward_terms(tensor.clone());
        let ours = number(terms.get("mean_singular_value").unwrap().clone());
        let exact = fullrank::singular_values(&fullrank::unit_rows(tensor));
        let exact = exact.iter().sum::<f64>() / exact.len() as f64;
        prop_assert!((exact - ours).abs() <= 8.1e-4 * exact, "{ours} against {exact}");
    }

    /// Both sides of the covariance give the same: zero dimensions added until the Gram matrix is taken
    /// on the other side change neither the sum of squares nor the gradient of the others.
    #[test]
    fn the_two_sides_of_the_covariance(rows in 2..12usize, dims in 1..12usize, seed in any::<u64>()) {
        let device = f64_device();
        let e = Matrix::normal(rows, dims, seed);
        let value = |e: &Matrix| {
            number(fullrank::Covariance::default().forward(e.tensor(&device, DType::F64)))
        };
        let width = dims + rows + 3;
        let wide = Matrix::from_fn(rows, width, |i, j| {
            if j < dims { e.entries[i * dims + j] } else { 0.0 }
        });
        // c has 1/d in front: undo it.
        let sums = (value(&e) * dims as f64, value(&wide) * width as f64);
        prop_assert!((sums.0 - sums.1).abs() <= 1e-10 * sums.0 + 1e-12, "{sums:?}");
        let gradient = |e: &Matrix, factor: usize| {
            let evaluation = fullrank::Covariance::default().evaluate(e.tensor(&device, DType::F64));
            let [gradient] = evaluation.coefficients.unwrap();
            Matrix::from(gradient).map(|x| x * factor as f64)
        };
        let (narrow, wide) = (gradient(&e, dims), gradient(&wide, width));
        for i in 0..rows {
            for j in 0..dims {
                let difference = narrow.entries[i * dims + j] - wide.entries[i * width + j];
                prop_assert!(difference.abs() <= 1e-10 * narrow.norm() + 1e-12);
            }
        }
    }

    /// The views of a two-view loss play the same part.
    #[test]
    fn views_are_exchangeable(rows in 1..10usize, dims in 1..14usize, seed in any::<u64>()) {
        let device = f64_device();
        let [a, b] = [0, 1].map(|k| Matrix::normal(rows, dims, seed ^ k).tensor(&device, DType::F64));
        let vicreg = fullrank::VicRegLoss::default();
        let barlow = fullrank::BarlowTwinsLoss::default();
        let nt_xent = fullrank::NtXentLoss::default();
        let mmcr = fullrank::MmcrLossConfig::new().with_local_weight(0.7).init();
        let lejepa = fullrank::LeJepaLossConfig::new().with_slices(16).init();
        let losses: [&dyn TwoViewLoss; 5] = [&vicreg, &barlow, &nt_xent, &mmcr, &lejepa];
        for loss in losses {
            let one = number(loss.forward(a.clone(), b.clone()));
            let other = number(loss.forward(b.clone(), a.clone()));
            prop_assert!((one - other).abs() <= 1e-10 * one.abs() + 1e-12);
        }
    }
}

/// Barlow Twins standardizes: an affine change of a dimension does not count.
#[test]
fn barlow_twins_ignores_affine_changes() {
    let device = f64_device();
    let e = Matrix::normal(16, 5, 1).tensor(&device, DType::F64);
    let other = Matrix::normal(16, 5, 2).tensor(&device, DType::F64);
    let barlow = fullrank::BarlowTwinsLoss::default();
    let before = number(barlow.forward(e.clone(), other.clone()));
    let after = number(barlow.forward(e.mul_scalar(2.0).add_scalar(4.0), other));
    approx::assert_relative_eq!(before, after, max_relative = 1e-4);
}

/// Same input, same bits, whatever the number of threads: well- and ill-conditioned batches, small and
/// large, tall and wide, of every loss.
#[test]
fn bits_do_not_depend_on_the_threads() {
    let device = Device::default();
    if !on_host() {
        return;
    }
    let one_direction = |rows, dims, noise: f64| {
        let direction = Matrix::normal(1, dims, 31);
        let spread = Matrix::normal(rows, dims, 32);
        Matrix::from_fn(rows, dims, |i, j| {
            direction.entries[j] + noise * spread.entries[i * dims + j]
        })
    };
    let decay = |rows, dims| {
        let normal = Matrix::normal(rows, dims, 33);
        Matrix::from_fn(rows, dims, |i, j| {
            normal.entries[i * dims + j] / (1 + j).pow(2) as f64
        })
    };
    let batches = [
        Matrix::normal(60, 40, 34),
        Matrix::normal(150, 130, 35),
        decay(150, 130),
        one_direction(330, 310, 1e-3),
        one_direction(130, 400, 1e-4),
        decay(400, 300),
        Matrix::normal(512, 512, 36),
        one_direction(512, 512, 1e-5),
        Matrix::normal(1200, 256, 37),
    ];
    let pools: Vec<rayon::ThreadPool> = [1, 2, 3, 5]
        .map(|threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
            pool.build().expect("threads to start")
        })
        .into();
    for e in batches {
        for loss in Loss::all(e.rows, e.dims) {
            // Burn's tensors alone; one of each kind will do.
            if [
                "on the device",
                "paper",
                "summed",
                "halved",
                "second",
                "nt-xent",
            ]
            .iter()
            .any(|name| loss.name.contains(name))
            {
                continue;
            }
            let run = |pool: &rayon::ThreadPool| {
                pool.install(|| {
                    let value = number(loss.forward(e.tensor(&device, DType::F32)));
                    let gradient = Matrix::from(loss.coefficients(e.tensor(&device, DType::F32)));
                    let gradient = gradient.entries.into_iter().map(f64::to_bits);
                    (value.to_bits(), gradient.collect::<Vec<u64>>())
                })
            };
            let first = run(&pools[0]);
            for pool in &pools[1..] {
                assert!(
                    run(pool) == first,
                    "{} of {}x{} by {} threads",
                    loss.name,
                    e.rows,
                    e.dims,
                    pool.current_num_threads()
                );
            }
        }
    }
}
