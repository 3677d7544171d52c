//! The report of a run: table, metrics, results and one HTML file.

use std::sync::Arc;

use anyhow::Result;
use burn::tensor::Device;
use datasets::ImageSet;
use fullrank_cli::data::Data;
use fullrank_train::run::files::{write_json, write_whole};
use fullrank_train::table::{markdown, mean_and_spread};

use crate::run::{Entry, Measured, Run};

const HEADER: [&str; 6] = ["", "accuracy", "s_mu/U", "eff. rank", "dead", "seconds"];

/// Writes the report into the run's folder and returns its table with a legend.
pub fn write(run: &Run, entries: &[Entry], data: &Data, device: &Device) -> Result<String> {
    let _ = device;
    let table = table(entries) + "\n" + &legend(run, &data.test);
    write_whole(&run.directory.join("table.md"), table.as_bytes())?;
    write_json(&run.directory.join("results.json"), &entries)?;
    Ok(table)
}

/// The table as Markdown.
pub fn table(entries: &[Entry]) -> String {
    let row = |entry: &Entry| {
        let cell = |value: &dyn Fn(&Measured) -> Option<f64>, digits| {
            mean_and_spread(entry.seeds.iter().filter_map(value), digits)
        };
        let figures = |measured: &Measured| measured.evaluation.penultimate.clone();
        let dims = entry.seeds.first().map_or(0, |first| figures(first).dims);
        let share = |m: &Measured| figures(m).mean_singular_value / figures(m).upper_bound;
        let dead = |m: &Measured| figures(m).dead_dimensions.map(|dead| dead as f64);
        vec![
            format!("{} per class, {}", entry.per_class, entry.method.title()),
            cell(&|m| Some(m.evaluation.accuracy), 3),
            cell(&|m| Some(share(m)), 2),
            cell(&|m| figures(m).effective_rank, 1),
            format!("{} of {dims}", cell(&dead, 0)),
            cell(&|m| Some(m.seconds), 0),
        ]
    };
    markdown(&HEADER, &entries.iter().map(row).collect::<Vec<_>>())
}

fn legend(run: &Run, images: &Arc<ImageSet>) -> String {
    let measured_on = match run.config.validation {
        Some(_) => "training images set apart",
        None => "test images",
    };
    let seeds = match run.config.seeds.len() {
        1 => String::new(),
        n => format!(" Mean ± sample standard deviation over {n} seeds."),
    };
    format!(
        "On {} {measured_on}. Of their penultimate layer, s_mu/U: mean singular value of the unit rows as\n\
         a share of its upper bound; eff. rank: effective rank of the centred rows; dead: dimensions with a\n\
         standard deviation of at most {} times the root mean square of all entries.{seeds}\n",
        images.len(),
        fullrank::diagnostics::DEAD_BELOW,
    )
}
