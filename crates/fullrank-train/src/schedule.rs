//! Learning-rate schedules, in steps of the optimizer.

use std::f64::consts::PI;

use burn::config::Config;
use burn::lr_scheduler::{LrScheduler, LrSchedulerRecord};
use burn::optim::LearningRate;
use fullrank::HyperParameterError;
use fullrank::internals::require;

/// Configuration of [`WarmupCosine`].
#[derive(Config, Debug)]
pub struct WarmupCosineConfig {
    /// Learning rate at the end of the warm-up, above zero.
    pub peak: f64,
    /// Steps of the warm-up, fewer than `total_steps`; `0` for none.
    pub warmup_steps: usize,
    /// Steps of the whole run, warm-up included.
    pub total_steps: usize,
    /// Learning rate after the last step as a fraction of `peak`, in `[0, 1]`. Default: `0.001`,
    /// that of the official VICReg program.
    #[config(default = 0.001)]
    pub final_fraction: f64,
}

impl WarmupCosineConfig {
    /// Whether every hyper-parameter is in its range.
    ///
    /// # Errors
    ///
    /// If `peak` is not above zero and finite, `warmup_steps` is not below `total_steps`, or
    /// `final_fraction` is outside `[0, 1]`.
    pub fn check(&self) -> Result<(), HyperParameterError> {
        require(self.peak > 0.0 && self.peak.is_finite(), || {
            format!(
                "the peak learning rate must be above 0 and finite, got {}",
                self.peak
            )
        })?;
        require(self.warmup_steps < self.total_steps, || {
            format!(
                "the warm-up must be shorter than the run, got {} of {} steps",
                self.warmup_steps, self.total_steps
            )
        })?;
        require((0.0..=1.0).contains(&self.final_fraction), || {
            format!(
                "the final fraction of the learning rate must be in [0, 1], got {}",
                self.final_fraction
            )
        })?;
        Ok(())
    }

    /// Builds the schedule, at its first step.
    ///
    /// # Panics
    ///
    /// If [`check`](Self::check) finds an error.
    pub fn init(&self) -> WarmupCosine {
        self.check().unwrap_or_else(|error| panic!("{error}"));
        WarmupCosine {
            peak: self.peak,
            warmup_steps: self.warmup_steps,
            total_steps: self.total_steps,
            final_fraction: self.final_fraction,
            next: 0,
        }
    }
}

/// Linear warm-up from zero, then a cosine down to a final fraction, then constant.
///
/// For step `t`, counted from 0, of a run of `T` steps with a warm-up of `w`:
///
/// ```text
/// lr(t) = peak * t / w                              t < w
/// lr(t) = peak * (q + final_fraction * (1 - q))     w <= t < T,   q = (1 + cos(pi * (t - w) / (T - w))) / 2
/// lr(t) = peak * final_fraction                     t >= T
/// ```
///
/// The first step of a run with a warm-up has the learning rate 0, and the last one is a little
/// above the final value, which is that of step `T`: the convention of `adjust_learning_rate` in
/// facebookresearch/vicreg, `main_vicreg.py`. Burn's own cosine rises again after its end and
/// takes no learning rate above 1, which large batches need.
///
/// `Learner::new` takes it as it is, and steps it once per iteration.
#[derive(Debug, Clone)]
pub struct WarmupCosine {
    peak: f64,
    warmup_steps: usize,
    total_steps: usize,
    final_fraction: f64,
    next: usize,
}

const NEXT: &str = "next";

impl WarmupCosine {
    /// The learning rate of a step, counted from 0.
    pub fn at(&self, step: usize) -> LearningRate {
        if step < self.warmup_steps {
            return self.peak * step as f64 / self.warmup_steps as f64;
        }
        if step >= self.total_steps {
            return self.peak * self.final_fraction;
        }
        let done = (step - self.warmup_steps) as f64;
        let whole = (self.total_steps - self.warmup_steps) as f64;
        let q = 0.5 * (1.0 + (PI * done / whole).cos());
        self.peak * (q + self.final_fraction * (1.0 - q))
    }
}

