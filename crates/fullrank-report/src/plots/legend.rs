//! The key to the lines and bars of a plot, set below it.

use plotters::style::RGBColor;
use plotters::style::text_anchor::HPos;

use super::Palette;
use super::canvas::{Canvas, Mark, Point, Text, text_width};

const SIZE: f64 = 12.0;
const ROW: f64 = 19.0;
const SAMPLE: f64 = 20.0;
const SAMPLE_TO_TEXT: f64 = 6.0;
const COLUMN_GAP: f64 = 18.0;

#[derive(Clone, Copy)]
pub(super) enum Sample {
    Line,
    Dashes,
    Box,
    /// An upright stroke.
    Tick,
    Mark(Mark),
}

pub(super) struct Entry {
    pub(super) text: String,
    pub(super) color: RGBColor,
    pub(super) sample: Sample,
}

/// A line for each name, once, in the order in which they come up.
pub(super) fn lines<'a>(names: impl Iterator<Item = &'a str>, palette: &Palette) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    for name in names {
        if entries.iter().all(|entry| entry.text != name) {
            entries.push(Entry {
                text: name.into(),
                color: palette.color(name),
                sample: Sample::Line,
            });
        }
    }
    entries
}

fn entry_width(entry: &Entry) -> f64 {
    SAMPLE + SAMPLE_TO_TEXT + text_width(&entry.text, SIZE)
}

fn columns(entries: &[Entry], width: f64) -> usize {
    let widest = entries.iter().map(entry_width).fold(1.0, f64::max);
    (((width + COLUMN_GAP) / (widest + COLUMN_GAP)) as usize).clamp(1, entries.len().max(1))
}

/// How high the legend is in a space of `width` pixels.
pub(super) fn height(entries: &[Entry], width: f64) -> f64 {
    entries.len().div_ceil(columns(entries, width)) as f64 * ROW
}

/// Draws the legend with its upper left corner at `at`, or centred in `width` if so asked.
pub(super) fn draw(
    canvas: &mut Canvas<'_>,
    entries: &[Entry],
    (left, top): Point,
    width: f64,
    centred: bool,
) {
    let columns = columns(entries, width);
    let rows = entries.len().div_ceil(columns);
    let widths: Vec<f64> = entries
        .chunks(rows.max(1))
        .map(|column| column.iter().map(entry_width).fold(0.0, f64::max) + COLUMN_GAP)
        .collect();
    let used = widths.iter().sum::<f64>() - COLUMN_GAP;
    let mut x = if centred {
        left + ((width - used) / 2.0).max(0.0)
    } else {
        left
    };
    for (column, column_width) in entries.chunks(rows.max(1)).zip(widths) {
        for (row, entry) in column.iter().enumerate() {
            let y = top + (row as f64 + 0.5) * ROW;
            match entry.sample {
                Sample::Line => canvas.line((x, y), (x + SAMPLE, y), entry.color, 2.5),
                Sample::Dashes => canvas.dashes(y, x, x + SAMPLE, entry.color, 1.3),
                Sample::Mark(mark) => {
                    canvas.marks(&[(x + SAMPLE - 7.0, y)], mark, 8.0, entry.color);
                }
                Sample::Tick => {
                    canvas.rect((x + 11.5, y - 8.0), (x + 14.5, y + 8.0), entry.color);
                }
                Sample::Box => {
                    canvas.rect((x + 6.0, y - 5.5), (x + SAMPLE, y + 5.5), entry.color);
                }
            }
            let how = Text::new(SIZE, HPos::Left).fit(&entry.text, width - SAMPLE - SAMPLE_TO_TEXT);
            canvas.text(&entry.text, (x + SAMPLE + SAMPLE_TO_TEXT, y), how);
        }
        x += column_width;
    }
}
