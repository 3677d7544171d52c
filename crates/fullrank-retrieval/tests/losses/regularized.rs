//! A ranking loss with a regularizer beside it.

use burn::tensor::{DType, Device};
use fullrank::{Regularizer, RegularizerConfig, SvMaxConfig};
use fullrank_retrieval::{Pairs, RankingLoss, RegularizedConfig, TripletLossConfig};

use crate::batches::{Batch, losses, number};

/// total = loss + weight * penalty, value and gradient, with the terms of both.
#[test]
fn attaches_to_every_loss() {
    let device = Device::default();
    let batch = Batch::sines();
    let svmax = SvMaxConfig::new().with_weight(0.5).init();
    let regularizer: &dyn Regularizer = &svmax;
    let gradient_of = |f: &dyn Fn(burn::tensor::Tensor<2>) -> burn::tensor::Tensor<1>| {
        let leaf = batch
            .tensor(&device.clone().autodiff(), DType::F32)
            .require_grad();
        let gradient = leaf.grad(&f(leaf.clone()).backward()).unwrap();
        gradient.into_data().iter::<f64>().collect::<Vec<_>>()
    };
    let penalty = gradient_of(&|e| regularizer.forward(e));
    for ((name, alone), (_, loss)) in losses().into_iter().zip(losses()) {
        let both = fullrank_retrieval::Regularized::new(
            loss,
            "svmax",
            Box::new(SvMaxConfig::new().with_weight(0.5).init()),
        );
        let (rows, labels) = (batch.tensor(&device, DType::F32), batch.labels(&device));
        let terms = both.forward_terms(rows.clone(), labels.clone());
        let ranking = batch.value(alone.as_ref(), &device, DType::F32);
        let term = |name| number(terms.get(name).unwrap().clone());
        let expected = ranking + 0.5 * term("svmax.penalty");
        approx::assert_relative_eq!(number(terms.total.clone()), expected, max_relative = 1e-6);
        approx::assert_relative_eq!(
            number(both.forward(rows, labels.clone())),
            expected,
            max_relative = 1e-6
        );
        let ours = terms.iter().filter(|(name, _)| !name.contains('.')).count();
        assert!(ours > 0, "{name}: the loss's own terms are gone");

        let labels = batch.labels(&device);
        let sum = gradient_of(&|e| both.forward(e, labels.clone()));
        let ranking = batch.gradient(alone.as_ref(), &device, DType::F32);
        for ((sum, ranking), penalty) in sum.iter().zip(ranking).zip(&penalty) {
            approx::assert_relative_eq!(*sum, ranking + penalty, epsilon = 1e-5);
        }
    }
}

#[test]
fn from_a_file_and_with_tuples() {
    let json = r#"{
        "loss": {"triplet": {"margin": 0.2, "soft_margin": false, "mining": "batch-all",
            "distance": "euclidean", "normalize": true, "reduction": "mean"}},
        "regularizer": {"svmax": {"weight": 0.1, "form": "bounded", "normalize": true, "solver": "auto",
            "norm_floor": 1.0}}
    }"#;
    let config: RegularizedConfig = serde_json::from_str(json).unwrap();
    let both = config.init();
    let device = Device::default();
    let batch = Batch::sines();
    let rows = batch.tensor(&device, DType::F32);
    let all = Pairs::from_labels(&batch.labels).into();
    let given = both.forward_tuples(rows.clone(), &all);
    let labelled = both.forward_terms(rows.clone(), batch.labels(&device));
    let alone = TripletLossConfig::new()
        .with_mining(fullrank_retrieval::TripletMining::BatchAll)
        .init()
        .with_regularizer("svmax", SvMaxConfig::new().with_weight(0.1).init())
        .forward(rows, batch.labels(&device));
    for total in [given, labelled.total] {
        approx::assert_relative_eq!(number(total), number(alone.clone()), max_relative = 1e-5);
    }
    assert!(matches!(config.regularizer, RegularizerConfig::SvMax(_)));
}

/// A regularizer that draws at random draws by the step; the ranking loss is what it is.
#[test]
fn steps() {
    let json = r#"{"loss": {"triplet": {}}, "regularizer": {"sigreg": {"slices": 16}}}"#;
    let config: RegularizedConfig = serde_json::from_str(json).unwrap();
    let both = config.init();
    let device = Device::default();
    let batch = Batch::sines();
    let terms = |step: u64| {
        let loss = both.at_step(step);
        let terms = loss.forward_terms(batch.tensor(&device, DType::F32), batch.labels(&device));
        ["triplet", "sigreg.normality"].map(|name| number(terms.get(name).unwrap().clone()))
    };
    let ([triplet, normality], [other_triplet, other]) = (terms(3), terms(4));
    assert_eq!(triplet, other_triplet);
    assert_ne!(normality, other);
    assert_eq!(terms(3), [triplet, normality]);
}
