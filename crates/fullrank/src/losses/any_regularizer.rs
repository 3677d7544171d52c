//! Every regularizer of this crate as a configuration, and as a module.

use burn::module::Module;
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::{
    Covariance, CovarianceConfig, CovarianceToIdentity, CovarianceToIdentityConfig,
    HyperParameterError, Regularizer, RegularizerSum, SigReg, SigRegConfig, SvMax, SvMaxConfig,
    Variance, VarianceConfig, VarianceCovariance, VarianceCovarianceConfig,
};
use crate::shards::{BatchStatistics, ShardStatistics};
use crate::surrogate::{Surrogate, Terms};

/// Every regularizer of this crate by name, as it stands in a configuration file.
///
/// What a file leaves out has its default, and a name that nothing has is an error that lists the known
/// ones. [`init`](Self::init) makes an [`AnyRegularizer`], a field of any `Module`:
///
/// ```
/// use burn::module::Module;
/// use burn::nn::{Linear, LinearConfig};
/// use burn::tensor::{Device, Distribution, Tensor};
/// use fullrank::{AnyRegularizer, Regularizer, RegularizerConfig};
///
/// #[derive(Module, Debug)]
/// struct Model {
///     layer: Linear,
///     regularizer: AnyRegularizer,
/// }
///
/// let config: RegularizerConfig = serde_json::from_str(r#"{"svmax": {"weight": 0.1}}"#)?;
/// config.check()?;
/// let device = Device::default().autodiff();
/// let model = Model {
///     layer: LinearConfig::new(16, 8).init(&device),
///     regularizer: config.init(),
/// };
/// let embeddings = model.layer.forward(Tensor::random([32, 16], Distribution::Default, &device));
/// let penalty = model.regularizer.forward(embeddings);
/// let gradients = penalty.backward();
/// assert!(model.layer.weight.grad(&gradients).is_some());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RegularizerConfig {
    /// The mean singular value: [`SvMax`].
    #[serde(rename = "svmax")]
    SvMax(SvMaxConfig),
    /// The standard deviation of each dimension: [`Variance`].
    Variance(VarianceConfig),
    /// The covariances between dimensions: [`Covariance`].
    Covariance(CovarianceConfig),
    /// Both of VICReg's single-view terms: [`VarianceCovariance`].
    VarianceCovariance(VarianceCovarianceConfig),
    /// The distance of the covariance from the identity: [`CovarianceToIdentity`].
    CovarianceToIdentity(CovarianceToIdentityConfig),
    /// Normality along drawn directions: [`SigReg`].
    #[serde(rename = "sigreg")]
    SigReg(SigRegConfig),
    /// Several at once: [`RegularizerSum`].
    Sum(Vec<RegularizerConfig>),
}

impl RegularizerConfig {
    /// The name this choice has in a configuration file.
    pub fn name(&self) -> &'static str {
        match self {
            Self::SvMax(_) => "svmax",
            Self::Variance(_) => "variance",
            Self::Covariance(_) => "covariance",
            Self::VarianceCovariance(_) => "variance-covariance",
            Self::CovarianceToIdentity(_) => "covariance-to-identity",
            Self::SigReg(_) => "sigreg",
            Self::Sum(_) => "sum",
        }
    }

    /// Whether every hyper-parameter is in its range.
    ///
    /// # Errors
    ///
    /// If one is not, or a sum is empty.
    pub fn check(&self) -> Result<(), HyperParameterError> {
        let checked = match self {
            Self::SvMax(config) => config.check(),
            Self::Variance(config) => config.check(),
            Self::Covariance(config) => config.check(),
            Self::VarianceCovariance(config) => config.check(),
            Self::CovarianceToIdentity(config) => config.check(),
            Self::SigReg(config) => config.check(),
            Self::Sum(configs) if configs.is_empty() => Err(HyperParameterError::new(
                "a sum of regularizers needs at least one, got none",
            )),
            Self::Sum(configs) => configs.iter().try_for_each(Self::check),
        };
        checked.map_err(|error| error.within(self.name()))
    }

    /// Initializes the regularizer.
    ///
    /// # Panics
    ///
    /// If [`check`](Self::check) finds an error.
    pub fn init(&self) -> AnyRegularizer {
        match self {
            Self::SvMax(config) => AnyRegularizer::SvMax(config.init()),
            Self::Variance(config) => AnyRegularizer::Variance(config.init()),
            Self::Covariance(config) => AnyRegularizer::Covariance(config.init()),
            Self::VarianceCovariance(config) => AnyRegularizer::VarianceCovariance(config.init()),
            Self::CovarianceToIdentity(config) => {
                AnyRegularizer::CovarianceToIdentity(config.init())
            }
            Self::SigReg(config) => AnyRegularizer::SigReg(config.init()),
            Self::Sum(configs) => {
                let summands = configs.iter().map(|config| (config.name(), config.init()));
                AnyRegularizer::Sum(RegularizerSum::new(summands))
            }
        }
    }
}

/// Any regularizer of this crate, as a field of a `Module`; made by [`RegularizerConfig`].
#[derive(Module, Debug)]
pub enum AnyRegularizer {
    /// The mean singular value.
    SvMax(SvMax),
    /// The standard deviation of each dimension.
    Variance(Variance),
    /// The covariances between dimensions.
    Covariance(Covariance),
    /// Both of VICReg's single-view terms.
    VarianceCovariance(VarianceCovariance),
    /// The distance of the covariance from the identity.
    CovarianceToIdentity(CovarianceToIdentity),
    /// Normality along drawn directions.
    SigReg(SigReg),
    /// Several at once.
    Sum(RegularizerSum<AnyRegularizer>),
}

impl AnyRegularizer {
    /// The same regularizer at this step of the training: one that draws at random, [`SigReg`], draws anew for
    /// each step. The others are what they are in every step.
    #[must_use]
    pub fn at_step(&self, step: u64) -> Self {
        match self {
            Self::SigReg(sigreg) => Self::SigReg(sigreg.at_step(step)),
            Self::Sum(sum) => Self::Sum(sum.at_step(step)),
            other => other.clone(),
        }
    }

    fn chosen(&self) -> &dyn Regularizer {
        match self {
            Self::SvMax(regularizer) => regularizer,
            Self::Variance(regularizer) => regularizer,
            Self::Covariance(regularizer) => regularizer,
            Self::VarianceCovariance(regularizer) => regularizer,
            Self::CovarianceToIdentity(regularizer) => regularizer,
            Self::SigReg(regularizer) => regularizer,
            Self::Sum(regularizer) => regularizer,
        }
    }
}

impl Regularizer for AnyRegularizer {
    fn forward(&self, embeddings: Tensor<2>) -> Tensor<1> {
        self.chosen().forward(embeddings)
    }

    fn forward_terms(&self, embeddings: Tensor<2>) -> Terms {
        self.chosen().forward_terms(embeddings)
    }

    fn term_names(&self) -> Vec<String> {
        self.chosen().term_names()
    }

    fn evaluate(&self, embeddings: Tensor<2>) -> Surrogate<1> {
        self.chosen().evaluate(embeddings)
    }

    fn shard_statistics(&self, shard: Tensor<2>, batch: usize) -> ShardStatistics {
        self.chosen().shard_statistics(shard, batch)
    }

    fn forward_shard(&self, shard: Tensor<2>, batch: &BatchStatistics) -> Terms {
        self.chosen().forward_shard(shard, batch)
    }
}
