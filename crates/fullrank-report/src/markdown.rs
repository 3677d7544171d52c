//! Tables as Markdown, aligned so that they read as plain text too.

/// A table whose first column holds names, to the left, and whose others hold numbers, to the right.
///
/// # Panics
///
/// If a row has not as many cells as the header.
pub fn markdown(header: &[&str], rows: &[Vec<String>]) -> String {
    let header: Vec<String> = header.iter().map(|&cell| cell.to_string()).collect();
    for row in rows {
        assert_eq!(row.len(), header.len(), "cells of the row {row:?}");
    }
    let lines = || [&header].into_iter().chain(rows);
    let widths: Vec<usize> = (0..header.len())
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
    let mut text = line(&header) + &rule.collect::<String>() + "|\n";
    text.extend(rows.iter().map(line));
    text
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned() {
        let rows = [
            vec!["a longer name".into(), "1.5".into()],
            vec!["ä".into(), "-".into()],
        ];
        let expected = "\
| what          |  mean |
|---------------|------:|
| a longer name |   1.5 |
| ä             |     - |
";
        assert_eq!(markdown(&["what", " mean"], &rows), expected);
    }

    #[test]
    fn the_spread_is_that_of_a_sample() {
        assert_eq!(mean_and_spread([], 2), "-");
        assert_eq!(mean_and_spread([0.125], 3), "0.125");
        // Deviations -1, 0 and 1: 2 / (3 - 1) = 1.
        assert_eq!(mean_and_spread([1.0, 2.0, 3.0], 1), "2.0 ± 1.0");
    }
}
