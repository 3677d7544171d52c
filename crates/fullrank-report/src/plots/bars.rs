use plotters::style::RGBColor;
use plotters::style::text_anchor::HPos;

use super::axis::Axis;
use super::canvas::{AXIS, Canvas, Text, document, text_width};
use super::legend::{self, Entry, Sample};
use super::palette::tint;
use super::panel::{ABOVE, BELOW, Frame, heading, x_axis};
use super::{Palette, drawable};

/// The shade of each metric, as the share of the method's color; further metrics take the last.
const SHADES: [f64; 3] = [1.0, 0.45, 0.2];

/// Accuracies, or other scores, of several methods.
#[derive(Debug, Clone, PartialEq)]
pub struct BarChart {
    /// The chart's title.
    pub title: String,
    /// What the values are, with their unit, such as "test accuracy (%)".
    pub axis_label: String,
    /// Where the bars start. A value below it has a bar of no length.
    pub axis_min: f64,
    /// What each bar of a group is, such as "k-NN" and "linear probe".
    pub metrics: Vec<String>,
    /// The methods and baselines, from the top down.
    pub groups: Vec<BarGroup>,
}

/// The bars of one method.
#[derive(Debug, Clone, PartialEq)]
pub struct BarGroup {
    /// The method or baseline.
    pub name: String,
    /// One value for each metric of the chart; NaN for one that was not measured (drawn as "n/a").
    pub values: Vec<f64>,
}

/// Horizontal bars, one group for each method and one bar for each metric, with their values.
pub fn bars(chart: &BarChart, palette: &Palette) -> String {
    let (width, head) = (720.0, 30.0);
    let bars: usize = chart
        .groups
        .iter()
        .map(|group| group.values.len().max(1))
        .sum();
    let frame_height = 17.0 * bars as f64 + 14.0 * chart.groups.len().max(1) as f64;
    let (names, value) = (names_width(chart).min(0.4 * width), value_width(chart));
    let frame = Frame {
        left: 16.0 + names,
        top: head + 14.0,
        width: width - 32.0 - names - value,
        height: frame_height.max(80.0),
    };
    let entries = entries(chart);
    let legend_top = frame.bottom() + BELOW + 6.0;
    let legend_width = width - 40.0;
    let height = (legend_top + legend::height(&entries, legend_width) + 10.0).ceil();
    document((width, height), &chart.title, &summary(chart), |canvas| {
        draw(canvas, frame, chart, palette);
        legend::draw(canvas, &entries, (20.0, legend_top), legend_width, true);
    })
}

/// The bars and their legend in a space given from outside.
pub(super) fn draw_in(
    canvas: &mut Canvas<'_>,
    (left, top, width): (f64, f64, f64),
    frame_height: f64,
    chart: &BarChart,
    palette: &Palette,
) {
    let (names, value) = (names_width(chart).min(0.4 * width), value_width(chart));
    let frame = Frame {
        left: left + names,
        top: top + ABOVE,
        width: width - names - value,
        height: frame_height,
    };
    heading(
        canvas,
        Frame {
            width: frame.width + value,
            ..frame
        },
        &chart.title,
    );
    draw(canvas, frame, chart, palette);
    let legend_top = frame.bottom() + BELOW + 4.0;
    legend::draw(
        canvas,
        &entries(chart),
        (frame.left, legend_top),
        width - names,
        false,
    );
}

/// How high the legend of [`draw_in`] is at the most, in a space of `width` pixels.
pub(super) fn legend_height(chart: &BarChart, width: f64) -> f64 {
    legend::height(&entries(chart), 0.5 * width)
}

/// The chart in words.
pub(super) fn summary(chart: &BarChart) -> String {
    let group = |group: &BarGroup| {
        let values: Vec<String> = chart
            .metrics
            .iter()
            .zip(&group.values)
            .filter(|(_, value)| drawable(**value))
            .map(|(metric, value)| format!("{metric} {}", value_text(*value)))
            .collect();
        format!("{}: {}", group.name, values.join(", "))
    };
    let groups: Vec<String> = chart.groups.iter().map(group).collect();
    format!("Bars, {}. {}.", chart.axis_label, groups.join("; "))
}

fn names_width(chart: &BarChart) -> f64 {
    chart
        .groups
        .iter()
        .map(|group| text_width(&group.name, 12.0))
        .fold(0.0, f64::max)
        + 10.0
}

/// Room right of the longest bar for its value.
fn value_width(chart: &BarChart) -> f64 {
    let values = chart.groups.iter().flat_map(|group| &group.values);
    values
        .map(|&value| text_width(&value_text(value), 11.0))
        .fold(26.0, f64::max)
        + 10.0
}

fn value_text(value: f64) -> String {
    match value.abs() {
        _ if !drawable(value) => "n/a".into(),
        0.0..1e5 => format!("{value:.1}"),
        _ => format!("{value:.1e}"),
    }
}

fn shade(metric: usize, color: RGBColor) -> RGBColor {
    tint(color, SHADES[metric.min(SHADES.len() - 1)])
}

fn entries(chart: &BarChart) -> Vec<Entry> {
    let entry = |(metric, name): (usize, &String)| Entry {
        text: name.clone(),
        color: shade(metric, RGBColor(0x55, 0x55, 0x55)),
        sample: Sample::Box,
    };
    chart.metrics.iter().enumerate().map(entry).collect()
}

fn draw(canvas: &mut Canvas<'_>, frame: Frame, chart: &BarChart, palette: &Palette) {
    let values = chart.groups.iter().flat_map(|group| &group.values).copied();
    let min = if drawable(chart.axis_min) {
        chart.axis_min
    } else {
        0.0
    };
    let axis = Axis::from_min(min, values, 5);
    x_axis(canvas, frame, &axis, &chart.axis_label);
    let slot = frame.height / chart.groups.len().max(1) as f64;
    for (index, group) in chart.groups.iter().enumerate() {
        let middle = frame.top + (index as f64 + 0.5) * slot;
        let name = Text::new(12.0, HPos::Right).fit(&group.name, names_width(chart));
        canvas.text(&group.name, (frame.left - 8.0, middle), name);
        let thickness = (0.8 * slot / group.values.len().max(1) as f64).min(16.0);
        let first = middle - thickness * group.values.len() as f64 / 2.0;
        for (metric, &value) in group.values.iter().enumerate() {
            let top = first + metric as f64 * thickness;
            let share = if drawable(value) {
                axis.place(value)
            } else {
                0.0
            };
            let (right, _) = frame.at(share, 0.0);
            if share > 0.0 {
                let color = shade(metric, palette.color(&group.name));
                canvas.rect(
                    (frame.left, top + 0.5),
                    (right, top + thickness - 0.5),
                    color,
                );
            }
            let at = (right + 5.0, top + thickness / 2.0);
            let size = (thickness - 2.0).clamp(7.0, 11.0);
            canvas.text(&value_text(value), at, Text::new(size, HPos::Left));
        }
    }
    canvas.line(frame.at(0.0, 0.0), frame.at(0.0, 1.0), AXIS, 1.0);
}
