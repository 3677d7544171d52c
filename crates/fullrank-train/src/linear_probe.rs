//! Linear probe: multinomial logistic regression on frozen features.

use std::collections::VecDeque;

use burn::config::Config;
use burn::tensor::{Device, Tensor, TensorData};
use fullrank::HyperParameterError;
use fullrank::internals::require;

/// Steps kept by L-BFGS.
const MEMORY: usize = 10;

/// Evaluations of one line search.
const LINE_SEARCH: usize = 20;

/// `p * (1 - p)` of a typical probability near the solution, for the preconditioner.
const SPREAD: f64 = 0.05;

/// Configuration of a [`LinearProbe`].
#[derive(Config, Debug)]
pub struct LinearProbeConfig {
    /// Steps of L-BFGS at most, each over the whole training set. Default: `500`.
    #[config(default = 500)]
    pub steps: usize,
    /// Weight of half the squared norm of the weights, on standardized features; zero or above.
    /// Default: `1e-3`.
    #[config(default = 1e-3)]
    pub weight_decay: f64,
    /// The fit ends when no component of the gradient is larger than this. Default: `3e-5`.
    #[config(default = 3e-5)]
    pub tolerance: f64,
}

impl LinearProbeConfig {
    /// Whether every hyper-parameter is in its range.
    ///
    /// # Errors
    ///
    /// If `steps` or `tolerance` is not above zero, or `weight_decay` is negative or not finite.
    pub fn check(&self) -> Result<(), HyperParameterError> {
        require(self.steps > 0, || {
            "a linear probe needs at least one step, got 0".to_owned()
        })?;
        require(self.tolerance > 0.0, || {
            format!(
                "the tolerance of a linear probe must be above 0, got {}",
                self.tolerance
            )
        })?;
        require(
            self.weight_decay >= 0.0 && self.weight_decay.is_finite(),
            || {
                format!(
                    "the weight decay of a linear probe must be at least 0 and finite, got {}",
                    self.weight_decay
                )
            },
        )?;
        Ok(())
    }

    /// Fits the probe.
    ///
    /// Minimizes, from zero, with `x` the features standardized by their mean and standard
    /// deviation over the training set:
    ///
    /// ```text
    /// 1/n * sum_i -log softmax(x_i W + b)[y_i] + weight_decay / 2 * ||W||^2
    /// ```
    ///
    /// A feature that does not vary over the training set is left out. The minimum is unique for
    /// a `weight_decay` above zero, and L-BFGS on the full batch takes no learning rate and draws
    /// no random number. It is preconditioned by the inverse covariance of the features, which is
    /// `d^3` work on the host, once. Matrix products run on the features' device, the rest on the
    /// host in double precision. Gradients do not flow through it; features that carry autodiff
    /// are taken off it.
    ///
    /// # Shapes
    ///
    /// * `features`: `[n, d]`, with `n` labels below `classes`
    ///
    /// # Panics
    ///
    /// If [`check`](Self::check) finds an error, `n` or `classes` is 0, the labels are not `n`, a label is not below `classes`, or a feature
    /// has a mean or deviation that is not finite.
    pub fn fit(&self, features: &Tensor<2>, labels: &[usize], classes: usize) -> LinearProbe {
        self.check().unwrap_or_else(|error| panic!("{error}"));
        let [rows, dimension] = features.dims();
        assert!(rows > 0, "a linear probe needs at least one row, got 0");
        assert!(
            classes > 0,
            "a linear probe needs at least one class, got 0"
        );
        assert_labels(labels, rows);
        for (row, &label) in labels.iter().enumerate() {
            assert!(
                label < classes,
                "row {row} has the label {label}, which is not below {classes}"
            );
        }

        let features = features.clone().without_autodiff();
        let (mean, scale) = standardization(&features);
        let mut problem = Problem {
            features: features.sub(mean.clone()).mul(scale.clone()),
            labels,
            classes,
            weight_decay: self.weight_decay,
            logits: vec![0.0; rows * classes],
        };
        let solution = problem.minimize(dimension, self.steps, self.tolerance);

        let device = mean.device();
        let (weight, bias) = solution.parameters.split_at(dimension * classes);
        LinearProbe {
            mean,
            scale,
            weight: to_tensor(weight, [dimension, classes], &device),
            bias: to_tensor(bias, [1, classes], &device),
            steps: solution.steps,
            loss: solution.loss,
            gradient: solution.gradient,
        }
    }
}

