//! Values known from elsewhere: closed forms, and what the equivalent PyTorch program prints.

use burn::tensor::{DType, Device};
use fullrank::{
    BarlowTwinsLossConfig, Bounds, CovarianceToIdentity, LeJepaLossConfig, MmcrLossConfig,
    NtXentLossConfig, SigRegConfig, SigRegQuadrature, Solver, SvMaxConfig, SvMaxForm,
    VarianceCovariance, VicRegLossConfig, VicRegScaling,
};

use crate::matrices::{Matrix, f64_device, number};

/// The two views of the VICReg cases: 4 x 3, `sin(1 + 3i + j)` and `cos(2 + 2i + 3j)`.
fn sine() -> Matrix {
    Matrix::from_fn(4, 3, |i, j| (1.0 + 3.0 * i as f64 + j as f64).sin())
}

fn cosine() -> Matrix {
    Matrix::from_fn(4, 3, |i, j| (2.0 + 2.0 * i as f64 + 3.0 * j as f64).cos())
}

/// Unit rows at 0, 20, 40, 60, 80 degrees.
fn five_angles() -> Matrix {
    Matrix::from_fn(5, 2, |i, j| {
        let angle = (20.0 * i as f64).to_radians();
        if j == 0 { angle.cos() } else { angle.sin() }
    })
}

/// The value in f64 and, on the default device, in f32: to rounding, and SVMax to what its smoothing
/// changes where all singular values are large.
fn assert_value(expected: f64, value: impl Fn(&Device, DType) -> f64) {
    let double = value(&f64_device(), DType::F64);
    approx::assert_relative_eq!(double, expected, max_relative = 3e-7);
    let single = value(&Device::default(), DType::F32);
    approx::assert_relative_eq!(single, expected, max_relative = 2e-6);
}

/// SVMax where singular values are zero: above the exact value by the documented smoothing,
/// `delta = c L` for each of them.
fn assert_smoothed(exact: f64, zeros: usize, lower: f64, rank: usize, e: &Matrix) {
    for (solver, share) in [(Solver::Host, 1e-4), (Solver::Device, 8e-4)] {
        let smoothed = exact + zeros as f64 * share * lower / rank as f64;
        for (device, dtype) in [(f64_device(), DType::F64), (Device::default(), DType::F32)] {
            let svmax = SvMaxConfig::new().with_solver(solver).init();
            let terms = svmax.forward_terms(e.tensor(&device, dtype));
            let value = number(terms.get("mean_singular_value").unwrap().clone());
            approx::assert_relative_eq!(value, smoothed, max_relative = 5e-5);
        }
    }
}

fn mean_singular_value(e: &Matrix, device: &Device, dtype: DType) -> f64 {
    let terms = SvMaxConfig::new()
        .init()
        .forward_terms(e.tensor(device, dtype));
    number(terms.get("mean_singular_value").unwrap().clone())
}

/// ```python
/// import torch
/// i, j = torch.arange(4.).double()[:, None], torch.arange(3.).double()
/// x, y = torch.sin(1 + 3 * i + j), torch.cos(2 + 2 * i + 3 * j)
/// def off_diagonal(c): return c.flatten()[:-1].view(2, 4)[:, 1:].flatten()
/// repr_loss = torch.nn.functional.mse_loss(x, y)
/// x, y = x - x.mean(0), y - y.mean(0)
/// std = [torch.sqrt(z.var(0) + 1e-4) for z in (x, y)]
/// std_loss = sum(torch.relu(1 - s).mean() / 2 for s in std)
/// cov_loss = sum(off_diagonal(z.T @ z / 3).pow(2).sum() / 3 for z in (x, y))
/// print(25 * repr_loss + 25 * std_loss + cov_loss)  # 30.607564786926375
/// # The paper's equations: repr_loss * 3, std_loss * 2: 82.57602190509274
/// ```
#[test]
fn vicreg_conventions() {
    let loss = |scaling: VicRegScaling| {
        move |device: &Device, dtype| {
            let vicreg = VicRegLossConfig::new().with_scaling(scaling).init();
            number(vicreg.forward(sine().tensor(device, dtype), cosine().tensor(device, dtype)))
        }
    };
    assert_value(30.607564786926375, loss(VicRegScaling::Official));
    assert_value(82.57602190509274, loss(VicRegScaling::Paper));
}

