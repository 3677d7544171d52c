//! Input no training should see, and some does.

use burn::tensor::{DType, Device, Tensor};
use fullrank::{
    CovarianceToIdentityConfig, LeJepaLossConfig, MmcrLossConfig, NtXentLossConfig, Regularizer,
    RegularizerConfig, SigReg, SigRegConfig, Solver, SvMax, SvMaxConfig, SvMaxForm, VarianceConfig,
};

use crate::matrices::{Loss, Matrix, f64_device, number, regimes};

fn assert_finite(e: &Matrix, what: &str) {
    let device = Device::default();
    for loss in Loss::all(e.rows, e.dims) {
        let value = loss.value(e, &device, DType::F32);
        assert!(value.is_finite(), "{} of {what}: {value}", loss.name);
        let gradient = loss.gradient(e, &device, DType::F32);
        assert!(
            gradient.entries.iter().all(|x| x.is_finite()),
            "gradient of {} of {what}: {:?}",
            loss.name,
            gradient.entries
        );
    }
}

#[test]
fn finite_on_anything_finite() {
    assert_finite(&Matrix::from_fn(6, 4, |_, _| 0.0), "zeros");
    assert_finite(&Matrix::from_fn(6, 4, |_, j| j as f64 - 1.3), "equal rows");
    assert_finite(
        &Matrix::from_fn(6, 4, |i, j| if i == 2 { 0.0 } else { (i * j) as f64 }),
        "a zero row",
    );
    assert_finite(
        &Matrix::from_fn(6, 4, |i, j| if j == 2 { 0.0 } else { (i + j) as f64 }),
        "a dead dimension",
    );
    assert_finite(
        &Matrix::from_fn(6, 4, |i, j| (-1f64).powi(i as i32) * (j as f64 + 1.0)),
        "antipodes",
    );
    assert_finite(&Matrix::normal(1, 5, 1), "one row");
    assert_finite(&Matrix::normal(5, 1, 2), "one dimension");
    assert_finite(&Matrix::normal(1, 1, 3), "one entry");
    assert_finite(&Matrix::normal(2, 2, 4).map(|x| x * 1e-8), "1e-8");
    assert_finite(&Matrix::normal(6, 4, 5).map(|x| x * 1e8), "1e8");
    assert_finite(&Matrix::normal(4, 6, 6).map(|x| x * 1e-12), "1e-12");
    for (regime, e) in regimes() {
        assert_finite(&e, regime);
    }
}

/// A row of zeros stays zero and gets no gradient; one of any other size is as good as any.
#[test]
fn only_a_row_of_zeros_counts_as_zero() {
    let e = Matrix::normal(6, 4, 11);
    let with = |factor: f64| {
        let size = |i: usize, x: f64| if i == 2 { factor * x } else { x };
        let e = Matrix::from_fn(6, 4, |i, j| size(i, e.entries[4 * i + j]));
        Loss::all(6, 4)[0].gradient(&e, &Device::default(), DType::F32)
    };
    let plain = with(1.0);
    let zero = with(0.0);
    assert!(zero.entries[8..12].iter().all(|x| *x == 0.0));
    assert!(zero.norm() > 0.0);
    let tiny = with(1e-14);
    for (k, x) in tiny.entries.iter().enumerate() {
        let factor = if (8..12).contains(&k) { 1e14 } else { 1.0 };
        let error = (x - factor * plain.entries[k]).abs();
        assert!(error <= 1e-5 * factor * plain.norm());
    }
}

const SOLVERS: [Solver; 2] = [Solver::Host, Solver::Device];

/// Types with a device for them and factors whose squares they cannot hold.
fn sizes() -> [(DType, Device, [f64; 4]); 2] {
    [
        (DType::F32, Device::default(), [1e-30, 1e-20, 1e20, 1e30]),
        (DType::F64, f64_device(), [1e-200, 1e-170, 1e170, 1e200]),
    ]
}

