//! Batches without pairs, equal rows, zero rows, NaN, half precision, wrong arguments.

use burn::tensor::{DType, Device, Tensor};
use fullrank_retrieval::RankingLoss;
use fullrank_retrieval::{
    AngularLossConfig, ContrastiveLossConfig, Pairs, RankingLossConfig, TripletLoss,
    TripletLossConfig, Triplets,
};

use crate::batches::{Batch, losses, number};

/// One row, one class, only classes of one row: no triplet, hence 0 and a gradient of zeros for all
/// but the pair losses and the spread-out regularizer, which still have pairs of one kind.
#[test]
fn without_tuples() {
    let device = Device::default();
    for (labels, pairs) in [(&[3][..], false), (&[1, 1, 1], true), (&[0, 1, 2, 3], true)] {
        let batch = Batch::from_fn(labels, 3, |i, j| (1.0 + 2.0 * i as f64 + j as f64).sin());
        for (name, loss) in losses() {
            let alone = name.starts_with("contrastive")
                || name.starts_with("spread-out")
                || name == "multi-similarity";
            if name == "n-pair raw" || (alone && pairs) {
                continue; // its mean of squared norms; pairs of one kind
            }
            let value = batch.value(loss.as_ref(), &device, DType::F32);
            assert_eq!(value, 0.0, "{name} of {labels:?}");
            let gradient = batch.gradient(loss.as_ref(), &device, DType::F32);
            assert_eq!(
                gradient,
                vec![0.0; 3 * labels.len()],
                "{name} of {labels:?}"
            );
        }
    }
}

#[test]
fn without_given_tuples() {
    let device = Device::default();
    let batch = Batch::sines();
    for (name, loss) in losses() {
        if name == "n-pair raw" {
            continue;
        }
        for tuples in [Pairs::default().into(), Triplets::default().into()] {
            let leaf = batch
                .tensor(&device.clone().autodiff(), DType::F32)
                .require_grad();
            let total = loss.forward_tuples(leaf.clone(), &tuples);
            let gradient = leaf.grad(&total.backward()).expect("on the graph");
            assert_eq!(number(total), 0.0, "{name}");
            assert_eq!(number(gradient.abs().sum()), 0.0, "{name}");
        }
    }
}

/// Equal rows have distance zero, where a root has no derivative; zero rows have no direction.
#[test]
fn equal_rows_and_zero_rows() {
    let device = Device::default();
    let labels = [0, 0, 0, 1, 1, 2];
    for (what, entry) in [
        (
            "equal",
            (|_, j| [0.3, -0.2, 0.9][j]) as fn(usize, usize) -> f64,
        ),
        ("zero", |_, _| 0.0),
        ("some equal", |i, j| {
            if i < 4 {
                [0.3, -0.2, 0.9][j]
            } else {
                (i + j) as f64
            }
        }),
        (
            "some zero",
            |i, j| if i % 2 == 0 { 0.0 } else { (i + j) as f64 },
        ),
        ("huge", |i, j| 1e6 * (1.0 + 2.0 * i as f64 + j as f64).sin()),
        ("tiny", |i, j| {
            1e-6 * (1.0 + 2.0 * i as f64 + j as f64).sin()
        }),
    ] {
        let batch = Batch::from_fn(&labels, 3, entry);
        for (name, loss) in losses() {
            let value = batch.value(loss.as_ref(), &device, DType::F32);
            assert!(value.is_finite(), "{name} of {what} rows: {value}");
            let gradient = batch.gradient(loss.as_ref(), &device, DType::F32);
            assert!(
                gradient.iter().all(|x| x.is_finite()),
                "{name} of {what} rows: {gradient:?}"
            );
        }
    }
}

#[test]
fn a_nan_stays_visible() {
    let mut batch = Batch::sines();
    batch.entries[6] = f64::NAN;
    for (name, loss) in losses() {
        let value = batch.value(loss.as_ref(), &Device::default(), DType::F32);
        assert!(value.is_nan(), "{name}: {value}");
    }
}

/// Only which labels are equal counts, not their numbers; and the order of the rows counts only for
/// the losses that take the first rows of a class.
#[test]
fn labels_are_names() {
    let device = Device::default();
    let batch = Batch::sines();
    let mut renamed = batch.clone();
    for label in &mut renamed.labels {
        *label = 1000 - 7 * *label;
    }
    for (name, loss) in losses() {
        let value = batch.value(loss.as_ref(), &device, DType::F32);
        assert_eq!(
            value,
            renamed.value(loss.as_ref(), &device, DType::F32),
            "{name}"
        );
    }
}

#[test]
fn half_precision_is_raised() {
    let device = Device::default();
    for dtype in [DType::F16, DType::BF16] {
        if !device.supports_dtype(dtype) {
            continue;
        }
        let mut batch = Batch::sines();
        for x in &mut batch.entries {
            *x = (*x * 64.0).round() / 64.0;
        }
        for (name, loss) in losses() {
            let half = loss.forward(batch.tensor(&device, dtype), batch.labels(&device));
            assert_eq!(half.dtype(), DType::F32, "{name}");
            let single = batch.value(loss.as_ref(), &device, DType::F32);
            approx::assert_relative_eq!(number(half), single, max_relative = 1e-6);
        }
    }
}

