//! LARS, layer-wise adaptive rate scaling.

use burn::config::Config;
use burn::optim::momentum::{Momentum, MomentumConfig, MomentumState};
use burn::optim::{LearningRate, ModuleOptimizer, Optimizer};
use burn::tensor::{Device, Tensor};
use fullrank::HyperParameterError;
use fullrank::internals::require;

/// Configuration of the [LARS](Lars) optimizer.
///
/// The defaults are those of the official VICReg program.
#[derive(Config, Debug)]
pub struct LarsConfig {
    /// Momentum factor, in `[0, 1)`. Default: `0.9`.
    #[config(default = 0.9)]
    pub momentum: f64,
    /// Trust coefficient, above zero. Default: `0.001`.
    #[config(default = 0.001)]
    pub eta: f64,
    /// L2 penalty added to the gradient of tensors of two dimensions and more, zero or above.
    /// Default: `1e-6`.
    #[config(default = 1e-6)]
    pub weight_decay: f64,
    /// Limits the trust ratio to `min(q / lr, 1)`, the `clip_lr` of solo-learn: a layer never
    /// moves by more than plain SGD would move it. Default: `false`.
    #[config(default = false)]
    pub clip: bool,
}

impl LarsConfig {
    /// Builds the whole-module optimizer.
    ///
    /// # Panics
    ///
    /// If [`check`](Self::check) finds an error.
    pub fn init(&self) -> ModuleOptimizer {
        self.build().into()
    }

    /// Whether every hyper-parameter is in its range.
    ///
    /// # Errors
    ///
    /// If `momentum` is outside `[0, 1)`, `eta` is not above zero, or `weight_decay` is negative;
    /// also if one of them is not finite.
    pub fn check(&self) -> Result<(), HyperParameterError> {
        require((0.0..1.0).contains(&self.momentum), || {
            format!("LARS momentum must be in [0, 1), got {}", self.momentum)
        })?;
        require(self.eta > 0.0 && self.eta.is_finite(), || {
            format!("LARS eta must be above 0 and finite, got {}", self.eta)
        })?;
        require(
            self.weight_decay >= 0.0 && self.weight_decay.is_finite(),
            || {
                format!(
                    "LARS weight decay must be at least 0 and finite, got {}",
                    self.weight_decay
                )
            },
        )?;
        Ok(())
    }

    /// Builds the bare optimizer, which `ModuleOptimizer::with_group` takes for one group of
    /// parameters.
    ///
    /// # Panics
    ///
    /// If [`check`](Self::check) finds an error.
    pub fn build(&self) -> Lars {
        self.check().unwrap_or_else(|error| panic!("{error}"));
        // Burn's default dampening of 0.1 is not in LARS.
        let momentum = MomentumConfig::new()
            .with_momentum(self.momentum)
            .with_dampening(0.0);
        Lars {
            momentum: Momentum::new(&momentum),
            eta: self.eta,
            weight_decay: self.weight_decay,
            clip: self.clip,
        }
    }
}

/// Stochastic gradient descent with momentum whose step is scaled, tensor by tensor, to the norm
/// of the parameter.
///
/// ```text
/// dp = grad + weight_decay * p
/// q  = eta * ||p|| / ||dp||        1 where either norm is 0
/// mu = momentum * mu + q * dp      mu starts at 0
/// p  = p - lr * mu
/// ```
///
/// With the first step a tensor moves by the share `lr * eta` of its norm, with momentum in the end by ten
/// times that, whatever the size of its gradient. So rates are far larger than those of Adam: VICReg's is
/// 0.2 times the batch size over 256, after a warm-up; 1e-3 hardly trains.
///
/// Tensors of one dimension (biases, normalization scales) get neither weight decay nor the trust
/// ratio: for them `mu = momentum * mu + grad`. The norms stay on the device; a step reads nothing
/// back. The state of a parameter is `mu`, saved with the optimizer's record.
///
/// Source: You et al., "Large Batch Training of Convolutional Networks", 2017 (arXiv 1708.03888),
/// in the form of class `LARS` of facebookresearch/vicreg, `main_vicreg.py`.
#[derive(Clone)]
pub struct Lars {
    momentum: Momentum,
    eta: f64,
    weight_decay: f64,
    clip: bool,
}

