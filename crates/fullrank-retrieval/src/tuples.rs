//! Pairs and triplets of rows of a batch.

use std::collections::{BTreeMap, BTreeSet};

/// Pairs `[anchor, other]` of rows of a batch, by index.
///
/// An order matters where a loss treats the two sides differently: [`NPairLoss`](crate::NPairLoss) and
/// [`AngularLoss`](crate::AngularLoss) group the negatives by anchor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pairs {
    /// Pairs of one class.
    pub positive: Vec<[usize; 2]>,
    /// Pairs of two classes.
    pub negative: Vec<[usize; 2]>,
}

/// Triplets `[anchor, positive, negative]` of rows of a batch, by index.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Triplets(pub Vec<[usize; 3]>);

/// What a [`Miner`](crate::Miner) chooses, and what every [`RankingLoss`](crate::RankingLoss) takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tuples {
    /// Pairs.
    Pairs(Pairs),
    /// Triplets.
    Triplets(Triplets),
}

impl Pairs {
    /// All ordered pairs of two different rows, ascending.
    pub fn from_labels(labels: &[i64]) -> Self {
        let mut pairs = Self::default();
        for (i, a) in labels.iter().enumerate() {
            for (j, b) in labels.iter().enumerate() {
                if i == j {
                    continue;
                }
                if a == b {
                    pairs.positive.push([i, j]);
                } else {
                    pairs.negative.push([i, j]);
                }
            }
        }
        pairs
    }

    /// Positive pairs of which no two share a row, and as many of negative ones: each row in at most one
    /// pair of either kind. The contrastive batch of SVMax's paper: 36 classes of 4
    /// rows give 72 positive and 72 negative pairs.
    ///
    /// The rows of a class are paired in their order, the first with the second and so on. For the
    /// negative pairs all rows are sorted by class, the classes in the order in which they come up; the
    /// first is paired with the one in the middle and so on. A pair that this puts within one class, of
    /// more than half of all rows, is left out.
    pub fn disjoint_from_labels(labels: &[i64]) -> Self {
        let mut classes: Vec<(i64, Vec<usize>)> = Vec::new();
        for (row, &label) in labels.iter().enumerate() {
            match classes.iter_mut().find(|(known, _)| *known == label) {
                Some((_, rows)) => rows.push(row),
                None => classes.push((label, vec![row])),
            }
        }
        let in_twos = |(_, rows): &(i64, Vec<usize>)| rows.as_chunks::<2>().0.to_vec();
        let positive = classes.iter().flat_map(in_twos).collect();
        let sorted: Vec<usize> = classes.into_iter().flat_map(|(_, rows)| rows).collect();
        let (first, second) = sorted.split_at(sorted.len() / 2);
        let across = first.iter().zip(second).map(|(&a, &b)| [a, b]);
        Self {
            positive,
            negative: across.filter(|&[a, b]| labels[a] != labels[b]).collect(),
        }
    }

    /// Every positive pair with every negative pair of the same anchor.
    pub fn to_triplets(&self) -> Triplets {
        let mut negatives: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for &[anchor, negative] in &self.negative {
            negatives.entry(anchor).or_default().push(negative);
        }
        let triplets = self.positive.iter().flat_map(|&[anchor, positive]| {
            let negatives = negatives.get(&anchor).into_iter().flatten();
            negatives.map(move |&negative| [anchor, positive, negative])
        });
        Triplets(triplets.collect())
    }
}

impl Triplets {
    /// All triplets whose anchor and positive, two different rows, share a label that the negative
    /// has not; ascending.
    pub fn from_labels(labels: &[i64]) -> Self {
        Pairs::from_labels(labels).to_triplets()
    }

    /// The positive pairs and the negative pairs in these triplets, each once, ascending.
    pub fn to_pairs(&self) -> Pairs {
        let distinct = |other: usize| {
            let pairs: BTreeSet<[usize; 2]> = self
                .0
                .iter()
                .map(|triplet| [triplet[0], triplet[other]])
                .collect();
            pairs.into_iter().collect()
        };
        Pairs {
            positive: distinct(1),
            negative: distinct(2),
        }
    }
}

impl Tuples {
    /// As pairs: see [`Triplets::to_pairs`].
    pub fn to_pairs(&self) -> Pairs {
        match self {
            Self::Pairs(pairs) => pairs.clone(),
            Self::Triplets(triplets) => triplets.to_pairs(),
        }
    }

    /// As triplets: see [`Pairs::to_triplets`].
    pub fn to_triplets(&self) -> Triplets {
        match self {
            Self::Pairs(pairs) => pairs.to_triplets(),
            Self::Triplets(triplets) => triplets.clone(),
        }
    }
}

impl From<Pairs> for Tuples {
    fn from(pairs: Pairs) -> Self {
        Self::Pairs(pairs)
    }
}

impl From<Triplets> for Tuples {
    fn from(triplets: Triplets) -> Self {
        Self::Triplets(triplets)
    }
}
