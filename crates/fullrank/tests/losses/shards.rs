//! A batch in shards: each has the value of the whole batch and its rows of the gradient.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use burn::tensor::{DType, Device, Tensor, TensorData};
use fullrank::shards::{
    BatchStatistics, Gathered, Group, GroupError, ShardStatistics, Sharded, ThreadGroup,
};
use fullrank::{
    AnyRegularizer, CovarianceConfig, Regularizer, RegularizerConfig, RegularizerSum, SigRegConfig,
    SvMaxConfig, Terms, TwoViewLoss, VarianceConfig, VicRegLossConfig,
};

use crate::matrices::{Kind, Loss, Matrix, f64_device, number, on_host, regimes};

/// Rows a shard: even, uneven, with an empty one, one row each. On another device than the host fewer: there these tests
/// are built without optimization, and every shard takes as many kernels as a batch.
fn divisions(rows: usize) -> Vec<Vec<usize>> {
    if !on_host() {
        return vec![vec![rows], vec![1, rows - 3, 2]];
    }
    vec![
        vec![rows],
        vec![rows / 2, rows - rows / 2],
        vec![1, rows - 3, 0, 2],
        vec![1; rows],
    ]
}

/// The shards of a batch, as the function of one matrix that a loss is here.
struct Shards<'a> {
    loss: &'a Loss,
    batch: &'a Matrix,
    division: &'a [usize],
    device: Device,
    dtype: DType,
}

impl Shards<'_> {
    fn matrices(&self) -> Vec<(Tensor<2>, Option<Tensor<2>>)> {
        let mut start = 0;
        let shard = self.division.iter().map(|&rows| {
            let tensor =
                |matrix: &Matrix| (matrix.rows_from(start, rows)).tensor(&self.device, self.dtype);
            let leaf = tensor(self.batch).autodiff().require_grad();
            let other = match &self.loss.kind {
                Kind::One(_) => None,
                Kind::Two(_, other, _) => Some(tensor(other)),
            };
            start += rows;
            (leaf, other)
        });
        shard.collect()
    }

    fn statistics(&self) -> Vec<ShardStatistics> {
        let batch = self.batch.rows;
        let shards = self.matrices().into_iter();
        let statistics = shards.map(|(leaf, other)| match (&self.loss.kind, other) {
            (Kind::One(loss), _) => loss.shard_statistics(leaf, batch),
            (Kind::Two(loss, _, 0), Some(other)) => loss.shard_statistics(leaf, other, batch),
            (Kind::Two(loss, ..), other) => {
                loss.shard_statistics(other.expect("two views"), leaf, batch)
            }
        });
        statistics.collect()
    }

    fn forward(&self, leaf: Tensor<2>, other: Option<Tensor<2>>, batch: &BatchStatistics) -> Terms {
        match (&self.loss.kind, other) {
            (Kind::One(loss), _) => loss.forward_shard(leaf, batch),
            (Kind::Two(loss, _, 0), Some(other)) => loss.forward_shard(leaf, other, batch),
            (Kind::Two(loss, ..), other) => {
                loss.forward_shard(other.expect("two views"), leaf, batch)
            }
        }
    }

    /// The terms of each shard, and the gradient of the whole batch.
    fn evaluate(&self) -> (Vec<Terms>, Matrix) {
        let batches = BatchStatistics::merge(self.statistics()).unwrap();
        let mut gradient = Vec::new();
        let mut all = Vec::new();
        for ((leaf, other), batch) in self.matrices().into_iter().zip(&batches) {
            let terms = self.forward(leaf.clone(), other, batch);
            if leaf.dims()[0] > 0 {
                let gradients = terms.total.backward();
                gradient.extend(Matrix::from(leaf.grad(&gradients).unwrap()).entries);
            }
            all.push(terms);
        }
        let gradient = Matrix {
            entries: gradient,
            ..*self.batch
        };
        (all, gradient)
    }
}

/// f32 to 1e-5, f64 to 1e-10.
fn precisions() -> [(Device, DType, f64); 2] {
    [
        (Device::default(), DType::F32, 1e-5),
        (f64_device(), DType::F64, 1e-10),
    ]
}

