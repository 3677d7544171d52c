//! The choice of an optimizer, as it stands in a run's configuration file.

use burn::optim::decay::WeightDecayConfig;
use burn::optim::momentum::MomentumConfig;
use burn::optim::{AdamWConfig, ModuleOptimizer, SgdConfig};
use burn::store::RecordError;
use burn::tensor::TensorData;
use fullrank::HyperParameterError;
use fullrank::internals::require;
use serde::{Deserialize, Serialize};

use crate::lars::LarsConfig;

/// An optimizer and its hyper-parameters; the learning rate comes from the schedule.
///
/// In JSON the field `name` says which, and a field left out takes its default:
///
/// ```text
/// { "name": "lars", "eta": 0.02, "weight_decay": 1e-4, "clip": true }
/// { "name": "adamw" }
/// { "name": "sgd", "momentum": 0.9, "weight_decay": 5e-4 }
/// ```
///
/// A name or field that is not known is an error.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "kebab-case", deny_unknown_fields)]
pub enum OptimizerConfig {
    /// [LARS](crate::lars::Lars); tensors of one dimension get neither decay nor trust ratio.
    Lars {
        /// Momentum factor. Default: `0.9`.
        #[serde(default = "default_momentum")]
        momentum: f64,
        /// Trust coefficient. Default: `0.001`.
        #[serde(default = "default_eta")]
        eta: f64,
        /// L2 penalty. Default: `1e-6`.
        #[serde(default = "default_lars_decay")]
        weight_decay: f64,
        /// Limit the trust ratio to `min(q / lr, 1)`. Default: `false`.
        #[serde(default)]
        clip: bool,
    },
    /// Adam with decoupled weight decay, which is on every parameter.
    #[serde(rename = "adamw")]
    AdamW {
        /// Decay of the mean of the gradient. Default: `0.9`.
        #[serde(default = "default_beta_1")]
        beta_1: f32,
        /// Decay of the mean of the squared gradient. Default: `0.999`.
        #[serde(default = "default_beta_2")]
        beta_2: f32,
        /// Added to the root of the second mean. Default: `1e-8` (Burn's own default is `1e-5`).
        #[serde(default = "default_epsilon")]
        epsilon: f32,
        /// Decoupled weight decay. Default: `1e-4`.
        #[serde(default = "default_adamw_decay")]
        weight_decay: f32,
    },
    /// Stochastic gradient descent with momentum (no dampening, no Nesterov) and an L2 penalty on
    /// every parameter.
    Sgd {
        /// Momentum factor; `0` for none. Default: `0.9`.
        #[serde(default = "default_momentum")]
        momentum: f64,
        /// L2 penalty. Default: `0`.
        #[serde(default)]
        weight_decay: f32,
    },
}

fn default_momentum() -> f64 {
    0.9
}

fn default_eta() -> f64 {
    0.001
}

fn default_lars_decay() -> f64 {
    1e-6
}

fn default_beta_1() -> f32 {
    0.9
}

fn default_beta_2() -> f32 {
    0.999
}

fn default_epsilon() -> f32 {
    1e-8
}

fn default_adamw_decay() -> f32 {
    1e-4
}

impl OptimizerConfig {
    /// LARS with its defaults.
    pub fn lars() -> Self {
        Self::Lars {
            momentum: default_momentum(),
            eta: default_eta(),
            weight_decay: default_lars_decay(),
            clip: false,
        }
    }

    /// AdamW with its defaults.
    pub fn adamw() -> Self {
        Self::AdamW {
            beta_1: default_beta_1(),
            beta_2: default_beta_2(),
            epsilon: default_epsilon(),
            weight_decay: default_adamw_decay(),
        }
    }

    /// SGD with its defaults.
    pub fn sgd() -> Self {
        Self::Sgd {
            momentum: default_momentum(),
            weight_decay: 0.0,
        }
    }

    /// Whether every hyper-parameter is in its range.
    ///
    /// # Errors
    ///
    /// If a momentum or a beta is outside `[0, 1)`, a weight decay is negative, or `eta` or
    /// `epsilon` is not above zero; also if one of them is not finite.
    pub fn check(&self) -> Result<(), HyperParameterError> {
        match *self {
            Self::Lars {
                momentum,
                eta,
                weight_decay,
                clip,
            } => lars(momentum, eta, weight_decay, clip).check(),
            Self::AdamW {
                beta_1,
                beta_2,
                epsilon,
                weight_decay,
            } => {
                for (name, beta) in [("beta_1", beta_1), ("beta_2", beta_2)] {
                    require((0.0..1.0).contains(&beta), || {
                        format!("AdamW {name} must be in [0, 1), got {beta}")
                    })?;
                }
                require(epsilon > 0.0 && epsilon.is_finite(), || {
                    format!("AdamW epsilon must be above 0 and finite, got {epsilon}")
                })?;
                check_decay("AdamW", weight_decay)
            }
            Self::Sgd {
                momentum,
                weight_decay,
            } => {
                require((0.0..1.0).contains(&momentum), || {
                    format!("SGD momentum must be in [0, 1), got {momentum}")
                })?;
                check_decay("SGD", weight_decay)
            }
        }
    }

