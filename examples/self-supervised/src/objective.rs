//! What each method minimizes: the two embeddings of an image come together, and something keeps
//! the batch from collapsing.

use burn::tensor::Tensor;
use fullrank::{BarlowTwinsLoss, SvMax, Terms, Variance, VicRegLoss, unit_rows};

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
    /// VICReg.
    VicReg(VicRegLoss),
    /// Barlow Twins.
    BarlowTwins(BarlowTwinsLoss),
}

/// A loss and its named terms, all on one graph.
pub struct Loss {
    /// What is minimized, `[1]`.
    pub total: Tensor<1>,
    /// The unweighted terms.
    pub terms: Vec<(&'static str, Tensor<1>)>,
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
            Method::Vicreg => Self::VicReg(config.vicreg.init()),
            Method::BarlowTwins => Self::BarlowTwins(config.barlow_twins.init()),
        }
    }

    /// The names of the terms that [`forward`](Self::forward) gives.
    pub fn term_names(&self) -> &'static [&'static str] {
        match self {
            Self::Invariance { .. } => &["invariance"],
            Self::SvMax { .. } => &["invariance", "penalty"],
            Self::Variance { .. } => &["invariance", "variance"],
            Self::VicReg(_) => &["invariance", "variance", "covariance"],
            Self::BarlowTwins(_) => &["invariance", "redundancy"],
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

    /// The loss of the embeddings of two views of the same images.
    ///
    /// # Shapes
    ///
    /// - `a`, `b`: `[batch, dimensions]`
    pub fn forward(&self, a: Tensor<2>, b: Tensor<2>) -> Loss {
        match self {
            Self::Invariance { weight, unit_rows } => {
                let invariance = match unit_rows {
                    true => unit_distance(a, b),
                    false => mean_squared_difference(a, b),
                };
                let total = invariance.clone() * *weight;
                Loss {
                    total,
                    terms: vec![("invariance", invariance)],
                }
            }
            Self::SvMax {
                invariance: weight,
                penalty,
            } => {
                let distance = unit_distance(a.clone(), b.clone());
                let (a, b) = (penalty.forward_terms(a), penalty.forward_terms(b));
                let total = distance.clone() * *weight + a.total.clone() + b.total.clone();
                let penalty = (term(&a, "penalty") + term(&b, "penalty")) * 0.5;
                Loss {
                    total,
                    terms: vec![("invariance", distance), ("penalty", penalty)],
                }
            }
            Self::Variance {
                invariance: weight,
                variance,
            } => {
                let invariance = mean_squared_difference(a.clone(), b.clone());
                let (a, b) = (variance.forward_terms(a), variance.forward_terms(b));
                let half = (a.total.clone() + b.total.clone()) * 0.5;
                let total = invariance.clone() * *weight + half;
                let variance = (term(&a, "variance") + term(&b, "variance")) * 0.5;
                Loss {
                    total,
                    terms: vec![("invariance", invariance), ("variance", variance)],
                }
            }
            Self::VicReg(vicreg) => self.named(vicreg.forward_terms(a, b)),
            Self::BarlowTwins(twins) => self.named(twins.forward_terms(a, b)),
        }
    }

    fn named(&self, terms: Terms) -> Loss {
        let listed = self
            .term_names()
            .iter()
            .map(|&name| (name, term(&terms, name)))
            .collect();
        Loss {
            total: terms.total,
            terms: listed,
        }
    }
}

fn term(terms: &Terms, name: &str) -> Tensor<1> {
    let term = terms
        .get(name)
        .unwrap_or_else(|| panic!("the loss has no term {name}"));
    term.clone()
}

/// The mean over rows and dimensions, as in VICReg's official code.
fn mean_squared_difference(a: Tensor<2>, b: Tensor<2>) -> Tensor<1> {
    (a - b).square().mean()
}

/// The mean over the rows of the squared distance between unit rows.
fn unit_distance(a: Tensor<2>, b: Tensor<2>) -> Tensor<1> {
    (unit_rows(a) - unit_rows(b)).square().sum_dim(1).mean()
}
