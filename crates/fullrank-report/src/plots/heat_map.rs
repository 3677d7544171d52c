use image::{Rgba, RgbaImage};
use plotters::style::text_anchor::HPos;

use super::axis::Axis;
use super::canvas::{AXIS, Text, document};
use super::panel::{Frame, LEFT};
use super::raster::data_uri;

/// A square matrix of correlations.
#[derive(Debug, Clone, PartialEq)]
pub struct Correlations {
    /// Row-major, `side` by `side`, each in -1 to 1; NaN where a dimension does not vary.
    pub values: Vec<f64>,
    /// The number of rows and of columns.
    pub side: usize,
    /// What a row and a column is, such as "dimension".
    pub axis_label: String,
    /// The index of the first and the last row, for the axes.
    pub ends: (usize, usize),
}

/// Positive, negative and undefined: the color, whose opacity is the magnitude.
const POSITIVE: [u8; 3] = [0xD5, 0x46, 0x1F];
const NEGATIVE: [u8; 3] = [0x2B, 0x7B, 0xD6];
const UNDEFINED: [u8; 4] = [0x88, 0x88, 0x88, 0xA0];

/// Steps of the scale from 0 to 1; fewer make a smaller file.
const STEPS: f64 = 32.0;

/// A matrix of correlations as a picture, red for positive and blue for negative ones, with its
/// scale. Values near zero let the background through.
pub fn correlation_heat_map(title: &str, data: &Correlations) -> String {
    let width = 460.0;
    let side = width - LEFT - 26.0;
    let frame = Frame {
        left: LEFT,
        top: 46.0,
        width: side,
        height: side,
    };
    let scale = Frame {
        left: LEFT + 40.0,
        top: frame.bottom() + 56.0,
        width: side - 80.0,
        height: 12.0,
    };
    let undefined = data.values.iter().any(|value| value.is_nan());
    let height = scale.bottom() + if undefined { 52.0 } else { 32.0 };
    let description = format!(
        "Correlation of each pair of {} dimensions, red for positive and blue for negative. Mean \
         magnitude off the diagonal: {:.3}.",
        data.side,
        mean_magnitude(data)
    );
    document((width, height), title, &description, |canvas| {
        if data.side == 0 {
            canvas.text("no data", frame.at(0.5, 0.5), Text::new(12.0, HPos::Center));
            return;
        }
        canvas.outline(
            (frame.left, frame.top),
            (frame.right(), frame.bottom()),
            AXIS,
        );
        let side = data.side as u32;
        let image = RgbaImage::from_fn(side, side, |column, row| {
            color(data.values[row as usize * data.side + column as usize])
        });
        canvas.image(
            (frame.left, frame.top),
            (frame.right(), frame.bottom()),
            &data_uri(image.into()),
        );
        let (first, last) = (data.ends.0.to_string(), data.ends.1.to_string());
        let small = |anchor| Text::new(11.0, anchor);
        let cell = 0.5 / data.side as f64;
        for (share, text) in [(cell, &first), (1.0 - cell, &last)] {
            let (x, bottom) = frame.at(share, 0.0);
            canvas.text(text, (x, bottom + 11.0), small(HPos::Center));
            let (left, y) = frame.at(0.0, 1.0 - share);
            canvas.text(text, (left - 6.0, y), small(HPos::Right));
        }
        let label = Text::new(12.0, HPos::Center);
        let (middle, bottom) = frame.at(0.5, 0.0);
        canvas.text(
            &data.axis_label,
            (middle, bottom + 27.0),
            label.fit(&data.axis_label, frame.width),
        );
        let at = (frame.left - LEFT + 12.0, frame.top + frame.height / 2.0);
        canvas.text(
            &data.axis_label,
            at,
            label.upright().fit(&data.axis_label, frame.width),
        );

        let steps = 2 * STEPS as u32 + 1;
        let ramp = RgbaImage::from_fn(steps, 1, |x, _| color(f64::from(x) / STEPS - 1.0));
        canvas.image(
            (scale.left, scale.top),
            (scale.right(), scale.bottom()),
            &data_uri(ramp.into()),
        );
        let axis = Axis::exact([-1.0, 1.0].into_iter(), 4);
        for (share, text) in axis.ticks() {
            let (x, bottom) = scale.at(*share, 0.0);
            canvas.text(text, (x, bottom + 10.0), small(HPos::Center));
        }
        let at = (scale.left - 8.0, scale.top + 6.0);
        canvas.text("correlation", at, small(HPos::Right));
        if undefined {
            let top = scale.bottom() + 26.0;
            let gray = RgbaImage::from_pixel(1, 1, Rgba(UNDEFINED));
            let to = (scale.left + 14.0, top + 12.0);
            canvas.image((scale.left, top), to, &data_uri(gray.into()));
            let at = (scale.left + 20.0, top + 6.0);
            canvas.text(
                "undefined: a dimension does not vary",
                at,
                small(HPos::Left),
            );
        }
    })
}

fn color(value: f64) -> Rgba<u8> {
    if value.is_nan() {
        return Rgba(UNDEFINED);
    }
    let [red, green, blue] = if value < 0.0 { NEGATIVE } else { POSITIVE };
    let opacity = (value.abs().min(1.0) * STEPS).round() / STEPS;
    Rgba([red, green, blue, (255.0 * opacity).round() as u8])
}

fn mean_magnitude(data: &Correlations) -> f64 {
    let off_diagonal = data
        .values
        .iter()
        .enumerate()
        .filter(|(index, value)| index / data.side != index % data.side && !value.is_nan());
    let (count, sum) = off_diagonal.fold((0, 0.0), |(count, sum), (_, value)| {
        (count + 1, sum + value.abs().min(1.0))
    });
    sum / f64::from(count.max(1))
}