/// Configuration of [`ConstantPolynomial`].
#[derive(Config, Debug)]
pub struct ConstantPolynomialConfig {
    /// Learning rate at the start, above zero.
    pub peak: f64,
    /// Steps at `peak`, fewer than `total_steps`.
    pub constant_steps: usize,
    /// Steps of the whole run, the constant ones included.
    pub total_steps: usize,
    /// Learning rate after the last step, at least zero and at most `peak`. Default: `1e-7`
    #[config(default = 1e-7)]
    pub end: f64,
    /// The power of the decay, above zero. Default: `1.0`
    #[config(default = 1.0)]
    pub power: f64,
}

impl ConstantPolynomialConfig {
    /// Whether every hyper-parameter is in its range.
    ///
    /// # Errors
    ///
    /// If `peak` or `power` is not above zero and finite, `constant_steps` is not below `total_steps`,
    /// or `end` is not in `[0, peak]`.
    pub fn check(&self) -> Result<(), HyperParameterError> {
        for (what, value) in [("learning rate", self.peak), ("power", self.power)] {
            require(value > 0.0 && value.is_finite(), || {
                format!("the {what} of the schedule must be above 0 and finite, got {value}")
            })?;
        }
        require(self.constant_steps < self.total_steps, || {
            format!(
                "the constant part must be shorter than the run, got {} of {} steps",
                self.constant_steps, self.total_steps
            )
        })?;
        require((0.0..=self.peak).contains(&self.end), || {
            format!(
                "the last learning rate must be in [0, {}], got {}",
                self.peak, self.end
            )
        })?;
        Ok(())
    }

    /// Builds the schedule, at its first step.
    ///
    /// # Panics
    ///
    /// If [`check`](Self::check) finds an error.
    pub fn init(&self) -> ConstantPolynomial {
        self.check().unwrap_or_else(|error| panic!("{error}"));
        ConstantPolynomial {
            peak: self.peak,
            constant_steps: self.constant_steps,
            total_steps: self.total_steps,
            end: self.end,
            power: self.power,
            next: 0,
        }
    }
}

/// Constant, then a polynomial decay to the end of the run, then constant again.
///
/// For step `t`, counted from 0, of a run of `T` steps of which the first `c` are constant:
///
/// ```text
/// lr(t) = peak                                                       t < c
/// lr(t) = end + (peak - end) * (1 - (t - c) / (T - c))^power         c <= t < T
/// lr(t) = end                                                        t >= T
/// ```
///
/// SVMax's paper has `c = T / 2` and `end = 1e-7`; it does not say which power. The default is a straight
/// line, as that of TensorFlow's polynomial decay.
#[derive(Debug, Clone)]
pub struct ConstantPolynomial {
    peak: f64,
    constant_steps: usize,
    total_steps: usize,
    end: f64,
    power: f64,
    next: usize,
}

impl ConstantPolynomial {
    /// The learning rate of a step, counted from 0.
    pub fn at(&self, step: usize) -> LearningRate {
        if step < self.constant_steps {
            return self.peak;
        }
        if step >= self.total_steps {
            return self.end;
        }
        let done = (step - self.constant_steps) as f64;
        let whole = (self.total_steps - self.constant_steps) as f64;
        self.end + (self.peak - self.end) * (1.0 - done / whole).powf(self.power)
    }
}

/// A schedule that is a function `at` of the step, counted in `next`.
macro_rules! counting_scheduler {
    ($schedule:ident) => {
        impl LrScheduler for $schedule {
            fn step(&mut self) -> LearningRate {
                let lr = self.at(self.next);
                self.next = self.next.saturating_add(1);
                lr
            }

            fn to_record(&self) -> LrSchedulerRecord {
                LrSchedulerRecord::new().with_scalar(NEXT, self.next)
            }

            fn load_record(&mut self, record: LrSchedulerRecord) {
                if let Some(next) = record.scalar(NEXT) {
                    self.next = next;
                }
            }
        }
    };
}

counting_scheduler!(WarmupCosine);
counting_scheduler!(ConstantPolynomial);

#[cfg(test)]
mod tests {
    use approx::assert_abs_diff_eq;
    use burn::lr_scheduler::module_lr_scheduler::ModuleLrScheduler;

    use super::*;

