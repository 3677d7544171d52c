//! VICReg on several machines: each process embeds its rows of a batch, has the loss of all rows, and the gradients
//! are added up. What comes of it is held against one process that has the whole batch.
//!
//! ```sh
//! cargo build --release --features mpi --example distributed
//! mpirun -n 4 target/release/examples/distributed
//! ```

use std::error::Error;
use std::ops::Range;

use burn::module::{Module, ModuleVisitor, Param};
use burn::nn::{Linear, LinearConfig};
use burn::optim::{GradientsParams, SgdConfig};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Distribution, Tensor, TensorData};
use fullrank::shards::{Group, Sharded, ThreadGroup};
use fullrank::{TwoViewLoss, VicRegLossConfig};
use fullrank_mpi::World;
use fullrank_train::all_reduce::sum_gradients;

const BATCH: usize = 48;
const STEPS: usize = 10;

/// Without batch normalization, whose statistics would be those of a process's own rows.
#[derive(Module, Debug)]
struct Encoder {
    hidden: Linear,
    output: Linear,
}

impl Encoder {
    fn forward(&self, inputs: Tensor<2>) -> Tensor<2> {
        self.output.forward(relu(self.hidden.forward(inputs)))
    }
}

/// The weights after some steps on these rows of every batch, beside the workers that have the others, with this share
/// of the loss.
fn train(
    (loss, share): (&impl TwoViewLoss, f64),
    workers: &dyn Group,
    rows: Range<usize>,
) -> Result<Vec<f32>, Box<dyn Error>> {
    let device = Device::default().autodiff();
    // The same weights and batches in every process.
    device.seed(1);
    let mut model = Encoder {
        hidden: LinearConfig::new(12, 32).init(&device),
        output: LinearConfig::new(32, 16).init(&device),
    };
    let normal = |std| Distribution::Normal(0.0, std);
    let mut optimizer = SgdConfig::new().init();
    for _ in 0..STEPS {
        let samples = Tensor::<2>::random([BATCH, 12], normal(1.0), &device);
        let [a, b] = [0.1, 0.1].map(|noise| {
            let view = samples.clone() + samples.random_like(normal(noise));
            model.forward(view.slice([rows.clone()]))
        });
        let loss = loss.forward(a, b) * share;
        let own = GradientsParams::from_grads(loss.backward(), &model);
        let gradients = sum_gradients(workers, &model, own)?;
        model = optimizer.step(0.05, model, gradients);
    }
    let mut weights = Weights::default();
    model.visit(&mut weights);
    Ok(weights.0)
}

#[derive(Default)]
struct Weights(Vec<f32>);

impl ModuleVisitor for Weights {
    fn visit_float<const D: usize>(&mut self, weight: &Param<Tensor<D>>) {
        self.0.extend(weight.val().into_data().iter::<f32>());
    }
}

/// The largest difference of two weights.
fn distance(a: &[f32], b: &[f32]) -> f32 {
    let differences = a.iter().zip(b).map(|(a, b)| (a - b).abs());
    differences.fold(0.0, f32::max)
}

fn main() -> Result<(), Box<dyn Error>> {
    let world = World::join()?;
    let group = world.group();
    let (rank, size) = (group.rank(), group.size());
    let rows = rank * BATCH / size..(rank + 1) * BATCH / size;

    let vicreg = VicRegLossConfig::new().init();
    let over_all = Sharded::new(vicreg.clone(), group.clone());
    let weights = train((&over_all, 1.0), &*group, rows.clone())?;
    let over_own_rows = train((&vicreg, 1.0 / size as f64), &*group, rows)?;

    let own = TensorData::new(weights.clone(), [weights.len()]);
    let all = group.all_gather(vec![own])?.lists;
    assert!(
        all.iter().all(|list| *list == all[0]),
        "every process has the same weights"
    );
    if rank == 0 {
        let alone = train((&vicreg, 1.0), &ThreadGroup::new(1), 0..BATCH)?;
        println!("How far {size} processes are from one, in the weights after {STEPS} steps:");
        println!(
            "loss of the whole batch: {:.1e}",
            distance(&weights, &alone)
        );
        println!(
            "of each its own rows: {:.1e}",
            distance(&over_own_rows, &alone)
        );
    }
    Ok(world.finish()?)
}
