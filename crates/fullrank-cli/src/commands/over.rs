//! Diagnostics over the layers of a network, or over epochs: a row for each.

use fullrank::diagnostics::{Diagnostics, Thresholds, readable};

use super::comparison::aligned;

/// A row for each matrix with the figures that say how much of its space it uses, on scales that do not depend on its
/// shape.
pub(crate) fn table(matrices: &[(String, &Diagnostics)], thresholds: &Thresholds) -> String {
    let heading = [
        "",
        "dimensions",
        "effective rank",
        "of random rows",
        "spectral entropy",
        "utilization",
        "dead",
        "verdict",
    ];
    let mut lines = vec![heading.map(str::to_owned).to_vec()];
    for (file, figures) in matrices {
        let number = |figure: Option<f64>| figure.map_or("-".to_owned(), readable);
        let share = figures
            .effective_rank
            .map(|rank| rank / figures.random_effective_rank)
            .filter(|share| share.is_finite());
        lines.push(vec![
            file.clone(),
            figures.dims.to_string(),
            number(figures.effective_rank),
            share.map_or("-".to_owned(), |share| format!("{:.0} %", 100.0 * share)),
            number(figures.spectral_entropy),
            number(Some(figures.utilization)),
            number(figures.dead_dimensions.map(|count| count as f64)),
            figures.verdict_by(thresholds).health.word().to_owned(),
        ]);
    }
    aligned(&lines)
}

/// What sorts names as people do: the numbers in them by their size, `layer-2` before `layer-10`.
pub(crate) fn numbers_in_order(name: &str) -> Vec<(String, u128)> {
    let mut parts = Vec::new();
    let mut rest = name;
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(rest.len());
        let (text, from_digits) = rest.split_at(digits);
        let end = from_digits.find(|c: char| !c.is_ascii_digit());
        let (number, behind) = from_digits.split_at(end.unwrap_or(from_digits.len()));
        // Of more digits than a number of this type has: behind all others.
        let number = match number {
            "" => 0,
            digits => digits.parse().unwrap_or(u128::MAX),
        };
        parts.push((text.to_owned(), number));
        rest = behind;
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_by_the_numbers_in_them() {
        let mut names = [
            "l10.npy",
            "l9.npy",
            "epoch-2/l1.npy",
            "epoch-10/l1.npy",
            "l.npy",
        ];
        names.sort_by_cached_key(|name| numbers_in_order(name));
        assert_eq!(
            names,
            [
                "epoch-2/l1.npy",
                "epoch-10/l1.npy",
                "l9.npy",
                "l10.npy",
                "l.npy"
            ]
        );
    }

    #[test]
    fn a_row_for_each_matrix() {
        let healthy = Diagnostics::new(&[1.0, 0.0, 0.0, 1.0, -1.0, 0.0, 0.0, -1.0], 2, None);
        let collapsed = Diagnostics::new(&[1.0, 0.0, 2.0, 0.0, -1.0, 0.0, 3.0, 0.0], 2, None);
        let (healthy, collapsed) = (healthy.unwrap(), collapsed.unwrap());
        let matrices = [
            ("first".to_owned(), &healthy),
            ("second".to_owned(), &collapsed),
        ];
        let text = table(&matrices, &Thresholds::default());
        let words = |row: &str| {
            let line = text.lines().find(|line| line.starts_with(row)).unwrap();
            line.split_whitespace()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        let first = words("first");
        assert_eq!(
            [&first[1], &first[2], &first[5], &first[6]],
            ["2", "2", "1", "1"],
            "{text}"
        );
        let second = words("second");
        assert_eq!(
            [&second[1], &second[2], &second[5]],
            ["2", "1", "0"],
            "{text}"
        );
    }
}