    // adjust_learning_rate of main_vicreg.py for base_lr * batch / 256 = 1.6, 10 warm-up steps of
    // 110, in double precision.
    #[test]
    fn values_of_the_official_program() {
        let schedule = WarmupCosineConfig::new(1.6, 10, 110).init();
        for (step, lr) in [
            (0, 0.0),
            (1, 0.16),
            (5, 0.8),
            (9, 1.44),
            (10, 1.6),
            (11, 1.599_605_643_044_292_6),
            (35, 1.365_919_739_524_288_8),
            (60, 0.800_8),
            (109, 0.001_994_356_955_707_305_5),
            (110, 0.001_6),
            (1000, 0.001_6),
        ] {
            assert_abs_diff_eq!(schedule.at(step), lr, epsilon = 1e-14);
        }
    }

    // lightly's tests/utils/test_scheduler.py gives .96984631 and .88302222 for steps 1 and 2 of
    // a cosine from 1 to 0 over 10 steps. lightly divides by the number of steps less one, so that
    // the tenth step is 0; that curve is ours over 9 steps.
    #[test]
    fn values_of_lightly_over_one_step_less() {
        let mut schedule = WarmupCosineConfig::new(1.0, 0, 9)
            .with_final_fraction(0.0)
            .init();
        let rates: Vec<f64> = (0..10).map(|_| schedule.step()).collect();
        assert_abs_diff_eq!(rates[0], 1.0);
        assert_abs_diff_eq!(rates[1], 0.969_846_31, epsilon = 1e-8);
        assert_abs_diff_eq!(rates[2], 0.883_022_22, epsilon = 1e-8);
        assert_abs_diff_eq!(rates[9], 0.0);
    }

    #[test]
    fn rises_to_the_peak_then_never_again() {
        let mut schedule = WarmupCosineConfig::new(0.3, 7, 50).init();
        let rates: Vec<f64> = (0..150).map(|_| schedule.step()).collect();
        assert!(rates[..=7].windows(2).all(|pair| pair[0] < pair[1]));
        assert_eq!(rates[7], 0.3);
        assert!(rates[7..=50].windows(2).all(|pair| pair[0] > pair[1]));
        assert!(rates[50..].iter().all(|&lr| lr == 0.3 * 0.001));
    }

    #[test]
    fn constant_then_a_straight_line_or_a_curve() {
        let line = ConstantPolynomialConfig::new(1.0, 50, 100).with_end(0.1);
        let curve = line.clone().with_power(2.0).init();
        let line = line.init();
        for (step, straight, squared) in [
            (0, 1.0, 1.0),
            (50, 1.0, 1.0),
            (60, 0.82, 0.676),
            (75, 0.55, 0.325),
            (99, 0.118, 0.100_36),
            (100, 0.1, 0.1),
            (1000, 0.1, 0.1),
        ] {
            assert_abs_diff_eq!(line.at(step), straight, epsilon = 1e-14);
            assert_abs_diff_eq!(curve.at(step), squared, epsilon = 1e-14);
        }
        let default = ConstantPolynomialConfig::new(0.01, 2500, 5000).init();
        assert_abs_diff_eq!(default.at(5000), 1e-7);
    }

    fn assert_resumes(schedule: impl LrScheduler + Clone + 'static) {
        let start = || ModuleLrScheduler::from(schedule.clone());
        let mut whole = start();
        let expected: Vec<f64> = (0..60).map(|_| whole.step().base()).collect();
        for stop in [0, 3, 7, 31, 55] {
            let mut first = start();
            for _ in 0..stop {
                first.step();
            }
            let bytes = first.to_record().into_bytes().expect("a record");
            let record = LrSchedulerRecord::from_bytes(bytes).expect("a record");
            let mut second = start().load_record(record);
            let resumed: Vec<f64> = (stop..60).map(|_| second.step().base()).collect();
            assert_eq!(resumed, expected[stop..]);
        }
    }

    #[test]
    fn resumes_where_it_was() {
        assert_resumes(WarmupCosineConfig::new(0.3, 7, 50).init());
        assert_resumes(ConstantPolynomialConfig::new(0.3, 20, 50).init());
    }

    #[test]
    #[should_panic(expected = "must be in [0, 0.3], got 0.5")]
    fn an_end_above_the_peak_is_refused() {
        ConstantPolynomialConfig::new(0.3, 20, 50)
            .with_end(0.5)
            .init();
    }

    #[test]
    #[should_panic(expected = "got 50 of 50 steps")]
    fn warmup_of_the_whole_run_is_refused() {
        WarmupCosineConfig::new(0.3, 50, 50).init();
    }
}