    /// Builds the optimizer.
    ///
    /// # Panics
    ///
    /// If [`check`](Self::check) finds an error.
    pub fn init(&self) -> ModuleOptimizer {
        self.check().unwrap_or_else(|error| panic!("{error}"));
        match *self {
            Self::Lars {
                momentum,
                eta,
                weight_decay,
                clip,
            } => lars(momentum, eta, weight_decay, clip).init(),
            Self::AdamW {
                beta_1,
                beta_2,
                epsilon,
                weight_decay,
            } => AdamWConfig::new()
                .with_beta_1(beta_1)
                .with_beta_2(beta_2)
                .with_epsilon(epsilon)
                .with_weight_decay(weight_decay)
                .init(),
            Self::Sgd {
                momentum,
                weight_decay,
            } => {
                let momentum = (momentum > 0.0).then(|| {
                    MomentumConfig::new()
                        .with_momentum(momentum)
                        .with_dampening(0.0)
                });
                let decay = (weight_decay > 0.0).then(|| WeightDecayConfig::new(weight_decay));
                SgdConfig::new()
                    .with_momentum(momentum)
                    .with_weight_decay(decay)
                    .init()
            }
        }
    }
}

fn lars(momentum: f64, eta: f64, weight_decay: f64, clip: bool) -> LarsConfig {
    LarsConfig::new()
        .with_momentum(momentum)
        .with_eta(eta)
        .with_weight_decay(weight_decay)
        .with_clip(clip)
}

fn check_decay(optimizer: &str, weight_decay: f32) -> Result<(), HyperParameterError> {
    require(weight_decay >= 0.0 && weight_decay.is_finite(), || {
        format!("{optimizer} weight decay must be at least 0 and finite, got {weight_decay}")
    })
}

/// The tensors of an optimizer's state, such as its momenta, one after the other in the order of their parameters'
/// numbers.
///
/// # Errors
///
/// If Burn cannot write its own record.
pub fn state_values(optimizer: &ModuleOptimizer) -> Result<Vec<f64>, RecordError> {
    let bytes = optimizer.to_record().into_bytes()?;
    let mut values = Vec::new();
    for tensor in burn_pack::Reader::from_bytes(bytes)?.into_tensors()? {
        let (_, dtype, shape, _, bytes) = tensor.into_parts()?;
        values.extend(TensorData::from_bytes(bytes, shape, dtype).iter::<f64>());
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use approx::assert_abs_diff_eq;
    use burn::module::{Module, Param};
    use burn::optim::GradientsParams;
    use burn::tensor::{Device, Tensor};

    use super::*;

    #[derive(Module, Debug)]
    struct Point {
        x: Param<Tensor<1>>,
    }

    /// `x` after steps of the given gradients from `x = 1` at the learning rate 0.1.
    fn descend(config: &OptimizerConfig, gradients: &[f32]) -> f32 {
        let device = Device::default().autodiff();
        let mut optim = config.init();
        let mut point = Point {
            x: Param::from_tensor(Tensor::from_floats([1.0], &device)),
        };
        for &gradient in gradients {
            let loss = point.x.val().mul_scalar(gradient).sum();
            let grads = GradientsParams::from_grads(loss.backward(), &point);
            point = optim.step(0.1, point, grads);
        }
        point.x.val().into_scalar::<f32>()
    }

    #[test]
    fn json_fills_in_the_defaults() {
        for (json, config) in [
            (r#"{"name":"lars"}"#, OptimizerConfig::lars()),
            (r#"{"name":"adamw"}"#, OptimizerConfig::adamw()),
            (r#"{"name":"sgd"}"#, OptimizerConfig::sgd()),
        ] {
            let read: OptimizerConfig = serde_json::from_str(json).expect("a known name");
            assert_eq!(read, config);
            let written = serde_json::to_string(&config).expect("JSON");
            let back: OptimizerConfig = serde_json::from_str(&written).expect("what was written");
            assert_eq!(back, config);
        }
    }

    #[test]
    fn json_refuses_what_it_does_not_know() {
        for json in [
            r#"{"name":"adam"}"#,
            r#"{"name":"sgd","nesterov":true}"#,
            r#"{"momentum":0.9}"#,
        ] {
            assert!(
                serde_json::from_str::<OptimizerConfig>(json).is_err(),
                "{json}"
            );
        }
    }

    #[test]
    fn sgd_has_no_dampening() {
        // mu = 0.9 * 1 + 1 = 1.9: x = 1 - 0.1 * (1 + 1.9).
        assert_abs_diff_eq!(
            descend(&OptimizerConfig::sgd(), &[1.0, 1.0]),
            0.71,
            epsilon = 1e-6
        );
        let plain = OptimizerConfig::Sgd {
            momentum: 0.0,
            weight_decay: 0.5,
        };
        // x = 1 - 0.1 * (1 + 0.5 * 1).
        assert_abs_diff_eq!(descend(&plain, &[1.0]), 0.85, epsilon = 1e-6);
    }

    #[test]
    fn adamw_decays_apart_from_the_gradient() {
        // The first step is -lr * sign(grad), after x * (1 - lr * decay).
        let config = OptimizerConfig::AdamW {
            beta_1: 0.9,
            beta_2: 0.999,
            epsilon: 1e-8,
            weight_decay: 0.5,
        };
        assert_abs_diff_eq!(descend(&config, &[3.0]), 0.95 - 0.1, epsilon = 1e-5);
    }

    #[test]
    fn lars_leaves_a_vector_unscaled() {
        assert_abs_diff_eq!(
            descend(&OptimizerConfig::lars(), &[1.0, 1.0]),
            0.71,
            epsilon = 1e-6
        );
    }

    #[test]
    #[should_panic(expected = "SGD weight decay must be at least 0 and finite, got -1")]
    fn negative_decay_is_refused() {
        OptimizerConfig::Sgd {
            momentum: 0.9,
            weight_decay: -1.0,
        }
        .init();
    }
}
