//! Which trainings a sweep has.

use std::fmt;

use fullrank_study::Case;
use serde::{Deserialize, Serialize};

use super::Part;
use crate::cell::Cell;
use crate::config::{LossName, RegularizerName, RunConfig};
use crate::evaluation::Evaluation;

/// The settings of the grid.
#[derive(Clone, Debug)]
pub struct GridConfig {
    /// The losses, each with its learning rates by rising size; the first two are the headline.
    pub losses: Vec<(LossName, Vec<f64>)>,
    /// The seeds of every training.
    pub seeds: Vec<u64>,
    /// The seeds more for the headline: the first two losses at the largest learning rate.
    pub headline_seeds: Vec<u64>,
    /// The losses that spread-out stands beside.
    pub spread_out: Vec<LossName>,
    /// The classes in a contrastive batch, each with as many images as otherwise.
    pub batch_classes: Vec<usize>,
    /// The learning rate over the batch sizes.
    pub batch_rate: f64,
    /// The weights of SVMax.
    pub lambdas: Vec<f64>,
    /// The losses over the weight.
    pub lambda_losses: Vec<LossName>,
    /// The learning rate over the weights.
    pub lambda_rate: f64,
}

impl Default for GridConfig {
    fn default() -> Self {
        use LossName::{Angular, Contrastive, NPair, Triplet};
        Self {
            losses: vec![
                (Contrastive, vec![0.01, 0.1, 1.0]),
                (NPair, vec![0.01, 0.1, 1.0]),
                // It bears ten times the learning rate of the others.
                (Triplet, vec![0.1, 1.0, 10.0]),
                (Angular, vec![0.01, 0.1, 1.0]),
            ],
            seeds: vec![1, 2],
            headline_seeds: vec![3],
            spread_out: vec![Contrastive, Triplet],
            batch_classes: vec![9, 18, 36, 72],
            batch_rate: 1.0,
            lambdas: vec![0.01, 0.1, 1.0, 10.0],
            lambda_losses: vec![Contrastive, Triplet],
            lambda_rate: 1.0,
        }
    }
}

/// One training of the grid.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// The loss, the regularizer and the learning rate.
    pub cell: Cell,
    /// Classes in a batch.
    pub classes_per_batch: usize,
    /// Images of each class in a batch.
    pub images_per_class: usize,
    /// The weight of SVMax; 0 without it.
    pub lambda: f64,
    /// The seed.
    pub seed: u64,
}

/// What came of a training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// The training.
    pub point: Point,
    /// The measurements; none if the weights did not stay finite.
    pub evaluation: Option<Evaluation>,
    /// The seconds of training and evaluation.
    pub seconds: f64,
}

impl Point {
    /// The name of its file.
    pub fn key(&self) -> String {
        let (cell, batch) = (self.cell.key(), self.batch_size());
        format!(
            "{cell}-lambda-{}-batch-{batch}-seed-{}",
            self.lambda, self.seed
        )
    }

    /// Its name in the progress.
    pub fn title(&self) -> String {
        format!(
            "{}, lambda {}, batch {}, seed {}",
            self.cell.title(),
            self.lambda,
            self.batch_size(),
            self.seed
        )
    }

    /// Whether two are of the same training but for its seed.
    pub fn repeats(&self, other: &Self) -> bool {
        let seed = other.seed;
        Self {
            seed,
            ..self.clone()
        } == *other
    }

    /// Images in a batch.
    pub fn batch_size(&self) -> usize {
        self.classes_per_batch * self.images_per_class
    }

    /// The configuration of its training.
    pub fn config(&self, common: &RunConfig) -> RunConfig {
        let mut config = common.clone();
        config.seeds = vec![self.seed];
        let objective = config.objectives.of_mut(self.cell.loss);
        objective.classes_per_batch = self.classes_per_batch;
        objective.svmax_weight = self.lambda;
        config
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.evaluation {
            Some(evaluation) => write!(f, "{evaluation}")?,
            None => write!(f, "diverged")?,
        }
        write!(f, " ({:.0} s)", self.seconds)
    }
}

impl GridConfig {
    /// The learning rates of a loss, by rising size.
    pub fn rates_of(&self, loss: LossName) -> &[f64] {
        let known = self.losses.iter().find(|(name, _)| *name == loss);
        known.map_or(&[], |(_, rates)| rates)
    }

    /// Every learning rate of some loss, by rising size.
    pub fn all_rates(&self) -> Vec<f64> {
        let mut rates: Vec<f64> = self.losses.iter().flat_map(|(_, r)| r).copied().collect();
        rates.sort_by(f64::total_cmp);
        rates.dedup();
        rates
    }