/// Unit rows have forgotten the size of the rows: one for all or one for each.
#[test]
fn svmax_of_rows_of_any_size() {
    for (dtype, device, sizes) in sizes() {
        let e = Matrix::normal(12, 8, 21);
        let one_for_all = sizes.map(|size| vec![size; 12]);
        let one_for_each: Vec<f64> = (0..12).map(|i| [sizes[i % 4], 1.0][i % 2]).collect();
        let mixed: Vec<f64> = (0..12).map(|i| sizes[i % 4]).collect();
        for factors in one_for_all.into_iter().chain([one_for_each, mixed]) {
            let scaled = Matrix::from_fn(12, 8, |i, j| factors[i] * e.entries[8 * i + j]);
            for solver in SOLVERS {
                let svmax = SvMaxConfig::paper().with_solver(solver).init();
                let of = |e: &Matrix| {
                    let evaluation = svmax.evaluate(e.tensor(&device, dtype));
                    let [coefficients] = evaluation.coefficients.expect("with gradient");
                    (number(evaluation.value), Matrix::from(coefficients))
                };
                let ((value, gradient), (expected, plain)) = (of(&scaled), of(&e));
                let what = format!("{solver:?} in {dtype:?}, {factors:?}");
                assert!(
                    (value - expected).abs() <= 1e-5 * expected,
                    "{what}: {value}"
                );
                for (i, factor) in factors.iter().enumerate() {
                    for k in 8 * i..8 * i + 8 {
                        let error = factor * gradient.entries[k] - plain.entries[k];
                        assert!(error.abs() <= 1e-5 * plain.norm(), "{what}: row {i}");
                    }
                }
                // On the graph as well.
                let leaf = scaled
                    .tensor(&device.clone().autodiff(), dtype)
                    .require_grad();
                let loss = svmax.forward(leaf.clone());
                let by_graph = Matrix::from(leaf.grad(&loss.backward()).unwrap());
                assert_eq!(by_graph.entries, gradient.entries, "{what}");
                assert_eq!(number(loss), value, "{what}");
            }
        }
    }
}

/// The largest rows of a type and, where the device keeps them, numbers below the normal ones.
#[test]
fn svmax_at_the_ends_of_the_range() {
    let device = f64_device();
    let e = Matrix::normal(9, 5, 22).map(|x| x.clamp(-3.0, 3.0));
    for (dtype, sizes) in [(DType::F32, [1e38, 1e-39]), (DType::F64, [5e307, 1e-309])] {
        for size in sizes {
            let scaled = e.clone().map(|x| size * x);
            for solver in SOLVERS {
                let svmax = SvMaxConfig::paper().with_solver(solver).init();
                // On the graph, whose gradient may be the largest number there is.
                let graph = device.clone().autodiff();
                let value = |e: &Matrix| {
                    let leaf = e.tensor(&graph, dtype).require_grad();
                    number(svmax.forward(leaf))
                };
                let (value, expected) = (value(&scaled), value(&e));
                assert!(
                    (value - expected).abs() <= 1e-4 * expected,
                    "{solver:?} in {dtype:?}, {size:e}: {value}"
                );
            }
        }
    }
}

/// The rows as they are: the value has the size of the batch, the gradient none.
#[test]
fn the_linear_form_of_a_batch_of_any_size() {
    for (dtype, device, sizes) in sizes() {
        for (rows, dims) in [(12, 8), (70, 90)] {
            let e = Matrix::normal(rows, dims, 23);
            for solver in SOLVERS {
                let svmax = SvMaxConfig::new()
                    .with_form(SvMaxForm::Linear)
                    .with_normalize(false)
                    .with_solver(solver)
                    .init();
                let of = |e: &Matrix| {
                    let evaluation = svmax.evaluate(e.tensor(&device, dtype));
                    let [coefficients] = evaluation.coefficients.expect("with gradient");
                    (number(evaluation.value), Matrix::from(coefficients))
                };
                let (expected, plain) = of(&e);
                for size in sizes {
                    let (value, gradient) = of(&e.clone().map(|x| size * x));
                    let what = format!("{solver:?} in {dtype:?}, {size:e}");
                    assert!(
                        (value / size / expected - 1.0).abs() <= 1e-5,
                        "{what}: {value}"
                    );
                    let error = gradient.zip(&plain, |x, y| x - y).norm();
                    assert!(error <= 1e-4 * plain.norm(), "{what}: {error:e}");
                }
            }
        }
    }
}

