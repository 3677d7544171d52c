//! How every loss of this crate is made: a function of the kernel of its batch with its derivative
//! written down, and the way of both onto the graph of the embeddings.

use std::fmt::Debug;

use burn::tensor::{Int, Tensor};
use fullrank::internals::{Part, Parts, evaluate, forward, forward_terms};
use fullrank::{Solver, Surrogate, Terms};

use super::masks::Masks;
use crate::kernel::{Kernel, KernelMatrix, Place};
use crate::{
    AngularLoss, ContrastiveLoss, LiftedStructureLoss, MultiSimilarityLoss, NPairLoss, RankingLoss,
    SpreadOut, TripletLoss, Tuples,
};

/// A loss as a function of the kernel `K` of all rows of its batch, on plain tensors.
pub(crate) trait PairLoss: Debug + Send + Sync {
    /// What it sees of two rows, and whether they are divided by their 2-norm first.
    fn kernel(&self) -> (Kernel, bool);

    /// Where to compute it.
    fn solver(&self) -> Solver;

    /// The names of its parts, in their order.
    fn term_names(&self) -> &'static [&'static str];

    /// The summands of the loss over the given pairs.
    fn of_pairs(&self, kernel: &KernelMatrix, pairs: &Masks) -> Vec<Summand>;

    /// The summands of the loss of a labelled batch, all pairs of which are given.
    fn of_labels(&self, kernel: &KernelMatrix, pairs: Masks) -> Vec<Summand> {
        self.of_pairs(kernel, &pairs)
    }

    /// The summands of the loss over the given tuples.
    fn of_tuples(&self, kernel: &KernelMatrix, tuples: &Tuples) -> Vec<Summand> {
        let device = kernel.values.device();
        let pairs = Masks::of_pairs(kernel.batch(), &tuples.to_pairs(), &device);
        self.of_pairs(kernel, &pairs)
    }

    /// A part that is no function of the kernel.
    fn beside(&self, _embeddings: &Tensor<2>) -> Option<Part<1>> {
        None
    }
}

/// A named function of the kernel.
pub(crate) struct Summand {
    name: &'static str,
    /// The loss is the sum of its summands, each times its weight.
    weight: f64,
    /// Shape `[1]`.
    value: Tensor<1>,
    /// `W = dvalue/dK`, shape `[batch, batch]`; none where the value is only reported.
    slopes: Option<Tensor<2>>,
}

impl Summand {
    pub(crate) fn new(
        name: &'static str,
        weight: f64,
        value: Tensor<1>,
        slopes: Tensor<2>,
    ) -> Self {
        Self {
            name,
            weight,
            value,
            slopes: Some(slopes),
        }
    }

    /// A number without gradient that is no part of the loss.
    pub(crate) fn report(name: &'static str, value: Tensor<1>) -> Self {
        Self {
            name,
            weight: 0.0,
            value,
            slopes: None,
        }
    }
}

/// What says which rows belong together.
pub(crate) enum Relation<'a> {
    Labels(Box<Tensor<1, Int>>),
    Tuples(&'a Tuples),
}

/// A loss with what it needs beside the embeddings.
pub(crate) struct Related<'a, L> {
    pub(crate) loss: &'a L,
    pub(crate) relation: Relation<'a>,
    /// Where to compute; `None`: where the loss's solver says.
    pub(crate) place: Option<Place>,
}

impl<L: PairLoss> Related<'_, L> {
    fn summands(&self, embeddings: &Tensor<2>) -> (KernelMatrix, Vec<Summand>) {
        let place = self
            .place
            .unwrap_or_else(|| Place::of(self.loss.solver(), &embeddings.device()));
        let (kernel, normalize) = self.loss.kernel();
        let kernel = KernelMatrix::new(embeddings, kernel, normalize, place);
        let summands = match &self.relation {
            Relation::Labels(labels) => {
                let pairs = Masks::of_labels(kernel.batch(), labels);
                self.loss.of_labels(&kernel, pairs)
            }
            Relation::Tuples(tuples) => self.loss.of_tuples(&kernel, tuples),
        };
        (kernel, summands)
    }
}

impl<L: PairLoss> Parts<1> for Related<'_, L> {
    fn parts(&self, [embeddings]: [Tensor<2>; 1], gradient: bool) -> Vec<Part<1>> {
        let (kernel, summands) = self.summands(&embeddings);
        let parts = summands.into_iter().map(|summand| Part {
            name: summand.name,
            weight: summand.weight,
            surrogate: Surrogate {
                value: summand.value.cast(embeddings.dtype()),
                coefficients: summand
                    .slopes
                    .filter(|_| gradient)
                    .map(|slopes| [kernel.gradient(&slopes)]),
            },
        });
        parts.chain(self.loss.beside(&embeddings)).collect()
    }

    /// One way back from the kernel, for the weighted sum of the summands.
    fn total(&self, [embeddings]: [Tensor<2>; 1], gradient: bool) -> Surrogate<1> {
        let (kernel, summands) = self.summands(&embeddings);
        let mut value = Tensor::zeros([1], (&kernel.values.device(), kernel.values.dtype()));
        let mut slopes = kernel.values.zeros_like();
        for summand in summands {
            if summand.weight != 0.0 {
                value = value + summand.value.mul_scalar(summand.weight);
                if let Some(summand) = summand.slopes.map(|w| w.mul_scalar(summand.weight)) {
                    slopes = slopes + summand;
                }
            }
        }
        let mut value = value.cast(embeddings.dtype());
        let mut coefficients = gradient.then(|| kernel.gradient(&slopes));
        if let Some(part) = self.loss.beside(&embeddings).filter(|p| p.weight != 0.0) {
            value = value + part.surrogate.value.mul_scalar(part.weight);
            if let (Some(sum), Some([beside])) = (&mut coefficients, part.surrogate.coefficients) {
                *sum = sum.clone() + beside.mul_scalar(part.weight);
            }
        }
        Surrogate {
            value,
            coefficients: coefficients.map(|c| [c]),
        }
    }
}