/// A fitted linear classifier; built by [`LinearProbeConfig::fit`].
#[derive(Debug, Clone)]
pub struct LinearProbe {
    mean: Tensor<2>,
    scale: Tensor<2>,
    weight: Tensor<2>,
    bias: Tensor<2>,
    steps: usize,
    loss: f64,
    gradient: f64,
}

impl LinearProbe {
    /// The logit of every class, `[n, classes]`, off autodiff, for features `[n, d]`.
    pub fn logits(&self, features: &Tensor<2>) -> Tensor<2> {
        let features = features.clone().without_autodiff();
        let device = features.device();
        features
            .sub(self.mean.clone().to_device(&device))
            .mul(self.scale.clone().to_device(&device))
            .matmul(self.weight.clone().to_device(&device))
            .add(self.bias.clone().to_device(&device))
    }

    /// The class with the largest logit for each row of `[n, d]`; the smaller of equal ones.
    pub fn predict(&self, features: &Tensor<2>) -> Vec<usize> {
        let logits = self.logits(features);
        let [_, classes] = logits.dims();
        read(logits)
            .chunks_exact(classes)
            .map(|row| {
                row.iter().enumerate().fold(
                    0,
                    |best, (class, &logit)| {
                        if logit > row[best] { class } else { best }
                    },
                )
            })
            .collect()
    }

    /// The fraction of rows of `[n, d]` classified as labelled, in `[0, 1]`.
    ///
    /// # Panics
    ///
    /// If there are no rows or the labels are not as many.
    pub fn accuracy(&self, features: &Tensor<2>, labels: &[usize]) -> f64 {
        let [rows, _] = features.dims();
        assert!(rows > 0, "an accuracy needs at least one row, got 0");
        assert_labels(labels, rows);
        let hits = self
            .predict(features)
            .iter()
            .zip(labels)
            .filter(|(prediction, label)| prediction == label)
            .count();
        hits as f64 / rows as f64
    }

    /// Steps that the fit took.
    pub fn steps(&self) -> usize {
        self.steps
    }

    /// The objective at the solution.
    pub fn loss(&self) -> f64 {
        self.loss
    }

    /// The largest component, in absolute value, of the objective's gradient at the solution:
    /// at most the tolerance where the fit has converged.
    pub fn gradient(&self) -> f64 {
        self.gradient
    }
}

fn assert_labels(labels: &[usize], rows: usize) {
    assert_eq!(
        labels.len(),
        rows,
        "there are {rows} rows of features but {} labels",
        labels.len()
    );
}

fn read(tensor: Tensor<2>) -> Vec<f32> {
    tensor
        .try_into_vec_as::<f32>()
        .expect("the values can be read back")
}

fn to_tensor(values: &[f64], shape: [usize; 2], device: &Device) -> Tensor<2> {
    let values: Vec<f32> = values.iter().map(|&value| value as f32).collect();
    Tensor::from_data(TensorData::new(values, shape), device)
}

/// The mean of each feature and one over its standard deviation, 0 where the feature is constant.
/// Both are `[1, d]`.
fn standardization(features: &Tensor<2>) -> (Tensor<2>, Tensor<2>) {
    let mean = features.clone().mean_dim(0);
    let deviation = features
        .clone()
        .sub(mean.clone())
        .square()
        .mean_dim(0)
        .sqrt();
    let [_, dimension] = mean.dims();
    let scale: Vec<f64> = read(mean.clone())
        .iter()
        .zip(read(deviation))
        .enumerate()
        .map(|(feature, (mean, deviation))| {
            assert!(
                mean.is_finite() && deviation.is_finite(),
                "feature {feature} has the mean {mean} and the standard deviation {deviation}"
            );
            // What the rounding of the mean alone leaves of a constant.
            if deviation <= 1e-6 * mean.abs() || deviation < 1e-18 {
                0.0
            } else {
                1.0 / f64::from(deviation)
            }
        })
        .collect();
    let scale = to_tensor(&scale, [1, dimension], &mean.device());
    (mean, scale)
}

