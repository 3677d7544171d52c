//! The report of a run, or of embeddings from elsewhere: one HTML file.
//!
//! The file holds all it needs: charts as SVG, images as PNG within it, no script, nothing fetched. It
//! follows the reader's choice of a light or a dark page and prints on white. Every chart has a title,
//! units, a legend and a text alternative, with the numbers behind it in a table. The same input gives
//! the same file, byte for byte.
//!
//! A report is put together from sections, in the order in which they are added:
//!
//! ```
//! use fullrank_train::plots::{Palette, Series, Term};
//! use fullrank_train::report::{Embedding, Report, Table};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let rows: Vec<f32> = (0..64 * 8).map(|k| (k as f32 * 0.7).sin()).collect();
//! let labels: Vec<usize> = (0..64).map(|row| row % 2).collect();
//! let classes = ["even".to_string(), "odd".to_string()];
//! let loss = Term {
//!     name: "Loss".into(),
//!     y_label: "cross-entropy".into(),
//!     series: vec![Series { name: "SVMax".into(), points: vec![(0.0, 0.7), (1.0, 0.2)] }],
//! };
//! let report = Report::new("Two classes")
//!     .with_paragraph("What SVMax does at the penultimate layer.")
//!     .with_settings("What was run", [("command", "cargo run"), ("epochs", "2")])
//!     .with_table("Results", &Table::new(["", "accuracy"]).with_row(["SVMax", "0.91"]))
//!     .with_terms("Training", "epoch", &[loss], &Palette::new(["SVMax"]))
//!     .with_embeddings(
//!         "Embeddings on the test images",
//!         &[Embedding::new("SVMax", rows, 8).with_labels(&labels, &classes)],
//!     )?;
//! let folder = std::env::temp_dir();
//! report.write(folder.join("fullrank-doc-report.html"))?;
//! # std::fs::remove_file(folder.join("fullrank-doc-report.html"))?;
//! # Ok(())
//! # }
//! ```

mod embedding;
mod embeddings;
mod html;
mod inspect;
mod projection;
mod random_spectrum;
mod retrievals;
mod row_sample;
mod settings;
mod table;

#[cfg(test)]
mod tests;

use std::path::Path;

use datasets::ImageSet;
use serde::Serialize;

pub use embedding::Embedding;
pub use inspect::inspect_report;
pub use retrievals::{Neighbour, Retrieval, nearest_neighbours};
pub use row_sample::RowSample;
pub use table::Table;

use crate::plots::{self, Palette, Term};
use crate::run::RunError;
use crate::run::files::write_whole;

/// What draws the rows that stand for many.
const SEED: u64 = 1;

/// What can go wrong in a report.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The numbers do not make up whole rows.
    #[error("{name}: {values} numbers do not make up rows of {dims}")]
    Shape {
        /// Whose embedding it is.
        name: String,
        /// How many numbers there are.
        values: usize,
        /// Numbers of a row.
        dims: usize,
    },
    /// Too few rows for a spectrum about their mean.
    #[error("{name}: a report needs at least two rows, got {rows}")]
    TooFewRows {
        /// Whose embedding it is.
        name: String,
        /// How many there are.
        rows: usize,
    },
    /// A number that is none.
    #[error("{name}: the entry at row {row}, column {column} is {value}")]
    NotFinite {
        /// Whose embedding it is.
        name: String,
        /// What stands there.
        value: f32,
        /// Its row, from 0.
        row: usize,
        /// Its column, from 0.
        column: usize,
    },
    /// Not one label for each row.
    #[error("{name}: {rows} rows but {labels} labels")]
    Labels {
        /// Whose embedding it is.
        name: String,
        /// Labels.
        labels: usize,
        /// Rows.
        rows: usize,
    },
    /// The figures cannot be computed.
    #[error("{name}")]
    Diagnostics {
        /// Whose embedding it is.
        name: String,
        /// Why not.
        source: fullrank::diagnostics::DiagnosticsError,
    },
    /// An image that is not there.
    #[error("image {index} of a set of {images}")]
    Image {
        /// Which one.
        index: usize,
        /// How many there are.
        images: usize,
    },
    /// The file cannot be written.
    #[error(transparent)]
    Write(#[from] RunError),
}

