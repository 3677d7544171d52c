use plotters::style::text_anchor::HPos;

use super::canvas::{AXIS, Text, document};
use super::legend::{self, Entry, Sample};
use super::{Palette, drawable};

/// Points of the plane whose directions are drawn on a circle.
#[derive(Debug, Clone, PartialEq)]
pub struct Circle {
    /// What is written above the circle, such as the training step.
    pub name: String,
    /// The class of each point, an index into the classes, and the point.
    pub points: Vec<(usize, [f64; 2])>,
}

const SIDE: f64 = 150.0;
const LABEL: f64 = 110.0;

/// Embeddings of two dimensions on the unit circle, over training: one row of circles for each method, one
/// color for each class. Points at the origin and points that cannot be drawn are left out.
pub fn circles(
    title: &str,
    rows: &[(String, Vec<Circle>)],
    classes: &[String],
    palette: &Palette,
) -> String {
    let columns = rows
        .iter()
        .map(|(_, row)| row.len())
        .max()
        .unwrap_or(0)
        .max(1);
    let width = LABEL + columns as f64 * SIDE + 20.0;
    let entries: Vec<Entry> = classes
        .iter()
        .map(|class| Entry {
            text: class.clone(),
            color: palette.color(class),
            sample: Sample::Box,
        })
        .collect();
    let head = 44.0;
    let legend_top = head + rows.len() as f64 * (SIDE + 12.0) + 4.0;
    let legend_width = width - 40.0;
    let height = (legend_top + legend::height(&entries, legend_width) + 10.0).ceil();
    let names: Vec<&str> = rows.iter().map(|(name, _)| name.as_str()).collect();
    let description = format!(
        "Embeddings on the unit circle over training, one row for each of {}, one color for each of {} \
         classes.",
        names.join(", "),
        classes.len(),
    );
    document((width, height), title, &description, |canvas| {
        for (index, (name, row)) in rows.iter().enumerate() {
            let top = head + index as f64 * (SIDE + 12.0);
            let how = Text::new(13.0, HPos::Left).bold().fit(name, LABEL - 14.0);
            canvas.text(name, (12.0, top + SIDE / 2.0 + 8.0), how);
            for (column, circle) in row.iter().enumerate() {
                let middle = (LABEL + (column as f64 + 0.5) * SIDE, top + SIDE / 2.0 + 8.0);
                let radius = SIDE / 2.0 - 16.0;
                canvas.text(&circle.name, (middle.0, top), Text::new(11.0, HPos::Center));
                let rim: Vec<_> = (0..=72)
                    .map(|step| (f64::from(step) * 5.0).to_radians().sin_cos())
                    .map(|(sin, cos)| (middle.0 + radius * cos, middle.1 - radius * sin))
                    .collect();
                canvas.polyline(&rim, AXIS, 0.8);
                for &(class, [x, y]) in &circle.points {
                    let norm = x.hypot(y);
                    if norm > 0.0 && drawable(norm) {
                        let at = (middle.0 + radius * x / norm, middle.1 - radius * y / norm);
                        let class = classes.get(class).map_or("", String::as_str);
                        canvas.dot(at, 3.0, palette.color(class));
                    }
                }
            }
        }
        legend::draw(canvas, &entries, (20.0, legend_top), legend_width, true);
    })
}