/// stable-pretraining's VCRegLoss(std_coeff=25, cov_coeff=1) of one view, 25 v / 2 + c.
#[test]
fn variance_and_covariance_of_one_view() {
    let device = f64_device();
    let loss = VarianceCovariance::default().forward(sine().tensor(&device, DType::F64));
    approx::assert_relative_eq!(number(loss), 3.8946568, max_relative = 1e-7);
}

/// The official loss is 25 mse plus the single-view loss of each view.
#[test]
fn vicreg_is_invariance_and_two_regularizers() {
    let device = f64_device();
    let (x, y) = (
        sine().tensor(&device, DType::F64),
        cosine().tensor(&device, DType::F64),
    );
    let single = VarianceCovariance::default();
    let parts = number((x.clone() - y.clone()).square().mean()) * 25.0
        + number(single.forward(x.clone()))
        + number(single.forward(y.clone()));
    let whole = number(VicRegLossConfig::new().init().forward(x, y));
    approx::assert_relative_eq!(whole, parts, max_relative = 1e-12);
}

/// The conventions differ by the documented factors.
#[test]
fn vicreg_terms_by_convention() {
    let device = f64_device();
    let terms = |scaling| {
        let vicreg = VicRegLossConfig::new().with_scaling(scaling).init();
        let terms = vicreg.forward_terms(
            sine().tensor(&device, DType::F64),
            cosine().tensor(&device, DType::F64),
        );
        ["invariance", "variance", "covariance"].map(|t| number(terms.get(t).unwrap().clone()))
    };
    let official = terms(VicRegScaling::Official);
    for (scaling, factors) in [
        (VicRegScaling::Paper, [3.0, 2.0, 1.0]),
        (VicRegScaling::SummedVariance, [1.0, 2.0, 1.0]),
        (VicRegScaling::Halved, [1.0, 1.0, 0.5]),
    ] {
        for ((ours, official), factor) in terms(scaling).into_iter().zip(official).zip(factors) {
            approx::assert_relative_eq!(ours, factor * official, max_relative = 1e-12);
        }
    }
}

/// ```python
/// e = torch.tensor([[math.cos(a), math.sin(a)] for a in torch.deg2rad(torch.arange(0, 100, 20.))])
/// s = torch.linalg.svdvals(e.double()); print(s.mean())  # 1.5072890873666207
/// L, U = math.sqrt(5) / 2, math.sqrt(5 / 2)
/// print(torch.exp((U - s.mean()) / (U - L)))  # 1.172885057386248
/// ```
#[test]
fn svmax_of_five_angles() {
    assert_value(1.5072890873666207, |device, dtype| {
        mean_singular_value(&five_angles(), device, dtype)
    });
    assert_value(1.172885057386248, |device, dtype| {
        number(
            SvMaxConfig::paper()
                .init()
                .forward(five_angles().tensor(device, dtype)),
        )
    });
}

/// The gradient of the mean singular value in the first row is that row of the polar factor over d.
#[test]
fn svmax_gradient_of_five_angles() {
    let svmax = SvMaxConfig::paper()
        .with_form(SvMaxForm::Linear)
        .with_normalize(false)
        .init();
    let evaluation = svmax.evaluate(five_angles().tensor(&f64_device(), DType::F64));
    let [gradient] = evaluation.coefficients.unwrap();
    let gradient = Matrix::from(gradient);
    approx::assert_relative_eq!(-gradient.entries[0], 0.34845149, max_relative = 1e-5);
    approx::assert_relative_eq!(-gradient.entries[1], -0.11505821, max_relative = 1e-5);
}

