//! The figures as text, a line each.

use std::fmt;

use super::Diagnostics;

impl fmt::Display for Diagnostics {
    /// The verdict, and a line for each finding and for each figure that is defined.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = self.verdict();
        writeln!(f, "{}", verdict.text)?;
        for finding in &verdict.findings {
            writeln!(f, "- {finding}")?;
        }
        for (name, value) in self.figures() {
            if let Some(value) = value {
                writeln!(f, "{name:<20} {}", readable(value))?;
            }
        }
        Ok(())
    }
}

impl Diagnostics {
    /// The figures that are one number, by their names in a table: the same names in the same order
    /// for every matrix. What belongs to the figure above it is indented.
    pub fn figures(&self) -> Vec<(&'static str, Option<f64>)> {
        let count = |count: usize| count as f64;
        vec![
            ("rows", Some(count(self.rows))),
            ("dimensions", Some(count(self.dims))),
            (
                "zero rows",
                (self.zero_rows > 0).then_some(count(self.zero_rows)),
            ),
            ("mean singular value", Some(self.mean_singular_value)),
            ("  lower bound", Some(self.lower_bound)),
            ("  upper bound", Some(self.upper_bound)),
            ("  utilization", Some(self.utilization)),
            ("  of random rows", Some(self.random_reference)),
            ("effective rank", self.effective_rank),
            ("  of random rows", Some(self.random_effective_rank)),
            ("spectral entropy", self.spectral_entropy),
            ("RankMe", Some(self.rankme)),
            ("participation ratio", self.participation_ratio),
            ("numerical rank", Some(count(self.numerical_rank))),
            ("condition number", self.condition_number),
            ("alpha-ReQ", self.alpha_req),
            ("dead dimensions", self.dead_dimensions.map(count)),
            ("  about the mean", self.dead_about_mean.map(count)),
            (
                "duplicate rows",
                self.duplicate_rows.filter(|&rows| rows > 0).map(count),
            ),
            ("mean std", self.mean_std),
            ("std of unit rows", self.unit_row_std),
            ("  if isotropic", Some(self.isotropic_std)),
            ("mean |correlation|", self.mean_abs_correlation),
            ("mean cosine", self.mean_cosine),
            ("  without the mean", self.mean_cosine_centred),
            ("uniformity", self.uniformity),
            ("classes", self.classes.map(count)),
            ("alignment", self.alignment),
            ("LiDAR rank", self.lidar),
        ]
    }
}

/// A figure as text: whole numbers whole, others with four significant digits.
pub fn readable(value: f64) -> String {
    let size = value.abs();
    if value.fract() == 0.0 && size < 1e9 {
        return format!("{value:.0}");
    }
    if !(1e-3..1e6).contains(&size) {
        return format!("{value:.3e}");
    }
    let digits = (3 - size.log10().floor() as i32).max(0) as usize;
    format!("{value:.digits$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_digits() {
        let values = [0.0, 128.0, 12.345, 0.012345, 1234.56, -0.5, 2.5e-7, 3.3e9];
        assert_eq!(
            values.map(readable),
            [
                "0", "128", "12.35", "0.01235", "1235", "-0.5000", "2.500e-7", "3.300e9"
            ]
        );
    }

    #[test]
    fn a_line_for_each_figure() {
        let rows = [1.0, 0.0, 0.0, 1.0, -1.0, 0.0, 0.0, -1.0];
        let text = Diagnostics::new(&rows, 2, None).unwrap().to_string();
        assert!(
            text.starts_with("healthy: uses 2.0 of 2 dimensions"),
            "{text}"
        );
        assert!(text.contains("\nmean singular value  1.414\n"), "{text}");
        assert!(!text.contains("alignment"), "{text}");
    }
}
