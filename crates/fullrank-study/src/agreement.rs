//! Whether a device trains as the host does: the same steps on both, from the same weights and on the same batches.

use std::fmt;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::Result;
use burn::data::dataloader::Progress;
use burn::module::Module;
use burn::tensor::Device;
use burn::train::metric::{Adaptor, LossMetric, Metric, MetricMetadata, Numeric};
use fullrank_cli::device::DeviceArg;
use fullrank_train::metrics::TermsInput;
use fullrank_train::optimizer::state_values;
use fullrank_train::session::{Display, Stop, weights};

use crate::study::Study;
use crate::training::{StepOutputOf, Training, host};

/// How far the first steps of a training on a device are from those on the host, as shares.
#[derive(Clone, Debug, PartialEq)]
pub struct Agreement {
    /// The steps taken on each.
    pub steps: usize,
    /// Of the loss and of each of its terms, the largest difference at a step by the largest absolute value.
    pub losses: Vec<(String, f64)>,
    /// The 2-norm of the difference of all weights and running statistics, by that of their change over the steps.
    pub weights: f64,
    /// The 2-norm of the difference of the optimizer's state, such as momenta, by that of the state.
    pub optimizer: f64,
    /// The seconds of the first step on the device, in which kernels are compiled, and of the last.
    pub seconds: [f64; 2],
}

impl Agreement {
    /// Takes the first steps of the training of `case` with `seed` on `device` and on the [host].
    ///
    /// # Errors
    ///
    /// If there is no batch, or a device does not compute.
    pub fn measure<S: Study>(
        study: &S,
        (case, seed): (S::Case, u64),
        data: &S::Data,
        device: &Device,
        steps: usize,
    ) -> Result<Self> {
        let (host, stop) = (host(), Stop::new());
        let on = |device| Training {
            study,
            case,
            seed,
            data,
            device,
            directory: PathBuf::new(),
            display: Display::Compact,
            stop: &stop,
        };
        let start = on(&host).model(&host.clone().autodiff());
        let initial = weights::values(&start);
        // By a record: it has the numbers of the parameters, by which optimizers know them, and no running statistic is
        // shared, as it is between clones.
        let there = on(device).model(&device.clone().autodiff());
        let there = there.load_record(start.clone().into_record());
        let here = Steps::take(&on(&host), start, steps)?;
        let there = Steps::take(&on(device), there, steps)?;
        let losses = here.losses.iter().zip(&there.losses);
        let moved = distance(&here.weights, &initial);
        Ok(Self {
            steps,
            losses: losses
                .map(|((name, here), (_, there))| {
                    let differences = here.iter().zip(there).map(|(a, b)| (a - b).abs());
                    let sizes = here.iter().map(|value| value.abs());
                    (name.clone(), share(largest(differences), largest(sizes)))
                })
                .collect(),
            weights: share(distance(&there.weights, &here.weights), moved),
            optimizer: share(
                distance(&there.state, &here.state),
                here.state.iter().map(|x| x * x).sum::<f64>().sqrt(),
            ),
            seconds: [there.seconds.first(), there.seconds.last()]
                .map(|s| s.copied().unwrap_or(0.0)),
        })
    }

    /// The largest of the losses' and the optimizer's shares.
    ///
    /// Not the weights': a parameter without influence on the loss, such as a bias in front of batch statistics, has a
    /// gradient of rounding alone, which Adam divides by its size.
    pub fn worst(&self) -> f64 {
        let losses = self.losses.iter().map(|(_, share)| *share);
        largest(losses.chain([self.optimizer]))
    }
}

impl fmt::Display for Agreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, share) in &self.losses {
            write!(f, "{name} {share:.0e}, ")?;
        }
        write!(
            f,
            "weights {:.0e}, optimizer {:.0e}",
            self.weights, self.optimizer
        )
    }
}

/// The device that the tests of a study hold against the [host]: the one that `BURN_DEVICE` names, or ndarray.
///
/// # Errors
///
/// If ndarray was not compiled in.
pub fn other_device() -> Result<Device> {
    match std::env::var_os("BURN_DEVICE") {
        Some(_) => Ok(Device::default()),
        None => DeviceArg::Ndarray.device(),
    }
}

/// What was seen over some steps.
struct Steps {
    /// The loss, then its terms: the names, and the values at each step.
    losses: Vec<(String, Vec<f64>)>,
    weights: Vec<f64>,
    state: Vec<f64>,
    /// The time of each step until its values are read.
    seconds: Vec<f64>,
}

impl Steps {
    fn take<S: Study>(training: &Training<'_, S>, model: S::Model, count: usize) -> Result<Self> {
        let mut losses: Vec<(String, Vec<f64>)> = Vec::new();
        let (mut seconds, mut start) = (Vec::new(), Instant::now());
        let (model, optimizer) = training.steps(model, count, |step, _, output| {
            if let Some(output) = output {
                for (place, (name, value)) in values::<S>(step, output)?.into_iter().enumerate() {
                    match losses.get_mut(place) {
                        Some((_, values)) => values.push(value),
                        None => losses.push((name, vec![value])),
                    }
                }
                training.device.sync()?;
                seconds.push(start.elapsed().as_secs_f64());
            }
            start = Instant::now();
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(Self {
            losses,
            weights: weights::values(&model.valid()),
            state: state_values(&optimizer)?,
            seconds,
        })
    }
}

/// The loss of a step and its terms.
fn values<S: Study>(step: usize, output: &StepOutputOf<S>) -> Result<Vec<(String, f64)>> {
    // burn-train's loss tells its value to burn-train's metric alone.
    let mut loss = LossMetric::new();
    let at = MetricMetadata {
        progress: Progress::new(step, step, None),
        iteration: Some(step),
        lr: None,
    };
    loss.update(&output.adapt(), &at)?;
    let mut values = vec![("loss".to_owned(), loss.final_value().current())];
    let terms: TermsInput = output.adapt();
    for (name, term) in terms.iter() {
        values.push((name.to_owned(), term.clone().try_into_scalar::<f64>()?));
    }
    Ok(values)
}

fn distance(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len(), "the same model on two devices");
    let squares = a.iter().zip(b).map(|(a, b)| (a - b).powi(2));
    squares.sum::<f64>().sqrt()
}

/// The largest; NaN if one is.
pub(crate) fn largest(values: impl Iterator<Item = f64>) -> f64 {
    values.fold(0.0, |a, b| if b.is_nan() || b > a { b } else { a })
}

/// A part of a whole; of nothing it is nothing only if it is itself.
fn share(part: f64, whole: f64) -> f64 {
    match part == 0.0 {
        true => 0.0,
        false => part / whole,
    }
}
