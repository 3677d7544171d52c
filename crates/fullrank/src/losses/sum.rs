//! Several regularizers of the same embeddings.

use std::ops::Add;

use burn::module::Module;
use burn::tensor::Tensor;

use super::{AnyRegularizer, Regularizer};
use crate::shards::{BatchStatistics, ShardStatistics};
use crate::surrogate::{Surrogate, Terms, complete, in_statistics_precision};

/// The sum of several regularizers, each with the weight of its own configuration.
///
/// Its terms are theirs, as `name.term`; the second of a name is called `name-2`, and so on. With
/// summands that are modules, [`AnyRegularizer`] or [`SvMax`](crate::SvMax) for example, it is one itself;
/// others go in a `RegularizerSum<Box<dyn Regularizer>>`.
#[derive(Module, Debug)]
pub struct RegularizerSum<R = AnyRegularizer> {
    names: Vec<String>,
    summands: Vec<R>,
}

impl<R: Regularizer> RegularizerSum<R> {
    /// The sum of the named regularizers.
    ///
    /// # Panics
    ///
    /// If there are none.
    pub fn new<N: Into<String>>(summands: impl IntoIterator<Item = (N, R)>) -> Self {
        let named = summands
            .into_iter()
            .map(|(name, summand)| (name.into(), summand));
        let (given, summands): (Vec<String>, Vec<R>) = named.unzip();
        assert!(
            !summands.is_empty(),
            "a sum of regularizers needs at least one, got none"
        );
        Self {
            names: distinct(given),
            summands,
        }
    }

    fn named(&self) -> impl Iterator<Item = (&str, &R)> {
        self.names.iter().map(String::as_str).zip(&self.summands)
    }
}

impl RegularizerSum<AnyRegularizer> {
    /// The same sum at this step of the training: see [`AnyRegularizer::at_step`].
    #[must_use]
    pub fn at_step(&self, step: u64) -> Self {
        let summands = self.summands.iter();
        Self {
            names: self.names.clone(),
            summands: summands.map(|summand| summand.at_step(step)).collect(),
        }
    }
}

/// The names, of which the second and later of one are numbered.
fn distinct(mut names: Vec<String>) -> Vec<String> {
    for i in 0..names.len() {
        if names[..i].contains(&names[i]) {
            let given = names[i].clone();
            let mut numbered = (2..).map(|number| format!("{given}-{number}"));
            let free = numbered.find(|name| !names.contains(name));
            names[i] = free.expect("there are more numbers than names");
        }
    }
    names
}

impl<R: Regularizer> Regularizer for RegularizerSum<R> {
    fn forward(&self, embeddings: Tensor<2>) -> Tensor<1> {
        let embeddings = in_statistics_precision(embeddings);
        let values = self
            .summands
            .iter()
            .map(|summand| summand.forward(embeddings.clone()));
        values.reduce(Add::add).expect("at least one summand")
    }

    fn forward_terms(&self, embeddings: Tensor<2>) -> Terms {
        let embeddings = in_statistics_precision(embeddings);
        self.named()
            .map(|(name, summand)| summand.forward_terms(embeddings.clone()).prefixed(name))
            .reduce(Terms::merge)
            .expect("at least one summand")
    }

    fn term_names(&self) -> Vec<String> {
        let names = self.named().map(|(name, summand)| {
            let terms = summand.term_names().into_iter();
            terms.map(move |term| format!("{name}.{term}"))
        });
        names.flatten().collect()
    }

    fn evaluate(&self, embeddings: Tensor<2>) -> Surrogate<1> {
        let plain = in_statistics_precision(embeddings.without_autodiff());
        self.summands
            .iter()
            .map(|summand| {
                let surrogate = summand.evaluate(plain.clone());
                complete(surrogate, |[e]| summand.forward(e), [plain.clone()])
            })
            .reduce(Add::add)
            .expect("at least one summand")
    }

    fn shard_statistics(&self, shard: Tensor<2>, batch: usize) -> ShardStatistics {
        let shard = in_statistics_precision(shard);
        let each = self.summands.iter();
        let each = each.map(|summand| summand.shard_statistics(shard.clone(), batch));
        ShardStatistics::of_summands(each.collect())
    }

    fn forward_shard(&self, shard: Tensor<2>, batch: &BatchStatistics) -> Terms {
        let shard = in_statistics_precision(shard);
        let each = batch.of_summands(self.summands.len());
        self.named()
            .zip(each)
            .map(|((name, summand), batch)| {
                summand.forward_shard(shard.clone(), batch).prefixed(name)
            })
            .reduce(Terms::merge)
            .expect("at least one summand")
    }
}