/// Closed forms: orthogonal rows, balanced one-hot rows, unbalanced ones, all rows equal.
#[test]
fn svmax_closed_forms() {
    let one_hot = |rows, dims, hot: fn(usize) -> usize| {
        Matrix::from_fn(rows, dims, move |i, j| f64::from(u8::from(hot(i) == j)))
    };
    for (e, expected) in [
        (one_hot(6, 6, |i| i), 1.0),
        (one_hot(12, 4, |i| i / 3), 3f64.sqrt()),
    ] {
        assert_value(expected, |device, dtype| {
            mean_singular_value(&e, device, dtype)
        });
    }
    for (e, expected, zeros) in [
        (one_hot(4, 4, |i| i / 3), (3f64.sqrt() + 1.0) / 4.0, 2),
        (one_hot(12, 6, |_| 0), 12f64.sqrt() / 6.0, 5),
        (one_hot(144, 128, |_| 0), 0.09375, 127),
    ] {
        let bounds = Bounds::new(e.rows, e.dims);
        assert_smoothed(expected, zeros, bounds.lower, bounds.rank, &e);
    }
}

/// exp((U - s) / (U - L)) is 1 at a flat spectrum and e at rank one.
#[test]
fn svmax_penalty_at_its_ends() {
    let device = f64_device();
    let svmax = SvMaxConfig::paper().init();
    let flat = Matrix::from_fn(8, 4, |i, j| f64::from(u8::from(i % 4 == j)));
    let value = number(svmax.forward(flat.tensor(&device, DType::F64)));
    approx::assert_relative_eq!(value, 1.0, max_relative = 1e-7);
    let collapsed = Matrix::from_fn(8, 4, |_, j| j as f64);
    let value = number(svmax.forward(collapsed.tensor(&device, DType::F64)));
    // The smoothing lifts s_mu by 1e-4 L for each of the three zeros of four.
    let lifted = (1.0 - 0.75e-4f64).exp();
    approx::assert_relative_eq!(value, lifted, max_relative = 1e-6);
}

/// Taha et al., Fig. 1: the singular values of 128 points in the plane, polarised and spread, to the
/// two digits that the figure prints. (Their squares sum to 128; these rows are not unit rows.)
#[test]
fn svmax_figure_one() {
    for spectrum in [[11.25, 1.14], [8.99, 6.86]] {
        let (e, _) = Matrix::with_spectrum(128, 2, &spectrum, 31);
        let svmax = SvMaxConfig::new()
            .with_form(SvMaxForm::Linear)
            .with_normalize(false)
            .init();
        let terms = svmax.forward_terms(e.tensor(&Device::default(), DType::F32));
        let mean = number(terms.get("mean_singular_value").unwrap().clone());
        approx::assert_relative_eq!(mean, (spectrum[0] + spectrum[1]) / 2.0, max_relative = 1e-5);
        let bound = |name| number(terms.get(name).unwrap().clone());
        assert!(bound("lower_bound") < mean && mean < bound("upper_bound"));
    }
}

/// ```python
/// bn = torch.nn.BatchNorm1d(3, affine=False).double()
/// c = bn(x).T @ bn(y) / 4                          # x, y as for VICReg
/// on_diag = (torch.diagonal(c) - 1).pow(2).sum()
/// off_diag = off_diagonal(c).pow(2).sum()
/// print(on_diag, off_diag, on_diag + 0.005 * off_diag)
/// ```
///
/// computed here by hand, entry by entry.
#[test]
fn barlow_twins_by_hand() {
    let standardized = |e: Matrix| {
        let column = |j: usize| -> Vec<f64> { (0..4).map(|i| e.entries[3 * i + j]).collect() };
        let columns: Vec<Vec<f64>> = (0..3)
            .map(|j| {
                let column = column(j);
                let mean = column.iter().sum::<f64>() / 4.0;
                let variance = column.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 4.0;
                column
                    .iter()
                    .map(|x| (x - mean) / (variance + 1e-5).sqrt())
                    .collect()
            })
            .collect();
        columns
    };
    let (x, y) = (standardized(sine()), standardized(cosine()));
    let (mut on, mut off) = (0.0, 0.0);
    for (i, a) in x.iter().enumerate() {
        for (j, b) in y.iter().enumerate() {
            let c = a.iter().zip(b).map(|(p, q)| p * q).sum::<f64>() / 4.0;
            if i == j {
                on += (1.0 - c).powi(2);
            } else {
                off += c * c;
            }
        }
    }
    assert_value(on + 0.005 * off, |device, dtype| {
        let barlow = BarlowTwinsLossConfig::new().init();
        number(barlow.forward(sine().tensor(device, dtype), cosine().tensor(device, dtype)))
    });
}

