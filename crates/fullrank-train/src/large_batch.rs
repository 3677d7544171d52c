//! The gradient of a batch that is too large for one backward pass, chunk by chunk.
//!
//! A loss of batch statistics is not the mean of the losses of the batch's parts, so the usual gradient
//! accumulation trains another loss. Its gradient with respect to the *embeddings* is, however, one row for each row
//! of the batch. Hence two passes (Gao et al., "Scaling Deep Contrastive Learning Batch Size under Memory Limited
//! Setup", 2021, as GradCache):
//!
//! 1. chunk by chunk, without a graph: the embeddings of all rows; on these the loss and its gradient;
//! 2. chunk by chunk, with a graph: the embeddings again, each chunk's with its rows of that gradient. The gradients
//!    of the parameters add up to that of the whole batch.
//!
//! Memory is that of the graph of one chunk beside the embeddings of all and the loss of these, time about four thirds
//! of that of the plain step: a second forward pass.

use std::array::from_fn;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::optim::{GradientsAccumulator, GradientsParams};
use burn::tensor::{Bool, DType, GradientCheckpointingStrategy, Int, Tensor};
use burn::train::TrainOutput;
use fullrank::{Surrogate, Terms};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Takes steps on batches too large for one backward pass, with exactly the gradient that the loss of the whole batch
/// has.
///
/// Any model and any loss of its embeddings: losses and regularizers of fullrank, ranking losses, what
/// you compose of them. In a loop of your own, [`step`](Self::step) gives what the optimizer wants; for burn-train, a
/// [`TrainStep`](burn::train::TrainStep) is this one line:
///
/// ```
/// use burn::module::Module;
/// use burn::nn::{Linear, LinearConfig};
/// use burn::optim::SgdConfig;
/// use burn::tensor::{Device, Distribution, Tensor};
/// use burn::train::{TrainOutput, TrainStep};
/// use fullrank::{AnyTwoViewLoss, TwoViewLoss, VicRegLossConfig};
/// use fullrank_train::large_batch::LargeBatch;
/// use fullrank_train::metrics::StepOutput;
///
/// #[derive(Module, Debug)]
/// struct Model {
///     layer: Linear,
///     loss: AnyTwoViewLoss,
///     #[module(skip)]
///     large_batch: LargeBatch,
/// }
///
/// impl TrainStep for Model {
///     type Input = [Tensor<2>; 2];
///     type Output = StepOutput;
///
///     fn step(&self, views: [Tensor<2>; 2]) -> TrainOutput<StepOutput> {
///         let rows = views[0].dims()[0];
///         self.large_batch
///             .step(
///                 self,
///                 rows,
///                 |model, rows| views.clone().map(|view| model.layer.forward(view.slice([rows.clone()]))),
///                 |[a, b]| self.loss.forward_terms(a, b),
///             )
///             .train_output(|terms, [a, _]| StepOutput::new(&terms, a))
///     }
/// }
///
/// let device = Device::default().autodiff();
/// let model = Model {
///     layer: LinearConfig::new(16, 8).init(&device),
///     loss: AnyTwoViewLoss::VicReg(VicRegLossConfig::new().init()),
///     large_batch: LargeBatch::new(32),
/// };
/// let views = [1, 2].map(|_| Tensor::random([128, 16], Distribution::Default, &device));
/// let output = TrainStep::step(&model, views);
/// let _trained = SgdConfig::new().init().step(0.1, model, output.grads);
/// ```
///
/// # Batch normalization
///
/// In both passes each chunk is normalized by its own statistics, as in training on batches of the chunk's size: the
/// gradient is exactly that of this network ("ghost batch normalization"), on the loss of the whole batch. The
/// running statistics are those of one pass: every chunk updates them once a step, by the layer's momentum. With one
/// chunk all of it is the plain step.
///
/// # Dropout and other random layers
///
/// They would draw afresh in the second pass, and the gradient would be wrong. [`seeded`](Self::seeded) makes both
/// passes draw the same; without it the first step panics, for the embeddings of its two passes are
/// compared. So it does where the passes differ for another reason.
///
/// A loss that draws at random, such as [`LeJepaLoss`](fullrank::LeJepaLoss) by
/// [`at_step`](fullrank::LeJepaLoss::at_step), is evaluated once a step: nothing needs to be repeated.
#[derive(Clone, Debug)]
pub struct LargeBatch {
    chunk: usize,
    seed: Option<u64>,
    every_step: bool,
    checked: Arc<AtomicBool>,
}

