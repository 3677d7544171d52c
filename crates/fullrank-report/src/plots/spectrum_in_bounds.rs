use fullrank::diagnostics::readable;
use plotters::style::text_anchor::HPos;

use super::axis::Axis;
use super::canvas::{AXIS, INK, Text, document};
use super::legend::{self, Entry, Sample};
use super::palette::BASELINE;
use super::panel::{ABOVE, BELOW, Frame, LEFT, Panel};
use super::spectrum::{Spectrum, y_axis};
use super::{Palette, drawable};

/// The share of its greatest value below which a value is drawn at the bottom of the axis.
const FLOOR: f64 = 1e-7;

/// A spectrum and the one that random rows would have.
#[derive(Debug, Clone, PartialEq)]
pub struct BoundedSpectrum {
    /// Whose it is.
    pub name: String,
    /// The singular values of the rows, each of unit length.
    pub spectrum: Spectrum,
    /// Those of random isotropic unit rows of the same shape, descending; empty for none.
    pub random: Vec<f64>,
}

impl BoundedSpectrum {
    fn random(&self) -> Spectrum {
        Spectrum {
            singular_values: self.random.clone(),
            ..self.spectrum.clone()
        }
    }

    fn entries(&self, palette: &Palette) -> Vec<Entry> {
        let color = palette.color(&self.name);
        let entry = |text: String, color, sample| Entry {
            text,
            color,
            sample,
        };
        let mut entries = vec![entry(self.name.clone(), color, Sample::Line)];
        if let (Some(share), Some(bounds)) =
            (self.spectrum.share_of_bound(), self.spectrum.bounds())
        {
            entries.extend([
                entry(
                    format!(
                        "mean s_mu = {} = {share:.3} U",
                        readable(share * bounds.upper)
                    ),
                    color,
                    Sample::Dashes,
                ),
                entry(
                    format!(
                        "upper bound U = {}: a flat spectrum",
                        readable(bounds.upper)
                    ),
                    INK,
                    Sample::Dashes,
                ),
                entry(
                    format!("lower bound L = {}: one direction", readable(bounds.lower)),
                    AXIS,
                    Sample::Dashes,
                ),
            ]);
        }
        if let Some(share) = self.random().share_of_bound() {
            entries.push(entry(
                format!("random isotropic rows: s_mu = {share:.3} U"),
                BASELINE,
                Sample::Line,
            ));
        }
        entries
    }
}

/// The singular values of unit rows between what they can be: dashed the bounds of their mean and
/// the mean itself, gray the spectrum of random isotropic rows. Each value is a share of U.
///
/// The y axis would hold every spectrum in `on_scale`, so that pictures side by side compare.
pub fn spectrum_in_bounds(
    title: &str,
    run: &BoundedSpectrum,
    on_scale: &[BoundedSpectrum],
    palette: &Palette,
) -> String {
    let color = palette.color(&run.name);
    let spectra: Vec<(&str, &Spectrum)> = on_scale
        .iter()
        .chain([run])
        .map(|run| (run.name.as_str(), &run.spectrum))
        .collect();
    let share = run.spectrum.share_of_bound();
    // A name, where it stands along the line, how far below it, and the line.
    let mut levels = vec![("U", 0.97, -7.0, INK, 1.0)];
    if let Some(bounds) = run.spectrum.bounds() {
        levels.push(("L", 0.97, -7.0, AXIS, bounds.lower / bounds.upper));
    }
    levels.extend(share.map(|share| ("s_mu", 0.8, 7.0, color, share)));
    let panel = Panel {
        title: "",
        x_label: "index i of the singular value, largest first",
        y_label: "singular value σᵢ / U",
        x: Axis::indices(run.spectrum.singular_values.len(), 6),
        y: y_axis(&spectra),
        lines: vec![
            (BASELINE, run.random().points()),
            (color, run.spectrum.points()),
        ],
        levels: levels
            .iter()
            .map(|&(_, _, _, color, at)| (color, at))
            .collect(),
    };
    let description = format!(
        "Singular values of the unit rows over their index, as a share of the upper bound U. {}.",
        words(&run.entries(palette)),
    );
    figure(
        title,
        &description,
        &panel,
        &run.entries(palette),
        |canvas, frame| {
            for &(text, at, below, _, level) in &levels {
                let (x, y) = frame.at(at, panel.y.place(level));
                canvas.text(text, (x, y + below), Text::new(10.0, HPos::Center));
            }
        },
    )
}

