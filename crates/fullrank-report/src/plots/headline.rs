use super::bars::{self, BarChart};
use super::canvas::document;
use super::panel::{ABOVE, BELOW, Frame, LEFT};
use super::spectrum::{self, Spectrum, SpectrumRun};
use super::{Palette, legend};

/// The result of a comparison in one picture of 1000 pixels' width: the spectrum of each run's
/// embedding (left, as in [`singular_value_spectrum`](super::singular_value_spectrum)) and the
/// bars of `chart` (right, as in [`bars`](super::bars)).
pub fn headline(title: &str, runs: &[SpectrumRun], chart: &BarChart, palette: &Palette) -> String {
    let spectra: Vec<(&str, &Spectrum)> = runs
        .iter()
        .map(|run| (run.name.as_str(), &run.embedding))
        .collect();
    let (width, head, frame_height) = (1000.0, 40.0, 240.0);
    let left_width = 500.0;
    let frame = Frame {
        left: LEFT,
        top: head + ABOVE,
        width: left_width - LEFT - 6.0,
        height: frame_height,
    };
    // The colors mean the same on both sides, so that their legend is below both.
    let mut methods = spectrum::entries(&spectra, palette);
    let flat = methods.split_off(methods.len() - 1);
    let flat_top = frame.bottom() + BELOW + 4.0;
    let methods_top = flat_top + bars::legend_height(chart, width - left_width).max(19.0) + 2.0;
    let methods_width = width - LEFT - 20.0;
    let height = (methods_top + legend::height(&methods, methods_width) + 8.0).ceil();
    let description = format!(
        "Left: singular values of the embedding over their index, as a share of the flat level U; \
         {}. Right: {}",
        spectrum::summary(&spectra),
        bars::summary(chart),
    );
    document((width, height), title, &description, |canvas| {
        spectrum::panel(
            "Singular values of the embedding",
            &spectra,
            &spectra,
            palette,
        )
        .draw(canvas, frame);
        legend::draw(canvas, &flat, (frame.left, flat_top), frame.width, false);
        legend::draw(
            canvas,
            &methods,
            (frame.left, methods_top),
            methods_width,
            false,
        );
        let right = (left_width + 24.0, head, width - left_width - 34.0);
        bars::draw_in(canvas, right, frame_height, chart, palette);
    })
}
