//! A batch in chunks has the gradient of the whole batch.

use std::cell::{Cell, RefCell};
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

use burn::module::{Module, ModuleVisitor, Param};
use burn::nn::{BatchNorm, BatchNormConfig, Dropout, DropoutConfig, Linear, LinearConfig};
use burn::optim::{GradientsAccumulator, GradientsParams};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Distribution, Int, Tensor, TensorData};
use fullrank::{
    BarlowTwinsLossConfig, NtXentLossConfig, SvMaxConfig, Terms, VarianceCovarianceConfig,
    VicRegLossConfig,
};
use fullrank_retrieval::TripletLossConfig;
use fullrank_train::large_batch::{LargeBatch, LargeBatchStep};
use fullrank_train::session::weights;

const ROWS: usize = 48;

/// Linear, what there is of batch normalization and dropout, ReLU, linear.
#[derive(Module, Debug)]
struct Model {
    hidden: Linear,
    norm: Option<BatchNorm>,
    dropout: Option<Dropout>,
    output: Linear,
    temperature: Param<Tensor<1>>,
}

impl Model {
    fn new(device: &Device) -> Self {
        Self {
            hidden: LinearConfig::new(10, 24).init(device),
            norm: None,
            dropout: None,
            output: LinearConfig::new(24, 12).init(device),
            temperature: Param::from_tensor(Tensor::from_floats([0.5], device)),
        }
    }

    fn normalized(device: &Device) -> Self {
        Self {
            norm: Some(BatchNormConfig::new(24).init(device)),
            ..Self::new(device)
        }
    }

    fn forward(&self, inputs: Tensor<2>) -> Tensor<2> {
        let x = self.hidden.forward(inputs);
        let x = match &self.norm {
            Some(norm) => norm.forward(x),
            None => x,
        };
        let x = relu(x);
        let x = match &self.dropout {
            Some(dropout) => dropout.forward(x),
            None => x,
        };
        self.output.forward(x)
    }

    fn part<const N: usize>(&self, inputs: &[Tensor<2>; N], rows: Range<usize>) -> [Tensor<2>; N] {
        (inputs.clone()).map(|inputs| self.forward(inputs.slice([rows.clone()])))
    }

    /// A copy that shares no running statistic.
    fn separate(&self) -> Self {
        self.valid().train()
    }
}

/// One test at a time: there is one generator for all that draws.
fn device() -> (Device, MutexGuard<'static, ()>) {
    static ONE: Mutex<()> = Mutex::new(());
    let guard = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let device = Device::default().autodiff();
    device.seed(5);
    (device, guard)
}

fn inputs<const N: usize>(device: &Device) -> [Tensor<2>; N] {
    [(); N].map(|()| Tensor::random([ROWS, 10], Distribution::Normal(0.0, 1.0), device))
}

/// The gradients of all parameters, one after the other.
fn flat(model: &Model, gradients: &GradientsParams) -> Vec<f64> {
    struct Flat<'a>(&'a GradientsParams, Vec<f64>);

    impl ModuleVisitor for Flat<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if let Some(gradient) = self.0.get::<D>(param.id) {
                self.1.extend(gradient.into_data().iter::<f64>());
            }
        }
    }

    let mut all = Flat(gradients, Vec::new());
    model.visit(&mut all);
    all.1
}

/// The loss of embeddings on the graph of `model`, and the gradients of all parameters.
fn on_one_graph<const N: usize>(
    model: &Model,
    embeddings: [Tensor<2>; N],
    loss: impl FnOnce([Tensor<2>; N]) -> Terms,
) -> (f64, Vec<f64>) {
    let terms = loss(embeddings);
    let gradients = GradientsParams::from_grads(terms.total.backward(), model);
    (terms.values()[0].1, flat(model, &gradients))
}

fn in_chunks<const N: usize>(
    large: &LargeBatch,
    model: &Model,
    inputs: &[Tensor<2>; N],
    loss: impl FnOnce([Tensor<2>; N]) -> Terms,
) -> LargeBatchStep<N> {
    large.step(model, ROWS, |model, rows| model.part(inputs, rows), loss)
}