/// Of every loss, on a batch of more rows than dimensions, on one of fewer, and on one that is large enough for the sums
/// of those with slices.
#[test]
fn shards_have_the_loss_and_the_gradient_of_the_whole_batch() {
    let large = Matrix::normal(400, 6, 30);
    for batch in [Matrix::normal(60, 6, 31), Matrix::normal(7, 9, 32), large] {
        for loss in Loss::all(batch.rows, batch.dims) {
            if batch.rows == 400 && (!loss.is_of_angles() || !on_host()) {
                continue;
            }
            for (device, dtype, tolerance) in precisions() {
                let expected = loss.forward_terms(batch.tensor(&device, dtype)).values();
                let gradient = loss.gradient(&batch, &device, dtype);
                for division in divisions(batch.rows) {
                    let what = format!("{}, {dtype:?}, {division:?}", loss.name);
                    let (terms, rows) = Shards {
                        loss: &loss,
                        batch: &batch,
                        division: &division,
                        device: device.clone(),
                        dtype,
                    }
                    .evaluate();
                    for terms in terms {
                        for ((name, value), (expected_name, expected)) in
                            terms.values().into_iter().zip(&expected)
                        {
                            assert_eq!(&name, expected_name, "{what}");
                            assert!(
                                (value - expected).abs() <= tolerance * expected.abs().max(1e-2),
                                "{name} of {what}: {value} for {expected}"
                            );
                        }
                    }
                    let error = rows.zip(&gradient, |x, y| x - y).norm();
                    assert!(
                        error <= tolerance * gradient.norm(),
                        "gradient of {what}: error {error:e} of {:e}",
                        gradient.norm()
                    );
                }
            }
        }
    }
}

/// Embeddings that collapse, f64: of f32 rounding has left no common digits there.
#[test]
fn shards_of_collapsing_batches() {
    for (regime, e) in regimes() {
        // More rows than dimensions, so that sums are exchanged: the regime and it again, changed a little.
        let noise = Matrix::normal(e.rows * 4, e.dims, 33);
        let size = 1e-3 * e.norm() / (e.entries.len() as f64).sqrt();
        let rows = Matrix::from_fn(e.rows * 4, e.dims, |i, j| {
            e.entries[(i % e.rows) * e.dims + j] + size * noise.entries[i * e.dims + j]
        });
        for loss in Loss::all(rows.rows, rows.dims) {
            if loss.is_of_angles() && regime.starts_with("huge") {
                continue;
            }
            let device = f64_device();
            let gradient = loss.gradient(&rows, &device, DType::F64);
            let value = loss.value(&rows, &device, DType::F64);
            let division = [rows.rows / 3, rows.rows - rows.rows / 3];
            let (terms, sharded) = Shards {
                loss: &loss,
                batch: &rows,
                division: &division,
                device,
                dtype: DType::F64,
            }
            .evaluate();
            let total = number(terms[0].total.clone().without_autodiff());
            assert!(
                (total - value).abs() <= 1e-8 * value.abs(),
                "{} of {regime}: {total} for {value}",
                loss.name
            );
            let error = sharded.zip(&gradient, |x, y| x - y).norm();
            assert!(
                error <= 1e-6 * gradient.norm(),
                "{} of {regime}: error {error:e} of {:e}",
                loss.name,
                gradient.norm()
            );
        }
    }
}

/// What is exchanged does not grow with the batch where it is sums, and is never more than the rows.
#[test]
fn as_few_bytes_as_there_need_be() {
    let dims = 16;
    let bytes = |config: &RegularizerConfig, rows: usize, batch: usize| {
        let shard = Matrix::normal(rows, dims, 34).tensor(&Device::default(), DType::F32);
        config.init().shard_statistics(shard, batch).bytes()
    };
    let all_rows = |rows: usize| 4 * rows * dims;
    for config in [
        RegularizerConfig::SvMax(SvMaxConfig::new()),
        RegularizerConfig::Variance(VarianceConfig::new()),
        RegularizerConfig::Covariance(CovarianceConfig::new()),
        RegularizerConfig::SigReg(SigRegConfig::new().with_slices(8)),
    ] {
        assert_eq!(bytes(&config, 3, 8), all_rows(3), "{config:?}");
        if !on_host() && matches!(config, RegularizerConfig::SvMax(_)) {
            continue;
        }
        let [few, many] = [1, 200].map(|rows| bytes(&config, rows, 400));
        assert_eq!(few, many, "{config:?}");
        assert!(many < all_rows(200), "{config:?}: {many}");
    }
}