/// ```python
/// import numpy as np
/// i, j = np.arange(4.)[:, None], np.arange(3.)
/// x, y = np.sin(1 + 3 * i + j), np.cos(2 + 2 * i + 3 * j)
/// def distance(z):
///     z = z - z.mean(0)
///     return np.linalg.norm(z.T @ z / (len(z) - 1) - np.eye(z.shape[1]))
/// print(distance(x), distance(x.T))  # 1.7400377473386106 1.804540233290987
/// ```
#[test]
fn covariance_to_the_identity() {
    let wide = Matrix::from_fn(3, 4, |i, j| sine().entries[3 * j + i]);
    for (e, expected) in [(sine(), 1.7400377473386106), (wide, 1.804540233290987)] {
        for solver in [Solver::Host, Solver::Device] {
            assert_value(expected, |device, dtype| {
                let loss = fullrank::CovarianceToIdentityConfig::new().with_solver(solver);
                number(loss.init().forward(e.tensor(device, dtype)))
            });
        }
    }
}

/// Twice the rows of an orthonormal frame, their opposites and a row of zeros: nine rows whose covariance is the
/// identity to the bit. Distance and gradient are zero there.
#[test]
fn covariance_at_the_identity() {
    let sign = |i: usize| if i < 4 { 2.0 } else { -2.0 };
    let e = Matrix::from_fn(9, 4, |i, j| {
        sign(i) * f64::from(u8::from(i < 8 && i % 4 == j))
    });
    for solver in [Solver::Host, Solver::Device] {
        let config = fullrank::CovarianceToIdentityConfig::new().with_solver(solver);
        for (device, dtype) in [(f64_device(), DType::F64), (Device::default(), DType::F32)] {
            let evaluation = config.init().evaluate(e.tensor(&device, dtype));
            assert_eq!(number(evaluation.value), 0.0, "{solver:?} in {dtype:?}");
            let [gradient] = evaluation.coefficients.unwrap();
            assert!(Matrix::from(gradient).entries.iter().all(|x| *x == 0.0));
        }
        // Twice as long: C = 4 I, the distance 3 sqrt(4), the gradient 2 / (8 * 6) * 3 Z.
        let twice = e.clone().map(|x| 2.0 * x);
        let evaluation = config
            .init()
            .evaluate(twice.tensor(&f64_device(), DType::F64));
        approx::assert_relative_eq!(number(evaluation.value), 6.0, max_relative = 1e-12);
        let [gradient] = evaluation.coefficients.unwrap();
        let expected = twice.map(|x| x / 8.0);
        let error = Matrix::from(gradient).zip(&expected, |x, y| x - y).norm();
        assert!(error <= 1e-12 * expected.norm(), "{error:e}");
    }
}

/// One row, or all rows equal: no spread at all.
#[test]
fn covariance_to_the_identity_of_a_collapsed_batch() {
    let loss = CovarianceToIdentity::default();
    for rows in [1, 3, 9] {
        let e = Matrix::from_fn(rows, 5, |_, j| j as f64 - 1.5);
        let evaluation = loss.evaluate(e.tensor(&f64_device(), DType::F64));
        approx::assert_relative_eq!(number(evaluation.value), 5f64.sqrt(), max_relative = 1e-12);
        let [gradient] = evaluation.coefficients.unwrap();
        assert_eq!(Matrix::from(gradient).norm(), 0.0);
    }
}

