//! Diagnostics side by side in the terminal.

use fullrank::diagnostics::{Diagnostics, readable};

/// A column for each matrix, with its name above it; with `compare`, the differences to the first
/// beside the figures of the others. A figure that none has is left out.
pub(crate) fn table(matrices: &[(&str, &Diagnostics)], compare: bool) -> String {
    let mut lines = vec![heading(matrices)];
    let figures: Vec<_> = matrices.iter().map(|(_, d)| d.figures()).collect();
    for (k, (name, _)) in figures.iter().flatten().take(figures[0].len()).enumerate() {
        let values: Vec<Option<f64>> = figures.iter().map(|figures| figures[k].1).collect();
        if values.iter().all(Option::is_none) {
            continue;
        }
        let first = if compare { values[0] } else { None };
        let mut line = vec![(*name).to_owned()];
        for (column, value) in values.into_iter().enumerate() {
            line.push(match (value, first) {
                (None, _) => "-".to_owned(),
                (Some(value), Some(first)) if column > 0 => {
                    format!("{} ({})", readable(value), signed(value - first))
                }
                (Some(value), _) => readable(value),
            });
        }
        lines.push(line);
    }
    let mut spectra = vec!["centred spectrum".to_owned()];
    spectra.extend(
        matrices
            .iter()
            .map(|(_, d)| bars(&d.centred_singular_values)),
    );
    lines.push(spectra);
    aligned(&lines)
}

/// The files' names, cut from the left where they are long.
fn heading(matrices: &[(&str, &Diagnostics)]) -> Vec<String> {
    const WIDTH: usize = 28;
    let mut line = vec![String::new()];
    line.extend(matrices.iter().map(|(file, _)| {
        let count = file.chars().count();
        if count <= WIDTH {
            (*file).to_owned()
        } else {
            let rest: String = file.chars().skip(count - WIDTH + 3).collect();
            format!("...{rest}")
        }
    }));
    line
}

/// Columns as wide as their widest cell.
pub(crate) fn aligned(lines: &[Vec<String>]) -> String {
    let width = |k: usize| lines.iter().map(|line| line[k].chars().count()).max();
    let widths: Vec<usize> = (0..lines[0].len()).filter_map(width).collect();
    let mut text = String::new();
    for line in lines {
        let cells: Vec<String> = (line.iter().zip(&widths))
            .map(|(cell, &width)| format!("{cell:<width$}"))
            .collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}

fn signed(difference: f64) -> String {
    let sign = if difference < 0.0 { "" } else { "+" };
    format!("{sign}{}", readable(difference))
}

/// The singular values relative to the largest, averaged over at most 24 groups, as bars of
/// eighths.
fn bars(values: &[f64]) -> String {
    const GROUPS: usize = 24;
    const EIGHTHS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let largest = values.first().copied().unwrap_or(0.0);
    let groups = values.len().min(GROUPS);
    let bar = |k: usize| {
        let group = &values[k * values.len() / groups..(k + 1) * values.len() / groups];
        let mean = group.iter().sum::<f64>() / group.len() as f64;
        let share = if largest > 0.0 { mean / largest } else { 0.0 };
        EIGHTHS[(share * 8.0).ceil().min(8.0) as usize]
    };
    (0..groups).map(bar).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_fall_with_the_spectrum() {
        assert_eq!(bars(&[4.0, 2.0, 1.0, 0.0]), "█▄▂ ");
        assert_eq!(bars(&[0.0, 0.0]), "  ");
        assert_eq!(bars(&[1.0; 100]), "█".repeat(24));
    }

    #[test]
    fn columns_are_aligned_and_compared() {
        let healthy = Diagnostics::new(&[1.0, 0.0, 0.0, 1.0, -1.0, 0.0, 0.0, -1.0], 2, None);
        let collapsed = Diagnostics::new(&[1.0, 0.0, 2.0, 0.0, -1.0, 0.0, 3.0, 0.0], 2, None);
        let (healthy, collapsed) = (healthy.unwrap(), collapsed.unwrap());
        let text = table(&[("a.npy", &healthy), ("b.npy", &collapsed)], true);
        let line = |name: &str| text.lines().find(|line| line.starts_with(name)).unwrap();
        let words: Vec<&str> = line("effective rank").split_whitespace().collect();
        assert_eq!(words, ["effective", "rank", "2", "1", "(-1)"], "{text}");
        assert!(line("dead dimensions").contains("1 (+1)"), "{text}");
        assert!(!text.contains("alignment") && !text.contains("NaN"));
        let long = "a/very/long/path/to/a/file/of/embeddings.npy";
        assert!(table(&[(long, &healthy)], false).contains(".../a/file/of/embeddings.npy"));
    }
}
