use plotters::style::text_anchor::HPos;

use super::axis::Axis;
use super::canvas::{AXIS, Canvas, Text, document};
use super::grid::Grid;
use super::legend;
use super::panel::{Frame, Panel};
use super::{Palette, drawable};

/// What one method reaches at each setting, measured once or several times.
#[derive(Debug, Clone, PartialEq)]
pub struct Trend {
    /// The method.
    pub name: String,
    /// (setting, the values measured there), in the order they are joined.
    pub points: Vec<(f64, Vec<f64>)>,
}

/// A value for orientation at each setting, such as a bound.
#[derive(Debug, Clone, PartialEq)]
pub struct Level {
    /// What it is, written at its right end.
    pub name: String,
    /// (setting, value), in the order they are joined.
    pub points: Vec<(f64, f64)>,
}

/// One panel of [`trends`].
#[derive(Debug, Clone, PartialEq)]
pub struct TrendPanel {
    /// The panel's title.
    pub name: String,
    /// What the values are, with their unit where they have one.
    pub y_label: String,
    /// One line for each method.
    pub trends: Vec<Trend>,
    /// Thin gray lines.
    pub levels: Vec<Level>,
}

/// What methods reach over a setting, such as the learning rate: a line through the means for each
/// method, and a dot for each single measurement; at most three panels in a row.
///
/// The axis of the setting is logarithmic; settings that are not above zero are not drawn.
pub fn trends(title: &str, x_label: &str, panels: &[TrendPanel], palette: &Palette) -> String {
    let names = panels.iter().flat_map(|panel| &panel.trends);
    let entries = legend::lines(names.map(|trend| trend.name.as_str()), palette);
    let grid = Grid::new(panels.len(), &entries);
    let titles: Vec<&str> = panels.iter().map(|panel| panel.name.as_str()).collect();
    let methods: Vec<&str> = entries.iter().map(|entry| entry.text.as_str()).collect();
    let description = format!(
        "Lines over the {x_label}: {}. One line for each of {}, with a dot for each measurement.",
        titles.join(", "),
        methods.join(", "),
    );
    document(grid.size(), title, &description, |canvas| {
        for (index, panel) in panels.iter().enumerate() {
            panel.draw(canvas, grid.frame(index), x_label, palette);
        }
        let (at, width) = grid.legend();
        legend::draw(canvas, &entries, at, width, true);
    })
}

impl Trend {
    /// Every single measurement that can be drawn.
    fn singles(&self) -> impl Iterator<Item = (f64, f64)> + '_ {
        let points = self.points.iter();
        points
            .flat_map(|(x, values)| values.iter().map(move |&y| (*x, y)))
            .filter(on_the_axes)
    }

    fn means(&self) -> impl Iterator<Item = (f64, f64)> + '_ {
        let mean = |values: &[f64]| {
            let drawn = || values.iter().filter(|&&value| drawable(value));
            drawn().sum::<f64>() / drawn().count() as f64
        };
        let points = self.points.iter();
        points
            .map(move |(x, values)| (*x, mean(values)))
            .filter(on_the_axes)
    }
}

fn on_the_axes(&(x, y): &(f64, f64)) -> bool {
    x > 0.0 && drawable(x) && drawable(y)
}

impl TrendPanel {
    fn draw(&self, canvas: &mut Canvas<'_>, frame: Frame, x_label: &str, palette: &Palette) {
        let levels = || {
            let points = self.levels.iter().flat_map(|level| &level.points);
            points.copied().filter(on_the_axes)
        };
        let points = || self.trends.iter().flat_map(Trend::singles).chain(levels());
        let settings = || points().map(|point| point.0);
        let first = settings().fold(f64::INFINITY, f64::min).min(1e100);
        let last = settings().fold(first, f64::max);
        let lines = self.trends.iter();
        let panel = Panel {
            title: &self.name,
            x_label,
            y_label: &self.y_label,
            x: Axis::log(first / 1.2, last, false),
            y: Axis::rounded(points().map(|point| point.1), 5),
            lines: lines
                .map(|trend| (palette.color(&trend.name), trend.means().collect()))
                .collect(),
            levels: Vec::new(),
        };
        panel.draw(canvas, frame);
        let place = |(x, y)| frame.at(panel.x.place(x), panel.y.place(y));
        for level in &self.levels {
            let points = level.points.iter().copied().filter(on_the_axes);
            let places: Vec<_> = points.map(place).collect();
            canvas.polyline(&places, AXIS, 1.2);
            if let Some(&(x, y)) = places.last() {
                let how = Text {
                    color: AXIS,
                    ..Text::new(10.0, HPos::Right)
                };
                canvas.text(&level.name, (x, y - 7.0), how);
            }
        }
        for trend in &self.trends {
            for single in trend.singles() {
                canvas.dot(place(single), 2.5, palette.color(&trend.name));
            }
        }
    }
}
