//! The study: which trainings, how, and what is measured on them.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Result, ensure};
use burn::lr_scheduler::module_lr_scheduler::ModuleLrScheduler;
use burn::tensor::Device;
use burn::train::{SupervisedTraining, TrainLoader, ValidLoader};
use fullrank::TwoViewLoss;
use fullrank_files::npy::{write_labels, write_matrix};
use fullrank_report::Report;
use fullrank_study::configuration::key;
use fullrank_study::data::Data;
use fullrank_study::{
    Case, Column, Findings, Measured, Measuring, Study, Subject, Training, Workers,
};
use fullrank_train::metrics::{
    EffectiveRankMetric, MeanSingularValueMetric, MeanStdMetric, MetricExt, with_loss_and_terms,
};
use fullrank_train::optimizer::OptimizerConfig;
use fullrank_train::schedule::WarmupCosineConfig;
use fullrank_train::session::progress::Shown;
use fullrank_train::session::weights;
use fullrank_vision::loader::ViewLoader;

use crate::config::{Accumulation, Method, RunConfig};
use crate::cost::Cost;
use crate::evaluation::{Evaluation, evaluate, evaluate_pixels};
use crate::model::SelfSupervised;
use crate::report;

impl Case for Method {
    fn key(&self) -> String {
        key(*self)
    }

    fn title(&self) -> String {
        Method::title(*self).to_owned()
    }
}

/// The file in a training's folder that holds its encoder.
pub const ENCODER: &str = "encoder.bpk";
const EXPANDER: &str = "expander.bpk";
/// The file in a training's folder that holds the embedding of the test images, for the first seed.
pub const EMBEDDING: &str = "embedding.npy";
/// The same of the representation.
pub const REPRESENTATION: &str = "representation.npy";
/// The file in a run's folder that holds the labels of the test images.
pub const LABELS: &str = "labels.npy";

impl Study for RunConfig {
    type Data = Data;
    type Case = Method;
    type Model = SelfSupervised;
    type Evaluation = Evaluation;

    const TITLE: &'static str = "Self-supervised training";
    const COMPLETE: &'static str = ENCODER;
    const CASE: &'static str = "method";

    fn from_json(text: &str) -> Result<Self> {
        Self::from_json(text, None)
    }

    fn shared(self, workers: Workers) -> Result<Self> {
        Ok(Self {
            workers: Some(workers),
            ..self
        })
    }

    fn workers(&self) -> Option<&Workers> {
        self.workers.as_ref()
    }

    fn data(&self) -> Result<Data> {
        Data::load(&self.data)
    }

    fn check(&self, data: &Data) -> Result<()> {
        self.validate()?;
        let (batch, images) = (self.batch_size, data.train.len());
        ensure!(
            batch <= images,
            "a batch of {batch} cannot be filled from {images} images"
        );
        let workers = self.workers.as_ref().map_or(1, |w| w.group().size());
        ensure!(
            workers <= batch,
            "a batch of {batch} is too small for {workers} processes"
        );
        ensure!(
            workers == 1 || !matches!(self.accumulation, Some(Accumulation::Naive(_))),
            "naive accumulation is for one process"
        );
        self.views.check()?;
        self.optimizer.check()?;
        for &method in &self.methods {
            self.objectives.check(method)?;
        }
        Ok(())
    }

    fn cases(&self) -> Vec<Method> {
        self.methods.clone()
    }

    fn seeds(&self) -> &[u64] {
        &self.seeds
    }

    fn epochs(&self) -> usize {
        self.epochs
    }

    fn patience(&self) -> Option<usize> {
        self.patience
    }

    fn model(&self, method: Method, data: &Data, device: &Device) -> SelfSupervised {
        SelfSupervised::new(self, method, data.channels(), device)
    }

    fn loaders(
        &self,
        training: &Training<'_, Self>,
        first: usize,
    ) -> (
        TrainLoader<SelfSupervised>,
        ValidLoader<SelfSupervised>,
        usize,
    ) {
        let (views, batch) = (self.views.init(), self.batch_size);
        let (data, seed, device) = (training.data, training.seed, training.device);
        let train = ViewLoader::training(data.train.clone(), views.clone(), batch, seed, device)
            .starting_at(first);
        let train = match &self.workers {
            Some(workers) => train.shard(workers.rank(), workers.group().size()),
            None => train,
        };
        let valid = ViewLoader::validation(data.test.clone(), views, batch, seed, device);
        let steps = train.num_batches();
        (Arc::new(train), Arc::new(valid), steps)
    }