/// ```python
/// def unit(z): return z / np.linalg.norm(z, axis=1, keepdims=True)   # x, y as above
/// def nt_xent(x, y, tau):
///     z, n = np.r_[unit(x), unit(y)], len(x)
///     s = z @ z.T / tau
///     np.fill_diagonal(s, -np.inf)
///     positive = s[np.arange(2 * n), np.r_[np.arange(n) + n, np.arange(n)]]
///     return (np.log(np.exp(s).sum(1)) - positive).mean()
/// for tau in (0.5, 0.1, 0.07): print(nt_xent(x, y, tau))
/// # 2.3428566441586094 8.08855953255566 11.446409647112388
/// ```
#[test]
fn nt_xent_by_temperature() {
    for (temperature, expected) in [
        (0.5, 2.3428566441586094),
        (0.1, 8.08855953255566),
        (0.07, 11.446409647112388),
    ] {
        let loss = NtXentLossConfig::new().with_temperature(temperature).init();
        assert_value(expected, |device, dtype| {
            number(loss.forward(sine().tensor(device, dtype), cosine().tensor(device, dtype)))
        });
    }
    assert_eq!(NtXentLossConfig::new().temperature, 0.5);
}

/// One sample has no other; of equal rows each is one of 2b - 1; of views that agree and differ from all others
/// by a right angle, at a temperature of 1/40, the others are lost beside it.
#[test]
fn nt_xent_closed_forms() {
    let device = f64_device();
    let of = |temperature: f64, a: &Matrix, b: &Matrix| {
        let loss = NtXentLossConfig::new().with_temperature(temperature).init();
        let [a, b] = [a, b].map(|e| e.tensor(&device, DType::F64));
        let evaluation = loss.evaluate(a, b);
        let gradients = evaluation.coefficients.unwrap().map(Matrix::from);
        (number(evaluation.value), gradients)
    };
    let (value, gradients) = of(0.5, &Matrix::normal(1, 5, 1), &Matrix::normal(1, 5, 2));
    assert!(value.abs() < 1e-15, "{value}");
    assert!(gradients.iter().all(|g| g.norm() < 1e-15));

    let equal = Matrix::from_fn(6, 5, |_, j| j as f64 - 1.2);
    let (value, gradients) = of(0.5, &equal, &equal);
    approx::assert_relative_eq!(value, 11f64.ln(), max_relative = 1e-12);
    assert!(gradients.iter().all(|g| g.norm() < 1e-14));

    let frame = Matrix::from_fn(4, 4, |i, j| f64::from(u8::from(i == j)));
    let (value, _) = of(0.5, &frame, &frame);
    // Six rows of similarity 0 beside one of 1.
    let expected = (1.0 + 6.0 * (-2f64).exp()).ln();
    approx::assert_relative_eq!(value, expected, max_relative = 1e-12);
    // A temperature at which exp(1 / temperature) is beyond the range of f64.
    let (value, gradients) = of(1e-3, &frame, &frame);
    assert!(value.abs() < 1e-12, "{value}");
    assert!(gradients.iter().all(|g| g.norm() < 1e-12));
    let (value, gradients) = of(1e-3, &frame, &frame.clone().map(|x| -x));
    assert!((value - 1000.0 - 6f64.ln()).abs() < 1e-9, "{value}");
    assert!(
        gradients
            .iter()
            .all(|g| g.entries.iter().all(|x| x.is_finite()))
    );
}

/// ```python
/// def nuclear(m): return np.linalg.svd(m, compute_uv=False).sum()   # x, y, unit as above
/// print(-nuclear((unit(x) + unit(y)) / 2))  # -2.2111042669695333
/// print(np.mean([nuclear(np.stack([a, b])) for a, b in zip(unit(x), unit(y))]))  # 1.998023767871571
/// print(-nuclear((unit(x) + unit(y) + unit(x * y)) / 3))  # -1.6167055041633525
/// ```
#[test]
fn mmcr_of_the_sines() {
    let product = Matrix::from_fn(4, 3, |i, j| {
        sine().entries[3 * i + j] * cosine().entries[3 * i + j]
    });
    let (centroids, local) = (-2.2111042669695333, 1.998023767871571);
    for (weight, expected) in [(0.0, centroids), (0.005, centroids + 0.005 * local)] {
        let loss = MmcrLossConfig::new().with_local_weight(weight).init();
        assert_value(expected, |device, dtype| {
            number(loss.forward(sine().tensor(device, dtype), cosine().tensor(device, dtype)))
        });
    }
    let loss = MmcrLossConfig::new().init();
    assert_value(local, |device, dtype| {
        let terms =
            loss.forward_terms(sine().tensor(device, dtype), cosine().tensor(device, dtype));
        number(terms.get("local").unwrap().clone())
    });
    assert_value(-1.6167055041633525, |device, dtype| {
        let views = [sine(), cosine(), product.clone()].map(|view| view.tensor(device, dtype));
        number(loss.forward_views(views))
    });
}

