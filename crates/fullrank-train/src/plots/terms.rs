use super::Palette;
use super::axis::Axis;
use super::canvas::document;
use super::legend::{self, Entry, Sample};
use super::panel::{ABOVE, BELOW, Frame, LEFT, Panel};

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
    let columns = if terms.len() == 4 {
        2
    } else {
        terms.len().clamp(1, 3)
    };
    let rows = terms.len().div_ceil(columns);
    let (width, panel_height) = match columns {
        1 => (560.0, 270.0),
        2 => (840.0, 250.0),
        _ => (1000.0, 210.0),
    };
    let (head, gap, right) = (38.0, 12.0, 18.0);
    let cell_width = (width - right) / columns as f64;
    let cell_height = ABOVE + panel_height + BELOW;

    let mut names: Vec<&str> = Vec::new();
    for series in terms.iter().flat_map(|term| &term.series) {
        if !names.contains(&series.name.as_str()) {
            names.push(&series.name);
        }
    }
    let entries: Vec<Entry> = names
        .iter()
        .map(|name| Entry {
            text: (*name).into(),
            color: palette.color(name),
            sample: Sample::Line,
        })
        .collect();
    let legend_width = width - 40.0;
    let legend_top = head + rows as f64 * (cell_height + gap) - gap + 8.0;
    let height = (legend_top + legend::height(&entries, legend_width) + 10.0).ceil();

    let panels: Vec<&str> = terms.iter().map(|term| term.name.as_str()).collect();
    let description = format!(
        "Line plots over the {x_label}: {}. One line for each of {}.",
        panels.join(", "),
        names.join(", "),
    );
    document((width, height), title, &description, |canvas| {
        for (index, term) in terms.iter().enumerate() {
            let (row, column) = (index / columns, index % columns);
            let frame = Frame {
                left: column as f64 * cell_width + LEFT,
                top: head + row as f64 * (cell_height + gap) + ABOVE,
                width: cell_width - LEFT - 6.0,
                height: panel_height,
            };
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
            panel.draw(canvas, frame);
        }
        legend::draw(canvas, &entries, (20.0, legend_top), legend_width, true);
    })
}
