//! Labelled batches for the tests, and every variant of every loss.

use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use fullrank_retrieval::{
    AngularLossConfig, AngularPairs, ContrastiveLossConfig, Distance, LiftedStructureLossConfig,
    MultiSimilarityLossConfig, NPairLossConfig, RankingLoss, SpreadOutConfig, TripletLossConfig,
    TripletMining, TupleReduction,
};

/// A device that computes in f64: the default one if it is a CPU, else flex.
pub(crate) fn f64_device() -> Device {
    match std::env::var("BURN_DEVICE").as_deref() {
        Ok("ndarray") => Device::default(),
        _ => Device::flex(),
    }
}

/// Rows on the host and their labels.
#[derive(Clone, Debug)]
pub(crate) struct Batch {
    pub(crate) rows: usize,
    pub(crate) dims: usize,
    pub(crate) entries: Vec<f64>,
    pub(crate) labels: Vec<i64>,
}

impl Batch {
    pub(crate) fn from_fn(
        labels: &[i64],
        dims: usize,
        entry: impl Fn(usize, usize) -> f64,
    ) -> Self {
        Self {
            rows: labels.len(),
            dims,
            entries: (0..labels.len() * dims)
                .map(|k| entry(k / dims, k % dims))
                .collect(),
            labels: labels.to_vec(),
        }
    }

    /// Rows (2 cos a, sin a / 2) at 0, 20, 40, 60, 80 degrees, times a scale.
    pub(crate) fn angles(labels: &[i64], scale: f64) -> Self {
        Self::from_fn(labels, 2, |i, j| {
            let angle = (20.0 * i as f64).to_radians();
            scale
                * if j == 0 {
                    2.0 * angle.cos()
                } else {
                    0.5 * angle.sin()
                }
        })
    }

    /// Eight rows of five entries sin(1 + 3i + j^2 + 0.3ij) in four classes, one of a single row.
    pub(crate) fn sines() -> Self {
        Self::from_fn(&[0, 0, 0, 1, 1, 2, 2, 3], 5, |i, j| {
            let (i, j) = (i as f64, j as f64);
            (1.0 + 3.0 * i + j * j + 0.3 * i * j).sin()
        })
    }

    pub(crate) fn tensor(&self, device: &Device, dtype: DType) -> Tensor<2> {
        let data =
            TensorData::new(self.entries.clone(), [self.rows, self.dims]).convert_dtype(dtype);
        Tensor::from_data(data, (device, dtype))
    }

    pub(crate) fn labels(&self, device: &Device) -> Tensor<1, Int> {
        let labels: Vec<i32> = self.labels.iter().map(|&label| label as i32).collect();
        Tensor::from_data(TensorData::new(labels, [self.rows]), device)
    }

    pub(crate) fn value(&self, loss: &dyn RankingLoss, device: &Device, dtype: DType) -> f64 {
        number(loss.forward(self.tensor(device, dtype), self.labels(device)))
    }

    /// The gradient of the loss, through autodiff.
    pub(crate) fn gradient(
        &self,
        loss: &dyn RankingLoss,
        device: &Device,
        dtype: DType,
    ) -> Vec<f64> {
        let device = device.clone().autodiff();
        let leaf = self.tensor(&device, dtype).require_grad();
        let gradients = loss.forward(leaf.clone(), self.labels(&device)).backward();
        let gradient = leaf.grad(&gradients).expect("the loss is on the graph");
        gradient.into_data().iter().collect()
    }
}

/// The value of a `[1]` tensor.
pub(crate) fn number(tensor: Tensor<1>) -> f64 {
    let values: Vec<f64> = tensor.into_data().iter::<f64>().collect();
    assert_eq!(values.len(), 1);
    values[0]
}

/// Every loss and variant by name.
pub(crate) fn losses() -> Vec<(&'static str, Box<dyn RankingLoss>)> {
    let contrastive = |distance, normalize| -> Box<dyn RankingLoss> {
        Box::new(
            ContrastiveLossConfig::new()
                .with_distance(distance)
                .with_normalize(normalize)
                .init(),
        )
    };
    let triplet = |mining, soft, reduction| -> Box<dyn RankingLoss> {
        Box::new(
            TripletLossConfig::new()
                .with_mining(mining)
                .with_soft_margin(soft)
                .with_reduction(reduction)
                .init(),
        )
    };
    use TripletMining::{BatchAll, BatchHard, SemiHard};
    vec![
        ("contrastive", contrastive(Distance::Euclidean, true)),
        (
            "contrastive squared",
            contrastive(Distance::SquaredEuclidean, true),
        ),
        ("contrastive cosine", contrastive(Distance::Cosine, false)),
        ("contrastive raw", contrastive(Distance::Euclidean, false)),
        (
            "triplet all",
            triplet(BatchAll, false, TupleReduction::Mean),
        ),
        (
            "triplet all, not zero",
            triplet(BatchAll, false, TupleReduction::MeanNonZero),
        ),
        (
            "triplet hard",
            triplet(BatchHard, false, TupleReduction::Mean),
        ),
        (
            "triplet hard, soft",
            triplet(BatchHard, true, TupleReduction::Mean),
        ),
        (
            "triplet semi-hard",
            triplet(SemiHard, false, TupleReduction::Mean),
        ),
        ("n-pair", Box::new(NPairLossConfig::new().init())),
        (
            "n-pair raw",
            Box::new(
                NPairLossConfig::new()
                    .with_normalize(false)
                    .with_l2_weight(0.1)
                    .init(),
            ),
        ),
        ("angular", Box::new(AngularLossConfig::new().init())),
        (
            "angular, all pairs",
            Box::new(
                AngularLossConfig::new()
                    .with_angle(40.0)
                    .with_pairs(AngularPairs::All)
                    .with_normalize(false)
                    .init(),
            ),
        ),
        (
            "lifted structure",
            Box::new(LiftedStructureLossConfig::new().init()),
        ),
        (
            "multi-similarity",
            Box::new(MultiSimilarityLossConfig::new().init()),
        ),
        (
            "multi-similarity, mined",
            Box::new(
                MultiSimilarityLossConfig::new()
                    .with_mining_epsilon(Some(0.1))
                    .init(),
            ),
        ),
        ("spread-out", Box::new(SpreadOutConfig::new().init())),
        (
            "spread-out raw",
            Box::new(
                SpreadOutConfig::new()
                    .with_weight(0.5)
                    .with_normalize(false)
                    .init(),
            ),
        ),
    ]
}