/// A ranking loss by what it is as a function of the kernel.
macro_rules! ranking_loss_of_pairs {
    ($($loss:ty),+ $(,)?) => {$(
        impl RankingLoss for $loss {
            fn forward(&self, embeddings: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
                forward(&with_labels(self, labels), [embeddings])
            }

            fn forward_terms(&self, embeddings: Tensor<2>, labels: Tensor<1, Int>) -> Terms {
                forward_terms(&with_labels(self, labels), [embeddings])
            }

            fn forward_tuples(&self, embeddings: Tensor<2>, tuples: &Tuples) -> Tensor<1> {
                forward(&with_tuples(self, tuples), [embeddings])
            }

            fn forward_tuples_terms(&self, embeddings: Tensor<2>, tuples: &Tuples) -> Terms {
                forward_terms(&with_tuples(self, tuples), [embeddings])
            }

            fn term_names(&self) -> Vec<String> {
                let names = PairLoss::term_names(self).iter();
                names.map(|&name| name.to_owned()).collect()
            }

            fn evaluate(&self, embeddings: Tensor<2>, labels: Tensor<1, Int>) -> Surrogate<1> {
                evaluate(&with_labels(self, labels), [embeddings], true)
            }

            fn evaluate_tuples(&self, embeddings: Tensor<2>, tuples: &Tuples) -> Surrogate<1> {
                evaluate(&with_tuples(self, tuples), [embeddings], true)
            }
        }
    )+};
}

ranking_loss_of_pairs!(
    AngularLoss,
    ContrastiveLoss,
    LiftedStructureLoss,
    MultiSimilarityLoss,
    NPairLoss,
    SpreadOut,
    TripletLoss,
);

fn with_labels<L>(loss: &L, labels: Tensor<1, Int>) -> Related<'_, L> {
    Related {
        loss,
        relation: Relation::Labels(Box::new(labels)),
        place: None,
    }
}

