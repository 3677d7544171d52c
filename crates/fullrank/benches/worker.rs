//! The Rust side of `compare`: answers requests, one JSON object a line, from standard input.
//!
//! It computes on the device that `BURN_DEVICE` names. Without the argument `serve`, as when cargo
//! runs the benchmarks, it ends at once.

use std::fs::File;
use std::hint::black_box;
use std::io::{BufReader, BufWriter, Write};
use std::time::Instant;

use burn::tensor::{Device, Distribution, Tensor, TensorData};
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::cholesky::llt;
use faer::linalg::matmul::matmul;
use faer::linalg::matmul::triangular::{self, BlockStructure};
use faer::{Accum, Mat, MatMut, MatRef, Par};
use fullrank::{
    BarlowTwinsLossConfig, CovarianceToIdentity, LeJepaLoss, MmcrLossConfig, NtXentLoss, SigReg,
    Solver, SvMaxConfig, SvMaxForm, TwoViewLoss, VicRegLossConfig,
};
use serde_json::{Value, json};

fn main() {
    if std::env::args().nth(1).as_deref() != Some("serve") {
        return;
    }
    let mut worker = Worker {
        device: Device::default(),
        inputs: Vec::new(),
    };
    for line in std::io::stdin().lines() {
        let line = line.expect("a line on standard input");
        let request = serde_json::from_str(&line).expect("a request in JSON");
        let answer = worker.answer(&request);
        println!("{answer}");
    }
}

/// The loaded inputs, and what can be asked about them.
struct Worker {
    device: Device,
    inputs: Vec<Matrix>,
}

/// A batch of embeddings, on the host and on the device.
struct Matrix {
    entries: Vec<f32>,
    shape: [usize; 2],
    tensor: Tensor<2>,
}

/// A loss of as many views as there are inputs.
type Loss = Box<dyn Fn(&[Tensor<2>]) -> Tensor<1>>;

impl Worker {
    fn answer(&mut self, request: &Value) -> Value {
        match text(&request["op"]) {
            "hello" => json!({
                "device": format!("{:?}", self.device),
                "threads": Par::rayon(0).degree(),
            }),
            "load" => {
                self.inputs = strings(&request["inputs"])
                    .map(|path| self.read(path))
                    .collect();
                json!({})
            }
            "run" => {
                let loss = loss(text(&request["loss"]));
                let discard = number(&request["discard"]);
                let times: Vec<f64> = (0..discard + number(&request["repeat"]))
                    .map(|_| self.step(&loss).milliseconds)
                    .collect();
                json!({ "ms": times[discard..] })
            }
            "evaluate" => self.evaluate(
                text(&request["loss"]),
                strings(&request["gradients"]).collect(),
            ),
            "rate" => self.rate(number(&request["size"])),
            "profile" => self.profile(text(&request["loss"])),
            other => panic!("unknown request: {other}"),
        }
    }

    fn read(&self, path: &str) -> Matrix {
        let file = File::open(path).unwrap_or_else(|error| panic!("{path}: {error}"));
        let npy = npyz::NpyFile::new(BufReader::new(file)).expect("an .npy file");
        let &[rows, dims] = npy.shape() else {
            panic!("{path}: not a matrix: {:?}", npy.shape());
        };
        let shape = [rows as usize, dims as usize];
        let entries: Vec<f32> = npy.into_vec().expect("entries of f32");
        let tensor = Tensor::from_data(
            TensorData::new(entries.clone(), shape),
            &self.device.clone().autodiff(),
        );
        Matrix {
            entries,
            shape,
            tensor,
        }
    }

    /// Forward and backward, from leaves to their gradients.
    fn step(&self, loss: &Loss) -> Step {
        let leaves: Vec<Tensor<2>> = self
            .inputs
            .iter()
            .map(|input| input.tensor.clone().require_grad())
            .collect();
        self.synchronize();
        let start = Instant::now();
        let value = loss(&leaves);
        let found = value.backward();
        let gradients = leaves
            .iter()
            .map(|leaf| leaf.grad(&found).expect("a gradient for each view"))
            .collect();
        drop(found);
        self.synchronize();
        Step {
            milliseconds: start.elapsed().as_secs_f64() * 1e3,
            value,
            gradients,
        }
    }

    fn synchronize(&self) {
        self.device.sync().expect("the device computes");
    }

    /// Value and gradients as the peers have them: for SVMax those of the mean singular value.
    fn evaluate(&self, name: &str, paths: Vec<&str>) -> Value {
        let sign = if name.starts_with("svmax") { -1.0 } else { 1.0 };
        let step = self.step(&loss(name));
        for (gradient, path) in step.gradients.into_iter().zip(paths) {
            write(path, gradient * sign);
        }
        let value: f64 = step.value.to_data().iter().next().expect("a value");
        json!({ "value": sign * value })
    }