impl Lars {
    /// `q * (grad + weight_decay * p)`.
    fn scaled<const D: usize>(
        &self,
        lr: LearningRate,
        parameter: &Tensor<D>,
        grad: Tensor<D>,
    ) -> Tensor<D> {
        let update = if self.weight_decay == 0.0 {
            grad
        } else {
            parameter.clone().mul_scalar(self.weight_decay).add(grad)
        };
        let parameter_norm = norm(parameter.clone());
        let update_norm = norm(update.clone());
        let defined = parameter_norm
            .clone()
            .greater_scalar(0.0)
            .bool_and(update_norm.clone().greater_scalar(0.0));
        let one = parameter_norm.ones_like();
        // 0 / 0 is possible here and is never selected below.
        let mut ratio = parameter_norm.mul_scalar(self.eta).div(update_norm);
        if self.clip {
            // q / 0 is infinite, hence 1 after the limit.
            ratio = if lr > 0.0 {
                ratio.div_scalar(lr).clamp_max(1.0)
            } else {
                one.clone()
            };
        }
        let trust = one.mask_where(defined, ratio);
        update.mul(trust.unsqueeze())
    }
}

fn norm<const D: usize>(tensor: Tensor<D>) -> Tensor<1> {
    tensor.square().sum().sqrt()
}

impl Optimizer for Lars {
    type State<const D: usize> = MomentumState<D>;

    fn step<const D: usize>(
        &self,
        lr: LearningRate,
        tensor: Tensor<D>,
        grad: Tensor<D>,
        state: Option<Self::State<D>>,
    ) -> (Tensor<D>, Option<Self::State<D>>) {
        let update = if D == 1 {
            grad
        } else {
            self.scaled(lr, &tensor, grad)
        };
        let (velocity, state) = self.momentum.transform(update, state);
        (tensor - velocity.mul_scalar(lr), Some(state))
    }

    fn to_device<const D: usize>(state: Self::State<D>, device: &Device) -> Self::State<D> {
        state.to_device(device)
    }
}

#[cfg(test)]
mod tests {
    use approx::assert_abs_diff_eq;
    use burn::module::{Module, Param};
    use burn::optim::GradientsParams;
    use burn::tensor::TensorData;

    use super::*;

    /// A matrix and a vector whose gradients are the constants they are multiplied by.
    #[derive(Module, Debug)]
    struct Toy {
        matrix: Param<Tensor<2>>,
        vector: Param<Tensor<1>>,
    }

    const MATRIX: [[f32; 2]; 2] = [[1.0, -2.0], [3.0, 0.5]];
    const VECTOR: [f32; 3] = [1.0, -2.0, 3.0];
    const STEPS: [([[f32; 2]; 2], [f32; 3]); 2] = [
        ([[0.1, 0.2], [-0.3, 0.4]], [0.1, 0.2, -0.3]),
        ([[-0.5, 0.25], [0.0, 1.0]], [-0.5, 0.25, 0.0]),
    ];

    fn toy(matrix: [[f32; 2]; 2], vector: [f32; 3]) -> Toy {
        let device = Device::default().autodiff();
        Toy {
            matrix: Param::from_data(TensorData::from(matrix), &device),
            vector: Param::from_data(TensorData::from(vector), &device),
        }
    }

    fn step(
        optim: &mut ModuleOptimizer,
        lr: f64,
        toy: Toy,
        (matrix, vector): ([[f32; 2]; 2], [f32; 3]),
    ) -> Toy {
        let device = toy.vector.val().device();
        let matrix = Tensor::<2>::from_floats(matrix, &device);
        let vector = Tensor::<1>::from_floats(vector, &device);
        let loss = (toy.matrix.val() * matrix).sum() + (toy.vector.val() * vector).sum();
        let grads = GradientsParams::from_grads(loss.backward(), &toy);
        optim.step(lr, toy, grads)
    }

    fn values<const D: usize>(param: &Param<Tensor<D>>) -> Vec<f32> {
        param
            .val()
            .try_into_vec_as::<f32>()
            .expect("a float tensor")
    }

    fn assert_values(actual: &[f32], expected: &[f32]) {
        assert_eq!(actual.len(), expected.len());
        for (actual, expected) in actual.iter().zip(expected) {
            assert_abs_diff_eq!(actual, expected, epsilon = 1e-6);
        }
    }

