use plotters::style::RGBColor;
use plotters::style::text_anchor::HPos;

use super::axis::Axis;
use super::canvas::{AXIS, INK, Mark, Point, Text, document};
use super::legend::{self, Entry, Sample};
use super::palette::{BASELINE, OKABE_ITO};
use super::panel::{BELOW, Frame, LEFT, x_axis, y_axis};

/// Points in the plane, by class.
#[derive(Debug, Clone, PartialEq)]
pub struct Scatter {
    /// What the first coordinate is.
    pub x_label: String,
    /// What the second coordinate is.
    pub y_label: String,
    /// The classes, in the order of their colors. The first 20 have a color and a form of their own,
    /// the rest are gray.
    pub classes: Vec<ScatterClass>,
    /// A circle about the origin, drawn dashed, with its name.
    pub circle: Option<(f64, String)>,
}

/// The points of one class.
#[derive(Debug, Clone, PartialEq)]
pub struct ScatterClass {
    /// The class.
    pub name: String,
    /// Its points.
    pub points: Vec<(f64, f64)>,
}

impl Scatter {
    /// Classes that can be told apart: of seven colors in three forms.
    pub const CLASSES: usize = 20;

    /// The greatest coordinate in magnitude, of points and circle.
    pub fn extent(&self) -> f64 {
        self.classes
            .iter()
            .flat_map(|class| &class.points)
            .flat_map(|point| [point.0, point.1])
            .chain(self.circle.as_ref().map(|circle| circle.0))
            .filter(|&value| super::drawable(value))
            .fold(0.0, |extent: f64, value| extent.max(value.abs()))
    }

    /// The named classes and, last, the rest.
    fn groups(&self) -> Vec<Group> {
        let named = |(index, class): (usize, &ScatterClass)| {
            let (color, mark) = look(index);
            Group {
                name: class.name.clone(),
                points: class.points.clone(),
                color,
                mark,
            }
        };
        let classes = self.classes.iter().enumerate();
        let mut groups: Vec<Group> = classes.take(Self::CLASSES).map(named).collect();
        let rest = self.classes.get(Self::CLASSES..).unwrap_or_default();
        if !rest.is_empty() {
            groups.push(Group {
                name: format!("{} other classes", rest.len()),
                points: rest.iter().flat_map(|class| class.points.clone()).collect(),
                color: BASELINE,
                mark: Mark::Disc,
            });
        }
        groups
    }
}

/// Points that look alike.
struct Group {
    name: String,
    points: Vec<(f64, f64)>,
    color: RGBColor,
    mark: Mark,
}

fn look(index: usize) -> (RGBColor, Mark) {
    let mark = [Mark::Disc, Mark::Square, Mark::Triangle][index / OKABE_ITO.len() % 3];
    (OKABE_ITO[index % OKABE_ITO.len()], mark)
}

/// Points about the origin of a square panel, both axes from `-extent` to `extent`: give pictures
/// that are to be compared the greatest of their [extents](Scatter::extent).
pub fn scatter(title: &str, data: &Scatter, extent: f64) -> String {
    let groups = data.groups();
    let classes: Vec<Entry> = groups
        .iter()
        .map(|group| Entry {
            text: group.name.clone(),
            color: group.color,
            sample: Sample::Mark(group.mark),
        })
        .collect();
    let circle: Vec<Entry> = data
        .circle
        .iter()
        .map(|(_, name)| Entry {
            text: name.clone(),
            color: INK,
            sample: Sample::Dashes,
        })
        .collect();

    let width = 460.0;
    let side = width - LEFT - 26.0;
    let frame = Frame {
        left: LEFT,
        top: 44.0,
        width: side,
        height: side,
    };
    let legend_width = width - 24.0;
    let legend_top = frame.bottom() + BELOW + 4.0;
    let circle_top = legend_top + legend::height(&classes, legend_width);
    let height = (circle_top + legend::height(&circle, legend_width) + 8.0).ceil();
    let count: usize = groups.iter().map(|group| group.points.len()).sum();
    let names: Vec<String> = groups
        .iter()
        .map(|group| format!("{} ({})", group.name, group.points.len()))
        .collect();
    let description = format!(
        "{count} points in the plane of {} and {}, by class: {}.",
        data.x_label,
        data.y_label,
        names.join(", ")
    );
    document((width, height), title, &description, |canvas| {
        let extent = if extent > 0.0 { 1.04 * extent } else { 1.0 };
        let axis = || Axis::exact([-extent, extent].into_iter(), 4);
        let (x, y) = (axis(), axis());
        x_axis(canvas, frame, &x, &data.x_label);
        y_axis(canvas, frame, &y, &data.y_label);
        let origin = frame.at(x.place(0.0), y.place(0.0));
        canvas.line((origin.0, frame.top), (origin.0, frame.bottom()), AXIS, 0.6);
        canvas.line((frame.left, origin.1), (frame.right(), origin.1), AXIS, 0.6);
        let size = if count > 600 { 3.6 } else { 5.0 };
        // The rest below the named classes.
        for group in groups.iter().rev() {
            let places: Vec<Point> = group
                .points
                .iter()
                .filter(|point| super::drawable(point.0) && super::drawable(point.1))
                .map(|point| frame.at(x.place(point.0), y.place(point.1)))
                .collect();
            canvas.marks(&places, group.mark, size, group.color);
        }
        if let Some((radius, _)) = data.circle.as_ref().filter(|circle| circle.0 <= extent) {
            canvas.dashed_circle(origin, radius / extent * side / 2.0, INK);
        }
        if count == 0 {
            canvas.text("no data", frame.at(0.5, 0.5), Text::new(12.0, HPos::Center));
        }
        legend::draw(canvas, &classes, (16.0, legend_top), legend_width, true);
        legend::draw(canvas, &circle, (16.0, circle_top), legend_width, true);
    })
}