/// The sum of the singular values is above the range of f32, their mean is not: equal rows.
#[test]
fn a_mean_within_the_range_of_a_sum_beyond_it() {
    let device = Device::default();
    let e = Matrix::from_fn(20, 20, |_, _| 1e38);
    for solver in SOLVERS {
        let svmax = SvMaxConfig::paper()
            .with_form(SvMaxForm::Linear)
            .with_normalize(false)
            .with_solver(solver)
            .init();
        let value = number(svmax.evaluate(e.tensor(&device, DType::F32)).value);
        approx::assert_relative_eq!(value, -1e38, max_relative = 1e-3);
        // Three times as many rows of three times the size: 1e38 * 9 / sqrt 3.
        let larger = Matrix::from_fn(60, 20, |_, _| 3e38);
        let value = number(svmax.evaluate(larger.tensor(&device, DType::F32)).value);
        assert_eq!(value, f64::NEG_INFINITY);
    }
}

/// Entries whose squares f32 cannot hold, in the losses of second moments: the right value, or an
/// infinite one where f32 cannot hold it.
#[test]
fn moments_of_entries_of_any_size() {
    let (single, double) = (Device::default(), f64_device());
    for (rows, dims) in [(12, 6), (6, 12)] {
        let e = Matrix::normal(rows, dims, 24);
        for loss in Loss::all(rows, dims) {
            if loss.name.starts_with("svmax") {
                continue;
            }
            for size in [1e-30, 1e-20, 1e20, 1e30] {
                // Nothing is known of the cosine of an angle of this size.
                if loss.name.starts_with("sigreg") && size > 1.0 {
                    continue;
                }
                let scaled = e.clone().map(|x| size * x);
                let exact = loss.value(&scaled, &double, DType::F64);
                let value = loss.value(&scaled, &single, DType::F32);
                let what = format!("{} at {size:e}: {value:e} for {exact:e}", loss.name);
                if exact.abs() > f64::from(f32::MAX) {
                    assert!(!value.is_finite(), "{what}");
                } else {
                    let rounding = 1e-5 * exact.abs() + 1e-38;
                    assert!((value - exact).abs() <= rounding, "{what}");
                }
            }
        }
    }
}

/// A loss of weight zero is zero, and on the graph all the same.
#[test]
fn weight_zero_can_be_trained() {
    let e = Matrix::normal(6, 4, 12);
    let svmax = SvMaxConfig::new().with_weight(0.0).init();
    let leaf = e
        .tensor(&Device::default().autodiff(), DType::F32)
        .require_grad();
    for loss in [
        svmax.forward(leaf.clone()),
        svmax.forward_terms(leaf.clone()).total,
    ] {
        assert_eq!(number(loss.clone()), 0.0);
        let gradient = Matrix::from(leaf.grad(&loss.backward()).unwrap());
        assert_eq!(gradient.norm(), 0.0);
    }
}

/// All rows equal: the hinge is open, nothing is correlated, no term has a direction to offer.
#[test]
fn complete_collapse_by_its_terms() {
    let device = Device::default();
    let e = Matrix::from_fn(8, 4, |_, j| j as f64 - 1.5);
    let variance = number(fullrank::Variance::default().forward(e.tensor(&device, DType::F32)));
    approx::assert_relative_eq!(variance, 1.0 - 0.01, max_relative = 1e-6);
    assert_eq!(
        number(fullrank::Covariance::default().forward(e.tensor(&device, DType::F32))),
        0.0
    );
    let barlow = fullrank::BarlowTwinsLoss::default();
    let leaf = e
        .tensor(&device.clone().autodiff(), DType::F32)
        .require_grad();
    let terms = barlow.forward_terms(leaf.clone(), e.tensor(&device, DType::F32));
    assert_eq!(number(terms.get("invariance").unwrap().clone()), 4.0);
    let gradient = Matrix::from(leaf.grad(&terms.total.backward()).unwrap());
    assert_eq!(gradient.norm(), 0.0);
}

