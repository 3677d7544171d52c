//! The study: which trainings, how, and what is said of them.

use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use burn::lr_scheduler::module_lr_scheduler::ModuleLrScheduler;
use burn::tensor::Device;
use burn::train::metric::AccuracyMetric;
use burn::train::{SupervisedTraining, TrainLoader, ValidLoader};
use fullrank_files::npy::write_matrix;
use fullrank_report::Report;
use fullrank_study::configuration::key;
use fullrank_study::data::Data;
use fullrank_study::{
    Case, Column, Findings, Measured, Measuring, Panel, Study, Subject, Training,
};
use fullrank_train::metrics::{
    DeadDimensionsMetric, EffectiveRankMetric, MeanSingularValueMetric, MetricExt, RetrievalMetric,
    with_loss_and_terms,
};
use fullrank_train::optimizer::OptimizerConfig;
use fullrank_train::schedule::WarmupCosineConfig;
use fullrank_train::session::progress::Shown;
use fullrank_train::session::weights;
use serde_json::{Map, Value, json};

use crate::batches;
use crate::config::{Method, RunConfig};
use crate::evaluation::{Evaluation, evaluate, forward};
use crate::model::Classifier;

/// A method on so many images of each class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FewLabels {
    /// Images of each class.
    pub per_class: usize,
    /// The method.
    pub method: Method,
}

impl Case for FewLabels {
    fn key(&self) -> String {
        format!("{}-per-class/{}", self.per_class, key(self.method))
    }

    fn title(&self) -> String {
        format!("{} per class, {}", self.per_class, self.name())
    }

    fn name(&self) -> String {
        self.method.title().to_owned()
    }

    fn fields(&self) -> Map<String, Value> {
        let per_class = ("per_class".to_owned(), json!(self.per_class));
        let method = ("method".to_owned(), json!(self.method));
        [per_class, method].into_iter().collect()
    }
}

/// The file of a trained classifier in the folder of its training.
pub const CLASSIFIER: &str = "classifier.bpk";
/// The penultimate layer of the measured images, for the first seed.
pub const EMBEDDING: &str = "embedding.npy";

impl Study for RunConfig {
    type Data = Data;
    type Case = FewLabels;
    type Model = Classifier;
    type Evaluation = Evaluation;

    const TITLE: &'static str = "A regularizer at the penultimate layer";
    const COMPLETE: &'static str = CLASSIFIER;
    const BASELINES: bool = false;

    fn from_json(text: &str) -> Result<Self> {
        Self::from_json(text)
    }

    fn data(&self) -> Result<Data> {
        self.measured_on(Data::load(&self.data)?)
    }

    fn check(&self, _: &Data) -> Result<()> {
        self.validate()?;
        for &method in &self.methods {
            if let Some(regularizer) = self.regularizer(method) {
                regularizer.check()?;
            }
            self.optimizer_of(method).check()?;
        }
        Ok(())
    }

    fn cases(&self) -> Vec<FewLabels> {
        let case = |per_class: usize| {
            let methods = self.methods.iter();
            methods.map(move |&method| FewLabels { per_class, method })
        };
        self.per_class.iter().flat_map(|&n| case(n)).collect()
    }

    fn seeds(&self) -> &[u64] {
        &self.seeds
    }

    fn epochs(&self) -> usize {
        self.epochs
    }

    fn model(&self, case: FewLabels, data: &Data, device: &Device) -> Classifier {
        let shape = (data.channels(), data.train.classes().len());
        Classifier::new(self, case.method, shape, device)
    }

    fn loaders(
        &self,
        training: &Training<'_, Self>,
        first: usize,
    ) -> (TrainLoader<Classifier>, ValidLoader<Classifier>, usize) {
        let (data, device) = (training.data, training.device);
        let images = Arc::new(data.train.first_per_class(training.case.per_class));
        let train = batches::training(self, &images, training.seed, first, device);
        (
            train,
            batches::measuring(&data.test, device),
            self.steps_per_epoch,
        )
    }

    fn optimizer(&self, case: FewLabels) -> OptimizerConfig {
        self.optimizer_of(case.method)
    }

    fn rate(&self, _: FewLabels, steps: usize) -> ModuleLrScheduler {
        let rate = WarmupCosineConfig::new(self.learning_rate, steps / 10, steps);
        rate.init().into()
    }

    fn term_names(&self, model: &Classifier) -> Vec<String> {
        model.term_names().iter().map(ToString::to_string).collect()
    }

