//! The one idea behind every loss of this crate: a value, its coefficients, and how they meet the
//! autodiff graph again.
//!
//! Let `f` be a function of embedding matrices `E_1 .. E_N`. Its value and its gradients
//! `C_k = df/dE_k`, the *coefficients*, are computed on plain tensors, outside autodiff. The
//! surrogate
//!
//! ```text
//! f + sum_k <E_k - E_k.detach(), C_k>
//! ```
//!
//! has the value of `f` and, `C_k` being constant, exactly its gradient. (The sum is of zeros, whatever the
//! size of the entries: nothing is lost to rounding or overflow.) So no loss here needs a
//! differentiable decomposition or a backend extension, the graph keeps nothing but `C_k`, and the
//! backward pass is one multiplication.

mod parts;
mod shards;
mod terms;

use std::ops::{Add, Range};

use burn::tensor::{DType, Device, FloatDType, Tensor};

pub use parts::{Part, Parts, evaluate, forward, forward_terms};
pub use shards::SumsOverRows;
pub(crate) use shards::{
    forward_shard, forward_shard_by_rows, of_rows_or_of_nothing, shard_statistics,
};
pub use terms::Terms;

use crate::host::is_host;

/// The value of a function of `N` embedding matrices and its gradient in each of them, on plain
/// tensors.
///
/// # A batch in parts
///
/// The gradient of a batch statistic is not the sum of the gradients over parts of the batch. Its
/// coefficients are, however, one row per row of the batch. So a batch too large for one backward
/// pass, or spread over devices, is handled exactly in two passes: embed all of it without a graph
/// and [evaluate](crate::SvMax::evaluate) the loss; then embed part by part with a graph and attach
/// to each part its [rows](Surrogate::rows), [moved](Surrogate::to_device) to the part's device.
/// The gradients of the parts add up to the gradient of the whole. The value of each part's loss is
/// that of the whole batch: do not add these up.
///
/// The second pass must give each row the embedding it had in the first: no batch normalization by
/// the statistics of the part, no fresh dropout mask.
///
/// ```
/// use burn::tensor::{Device, Distribution, Tensor};
/// use fullrank::SvMaxConfig;
///
/// let device = Device::default();
/// let svmax = SvMaxConfig::new().init();
/// let batch = Tensor::<2>::random([64, 16], Distribution::Default, &device);
///
/// // First pass, no graph: the whole batch.
/// let evaluation = svmax.evaluate(batch.clone());
/// // Second pass: one part at a time, as large as memory allows.
/// for start in [0, 32] {
///     let part = batch.clone().narrow(0, start, 32).autodiff().require_grad();
///     let loss = evaluation.clone().rows(start..start + 32).attach([part.clone()]);
///     let gradients = loss.backward();
///     assert_eq!(part.grad(&gradients).unwrap().dims(), [32, 16]);
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Surrogate<const N: usize> {
    /// The value, shape `[1]`.
    pub value: Tensor<1>,
    /// The gradient of the value in each input, of the input's shape (of short rows what
    /// [`SvMax`](crate::SvMax) has in its place); `None` where it was not asked for or the value depends on
    /// no input.
    pub coefficients: Option<[Tensor<2>; N]>,
}

impl<const N: usize> Surrogate<N> {
    /// A value that does not depend on the inputs.
    pub(crate) fn constant(value: Tensor<1>) -> Self {
        Self {
            value,
            coefficients: None,
        }
    }

    /// `factor` times this function.
    pub(crate) fn scale(self, factor: f64) -> Self {
        if factor == 1.0 {
            return self;
        }
        Self {
            value: self.value.mul_scalar(factor),
            coefficients: self
                .coefficients
                .map(|coefficients| coefficients.map(|c| c.mul_scalar(factor))),
        }
    }

    /// The same value with only the coefficients of the given rows, to attach to a part of the
    /// batch.
    ///
    /// # Panics
    ///
    /// If the range is not one of rows of the batch.
    pub fn rows(self, rows: Range<usize>) -> Self {
        let part = |coefficients: Tensor<2>| {
            let [batch, _] = coefficients.dims();
            assert!(
                rows.start <= rows.end && rows.end <= batch,
                "the rows {rows:?} are not in a batch of {batch}"
            );
            coefficients.slice([rows.clone()])
        };
        Self {
            value: self.value,
            coefficients: self.coefficients.map(|coefficients| coefficients.map(part)),
        }
    }