/// A regularizer from outside the crate, in a sum with one of its own kind.
#[test]
fn a_regularizer_of_the_users() {
    #[derive(Debug)]
    struct MeanSquare;
    impl fullrank::Regularizer for MeanSquare {
        fn forward(&self, embeddings: Tensor<2>) -> Tensor<1> {
            embeddings.square().mean()
        }
        fn forward_terms(&self, embeddings: Tensor<2>) -> fullrank::Terms {
            let loss = self.forward(embeddings);
            fullrank::Terms::new(loss.clone()).with("mean_square", loss)
        }
        fn evaluate(&self, embeddings: Tensor<2>) -> fullrank::Surrogate<1> {
            let factor = 2.0 / embeddings.shape().num_elements() as f64;
            fullrank::Surrogate {
                value: self.forward(embeddings.clone()),
                coefficients: Some([embeddings.mul_scalar(factor)]),
            }
        }
    }
    let own =
        || -> (String, Box<dyn fullrank::Regularizer>) { ("own".to_owned(), Box::new(MeanSquare)) };
    let sum = fullrank::RegularizerSum::new(vec![own(), own()]);
    let e = Tensor::<2>::ones([3, 2], &Device::default());
    let terms = fullrank::Regularizer::forward_terms(&sum, e);
    let names: Vec<&str> = terms.iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["own.mean_square", "own-2.mean_square"]);
    assert_eq!(number(terms.total.clone()), 2.0);
}

#[test]
fn a_nan_is_never_hidden() {
    let device = Device::default();
    for (rows, dims) in [(6, 4), (4, 6), (1, 3), (3, 1)] {
        let mut e = Matrix::normal(rows, dims, 5);
        e.entries[1] = f64::NAN;
        for loss in Loss::all(rows, dims) {
            let value = loss.value(&e, &device, DType::F32);
            assert!(value.is_nan(), "{} of {rows}x{dims}: {value}", loss.name);
            if loss.name.starts_with("svmax") {
                let gradient = loss.gradient(&e, &device, DType::F32);
                assert!(gradient.entries.iter().any(|x| x.is_nan()), "{}", loss.name);
            }
        }
    }
}

/// Nor is an infinity, by SVMax: no row points there.
#[test]
fn an_infinity_is_never_hidden() {
    let device = Device::default();
    for (rows, dims) in [(6, 4), (4, 6), (70, 80)] {
        let mut e = Matrix::normal(rows, dims, 5);
        e.entries[1] = f64::INFINITY;
        for loss in Loss::all(rows, dims) {
            if loss.name.starts_with("svmax") {
                let value = loss.value(&e, &device, DType::F32);
                assert!(
                    !value.is_finite(),
                    "{} of {rows}x{dims}: {value}",
                    loss.name
                );
            }
        }
    }
}

/// Equal rows: s_mu = L to rounding, and no direction preferred.
#[test]
fn complete_collapse_is_a_standstill_for_svmax() {
    let e = Matrix::from_fn(8, 4, |_, j| [0.5, -0.5, 0.5, 0.5][j]);
    let gradient = Loss::all(8, 4)[0].gradient(&e, &Device::default(), DType::F32);
    assert!(gradient.norm() < 1e-3, "{}", gradient.norm());
}

#[test]
fn one_singular_value_has_nothing_to_spread() {
    let device = Device::default();
    for (rows, dims) in [(1, 6), (6, 1)] {
        let e = Matrix::normal(rows, dims, 6);
        for (form, expected) in [(SvMaxForm::Bounded, 1.0), (SvMaxForm::Normalized, -1.0)] {
            let leaf = e
                .tensor(&device.clone().autodiff(), DType::F32)
                .require_grad();
            let loss = SvMaxConfig::paper()
                .with_form(form)
                .init()
                .forward(leaf.clone());
            let gradients = loss.backward();
            assert_eq!(number(loss), expected);
            let gradient = Matrix::from(leaf.grad(&gradients).unwrap());
            assert!(gradient.norm() == 0.0);
        }
    }
}

/// A batch of one has no spread: the hinge is wide open and nothing can be done about it.
#[test]
fn a_batch_of_one() {
    let e = Matrix::normal(1, 4, 7).tensor(&Device::default(), DType::F32);
    let variance = number(VarianceConfig::new().init().forward(e.clone()));
    approx::assert_relative_eq!(variance, 1.0 - 0.01, max_relative = 1e-6);
    assert_eq!(number(fullrank::Covariance::default().forward(e)), 0.0);
}