    /// The points of these parts, the most important first, each once.
    pub fn points(&self, common: &RunConfig, parts: &[Part]) -> Vec<Point> {
        let mut points = Vec::new();
        for part in [Part::Lr, Part::Batch, Part::Lambda, Part::SpreadOut] {
            if parts.contains(&part) {
                for point in self.part(common, part) {
                    if !points.contains(&point) {
                        points.push(point);
                    }
                }
            }
        }
        points
    }

    /// A configuration that names everything the grid uses, to be checked before it starts.
    pub(super) fn checked(&self, common: &RunConfig) -> RunConfig {
        let mut config = common.clone();
        config.losses = self.losses.iter().map(|(loss, _)| *loss).collect();
        config.learning_rates = self.all_rates();
        config.seeds.clone_from(&self.seeds);
        config.regularizers = vec![
            RegularizerName::None,
            RegularizerName::Svmax,
            RegularizerName::SpreadOut,
        ];
        let largest = self.batch_classes.iter().copied().max();
        let contrastive = config.objectives.of_mut(LossName::Contrastive);
        contrastive.classes_per_batch = largest.unwrap_or(contrastive.classes_per_batch);
        config
    }

    /// The regularizers that stand beside a loss over the learning rate.
    pub(super) fn beside(&self, loss: LossName) -> Vec<RegularizerName> {
        let mut beside = BOTH.to_vec();
        if self.spread_out.contains(&loss) {
            beside.push(RegularizerName::SpreadOut);
        }
        beside
    }

    fn part(&self, common: &RunConfig, part: Part) -> Vec<Point> {
        let mut points = Vec::new();
        for &seed in &self.seeds {
            match part {
                Part::Lr => {
                    for (loss, rates) in &self.losses {
                        for &rate in rates.iter().rev() {
                            points.extend(BOTH.map(|r| point(common, *loss, r, rate, seed)));
                        }
                    }
                }
                Part::Batch => {
                    for &classes in &self.batch_classes {
                        points.extend(BOTH.map(|r| self.of_batch(common, r, classes, seed)));
                    }
                }
                Part::Lambda => {
                    for &loss in &self.lambda_losses {
                        let lambdas = self.lambdas.iter();
                        points.extend(lambdas.map(|&l| self.of_lambda(common, loss, l, seed)));
                    }
                }
                Part::SpreadOut => {
                    for &loss in &self.spread_out {
                        let beside = RegularizerName::SpreadOut;
                        let rates = self.rates_of(loss).iter().rev();
                        points.extend(rates.map(|&r| point(common, loss, beside, r, seed)));
                    }
                }
                Part::Circle => {}
            }
        }
        if part == Part::Lr {
            for &seed in &self.headline_seeds {
                for (loss, rates) in self.losses.iter().take(2) {
                    if let Some(&rate) = rates.last() {
                        points.extend(BOTH.map(|r| point(common, *loss, r, rate, seed)));
                    }
                }
            }
        }
        points
    }

    /// A training of the comparison of batch sizes.
    pub(super) fn of_batch(
        &self,
        common: &RunConfig,
        regularizer: RegularizerName,
        classes_per_batch: usize,
        seed: u64,
    ) -> Point {
        let rate = self.batch_rate;
        Point {
            classes_per_batch,
            ..point(common, LossName::Contrastive, regularizer, rate, seed)
        }
    }

    /// A training of the comparison of weights; the weight 0 is that without SVMax.
    pub(super) fn of_lambda(
        &self,
        common: &RunConfig,
        loss: LossName,
        lambda: f64,
        seed: u64,
    ) -> Point {
        let regularizer = match lambda {
            0.0 => RegularizerName::None,
            _ => RegularizerName::Svmax,
        };
        Point {
            lambda,
            ..point(common, loss, regularizer, self.lambda_rate, seed)
        }
    }
}

/// Without a regularizer, and with the one that this is about.
pub(super) const BOTH: [RegularizerName; 2] = [RegularizerName::None, RegularizerName::Svmax];

/// A training as the run has it.
pub(super) fn point(
    common: &RunConfig,
    loss: LossName,
    regularizer: RegularizerName,
    learning_rate: f64,
    seed: u64,
) -> Point {
    let objective = common.objectives.of(loss);
    Point {
        cell: Cell {
            loss,
            regularizer,
            learning_rate,
        },
        classes_per_batch: objective.classes_per_batch,
        images_per_class: objective.images_per_class,
        lambda: match regularizer {
            RegularizerName::Svmax => objective.svmax_weight,
            _ => 0.0,
        },
        seed,
    }
}