    /// The same evaluation on another device.
    pub fn to_device(self, device: &Device) -> Self {
        Self {
            value: self.value.to_device(device),
            coefficients: self
                .coefficients
                .map(|coefficients| coefficients.map(|c| c.to_device(device))),
        }
    }

    /// Attaches the value to the graph of `inputs`: the result equals [`value`](Self::value) and its
    /// backward pass hands the coefficients to the inputs. Value and coefficients are constants here,
    /// whatever graph they were computed on.
    ///
    /// # Panics
    ///
    /// If an input's shape is not that of its coefficients.
    pub fn attach(self, inputs: [Tensor<2>; N]) -> Tensor<1> {
        let value = self.value.without_autodiff();
        let Some(coefficients) = self.coefficients else {
            return value;
        };
        inputs
            .into_iter()
            .zip(coefficients.map(Tensor::without_autodiff))
            .fold(value, |value, (input, coefficients)| {
                assert_eq!(
                    input.dims(),
                    coefficients.dims(),
                    "the embeddings must have the shape of their coefficients"
                );
                let input = in_statistics_precision(input);
                let coefficients = coefficients.cast(input.dtype());
                let nothing = input.clone() - input.without_autodiff();
                value + row_products(nothing, coefficients).sum()
            })
    }
}

/// The sum of two functions of the same inputs; one without coefficients counts as constant.
impl<const N: usize> Add for Surrogate<N> {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        let coefficients = match (self.coefficients, other.coefficients) {
            (Some(ours), Some(theirs)) => {
                let mut theirs = theirs.into_iter();
                Some(ours.map(|c| c + theirs.next().expect("N coefficient matrices")))
            }
            (ours, theirs) => ours.or(theirs),
        };
        Self {
            value: self.value + other.value,
            coefficients,
        }
    }
}

/// The surrogate of any differentiable function, its coefficients by autodiff, in f32 at least.
pub fn by_autodiff<const N: usize>(
    function: impl FnOnce([Tensor<2>; N]) -> Tensor<1>,
    inputs: [Tensor<2>; N],
) -> Surrogate<N> {
    let leaves = inputs.map(|input| {
        let plain = in_statistics_precision(input.without_autodiff());
        plain.autodiff().require_grad()
    });
    let value = function(leaves.clone());
    let gradients = value.is_tracked().then(|| value.backward());
    let gradient = |leaf: Tensor<2>| {
        let gradient = gradients.as_ref().and_then(|all| leaf.grad(all));
        // A function that does not depend on an input has no gradient in it.
        gradient.unwrap_or_else(|| leaf.without_autodiff().zeros_like())
    };
    Surrogate {
        value: value.without_autodiff(),
        coefficients: Some(leaves.map(gradient)),
    }
}

/// A surrogate with coefficients: its own, or, where it left them out, those of the function that it stands
/// for.
pub fn complete<const N: usize>(
    surrogate: Surrogate<N>,
    function: impl FnOnce([Tensor<2>; N]) -> Tensor<1>,
    inputs: [Tensor<2>; N],
) -> Surrogate<N> {
    match surrogate.coefficients {
        Some(_) => surrogate,
        None => by_autodiff(function, inputs),
    }
}

/// The inner products of the rows of two matrices, for an `A` on the graph.
///
/// On the host as products of matrices: the backward pass is one product per row, where that of a sum
/// passes over the matrix twice. Not elsewhere: a GPU may round the factors of a product of matrices.
fn row_products(a: Tensor<2>, b: Tensor<2>) -> Tensor<1> {
    let [rows, dim] = b.dims();
    if !is_host(&b.device()) {
        return (a * b).sum_dim(1).reshape([rows]);
    }
    let (a, b) = (a.reshape([rows, 1, dim]), b.reshape([rows, dim, 1]));
    a.matmul(b).reshape([rows])
}

/// Statistics are kept in f32, or in f64 for f64 input.
pub fn in_statistics_precision(matrix: Tensor<2>) -> Tensor<2> {
    match matrix.dtype() {
        DType::F16 | DType::BF16 => matrix.cast(FloatDType::F32),
        _ => matrix,
    }
}

/// # Panics
///
/// If the shapes differ.
pub(crate) fn assert_same_shape(first: &Tensor<2>, second: &Tensor<2>) {
    assert_eq!(
        first.dims(),
        second.dims(),
        "the embeddings of the two views must have the same shape"
    );
}

/// A number as a tensor of shape `[1]` beside `like`.
pub(crate) fn scalar(like: &Tensor<2>, value: f64) -> Tensor<1> {
    Tensor::<1>::full([1], value, (&like.device(), like.dtype()))
}
