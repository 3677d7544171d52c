//! Tuples and miners against brute force on random labels.

use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use fullrank_retrieval::{
    AnyMiner, BatchHardMiner, ContrastiveLoss, Distance, Miner, MultiSimilarityLossConfig,
    MultiSimilarityMiner, PairMarginMiner, Pairs, RankingLoss, TripletLossConfig,
    TripletMarginMiner, TripletMining, TripletSelection, Triplets, TupleReduction, Tuples,
};
use proptest::prelude::*;

use crate::batches::{Batch, losses, number};

/// Random labels and a random symmetric matrix of distances with many ties.
fn problem() -> impl Strategy<Value = (Vec<i64>, Vec<f64>)> {
    (1usize..9).prop_flat_map(|n| {
        (
            prop::collection::vec(0i64..4, n),
            prop::collection::vec(0u32..6, n * n),
        )
            .prop_map(move |(labels, draws)| {
                let distances = (0..n * n)
                    .map(|k| {
                        let (i, j) = (k / n, k % n);
                        f64::from(draws[i.min(j) * n + i.max(j)]) / 4.0
                    })
                    .collect();
                (labels, distances)
            })
    })
}

/// 36 classes of 4 rows: 72 positive and 72 negative pairs, as in SVMax's paper.
#[test]
fn the_contrastive_batch_of_the_paper() {
    let labels: Vec<i64> = (0..144).map(|row| 7 * (row / 4)).collect();
    let pairs = Pairs::disjoint_from_labels(&labels);
    assert_eq!((pairs.positive.len(), pairs.negative.len()), (72, 72));
    assert_eq!(pairs.positive[..3], [[0, 1], [2, 3], [4, 5]]);
    assert_eq!(pairs.negative[..2], [[0, 72], [1, 73]]);
}

/// Every triple of indices that is a triplet, by definition.
fn triplets_by_definition(labels: &[i64]) -> Vec<[usize; 3]> {
    let n = labels.len();
    let mut triplets = Vec::new();
    for a in 0..n {
        for p in 0..n {
            for m in 0..n {
                if a != p && labels[a] == labels[p] && labels[a] != labels[m] {
                    triplets.push([a, p, m]);
                }
            }
        }
    }
    triplets
}

