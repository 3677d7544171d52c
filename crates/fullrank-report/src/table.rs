//! Tables of text.

use fullrank::diagnostics::readable;

use crate::plots::Term;

/// Rows of a table that stands for more.
const ROWS: usize = 128;

/// A table of text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// What it shows; may be empty.
    pub caption: String,
    /// The head of each column.
    pub headers: Vec<String>,
    /// The cells of each row; the first is the row's name.
    pub rows: Vec<Vec<String>>,
}

impl Table {
    /// A table without rows.
    pub fn new<T: Into<String>>(headers: impl IntoIterator<Item = T>) -> Self {
        Self {
            headers: headers.into_iter().map(Into::into).collect(),
            ..Self::default()
        }
    }

    /// Says what the table shows.
    pub fn with_caption(self, caption: impl Into<String>) -> Self {
        Self {
            caption: caption.into(),
            ..self
        }
    }

    /// Adds a row.
    pub fn with_row<T: Into<String>>(mut self, cells: impl IntoIterator<Item = T>) -> Self {
        self.rows.push(cells.into_iter().map(Into::into).collect());
        self
    }

    /// The table as Markdown, aligned so that it reads as plain text too: the first column holds names, to the left,
    /// the others numbers, to the right. The caption is left out.
    ///
    /// # Panics
    ///
    /// If a row has not as many cells as the header.
    pub fn to_markdown(&self) -> String {
        for row in &self.rows {
            assert_eq!(row.len(), self.headers.len(), "cells of the row {row:?}");
        }
        let lines = || [&self.headers].into_iter().chain(&self.rows);
        let widths: Vec<usize> = (0..self.headers.len())
            .map(|column| {
                let widths = lines().map(|row| row[column].chars().count());
                widths.max().unwrap_or(0).max(3)
            })
            .collect();
        let line = |row: &Vec<String>| {
            let cells = row.iter().zip(&widths).enumerate();
            let cells = cells.map(|(column, (cell, &width))| match column {
                0 => format!("| {cell:<width$} "),
                _ => format!("| {cell:>width$} "),
            });
            cells.collect::<String>() + "|\n"
        };
        let rule = widths.iter().enumerate();
        let rule = rule.map(|(column, &width)| match column {
            0 => format!("|{}", "-".repeat(width + 2)),
            _ => format!("|{}:", "-".repeat(width + 1)),
        });
        let mut text = line(&self.headers) + &rule.collect::<String>() + "|\n";
        text.extend(self.rows.iter().map(line));
        text
    }
}

/// The mean, with the sample standard deviation behind `±` if there are several values; `-` if there is
/// none.
pub fn mean_and_spread(values: impl IntoIterator<Item = f64>, digits: usize) -> String {
    let values: Vec<f64> = values.into_iter().collect();
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    match values.len() {
        0 => "-".to_string(),
        1 => format!("{mean:.digits$}"),
        _ => {
            let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
            format!(
                "{mean:.digits$} ± {:.digits$}",
                (squares / (count - 1.0)).sqrt()
            )
        }
    }
}

/// Columns of numbers over their index from 1, at most [`ROWS`] rows, evenly spaced.
pub(crate) fn of_columns(index: &str, columns: &[(&str, &[f64])]) -> Table {
    let longest = columns.iter().map(|(_, values)| values.len()).max();
    let longest = longest.unwrap_or(0);
    let shown = longest.min(ROWS);
    let rows = (0..shown).map(|k| {
        let place = match shown {
            1 => 0,
            _ => k * (longest - 1) / (shown - 1),
        };
        let cells = columns.iter().map(|(_, values)| {
            values
                .get(place)
                .map_or("".into(), |value| readable(*value))
        });
        [(place + 1).to_string()].into_iter().chain(cells).collect()
    });
    let headers = columns.iter().map(|(name, _)| (*name).to_string());
    Table {
        caption: match shown < longest {
            true => format!("{shown} of {longest} values, evenly spaced"),
            false => String::new(),
        },
        headers: [index.to_string()].into_iter().chain(headers).collect(),
        rows: rows.collect(),
    }
}

/// The first, the least, the greatest and the last value of each line.
pub(crate) fn of_terms(x_label: &str, terms: &[Term]) -> Table {
    let mut table = Table::new([
        "term",
        "of",
        "values",
        "first",
        "least",
        "greatest",
        "last",
        &format!("last {x_label}"),
    ]);
    for term in terms {
        for series in &term.series {
            let values = || series.points.iter().map(|point| point.1);
            let of = |value: Option<f64>| value.map_or("-".to_string(), readable);
            table = table.with_row([
                term.name.clone(),
                series.name.clone(),
                series.points.len().to_string(),
                of(values().next()),
                of(values().min_by(f64::total_cmp)),
                of(values().max_by(f64::total_cmp)),
                of(values().next_back()),
                of(series.points.last().map(|point| point.0)),
            ]);
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned() {
        let table = Table::new(["what", " mean"])
            .with_row(["a longer name", "1.5"])
            .with_row(["ä", "-"]);
        let expected = "\
| what          |  mean |
|---------------|------:|
| a longer name |   1.5 |
| ä             |     - |
";
        assert_eq!(table.to_markdown(), expected);
    }

    #[test]
    fn the_spread_is_that_of_a_sample() {
        assert_eq!(mean_and_spread([], 2), "-");
        assert_eq!(mean_and_spread([0.125], 3), "0.125");
        // Deviations -1, 0 and 1: 2 / (3 - 1) = 1.
        assert_eq!(mean_and_spread([1.0, 2.0, 3.0], 1), "2.0 ± 1.0");
    }
}
