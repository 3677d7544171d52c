use super::Palette;
use super::axis::Axis;
use super::canvas::document;
use super::grid::Grid;
use super::legend;
use super::panel::Panel;

/// One method's values over the training run.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// The method.
    pub name: String,
    /// (training step or epoch, value), in the order they are joined.
    pub points: Vec<(f64, f64)>,
}

/// One term of a loss, or any other quantity, followed over training: one panel.
#[derive(Debug, Clone, PartialEq)]
pub struct Term {
    /// The panel's title.
    pub name: String,
    /// What the values are, with their unit where they have one.
    pub y_label: String,
    /// One line for each method.
    pub series: Vec<Series>,
}

/// One panel for each term over training, one line for each method; at most three panels in a row.
///
/// `x_label` says what the points' x is, such as "epoch" or "training step".
pub fn terms_over_time(title: &str, x_label: &str, terms: &[Term], palette: &Palette) -> String {
    let series = terms.iter().flat_map(|term| &term.series);
    let entries = legend::lines(series.map(|series| series.name.as_str()), palette);
    let grid = Grid::new(terms.len(), &entries);

    let names: Vec<&str> = entries.iter().map(|entry| entry.text.as_str()).collect();
    let panels: Vec<&str> = terms.iter().map(|term| term.name.as_str()).collect();
    let description = format!(
        "Line plots over the {x_label}: {}. One line for each of {}.",
        panels.join(", "),
        names.join(", "),
    );
    document(grid.size(), title, &description, |canvas| {
        for (index, term) in terms.iter().enumerate() {
            let points = || term.series.iter().flat_map(|series| &series.points);
            let panel = Panel {
                title: &term.name,
                x_label,
                y_label: &term.y_label,
                x: Axis::exact(points().map(|point| point.0), 5),
                y: Axis::rounded(points().map(|point| point.1), 5),
                lines: term
                    .series
                    .iter()
                    .map(|series| (palette.color(&series.name), series.points.clone()))
                    .collect(),
                levels: vec![],
            };
            panel.draw(canvas, grid.frame(index));
        }
        let (at, width) = grid.legend();
        legend::draw(canvas, &entries, at, width, true);
    })
}
