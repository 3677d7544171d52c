//! Barlow Twins: the cross-correlation of two views should be the identity.

use burn::config::Config;
use burn::module::Module;
use burn::tensor::Tensor;

use crate::methods::{loss_methods, one_line_display};
use crate::moments::OffDiagonal;
use crate::surrogate::{Evaluation, Part, Parts, assert_same_shape};
use crate::variance::assert_weight;

/// Configuration of [`BarlowTwins`].
#[derive(Config, Debug, PartialEq)]
pub struct BarlowTwinsConfig {
    /// The weight lambda of the redundancy term. Default: `5e-3`
    #[config(default = 5e-3)]
    pub redundancy_weight: f64,
    /// The weight of the invariance term. Default: `1.0`
    #[config(default = 1.0)]
    pub invariance_weight: f64,
    /// Added to the variance inside the root of the standardisation. Default: `1e-5`, as in batch
    /// normalisation
    #[config(default = 1e-5)]
    pub epsilon: f64,
}

impl BarlowTwinsConfig {
    /// Initializes the loss.
    ///
    /// # Panics
    ///
    /// If a weight is not finite or epsilon not positive.
    pub fn init(&self) -> BarlowTwins {
        assert_weight("redundancy", self.redundancy_weight);
        assert_weight("invariance", self.invariance_weight);
        assert!(
            self.epsilon.is_finite() && self.epsilon > 0.0,
            "epsilon must be positive and finite, got {}",
            self.epsilon
        );
        BarlowTwins {
            redundancy_weight: self.redundancy_weight,
            invariance_weight: self.invariance_weight,
            epsilon: self.epsilon,
        }
    }
}

/// Barlow Twins, from which VICReg takes its covariance term.
///
/// ```text
/// z_j = (e_j - mean_j) / sqrt(Var_j + epsilon)      columns standardised, biased variance
/// M   = Z^T Z' / n                                  cross-correlation, d x d
/// loss = invariance_weight * sum_i (1 - M_ii)^2 + redundancy_weight * sum_{i != j} M_ij^2
/// ```
///
/// `M` is formed only if `d <= n`; otherwise n x n Gram matrices give the same value and gradient.
///
/// # Edge cases
///
/// - A dimension without spread in either view counts as uncorrelated with everything: `M_ii = 0`. It
///   gets a gradient, of the order of `1 / sqrt(epsilon)`, if it has spread in the other view. Both
///   views without spread, or a single row: an invariance term of `d`, no gradient.
/// - A NaN in the input makes the value NaN.
///
/// # Terms
///
/// `invariance`, `redundancy` (unweighted).
///
/// # Source
///
/// Zbontar et al., "Barlow Twins", 2021, [arXiv 2103.03230](https://arxiv.org/abs/2103.03230),
/// Eq. 1-2 and the official code, which standardises by batch normalisation without affine part.
#[derive(Module, Debug)]
#[module(custom_display)]
pub struct BarlowTwins {
    /// The weight of the redundancy term.
    pub redundancy_weight: f64,
    /// The weight of the invariance term.
    pub invariance_weight: f64,
    /// Added to the variance inside the root of the standardisation.
    pub epsilon: f64,
}

one_line_display!(BarlowTwins {
    redundancy_weight,
    invariance_weight,
    epsilon
});
loss_methods!(BarlowTwins, BarlowTwinsConfig, 2, first, second);

impl Parts<2> for BarlowTwins {
    fn parts(&self, embeddings: [Tensor<2>; 2], gradient: bool) -> Vec<Part<2>> {
        assert_same_shape(&embeddings[0], &embeddings[1]);
        let n = embeddings[0].dims()[0] as f64;
        let [first, second] = embeddings.map(|view| Standardised::new(view, self.epsilon));

        let diagonal = (first.rows.clone() * second.rows.clone())
            .sum_dim(0)
            .div_scalar(n);
        let missing = diagonal.neg().add_scalar(1.0);
        let through = |[in_first, in_second]: [Tensor<2>; 2]| {
            [first.gradient(in_first), second.gradient(in_second)]
        };
        let invariance = Evaluation {
            value: missing.clone().square().sum(),
            coefficients: gradient.then(|| {
                let slope = missing.mul_scalar(-2.0 / n);
                through([
                    second.rows.clone() * slope.clone(),
                    first.rows.clone() * slope,
                ])
            }),
        };
        let sum = OffDiagonal::new(&first.rows, &second.rows, n, gradient);
        let redundancy = Evaluation {
            value: sum.value,
            coefficients: sum.gradients.map(through),
        };
        vec![
            Part {
                name: "invariance",
                weight: self.invariance_weight,
                evaluation: invariance,
            },
            Part {
                name: "redundancy",
                weight: self.redundancy_weight,
                evaluation: redundancy,
            },
        ]
    }
}

/// A batch whose columns have mean 0 and (biased) variance 1.
struct Standardised {
    rows: Tensor<2>,
    /// `1 / sqrt(Var + epsilon)`, shape `[1, dim]`.
    scale: Tensor<2>,
}

impl Standardised {
    fn new(embeddings: Tensor<2>, epsilon: f64) -> Self {
        let mean = embeddings.clone().mean_dim(0);
        let centred = embeddings - mean;
        let variance = centred.clone().square().mean_dim(0);
        let scale = variance.add_scalar(epsilon).sqrt().recip();
        Self {
            rows: centred * scale.clone(),
            scale,
        }
    }

    /// The gradient in the embeddings, given that in the standardised rows.
    fn gradient(&self, standardised: Tensor<2>) -> Tensor<2> {
        let mean = standardised.clone().mean_dim(0);
        let along = (standardised.clone() * self.rows.clone()).mean_dim(0);
        (standardised - mean - self.rows.clone() * along) * self.scale.clone()
    }
}