/// Half precision is raised to f32 for the statistics; the gradient comes back in the input's type.
#[test]
fn half_precision() {
    let device = Device::default();
    for dtype in [DType::F16, DType::BF16] {
        if !device.supports_dtype(dtype) {
            continue;
        }
        // Entries that half precision holds exactly.
        let e = Matrix::normal(12, 6, 8).map(|x| (x * 8.0).round() / 8.0);
        for loss in Loss::all(12, 6) {
            // The other view of two-view losses is rounded with the first.
            if loss.takes_two_views() {
                continue;
            }
            let half = loss.forward(e.tensor(&device, dtype));
            assert_eq!(half.dtype(), DType::F32);
            approx::assert_relative_eq!(
                number(half),
                loss.value(&e, &device, DType::F32),
                max_relative = 1e-6
            );
            let leaf = e.tensor(&device.clone().autodiff(), dtype).require_grad();
            let gradient = leaf.grad(&loss.forward(leaf.clone()).backward()).unwrap();
            assert_eq!(gradient.dtype(), dtype);
            let gradient = Matrix::from(gradient.cast(DType::F32));
            let exact = loss.gradient(&e, &device, DType::F32);
            let error = gradient.zip(&exact, |x, y| x - y).norm();
            assert!(error <= 1e-2 * exact.norm(), "{}: {error}", loss.name);
        }
    }
}

/// Gradient checkpointing gives the same numbers.
#[test]
fn under_gradient_checkpointing() {
    let device = Device::default();
    let e = Matrix::normal(6, 5, 9);
    for loss in Loss::all(6, 5) {
        let checkpointing = device.clone().autodiff().gradient_checkpointing();
        let leaf = e.tensor(&checkpointing, DType::F32).require_grad();
        let hidden = leaf.clone().tanh();
        let gradient = Matrix::from(leaf.grad(&loss.forward(hidden).backward()).unwrap());
        let leaf = e
            .tensor(&device.clone().autodiff(), DType::F32)
            .require_grad();
        let hidden = leaf.clone().tanh();
        let plain = Matrix::from(leaf.grad(&loss.forward(hidden).backward()).unwrap());
        let error = gradient.zip(&plain, |x, y| x - y).norm();
        assert!(error <= 1e-6 * plain.norm(), "{}", loss.name);
    }
}

#[test]
#[should_panic(expected = "got [0, 3]")]
fn an_empty_batch() {
    let _ = SvMax::default().forward(Tensor::<2>::zeros([0, 3], &Device::default()));
}

#[test]
#[should_panic(expected = "same shape")]
fn views_of_different_shape() {
    let device = Device::default();
    let [a, b] = [3, 4].map(|rows| Tensor::<2>::zeros([rows, 2], &device));
    let _ = fullrank::VicRegLoss::default().forward(a, b);
}

#[test]
fn no_two_view_loss_takes_views_of_different_shape() {
    let device = Device::default();
    let [a, b] = [3, 4].map(|rows| Tensor::<2>::zeros([rows, 2], &device));
    let losses: [Box<dyn fullrank::TwoViewLoss>; 4] = [
        Box::<fullrank::BarlowTwinsLoss>::default(),
        Box::<fullrank::NtXentLoss>::default(),
        Box::<fullrank::MmcrLoss>::default(),
        Box::<fullrank::LeJepaLoss>::default(),
    ];
    for loss in losses {
        let forward = || loss.forward(a.clone(), b.clone());
        let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(forward)).unwrap_err();
        let message = panic.downcast_ref::<String>().expect("a message");
        assert!(message.contains("same shape"), "{loss:?}: {message}");
    }
}

#[test]
#[should_panic(expected = "margin of the variance term must be positive and finite, got -1")]
fn a_negative_margin() {
    VarianceConfig::new().with_margin(-1.0).init();
}

#[test]
#[should_panic(expected = "the norm floor of SVMax must be finite and not negative, got -0.5")]
fn a_negative_norm_floor() {
    SvMaxConfig::new().with_norm_floor(-0.5).init();
}

#[test]
#[should_panic(expected = "the norm floor of SVMax must be finite and not negative, got NaN")]
fn a_norm_floor_that_is_no_number() {
    SvMaxConfig::new().with_norm_floor(f64::NAN).init();
}

#[test]
#[should_panic(expected = "the weight of the covariance to the identity must be finite, got NaN")]
fn a_weight_that_is_no_number() {
    CovarianceToIdentityConfig::new()
        .with_weight(f64::NAN)
        .init();
}

#[test]
#[should_panic(expected = "the temperature of NT-Xent must be positive and finite, got 0")]
fn a_temperature_of_zero() {
    NtXentLossConfig::new().with_temperature(0.0).init();
}

