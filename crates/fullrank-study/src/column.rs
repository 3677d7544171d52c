//! Columns of a table over the seeds.

use fullrank_report::{Table, mean_and_spread};

/// The text of a cell, from what was measured with each seed.
type Cell<M> = dyn Fn(&[M]) -> String;

/// A column: what stands in a row that has been measured with some seeds.
pub struct Column<M> {
    title: &'static str,
    cell: Box<Cell<M>>,
}

impl<M: 'static> Column<M> {
    /// A figure with so many digits: its mean over the seeds, with their spread; `-` where none has it.
    pub fn mean(
        title: &'static str,
        digits: usize,
        value: impl Fn(&M) -> Option<f64> + 'static,
    ) -> Self {
        Self::text(title, move |measured| {
            mean_and_spread(measured.iter().filter_map(&value), digits)
        })
    }

    /// A count out of a number that all seeds share, such as `3 of 512`.
    pub fn count(
        title: &'static str,
        value: impl Fn(&M) -> Option<(usize, usize)> + 'static,
    ) -> Self {
        Self::text(title, move |measured| {
            let counts = measured.iter().filter_map(|m| Some(value(m)?.0 as f64));
            let count = mean_and_spread(counts, 0);
            match measured.first().and_then(&value) {
                Some((_, of)) => format!("{count} of {of}"),
                None => count,
            }
        })
    }

    /// Anything.
    pub fn text(title: &'static str, cell: impl Fn(&[M]) -> String + 'static) -> Self {
        Self {
            title,
            cell: Box::new(cell),
        }
    }
}

/// The table of rows with these titles.
pub(crate) fn table<'a, M: 'static>(
    columns: &[Column<M>],
    rows: impl IntoIterator<Item = (String, &'a [M])>,
) -> Table {
    let header = [""].into_iter().chain(columns.iter().map(|c| c.title));
    let mut table = Table::new(header);
    for (title, measured) in rows {
        let cells = columns.iter().map(|column| (column.cell)(measured));
        table = table.with_row([title].into_iter().chain(cells));
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_over_the_seeds() {
        let columns = [
            Column::mean("value", 1, |m: &Option<usize>| Some((*m)? as f64)),
            Column::count("dead", |m: &Option<usize>| Some(((*m)?, 9))),
        ];
        let rows: [(String, &[Option<usize>]); 3] = [
            ("one".into(), &[Some(3)]),
            ("three".into(), &[Some(1), Some(2), Some(3)]),
            ("none".into(), &[None]),
        ];
        let table = table(&columns, rows);
        assert_eq!(table.headers, ["", "value", "dead"]);
        assert_eq!(table.rows[0], ["one", "3.0", "3 of 9"]);
        assert_eq!(table.rows[1], ["three", "2.0 ± 1.0", "2 ± 1 of 9"]);
        assert_eq!(table.rows[2], ["none", "-", "-"]);
    }
}
