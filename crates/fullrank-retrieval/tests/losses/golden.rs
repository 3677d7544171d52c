//! Values that the equivalent PyTorch program prints, with pytorch-metric-learning 2.8.1 where it has
//! the loss.

use burn::tensor::{DType, Device};
use fullrank_retrieval::{
    AngularLossConfig, AngularPairs, ContrastiveLossConfig, Distance, LiftedStructureLossConfig,
    MultiSimilarityLossConfig, NPairLossConfig, RankingLoss, SpreadOutConfig, TripletLossConfig,
    TripletMining, TupleReduction,
};

use crate::batches::{Batch, f64_device};

/// In f64, and on the default device in f32, where distances come from products: 1e-4.
fn assert_value(batch: &Batch, loss: &dyn RankingLoss, expected: f64) {
    let double = batch.value(loss, &f64_device(), DType::F64);
    approx::assert_relative_eq!(double, expected, max_relative = 1e-12);
    let single = batch.value(loss, &Device::default(), DType::F32);
    approx::assert_relative_eq!(single, expected, max_relative = 1e-4);
}

fn five_angles() -> Batch {
    Batch::angles(&[0, 0, 1, 1, 2], 1.0)
}

/// ```python
/// a = torch.deg2rad(torch.arange(0, 100, 20.))
/// e = torch.stack([2 * torch.cos(a), .5 * torch.sin(a)], 1); y = torch.tensor([0, 0, 1, 1, 2])
/// squared, cosine = LpDistance(power=2), CosineSimilarity()
/// ContrastiveLoss(.25, 1.5, distance=squared)(e, y)                        # 1.162362343372951
/// ContrastiveLoss(1.5, .6, distance=cosine)(e, y)                          # 0.7797923821311114
/// ContrastiveLoss(.25, 1.5, distance=squared, reducer=MeanReducer())(e, y) # 1.162362343372951
/// ContrastiveLoss(1.5, .6, distance=cosine, reducer=MeanReducer())(e, y)   # 0.7463445334710446
/// ```
///
/// A margin m on the cosine is the margin 1 - m on the cosine distance.
#[test]
fn contrastive_of_five_angles() {
    let linear = ContrastiveLossConfig::new().with_squared_hinge(false);
    let squared = linear
        .clone()
        .with_distance(Distance::SquaredEuclidean)
        .with_positive_margin(0.25)
        .with_negative_margin(1.5);
    let cosine = linear
        .with_distance(Distance::Cosine)
        .with_positive_margin(1.0 - 1.5)
        .with_negative_margin(1.0 - 0.6);
    for (config, reduction, expected) in [
        (&squared, TupleReduction::MeanNonZero, 1.162362343372951),
        (&cosine, TupleReduction::MeanNonZero, 0.7797923821311114),
        (&squared, TupleReduction::Mean, 1.162362343372951),
        (&cosine, TupleReduction::Mean, 0.7463445334710446),
    ] {
        let loss = config.clone().with_reduction(reduction).init();
        assert_value(&five_angles(), &loss, expected);
    }
}

/// ```python
/// i, j = torch.arange(8.)[:, None], torch.arange(5.)
/// z = torch.sin(1 + 3 * i + j * j + .3 * i * j); t = torch.tensor([0, 0, 0, 1, 1, 2, 2, 3])
/// ContrastiveLoss(0, 1, reducer=MeanReducer())(z, t)                           # 1.7186956623935445
/// ContrastiveLoss(.5, 2, distance=LpDistance(normalize_embeddings=False))(z, t)  # 2.5858799709015132
/// d = torch.cdist(normalize(z), normalize(z))
/// p, n = (t[:, None] == t) & ~torch.eye(8, dtype=bool), t[:, None] != t
/// (d[p] ** 2).mean() + (torch.relu(1 - d[n]) ** 2).mean()                      # 3.100637756503717
/// ```
#[test]
fn contrastive_of_sines() {
    let config = ContrastiveLossConfig::new();
    let linear = config.clone().with_squared_hinge(false);
    assert_value(&Batch::sines(), &linear.clone().init(), 1.7186956623935445);
    let raw = linear
        .with_normalize(false)
        .with_positive_margin(0.5)
        .with_negative_margin(2.0)
        .with_reduction(TupleReduction::MeanNonZero);
    assert_value(&Batch::sines(), &raw.init(), 2.5858799709015132);
    assert_value(&Batch::sines(), &config.init(), 3.100637756503717);
}