struct Solution {
    /// `W` by rows, then `b`.
    parameters: Vec<f64>,
    steps: usize,
    loss: f64,
    gradient: f64,
}

/// The objective of the fit at the point that its logits are those of.
struct Problem<'a> {
    /// Standardized, `[n, d]`.
    features: Tensor<2>,
    labels: &'a [usize],
    classes: usize,
    weight_decay: f64,
    /// `[n, classes]`.
    logits: Vec<f64>,
}

impl Problem<'_> {
    /// L-BFGS (Nocedal and Wright, "Numerical Optimization", 2006, algorithm 7.5), preconditioned.
    ///
    /// The logits are linear in the parameters, so that a line search needs those of the direction
    /// once and no further product with the features.
    fn minimize(&mut self, dimension: usize, steps: usize, tolerance: f64) -> Solution {
        let weights = dimension * self.classes;
        let mut parameters = vec![0.0; weights + self.classes];
        let (mut loss, mut gradient) = self.evaluate(&parameters[..weights]);
        let preconditioner = Preconditioner::new(&self.features, self.weight_decay);
        let mut history = History::default();
        let mut taken = 0;
        while taken < steps && largest(&gradient) > tolerance {
            let direction = history.direction(&gradient, &preconditioner);
            let change = self.logits_of(&direction, dimension);
            let Some(step) = self.line_search(&parameters, &direction, &change, &gradient) else {
                break;
            };
            for (parameter, direction) in parameters.iter_mut().zip(&direction) {
                *parameter += step * direction;
            }
            for (logit, change) in self.logits.iter_mut().zip(&change) {
                *logit += step * change;
            }
            let previous = gradient;
            (loss, gradient) = self.evaluate(&parameters[..weights]);
            history.push(
                direction.iter().map(|direction| step * direction).collect(),
                gradient.iter().zip(&previous).map(|(a, b)| a - b).collect(),
            );
            taken += 1;
        }
        Solution {
            parameters,
            steps: taken,
            loss,
            gradient: largest(&gradient),
        }
    }

    /// The objective and its gradient.
    fn evaluate(&self, weight: &[f64]) -> (f64, Vec<f64>) {
        let classes = self.classes;
        let rows = self.labels.len();
        let mut residual = vec![0.0f32; self.logits.len()];
        let mut bias = vec![0.0; classes];
        let mut loss = 0.0;
        let mut probabilities = vec![0.0; classes];
        for ((logits, residual), &label) in self
            .logits
            .chunks_exact(classes)
            .zip(residual.chunks_exact_mut(classes))
            .zip(self.labels)
        {
            loss += softmax(logits, &mut probabilities) - logits[label];
            probabilities[label] -= 1.0;
            for ((bias, residual), probability) in bias.iter_mut().zip(residual).zip(&probabilities)
            {
                let value = probability / rows as f64;
                *bias += value;
                *residual = value as f32;
            }
        }
        let device = self.features.device();
        let residual = Tensor::from_data(TensorData::new(residual, [rows, classes]), &device);
        let product = self.features.clone().transpose().matmul(residual);
        let gradient = read(product)
            .into_iter()
            .zip(weight)
            .map(|(data, weight)| f64::from(data) + self.weight_decay * weight)
            .chain(bias)
            .collect();
        (
            loss / rows as f64 + 0.5 * self.weight_decay * dot(weight, weight),
            gradient,
        )
    }

    /// The change of the logits along a direction of the parameters.
    fn logits_of(&self, direction: &[f64], dimension: usize) -> Vec<f64> {
        let (weight, bias) = direction.split_at(dimension * self.classes);
        let weight = to_tensor(weight, [dimension, self.classes], &self.features.device());
        let mut logits: Vec<f64> = read(self.features.clone().matmul(weight))
            .into_iter()
            .map(f64::from)
            .collect();
        for row in logits.chunks_exact_mut(self.classes) {
            for (logit, bias) in row.iter_mut().zip(bias) {
                *logit += bias;
            }
        }
        logits
    }

    /// A step along a direction at which the slope is at most nine tenths of the first one in
    /// absolute value, by Newton's method inside a bracket; the objective is convex. None where
    /// the direction does not descend.
    fn line_search(
        &self,
        parameters: &[f64],
        direction: &[f64],
        change: &[f64],
        gradient: &[f64],
    ) -> Option<f64> {
        let first = dot(direction, gradient);
        if first >= 0.0 || !first.is_finite() {
            return None;
        }
        let weights = parameters.len() - self.classes;
        let decay = self.weight_decay * dot(&parameters[..weights], &direction[..weights]);
        let decay_curvature = self.weight_decay * dot(&direction[..weights], &direction[..weights]);

        let (mut low, mut high) = (0.0, f64::INFINITY);
        let mut step = 1.0;
        for _ in 0..LINE_SEARCH {
            let (slope, curvature) = self.slope(change, step);
            let slope = slope + decay + step * decay_curvature;
            let curvature = curvature + decay_curvature;
            if slope.abs() <= 0.9 * first.abs() {
                return Some(step);
            }
            if slope < 0.0 {
                low = step;
            } else {
                high = step;
            }
            let newton = step - slope / curvature;
            step = if newton > low && newton < high {
                // A nearly flat end of the objective sends Newton's step far away.
                newton.min(10.0 * step)
            } else if high.is_finite() {
                0.5 * (low + high)
            } else {
                10.0 * step
            };
        }
        // Below the minimizer the objective is still lower than at the start.
        (low > 0.0).then_some(low)
    }

    /// The first and second derivative of the mean cross-entropy along a change of the logits.
    fn slope(&self, change: &[f64], step: f64) -> (f64, f64) {
        let classes = self.classes;
        let mut logits = vec![0.0; classes];
        let mut probabilities = vec![0.0; classes];
        let (mut slope, mut curvature) = (0.0, 0.0);
        for ((start, change), &label) in self
            .logits
            .chunks_exact(classes)
            .zip(change.chunks_exact(classes))
            .zip(self.labels)
        {
            for ((logit, start), change) in logits.iter_mut().zip(start).zip(change) {
                *logit = start + step * change;
            }
            softmax(&logits, &mut probabilities);
            let mean = dot(&probabilities, change);
            slope += mean - change[label];
            curvature += probabilities
                .iter()
                .zip(change)
                .map(|(probability, change)| probability * (change - mean).powi(2))
                .sum::<f64>();
        }
        let rows = self.labels.len() as f64;
        (slope / rows, curvature / rows)
    }
}

