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

    /// The tables in a text of Markdown, such as one that a run prints; other lines are left out.
    pub fn from_markdown(text: &str) -> Vec<Self> {
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        lines
            .split(|line| !line.starts_with('|'))
            .filter(|lines| lines.len() >= 2)
            .map(|lines| {
                let mut rows = lines
                    .iter()
                    .filter(|line| line.contains(|c| !matches!(c, '|' | '-' | ':' | ' ')))
                    .map(|line| {
                        let cells = line.trim_matches('|').split('|');
                        cells.map(|cell| cell.trim().to_string()).collect()
                    });
                Self {
                    caption: String::new(),
                    headers: rows.next().unwrap_or_default(),
                    rows: rows.collect(),
                }
            })
            .collect()
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
