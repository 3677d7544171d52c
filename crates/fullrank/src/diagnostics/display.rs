//! The figures as text, a line each.

use std::fmt;

use super::Diagnostics;

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.verdict().text)?;
        for (name, value) in self.lines() {
            writeln!(f, "{name:<22} {value}")?;
        }
        Ok(())
    }
}

impl Diagnostics {
    /// The figures by name, as text: a table's rows, the same for every matrix.
    pub fn lines(&self) -> Vec<(&'static str, String)> {
        let random = |value: String, random: f64| format!("{value} (random {})", figure(random));
        vec![
            (
                "rows x dimensions",
                format!("{} x {}", self.rows, self.dims),
            ),
            (
                "mean singular value",
                random(figure(self.mean_singular_value), self.random_reference),
            ),
            (
                "  bounds",
                format!(
                    "{} to {}",
                    figure(self.lower_bound),
                    figure(self.upper_bound)
                ),
            ),
            ("  utilization", figure(self.utilization)),
            (
                "effective rank",
                random(optional(self.effective_rank), self.random_effective_rank),
            ),
            ("RankMe", figure(self.rankme)),
            ("participation ratio", optional(self.participation_ratio)),
            ("numerical rank", self.numerical_rank.to_string()),
            ("condition number", optional(self.condition_number)),
            ("alpha-ReQ", optional(self.alpha_req)),
            (
                "dead dimensions",
                self.dead_dimensions
                    .map_or_else(none, |dead| dead.to_string()),
            ),
            ("mean std", optional(self.mean_std)),
            (
                "std of unit rows",
                format!(
                    "{} (isotropic {})",
                    optional(self.unit_row_std),
                    figure(self.isotropic_std)
                ),
            ),
            ("mean |correlation|", optional(self.mean_abs_correlation)),
            ("uniformity", optional(self.uniformity)),
            (
                "classes",
                self.classes
                    .map_or_else(none, |classes| classes.to_string()),
            ),
            ("alignment", optional(self.alignment)),
            ("LiDAR rank", optional(self.lidar)),
        ]
    }
}

fn none() -> String {
    "-".to_owned()
}

fn optional(value: Option<f64>) -> String {
    value.map_or_else(none, figure)
}

/// Four significant digits.
fn figure(value: f64) -> String {
    let size = value.abs();
    if size == 0.0 {
        return "0".to_owned();
    }
    if !(1e-3..1e6).contains(&size) {
        return format!("{value:.3e}");
    }
    let digits = (3 - size.log10().floor() as i32).max(0) as usize;
    format!("{value:.digits$}")
}
