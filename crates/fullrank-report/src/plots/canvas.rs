//! Drawing an SVG document in pixels with fractions.

use plotters::backend::{DrawingBackend, SVGBackend};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{
    Color, FontDesc, FontFamily, FontStyle, FontTransform, RGBColor, ShapeStyle, TextStyle, WHITE,
};

/// Units of the SVG per pixel: plotters draws at whole units, which is too coarse for curves.
const UNITS: f64 = 10.0;

/// plotters divides the size of a font by this before it writes it.
const PLOTTERS_FONT_SCALE: f64 = 1.24;

/// Text and titles.
pub(super) const INK: RGBColor = RGBColor(0x22, 0x22, 0x22);
/// Axes and what is drawn for orientation only.
pub(super) const AXIS: RGBColor = RGBColor(0x77, 0x77, 0x77);
/// Grid lines.
pub(super) const GRID: RGBColor = RGBColor(0xE6, 0xE6, 0xE6);

/// A place in pixels from the upper left corner.
pub(super) type Point = (f64, f64);

/// How a line of text is set. It is centred on its place vertically.
#[derive(Clone, Copy)]
pub(super) struct Text {
    pub(super) size: f64,
    pub(super) color: RGBColor,
    pub(super) anchor: HPos,
    pub(super) bold: bool,
    /// Read from below upwards.
    pub(super) upright: bool,
}

impl Text {
    pub(super) fn new(size: f64, anchor: HPos) -> Self {
        Self {
            size,
            color: INK,
            anchor,
            bold: false,
            upright: false,
        }
    }

    pub(super) fn bold(self) -> Self {
        Self { bold: true, ..self }
    }

    pub(super) fn upright(self) -> Self {
        Self {
            upright: true,
            ..self
        }
    }

    /// The same, smaller if `text` would be wider than `width` pixels.
    pub(super) fn fit(self, text: &str, width: f64) -> Self {
        let natural = text_width(text, self.size) * if self.bold { 1.1 } else { 1.0 };
        let size = if natural > width {
            self.size * width / natural
        } else {
            self.size
        };
        Self {
            size: size.max(6.0),
            ..self
        }
    }
}

/// The width of a text in pixels, estimated: the reader's font is not known here. The widths are
/// those of DejaVu Sans, which is wider than most.
pub(super) fn text_width(text: &str, size: f64) -> f64 {
    let em: f64 = text
        .chars()
        .map(|c| match c {
            'i' | 'j' | 'l' | 'I' | '.' | ',' | ':' | ';' | '|' | '\'' | ' ' | '-' => 0.34,
            'f' | 't' | 'r' | '(' | ')' | '/' | 'ᵢ' => 0.40,
            'm' | 'w' | 'M' | 'W' | '%' => 0.95,
            c if c.is_ascii_uppercase() => 0.70,
            _ => 0.63,
        })
        .sum();
    em * size
}

/// The form of the points of a class, so that color is not all that tells classes apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    Disc,
    Square,
    Triangle,
}

/// The surface a plot is drawn on.
pub(super) struct Canvas<'a> {
    backend: SVGBackend<'a>,
    /// Elements that plotters has no name for; they lie above its own.
    above: String,
}