/// The mean of the gradients of the chunks' own losses.
fn naive<const N: usize>(
    model: &Model,
    inputs: &[Tensor<2>; N],
    chunk: usize,
    loss: impl Fn([Tensor<2>; N], Range<usize>) -> Terms,
) -> Vec<f64> {
    let mut accumulator = GradientsAccumulator::new();
    for rows in LargeBatch::new(chunk).chunks(ROWS) {
        let share = rows.len() as f64 / ROWS as f64;
        let total = loss(model.part(inputs, rows.clone()), rows).total * share;
        let gradients = GradientsParams::from_grads(total.backward(), model);
        accumulator.accumulate(model, gradients);
    }
    flat(model, &accumulator.grads())
}

/// The 2-norm of the difference, by that of what is expected.
fn distance(got: &[f64], expected: &[f64]) -> f64 {
    assert_eq!(got.len(), expected.len());
    let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|x| x * x).sum::<f64>().sqrt();
    let size = norm(&mut expected.iter().copied());
    assert!(size > 0.0, "there is no gradient");
    norm(&mut got.iter().zip(expected).map(|(a, b)| a - b)) / size
}

fn values(matrix: &Tensor<2>) -> Vec<f64> {
    matrix.clone().into_data().iter().collect()
}

/// `loss` of the rows of a range of the batch.
fn check<const N: usize>(
    name: &str,
    device: &Device,
    loss: impl Fn([Tensor<2>; N], Range<usize>) -> Terms,
) {
    let (model, inputs) = (Model::new(device), inputs::<N>(device));
    let whole = model.part(&inputs, 0..ROWS);
    let (value, expected) = on_one_graph(&model, whole.clone(), |embeddings| {
        loss(embeddings, 0..ROWS)
    });
    // Chunks of the same length, of 17, 17 and 14 rows at most, of one row, and one chunk.
    for chunk in [16, 17, 1, ROWS, 100] {
        let large = LargeBatch::new(chunk).checked_every_step();
        let step = in_chunks(&large, &model, &inputs, |embeddings| {
            loss(embeddings, 0..ROWS)
        });
        let gradient = distance(&flat(&model, &step.gradients), &expected);
        assert!(gradient < 1e-5, "{name} in chunks of {chunk}: {gradient:e}");
        let got = step.terms.values()[0].1;
        assert!(
            (got - value).abs() < 1e-5 * value.abs(),
            "{name}: {got}, not {value}"
        );
        assert!(!step.terms.total.is_autodiff());
        for (got, expected) in step.embeddings.iter().zip(&whole) {
            assert!(!got.is_autodiff());
            assert!(distance(&values(got), &values(expected)) < 1e-6, "{name}");
        }
    }
    let apart = distance(&naive(&model, &inputs, 16, loss), &expected);
    assert!(apart > 0.03, "{name}: naive accumulation is {apart:e} off");
}

#[test]
fn chunks_have_the_gradient_of_the_whole() {
    let (device, _guard) = device();
    let svmax = SvMaxConfig::new().init();
    check("SVMax", &device, |[e], _| svmax.forward_terms(e));
    let both = VarianceCovarianceConfig::new().init();
    check("variance and covariance", &device, |[e], _| {
        both.forward_terms(e)
    });
    let triplet = TripletLossConfig::new().init();
    let labels: Vec<i32> = (0..ROWS as i32).map(|row| row % 6).collect();
    let labels = Tensor::<1, Int>::from_data(TensorData::new(labels, [ROWS]), &device);
    check("triplet", &device, |[e], rows| {
        // Alone, and beside a regularizer: a composition of one's own.
        let triplet = triplet.forward(e.clone(), labels.clone().slice([rows]));
        Terms::new(triplet.clone() + svmax.forward(e)).with("triplet", triplet)
    });
    let vicreg = VicRegLossConfig::new().init();
    check("VICReg", &device, |[a, b], _| vicreg.forward_terms(a, b));
    let twins = BarlowTwinsLossConfig::new().init();
    check("Barlow Twins", &device, |[a, b], _| {
        twins.forward_terms(a, b)
    });
    let nt_xent = NtXentLossConfig::new().init();
    check("NT-Xent", &device, |[a, b], _| nt_xent.forward_terms(a, b));
}