/// The gradient in each of three views, against differences along it.
#[test]
fn mmcr_of_three_views_has_its_gradient() {
    let device = f64_device();
    let loss = MmcrLossConfig::new().init();
    let views = [41, 42, 43].map(|seed| Matrix::normal(7, 5, seed));
    let value = |views: &[Matrix; 3]| {
        let views = views
            .each_ref()
            .map(|view| view.tensor(&device, DType::F64));
        number(loss.forward_views(views))
    };
    let tensors = views
        .each_ref()
        .map(|view| view.tensor(&device, DType::F64));
    let gradients = loss.evaluate_views(tensors).coefficients.unwrap();
    for (at, gradient) in gradients.map(Matrix::from).into_iter().enumerate() {
        let direction = Matrix::normal(7, 5, 50 + at as u64);
        let moved = |step: f64| {
            let mut moved = views.clone();
            moved[at] = moved[at].clone().zip(&direction, |x, y| x + step * y);
            value(&moved)
        };
        let slope = (moved(1e-5) - moved(-1e-5)) / 2e-5;
        // The error of a central difference of step h is of the order of h^2.
        approx::assert_relative_eq!(gradient.dot(&direction), slope, max_relative = 1e-7);
    }
}

/// At its best: as many orthogonal samples as dimensions, each with views that agree. Then `||C||_*` is
/// sqrt(b min(b, d)), and the two views of each sample have the one singular value sqrt 2. Samples all equal
/// have `||C||_*` sqrt(b). To what the smoothing adds: 1e-4 for each zero of the centroids in units of
/// sqrt(b) / r, and of the local term's one zero 5e-4.
#[test]
fn mmcr_at_its_ends() {
    let frame = Matrix::from_fn(8, 4, |i, j| f64::from(u8::from(i % 4 == j)));
    let equal = Matrix::from_fn(8, 4, |_, j| j as f64 - 1.2);
    let loss = MmcrLossConfig::new().with_solver(Solver::Host).init();
    for (e, expected, zeros) in [(frame, 32f64.sqrt(), 0.0), (equal, 8f64.sqrt(), 3.0)] {
        for (device, dtype) in [(f64_device(), DType::F64), (Device::default(), DType::F32)] {
            let view = e.tensor(&device, dtype);
            let terms = loss.forward_terms(view.clone(), view);
            let term = |name| number(terms.get(name).unwrap().clone());
            let smoothed = expected + zeros * 1e-4 * 8f64.sqrt() / 4.0;
            approx::assert_relative_eq!(-term("centroids"), smoothed, max_relative = 2e-6);
            // sqrt(2 + 2 delta^2 + 2 delta sqrt(2 + delta^2)) = sqrt(2 + delta^2) + delta
            let smoothed = (2.0 + 25e-8f64).sqrt() + 5e-4;
            approx::assert_relative_eq!(term("local"), smoothed, max_relative = 2e-6);
        }
    }
}

/// The unit columns e1, e2, e3 and (1, 1, 1) / sqrt 3.
fn four_slices() -> Matrix {
    Matrix::from_fn(3, 4, |i, j| match j {
        3 => 3f64.sqrt().recip(),
        _ => f64::from(u8::from(i == j)),
    })
}