#[test]
fn configurations_by_name() {
    for (json, name) in [
        (
            r#"{"contrastive": {"positive_margin": 0.0, "negative_margin": 1.0, "squared_hinge": false,
                "distance": "squared-euclidean", "normalize": true, "reduction": "mean-non-zero"}}"#,
            "contrastive",
        ),
        (
            r#"{"triplet": {"margin": 0.2, "soft_margin": false, "mining": "semi-hard",
                "distance": "cosine", "normalize": true, "reduction": "mean"}}"#,
            "triplet",
        ),
        (
            r#"{"n-pair": {"l2_weight": 0.0, "normalize": true}}"#,
            "n-pair",
        ),
        (
            r#"{"angular": {"angle": 45.0, "pairs": "n-pair", "normalize": true}}"#,
            "angular",
        ),
        (
            r#"{"lifted-structure": {"margin": 1.0, "normalize": true}}"#,
            "lifted-structure",
        ),
        (
            r#"{"multi-similarity": {"alpha": 2.0, "beta": 50.0, "base": 0.5,
                "mining_epsilon": null, "normalize": true}}"#,
            "multi-similarity",
        ),
    ] {
        let config: RankingLossConfig = serde_json::from_str(json).unwrap();
        assert_eq!(config.name(), name);
        let again = serde_json::to_string(&config).unwrap();
        assert_eq!(
            serde_json::from_str::<RankingLossConfig>(&again).unwrap(),
            config
        );
        let batch = Batch::sines();
        let value = batch.value(&config.init(), &Device::default(), DType::F32);
        assert!(value > 0.0);
    }
}

#[test]
fn display() {
    assert_eq!(
        TripletLoss::default().to_string(),
        "TripletLoss {margin: 0.2, soft_margin: false, mining: BatchHard, distance: Euclidean, \
         normalize: true, reduction: Mean, solver: Auto}"
    );
}

#[test]
#[should_panic(expected = "one label for each of the 3 rows")]
fn too_few_labels() {
    let device = Device::default();
    let rows = Tensor::<2>::zeros([3, 2], &device);
    let _ = TripletLoss::default().forward(rows, Tensor::from_ints([0, 1], &device));
}

#[test]
#[should_panic(expected = "the pair (0, 8) is not one of a batch of 8")]
fn a_pair_beyond_the_batch() {
    use fullrank_retrieval::RankingLoss;
    let pairs = Pairs {
        positive: vec![[0, 8]],
        negative: vec![],
    };
    let rows = Batch::sines().tensor(&Device::default(), DType::F32);
    let _ = ContrastiveLossConfig::new()
        .init()
        .forward_tuples(rows, &pairs.into());
}

#[test]
#[should_panic(expected = "above 0 and below 90 degrees, got 90")]
fn an_angle_of_ninety_degrees() {
    AngularLossConfig::new().with_angle(90.0).init();
}

#[test]
#[should_panic(expected = "margin of the triplet loss must be finite, got NaN")]
fn a_margin_that_is_not_a_number() {
    TripletLossConfig::new().with_margin(f64::NAN).init();
}

/// The names that a loss gives beforehand are those of its terms, and every choice lives in a module.
#[test]
fn terms_and_modules() {
    #[derive(burn::module::Module, Debug)]
    struct Model {
        loss: fullrank_retrieval::Regularized,
    }
    let batch = Batch::sines();
    let device = Device::default();
    for loss in [
        "contrastive",
        "triplet",
        "n-pair",
        "angular",
        "lifted-structure",
        "multi-similarity",
    ] {
        let json = format!(r#"{{"loss": {{"{loss}": {{}}}}, "regularizer": {{"svmax": {{}}}}}}"#);
        let config: fullrank_retrieval::RegularizedConfig = serde_json::from_str(&json).unwrap();
        config.check().unwrap();
        let model = Model {
            loss: config.init(),
        };
        let loss = burn::module::Module::valid(&model).loss;
        let terms = loss.forward_terms(batch.tensor(&device, DType::F32), batch.labels(&device));
        let names: Vec<&str> = terms.iter().map(|(name, _)| name).collect();
        assert_eq!(loss.term_names(), names);
        assert!(names.len() > 4, "{names:?}");
    }
    let json = r#"{"loss": {"triplet": {"margni": 1}}, "regularizer": {"svmax": {}}}"#;
    let error = serde_json::from_str::<fullrank_retrieval::RegularizedConfig>(json).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("expected one of `margin`, `soft_margin`"),
        "{error}"
    );
    let json = r#"{"angular": {"angle": 90}}"#;
    let config: RankingLossConfig = serde_json::from_str(json).unwrap();
    assert_eq!(
        config.check().unwrap_err().to_string(),
        "angular: the angle of the angular loss must be above 0 and below 90 degrees, got 90"
    );
}
