use fullrank::Bounds;

use super::axis::Axis;
use super::canvas::{INK, document};
use super::legend::{self, Entry, Sample};
use super::panel::{ABOVE, BELOW, Frame, LEFT, Panel};
use super::{Palette, drawable};

/// Shares of the flat level below this are drawn at the bottom of the axis.
const FLOOR: f64 = 1e-4;

/// The singular values of a matrix of rows of unit length.
#[derive(Debug, Clone, PartialEq)]
pub struct Spectrum {
    /// The singular values, descending.
    pub singular_values: Vec<f64>,
    /// b, the number of rows.
    pub rows: usize,
    /// d, the number of columns.
    pub columns: usize,
}

impl Spectrum {
    pub(super) fn bounds(&self) -> Option<Bounds> {
        (self.rows > 0 && self.columns > 0).then(|| Bounds::new(self.rows, self.columns))
    }

    /// The mean singular value as a share of U. Values cut off the end of the list count as zero.
    pub(super) fn share_of_bound(&self) -> Option<f64> {
        let bounds = self.bounds()?;
        let values: Vec<f64> = self
            .singular_values
            .iter()
            .copied()
            .filter(|&value| drawable(value))
            .collect();
        let mean = values.iter().sum::<f64>() / bounds.rank as f64;
        (!values.is_empty()).then_some(mean / bounds.upper)
    }

    pub(super) fn points(&self) -> Vec<(f64, f64)> {
        let level = self.bounds().map_or(f64::NAN, |bounds| bounds.upper);
        (1_u32..)
            .zip(&self.singular_values)
            .map(|(index, value)| (f64::from(index), value / level))
            .collect()
    }
}

/// The spectra of one run at the end of training.
#[derive(Debug, Clone, PartialEq)]
pub struct SpectrumRun {
    /// The method.
    pub name: String,
    /// Of the row-normalized embedding, which the loss sees.
    pub embedding: Spectrum,
    /// Of the row-normalized representation, which downstream tasks use.
    pub representation: Spectrum,
}

/// The singular values of the embedding (left) and of the representation (right), one line for each
/// run.
///
/// Each value is divided by U = sqrt(b / min(b, d)), [`Bounds::upper`], the level all of them have
/// where the spectrum is flat (dashed). Both panels have the same logarithmic y axis, which ends at
/// 1e-4 at the lowest; smaller values and zeros are drawn there. The legend gives each run's mean
/// singular value as a share of U, its upper bound.
pub fn singular_value_spectrum(title: &str, runs: &[SpectrumRun], palette: &Palette) -> String {
    let embeddings: Vec<_> = runs
        .iter()
        .map(|r| (r.name.as_str(), &r.embedding))
        .collect();
    let representations: Vec<_> = runs
        .iter()
        .map(|r| (r.name.as_str(), &r.representation))
        .collect();
    let (width, head, frame_height) = (1000.0, 38.0, 250.0);
    let cell_width = (width - 18.0) / 2.0;
    let all = [embeddings.clone(), representations.clone()].concat();
    let panels = [
        ("Embedding", embeddings),
        ("Representation", representations),
    ];
    let legend_width = cell_width - LEFT;
    let legend_height = panels
        .iter()
        .map(|(_, spectra)| legend::height(&entries(spectra, palette), legend_width))
        .fold(0.0, f64::max);
    let legend_top = head + ABOVE + frame_height + BELOW + 6.0;
    let description = format!(
        "Singular values over their index, as a share of the flat level U. {}",
        panels
            .iter()
            .map(|(name, spectra)| format!("{name}: {}.", summary(spectra)))
            .collect::<Vec<_>>()
            .join(" "),
    );
    document(
        (width, (legend_top + legend_height + 10.0).ceil()),
        title,
        &description,
        |canvas| {
            for (column, (name, spectra)) in panels.iter().enumerate() {
                let frame = Frame {
                    left: column as f64 * cell_width + LEFT,
                    top: head + ABOVE,
                    width: cell_width - LEFT - 6.0,
                    height: frame_height,
                };
                panel(name, spectra, &all, palette).draw(canvas, frame);
                let at = (frame.left, legend_top);
                legend::draw(canvas, &entries(spectra, palette), at, legend_width, false);
            }
        },
    )
}

/// Each run's mean singular value in words.
pub(super) fn summary(spectra: &[(&str, &Spectrum)]) -> String {
    spectra
        .iter()
        .map(|(name, spectrum)| legend_text(name, spectrum))
        .collect::<Vec<_>>()
        .join(", ")
}

fn legend_text(name: &str, spectrum: &Spectrum) -> String {
    match spectrum.share_of_bound() {
        Some(share) => format!("{name}: mean σ = {:.1} % of U", 100.0 * share),
        None => name.into(),
    }
}

/// The legend of [`panel`].
pub(super) fn entries(spectra: &[(&str, &Spectrum)], palette: &Palette) -> Vec<Entry> {
    let runs = spectra.iter().map(|(name, spectrum)| Entry {
        text: legend_text(name, spectrum),
        color: palette.color(name),
        sample: Sample::Line,
    });
    let flat = Entry {
        text: "flat spectrum: every σᵢ = U = √(b/r)".into(),
        color: INK,
        sample: Sample::Dashes,
    };
    runs.chain([flat]).collect()
}

/// The panel of `spectra`, with a y axis that would hold all `on_scale`.
pub(super) fn panel<'a>(
    title: &'a str,
    spectra: &[(&str, &Spectrum)],
    on_scale: &[(&str, &Spectrum)],
    palette: &Palette,
) -> Panel<'a> {
    let lines: Vec<_> = spectra
        .iter()
        .map(|(name, spectrum)| (palette.color(name), spectrum.points()))
        .collect();
    let longest = lines
        .iter()
        .map(|(_, points)| points.len())
        .max()
        .unwrap_or(0);
    Panel {
        title,
        x_label: "index i of the singular value, largest first",
        y_label: "singular value σᵢ / U",
        x: Axis::indices(longest, 6),
        y: y_axis(on_scale),
        lines,
        levels: vec![(INK, 1.0)],
    }
}

pub(super) fn y_axis(spectra: &[(&str, &Spectrum)]) -> Axis {
    let values: Vec<f64> = spectra
        .iter()
        .flat_map(|(_, spectrum)| spectrum.points())
        .map(|(_, value)| value)
        .filter(|&value| drawable(value))
        .collect();
    let least = values.iter().copied().fold(0.1, f64::min);
    let floor = 10_f64.powf(least.max(FLOOR).log10().floor());
    let greatest = values.iter().copied().fold(1.0, f64::max);
    Axis::log(floor, greatest, least < FLOOR)
}

#[cfg(test)]
mod tests {
    use super::Spectrum;

    #[test]
    fn the_share_of_the_bound_is_one_for_the_flat_spectrum() {
        let flat = Spectrum {
            singular_values: vec![2.0; 16],
            rows: 64,
            columns: 16,
        };

        assert_eq!(flat.share_of_bound(), Some(1.0));
    }

    #[test]
    fn a_collapsed_spectrum_has_the_lower_bound() {
        // All rows equal: one singular value sqrt(b), so that the mean is sqrt(b) / r = U / sqrt(r).
        let mut values = vec![0.0; 16];
        values[0] = 8.0;
        let collapsed = Spectrum {
            singular_values: values,
            rows: 64,
            columns: 16,
        };
        assert_eq!(collapsed.share_of_bound(), Some(0.25));
    }
}