/// ```python
/// a = np.c_[np.eye(3), np.ones(3) / np.sqrt(3)]                       # x, y as above
/// def official(z):
///     t, h = np.linspace(0, 3, 17), 3 / 16
///     w = np.r_[h, np.full(15, 2 * h), h] * np.exp(-t**2 / 2)
///     u = (z @ a)[:, :, None] * t
///     e = (np.cos(u).mean(0) - np.exp(-t**2 / 2))**2 + np.sin(u).mean(0)**2
///     return (e @ w * len(z)).mean()
/// def paper(z):
///     t = np.linspace(-5, 5, 17)
///     f = np.exp(-t**2 / 2)
///     u = (z @ a)[:, :, None] * t
///     e = abs(np.exp(1j * u).mean(0) - f)**2 * f
///     return (np.trapezoid(e, t, axis=1) * len(z)).mean()
/// print(official(x), paper(x))  # 0.5922859555389763 0.607117637054382
/// m = (x + y) / 2
/// invariance = (((x - m)**2).mean() + ((y - m)**2).mean()) / 2
/// for sigreg in (official, paper):
///     print(0.05 * (sigreg(x) + sigreg(y)) / 2 + 0.95 * invariance)
/// # 0.24195743171358622 0.24244745045270286
/// ```
#[test]
fn sigreg_and_lejepa_by_quadrature() {
    for (quadrature, one, two) in [
        (
            SigRegQuadrature::Official,
            0.5922859555389763,
            0.24195743171358622,
        ),
        (
            SigRegQuadrature::Paper,
            0.607117637054382,
            0.24244745045270286,
        ),
    ] {
        for solver in [Solver::Host, Solver::Device] {
            let sigreg = SigRegConfig::new()
                .with_quadrature(quadrature)
                .with_solver(solver)
                .init();
            let lejepa = LeJepaLossConfig::new()
                .with_quadrature(quadrature)
                .with_solver(solver)
                .init();
            assert_value(one, |device, dtype| {
                let sigreg = sigreg.clone().along(four_slices().tensor(device, dtype));
                number(sigreg.forward(sine().tensor(device, dtype)))
            });
            assert_value(two, |device, dtype| {
                let lejepa = lejepa.clone().along(four_slices().tensor(device, dtype));
                number(lejepa.forward(sine().tensor(device, dtype), cosine().tensor(device, dtype)))
            });
        }
    }
}

/// The knots of a quadrature, by its definition: `t`, `exp(-t^2 / 2)` and the weight with the window.
fn knots(quadrature: SigRegQuadrature) -> Vec<[f64; 3]> {
    let (limit, last) = match quadrature {
        SigRegQuadrature::Official => (3.0, 16),
        SigRegQuadrature::Paper => (5.0, 8),
    };
    let distance = limit / f64::from(last);
    let knot = |j: i32| {
        let t = f64::from(j) * distance;
        let normal = (-t * t / 2.0).exp();
        let share = if j == last { distance } else { 2.0 * distance };
        [t, normal, share * normal]
    };
    (1..=last).map(knot).collect()
}

/// Rows that are all equal have the characteristic function exp(itu) along each slice, and one gradient.
#[test]
fn sigreg_of_a_collapsed_batch() {
    let device = f64_device();
    for quadrature in [SigRegQuadrature::Official, SigRegQuadrature::Paper] {
        for (rows, row) in [(6, [0.0; 3]), (6, [0.4, -1.2, 2.0]), (1, [0.4, -1.2, 2.0])] {
            let e = Matrix::from_fn(rows, 3, |_, j| row[j]);
            let sigreg = SigRegConfig::new().with_quadrature(quadrature).init();
            let sigreg = sigreg.along(four_slices().tensor(&device, DType::F64));
            let evaluation = sigreg.evaluate(e.tensor(&device, DType::F64));
            let along = e.product(&four_slices());
            let expected: f64 = (along.entries[..4].iter())
                .flat_map(|u| {
                    knots(quadrature)
                        .into_iter()
                        .map(move |[t, normal, weight]| {
                            let (sin, cos) = (t * u).sin_cos();
                            weight * ((cos - normal).powi(2) + sin * sin)
                        })
                })
                .sum();
            approx::assert_relative_eq!(
                number(evaluation.value),
                rows as f64 * expected / 4.0,
                max_relative = 1e-12
            );
            let [gradient] = evaluation.coefficients.unwrap();
            let gradient = Matrix::from(gradient);
            assert_eq!(gradient.norm() > 0.0, row != [0.0; 3]);
            for other in gradient.entries.chunks(3) {
                for (x, y) in other.iter().zip(&gradient.entries[..3]) {
                    assert!((x - y).abs() <= 1e-14 * gradient.norm());
                }
            }
        }
    }
}

