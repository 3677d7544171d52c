//! Embedding matrices for the tests, and the losses under one roof.

use burn::tensor::{DType, Device, Tensor, TensorData};
use fullrank::{
    BarlowTwinsLossConfig, Covariance, CovarianceToIdentity, LeJepaLossConfig, MmcrLossConfig,
    NtXentLossConfig, Regularizer, SigRegConfig, SigRegQuadrature, Solver, Surrogate, SvMaxConfig,
    SvMaxForm, Terms, TwoViewLoss, Variance, VarianceCovariance, VicRegLossConfig, VicRegScaling,
};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A device that computes in f64: the default one if it is a CPU, else flex. (Vulkan shaders hold f64
/// but have no f64 exponential: software Vulkan says it supports the type and returns garbage.)
pub(crate) fn f64_device() -> Device {
    match std::env::var("BURN_DEVICE").as_deref() {
        Ok("ndarray") => Device::default(),
        _ => Device::flex(),
    }
}

/// Whether the default device is the host. The tests of any other are built without optimization: long
/// computations on the host are left to those on it.
pub(crate) fn on_host() -> bool {
    fullrank::internals::is_host(&Device::default())
}

/// A row-major matrix on the host.
#[derive(Clone, Debug)]
pub(crate) struct Matrix {
    pub(crate) rows: usize,
    pub(crate) dims: usize,
    pub(crate) entries: Vec<f64>,
}

impl Matrix {
    pub(crate) fn from_fn(rows: usize, dims: usize, entry: impl Fn(usize, usize) -> f64) -> Self {
        let entries = (0..rows * dims)
            .map(|k| entry(k / dims, k % dims))
            .collect();
        Self {
            rows,
            dims,
            entries,
        }
    }

    /// Standard normal entries.
    pub(crate) fn normal(rows: usize, dims: usize, seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let entries = (0..rows * dims).map(|_| normal(&mut rng)).collect();
        Self {
            rows,
            dims,
            entries,
        }
    }

    pub(crate) fn map(mut self, f: impl Fn(f64) -> f64) -> Self {
        self.entries.iter_mut().for_each(|x| *x = f(*x));
        self
    }

    pub(crate) fn zip(mut self, other: &Self, f: impl Fn(f64, f64) -> f64) -> Self {
        assert_eq!((self.rows, self.dims), (other.rows, other.dims));
        self.entries
            .iter_mut()
            .zip(&other.entries)
            .for_each(|(x, y)| *x = f(*x, *y));
        self
    }

    /// So many rows from this one on.
    pub(crate) fn rows_from(&self, start: usize, rows: usize) -> Self {
        let entries = start * self.dims..(start + rows) * self.dims;
        Self {
            rows,
            dims: self.dims,
            entries: self.entries[entries].to_vec(),
        }
    }

    pub(crate) fn product(&self, other: &Self) -> Self {
        assert_eq!(self.dims, other.rows);
        Self::from_fn(self.rows, other.dims, |i, j| {
            (0..self.dims)
                .map(|k| self.entries[i * self.dims + k] * other.entries[k * other.dims + j])
                .sum()
        })
    }

    /// Orthonormal columns (`rows >= dims`), by Gram-Schmidt on a normal matrix, twice.
    pub(crate) fn orthonormal(rows: usize, dims: usize, seed: u64) -> Self {
        assert!(rows >= dims);
        let normal = Self::normal(rows, dims, seed);
        let mut columns: Vec<Vec<f64>> = Vec::new();
        for j in 0..dims {
            let mut column: Vec<f64> = (0..rows).map(|i| normal.entries[i * dims + j]).collect();
            for _ in 0..2 {
                for other in &columns {
                    let along = dot(&column, other);
                    column
                        .iter_mut()
                        .zip(other)
                        .for_each(|(x, y)| *x -= along * y);
                }
            }
            let norm = dot(&column, &column).sqrt();
            column.iter_mut().for_each(|x| *x /= norm);
            columns.push(column);
        }
        Self::from_fn(rows, dims, |i, j| columns[j][i])
    }

    /// A matrix with these singular values; also its polar factor `U V^T`.
    pub(crate) fn with_spectrum(
        rows: usize,
        dims: usize,
        spectrum: &[f64],
        seed: u64,
    ) -> (Self, Self) {
        let rank = rows.min(dims);
        assert_eq!(spectrum.len(), rank);
        let u = Self::orthonormal(rows, rank, seed);
        let v = Self::orthonormal(dims, rank, seed + 1);
        let transposed = Self::from_fn(rank, dims, |i, j| v.entries[j * rank + i]);
        let scaled = Self::from_fn(rows, rank, |i, j| u.entries[i * rank + j] * spectrum[j]);
        (scaled.product(&transposed), u.product(&transposed))
    }

    pub(crate) fn tensor(&self, device: &Device, dtype: DType) -> Tensor<2> {
        let data =
            TensorData::new(self.entries.clone(), [self.rows, self.dims]).convert_dtype(dtype);
        Tensor::from_data(data, (device, dtype))
    }

    pub(crate) fn dot(&self, other: &Self) -> f64 {
        dot(&self.entries, &other.entries)
    }

    pub(crate) fn norm(&self) -> f64 {
        self.dot(self).sqrt()
    }

    /// Cosine of the angle between two matrices as vectors.
    pub(crate) fn cosine(&self, other: &Self) -> f64 {
        self.dot(other) / (self.norm() * other.norm())
    }
}

impl From<Tensor<2>> for Matrix {
    fn from(tensor: Tensor<2>) -> Self {
        let [rows, dims] = tensor.dims();
        let entries = tensor.into_data().iter::<f64>().collect();
        Self {
            rows,
            dims,
            entries,
        }
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

fn normal(rng: &mut impl Rng) -> f64 {
    // Box-Muller
    let (a, b): (f64, f64) = (rng.random(), rng.random());
    (-2.0 * (1.0 - a).ln()).sqrt() * (std::f64::consts::TAU * b).cos()
}

/// The value of a `[1]` tensor.
pub(crate) fn number(tensor: Tensor<1>) -> f64 {
    let values: Vec<f64> = tensor.into_data().iter::<f64>().collect();
    assert_eq!(values.len(), 1);
    values[0]
}

/// Any loss of the crate, as a function of one embedding matrix.
#[derive(Debug)]
pub(crate) struct Loss {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
}

#[derive(Debug)]
pub(crate) enum Kind {
    One(Box<dyn Regularizer>),
    /// The other view is fixed, and so is the side the argument takes.
    Two(Box<dyn TwoViewLoss>, Matrix, usize),
}

impl Loss {
    /// Every loss and variant, for embeddings of this shape.
    pub(crate) fn all(rows: usize, dims: usize) -> Vec<Self> {
        let svmax = |form, normalize, solver| {
            one(SvMaxConfig::paper()
                .with_form(form)
                .with_normalize(normalize)
                .with_solver(solver)
                .init())
        };
        let (host, device) = (Solver::Host, Solver::Device);
        let two = |loss: Box<dyn TwoViewLoss>, seed, side| {
            Kind::Two(loss, Matrix::normal(rows, dims, seed), side)
        };
        let vicreg = |scaling, seed, side| {
            let loss = VicRegLossConfig::new().with_scaling(scaling).init();
            two(Box::new(loss), seed, side)
        };
        let barlow = |side| two(Box::new(BarlowTwinsLossConfig::new().init()), 17, side);
        let nt_xent = |temperature, side| {
            let config = NtXentLossConfig::new().with_temperature(temperature);
            two(Box::new(config.init()), 18, side)
        };
        let mmcr = |local, solver, side| {
            let config = MmcrLossConfig::new().with_local_weight(local);
            two(Box::new(config.with_solver(solver).init()), 19, side)
        };
        let sigreg = |quadrature, solver| {
            let config = SigRegConfig::new().with_slices(24).with_seed(20);
            let config = config.with_quadrature(quadrature).with_solver(solver);
            one(config.init().at_step(3))
        };
        let lejepa = |solver, side| {
            let config = LeJepaLossConfig::new().with_slices(24);
            two(Box::new(config.with_solver(solver).init()), 21, side)
        };
        [
            ("svmax bounded", svmax(SvMaxForm::Bounded, true, host)),
            ("svmax linear", svmax(SvMaxForm::Linear, true, host)),
            ("svmax normalized", svmax(SvMaxForm::Normalized, true, host)),
            (
                "svmax linear, rows as given",
                svmax(SvMaxForm::Linear, false, host),
            ),
            (
                "svmax bounded, on the device",
                svmax(SvMaxForm::Bounded, true, device),
            ),
            (
                "svmax linear, rows as given, on the device",
                svmax(SvMaxForm::Linear, false, device),
            ),
            ("variance", one(Variance::default())),
            ("covariance", one(Covariance::default())),
            (
                "variance and covariance",
                one(VarianceCovariance::default()),
            ),
            (
                "covariance to the identity",
                one(CovarianceToIdentity::default()),
            ),
            ("sigreg", sigreg(SigRegQuadrature::Official, host)),
            (
                "sigreg paper, on the device",
                sigreg(SigRegQuadrature::Paper, device),
            ),
            ("vicreg official", vicreg(VicRegScaling::Official, 11, 0)),
            (
                "vicreg paper, second view",
                vicreg(VicRegScaling::Paper, 12, 1),
            ),
            (
                "vicreg summed variance",
                vicreg(VicRegScaling::SummedVariance, 13, 0),
            ),
            ("vicreg halved", vicreg(VicRegScaling::Halved, 14, 1)),
            ("barlow twins", barlow(0)),
            ("barlow twins, second view", barlow(1)),
            ("nt-xent", nt_xent(0.5, 0)),
            ("nt-xent, cold, second view", nt_xent(0.07, 1)),
            ("mmcr", mmcr(0.0, host, 0)),
            ("mmcr with local term, second view", mmcr(0.7, host, 1)),
            ("mmcr with local term, on the device", mmcr(0.7, device, 0)),
            ("lejepa", lejepa(host, 0)),
            ("lejepa, on the device, second view", lejepa(device, 1)),
        ]
        .into_iter()
        .map(|(name, kind)| Self { name, kind })
        .collect()
    }

    pub(crate) fn takes_two_views(&self) -> bool {
        matches!(self.kind, Kind::Two(..))
    }

    /// Whether it is a function of singular values, which is smoothed.
    pub(crate) fn is_spectral(&self) -> bool {
        self.name.starts_with("svmax") || self.name.starts_with("mmcr")
    }

    /// Whether it is a function of angles that are as large as the embeddings.
    pub(crate) fn is_of_angles(&self) -> bool {
        self.name.starts_with("sigreg") || self.name.starts_with("lejepa")
    }

    /// Whether the size of the embeddings does not count.
    pub(crate) fn is_of_unit_rows(&self) -> bool {
        let normalizes = !self.name.contains("rows as given");
        (self.is_spectral() && normalizes) || self.name.starts_with("nt-xent")
    }

    pub(crate) fn forward(&self, e: Tensor<2>) -> Tensor<1> {
        match &self.kind {
            Kind::One(loss) => loss.forward(e),
            Kind::Two(loss, other, side) => {
                let [a, b] = views(e, other, *side);
                loss.forward(a, b)
            }
        }
    }

    pub(crate) fn forward_terms(&self, e: Tensor<2>) -> Terms {
        match &self.kind {
            Kind::One(loss) => loss.forward_terms(e),
            Kind::Two(loss, other, side) => {
                let [a, b] = views(e, other, *side);
                loss.forward_terms(a, b)
            }
        }
    }

    /// The coefficients of the matrix that varies.
    pub(crate) fn coefficients(&self, e: Tensor<2>) -> Tensor<2> {
        fn side<const N: usize>(evaluation: Surrogate<N>, side: usize) -> Tensor<2> {
            evaluation.coefficients.expect("asked for the gradient")[side].clone()
        }
        match &self.kind {
            Kind::One(loss) => side(loss.evaluate(e), 0),
            Kind::Two(loss, other, at) => {
                let [a, b] = views(e, other, *at);
                side(loss.evaluate(a, b), *at)
            }
        }
    }

    /// The value at `e`.
    pub(crate) fn value(&self, e: &Matrix, device: &Device, dtype: DType) -> f64 {
        number(self.forward(e.tensor(device, dtype)))
    }

    /// The gradient at `e`, through autodiff.
    pub(crate) fn gradient(&self, e: &Matrix, device: &Device, dtype: DType) -> Matrix {
        let leaf = e.tensor(&device.clone().autodiff(), dtype).require_grad();
        let gradients = self.forward(leaf.clone()).backward();
        leaf.grad(&gradients)
            .expect("the loss depends on the embeddings")
            .into()
    }
}

fn one(loss: impl Regularizer + 'static) -> Kind {
    Kind::One(Box::new(loss))
}

fn views(e: Tensor<2>, other: &Matrix, side: usize) -> [Tensor<2>; 2] {
    let other = other.tensor(&e.device().without_autodiff(), e.dtype());
    if side == 0 { [e, other] } else { [other, e] }
}

/// Well- and ill-behaved embeddings by name.
pub(crate) fn regimes() -> Vec<(&'static str, Matrix)> {
    let (tall, _) = Matrix::with_spectrum(12, 5, &[3.0, 2.0, 1.5, 1.0, 0.5], 3);
    let rank_two = Matrix::normal(9, 2, 4).product(&Matrix::normal(2, 6, 5));
    let collapsed = Matrix::from_fn(10, 4, |_, j| [0.6, -0.3, 0.2, 0.7][j]);
    let nearly = |noise: f64| {
        collapsed
            .clone()
            .zip(&Matrix::normal(10, 4, 6), move |x, y| x + noise * y)
    };
    vec![
        ("healthy", Matrix::normal(8, 8, 1)),
        ("wide", Matrix::normal(5, 11, 2)),
        ("tall", tall),
        ("rank deficient", rank_two),
        ("nearly collapsed, 1e-2", nearly(1e-2)),
        ("nearly collapsed, 1e-4", nearly(1e-4)),
        ("tiny, 1e-6", Matrix::normal(7, 5, 7).map(|x| 1e-6 * x)),
        ("huge, 1e6", Matrix::normal(7, 5, 8).map(|x| 1e6 * x)),
        (
            "huge and wide, 1e6",
            Matrix::normal(4, 7, 9).map(|x| 1e6 * x),
        ),
    ]
}
