//! The study: which trainings, how, what is measured on them, and what is said of it.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Result, ensure};
use burn::lr_scheduler::module_lr_scheduler::ModuleLrScheduler;
use burn::tensor::Device;
use burn::train::{SupervisedTraining, TrainLoader, ValidLoader};
use fullrank::Bounds;
use fullrank_report::Report;
use fullrank_report::plots::{self, Term};
use fullrank_study::configuration::key;
use fullrank_study::data::Data;
use fullrank_study::{
    Column, Findings, Measured, Measuring, Panel, Study, Subject, Training, with_neighbours,
};
use fullrank_train::metrics::{
    EffectiveRankMetric, MeanSingularValueMetric, MetricExt, RetrievalMetric, with_loss_and_terms,
};
use fullrank_train::optimizer::OptimizerConfig;
use fullrank_train::schedule::ConstantPolynomialConfig;
use fullrank_train::session::progress::Shown;
use fullrank_train::session::weights;

use crate::batches::{TrainingBatches, plain_batches};
use crate::cell::Cell;
use crate::config::RunConfig;
use crate::data;
use crate::evaluation::{Evaluation, embeddings, evaluate, evaluate_pixels};
use crate::export;
use crate::model::{Embedder, MetricLearning};
use crate::objective::Objective;

/// The file of a trained network in the folder of its training.
pub const NETWORK: &str = "encoder.bpk";

impl Study for RunConfig {
    type Data = Data;
    type Case = Cell;
    type Model = MetricLearning;
    type Evaluation = Evaluation;

    const TITLE: &'static str = "Metric learning";
    const COMPLETE: &'static str = NETWORK;

    fn from_json(text: &str) -> Result<Self> {
        Self::from_json(text, None, Self::defaults)
    }

    fn data(&self) -> Result<Data> {
        data::load(&self.data)
    }

    fn check(&self, data: &Data) -> Result<()> {
        self.validate()?;
        let counts = data.train.class_counts();
        let classes = counts.iter().filter(|&&count| count > 0).count();
        self.views.check()?;
        self.optimizer.check()?;
        for &loss in &self.losses {
            let batch = self.objectives.of(loss).classes_per_batch;
            ensure!(
                batch <= classes,
                "objectives.{}: a batch of {batch} classes cannot be filled from {classes}",
                key(loss)
            );
            for &regularizer in &self.regularizers {
                Objective::check(self, loss, regularizer)?;
            }
        }
        Ok(())
    }

    fn cases(&self) -> Vec<Cell> {
        Cell::all(self)
    }

    fn seeds(&self) -> &[u64] {
        &self.seeds
    }

    fn epochs(&self) -> usize {
        self.iterations / self.validate_every
    }

    fn model(&self, cell: Cell, data: &Data, device: &Device) -> MetricLearning {
        let objective = Objective::new(self, cell.loss, cell.regularizer);
        let embedder = Embedder::new(self, data.channels(), device);
        MetricLearning::new(embedder, objective)
    }

    fn loaders(
        &self,
        training: &Training<'_, Self>,
        first: usize,
    ) -> (
        TrainLoader<MetricLearning>,
        ValidLoader<MetricLearning>,
        usize,
    ) {
        let (data, objective) = (training.data, self.objectives.of(training.case.loss));
        let batches = TrainingBatches {
            classes_per_batch: objective.classes_per_batch,
            images_per_class: objective.images_per_class,
            batches: self.validate_every,
            seed: training.seed,
        };
        let views = self.views.init();
        let train = batches.loader(data.train.clone(), views, training.device, first);
        let valid = plain_batches(data.test.clone(), objective.batch_size());
        (Arc::new(train), valid, self.validate_every)
    }

    fn optimizer(&self, _: Cell) -> OptimizerConfig {
        self.optimizer.clone()
    }

    fn rate(&self, cell: Cell, steps: usize) -> ModuleLrScheduler {
        let schedule = &self.schedule;
        let constant = (schedule.constant * steps as f64) as usize;
        ConstantPolynomialConfig::new(cell.learning_rate, constant, steps)
            .with_end(schedule.end)
            .with_power(schedule.power)
            .init()
            .into()
    }

    fn term_names(&self, model: &MetricLearning) -> Vec<String> {
        model.term_names().iter().map(ToString::to_string).collect()
    }

    fn metrics(
        &self,
        terms: &[String],
        training: SupervisedTraining<MetricLearning>,
    ) -> SupervisedTraining<MetricLearning> {
        with_loss_and_terms(training, terms, self.metrics_every)
            .metrics((
                MeanSingularValueMetric::new().every(self.spectrum_every),
                EffectiveRankMetric::new().every(self.spectrum_every),
            ))
            .metric_valid_numeric(RetrievalMetric::recall_at(1))
    }