    /// GFLOP/s of a square matrix product, by faer and by the device.
    fn rate(&self, size: usize) -> Value {
        let entries: Vec<f32> = (0..size * size).map(|i| (i % 17) as f32 - 8.0).collect();
        let left = MatRef::from_row_major_slice(&entries, size, size);
        let mut out = Mat::<f32>::zeros(size, size);
        let on_device = Tensor::<2>::random([size, size], Distribution::Default, &self.device);

        let mut by_faer = || {
            matmul(&mut out, Accum::Replace, left, left, 1.0, Par::rayon(0));
            black_box(&out);
        };
        let mut by_device = || {
            black_box(on_device.clone().matmul(on_device.clone()));
            self.synchronize();
        };
        let [faer, device] = medians([&mut by_faer, &mut by_device]);
        let rate = |milliseconds: f64| 2.0 * (size as f64).powi(3) / milliseconds / 1e6;
        json!({ "faer": rate(faer), "device": rate(device) })
    }

    /// Milliseconds of the whole loss and of its parts: the Gram matrix on the smaller side and the
    /// product of the embeddings with a matrix of that size, for all views together (by faer, one
    /// triangle of the Gram matrix; by the device, all of it); one Cholesky factorization with
    /// inverse by faer.
    fn profile(&self, name: &str) -> Value {
        let loss = loss(name);
        let [rows, dims] = self.inputs[0].shape;
        let rank = rows.min(dims);
        let wide = rows < dims;

        let mut whole = || {
            black_box(self.step(&loss).gradients);
        };
        let mut products_sequential = self.faer_products(Par::Seq);
        let mut products_parallel = self.faer_products(Par::rayon(0));
        let plain: Vec<Tensor<2>> = self
            .inputs
            .iter()
            .map(|input| input.tensor.clone().without_autodiff())
            .collect();
        let square = Tensor::<2>::random([rank, rank], Distribution::Default, &self.device);
        let mut products_device = || {
            for views in &plain {
                let turned = views.clone().transpose();
                if wide {
                    black_box(views.clone().matmul(turned));
                    black_box(square.clone().matmul(views.clone()));
                } else {
                    black_box(turned.matmul(views.clone()));
                    black_box(views.clone().matmul(square.clone()));
                }
            }
            self.synchronize();
        };
        let mut inverse_sequential = inverse_of(rank, Par::Seq);
        let mut inverse_parallel = inverse_of(rank, Par::rayon(0));
        let [whole, faer_1, faer_2, device, inverse_1, inverse_2] = medians([
            &mut whole,
            &mut products_sequential,
            &mut products_parallel,
            &mut products_device,
            &mut inverse_sequential,
            &mut inverse_parallel,
        ]);
        json!({
            "whole_ms": whole,
            "faer_products_ms": faer_1.min(faer_2),
            "device_products_ms": device,
            "inverse_ms": inverse_1.min(inverse_2),
        })
    }

    fn faer_products(&self, par: Par) -> impl FnMut() {
        let [rows, dims] = self.inputs[0].shape;
        let rank = rows.min(dims);
        let wide = rows < dims;
        let mut gram = Mat::<f32>::zeros(rank, rank);
        let square = Mat::<f32>::from_fn(rank, rank, |i, j| ((i + j) % 17) as f32 - 8.0);
        let mut out = vec![0.0_f32; rows * dims];
        move || {
            for input in &self.inputs {
                let matrix = MatRef::from_row_major_slice(&input.entries, rows, dims);
                let out = MatMut::from_row_major_slice_mut(&mut out, rows, dims);
                let (tall, out) = if wide {
                    (matrix.transpose(), out.transpose_mut())
                } else {
                    (matrix, out)
                };
                triangular::matmul(
                    &mut gram,
                    BlockStructure::TriangularLower,
                    Accum::Replace,
                    tall.transpose(),
                    BlockStructure::Rectangular,
                    tall,
                    BlockStructure::Rectangular,
                    1.0,
                    par,
                );
                matmul(out, Accum::Replace, tall, &square, 1.0, par);
            }
            black_box((&gram, &out));
        }
    }
}

/// What forward and backward took and found.
struct Step {
    milliseconds: f64,
    value: Tensor<1>,
    gradients: Vec<Tensor<2>>,
}