/// What a step on a [`LargeBatch`] gives.
#[derive(Debug)]
pub struct LargeBatchStep<const N: usize> {
    /// The loss of the whole batch and its terms, off autodiff.
    pub terms: Terms,
    /// The embeddings of the whole batch, off autodiff, each `[rows, dimensions]`.
    pub embeddings: [Tensor<2>; N],
    /// The gradients of the parameters.
    pub gradients: GradientsParams,
}

impl<const N: usize> LargeBatchStep<N> {
    /// The step as burn-train wants it, with the item that the metrics read made of terms and embeddings.
    pub fn train_output<T>(self, item: impl FnOnce(Terms, [Tensor<2>; N]) -> T) -> TrainOutput<T> {
        TrainOutput {
            grads: self.gradients,
            item: item(self.terms, self.embeddings),
        }
    }
}

impl LargeBatch {
    /// Steps in chunks of at most `chunk` rows.
    ///
    /// # Panics
    ///
    /// If `chunk` is zero.
    pub fn new(chunk: usize) -> Self {
        assert!(chunk > 0, "a chunk must have at least one row, got 0");
        Self {
            chunk,
            seed: None,
            every_step: false,
            checked: Arc::new(AtomicBool::new(false)),
        }
    }

    /// Makes random layers draw the same in both passes: the generator of the model's devices is seeded before each
    /// chunk, differently for each chunk. The seed is to be another one at each step, such as the step's number:
    /// `large_batch.clone().seeded(step).step(..)`.
    ///
    /// Backends have one generator for all that is drawn on them. What is drawn behind a step therefore depends on the
    /// step's seed, no longer on what was drawn before; and nothing else may draw during a step, such as the
    /// augmentations of a loader on a thread of its own.
    #[must_use]
    pub fn seeded(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Compares the embeddings of the two passes at every step. By default that is done at the first step alone (of
    /// this and all its clones together), for a GPU has to be waited for.
    #[must_use]
    pub fn checked_every_step(mut self) -> Self {
        self.every_step = true;
        self
    }

    /// The chunks of a batch: as few as can be, their lengths alike but for one row.
    pub fn chunks(&self, rows: usize) -> impl Iterator<Item = Range<usize>> + use<> {
        let count = rows.div_ceil(self.chunk);
        (0..count).map(move |index| rows * index / count..rows * (index + 1) / count)
    }

    /// The loss of a batch and the gradients of the parameters of `model`.
    ///
    /// `embed` gives the embeddings of a range of rows by the model that it is given, one or (such as two views) `N`
    /// matrices; `loss` is a function of the embeddings of all rows. Parameters of `model` that the loss uses itself, such as a
    /// learned temperature, get their gradient too.
    ///
    /// A batch of one chunk is the plain step, one pass.
    ///
    /// # Shapes
    ///
    /// - `embed`, of a range of `n` rows: each `[n, dimensions]`
    /// - `loss`, of matrices `[rows, dimensions]`: total `[1]`
    ///
    /// # Panics
    ///
    /// If `rows` is zero, `embed` gives another number of rows than it was asked for, or the embeddings of the two passes
    /// are found to differ by more than 1 % of their largest entry (10 % in half precision): then the gradient would be
    /// wrong.
    pub fn step<M: Module, const N: usize>(
        &self,
        model: &M,
        rows: usize,
        embed: impl Fn(&M, Range<usize>) -> [Tensor<2>; N],
        loss: impl FnOnce([Tensor<2>; N]) -> Terms,
    ) -> LargeBatchStep<N> {
        assert!(rows > 0, "a batch must have at least one row, got 0");
        let embed = |model: &M, chunk: usize, range: Range<usize>| {
            self.seed(model, chunk);
            let embeddings = embed(model, range.clone());
            for matrix in &embeddings {
                let [got, _] = matrix.dims();
                let wanted = range.len();
                assert_eq!(
                    got, wanted,
                    "{got} embeddings of the {wanted} rows {range:?}"
                );
            }
            embeddings
        };
        let chunks: Vec<Range<usize>> = self.chunks(rows).collect();
        if chunks.len() == 1 {
            return plain_step(model, embed(model, 0, 0..rows), loss);
        }

        let copy = without_graph(model);
        let parts: Vec<[Tensor<2>; N]> = (chunks.iter().enumerate())
            .map(|(index, range)| embed(&copy, index, range.clone()))
            .collect();
        let leaves: [Tensor<2>; N] = from_fn(|view| {
            let parts = parts.iter().map(|part| part[view].clone());
            let whole = Tensor::cat(parts.collect(), 0);
            whole.autodiff().detach().require_grad()
        });
        drop((copy, parts));
        let terms = loss(leaves.clone());
        let mut gradients = terms.total.backward();
        let mut accumulator = GradientsAccumulator::new();
        accumulator.accumulate(model, GradientsParams::from_module(&mut gradients, model));
        let terms = plain(terms);
        let surrogate = Surrogate {
            value: terms.total.clone(),
            coefficients: Some(leaves.clone().map(|leaf| {
                let gradient = leaf.grad_remove(&mut gradients);
                gradient.unwrap_or_else(|| leaf.without_autodiff().zeros_like())
            })),
        };
        drop(gradients);
        let embeddings = leaves.map(Tensor::without_autodiff);

        let check = self.every_step || !self.checked.swap(true, Ordering::Relaxed);
        for (index, range) in chunks.into_iter().enumerate() {
            let part = embed(model, index, range.clone());
            if check {
                for (first, second) in embeddings.iter().zip(&part) {
                    assert_same(first.clone().slice([range.clone()]), second.clone(), &range);
                }
            }
            let loss = surrogate.clone().rows(range).attach(part);
            let gradients = GradientsParams::from_grads(loss.backward(), model);
            accumulator.accumulate(model, gradients);
        }
        LargeBatchStep {
            terms,
            embeddings,
            gradients: accumulator.grads(),
        }
    }

    /// Seeds the generators before a chunk, if that was asked for.
    fn seed(&self, model: &impl Module, chunk: usize) {
        let Some(seed) = self.seed else { return };
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(chunk as u64);
        let seed = rng.next_u64();
        for device in model.devices() {
            device.seed(seed);
        }
    }
}

fn plain_step<M: Module, const N: usize>(
    model: &M,
    embeddings: [Tensor<2>; N],
    loss: impl FnOnce([Tensor<2>; N]) -> Terms,
) -> LargeBatchStep<N> {
    let terms = loss(embeddings.clone());
    let gradients = GradientsParams::from_grads(terms.total.backward(), model);
    LargeBatchStep {
        terms: plain(terms),
        embeddings: embeddings.map(Tensor::without_autodiff),
        gradients,
    }
}

/// The values of a loss and its terms.
fn plain(terms: Terms) -> Terms {
    let total = Terms::new(terms.total.clone().without_autodiff());
    terms.iter().fold(total, |plain, (name, term)| {
        plain.with(name, term.clone().without_autodiff())
    })
}

/// The model as it trains, with running statistics of its own and parameters that keep no graph.
fn without_graph<M: Module>(model: &M) -> M {
    // Validation mode makes running statistics that are not shared, where a clone shares them.
    let copy = model.valid().train().no_grad();
    let mut strategy = FirstStrategy(None);
    model.visit(&mut strategy);
    match strategy.0 {
        Some(strategy) => copy.map(&mut WithStrategy(strategy)),
        None => copy,
    }
}

/// The gradient checkpointing strategy of the first parameter on an autodiff device.
struct FirstStrategy(Option<GradientCheckpointingStrategy>);

impl ModuleVisitor for FirstStrategy {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if self.0.is_none() {
            self.0 = param.val().gradient_checkpointing_strategy();
        }
    }
}

/// Gives all tensors a checkpointing strategy: those of different strategies cannot meet.
struct WithStrategy(GradientCheckpointingStrategy);

impl ModuleMapper for WithStrategy {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|tensor| tensor.with_gradient_checkpointing_strategy(self.0))
    }

    fn map_int<const D: usize>(&mut self, param: Param<Tensor<D, Int>>) -> Param<Tensor<D, Int>> {
        param.map(|tensor| tensor.with_gradient_checkpointing_strategy(self.0))
    }

    fn map_bool<const D: usize>(
        &mut self,
        param: Param<Tensor<D, Bool>>,
    ) -> Param<Tensor<D, Bool>> {
        param.map(|tensor| tensor.with_gradient_checkpointing_strategy(self.0))
    }
}

/// # Panics
///
/// If the second pass gave other embeddings than the first.
fn assert_same(first: Tensor<2>, second: Tensor<2>, range: &Range<usize>) {
    let tolerance = match first.dtype() {
        DType::F16 | DType::BF16 => 0.1,
        _ => 0.01,
    };
    let difference = (second.without_autodiff() - first.clone()).abs().max();
    let numbers = Tensor::cat(vec![difference, first.abs().max()], 0).into_data();
    let numbers: Vec<f64> = numbers.iter().collect();
    let (difference, largest) = (numbers[0], numbers[1]);
    // Embeddings that are not finite are not for this to tell: they compare as false.
    let differs = difference > tolerance * largest;
    assert!(
        !differs,
        "the second pass gave the rows {range:?} other embeddings than the first: the largest difference is \
         {difference:.3}, the largest entry {largest:.3}. With dropout or another random layer use \
         `LargeBatch::seeded`, a new seed each step; otherwise `embed` must give the same rows the same embeddings"
    );
}