/// Writes the softmax and returns the logarithm of the sum of exponentials.
fn softmax(logits: &[f64], probabilities: &mut [f64]) -> f64 {
    let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mut sum = 0.0;
    for (probability, logit) in probabilities.iter_mut().zip(logits) {
        *probability = (logit - largest).exp();
        sum += *probability;
    }
    for probability in probabilities {
        *probability /= sum;
    }
    largest + sum.ln()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    const LANES: usize = 8;
    // Independent sums, which the compiler may put into one register.
    let mut sums = [0.0; LANES];
    let (a_blocks, b_blocks) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let rest: f64 = a_blocks
        .remainder()
        .iter()
        .zip(b_blocks.remainder())
        .map(|(a, b)| a * b)
        .sum();
    for (a, b) in a_blocks.zip(b_blocks) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
    rest + sums.iter().sum::<f64>()
}

fn largest(values: &[f64]) -> f64 {
    values
        .iter()
        .fold(0.0, |largest, value| value.abs().max(largest))
}

/// The inverse of `X^T X / n + ridge`, which is the Hessian of one class's weights up to a factor
/// if every row has the same probabilities.
struct Preconditioner {
    inverse: Tensor<2>,
}

impl Preconditioner {
    fn new(features: &Tensor<2>, weight_decay: f64) -> Self {
        let [rows, dimension] = features.dims();
        let covariance = features.clone().transpose().matmul(features.clone());
        let mut matrix: Vec<f64> = read(covariance)
            .into_iter()
            .map(|value| f64::from(value) / rows as f64)
            .collect();
        // Above the rounding of the covariance, whose trace is at most the dimension.
        let ridge = (weight_decay / SPREAD).max(1e-6 * dimension as f64);
        for diagonal in matrix.iter_mut().step_by(dimension + 1) {
            *diagonal += ridge;
        }
        invert(&mut matrix, dimension, ridge);
        Self {
            inverse: to_tensor(&matrix, [dimension, dimension], &features.device()),
        }
    }