impl Canvas<'_> {
    pub(super) fn line(&mut self, from: Point, to: Point, color: RGBColor, width: f64) {
        drawn(
            self.backend
                .draw_line(units(from), units(to), &stroke(color, width)),
        );
    }

    pub(super) fn polyline(&mut self, points: &[Point], color: RGBColor, width: f64) {
        drawn(
            self.backend
                .draw_path(points.iter().copied().map(units), &stroke(color, width)),
        );
    }

    /// A horizontal dashed line.
    pub(super) fn dashes(&mut self, y: f64, from: f64, to: f64, color: RGBColor, width: f64) {
        let ((x1, y1), (x2, y2)) = (units((from, y)), units((to, y)));
        let (width, color) = ((width * UNITS).round(), hex(color));
        self.above += &format!(
            "<line stroke=\"{color}\" stroke-width=\"{width}\" stroke-dasharray=\"50 40\" \
             x1=\"{x1}\" y1=\"{y1}\" x2=\"{x2}\" y2=\"{y2}\"/>\n"
        );
    }

    /// A dashed circle.
    pub(super) fn dashed_circle(&mut self, center: Point, radius: f64, color: RGBColor) {
        let ((cx, cy), r) = (units(center), (radius * UNITS).round());
        self.above += &format!(
            "<circle fill=\"none\" stroke=\"{}\" stroke-width=\"13\" stroke-dasharray=\"50 40\" \
             cx=\"{cx}\" cy=\"{cy}\" r=\"{r}\"/>\n",
            hex(color)
        );
    }

    /// The same mark at each of `centers`, about `size` pixels wide, as one path.
    pub(super) fn marks(&mut self, centers: &[Point], mark: Mark, size: f64, color: RGBColor) {
        let size = (size * UNITS).round() as i32;
        let half = size / 2;
        let path: String = centers
            .iter()
            .map(|&center| {
                let (x, y) = units(center);
                match mark {
                    Mark::Disc => format!("M{x} {y}h0"),
                    Mark::Square => {
                        format!("M{} {}h{size}v{size}h-{size}z", x - half, y - half)
                    }
                    Mark::Triangle => {
                        format!("M{x} {}l{half} {size}h-{}z", y - half, 2 * half)
                    }
                }
            })
            .collect();
        let color = hex(color);
        let paint = match mark {
            // A line of no length with round ends.
            Mark::Disc => format!(
                "fill=\"none\" stroke=\"{color}\" stroke-width=\"{size}\" stroke-linecap=\"round\""
            ),
            Mark::Square | Mark::Triangle => format!("fill=\"{color}\" stroke=\"none\""),
        };
        if !centers.is_empty() {
            self.above += &format!("<path {paint} d=\"{path}\"/>\n");
        }
    }

    /// A raster image, given as a data URI, stretched without smoothing.
    pub(super) fn image(&mut self, upper_left: Point, lower_right: Point, data_uri: &str) {
        let ((x, y), (right, bottom)) = (units(upper_left), units(lower_right));
        let (width, height) = (right - x, bottom - y);
        self.above += &format!(
            "<image x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" \
             preserveAspectRatio=\"none\" style=\"image-rendering:pixelated\" \
             href=\"{data_uri}\"/>\n"
        );
    }

    /// The title of a document, on two lines where it is long and names something after a colon.
    fn heading(&mut self, title: &str, width: f64) {
        let (middle, room) = (width / 2.0, width - 24.0);
        let bold = |size: f64| Text::new(size, HPos::Center).bold();
        match title.split_once(": ") {
            Some((what, whose)) if bold(16.0).fit(title, room).size < 13.0 => {
                self.text(what, (middle, 13.0), bold(13.0).fit(what, room));
                self.text(whose, (middle, 29.0), bold(13.0).fit(whose, room));
            }
            _ => self.text(title, (middle, 22.0), bold(16.0).fit(title, room)),
        }
    }

    pub(super) fn outline(&mut self, upper_left: Point, lower_right: Point, color: RGBColor) {
        let style = stroke(color, 1.0);
        drawn(
            self.backend
                .draw_rect(units(upper_left), units(lower_right), &style, false),
        );
    }

    pub(super) fn rect(&mut self, upper_left: Point, lower_right: Point, color: RGBColor) {
        let style = color.filled();
        drawn(
            self.backend
                .draw_rect(units(upper_left), units(lower_right), &style, true),
        );
    }

    pub(super) fn dot(&mut self, center: Point, radius: f64, color: RGBColor) {
        let radius = (radius * UNITS).round() as u32;
        drawn(
            self.backend
                .draw_circle(units(center), radius, &color.filled(), true),
        );
    }

    pub(super) fn text(&mut self, text: &str, at: Point, how: Text) {
        let weight = if how.bold {
            FontStyle::Bold
        } else {
            FontStyle::Normal
        };
        let turn = if how.upright {
            FontTransform::Rotate270
        } else {
            FontTransform::None
        };
        // Rounded, so that the product and quotient with plotters' scale end on a short number.
        let size = (how.size * UNITS).round() * PLOTTERS_FONT_SCALE;
        let font = FontDesc::new(FontFamily::SansSerif, size, weight).transform(turn);
        let style = TextStyle::from(font)
            .color(&how.color)
            .pos(Pos::new(how.anchor, VPos::Center));
        drawn(self.backend.draw_text(&legal(text), &style, units(at)));
    }
}

fn units((x, y): Point) -> (i32, i32) {
    ((x * UNITS).round() as i32, (y * UNITS).round() as i32)
}

pub(super) fn hex(color: RGBColor) -> String {
    format!("#{:02X}{:02X}{:02X}", color.0, color.1, color.2)
}

fn stroke(color: RGBColor, width: f64) -> ShapeStyle {
    color.stroke_width((width * UNITS).round() as u32)
}

fn drawn<E: std::fmt::Debug>(result: Result<(), E>) {
    result.expect("an SVG in memory takes every element");
}

/// `text` without the characters that XML 1.0 does not allow.
fn legal(text: &str) -> String {
    text.chars()
        .filter(|&c| !c.is_control() && !matches!(c, '\u{FFFE}' | '\u{FFFF}'))
        .collect()
}

fn escaped(text: &str) -> String {
    legal(text)
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

/// An SVG of `width` x `height` pixels on white, with a text alternative.
///
/// `title` stands at the top and as the document's `<title>`, `description` as its `<desc>`.
pub(super) fn document(
    (width, height): Point,
    title: &str,
    description: &str,
    paint: impl FnOnce(&mut Canvas<'_>),
) -> String {
    let (unit_width, unit_height) = units((width, height));
    let mut body = String::new();
    let above = {
        let size = (unit_width as u32, unit_height as u32);
        let mut canvas = Canvas {
            backend: SVGBackend::with_string(&mut body, size),
            above: String::new(),
        };
        canvas.rect((0.0, 0.0), (width, height), WHITE);
        canvas.heading(title, width);
        paint(&mut canvas);
        drawn(canvas.backend.present());
        std::mem::take(&mut canvas.above)
    };
    // plotters writes one size for the page and its units, and no text alternative.
    let elements = body
        .split_once('\n')
        .map_or("", |(_header, elements)| elements);
    let elements = elements.replace(" opacity=\"1\"", "");
    let elements = elements.trim_end().trim_end_matches("</svg>");
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" role=\"img\" width=\"{width}\" \
         height=\"{height}\" viewBox=\"0 0 {unit_width} {unit_height}\" \
         stroke-linejoin=\"round\">\n<title>{}</title>\n<desc>{}</desc>\n{elements}{above}</svg>\n",
        escaped(title),
        escaped(description),
    )
}
