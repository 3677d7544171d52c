//! Every loss as a plain sum over pairs and triplets, in f64, of distances taken from differences; and
//! its slopes by differences of the fourth order.

use fullrank_retrieval::{
    AngularLossConfig, AngularPairs, ContrastiveLossConfig, Distance, LiftedStructureLossConfig,
    MultiSimilarityLossConfig, NPairLossConfig, RankingLoss, SpreadOutConfig, TripletLossConfig,
    TripletMining,
};

use crate::batches::Batch;

/// A loss and what it should be.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) loss: Box<dyn RankingLoss>,
    value: fn(&Pairs) -> f64,
    /// Whether it is made of distances, which bend where they are zero, or of inner products.
    pub(crate) of_distances: bool,
}

/// Distances and inner products of all rows.
struct Pairs {
    distance: Vec<Vec<f64>>,
    product: Vec<Vec<f64>>,
    labels: Vec<i64>,
    dims: usize,
}

impl Pairs {
    fn new(batch: &Batch, normalize: bool) -> Self {
        let rows: Vec<Vec<f64>> = batch
            .entries
            .chunks_exact(batch.dims)
            .map(|row| {
                let norm = row.iter().map(|x| x * x).sum::<f64>().sqrt();
                let by = if normalize { norm } else { 1.0 };
                row.iter().map(|x| x / by).collect()
            })
            .collect();
        let of_pairs = |f: &dyn Fn(&[f64], &[f64]) -> f64| -> Vec<Vec<f64>> {
            let of_row = |x: &Vec<f64>| rows.iter().map(|y| f(x, y)).collect();
            rows.iter().map(of_row).collect()
        };
        let square =
            |x: &[f64], y: &[f64]| -> f64 { x.iter().zip(y).map(|(x, y)| (x - y) * (x - y)).sum() };
        Self {
            distance: of_pairs(&|x, y| square(x, y).sqrt()),
            product: of_pairs(&|x, y| {
                if normalize {
                    1.0 - square(x, y) / 2.0
                } else {
                    x.iter().zip(y).map(|(x, y)| x * y).sum()
                }
            }),
            labels: batch.labels.clone(),
            dims: batch.dims,
        }
    }

    fn rows(&self) -> std::ops::Range<usize> {
        0..self.labels.len()
    }

    fn positives(&self, a: usize) -> impl Iterator<Item = usize> + Clone + '_ {
        let same = move |&i: &usize| i != a && self.labels[i] == self.labels[a];
        self.rows().filter(same)
    }

    fn negatives(&self, a: usize) -> impl Iterator<Item = usize> + Clone + '_ {
        self.rows()
            .filter(move |&i| self.labels[i] != self.labels[a])
    }

    /// The mean over anchors and what `f` lists of each.
    fn mean(&self, f: impl Fn(usize) -> Vec<f64>) -> f64 {
        let all: Vec<f64> = self.rows().flat_map(f).collect();
        all.iter().sum::<f64>() / all.len() as f64
    }

    /// `f(a, p, n)` summed over the negatives, for each positive of `a`.
    fn against_negatives(&self, a: usize, f: impl Fn(usize, usize) -> f64) -> Vec<f64> {
        let of_positive = |p| self.negatives(a).map(|n| f(p, n)).sum();
        self.positives(a).map(of_positive).collect()
    }
}

fn contrastive(pairs: &Pairs) -> f64 {
    let d = &pairs.distance;
    let far = pairs.mean(|a| pairs.positives(a).map(|p| d[a][p].powi(2)).collect());
    let hinge = |a: usize, n: usize| (1.0 - d[a][n]).max(0.0).powi(2);
    far + pairs.mean(|a| pairs.negatives(a).map(|n| hinge(a, n)).collect())
}

fn contrastive_of_cosines(pairs: &Pairs) -> f64 {
    let d = |a: usize, i: usize| 1.0 - pairs.product[a][i];
    let far = pairs.mean(|a| pairs.positives(a).map(|p| d(a, p)).collect());
    let hinge = |a, n| (1.0 - d(a, n)).max(0.0);
    far + pairs.mean(|a| pairs.negatives(a).map(|n| hinge(a, n)).collect())
}

fn triplet_all(pairs: &Pairs) -> f64 {
    let d = &pairs.distance;
    pairs.mean(|a| {
        let of_positive = |p: usize| {
            let cost = move |n: usize| (d[a][p] - d[a][n] + 1.5).max(0.0);
            pairs.negatives(a).map(cost)
        };
        pairs.positives(a).flat_map(of_positive).collect()
    })
}

fn triplet_hard(pairs: &Pairs) -> f64 {
    let d = &pairs.distance;
    pairs.mean(|a| {
        let far = pairs.positives(a).map(|p| d[a][p]).fold(0.0, f64::max);
        let near = pairs.negatives(a).map(|n| d[a][n]);
        vec![(far - near.fold(f64::MAX, f64::min) + 2.0).max(0.0)]
    })
}

fn triplet_semi_hard(pairs: &Pairs) -> f64 {
    let d = &pairs.distance;
    pairs.mean(|a| {
        let of_positive = |p: usize| {
            let farther = pairs.negatives(a).map(|n| d[a][n]).filter(|&x| x > d[a][p]);
            let farthest = pairs.negatives(a).map(|n| d[a][n]).fold(0.0, f64::max);
            let negative = farther.reduce(f64::min).unwrap_or(farthest);
            (1.0 + (d[a][p] - negative).exp()).ln()
        };
        pairs.positives(a).map(of_positive).collect()
    })
}