/// The singular values of the rows as they are and of the rows about their mean, on a logarithmic
/// axis.
pub fn raw_and_centred_spectrum(
    title: &str,
    name: &str,
    raw: &[f64],
    centred: &[f64],
    palette: &Palette,
) -> String {
    let points = |values: &[f64]| -> Vec<(f64, f64)> {
        (1_u32..)
            .map(f64::from)
            .zip(values.iter().copied())
            .collect()
    };
    let entry = |text: &str, color| Entry {
        text: text.into(),
        color,
        sample: Sample::Line,
    };
    let entries = [
        entry("rows as they are", palette.color(name)),
        entry("rows minus their mean", AXIS),
    ];
    let drawn = || {
        raw.iter()
            .chain(centred)
            .copied()
            .filter(|&value| drawable(value) && value > 0.0)
    };
    let greatest = drawn().fold(0.0, f64::max);
    let greatest = if greatest > 0.0 { greatest } else { 1.0 };
    let least = drawn().fold(greatest * 0.1, f64::min);
    let floor = least.max(FLOOR * greatest).max(f64::MIN_POSITIVE);
    let below = raw.iter().chain(centred).any(|&value| value < floor);
    let panel = Panel {
        title: "",
        x_label: "index i of the singular value, largest first",
        y_label: "singular value σᵢ",
        x: Axis::indices(raw.len().max(centred.len()), 6),
        y: Axis::log(
            10_f64.powf(floor.log10().floor()),
            greatest.max(floor),
            below,
        ),
        lines: vec![(AXIS, points(centred)), (entries[0].color, points(raw))],
        levels: vec![],
    };
    let shown = || raw.iter().copied().filter(|&value| drawable(value));
    let ends = match (shown().next(), shown().next_back()) {
        (Some(first), Some(last)) => format!(
            "As they are, from {} down to {}.",
            readable(first),
            readable(last)
        ),
        _ => String::new(),
    };
    let description = format!(
        "Singular values of {name} over their index: the rows as they are, and minus their mean. \
         {ends}"
    );
    figure(title, &description, &panel, &entries, |_, _| {})
}

/// One panel of 460 pixels' width with its legend below.
pub(super) fn figure(
    title: &str,
    description: &str,
    panel: &Panel<'_>,
    entries: &[Entry],
    paint: impl FnOnce(&mut super::canvas::Canvas<'_>, Frame),
) -> String {
    let (width, head, frame_height) = (460.0, 38.0, 220.0);
    let frame = Frame {
        left: LEFT,
        top: head + 8.0,
        width: width - LEFT - 18.0,
        height: frame_height,
    };
    let legend_width = width - LEFT - 10.0;
    let legend_top = frame.bottom() + BELOW + 4.0;
    let height = (legend_top + legend::height(entries, legend_width) + 8.0).ceil();
    debug_assert!(panel.title.is_empty() || head >= ABOVE);
    document((width, height), title, description, |canvas| {
        panel.draw(canvas, frame);
        legend::draw(
            canvas,
            entries,
            (frame.left, legend_top),
            legend_width,
            false,
        );
        paint(canvas, frame);
    })
}

/// The legend as a sentence.
fn words(entries: &[Entry]) -> String {
    entries
        .iter()
        .map(|entry| entry.text.as_str())
        .collect::<Vec<_>>()
        .join("; ")
}