    /// The inverse times the weights; the biases as they are.
    fn apply(&self, parameters: &[f64]) -> Vec<f64> {
        // Parameters are [d + 1, classes], biases last.
        let [dimension, _] = self.inverse.dims();
        let classes = parameters.len() / (dimension + 1);
        let (weight, bias) = parameters.split_at(dimension * classes);
        let weight = to_tensor(weight, [dimension, classes], &self.inverse.device());
        read(self.inverse.clone().matmul(weight))
            .into_iter()
            .map(f64::from)
            .chain(bias.iter().copied())
            .collect()
    }
}

/// Inverts a symmetric positive definite matrix in place, by Cholesky; pivots that rounding has
/// made smaller than `floor` are raised to it.
fn invert(matrix: &mut [f64], size: usize, floor: f64) {
    // The factor L, in the lower triangle.
    for i in 0..size {
        let (above, row) = matrix.split_at_mut(i * size);
        for (j, other) in above.chunks_exact(size).enumerate() {
            row[j] = (row[j] - dot(&row[..j], &other[..j])) / other[j];
        }
        row[i] = (row[i] - dot(&row[..i], &row[..i])).max(floor).sqrt();
    }
    // Row j of `inverse` is column j of the inverse of L, so that the products are along rows.
    let mut inverse = vec![0.0; size * size];
    for (j, column) in inverse.chunks_exact_mut(size).enumerate() {
        column[j] = matrix[j * size + j].recip();
        for i in j + 1..size {
            let row = &matrix[i * size..(i + 1) * size];
            column[i] = -dot(&row[j..i], &column[j..i]) / row[i];
        }
    }
    for i in 0..size {
        for j in 0..=i {
            let rows = (&inverse[i * size..], &inverse[j * size..]);
            let value = dot(&rows.0[i..size], &rows.1[i..size]);
            matrix[i * size + j] = value;
            matrix[j * size + i] = value;
        }
    }
}

/// The last steps and changes of the gradient, with one over their product.
#[derive(Default)]
struct History {
    pairs: VecDeque<(Vec<f64>, Vec<f64>, f64)>,
}

impl History {
    fn push(&mut self, step: Vec<f64>, change: Vec<f64>) {
        let product = dot(&step, &change);
        // Rounding near the minimum can make a product that convexity forbids.
        if product <= f64::EPSILON * dot(&change, &change) {
            return;
        }
        if self.pairs.len() == MEMORY {
            self.pairs.pop_front();
        }
        self.pairs.push_back((step, change, product.recip()));
    }

    /// Minus the approximate inverse Hessian times the gradient.
    fn direction(&self, gradient: &[f64], preconditioner: &Preconditioner) -> Vec<f64> {
        let mut direction: Vec<f64> = gradient.iter().map(|value| -value).collect();
        let Some((_, change, inverse)) = self.pairs.back() else {
            return preconditioner.apply(&direction);
        };
        let scale = (inverse * dot(change, &preconditioner.apply(change))).recip();
        let mut weights = Vec::with_capacity(self.pairs.len());
        for (step, change, inverse) in self.pairs.iter().rev() {
            let weight = inverse * dot(step, &direction);
            add(&mut direction, -weight, change);
            weights.push(weight);
        }
        direction = preconditioner.apply(&direction);
        for value in &mut direction {
            *value *= scale;
        }
        for ((step, change, inverse), weight) in self.pairs.iter().zip(weights.iter().rev()) {
            let correction = weight - inverse * dot(change, &direction);
            add(&mut direction, correction, step);
        }
        direction
    }
}

fn add(target: &mut [f64], factor: f64, other: &[f64]) {
    for (target, other) in target.iter_mut().zip(other) {
        *target += factor * other;
    }
}