/// ```python
/// TripletMarginLoss(.2, reducer=MeanReducer())(z, t)                                   # 0.580661924639539
/// TripletMarginLoss(.2)(z, t)                                                          # 0.712630543875798
/// TripletMarginLoss(.2, smooth_loss=True, reducer=MeanReducer())(z, t)                 # 1.0093695223321935
/// TripletMarginLoss(.2, distance=LpDistance(power=2), reducer=MeanReducer())(z, t)     # 1.4972601022358407
/// TripletMarginLoss(.2, distance=CosineSimilarity(), reducer=MeanReducer())(z, t)      # 0.8304083207384756
/// TripletMarginLoss(.2, reducer=MeanReducer())(z, t, BatchHardMiner()(z, t))           # 1.0630405566378403
/// TripletMarginLoss(0, smooth_loss=True, reducer=MeanReducer())(z, t, BatchHardMiner()(z, t))
///                                                                                      # 1.2196167211915554
/// # as TensorFlow Addons' triplet_semihard_loss chooses: for each a and p of one class
/// f = [d[a, n] for n in negatives(a) if d[a, n] > d[a, p]]
/// torch.relu(d[a, p] - (min(f) if f else max(d[a, n] for n in negatives(a))) + .2)
/// # mean over all a, p: 0.28879354647845357
/// ```
#[test]
fn triplet_of_sines() {
    let all = TripletLossConfig::new().with_mining(TripletMining::BatchAll);
    let hard = TripletLossConfig::new().with_mining(TripletMining::BatchHard);
    for (config, expected) in [
        (all.clone(), 0.580661924639539),
        (
            all.clone().with_reduction(TupleReduction::MeanNonZero),
            0.712630543875798,
        ),
        (all.clone().with_soft_margin(true), 1.0093695223321935),
        (
            all.clone().with_distance(Distance::SquaredEuclidean),
            1.4972601022358407,
        ),
        (all.with_distance(Distance::Cosine), 0.8304083207384756),
        (hard.clone(), 1.0630405566378403),
        (
            hard.with_soft_margin(true).with_margin(0.0),
            1.2196167211915554,
        ),
        (
            TripletLossConfig::new().with_mining(TripletMining::SemiHard),
            0.28879354647845357,
        ),
    ] {
        assert_value(&Batch::sines(), &config.init(), expected);
    }
}

/// ```python
/// a = torch.deg2rad(torch.arange(0, 140, 20.)); y = [0, 0, 1, 1, 1, 2, 3]
/// w = 2.3 * torch.stack([2 * torch.cos(a), .5 * torch.sin(a)], 1); u = normalize(w)
/// def f(a, p, n): return -torch.log(exp(u[a] @ u[p]) / (exp(u[a] @ u[p]) + exp(u[a] @ u[n])))
/// (f(0, 1, 3) + f(2, 3, 1)) / 2                               # 0.6773804686743394
/// (f(0, 1, 3) + f(2, 3, 1)) / 2 + (w ** 2).sum(1).mean()      # 10.587119585471449
/// # z, t as above: anchors 0, 3, 5, positives 1, 4, 6
/// cross_entropy(z[[0, 3, 5]] @ z[[1, 4, 6]].T, torch.arange(3))   # 2.7610403645052615
/// u = normalize(z); cross_entropy(u[[0, 3, 5]] @ u[[1, 4, 6]].T, torch.arange(3))  # 1.669572151618152
/// ```
#[test]
fn n_pair() {
    let angles = Batch::angles(&[0, 0, 1, 1, 1, 2, 3], 2.3);
    let config = NPairLossConfig::new();
    assert_value(&angles, &config.init(), 0.6773804686743394);
    assert_value(
        &angles,
        &config.clone().with_l2_weight(1.0).init(),
        10.587119585471449,
    );
    let raw = config.clone().with_normalize(false);
    assert_value(&Batch::sines(), &raw.init(), 2.7610403645052615);
    assert_value(&Batch::sines(), &config.init(), 1.669572151618152);
}