    // The expected numbers are those of class `LARS` of main_vicreg.py in double precision, its
    // lines written out for one tensor:
    //   dp = grad + wd * p; q = eta * norm(p) / norm(dp); mu = 0.9 * mu + q * dp; p -= lr * mu
    // with lr 0.5 in the first step and 0.25 in the second.
    #[test]
    fn two_steps_match_the_official_program() {
        let mut optim = LarsConfig::new()
            .with_eta(0.1)
            .with_weight_decay(0.01)
            .init();
        let toy = step(&mut optim, 0.5, toy(MATRIX, VECTOR), STEPS[0]);
        assert_values(
            &values(&toy.matrix),
            &[0.960_862_9, -2.064_042_5, 3.096_063_8, 0.355_904_3],
        );
        // The vector: p - lr * grad, without decay or trust ratio.
        assert_values(&values(&toy.vector), &[0.95, -2.1, 3.15]);

        let toy = step(&mut optim, 0.25, toy, STEPS[1]);
        assert_values(
            &values(&toy.matrix),
            &[0.984_731_9, -2.112_262_5, 3.136_673_7, 0.206_173_2],
        );
        assert_values(&values(&toy.vector), &[1.0525, -2.2075, 3.2175]);
    }

    #[test]
    fn default_is_the_official_one() {
        let mut optim = LarsConfig::new().init();
        let toy = step(&mut optim, 0.5, toy(MATRIX, VECTOR), STEPS[0]);
        let toy = step(&mut optim, 0.25, toy, STEPS[1]);
        assert_values(
            &values(&toy.matrix),
            &[0.999_912_3, -2.001_205_3, 3.001_499, 0.497_177_3],
        );
    }

    // In the second step eta * norm(p) / norm(dp) / lr is above 1 and is cut to 1; same program,
    // with q = min(q / lr, 1), eta 0.05, wd 0.01, lr 0.5 then 0.01.
    #[test]
    fn clip_limits_the_ratio_to_one() {
        let mut optim = LarsConfig::new()
            .with_eta(0.05)
            .with_weight_decay(0.01)
            .with_clip(true)
            .init();
        let toy = step(&mut optim, 0.5, toy(MATRIX, VECTOR), STEPS[0]);
        assert_values(
            &values(&toy.matrix),
            &[0.960_862_9, -2.064_042_5, 3.096_063_8, 0.355_904_3],
        );
        let toy = step(&mut optim, 0.01, toy, STEPS[1]);
        assert_values(
            &values(&toy.matrix),
            &[0.965_062_3, -2.067_489, 3.097_483_4, 0.343_275],
        );
        let before = values(&toy.matrix);
        let toy = step(&mut optim, 0.0, toy, STEPS[1]);
        assert_eq!(values(&toy.matrix), before);
    }

    #[test]
    fn zero_norms_leave_the_plain_step() {
        let zero = ([[0.0; 2]; 2], [0.0; 3]);
        for clip in [false, true] {
            let config = LarsConfig::new().with_weight_decay(0.0).with_clip(clip);

            let still = step(&mut config.init(), 0.5, toy(MATRIX, VECTOR), zero);
            assert_values(&values(&still.matrix), &[1.0, -2.0, 3.0, 0.5]);
            assert_values(&values(&still.vector), &VECTOR);

            // From zero parameters q is 1: p = -lr * grad.
            let moved = step(&mut config.init(), 0.5, toy(zero.0, zero.1), STEPS[0]);
            assert_values(&values(&moved.matrix), &[-0.05, -0.1, 0.15, -0.2]);
            assert_values(&values(&moved.vector), &[-0.05, -0.1, 0.15]);
        }
    }

    #[test]
    fn a_restored_state_takes_the_same_step() {
        let config = LarsConfig::new().with_eta(0.1);
        let mut optim = config.init();
        let start = step(&mut optim, 0.5, toy(MATRIX, VECTOR), STEPS[0]);

        let bytes = optim.into_bytes().expect("a record");
        let mut restored = config.init().from_bytes(bytes).expect("a record");
        let expected = step(&mut optim, 0.25, start.clone(), STEPS[1]);
        let actual = step(&mut restored, 0.25, start.clone(), STEPS[1]);
        let forgotten = step(&mut config.init(), 0.25, start, STEPS[1]);

        assert_eq!(values(&actual.matrix), values(&expected.matrix));
        assert_eq!(values(&actual.vector), values(&expected.vector));
        assert_ne!(values(&forgotten.vector), values(&expected.vector));
    }

    #[test]
    #[should_panic(expected = "momentum must be in [0, 1), got 1")]
    fn momentum_of_one_is_refused() {
        LarsConfig::new().with_momentum(1.0).init();
    }
}