#[test]
fn the_chunks_are_alike_and_cover_the_batch() {
    let chunks = |chunk, rows| LargeBatch::new(chunk).chunks(rows).collect::<Vec<_>>();
    assert_eq!(chunks(4, 8), [0..4, 4..8]);
    assert_eq!(chunks(4, 9), [0..3, 3..6, 6..9]);
    assert_eq!(chunks(4, 10), [0..3, 3..6, 6..10]);
    assert_eq!(chunks(1, 3), [0..1, 1..2, 2..3]);
    for rows in [10, 3] {
        let one = chunks(10, rows);
        assert_eq!((one.len(), one[0].clone()), (1, 0..rows));
    }
}

#[test]
fn each_chunk_is_normalized_by_its_own_statistics() {
    let (device, _guard) = device();
    let loss = VicRegLossConfig::new().init();
    let loss = |[a, b]: [Tensor<2>; 2]| loss.forward_terms(a, b);
    let (model, inputs) = (Model::normalized(&device), inputs::<2>(&device));

    // One graph that holds all chunks, each normalized for itself.
    for chunk in [16, 20, ROWS] {
        let (ours, theirs) = (model.separate(), model.separate());
        let large = LargeBatch::new(chunk);
        // The second step sees that the first has left nothing behind.
        for _ in 0..2 {
            let parts: Vec<_> = (large.chunks(ROWS))
                .map(|rows| theirs.part(&inputs, rows))
                .collect();
            let embeddings = std::array::from_fn(|view| {
                let parts = parts.iter().map(|part: &[Tensor<2>; 2]| part[view].clone());
                Tensor::cat(parts.collect(), 0)
            });
            let (_, expected) = on_one_graph(&theirs, embeddings, loss);
            let step = in_chunks(&large, &ours, &inputs, loss);
            let got = flat(&ours, &step.gradients);
            match chunk == ROWS {
                true => assert_eq!(got, expected, "one chunk is the plain step"),
                false => assert!(distance(&got, &expected) < 1e-5, "in chunks of {chunk}"),
            }
            // Parameters, which have not changed, and running statistics, which have.
            let (got, expected) = (
                weights::values(&ours.valid()),
                weights::values(&theirs.valid()),
            );
            assert!(distance(&got, &expected) < 1e-6, "in chunks of {chunk}");
            assert_ne!(got, weights::values(&model.valid()));
        }
    }
}

#[test]
fn seeded_dropout_is_the_same_in_both_passes() {
    let (device, _guard) = device();
    let (model, [inputs]) = (Model::new(&device), inputs::<1>(&device));
    let dropout = DropoutConfig::new(0.3).init();
    let loss = VarianceCovarianceConfig::new().init();
    let step = |seed: u64| {
        let masks = RefCell::new(Vec::new());
        let embed = |model: &Model, rows: Range<usize>| {
            let inputs = inputs.clone().slice([rows]);
            let mask = dropout.forward(inputs.ones_like());
            masks.borrow_mut().push(mask.clone().without_autodiff());
            [model.forward(inputs * mask)]
        };
        let large = LargeBatch::new(16).seeded(seed).checked_every_step();
        let step = large.step(&model, ROWS, embed, |[e]| loss.forward_terms(e));
        (flat(&model, &step.gradients), masks.into_inner())
    };
    let (got, masks) = step(3);
    let [first, second] = [&masks[..3], &masks[3..]].map(|pass| Tensor::cat(pass.to_vec(), 0));
    assert_eq!(values(&first), values(&second));
    assert_ne!(
        values(&masks[0]),
        values(&masks[1]),
        "chunks draw differently"
    );
    let embeddings = [model.forward(inputs.clone() * first.clone())];
    let (_, expected) = on_one_graph(&model, embeddings, |[e]| loss.forward_terms(e));
    assert!(distance(&got, &expected) < 1e-5);

    assert_eq!(step(3).0, got);
    let (_, masks) = step(4);
    assert_ne!(
        values(&masks[0]),
        values(&first.narrow(0, 0, 16)),
        "steps draw differently"
    );
}

