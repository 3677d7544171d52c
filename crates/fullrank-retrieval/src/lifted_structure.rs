//! The lifted structure loss.

use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Int, Tensor, activation::relu};
use fullrank::Terms;

use crate::distance::prepared;
use crate::masks::{Masks, any_in_row, log_add_exp, log_sum_exp, masked_mean};
use crate::methods::{assert_finite, loss_module};
use crate::ranking_loss::RankingLoss;
use crate::{Distance, Tuples};

/// Configuration of [`LiftedStructure`].
#[derive(Config, Debug, PartialEq)]
pub struct LiftedStructureConfig {
    /// The distance that negatives should keep. Default: `1.0`
    #[config(default = 1.0)]
    pub margin: f64,
    /// Whether the rows are divided by their 2-norm first; the source does not. Default: `true`
    #[config(default = true)]
    pub normalize: bool,
}

impl LiftedStructureConfig {
    /// Initializes the loss.
    ///
    /// # Panics
    ///
    /// If the margin is not finite.
    pub fn init(&self) -> LiftedStructure {
        assert_finite("margin of the lifted structure loss", self.margin);
        LiftedStructure {
            margin: self.margin,
            normalize: self.normalize,
        }
    }
}

/// The lifted structure loss: each positive pair against all negatives of both its rows.
///
/// ```text
/// J(a, p) = d(a, p) + log( sum_n exp(margin - d(a, n)) + sum_m exp(margin - d(p, m)) )
/// loss = mean over positive pairs of 1/2 max(J, 0)^2
/// ```
///
/// with the Euclidean distance, `n` over the negatives of `a` and `m` over those of `p`. A pair without
/// a negative does not count.
///
/// # Terms
///
/// `lifted_structure`, which is the loss.
///
/// # Source
///
/// Song, Xiang, Jegelka and Savarese, "Deep Metric Learning via Lifted Structured Feature Embedding",
/// 2015, [arXiv 1511.06452](https://arxiv.org/abs/1511.06452).
#[derive(Module, Debug)]
#[module(custom_display)]
pub struct LiftedStructure {
    /// The distance that negatives should keep.
    pub margin: f64,
    /// Whether the rows are divided by their 2-norm first.
    pub normalize: bool,
}

loss_module!(LiftedStructure, LiftedStructureConfig { margin, normalize });

impl LiftedStructure {
    fn of_masks(&self, embeddings: Tensor<2>, masks: &Masks) -> Terms {
        let rows = prepared(embeddings, self.normalize);
        let distances = Distance::Euclidean.matrix(&rows);
        let [batch, _] = distances.dims();
        let shape = [batch, batch];
        let logits = distances.clone().neg().add_scalar(self.margin);
        let of_row = log_sum_exp(logits, &masks.negative);
        let of_pair = log_add_exp(
            of_row.clone().expand(shape),
            of_row.transpose().expand(shape),
        );
        let has_negative = any_in_row(&masks.negative);
        let either = has_negative
            .clone()
            .expand(shape)
            .bool_or(has_negative.transpose().expand(shape));
        let valid = masks.positive.clone().bool_and(either);
        let losses = relu(of_pair + distances).square().div_scalar(2.0);
        let loss = masked_mean(losses, &valid);
        Terms::new(loss.clone()).with("lifted_structure", loss)
    }
}

impl RankingLoss for LiftedStructure {
    fn forward_terms(&self, embeddings: Tensor<2>, labels: Tensor<1, Int>) -> Terms {
        let masks = Masks::of_labels(&embeddings, &labels);
        self.of_masks(embeddings, &masks)
    }

    fn forward_tuples(&self, embeddings: Tensor<2>, tuples: &Tuples) -> Terms {
        let masks = Masks::of_pairs(&embeddings, &tuples.to_pairs());
        self.of_masks(embeddings, &masks)
    }
}