    fn metrics(
        &self,
        terms: &[String],
        training: SupervisedTraining<Classifier>,
    ) -> SupervisedTraining<Classifier> {
        with_loss_and_terms(training, terms, self.metrics_every)
            .metric_train_numeric(AccuracyMetric::new().every(self.metrics_every))
            .metric_valid_numeric(AccuracyMetric::new())
            .metrics((
                MeanSingularValueMetric::new().every(self.spectrum_every),
                EffectiveRankMetric::new().every(self.spectrum_every),
                DeadDimensionsMetric::new().every(self.spectrum_every),
            ))
            .metric_valid_numeric(RetrievalMetric::recall_at(1))
    }

    fn shown(&self, _: &[String]) -> Vec<Shown> {
        let shown = [
            ("Loss", "loss"),
            ("Accuracy", "accuracy"),
            ("Mean singular value", "s_mu"),
            ("Effective rank", "rank"),
            ("Dead dimensions", "dead"),
        ];
        shown
            .map(|(metric, title)| Shown::new(metric, title))
            .into()
    }

    fn save(&self, model: &Classifier, folder: &Path) -> Result<()> {
        Ok(weights::save(model.clone(), &folder.join(CLASSIFIER))?)
    }

    fn restore(&self, model: Classifier, folder: &Path) -> Result<Classifier> {
        Ok(weights::load(model, &folder.join(CLASSIFIER))?)
    }

    fn evaluate(
        &self,
        model: Option<Classifier>,
        measuring: &Measuring<'_, Self>,
    ) -> Result<Evaluation> {
        let model = model.expect("there are no baselines");
        let (embeddings, logits) = forward(&model, &measuring.data.test, measuring.device)?;
        if measuring.is_shown(self) {
            write_matrix(&measuring.folder.join(EMBEDDING), &embeddings)?;
        }
        let seconds = measuring.training_seconds.unwrap_or(0.0);
        evaluate(embeddings, logits, measuring.data.test.labels(), seconds)
    }

    fn summary(&self, evaluation: &Evaluation) -> String {
        format!("accuracy {:.3}", evaluation.accuracy)
    }

    fn columns(&self) -> Vec<Column<Measured<Evaluation>>> {
        type C = Column<Measured<Evaluation>>;
        vec![
            C::mean("accuracy", 3, |m| Some(m.evaluation.accuracy)),
            C::mean("Recall@1", 3, |m| m.last("recall@1")),
            C::mean("s_mu/U", 2, |m| {
                let figures = &m.evaluation.penultimate;
                Some(figures.mean_singular_value / figures.upper_bound)
            }),
            C::mean("eff. rank", 1, |m| m.evaluation.penultimate.effective_rank),
            C::count("dead", |m| {
                let figures = &m.evaluation.penultimate;
                Some((figures.dead_dimensions?, figures.dims))
            }),
            C::mean("seconds", 0, |m| Some(m.evaluation.seconds)),
        ]
    }

    fn legend(&self, findings: &Findings<'_, Self>) -> String {
        let measured_on = match self.validation {
            Some(_) => "training images set apart",
            None => "test images",
        };
        format!(
            "On {} {measured_on}. Of their penultimate layer, Recall@1: the share whose nearest other image by\n\
             angle is of their class; s_mu/U: mean singular value of the unit rows as a share of its upper bound;\n\
             eff. rank: effective rank of the centred rows; dead: dimensions with a standard deviation of at most\n\
             {} times the root mean square of all entries.{}\n",
            findings.data.test.len(),
            fullrank::diagnostics::DEAD_BELOW,
            findings.spread(" "),
        )
    }

    fn introduction(&self, findings: &Findings<'_, Self>) -> String {
        format!(
            "Of {}, the first of each class are trained on.",
            findings.data
        )
    }

    fn sections(&self, report: Report, findings: &Findings<'_, Self>) -> Result<Report> {
        let per_class = |subject: Subject<FewLabels>| subject.case().map(|case| case.per_class);
        let panels = [
            Panel::train("cross_entropy", "Cross-entropy", "training batch"),
            Panel::valid("accuracy", "Accuracy", "% of the measured images"),
            Panel::valid("recall@1", "Recall@1", "share of the measured images"),
            Panel::valid("effective_rank", "RankMe", "dimensions"),
        ];
        let mut report = report;
        let entries = findings.entries;
        for entries in entries.chunk_by(|a, b| per_class(a.subject) == per_class(b.subject)) {
            let few = findings.of(entries);
            let images = per_class(entries[0].subject).unwrap_or(0);
            let images = format!("{images} images of each class");
            let curves = few.curves(&panels, |_, _| 1.0);
            let embeddings = few.embeddings(EMBEDDING, &findings.data.test, |_| true)?;
            report = report
                .with_terms(
                    &format!("Training on {images}"),
                    "step",
                    &curves,
                    &few.palette(),
                )
                .with_embeddings(&format!("Penultimate layer, {images}"), &embeddings)?;
        }
        Ok(report)
    }
}