#[test]
#[should_panic(expected = "With dropout or another random layer use `LargeBatch::seeded`")]
fn dropout_that_draws_afresh_is_refused() {
    let (device, _guard) = device();
    let model = Model {
        dropout: Some(DropoutConfig::new(0.1).init()),
        ..Model::new(&device)
    };
    let svmax = SvMaxConfig::new().init();
    in_chunks(&LargeBatch::new(16), &model, &inputs(&device), |[e]| {
        svmax.forward_terms(e)
    });
}

#[test]
fn the_first_step_is_checked_and_every_step_on_request() {
    let (device, _guard) = device();
    let (model, inputs) = (Model::new(&device), inputs::<1>(&device));
    let svmax = SvMaxConfig::new().init();
    let fails = |large: &LargeBatch, spoilt: bool| {
        let calls = Cell::new(0);
        let embed = |model: &Model, rows: Range<usize>| {
            calls.set(calls.get() + 1);
            // The last chunk of the second pass.
            let factor = if spoilt && calls.get() == 6 { 1.1 } else { 1.0 };
            model
                .part(&inputs, rows)
                .map(|embeddings| embeddings * factor)
        };
        let step = || large.step(&model, ROWS, embed, |[e]| svmax.forward_terms(e));
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(step)).is_err()
    };
    assert!(fails(&LargeBatch::new(16), true));
    let first = LargeBatch::new(16);
    assert!(!fails(&first, false));
    assert!(!fails(&first.clone(), true), "clones count as one");
    let every = LargeBatch::new(16).checked_every_step();
    assert!(!fails(&every, false));
    assert!(fails(&every, true));
}

#[test]
fn parameters_of_the_loss_are_trained() {
    let (device, _guard) = device();
    let (model, inputs) = (Model::new(&device), inputs::<1>(&device));
    let loss = |[e]: [Tensor<2>; 1]| {
        let logits = e.clone().matmul(e.transpose()) * model.temperature.val().reshape([1, 1]);
        Terms::new(logits.exp().mean())
    };
    let (_, expected) = on_one_graph(&model, model.part(&inputs, 0..ROWS), loss);
    let step = in_chunks(&LargeBatch::new(16), &model, &inputs, loss);
    assert!(step.gradients.get::<1>(model.temperature.id).is_some());
    assert!(distance(&flat(&model, &step.gradients), &expected) < 1e-5);
}

#[test]
fn gradient_checkpointing_is_kept() {
    let (device, _guard) = device();
    let device = device.gradient_checkpointing();
    let (model, inputs) = (Model::normalized(&device), inputs::<1>(&device));
    let svmax = SvMaxConfig::new().init();
    let step = in_chunks(&LargeBatch::new(16), &model, &inputs, |[e]| {
        svmax.forward_terms(e)
    });
    let parts = LargeBatch::new(16).chunks(ROWS).map(|rows| {
        let [part] = model.part(&inputs, rows);
        part
    });
    let embeddings = [Tensor::cat(parts.collect(), 0)];
    let (_, expected) = on_one_graph(&model, embeddings, |[e]| svmax.forward_terms(e));
    assert!(distance(&flat(&model, &step.gradients), &expected) < 1e-5);
}

#[test]
#[should_panic(expected = "24 embeddings of the 16 rows 0..16")]
fn a_row_has_one_embedding() {
    let (device, _guard) = device();
    let (model, [inputs]) = (Model::new(&device), inputs::<1>(&device));
    let svmax = SvMaxConfig::new().init();
    LargeBatch::new(16).step(
        &model,
        ROWS,
        |model, _| [model.forward(inputs.clone().narrow(0, 0, 24))],
        |[e]| svmax.forward_terms(e),
    );
}

#[test]
#[should_panic(expected = "a chunk must have at least one row, got 0")]
fn a_chunk_has_a_row() {
    LargeBatch::new(0);
}