#[cfg(test)]
mod tests {
    use approx::assert_abs_diff_eq;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    fn matrix(values: Vec<f32>, columns: usize) -> Tensor<2> {
        let rows = values.len() / columns;
        Tensor::from_data(TensorData::new(values, [rows, columns]), &Device::default())
    }

    /// Points around three corners, with their labels.
    fn blobs(rows: usize, spread: f32, seed: u64) -> (Tensor<2>, Vec<usize>) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let corners = [[0.0, 0.0], [4.0, 0.0], [0.0, 4.0]];
        let labels: Vec<usize> = (0..rows).map(|row| row % 3).collect();
        let mut values = Vec::new();
        for &label in &labels {
            for corner in corners[label] {
                values.push(corner + rng.random_range(-spread..spread));
            }
        }
        (matrix(values, 2), labels)
    }

    #[test]
    fn separable_classes_are_all_right() {
        let (features, labels) = blobs(300, 1.0, 1);
        let (held_out, held_out_labels) = blobs(300, 1.0, 2);
        let probe = LinearProbeConfig::new().fit(&features, &labels, 3);
        assert_eq!(probe.accuracy(&features, &labels), 1.0);
        assert_eq!(probe.accuracy(&held_out, &held_out_labels), 1.0);
    }

    #[test]
    fn random_labels_are_right_by_chance() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let mut sample = |rows: usize| {
            let values = (0..rows * 20)
                .map(|_| rng.random_range(-1.0f32..1.0))
                .collect();
            let labels: Vec<usize> = (0..rows).map(|_| rng.random_range(0..10)).collect();
            (matrix(values, 20), labels)
        };
        let (features, labels) = sample(2000);
        let (held_out, held_out_labels) = sample(4000);
        let probe = LinearProbeConfig::new().fit(&features, &labels, 10);
        let accuracy = probe.accuracy(&held_out, &held_out_labels);
        // Six standard deviations of 4000 draws at one in ten.
        assert_abs_diff_eq!(accuracy, 0.1, epsilon = 0.03);
    }

    // Without a penalty the fitted probabilities of two groups are the observed fractions: with
    // 3 of 4 in class 1 at x = 1 and 1 of 4 at x = -1, the logits at x = 1 differ by ln 3.
    #[test]
    fn two_groups_have_the_observed_odds() {
        let features = matrix(vec![1.0, 1.0, 1.0, 1.0, -1.0, -1.0, -1.0, -1.0], 1);
        let labels = [1, 1, 1, 0, 0, 0, 0, 1];
        let probe = LinearProbeConfig::new()
            .with_weight_decay(0.0)
            .with_tolerance(1e-7)
            .fit(&features, &labels, 2);
        let logits = read(probe.logits(&matrix(vec![1.0, -1.0], 1)));
        assert_abs_diff_eq!(logits[1] - logits[0], 3.0f32.ln(), epsilon = 1e-5);
        assert_abs_diff_eq!(logits[3] - logits[2], -3.0f32.ln(), epsilon = 1e-5);
        // The entropy of 3 in 4.
        let entropy = -(0.75f64 * 0.75f64.ln() + 0.25 * 0.25f64.ln());
        assert_abs_diff_eq!(probe.loss(), entropy, epsilon = 1e-7);
    }

    #[test]
    fn the_gradient_at_the_solution_is_small() {
        let (features, labels) = blobs(300, 4.0, 4);
        let config = LinearProbeConfig::new().with_tolerance(1e-6);
        let probe = config.fit(&features, &labels, 3);
        assert!(probe.steps() < config.steps, "{} steps", probe.steps());
        assert!(probe.gradient() <= 1e-6, "{}", probe.gradient());

        // The gradient of the weights again, in plain loops.
        let standard = features.sub(probe.mean.clone()).mul(probe.scale.clone());
        let rows = read(standard.clone());
        let logits = read(
            standard
                .matmul(probe.weight.clone())
                .add(probe.bias.clone()),
        );
        let mut gradient: Vec<f64> = read(probe.weight.clone())
            .iter()
            .map(|&weight| config.weight_decay * f64::from(weight))
            .collect();
        for (row, &label) in labels.iter().enumerate() {
            let logits = &logits[3 * row..3 * row + 3];
            let sum: f64 = logits.iter().map(|&logit| f64::from(logit).exp()).sum();
            for (class, &logit) in logits.iter().enumerate() {
                let probability = f64::from(logit).exp() / sum;
                let residual = probability - f64::from(u8::from(class == label));
                for feature in 0..2 {
                    gradient[3 * feature + class] +=
                        residual * f64::from(rows[2 * row + feature]) / 300.0;
                }
            }
        }
        assert!(largest(&gradient) < 1e-5, "{gradient:?}");
    }

    #[test]
    fn inverse_of_a_known_matrix() {
        // (2 1; 1 2) and a third that is apart.
        let mut matrix = [2.0, 1.0, 0.0, 1.0, 2.0, 0.0, 0.0, 0.0, 4.0];
        invert(&mut matrix, 3, 1e-9);
        let expected = [2.0, -1.0, 0.0, -1.0, 2.0, 0.0, 0.0, 0.0, 0.75];
        for (value, expected) in matrix.iter().zip(expected) {
            assert_abs_diff_eq!(*value, expected / 3.0, epsilon = 1e-12);
        }
    }

    #[test]
    fn constant_features_change_nothing() {
        let (features, labels) = blobs(300, 3.0, 5);
        let constant = matrix(vec![0.1; 300], 1);
        let zero = matrix(vec![0.0; 300], 1);
        let wide = Tensor::cat(vec![constant, features.clone(), zero], 1);
        let config = LinearProbeConfig::new().with_tolerance(1e-6);
        let narrow_logits = read(config.fit(&features, &labels, 3).logits(&features));
        let wide_logits = read(config.fit(&wide, &labels, 3).logits(&wide));
        for (narrow, wide) in narrow_logits.iter().zip(&wide_logits) {
            assert_abs_diff_eq!(narrow, wide, epsilon = 1e-4);
        }
    }

    #[test]
    fn the_scale_of_a_feature_changes_nothing() {
        let (features, labels) = blobs(300, 3.0, 6);
        let probe = LinearProbeConfig::new().fit(&features, &labels, 3);
        let large = features.clone().mul_scalar(1e4).add_scalar(1e4);
        let large_probe = LinearProbeConfig::new().fit(&large, &labels, 3);
        assert_abs_diff_eq!(probe.loss(), large_probe.loss(), epsilon = 1e-5);
    }

    // Raw pixels of the shipped Fashion-MNIST. The minimum of the objective is 0.203134, that of a
    // fit with the tolerance 1e-6; 0.833 is the accuracy there.
    #[test]
    fn fashion_mnist_pixels() {
        let data = datasets::fashion_mnist::mini();
        let pixels = |set: &datasets::ImageSet| {
            let values = set.pixels().iter().map(|&pixel| f32::from(pixel)).collect();
            matrix(values, 28 * 28)
        };
        let probe = LinearProbeConfig::new().fit(&pixels(&data.train), data.train.labels(), 10);
        assert_abs_diff_eq!(probe.loss(), 0.203_134, epsilon = 2e-4);
        let accuracy = probe.accuracy(&pixels(&data.test), data.test.labels());
        assert_abs_diff_eq!(accuracy, 0.833, epsilon = 0.008);
    }

    #[test]
    fn features_on_autodiff_give_the_same_probe() {
        let (features, labels) = blobs(60, 3.0, 7);
        let tracked = features.clone().autodiff().require_grad();
        let config = LinearProbeConfig::new();
        let plain = config.fit(&features, &labels, 3);
        let probe = config.fit(&tracked, &labels, 3);
        assert_eq!(read(probe.logits(&tracked)), read(plain.logits(&features)));
    }

    #[test]
    #[should_panic(expected = "row 2 has the label 2, which is not below 2")]
    fn a_label_above_the_classes_is_refused() {
        let (features, labels) = blobs(6, 1.0, 8);
        LinearProbeConfig::new().fit(&features, &labels, 2);
    }

    #[test]
    #[should_panic(expected = "feature 0 has the mean NaN")]
    fn a_feature_that_is_not_a_number_is_refused() {
        LinearProbeConfig::new().fit(&matrix(vec![1.0, f32::NAN], 1), &[0, 1], 2);
    }
}