fn with_tuples<'a, L>(loss: &'a L, tuples: &'a Tuples) -> Related<'a, L> {
    Related {
        loss,
        relation: Relation::Tuples(tuples),
        place: None,
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{DType, Device, TensorData};

    use super::*;
    use crate::{
        AngularLossConfig, AngularPairs, ContrastiveLossConfig, Distance,
        LiftedStructureLossConfig, MultiSimilarityLossConfig, NPairLossConfig, Pairs,
        SpreadOutConfig, TripletLossConfig, TripletMining, Triplets,
    };

    /// Rows about two opposite directions, on a CPU device that has both ways.
    fn cones(batch: usize, dim: usize, spread: f64, dtype: DType) -> (Tensor<2>, Vec<i64>) {
        let entries = (0..batch * dim).map(|k| {
            let (i, j) = ((k / dim) as f64, (k % dim) as f64);
            let side = if k / dim % 4 < 2 { 1.0 } else { -1.0 };
            side * (1.0 + j).cos() + spread * (1.0 + 3.1 * i + j * j + 0.3 * i * j).sin()
        });
        let data = TensorData::new(entries.collect::<Vec<f64>>(), [batch, dim]);
        let rows = Tensor::from_data(data.convert_dtype(dtype), (&Device::flex(), dtype));
        (rows, (0..batch as i64).map(|i| i % 4).collect())
    }

    /// Value and coefficients on the host and on the device.
    fn both<L: PairLoss>(
        loss: &L,
        rows: &Tensor<2>,
        labels: &[i64],
        tuples: Option<&Tuples>,
    ) -> [(f64, Vec<f64>); 2] {
        [Place::Host, Place::Device].map(|place| {
            let relation = match tuples {
                Some(tuples) => Relation::Tuples(tuples),
                None => {
                    let labels = TensorData::new(labels.to_vec(), [labels.len()]);
                    Relation::Labels(Box::new(Tensor::from_data(labels, &rows.device())))
                }
            };
            let related = Related {
                loss,
                relation,
                place: Some(place),
            };
            let evaluation = evaluate(&related, [rows.clone()], true);
            let [coefficients] = evaluation.coefficients.expect("asked for");
            assert_eq!(coefficients.dtype(), rows.dtype());
            let value = evaluation.value.into_data().iter::<f64>().next().unwrap();
            (value, coefficients.into_data().iter().collect())
        })
    }

    fn assert_agreement<L: PairLoss>(loss: &L, tolerance: f64, batch: &(Tensor<2>, Vec<i64>)) {
        let (rows, labels) = batch;
        let triplets = Tuples::from(Triplets::from_labels(&labels[..8]));
        let pairs = Tuples::from(Pairs::disjoint_from_labels(labels));
        for tuples in [None, Some(&triplets), Some(&pairs)] {
            let [(value, gradient), (other, other_gradient)] = both(loss, rows, labels, tuples);
            assert!(
                (value - other).abs() <= tolerance * value.abs(),
                "{loss:?}: {value} on the host, {other} on the device"
            );
            let norm = |x: &mut dyn Iterator<Item = f64>| x.map(|x| x * x).sum::<f64>().sqrt();
            let error = norm(&mut gradient.iter().zip(&other_gradient).map(|(x, y)| x - y));
            let size = norm(&mut gradient.iter().copied());
            // Of the few listed tuples every one may be far enough apart; of all pairs not.
            assert!(
                (size > 0.0 || tuples.is_some()) && error <= tolerance * size,
                "{loss:?}: {error:e} of {size:e}"
            );
        }
    }

    fn assert_all_agree(tolerance: f64, batch: &(Tensor<2>, Vec<i64>)) {
        for normalize in [true, false] {
            for distance in [
                Distance::Euclidean,
                Distance::SquaredEuclidean,
                Distance::Cosine,
            ] {
                let contrastive = ContrastiveLossConfig::new().with_distance(distance);
                let contrastive = contrastive.with_normalize(normalize).init();
                assert_agreement(&contrastive, tolerance, batch);
                for mining in [
                    TripletMining::BatchAll,
                    TripletMining::BatchHard,
                    TripletMining::SemiHard,
                ] {
                    let triplet = TripletLossConfig::new()
                        .with_mining(mining)
                        .with_margin(2.0);
                    let triplet = triplet.with_distance(distance).with_normalize(normalize);
                    assert_agreement(&triplet.init(), tolerance, batch);
                }
            }
            let n_pair = NPairLossConfig::new()
                .with_l2_weight(0.1)
                .with_normalize(normalize);
            assert_agreement(&n_pair.init(), tolerance, batch);
            for pairs in [AngularPairs::All, AngularPairs::NPair] {
                let angular = AngularLossConfig::new()
                    .with_pairs(pairs)
                    .with_normalize(normalize);
                assert_agreement(&angular.init(), tolerance, batch);
            }
            let lifted = LiftedStructureLossConfig::new().with_margin(3.0);
            assert_agreement(&lifted.with_normalize(normalize).init(), tolerance, batch);
            let similarity = MultiSimilarityLossConfig::new().with_normalize(normalize);
            assert_agreement(&similarity.clone().init(), tolerance, batch);
            let mined = similarity.with_mining_epsilon(Some(0.1)).init();
            assert_agreement(&mined, tolerance, batch);
            let spread_out = SpreadOutConfig::new().with_normalize(normalize);
            assert_agreement(&spread_out.init(), tolerance, batch);
        }
    }

    #[test]
    fn host_and_device_agree() {
        assert_all_agree(1e-9, &cones(24, 5, 0.5, DType::F64));
        assert_all_agree(1e-7, &cones(24, 5, 1e-4, DType::F64));
        assert_all_agree(1e-4, &cones(24, 5, 0.5, DType::F32));
    }

    /// More differences than are held at once.
    #[test]
    fn they_agree_in_blocks() {
        let batch = cones(300, 128, 0.5, DType::F32);
        assert_agreement(&ContrastiveLossConfig::new().init(), 1e-4, &batch);
        assert_agreement(&NPairLossConfig::new().init(), 1e-4, &batch);
    }

    /// What is left of a cone of spread 1e-4 once f32 rows are divided by their norms in f32.
    #[test]
    fn a_tight_cone_in_single_precision_on_a_device() {
        let batch = cones(24, 5, 1e-4, DType::F32);
        assert_agreement(&ContrastiveLossConfig::new().init(), 1e-2, &batch);
        let triplet = TripletLossConfig::new().with_mining(TripletMining::BatchAll);
        assert_agreement(&triplet.init(), 1e-2, &batch);
        assert_agreement(&LiftedStructureLossConfig::new().init(), 1e-2, &batch);
    }

    /// Lengths whose squares f32 does not hold.
    #[test]
    fn rows_of_any_length_on_a_device() {
        let (rows, labels) = cones(24, 5, 0.5, DType::F32);
        let loss = ContrastiveLossConfig::new().init();
        let of = |factor: f64| {
            let [_, (value, gradient)] =
                both(&loss, &rows.clone().mul_scalar(factor), &labels, None);
            (
                value,
                gradient.into_iter().map(|x| x * factor).collect::<Vec<_>>(),
            )
        };
        let expected = of(1.0);
        for exponent in [100, -100] {
            assert_eq!(of(2f64.powi(exponent)), expected);
        }
    }
}
