//! Workers that share a batch have the losses of all its rows, and their own rows of the gradient.

use std::thread;

use burn::tensor::{DType, Device, Int, Tensor};
use fullrank::shards::{GroupError, ThreadGroup};
use fullrank_retrieval::{AllRows, BatchHardMiner, Miner, RankingLoss, TripletLoss};

use crate::batches::{Batch, losses, number};

/// The rows of a batch from one on, as a worker has them.
fn shard(batch: &Batch, rows: std::ops::Range<usize>) -> Batch {
    Batch {
        rows: rows.len(),
        dims: batch.dims,
        entries: batch.entries[rows.start * batch.dims..rows.end * batch.dims].to_vec(),
        labels: batch.labels[rows].to_vec(),
    }
}

/// What a worker has of a loss: its value, and each of its rows with that row's gradient.
struct OfWorker {
    all: Batch,
    value: f64,
    rows: Vec<(Vec<f64>, Vec<f64>)>,
}

fn numbers(tensor: Tensor<2>) -> Vec<f64> {
    tensor.into_data().iter().collect()
}

/// Uneven shards, one of them empty, in threads.
fn in_shards(
    batch: &Batch,
    loss: impl Fn(&AllRows, Tensor<2>) -> Tensor<1> + Sync,
) -> Vec<OfWorker> {
    let group = ThreadGroup::new(3);
    let device = Device::default();
    let work = |rows: std::ops::Range<usize>| {
        let own = shard(batch, rows);
        let leaf = own.tensor(&device, DType::F32).autodiff().require_grad();
        let all = AllRows::gather(&leaf, &own.labels(&device), &group).unwrap();
        let value = match own.rows {
            0 => loss(&all, leaf).without_autodiff(),
            _ => {
                let value = loss(&all, leaf.clone());
                let gradient = numbers(leaf.grad(&value.backward()).unwrap());
                return OfWorker {
                    value: number(value.without_autodiff()),
                    rows: (numbers(leaf.without_autodiff()).chunks(own.dims))
                        .zip(gradient.chunks(own.dims))
                        .map(|(row, gradient)| (row.to_vec(), gradient.to_vec()))
                        .collect(),
                    all: whole(all, own.dims),
                };
            }
        };
        OfWorker {
            value: number(value),
            rows: Vec::new(),
            all: whole(all, own.dims),
        }
    };
    thread::scope(|scope| {
        let work = &work;
        let threads = [0..3, 3..3, 3..batch.rows].map(|rows| scope.spawn(move || work(rows)));
        threads.map(|thread| thread.join().unwrap()).into()
    })
}

fn whole(all: AllRows, dims: usize) -> Batch {
    let entries = numbers(all.embeddings);
    Batch {
        rows: entries.len() / dims,
        dims,
        entries,
        labels: all.labels.into_data().iter().collect(),
    }
}

#[test]
fn every_loss_of_all_rows() {
    let batch = Batch::sines();
    let device = Device::default();
    for (name, loss) in losses() {
        let workers = in_shards(&batch, |all, own| {
            let whole = loss.evaluate(all.embeddings.clone(), all.labels.clone());
            all.attach(whole, own)
        });
        let all = &workers[0].all;
        assert_eq!(all.rows, batch.rows);
        let value = all.value(&*loss, &device, DType::F32);
        let gradient = all.gradient(&*loss, &device, DType::F32);
        let mut rows = 0;
        for worker in &workers {
            assert_eq!(worker.value, value, "{name}");
            for (row, of_row) in &worker.rows {
                let place = all.entries.chunks(all.dims).position(|other| other == row);
                let place = place.expect("a row of the batch") * all.dims;
                assert_eq!(*of_row, gradient[place..place + all.dims], "{name}");
                rows += 1;
            }
        }
        assert_eq!(rows, batch.rows);
    }
}

/// The pairs between two workers' rows are there: a class with one row a worker has its positive pair.
#[test]
fn pairs_of_two_workers() {
    let batch = Batch {
        labels: vec![0, 1, 2, 0, 1, 2, 3, 4],
        ..Batch::sines()
    };
    let mined = |all: &AllRows| BatchHardMiner::default().mine(&all.embeddings, &all.labels);
    let loss = TripletLoss::default();
    let workers = in_shards(&batch, |all, own| {
        let whole = loss.evaluate_tuples(all.embeddings.clone(), &mined(all));
        all.attach(whole, own)
    });
    assert!(
        workers
            .iter()
            .all(|worker| worker.value == workers[0].value)
    );
    assert!(workers[0].value > 0.0);
    let gradients = workers.iter().flat_map(|worker| &worker.rows);
    assert!(
        gradients
            .filter(|(_, gradient)| gradient.iter().any(|&x| x != 0.0))
            .count()
            >= 6
    );
}

#[test]
fn embeddings_of_another_width_are_an_error() {
    let group = ThreadGroup::new(2);
    let device = Device::default();
    let gather = |dims: usize| {
        let rows = Tensor::<2>::ones([2, dims], &device);
        let labels = Tensor::<1, Int>::zeros([2], &device);
        AllRows::gather(&rows, &labels, &group).map(drop)
    };
    let results = thread::scope(|scope| {
        let gather = &gather;
        [3, 4]
            .map(|dims| scope.spawn(move || gather(dims)))
            .map(|thread| thread.join().unwrap())
    });
    assert_eq!(results, [const { Err(GroupError::Mismatch) }; 2]);
}
