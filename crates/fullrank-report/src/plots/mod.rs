//! Plots of training runs, as SVG text.
//!
//! Every function takes plain numbers and names and returns the whole SVG document; [`save`] writes
//! it to a file. The same input gives the same text, byte for byte.
//!
//! Numbers that cannot be drawn (NaN, infinite, or above `1e100` in magnitude) are skipped; an
//! input with none left gives a panel that says so. A method keeps its color from plot to plot
//! through the [`Palette`] given to each.
//!
//! ```
//! use fullrank_report::plots::{self, Palette, Series, Term};
//!
//! let palette = Palette::new(["SVMax", "VICReg"]);
//! let variance = Term {
//!     name: "Variance".into(),
//!     y_label: "loss".into(),
//!     series: vec![
//!         Series { name: "SVMax".into(), points: vec![(0.0, 0.9), (1.0, 0.3)] },
//!         Series { name: "VICReg".into(), points: vec![(0.0, 0.9), (1.0, 0.1)] },
//!     ],
//! };
//! let svg = plots::terms_over_time("Loss terms", "epoch", &[variance], &palette);
//! assert!(svg.starts_with("<svg"));
//! ```

mod axis;
mod bars;
mod between_bounds;
mod canvas;
mod circles;
mod dark;
mod dimension_std;
mod grid;
mod headline;
mod heat_map;
mod legend;
mod palette;
mod panel;
mod raster;
mod scatter;
mod spectrum;
mod spectrum_in_bounds;
mod terms;
mod trend;

#[cfg(test)]
mod tests;

use std::path::Path;

use fullrank_files::{FileError, write_whole};

pub use bars::{BarChart, BarGroup, bars};
pub use between_bounds::{Utilization, between_bounds};
pub use circles::{Circle, circles};
pub use dimension_std::{DimensionStdRun, dimension_std, sorted_std};
pub use headline::headline;
pub use heat_map::{Correlations, correlation_heat_map};
pub use palette::Palette;
pub use scatter::{Scatter, ScatterClass, scatter};
pub use spectrum::{Spectrum, SpectrumRun, singular_value_spectrum};
pub use spectrum_in_bounds::{BoundedSpectrum, raw_and_centred_spectrum, spectrum_in_bounds};
pub use terms::{Series, Term, terms_over_time};
pub use trend::{Level, Trend, TrendPanel, trends};

pub(crate) use dark::dark_style;
pub(crate) use raster::data_uri;

/// Writes `svg` to `path`, replacing what is there: the whole file or none. The folder has to exist.
///
/// # Errors
///
/// If the file cannot be written.
pub fn save(path: impl AsRef<Path>, svg: &str) -> Result<(), FileError> {
    write_whole(path.as_ref(), svg.as_bytes())
}

/// Whether a number can be drawn. The bound keeps every difference of two drawn numbers finite.
fn drawable(value: f64) -> bool {
    value.is_finite() && value.abs() <= 1e100
}