fn n_pair(pairs: &Pairs) -> f64 {
    let k = &pairs.product;
    let second = |a: usize| pairs.positives(a).next().expect("two rows");
    let anchors: Vec<usize> = pairs.rows().filter(|&a| a < second(a)).collect();
    let first = |a: &usize| !pairs.positives(*a).any(|i| i < *a);
    let anchors: Vec<usize> = anchors.into_iter().filter(first).collect();
    let cost = |&a: &usize| {
        let others = anchors.iter().filter(|&&other| other != a);
        let sum: f64 = others
            .map(|&n| (k[a][second(n)] - k[a][second(a)]).exp())
            .sum();
        sum.ln_1p()
    };
    anchors.iter().map(cost).sum::<f64>() / anchors.len() as f64
}

fn angular(pairs: &Pairs) -> f64 {
    let k = &pairs.product;
    // 45 degrees: 4 <a + p, n> - 4 <a, p>
    pairs.mean(|a| {
        let sums = pairs.against_negatives(a, |p, n| (4.0 * (k[a][n] + k[p][n] - k[a][p])).exp());
        sums.into_iter().map(f64::ln_1p).collect()
    })
}

fn lifted_structure(pairs: &Pairs) -> f64 {
    let d = &pairs.distance;
    let sum = |a| {
        pairs
            .negatives(a)
            .map(|n| (2.5 - d[a][n]).exp())
            .sum::<f64>()
    };
    pairs.mean(|a| {
        let cost = |p: usize| (d[a][p] + (sum(a) + sum(p)).ln()).max(0.0).powi(2) / 2.0;
        pairs.positives(a).map(cost).collect()
    })
}

fn multi_similarity(pairs: &Pairs) -> f64 {
    let k = &pairs.product;
    pairs.mean(|a| {
        let near = pairs.positives(a).map(|p| (-2.0 * (k[a][p] - 0.5)).exp());
        let far = pairs.negatives(a).map(|n| (50.0 * (k[a][n] - 0.5)).exp());
        vec![near.sum::<f64>().ln_1p() / 2.0 + far.sum::<f64>().ln_1p() / 50.0]
    })
}

fn spread_out(pairs: &Pairs) -> f64 {
    let k = &pairs.product;
    let mean = pairs.mean(|a| pairs.negatives(a).map(|n| k[a][n]).collect());
    let second = pairs.mean(|a| pairs.negatives(a).map(|n| k[a][n].powi(2)).collect());
    mean * mean + (second - 1.0 / pairs.dims as f64).max(0.0)
}

/// Every loss, with margins that leave it a gradient on opposite cones.
pub(crate) fn cases(normalize: bool) -> Vec<Case> {
    let case = |name, loss: Box<dyn RankingLoss>, value, of_distances| Case {
        name,
        loss,
        value,
        of_distances,
    };
    let triplet = |mining, margin, soft| -> Box<dyn RankingLoss> {
        let config = TripletLossConfig::new()
            .with_mining(mining)
            .with_margin(margin);
        Box::new(
            config
                .with_soft_margin(soft)
                .with_normalize(normalize)
                .init(),
        )
    };
    use TripletMining::{BatchAll, BatchHard, SemiHard};
    let contrastive_config = ContrastiveLossConfig::new().with_normalize(normalize);
    let mut cases = vec![
        case(
            "contrastive",
            Box::new(contrastive_config.init()),
            contrastive,
            true,
        ),
        case(
            "triplet all",
            triplet(BatchAll, 1.5, false),
            triplet_all,
            true,
        ),
        case(
            "triplet hard",
            triplet(BatchHard, 2.0, false),
            triplet_hard,
            true,
        ),
        case(
            "triplet semi-hard",
            triplet(SemiHard, 0.0, true),
            triplet_semi_hard,
            true,
        ),
        case(
            "lifted structure",
            Box::new(
                LiftedStructureLossConfig::new()
                    .with_margin(2.5)
                    .with_normalize(normalize)
                    .init(),
            ),
            lifted_structure,
            true,
        ),
        case(
            "n-pair",
            Box::new(NPairLossConfig::new().with_normalize(normalize).init()),
            n_pair,
            false,
        ),
        case(
            "angular",
            Box::new(
                AngularLossConfig::new()
                    .with_pairs(AngularPairs::All)
                    .with_normalize(normalize)
                    .init(),
            ),
            angular,
            false,
        ),
        case(
            "multi-similarity",
            Box::new(
                MultiSimilarityLossConfig::new()
                    .with_normalize(normalize)
                    .init(),
            ),
            multi_similarity,
            false,
        ),
        case(
            "spread-out",
            Box::new(SpreadOutConfig::new().with_normalize(normalize).init()),
            spread_out,
            false,
        ),
    ];
    if normalize {
        let config = ContrastiveLossConfig::new().with_squared_hinge(false);
        let loss = config.with_distance(Distance::Cosine).init();
        cases.push(case(
            "contrastive cosine",
            Box::new(loss),
            contrastive_of_cosines,
            false,
        ));
    }
    cases
}

impl Case {
    pub(crate) fn value(&self, batch: &Batch, normalize: bool) -> f64 {
        (self.value)(&Pairs::new(batch, normalize))
    }

    /// The gradient by differences of values up to two steps away.
    pub(crate) fn gradient(&self, batch: &Batch, normalize: bool, step: f64) -> Vec<f64> {
        let slope = |k: usize| {
            let moved = |steps: f64| {
                let mut moved = batch.clone();
                moved.entries[k] += steps * step;
                self.value(&moved, normalize)
            };
            (8.0 * (moved(1.0) - moved(-1.0)) - (moved(2.0) - moved(-2.0))) / (12.0 * step)
        };
        (0..batch.entries.len()).map(slope).collect()
    }
}
