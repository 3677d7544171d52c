//! A report, put together from sections.

use std::path::Path;

use datasets::ImageSet;
use fullrank_files::write_whole;
use serde::Serialize;

use crate::plots::{self, Palette, Term};
use crate::{Embedding, Error, Retrieval, Table, embeddings, html, retrievals, settings, table};

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

    /// Figures of embeddings over the order in which they are given, such as the layers of a network or the epochs of a
    /// training: how much of its space each uses, on scales that do not depend on its shape.
    ///
    /// # Errors
    ///
    /// As [`with_embeddings`](Self::with_embeddings).
    pub fn with_figures_over(
        self,
        heading: &str,
        embeddings: &[Embedding<'_>],
    ) -> Result<Self, Error> {
        let terms = embeddings::figures_over(embeddings)?;
        let palette = Palette::new(
            terms
                .iter()
                .flat_map(|term| &term.series)
                .map(|line| line.name.as_str()),
        );
        Ok(self.with_terms(heading, "place in the order of the files", &terms, &palette))
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