#[test]
fn a_sum_of_regularizers_in_shards() {
    #[derive(Debug)]
    struct Energy;
    impl Regularizer for Energy {
        fn forward(&self, embeddings: Tensor<2>) -> Tensor<1> {
            embeddings.square().sum().sqrt()
        }
    }
    let summands: [(&str, Box<dyn Regularizer>); 3] = [
        ("variance", Box::new(VarianceConfig::new().init())),
        ("energy", Box::new(Energy)),
        ("svmax", Box::new(SvMaxConfig::new().init())),
    ];
    let sum = RegularizerSum::new(summands);
    let batch = Matrix::normal(40, 5, 35);
    let device = Device::default();
    let whole = batch.tensor(&device, DType::F32).autodiff().require_grad();
    let expected = sum.forward_terms(whole.clone());
    let gradient = Matrix::from(whole.grad(&expected.total.backward()).unwrap());

    let shards = [(0, 15), (15, 25)].map(|(start, rows)| {
        let rows = batch.rows_from(start, rows).tensor(&device, DType::F32);
        rows.autodiff().require_grad()
    });
    let statistics = shards.clone().map(|shard| sum.shard_statistics(shard, 40));
    let merged = BatchStatistics::merge(statistics).unwrap();
    let mut rows = Vec::new();
    for (shard, batch) in shards.into_iter().zip(&merged) {
        let terms = sum.forward_shard(shard.clone(), batch);
        for ((name, value), (expected_name, expected)) in
            terms.values().into_iter().zip(expected.values())
        {
            assert_eq!(name, expected_name);
            approx::assert_relative_eq!(value, expected, max_relative = 1e-5);
        }
        rows.extend(Matrix::from(shard.grad(&terms.total.backward()).unwrap()).entries);
    }
    let sharded = Matrix {
        entries: rows,
        ..gradient
    };
    let error = sharded.zip(&gradient, |x, y| x - y).norm();
    assert!(error <= 1e-5 * gradient.norm(), "{error:e}");
}

#[test]
fn statistics_that_do_not_match_are_an_error() {
    let device = Device::default();
    let of = |regularizer: &dyn Regularizer, dims: usize| {
        let shard = Matrix::normal(50, dims, 36).tensor(&device, DType::F32);
        regularizer.shard_statistics(shard, 100)
    };
    let [variance, covariance] = [
        RegularizerConfig::Variance(VarianceConfig::new()).init(),
        RegularizerConfig::Covariance(CovarianceConfig::new()).init(),
    ];
    for (one, other) in [
        (of(&variance, 4), of(&variance, 5)),
        (of(&variance, 4), of(&covariance, 4)),
    ] {
        let merged = BatchStatistics::merge([one, other]);
        assert_eq!(merged.unwrap_err(), GroupError::Mismatch);
    }
}

/// Runs every worker's part in a thread of its own.
fn in_threads<T: Send>(workers: usize, work: impl Fn(usize) -> T + Sync) -> Vec<thread::Result<T>> {
    thread::scope(|scope| {
        let work = &work;
        let threads = (0..workers).map(|worker| scope.spawn(move || work(worker)));
        let threads: Vec<_> = threads.collect();
        threads.into_iter().map(|thread| thread.join()).collect()
    })
}

#[test]
fn threads_share_a_batch() {
    let batch = Matrix::normal(60, 6, 37);
    let other = Matrix::normal(60, 6, 38);
    let vicreg = VicRegLossConfig::new().init();
    let device = Device::default();
    let leaf = batch.tensor(&device, DType::F32).autodiff().require_grad();
    let expected = vicreg.forward(leaf.clone(), other.tensor(&device, DType::F32));
    let gradient = Matrix::from(leaf.grad(&expected.backward()).unwrap());
    let expected = number(expected.without_autodiff());

    for (workers, averaged) in [(2, false), (3, true)] {
        let group = Arc::new(ThreadGroup::new(workers));
        let mut sharded = Sharded::new(vicreg.clone(), group);
        if averaged {
            sharded = sharded.averaged();
        }
        let rows = 60 / workers;
        // Two steps: the second exchange must not mix with the first.
        let results = in_threads(workers, |worker| {
            let shard = |matrix: &Matrix| {
                (matrix.rows_from(worker * rows, rows)).tensor(&device, DType::F32)
            };
            [(), ()].map(|()| {
                let leaf = shard(&batch).autodiff().require_grad();
                let loss = sharded.forward(leaf.clone(), shard(&other));
                let gradient = Matrix::from(leaf.grad(&loss.backward()).unwrap());
                (number(loss.without_autodiff()), gradient.entries)
            })
        });
        for step in 0..2 {
            let mut entries = Vec::new();
            for result in &results {
                let (value, rows) = &result.as_ref().unwrap()[step];
                approx::assert_relative_eq!(*value, expected, max_relative = 1e-5);
                entries.extend(rows);
            }
            let factor = if averaged { workers as f64 } else { 1.0 };
            let whole = gradient.clone().map(|x| factor * x);
            let sharded = Matrix { entries, ..whole };
            let error = sharded.zip(&whole, |x, y| x - y).norm();
            assert!(error <= 1e-5 * whole.norm(), "{workers} workers: {error:e}");
        }
    }
}

