//! A penalty of one embedding matrix: the trait, every choice as a configuration, and sums.

use std::fmt::Debug;
use std::ops::Add;

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use crate::surrogate::{self, Evaluation, Parts, complete, in_statistics_precision};
use crate::{CovarianceConfig, SvMaxConfig, Terms, VarianceConfig, VarianceCovarianceConfig};

/// A penalty of one embedding matrix, to add to any loss.
///
/// A configuration file names every field of a configuration; Burn's configurations have defaults in
/// code ([`SvMaxConfig::new`]) but not in files.
///
/// ```
/// use burn::tensor::{Device, Distribution, Tensor};
/// use fullrank::{Regularizer, RegularizerConfig};
///
/// let config: RegularizerConfig =
///     serde_json::from_str(r#"{"variance": {"weight": 2.0, "margin": 1.0, "epsilon": 1e-4}}"#)?;
/// let regularizer = config.init();
/// let embeddings = Tensor::<2>::random([32, 8], Distribution::Default, &Device::default());
/// let terms = regularizer.forward_terms(embeddings);
/// assert!(terms.get("variance").is_some());
/// # Ok::<(), serde_json::Error>(())
/// ```
///
/// One of your own needs [`forward`](Self::forward) alone:
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use fullrank::{Regularizer, RegularizerSum, SvMaxConfig};
///
/// /// The mean square of the entries.
/// #[derive(Debug)]
/// struct Energy;
///
/// impl Regularizer for Energy {
///     fn forward(&self, embeddings: Tensor<2>) -> Tensor<1> {
///         embeddings.square().mean()
///     }
/// }
///
/// let sum = RegularizerSum::new(vec![
///     ("svmax".to_owned(), Box::new(SvMaxConfig::new().init())),
///     ("energy".to_owned(), Box::new(Energy)),
/// ]);
/// let embeddings = Tensor::<2>::ones([4, 3], &Device::default().autodiff()).require_grad();
/// let gradients = sum.forward(embeddings.clone()).backward();
/// assert!(embeddings.grad(&gradients).is_some());
/// ```
pub trait Regularizer: Debug + Send + Sync {
    /// The weighted penalty, shape `[1]`, of `embeddings`, shape `[batch, dim]`, on their graph.
    fn forward(&self, embeddings: Tensor<2>) -> Tensor<1>;

    /// The weighted penalty and its named, unweighted terms. Without one of its own, a regularizer has no
    /// terms.
    fn forward_terms(&self, embeddings: Tensor<2>) -> Terms {
        Terms::new(self.forward(embeddings))
    }

    /// The weighted penalty and its gradient on plain tensors. Without one of its own, a regularizer
    /// has the gradient that autodiff finds for [`forward`](Self::forward).
    fn evaluate(&self, embeddings: Tensor<2>) -> Evaluation<1> {
        surrogate::by_autodiff(|embeddings| self.forward(embeddings), embeddings)
    }
}

impl<L: Parts<1> + Debug + Send + Sync> Regularizer for L {
    fn forward(&self, embeddings: Tensor<2>) -> Tensor<1> {
        surrogate::forward(self, [embeddings])
    }

    fn forward_terms(&self, embeddings: Tensor<2>) -> Terms {
        surrogate::forward_terms(self, [embeddings])
    }

    fn evaluate(&self, embeddings: Tensor<2>) -> Evaluation<1> {
        surrogate::evaluate(self, [embeddings], true)
    }
}

/// Every regularizer of this crate by name, as it stands in a configuration file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RegularizerConfig {
    /// The mean singular value: [`SvMax`](crate::SvMax).
    #[serde(rename = "svmax")]
    SvMax(SvMaxConfig),
    /// The standard deviation of each dimension: [`Variance`](crate::Variance).
    Variance(VarianceConfig),
    /// The covariances between dimensions: [`Covariance`](crate::Covariance).
    Covariance(CovarianceConfig),
    /// Both of VICReg's single-view terms: [`VarianceCovariance`](crate::VarianceCovariance).
    VarianceCovariance(VarianceCovarianceConfig),
    /// Several at once: [`RegularizerSum`].
    Sum(Vec<RegularizerConfig>),
}

impl RegularizerConfig {
    /// Initializes the regularizer.
    ///
    /// # Panics
    ///
    /// If a hyper-parameter is out of its range, or a sum is empty.
    pub fn init(&self) -> Box<dyn Regularizer> {
        match self {
            Self::SvMax(config) => Box::new(config.init()),
            Self::Variance(config) => Box::new(config.init()),
            Self::Covariance(config) => Box::new(config.init()),
            Self::VarianceCovariance(config) => Box::new(config.init()),
            Self::Sum(configs) => Box::new(RegularizerSum::new(
                configs
                    .iter()
                    .map(|config| (config.name().to_owned(), config.init()))
                    .collect(),
            )),
        }
    }

    /// The name this choice has in a configuration file.
    pub fn name(&self) -> &'static str {
        match self {
            Self::SvMax(_) => "svmax",
            Self::Variance(_) => "variance",
            Self::Covariance(_) => "covariance",
            Self::VarianceCovariance(_) => "variance-covariance",
            Self::Sum(_) => "sum",
        }
    }
}

/// The sum of several regularizers, each with the weight of its own configuration.
///
/// Its terms are theirs, as `name.term`; the second of a name is called `name-2`, and so on.
#[derive(Debug)]
pub struct RegularizerSum {
    summands: Vec<(String, Box<dyn Regularizer>)>,
}

impl RegularizerSum {
    /// The sum of the named regularizers.
    ///
    /// # Panics
    ///
    /// If there are none.
    pub fn new(mut summands: Vec<(String, Box<dyn Regularizer>)>) -> Self {
        assert!(
            !summands.is_empty(),
            "a sum of regularizers needs at least one, got none"
        );
        let mut taken: Vec<String> = summands.iter().map(|(name, _)| name.clone()).collect();
        for i in 0..summands.len() {
            let given = taken[i].clone();
            if taken[..i].contains(&given) {
                let another = (2..).map(|number| format!("{given}-{number}"));
                taken[i] = { another }
                    .find(|name| !taken.contains(name))
                    .expect("there are more numbers than names");
            }
            summands[i].0.clone_from(&taken[i]);
        }
        Self { summands }
    }
}

impl Regularizer for RegularizerSum {
    fn forward(&self, embeddings: Tensor<2>) -> Tensor<1> {
        let embeddings = in_statistics_precision(embeddings);
        self.summands
            .iter()
            .map(|(_, summand)| summand.forward(embeddings.clone()))
            .reduce(|sum, value| sum + value)
            .expect("at least one summand")
    }

    fn forward_terms(&self, embeddings: Tensor<2>) -> Terms {
        let embeddings = in_statistics_precision(embeddings);
        self.summands
            .iter()
            .map(|(name, summand)| summand.forward_terms(embeddings.clone()).under(name))
            .reduce(Terms::merge)
            .expect("at least one summand")
    }

    fn evaluate(&self, embeddings: Tensor<2>) -> Evaluation<1> {
        let plain = in_statistics_precision(embeddings.without_autodiff());
        self.summands
            .iter()
            .map(|(_, summand)| {
                let evaluation = summand.evaluate(plain.clone());
                complete(evaluation, |e| summand.forward(e), plain.clone())
            })
            .reduce(Add::add)
            .expect("at least one summand")
    }
}
