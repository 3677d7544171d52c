//! What each method minimizes: the two embeddings of an image come together, and something keeps
//! the batch from collapsing.

use std::sync::Arc;

use burn::tensor::Tensor;
use fullrank::shards::{Group, Sharded};
use fullrank::{AnyTwoViewLoss, SvMax, Terms, TwoViewLoss, Variance, unit_rows};

use crate::config::{Method, ObjectivesConfig};

/// The loss of a method, built from its configuration.
#[derive(Clone, Debug)]
pub enum Objective {
    /// Nothing but the invariance: the embedding is free to collapse.
    Invariance {
        /// Weight of the distance.
        weight: f64,
        /// Whether it is between unit rows.
        unit_rows: bool,
    },
    /// SVMax on each view, beside the squared distance of unit rows.
    SvMax {
        /// Weight of the squared distance.
        invariance: f64,
        /// The penalty on each view.
        penalty: SvMax,
    },
    /// VICReg's variance term, halved as in the official code, beside its invariance.
    Variance {
        /// Weight of the mean squared difference.
        invariance: f64,
        /// The term on each view.
        variance: Variance,
    },
    /// A loss of fullrank's.
    TwoView(AnyTwoViewLoss),
}

impl Objective {
    /// Builds the loss of `method`.
    pub fn new(config: &ObjectivesConfig, method: Method) -> Self {
        match method {
            Method::None => Self::Invariance {
                weight: config.none.invariance_weight,
                unit_rows: config.none.unit_rows,
            },
            Method::Svmax => Self::SvMax {
                invariance: config.svmax.invariance_weight,
                penalty: config.svmax.penalty.init(),
            },
            Method::Variance => Self::Variance {
                invariance: config.variance.invariance_weight,
                variance: config.variance.variance.init(),
            },
            Method::Vicreg => Self::TwoView(AnyTwoViewLoss::VicReg(config.vicreg.init())),
            Method::BarlowTwins => {
                let twins = config.barlow_twins.init();
                Self::TwoView(AnyTwoViewLoss::BarlowTwins(twins))
            }
        }
    }

    /// The embeddings in the scale in which the loss sees them. Where that is unit rows, they are
    /// multiplied by the root of the dimensions: then an embedding that uses all dimensions alike
    /// has a standard deviation of 1 in each, which is VICReg's margin as well.
    ///
    /// # Shapes
    ///
    /// - `embeddings`, output: `[batch, dimensions]`
    pub fn seen(&self, embeddings: Tensor<2>) -> Tensor<2> {
        match self {
            Self::Invariance {
                unit_rows: true, ..
            }
            | Self::SvMax { .. } => {
                let [_, dimensions] = embeddings.dims();
                unit_rows(embeddings) * (dimensions as f64).sqrt()
            }
            _ => embeddings,
        }
    }

    /// The loss of the whole batch, of which each worker has some rows: its gradient is that of these rows. What the
    /// workers exchange are sums over the rows where the loss is one of fullrank's, else the rows.
    ///
    /// # Panics
    ///
    /// If the workers cannot reach each other.
    pub fn forward_terms_of_all(
        &self,
        a: Tensor<2>,
        b: Tensor<2>,
        workers: &Arc<dyn Group>,
    ) -> Terms {
        let workers = workers.clone();
        match self {
            Self::TwoView(loss) => Sharded::new(loss.clone(), workers).forward_terms(a, b),
            own => Sharded::new(own.clone(), workers).forward_terms(a, b),
        }
    }
}

impl TwoViewLoss for Objective {
    fn forward(&self, a: Tensor<2>, b: Tensor<2>) -> Tensor<1> {
        self.forward_terms(a, b).total
    }

    fn forward_terms(&self, a: Tensor<2>, b: Tensor<2>) -> Terms {
        match self {
            Self::Invariance { weight, unit_rows } => {
                let invariance = match unit_rows {
                    true => unit_distance(a, b),
                    false => mean_squared_difference(a, b),
                };
                Terms::new(invariance.clone() * *weight).with("invariance", invariance)
            }
            Self::SvMax {
                invariance: weight,
                penalty,
            } => {
                let distance = unit_distance(a.clone(), b.clone());
                let [a, b] = [a, b].map(|view| penalty.forward_terms(view));
                let mean = mean_term(&a, &b, "penalty");
                Terms::new(distance.clone() * *weight + a.total + b.total)
                    .with("invariance", distance)
                    .with("penalty", mean)
            }
            Self::Variance {
                invariance: weight,
                variance,
            } => {
                let invariance = mean_squared_difference(a.clone(), b.clone());
                let [a, b] = [a, b].map(|view| variance.forward_terms(view));
                let mean = mean_term(&a, &b, "variance");
                Terms::new(invariance.clone() * *weight + (a.total + b.total) * 0.5)
                    .with("invariance", invariance)
                    .with("variance", mean)
            }
            Self::TwoView(loss) => loss.forward_terms(a, b),
        }
    }

    fn term_names(&self) -> Vec<String> {
        let names = match self {
            Self::Invariance { .. } => vec!["invariance"],
            Self::SvMax { .. } => vec!["invariance", "penalty"],
            Self::Variance { .. } => vec!["invariance", "variance"],
            Self::TwoView(loss) => return loss.term_names(),
        };
        names.into_iter().map(str::to_owned).collect()
    }
}

/// The mean of a term over the two views.
fn mean_term(a: &Terms, b: &Terms, name: &str) -> Tensor<1> {
    let [a, b] = [a, b].map(|terms| terms.get(name).expect("the loss has this term").clone());
    (a + b) * 0.5
}

/// The mean over rows and dimensions, as in VICReg's official code.
fn mean_squared_difference(a: Tensor<2>, b: Tensor<2>) -> Tensor<1> {
    (a - b).square().mean()
}

/// The mean over the rows of the squared distance between unit rows.
fn unit_distance(a: Tensor<2>, b: Tensor<2>) -> Tensor<1> {
    (unit_rows(a) - unit_rows(b)).square().sum_dim(1).mean()
}