/// What each thread has for itself is another gradient.
#[test]
fn shards_for_themselves_have_another_gradient() {
    let batch = Matrix::normal(60, 30, 39);
    let device = Device::default();
    let svmax: AnyRegularizer = RegularizerConfig::SvMax(SvMaxConfig::new()).init();
    let gradient = |rows: &Matrix| {
        let leaf = rows.tensor(&device, DType::F32).autodiff().require_grad();
        let gradients = svmax.forward(leaf.clone()).backward();
        Matrix::from(leaf.grad(&gradients).unwrap())
    };
    let entries = [0, 20, 40].map(|start| gradient(&batch.rows_from(start, 20)).entries);
    let naive = Matrix {
        entries: entries.concat(),
        ..batch
    };
    let cosine = naive.cosine(&gradient(&batch));
    assert!(cosine < 0.95, "{cosine}");
}

/// Embeddings outside autodiff are a batch for themselves: validation is left to one worker.
#[test]
fn validation_needs_no_other_worker() {
    let variance = VarianceConfig::new().init();
    let sharded = Sharded::new(variance.clone(), Arc::new(ThreadGroup::new(3)));
    let rows = Matrix::normal(8, 4, 40).tensor(&Device::default(), DType::F32);
    let value = number(sharded.forward(rows.clone()));
    assert_eq!(value, number(variance.forward(rows)));
}

#[test]
fn who_waits_in_vain_is_told() {
    let group = ThreadGroup::new(3).with_timeout(Duration::from_millis(50));
    let results = in_threads(2, |_| group.all_gather(Vec::new()).map(drop));
    for result in results {
        let error = result.unwrap().unwrap_err();
        assert!(
            matches!(
                error,
                GroupError::TimedOut {
                    present: 2,
                    size: 3,
                    ..
                }
            ),
            "{error}"
        );
    }
    // The group is over for whoever comes later.
    let later = group.all_gather(Vec::new());
    assert!(matches!(later, Err(GroupError::TimedOut { .. })));
}

#[test]
fn a_panic_ends_the_others_at_once() {
    let group = ThreadGroup::new(2);
    let started = Instant::now();
    let results = in_threads(2, |worker| {
        let _watch = group.watch();
        assert!(worker != 0, "worker 0 has no batch");
        group.all_gather(Vec::new()).map(drop)
    });
    assert!(results[0].is_err());
    let error = results[1].as_ref().unwrap().clone().unwrap_err();
    assert_eq!(
        error,
        GroupError::Left {
            present: 1,
            size: 2
        }
    );
    assert!(started.elapsed() < Duration::from_secs(30));
}

/// What is gathered has one order for all, whoever comes first; sums have the same bits.
#[test]
fn the_same_numbers_whichever_thread_comes_first() {
    let numbers = [0.1f32, 1e8, -1e8, 0.3];
    let exchange = |delays: [u64; 4]| {
        let group = ThreadGroup::new(4);
        let results = in_threads(4, |worker| {
            thread::sleep(Duration::from_millis(delays[worker]));
            let own = TensorData::new(vec![numbers[worker]], [1]);
            let Gathered { lists, own: place } = group.all_gather(vec![own.clone()]).unwrap();
            assert_eq!(lists[place][0], own);
            let sum = group.all_sum(vec![own]).unwrap();
            let order: Vec<f32> = lists
                .iter()
                .flat_map(|list| list[0].iter::<f32>())
                .collect();
            (order, sum[0].iter::<f32>().collect::<Vec<_>>())
        });
        let results = results.into_iter().map(Result::unwrap).collect::<Vec<_>>();
        assert!(results.iter().all(|result| *result == results[0]));
        results[0].clone()
    };
    assert_eq!(exchange([0, 30, 60, 90]), exchange([90, 60, 30, 0]));
}