fn triplets(tuples: Tuples) -> Vec<[usize; 3]> {
    match tuples {
        Tuples::Triplets(triplets) => triplets.0,
        Tuples::Pairs(_) => panic!("a miner of triplets"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn tuples_from_labels((labels, _) in problem()) {
        let expected = triplets_by_definition(&labels);
        prop_assert_eq!(&Triplets::from_labels(&labels).0, &expected);
        let pairs = Pairs::from_labels(&labels);
        let n = labels.len();
        prop_assert_eq!(pairs.positive.len() + pairs.negative.len(), n * (n - 1));
        for [i, j] in &pairs.positive {
            prop_assert!(i != j && labels[*i] == labels[*j]);
        }
        for [i, j] in &pairs.negative {
            prop_assert!(labels[*i] != labels[*j]);
        }
        let disjoint = Pairs::disjoint_from_labels(&labels);
        for (chosen, all) in [
            (&disjoint.positive, &pairs.positive),
            (&disjoint.negative, &pairs.negative),
        ] {
            prop_assert!(chosen.iter().all(|pair| all.contains(pair)));
            let mut rows: Vec<usize> = chosen.concat();
            rows.sort_unstable();
            rows.dedup();
            prop_assert_eq!(rows.len(), 2 * chosen.len());
        }
        let of_class = |class: i64| labels.iter().filter(|&&label| label == class).count();
        let room: usize = (0..4).map(|class| of_class(class) / 2).sum();
        prop_assert_eq!(disjoint.positive.len(), room);
        if (0..4).all(|class| of_class(class) <= n / 2) {
            prop_assert_eq!(disjoint.negative.len(), n / 2);
        }
        // Back from triplets come the pairs of the anchors that have both kinds.
        let back = Triplets(expected.clone()).to_pairs();
        for [i, j] in &pairs.positive {
            let used = expected.iter().any(|t| t[0] == *i && t[1] == *j);
            prop_assert_eq!(back.positive.contains(&[*i, *j]), used);
        }
        for [i, j] in &pairs.negative {
            let used = expected.iter().any(|t| t[0] == *i && t[2] == *j);
            prop_assert_eq!(back.negative.contains(&[*i, *j]), used);
        }
    }

    #[test]
    fn triplet_margin((labels, distances) in problem()) {
        let n = labels.len();
        for selection in [
            TripletSelection::All,
            TripletSelection::Hard,
            TripletSelection::SemiHard,
            TripletSelection::Easy,
        ] {
            let miner = TripletMarginMiner { margin: 0.5, selection, ..Default::default() };
            let mut expected = triplets_by_definition(&labels);
            expected.retain(|&[a, p, m]| {
                let (near, far) = (distances[a * n + p], distances[a * n + m]);
                match selection {
                    TripletSelection::All => far <= near + 0.5,
                    TripletSelection::Hard => far <= near,
                    TripletSelection::SemiHard => near < far && far <= near + 0.5,
                    TripletSelection::Easy => far > near + 0.5,
                }
            });
            prop_assert_eq!(triplets(miner.choose(&distances, &labels)), expected);
        }
    }

    #[test]
    fn batch_hard((labels, distances) in problem()) {
        let n = labels.len();
        let chosen = triplets(BatchHardMiner::default().choose(&distances, &labels));
        let all = triplets_by_definition(&labels);
        for a in 0..n {
            let of_anchor: Vec<_> = all.iter().filter(|t| t[0] == a).collect();
            let mine: Vec<_> = chosen.iter().filter(|t| t[0] == a).collect();
            prop_assert_eq!(mine.len(), usize::from(!of_anchor.is_empty()));
            for [_, p, m] in mine.iter().copied() {
                for [_, q, k] in of_anchor.iter().copied() {
                    let (ours, theirs) = (distances[a * n + p], distances[a * n + q]);
                    prop_assert!(ours > theirs || (ours == theirs && p <= q));
                    let (ours, theirs) = (distances[a * n + m], distances[a * n + k]);
                    prop_assert!(ours < theirs || (ours == theirs && m <= k));
                }
            }
        }
    }

    #[test]
    fn pair_miners((labels, distances) in problem()) {
        let n = labels.len();
        let all = Pairs::from_labels(&labels);
        let d = |[i, j]: [usize; 2]| distances[i * n + j];
        let margin = PairMarginMiner {
            positive_margin: 0.5,
            negative_margin: 0.75,
            ..Default::default()
        };
        let mut expected = all.clone();
        expected.positive.retain(|&pair| d(pair) > 0.5);
        expected.negative.retain(|&pair| d(pair) < 0.75);
        prop_assert_eq!(margin.choose(&distances, &labels), Tuples::from(expected));

        let similarity = MultiSimilarityMiner { epsilon: 0.25, ..Default::default() };
        let mut expected = all.clone();
        expected.positive.retain(|&pair| {
            all.negative.iter().any(|&other| other[0] == pair[0] && d(other) - 0.25 < d(pair))
        });
        expected.negative.retain(|&pair| {
            all.positive.iter().any(|&other| other[0] == pair[0] && d(other) + 0.25 > d(pair))
        });
        prop_assert_eq!(similarity.choose(&distances, &labels), Tuples::from(expected));
    }

    /// With labels and with all tuples, the losses that take all tuples agree; and the losses' own
    /// mining agrees with the miners.
    #[test]
    fn mining_on_the_device_and_on_the_host(
        labels in prop::collection::vec(0i64..3, 1..8),
        entries in prop::collection::vec(-1.0f64..1.0, 24),
    ) {
        let batch = Batch::from_fn(&labels, 3, |i, j| entries[3 * i + j]);
        let device = Device::default();
        let rows = batch.tensor(&device, DType::F32);
        let ids = batch.labels(&device);
        let pairs: Tuples = Pairs::from_labels(&labels).into();
        for (name, loss) in losses() {
            let all = ["contrastive", "triplet all", "lifted structure", "angular, all pairs"];
            if all.iter().any(|start| name.starts_with(start)) || name == "multi-similarity" {
                let given = number(loss.forward_tuples(rows.clone(), &pairs));
                let labelled = number(loss.forward(rows.clone(), ids.clone()));
                prop_assert!((given - labelled).abs() <= 2e-3 * (1.0 + labelled.abs()), "{name}");
            }
        }
        let hard = TripletLossConfig::new().with_mining(TripletMining::BatchHard).init();
        let mined = BatchHardMiner::default().mine(&rows, &ids);
        let given = number(hard.forward_tuples(rows.clone(), &mined));
        let own = number(hard.forward(rows.clone(), ids.clone()));
        prop_assert!((given - own).abs() <= 2e-3, "{given} {own}");
        let similarity = MultiSimilarityLossConfig::new().with_mining_epsilon(Some(0.1)).init();
        let mined = MultiSimilarityMiner::default().mine(&rows, &ids);
        let given = number(similarity.forward_tuples(rows.clone(), &mined));
        let own = number(similarity.forward(rows.clone(), ids.clone()));
        prop_assert!((given - own).abs() <= 1e-3 * (1.0 + own), "{given} {own}");
    }
}

/// pytorch-metric-learning 2.8.1 on the sines: `TripletMarginMiner(.2, kind)` finds 44, 43, 1 and 10
/// triplets, `MultiSimilarityMiner(.1)` 8 and 39 pairs, `PairMarginMiner(.2, .8)` 10 and 2.
#[test]
fn counts_of_sines() {
    let device = Device::default();
    let batch = Batch::sines();
    let (rows, labels) = (batch.tensor(&device, DType::F32), batch.labels(&device));
    for (selection, count, value) in [
        (TripletSelection::All, 44, 0.712630543875798),
        (TripletSelection::Hard, 43, 0.7250740741656878),
        (TripletSelection::SemiHard, 1, 0.17755874141053224),
        (TripletSelection::Easy, 10, 0.0),
    ] {
        let miner = TripletMarginMiner {
            selection,
            ..Default::default()
        };
        let tuples = miner.mine(&rows, &labels);
        assert_eq!(tuples.to_triplets().0.len(), count, "{selection:?}");
        let loss = TripletLossConfig::new()
            .with_reduction(TupleReduction::Mean)
            .init();
        let total = number(loss.forward_tuples(rows.clone(), &tuples));
        approx::assert_relative_eq!(total, value, max_relative = 1e-5);
    }
    let pairs = MultiSimilarityMiner::default()
        .mine(&rows, &labels)
        .to_pairs();
    assert_eq!((pairs.positive.len(), pairs.negative.len()), (8, 39));
    let pairs = PairMarginMiner::default().mine(&rows, &labels).to_pairs();
    assert_eq!((pairs.positive.len(), pairs.negative.len()), (10, 2));
}

/// By name from a configuration file: the same choice as that of the miner itself.
#[test]
fn miners_by_name() {
    let device = Device::default();
    let batch = Batch::sines();
    let (rows, labels) = (batch.tensor(&device, DType::F32), batch.labels(&device));
    for (json, miner) in [
        (
            r#"{"batch-hard": {}}"#,
            Box::new(BatchHardMiner::default()) as Box<dyn Miner>,
        ),
        (
            r#"{"triplet-margin": {"selection": "easy"}}"#,
            Box::new(TripletMarginMiner::default().with_selection(TripletSelection::Easy)),
        ),
        (
            r#"{"pair-margin": {"distance": "cosine", "positive_margin": 0.1}}"#,
            Box::new(
                PairMarginMiner::default()
                    .with_distance(Distance::Cosine)
                    .with_positive_margin(0.1),
            ),
        ),
        (
            r#"{"multi-similarity": {}}"#,
            Box::new(MultiSimilarityMiner::default()),
        ),
    ] {
        let named: AnyMiner = serde_json::from_str(json).unwrap();
        named.check().unwrap();
        let tuples = named.mine(&rows, &labels);
        assert_eq!(tuples, miner.mine(&rows, &labels), "{json}");
        assert_ne!(tuples.to_pairs().positive.len(), 0, "{json}");
        let again = serde_json::to_string(&named).unwrap();
        assert_eq!(named, serde_json::from_str(&again).unwrap());
    }

    let error = |json: &str| {
        serde_json::from_str::<AnyMiner>(json)
            .unwrap_err()
            .to_string()
    };
    assert!(error(r#"{"batch-easy": {}}"#).contains("multi-similarity"));
    assert!(error(r#"{"triplet-margin": {"magrin": 1}}"#).contains("selection"));
    let miner = AnyMiner::TripletMargin(TripletMarginMiner::default().with_margin(f64::NAN));
    let message = miner.check().unwrap_err().to_string();
    assert!(
        message.contains("triplet-margin") && message.contains("NaN"),
        "{message}"
    );
}

/// A miner's choice with any loss: the gradient goes through the loss, not through the choice.
#[test]
fn any_miner_with_any_loss() {
    let device = Device::default().autodiff();
    let batch = Batch::sines();
    let miners: Vec<Box<dyn Miner>> = vec![
        Box::new(BatchHardMiner::default()),
        Box::new(TripletMarginMiner::default()),
        Box::new(PairMarginMiner {
            distance: Distance::Cosine,
            ..Default::default()
        }),
        Box::new(MultiSimilarityMiner::default()),
    ];
    let labels: Tensor<1, Int> =
        Tensor::from_data(TensorData::new(batch.labels.clone(), [batch.rows]), &device);
    for miner in &miners {
        for (name, loss) in losses() {
            let leaf = batch.tensor(&device, DType::F32).require_grad();
            let tuples = miner.mine(&leaf, &labels);
            let total = loss.forward_tuples(leaf.clone(), &tuples);
            let gradient = leaf.grad(&total.backward()).expect("on the graph");
            let norm = number(gradient.abs().sum());
            assert!(norm > 0.0 && norm.is_finite(), "{name} with {miner:?}");
        }
    }
    let leaf = batch.tensor(&device, DType::F32).require_grad();
    let tuples = miners[0].mine(&leaf, &labels);
    let terms = ContrastiveLoss::default().forward_tuples_terms(leaf, &tuples);
    assert!(terms.get("positive").is_some());
}