/// Of standard normal rows, n |C - phi|^2 is 1 - phi^2 on average, whatever their number: the statistic of 500
/// and that of 4000 rows are within a fifth of what the quadrature makes of it. (Its deviation along one of the 12
/// dimensions is about half of it; the mean over 256 directions is one over some 12 independent ones: 0.5 / sqrt 12 = 14 %.)
#[test]
fn sigreg_of_normal_rows_does_not_grow_with_them() {
    let device = f64_device();
    for quadrature in [SigRegQuadrature::Official, SigRegQuadrature::Paper] {
        let expected = knots(quadrature).into_iter();
        let expected: f64 = expected
            .map(|[_, normal, w]| w * (1.0 - normal * normal))
            .sum();
        let config = SigRegConfig::new().with_slices(256);
        let sigreg = config.with_quadrature(quadrature).init();
        for rows in [500, 4000] {
            let mean: f64 = (60..66)
                .map(|seed| Matrix::normal(rows, 12, seed).tensor(&device, DType::F64))
                .map(|e| number(sigreg.forward(e)) / 6.0)
                .sum();
            assert!(
                (mean / expected - 1.0).abs() < 0.2,
                "{rows}: {mean} for {expected}"
            );
        }
    }
}

/// Turned with its slices, an embedding has the same value and the turned gradient.
#[test]
fn sigreg_turns_with_its_slices() {
    let device = f64_device();
    let e = Matrix::normal(9, 5, 71);
    let turn = Matrix::orthonormal(5, 5, 72);
    let slices = Matrix::orthonormal(5, 5, 73);
    // Columns turn as rows do: (E R)(R^T A) = E A.
    let back = Matrix::from_fn(5, 5, |i, j| turn.entries[5 * j + i]);
    let of = |e: &Matrix, slices: &Matrix| {
        let sigreg = SigRegConfig::new().init();
        let sigreg = sigreg.along(slices.tensor(&device, DType::F64));
        let evaluation = sigreg.evaluate(e.tensor(&device, DType::F64));
        let [gradient] = evaluation.coefficients.unwrap();
        (number(evaluation.value), Matrix::from(gradient))
    };
    let (value, gradient) = of(&e, &slices);
    let (turned, turned_gradient) = of(&e.product(&turn), &back.product(&slices));
    approx::assert_relative_eq!(value, turned, max_relative = 1e-12);
    let error = turned_gradient
        .zip(&gradient.product(&turn), |x, y| x - y)
        .norm();
    assert!(error <= 1e-12 * gradient.norm(), "{error:e}");
}

/// Two views that agree leave SIGReg alone; its term is the mean over the views.
#[test]
fn lejepa_is_sigreg_and_half_the_distance() {
    let device = f64_device();
    let [x, y] = [sine(), cosine()].map(|view| view.tensor(&device, DType::F64));
    let sigreg = SigRegConfig::new()
        .with_slices(32)
        .with_seed(5)
        .init()
        .at_step(9);
    let lejepa = LeJepaLossConfig::new()
        .with_slices(32)
        .with_seed(5)
        .init()
        .at_step(9);
    let [of_x, of_y] = [&x, &y].map(|view| number(sigreg.forward(view.clone())));
    let distance = number((x.clone() - y.clone()).square().mean());
    let terms = lejepa.forward_terms(x.clone(), y);
    let term = |name| number(terms.get(name).unwrap().clone());
    approx::assert_relative_eq!(term("sigreg"), (of_x + of_y) / 2.0, max_relative = 1e-12);
    approx::assert_relative_eq!(term("invariance"), distance / 4.0, max_relative = 1e-12);
    let alone = number(lejepa.forward(x.clone(), x));
    approx::assert_relative_eq!(alone, 0.05 * of_x, max_relative = 1e-12);
}