    fn optimizer(&self, _: Method) -> OptimizerConfig {
        self.optimizer.clone()
    }

    fn rate(&self, _: Method, steps: usize) -> ModuleLrScheduler {
        let schedule = &self.schedule;
        let warmup = (schedule.warmup * steps as f64) as usize;
        WarmupCosineConfig::new(schedule.learning_rate, warmup, steps)
            .with_final_fraction(schedule.final_fraction)
            .init()
            .into()
    }

    fn term_names(&self, model: &SelfSupervised) -> Vec<String> {
        model.objective().term_names()
    }

    fn metrics(
        &self,
        terms: &[String],
        training: SupervisedTraining<SelfSupervised>,
    ) -> SupervisedTraining<SelfSupervised> {
        let training = with_loss_and_terms(training, terms, self.metrics_every);
        if self.workers.as_ref().is_some_and(|w| !w.is_first()) {
            // The first process has the metrics of all rows.
            return training;
        }
        training
            .metrics((
                MeanSingularValueMetric::new().every(self.spectrum_every),
                EffectiveRankMetric::new().every(self.spectrum_every),
            ))
            .metric_train_numeric(MeanStdMetric::new().every(self.metrics_every))
            .metric_valid_numeric(MeanStdMetric::new())
    }

    fn shown(&self, terms: &[String]) -> Vec<Shown> {
        let metrics = [
            ("Loss", "loss"),
            ("Mean singular value", "s_mu"),
            ("Effective rank", "rank"),
            ("Mean std", "std"),
        ];
        let metrics = metrics.map(|(metric, title)| Shown::new(metric, title));
        let terms = terms.iter().map(|name| Shown::new(name, name));
        metrics.into_iter().chain(terms).collect()
    }

    fn save(&self, model: &SelfSupervised, folder: &Path) -> Result<()> {
        weights::save(model.expander.clone(), &folder.join(EXPANDER))?;
        weights::save(model.encoder.clone(), &folder.join(ENCODER))?;
        Ok(())
    }

    fn restore(&self, mut model: SelfSupervised, folder: &Path) -> Result<SelfSupervised> {
        model.encoder = weights::load(model.encoder, &folder.join(ENCODER))?;
        model.expander = weights::load(model.expander, &folder.join(EXPANDER))?;
        Ok(model)
    }

    fn evaluate(
        &self,
        model: Option<SelfSupervised>,
        measuring: &Measuring<'_, Self>,
    ) -> Result<Evaluation> {
        let (data, device, folder) = (measuring.data, measuring.device, measuring.folder);
        let Some(model) = model else {
            write_labels(&measuring.run.join(LABELS), data.test.labels())?;
            return Ok(evaluate_pixels(self, data, device));
        };
        let (mut evaluation, features) = evaluate(self, &model, data, device);
        if measuring.subject == Subject::Untrained {
            // The expander belongs to a method, and this is about the encoder, which all methods start from.
            evaluation.embedding = None;
            return Ok(evaluation);
        }
        if measuring.is_shown(self) {
            write_matrix(&folder.join(EMBEDDING), &features.embedding)?;
            write_matrix(&folder.join(REPRESENTATION), &features.representation)?;
        }
        evaluation.cost = Some(Cost::measure(self, model, data, device)?);
        Ok(evaluation)
    }

    fn summary(&self, evaluation: &Evaluation) -> String {
        let accuracy = &evaluation.accuracy;
        format!(
            "k-NN {:.3}, linear probe {:.3}",
            accuracy.knn, accuracy.linear
        )
    }

    fn columns(&self) -> Vec<Column<Measured<Evaluation>>> {
        report::columns()
    }

    fn legend(&self, findings: &Findings<'_, Self>) -> String {
        report::legend(findings)
    }

    fn introduction(&self, findings: &Findings<'_, Self>) -> String {
        report::introduction(findings)
    }

    fn sections(&self, report: Report, findings: &Findings<'_, Self>) -> Result<Report> {
        report::sections(report, findings)
    }

    fn pictures(&self, findings: &Findings<'_, Self>) -> Vec<(&'static str, String)> {
        report::pictures(findings)
    }
}