#[test]
#[should_panic(
    expected = "the weight of MMCR's local term must be finite and not negative, got -0.1"
)]
fn a_negative_local_weight() {
    MmcrLossConfig::new().with_local_weight(-0.1).init();
}

#[test]
#[should_panic(expected = "SIGReg needs at least one slice, got 0")]
fn no_slice() {
    SigRegConfig::new().with_slices(0).init();
}

#[test]
#[should_panic(expected = "the weight of the invariance term must be finite, got inf")]
fn an_infinite_weight() {
    LeJepaLossConfig::new()
        .with_invariance_weight(f64::INFINITY)
        .init();
}

#[test]
#[should_panic(expected = "the slices must have as many rows as the embeddings have dimensions")]
fn slices_of_another_dimension() {
    let device = Device::default();
    let sigreg = SigReg::default().along(Tensor::<2>::ones([3, 1], &device));
    let _ = sigreg.forward(Tensor::<2>::ones([4, 2], &device));
}

#[test]
#[should_panic(expected = "MMCR's local term is of two views, got 3: set its weight to 0")]
fn a_local_term_of_three_views() {
    let view = Tensor::<2>::ones([4, 2], &Device::default());
    let mmcr = MmcrLossConfig::new().with_local_weight(0.1).init();
    let _ = mmcr.forward_views([view.clone(), view.clone(), view]);
}

/// Rows of any norm know no bounds: at a scale of 30 the bounded penalty would be 0.
#[test]
#[should_panic(
    expected = "the bounds of SvMaxForm::Bounded hold for unit rows only: with normalize = false, \
                use SvMaxForm::Linear"
)]
fn bounds_of_rows_as_given() {
    SvMaxConfig::new().with_normalize(false).init();
}

#[test]
#[should_panic(expected = "the bounds of SvMaxForm::Normalized hold for unit rows only")]
fn normalized_form_of_rows_as_given() {
    SvMaxConfig::new()
        .with_form(SvMaxForm::Normalized)
        .with_normalize(false)
        .init();
}

#[test]
fn configurations_by_name() {
    let json = r#"{"sum": [
        {"svmax": {"weight": 0.5, "form": "linear", "normalize": true, "solver": "auto",
            "norm_floor": 1.0}},
        {"variance-covariance":
            {"variance_weight": 2.0, "covariance_weight": 0.0, "margin": 1.0, "epsilon": 0.0001}}
    ]}"#;
    let config: RegularizerConfig = serde_json::from_str(json).unwrap();
    let again = serde_json::to_string(&config).unwrap();
    assert_eq!(
        serde_json::from_str::<RegularizerConfig>(&again).unwrap(),
        config
    );

    let device = Device::default();
    let e = Matrix::normal(9, 4, 10);
    let regularizer = config.init();
    let terms = regularizer.forward_terms(e.tensor(&device, DType::F32));
    let term = |name| number(terms.get(name).unwrap().clone());
    let expected = 0.5 * term("svmax.penalty") + 2.0 * term("variance-covariance.variance");
    approx::assert_relative_eq!(number(terms.total.clone()), expected, max_relative = 1e-6);
    for device in [device.clone(), device.autodiff()] {
        let total = number(regularizer.forward(e.tensor(&device, DType::F32)));
        approx::assert_relative_eq!(total, expected, max_relative = 1e-6);
    }
}

#[test]
fn display() {
    assert_eq!(
        SvMax::default().to_string(),
        "SvMax {weight: 0.3, form: Bounded, normalize: true, solver: Auto, norm_floor: 1.0}"
    );
    assert_eq!(
        fullrank::VicRegLoss::default().to_string(),
        "VicRegLoss {invariance_weight: 25.0, variance_weight: 25.0, covariance_weight: 1.0, \
         margin: 1.0, epsilon: 0.0001, scaling: Official, solver: Auto}"
    );
    let sigreg = SigReg::default().at_step(3);
    assert_eq!(
        sigreg.to_string(),
        "SigReg {weight: 1.0, slices: Drawn { count: 1024, seed: 0, step: 3 }, \
         quadrature: Official, solver: Auto}"
    );
    let slices = Tensor::<2>::ones([3, 1], &Device::default());
    assert!(
        sigreg
            .along(slices)
            .to_string()
            .contains("slices: Given([3, 1]),")
    );
}