/// A loss by its name; SVMax also with a solver, as in `svmax host`.
fn loss(name: &str) -> Loss {
    match name {
        "svmax" => svmax(Solver::Auto),
        "svmax host" => svmax(Solver::Host),
        "svmax device" => svmax(Solver::Device),
        "vicreg" => two_views(VicRegLossConfig::new().init()),
        "barlow-twins" => two_views(BarlowTwinsLossConfig::new().init()),
        "nt-xent" => two_views(NtXentLoss::default()),
        "mmcr" => two_views(MmcrLossConfig::new().with_local_weight(5e-3).init()),
        "covariance-to-identity" => {
            let loss = CovarianceToIdentity::default();
            Box::new(move |views| loss.forward(views[0].clone()))
        }
        "sigreg" => Box::new(|views| {
            let sigreg = SigReg::default().along(slices(&views[0]));
            sigreg.forward(views[0].clone())
        }),
        "lejepa" => Box::new(|views| {
            let lejepa = LeJepaLoss::default().along(slices(&views[0]));
            lejepa.forward(views[0].clone(), views[1].clone())
        }),
        other => panic!("unknown loss: {other}"),
    }
}

fn two_views(loss: impl TwoViewLoss + 'static) -> Loss {
    Box::new(move |views| loss.forward(views[0].clone(), views[1].clone()))
}

/// The directions that both sides look along: the columns of cos(1 + 3 i + 7 j + i j), divided by their norm.
fn slices(embeddings: &Tensor<2>) -> Tensor<2> {
    const COUNT: usize = 1024;
    let [_, dim] = embeddings.dims();
    let entry = |i: usize, j: usize| ((1 + 3 * i + 7 * j + i * j) as f64).cos();
    let norms: Vec<f64> = (0..COUNT)
        .map(|j| (0..dim).map(|i| entry(i, j).powi(2)).sum::<f64>().sqrt())
        .collect();
    let entries: Vec<f32> = (0..dim * COUNT)
        .map(|k| (k / COUNT, k % COUNT))
        .map(|(i, j)| (entry(i, j) / norms[j]) as f32)
        .collect();
    let device = embeddings.device().without_autodiff();
    Tensor::from_data(TensorData::new(entries, [dim, COUNT]), &device)
}

/// The negative mean singular value of the rows as they are.
fn svmax(solver: Solver) -> Loss {
    let loss = SvMaxConfig::paper()
        .with_form(SvMaxForm::Linear)
        .with_normalize(false)
        .with_solver(solver)
        .init();
    Box::new(move |views| loss.forward(views[0].clone()))
}

/// Cholesky factorization and inverse of a positive definite matrix.
fn inverse_of(size: usize, par: Par) -> impl FnMut() {
    let matrix = Mat::<f32>::from_fn(size, size, |i, j| {
        if i == j {
            size as f32
        } else {
            ((i + j) % 3) as f32 - 1.0
        }
    });
    let mut factor = Mat::<f32>::zeros(size, size);
    let mut inverse = Mat::<f32>::zeros(size, size);
    let scratch = llt::factor::cholesky_in_place_scratch::<f32>(size, par, Default::default())
        .or(llt::inverse::inverse_scratch::<f32>(size, par));
    let mut scratch = MemBuffer::new(scratch);
    move || {
        factor.copy_from_triangular_lower(&matrix);
        let stack = MemStack::new(&mut scratch);
        llt::factor::cholesky_in_place(
            factor.as_mut(),
            Default::default(),
            par,
            stack,
            Default::default(),
        )
        .expect("the matrix is positive definite");
        llt::inverse::inverse(inverse.as_mut(), factor.as_ref(), par, stack);
        black_box(&inverse);
    }
}

/// Median milliseconds of each task. The tasks take turns; a turn starts with an untimed run.
fn medians<const N: usize>(mut tasks: [&mut dyn FnMut(); N]) -> [f64; N] {
    const TURN: f64 = 40.0;
    const ROUNDS: usize = 9;

    let mut times: [Vec<f64>; N] = [const { Vec::new() }; N];
    for _ in 0..ROUNDS {
        for (task, times) in tasks.iter_mut().zip(&mut times) {
            task();
            let mut spent = 0.0;
            while spent < TURN {
                let start = Instant::now();
                task();
                let milliseconds = start.elapsed().as_secs_f64() * 1e3;
                times.push(milliseconds);
                spent += milliseconds;
            }
        }
    }
    times.map(|mut times| {
        times.sort_by(f64::total_cmp);
        times[times.len() / 2]
    })
}

fn write(path: &str, matrix: Tensor<2>) {
    use npyz::WriterBuilder;

    let shape = matrix.dims().map(|n| n as u64);
    let file = File::create(path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let mut file = BufWriter::new(file);
    let mut writer = npyz::WriteOptions::<f32>::new()
        .default_dtype()
        .shape(&shape)
        .writer(&mut file)
        .begin_nd()
        .expect("a file to write to");
    writer
        .extend(matrix.into_data().iter::<f32>())
        .and_then(|()| writer.finish())
        .and_then(|()| file.flush())
        .unwrap_or_else(|error| panic!("{path}: {error}"));
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a string")
}

fn number(value: &Value) -> usize {
    value.as_u64().expect("a whole number") as usize
}

fn strings(value: &Value) -> impl Iterator<Item = &str> {
    value.as_array().expect("a list").iter().map(text)
}