/// ```python
/// def angular(u, y, T):    # T = tan(40 degrees) ** 2
///     def f(a, p, n): return torch.exp(4 * T * (u[a] + u[p]) @ u[n] - 2 * (1 + T) * u[a] @ u[p])
///     pairs = [(a, p) for a in range(len(y)) for p in range(len(y)) if a != p and y[a] == y[p]]
///     return sum(torch.log1p(sum(f(a, p, n) for n in range(len(y)) if y[n] != y[a])) for a, p in pairs) / len(pairs)
/// angular(normalize(e), y, T), angular(e, y, T)    # 2.9181497851753604, 6.572605151698666
/// angular(normalize(z), t, T), angular(z, t, T)    # 4.075468425820996, 8.130970189270046
/// u, A, P, k = normalize(z), [0, 3, 5], [1, 4, 6], range(3)
/// def f(a, p, n): return torch.exp(4 * (u[a] + u[p]) @ u[n] - 4 * u[a] @ u[p])    # 45 degrees
/// sum(torch.log1p(sum(f(A[i], P[i], P[j]) for j in k if j != i)) for i in k) / 3  # 4.744601150588978
/// ```
///
/// Not pytorch-metric-learning's AngularLoss, which in 2.8.1 normalizes anchors and positives but not
/// negatives.
#[test]
fn angular() {
    let all = AngularLossConfig::new()
        .with_angle(40.0)
        .with_pairs(AngularPairs::All);
    assert_value(&five_angles(), &all.init(), 2.918149785175361);
    assert_value(&Batch::sines(), &all.init(), 4.075468425820996);
    let raw = all.with_normalize(false);
    assert_value(&five_angles(), &raw.init(), 6.572605151698666);
    assert_value(&Batch::sines(), &raw.init(), 8.130970189270046);
    assert_value(
        &Batch::sines(),
        &AngularLossConfig::new().init(),
        4.744601150588978,
    );
}

/// ```python
/// LiftedStructureLoss(neg_margin=.5)(e, y)    # 2.091247760159201
/// LiftedStructureLoss(neg_margin=1)(z, t)     # 6.976509862788232
/// ```
#[test]
fn lifted_structure() {
    let config = LiftedStructureLossConfig::new();
    let half = config.clone().with_margin(0.5);
    assert_value(&five_angles(), &half.init(), 2.0912477601592014);
    assert_value(&Batch::sines(), &config.init(), 6.976509862788232);
}

/// ```python
/// MultiSimilarityLoss(2, 50, .5)(z, t)                                   # 1.3360127851850183
/// MultiSimilarityLoss(2, 50, .5)(z, t, MultiSimilarityMiner(.1)(z, t))   # 1.2906365125527857
/// ```
#[test]
fn multi_similarity() {
    let config = MultiSimilarityLossConfig::new();
    assert_value(&Batch::sines(), &config.init(), 1.3360127851850183);
    let mined = config.with_mining_epsilon(Some(0.1));
    assert_value(&Batch::sines(), &mined.init(), 1.2906365125527857);
}

/// ```python
/// def spread_out(z, y, d):
///     g, n = z @ z.T, y[:, None] != y
///     return g[n].mean() ** 2, torch.relu((g[n] ** 2).mean() - 1 / d)
/// spread_out(normalize(z), t, 5)      # 0.0013183012435200828, 0
/// spread_out(z, t, 5)                 # 0.004645135248382598, 0.4611336711809367
/// y = torch.tensor([0, 0, 1, 1, 1])
/// spread_out(normalize(e), y, 2)      # 0.7123225740512403, 0.24017070796851403
/// spread_out(e, y, 2)                 # 3.599533368771668, 3.973496497761711
/// ```
#[test]
fn spread_out() {
    let config = SpreadOutConfig::new();
    let raw = config.clone().with_normalize(false);
    assert_value(&Batch::sines(), &config.init(), 0.0013183012435200828);
    assert_value(&Batch::sines(), &raw.init(), 0.4657788064293193);
    let angles = Batch::angles(&[0, 0, 1, 1, 1], 1.0);
    assert_value(&angles, &config.init(), 0.9524932820197544);
    let twice = raw.with_weight(2.0).init();
    assert_value(&angles, &twice, 2.0 * 7.573029866533378);
}
