//! Where the time of a loss goes: the products that any exact method needs, and an inverse of their size.

use std::hint::black_box;
use std::time::Instant;

use burn::tensor::{Device, Distribution, Tensor};
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::cholesky::llt;
use faer::linalg::matmul::matmul;
use faer::linalg::matmul::triangular::{self, BlockStructure};
use faer::{Accum, Mat, MatMut, MatRef, Par};
use serde_json::{Value, json};

use crate::batches::Batches;
use crate::losses::loss;

/// GFLOP/s of a square matrix product, by faer and by the device.
pub(crate) fn rate(device: &Device, size: usize) -> Value {
    let entries: Vec<f32> = (0..size * size).map(|i| (i % 17) as f32 - 8.0).collect();
    let left = MatRef::from_row_major_slice(&entries, size, size);
    let mut out = Mat::<f32>::zeros(size, size);
    let on_device = Tensor::<2>::random([size, size], Distribution::Default, device);

    let mut by_faer = || {
        matmul(&mut out, Accum::Replace, left, left, 1.0, Par::rayon(0));
        black_box(&out);
    };
    let mut by_device = || {
        black_box(on_device.clone().matmul(on_device.clone()));
        device.sync().expect("the device computes");
    };
    let [faer, device] = medians([&mut by_faer, &mut by_device]);
    let rate = |milliseconds: f64| 2.0 * (size as f64).powi(3) / milliseconds / 1e6;
    json!({ "faer": rate(faer), "device": rate(device) })
}

/// Milliseconds of the whole loss and of its parts: the Gram matrix on the smaller side and the
/// product of the embeddings with a matrix of that size, for all views together (by faer, one
/// triangle of the Gram matrix; by the device, all of it); one Cholesky factorization with
/// inverse by faer.
pub(crate) fn profile(batches: &Batches, name: &str) -> Value {
    let loss = loss(name);
    let [rows, dims] = batches.shape();
    let rank = rows.min(dims);
    let wide = rows < dims;

    let mut whole = || {
        black_box(batches.step(&loss).gradients);
    };
    let mut products_sequential = faer_products(batches, Par::Seq);
    let mut products_parallel = faer_products(batches, Par::rayon(0));
    let plain: Vec<Tensor<2>> = batches.plain().collect();
    let square = Tensor::<2>::random([rank, rank], Distribution::Default, batches.device());
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
        batches.synchronize();
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

fn faer_products(batches: &Batches, par: Par) -> impl FnMut() {
    let [rows, dims] = batches.shape();
    let rank = rows.min(dims);
    let wide = rows < dims;
    let mut gram = Mat::<f32>::zeros(rank, rank);
    let square = Mat::<f32>::from_fn(rank, rank, |i, j| ((i + j) % 17) as f32 - 8.0);
    let mut out = vec![0.0_f32; rows * dims];
    move || {
        for entries in batches.entries() {
            let matrix = MatRef::from_row_major_slice(entries, rows, dims);
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