/// A report in the making.
#[derive(Clone, Debug)]
pub struct Report {
    title: String,
    /// HTML below the title.
    lead: String,
    /// Headings, and the HTML below them.
    sections: Vec<(String, String)>,
}

impl Report {
    /// An empty report.
    pub fn new(title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            lead: String::new(),
            sections: vec![],
        }
    }

    /// A paragraph of plain text: below the title, or at the end of the last section.
    pub fn with_paragraph(mut self, text: &str) -> Self {
        let place = match self.sections.last_mut() {
            Some((_, body)) => body,
            None => &mut self.lead,
        };
        *place += &html::paragraph(text);
        self
    }

    /// Names and values: what was run, and how.
    pub fn with_settings<K: Into<String>, V: Into<String>>(
        self,
        heading: &str,
        settings: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        let settings = settings.into_iter().map(|(k, v)| (k.into(), v.into()));
        let body = settings::html(&settings.collect::<Vec<_>>());
        self.with_section(heading, body)
    }

    /// A configuration as names with dots and values, such as `data.name` and `cifar10`.
    ///
    /// # Panics
    ///
    /// If `configuration` cannot be written as JSON.
    pub fn with_configuration(self, heading: &str, configuration: &impl Serialize) -> Self {
        self.with_settings(heading, settings::flat(configuration))
    }

    /// A table.
    pub fn with_table(self, heading: &str, table: &Table) -> Self {
        let body = html::table(table);
        self.with_section(heading, body)
    }

    /// A chart of [`plots`], with a paragraph that says how to read it.
    pub fn with_chart(self, heading: &str, note: &str, svg: &str) -> Self {
        let body = html::paragraph(note) + &html::figure(svg, "");
        self.with_section(heading, body)
    }

    /// Terms of a loss and metrics over training; see [`plots::terms_over_time`].
    pub fn with_terms(
        self,
        heading: &str,
        x_label: &str,
        terms: &[Term],
        palette: &Palette,
    ) -> Self {
        let svg = plots::terms_over_time(heading, x_label, terms, palette);
        let numbers = html::details("The numbers in a table", &table::of_terms(x_label, terms));
        let body = html::figure(&svg, &numbers);
        self.with_section(heading, body)
    }

    /// Embeddings side by side: the figures, and for each kind of chart one of every embedding on the
    /// same scale.
    ///
    /// # Errors
    ///
    /// If a matrix holds a number that is not finite, has fewer than two rows, or does not fit its
    /// labels; the error names the embedding.
    pub fn with_embeddings(
        self,
        heading: &str,
        embeddings: &[Embedding<'_>],
    ) -> Result<Self, Error> {
        let body = embeddings::html(embeddings)?;
        Ok(self.with_section(heading, body))
    }

    /// A page of images with what was found for them, hits and misses marked. The queries and the
    /// gallery may be one set. Images of three channels are shown in colour, the first channel of others
    /// in gray; those above 72 pixels are made smaller.
    ///
    /// # Errors
    ///
    /// If an index is beyond its set.
    pub fn with_retrievals(
        self,
        heading: &str,
        note: &str,
        (queries, gallery): (&ImageSet, &ImageSet),
        retrievals: &[Retrieval],
    ) -> Result<Self, Error> {
        let body = html::paragraph(note) + &retrievals::html(queries, gallery, retrievals)?;
        Ok(self.with_section(heading, body))
    }

    /// The document.
    pub fn to_html(&self) -> String {
        html::page(&self.title, &self.lead, &self.sections)
    }

    /// Writes the document to `path`, replacing what is there: the whole file or none.
    ///
    /// # Errors
    ///
    /// [`Error::Write`], which names the file.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        Ok(write_whole(path.as_ref(), self.to_html().as_bytes())?)
    }

    fn with_section(mut self, heading: &str, body: String) -> Self {
        self.sections.push((heading.into(), body));
        self
    }
}