    fn shown(&self, terms: &[String]) -> Vec<Shown> {
        let metrics = [
            ("Loss", "loss"),
            ("Mean singular value", "s_mu"),
            ("Effective rank", "rank"),
        ];
        let metrics = metrics.map(|(metric, title)| Shown::new(metric, title));
        let terms = terms.iter().map(|name| Shown::new(name, name));
        let recall = Shown::of_validation("Recall@1", "test R@1");
        metrics.into_iter().chain(terms).chain([recall]).collect()
    }

    fn save(&self, model: &MetricLearning, folder: &Path) -> Result<()> {
        Ok(weights::save(
            model.embedder.clone(),
            &folder.join(NETWORK),
        )?)
    }

    fn restore(&self, mut model: MetricLearning, folder: &Path) -> Result<MetricLearning> {
        model.embedder = weights::load(model.embedder, &folder.join(NETWORK))?;
        Ok(model)
    }

    fn evaluate(
        &self,
        model: Option<MetricLearning>,
        measuring: &Measuring<'_, Self>,
    ) -> Result<Evaluation> {
        let (test, device) = (&measuring.data.test, measuring.device);
        let Some(MetricLearning { embedder, .. }) = model else {
            return evaluate_pixels(&self.evaluation, test, device);
        };
        if let Subject::Trained(_) = measuring.subject {
            export::network(&embedder, measuring.folder)?;
        }
        let embedded = embeddings(&embedder, test, device);
        export::test_embeddings(&embedded, test, measuring.folder)?;
        evaluate(&self.evaluation, embedded, test)
    }

    fn summary(&self, evaluation: &Evaluation) -> String {
        evaluation.to_string()
    }

    fn columns(&self) -> Vec<Column<Measured<Evaluation>>> {
        type C = Column<Measured<Evaluation>>;
        vec![
            C::mean("R@1", 3, |m| m.evaluation.retrieval.recall(1)),
            C::mean("R@8", 3, |m| m.evaluation.retrieval.recall(8)),
            C::mean("MAP@R", 3, |m| Some(m.evaluation.retrieval.map_at_r)),
            C::mean("NMI", 3, |m| m.evaluation.retrieval.nmi),
            C::mean("s_mu/U", 2, |m| Some(m.evaluation.usage.as_ref()?.share())),
            C::mean("eff. rank", 1, |m| {
                Some(m.evaluation.usage.as_ref()?.effective_rank)
            }),
            C::mean("seconds", 0, |m| m.training_seconds),
        ]
    }

    fn legend(&self, findings: &Findings<'_, Self>) -> String {
        format!(
            "{} test images of classes that were not trained on rank each other. R@K: one of the K nearest is \
             of the\nsame class; s_mu/U: mean singular value of the embeddings, on the unit sphere, as a share \
             of its upper bound;\neff. rank: RankMe, of {} dimensions; seconds: of {} training steps.{}\n",
            findings.data.test.len(),
            self.dimensions,
            self.iterations,
            findings.spread("\n"),
        )
    }

    fn introduction(&self, findings: &Findings<'_, Self>) -> String {
        format!(
            "{}. The pictures are of seed {}.",
            findings.data, self.seeds[0]
        )
    }

    fn sections(&self, report: Report, findings: &Findings<'_, Self>) -> Result<Report> {
        let (images, curves) = (&findings.data.test, curves(findings));
        let networks = |subject| subject != Subject::Pixels;
        let embeddings = findings.embeddings(export::EMBEDDINGS, images, networks)?;
        let mut report = report
            .with_terms("Training", "step", &curves, &findings.palette())
            .with_embeddings("Embeddings of the test images", &embeddings)?;
        let pixels = images.pixels().iter().map(|&byte| f32::from(byte));
        let pixels: Vec<f32> = pixels.collect();
        let named = embeddings.iter().map(|e| (e.name(), e.rows()));
        for (name, rows) in [("raw pixels", pixels.as_slice())].into_iter().chain(named) {
            let heading = format!("Retrievals: {name}");
            report = with_neighbours(report, (&heading, "that are"), images, rows, (8, 8))?;
        }
        Ok(report)
    }

    fn pictures(&self, findings: &Findings<'_, Self>) -> Vec<(&'static str, String)> {
        let (curves, palette) = (curves(findings), findings.palette());
        let svg = plots::terms_over_time("Training", "step", &curves, &palette);
        vec![("terms.svg", svg)]
    }
}

/// The live metrics of the first seed over the steps, one line for each training.
fn curves(findings: &Findings<'_, RunConfig>) -> Vec<Term> {
    let panels = [
        Panel::valid("recall@1", "Recall@1, test classes", "share of the images"),
        Panel::train(
            "mean_singular_value",
            "Mean singular value, training batch",
            "share of its upper bound",
        ),
        Panel::train(
            "effective_rank",
            "Effective rank, training batch",
            "dimensions",
        ),
        Panel::train("ranking", "Ranking loss", "value"),
    ];
    let config = findings.study;
    findings.curves(&panels, |cell, metric| match metric {
        "mean_singular_value" => {
            let batch = config.objectives.of(cell.loss).batch_size();
            Bounds::new(batch, config.dimensions).upper
        }
        _ => 1.0,
    })
}
