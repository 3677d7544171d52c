//! One pair of axes and the lines in it.

use plotters::style::RGBColor;
use plotters::style::text_anchor::HPos;

use super::axis::Axis;
use super::canvas::{AXIS, Canvas, GRID, Point, Text};

/// Room left of the axes for tick labels and the axis title.
pub(super) const LEFT: f64 = 62.0;
/// Room above the axes for the panel's title.
pub(super) const ABOVE: f64 = 26.0;
/// Room below the axes for tick labels and the axis title.
pub(super) const BELOW: f64 = 42.0;

/// The rectangle between the axes, in pixels.
#[derive(Clone, Copy)]
pub(super) struct Frame {
    pub(super) left: f64,
    pub(super) top: f64,
    pub(super) width: f64,
    pub(super) height: f64,
}

impl Frame {
    pub(super) fn right(&self) -> f64 {
        self.left + self.width
    }

    pub(super) fn bottom(&self) -> f64 {
        self.top + self.height
    }

    /// The pixel of a share of the x axis and a share of the y axis.
    pub(super) fn at(&self, x: f64, y: f64) -> Point {
        (self.left + x * self.width, self.bottom() - y * self.height)
    }
}

/// A panel of lines.
pub(super) struct Panel<'a> {
    pub(super) title: &'a str,
    pub(super) x_label: &'a str,
    pub(super) y_label: &'a str,
    pub(super) x: Axis,
    pub(super) y: Axis,
    pub(super) lines: Vec<(RGBColor, Vec<Point>)>,
    /// Dashed lines across the panel.
    pub(super) levels: Vec<(RGBColor, f64)>,
}

impl Panel<'_> {
    pub(super) fn draw(&self, canvas: &mut Canvas<'_>, frame: Frame) {
        heading(canvas, frame, self.title);
        x_axis(canvas, frame, &self.x, self.x_label);
        y_axis(canvas, frame, &self.y, self.y_label);
        for &(color, level) in &self.levels {
            let (left, y) = frame.at(0.0, self.y.place(level));
            canvas.dashes(y, left, frame.right(), color, 1.3);
        }
        for (color, points) in &self.lines {
            let places: Vec<Point> = points
                .iter()
                .filter(|(x, y)| super::drawable(*x) && super::drawable(*y))
                .map(|&(x, y)| frame.at(self.x.place(x), self.y.place(y)))
                .collect();
            match places[..] {
                [] => {}
                [only] => canvas.dot(only, 3.0, *color),
                _ => {
                    // Thinner where the values of a pixel column would run together.
                    let dense = places.len() as f64 > 2.0 * frame.width;
                    canvas.polyline(&thinned(&places), *color, if dense { 1.0 } else { 2.0 });
                }
            }
        }
        let drawn = |(x, y): &Point| super::drawable(*x) && super::drawable(*y);
        if !self.lines.iter().flat_map(|(_, points)| points).any(drawn) {
            canvas.text("no data", frame.at(0.5, 0.5), Text::new(12.0, HPos::Center));
        }
    }
}

/// The y axis with its grid.
pub(super) fn y_axis(canvas: &mut Canvas<'_>, frame: Frame, axis: &Axis, title: &str) {
    for (share, text) in axis.ticks() {
        let (left, y) = frame.at(0.0, *share);
        if *share > 0.0 {
            canvas.line((left, y), (frame.right(), y), GRID, 1.0);
        }
        canvas.text(text, (left - 7.0, y), Text::new(11.0, HPos::Right));
    }
    canvas.line(frame.at(0.0, 0.0), frame.at(0.0, 1.0), AXIS, 1.0);
    let middle = (frame.left - LEFT + 12.0, frame.top + frame.height / 2.0);
    let how = Text::new(12.0, HPos::Center)
        .upright()
        .fit(title, frame.height + 20.0);
    canvas.text(title, middle, how);
}

pub(super) fn heading(canvas: &mut Canvas<'_>, frame: Frame, title: &str) {
    let how = Text::new(13.0, HPos::Center)
        .bold()
        .fit(title, frame.width + 30.0);
    canvas.text(
        title,
        (frame.left + frame.width / 2.0, frame.top - 14.0),
        how,
    );
}

/// The x axis with its grid.
pub(super) fn x_axis(canvas: &mut Canvas<'_>, frame: Frame, axis: &Axis, title: &str) {
    for (share, text) in axis.ticks() {
        let (x, bottom) = frame.at(*share, 0.0);
        if *share > 0.0 {
            canvas.line((x, frame.top), (x, bottom), GRID, 1.0);
        }
        canvas.text(text, (x, bottom + 12.0), Text::new(11.0, HPos::Center));
    }
    canvas.line(frame.at(0.0, 0.0), frame.at(1.0, 0.0), AXIS, 1.0);
    let how = Text::new(12.0, HPos::Center).fit(title, frame.width + 30.0);
    canvas.text(
        title,
        (frame.left + frame.width / 2.0, frame.bottom() + 31.0),
        how,
    );
}

/// At most four points of each run of points in the same column of pixels: the first, the lowest,
/// the highest and the last, in their order. What is drawn stays the same.
fn thinned(places: &[Point]) -> Vec<Point> {
    let mut kept = Vec::new();
    for column in places.chunk_by(|a, b| a.0.floor() == b.0.floor()) {
        if column.len() <= 4 {
            kept.extend_from_slice(column);
            continue;
        }
        let by_height = |a: &usize, b: &usize| column[*a].1.total_cmp(&column[*b].1);
        let low = (0..column.len()).min_by(by_height).unwrap_or(0);
        let high = (0..column.len()).max_by(by_height).unwrap_or(0);
        let mut chosen = [0, low, high, column.len() - 1];
        chosen.sort_unstable();
        kept.extend(chosen.map(|index| column[index]));
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::thinned;

    #[test]
    fn thinning_keeps_the_extremes_of_a_pixel_column() {
        let places: Vec<_> = (0..100)
            .map(|i| (7.0 + f64::from(i) / 200.0, f64::from(i % 13)))
            .collect();
        let kept = thinned(&places);
        assert_eq!(kept.len(), 4);
        assert_eq!((kept[0], kept[3]), (places[0], places[99]));
        assert!(kept.iter().any(|p| p.1 == 12.0));
        assert_eq!(thinned(&places[..3]), places[..3]);
    }
}
