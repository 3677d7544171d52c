//! Panels side by side in rows, with the legend of all below them.

use super::legend::{self, Entry};
use super::panel::{ABOVE, BELOW, Frame, LEFT};

const HEAD: f64 = 38.0;
const GAP: f64 = 12.0;
const RIGHT: f64 = 18.0;

/// Where the panels of a picture lie.
pub(super) struct Grid {
    columns: usize,
    width: f64,
    panel_height: f64,
    legend_top: f64,
    height: f64,
}

impl Grid {
    /// Room for `count` panels and the legend; at most three panels in a row.
    pub(super) fn new(count: usize, entries: &[Entry]) -> Self {
        let columns = if count == 4 { 2 } else { count.clamp(1, 3) };
        let rows = count.div_ceil(columns);
        let (width, panel_height) = match columns {
            1 => (560.0, 270.0),
            2 => (840.0, 250.0),
            _ => (1000.0, 210.0),
        };
        let cell_height = ABOVE + panel_height + BELOW;
        let legend_top = HEAD + rows as f64 * (cell_height + GAP) - GAP + 8.0;
        let height = (legend_top + legend::height(entries, width - 40.0) + 10.0).ceil();
        Self {
            columns,
            width,
            panel_height,
            legend_top,
            height,
        }
    }

    /// The size of the picture.
    pub(super) fn size(&self) -> (f64, f64) {
        (self.width, self.height)
    }

    /// The axes of a panel, counted from 0.
    pub(super) fn frame(&self, index: usize) -> Frame {
        let (row, column) = (index / self.columns, index % self.columns);
        let cell_width = (self.width - RIGHT) / self.columns as f64;
        let cell_height = ABOVE + self.panel_height + BELOW;
        Frame {
            left: column as f64 * cell_width + LEFT,
            top: HEAD + row as f64 * (cell_height + GAP) + ABOVE,
            width: cell_width - LEFT - 6.0,
            height: self.panel_height,
        }
    }

    /// Where the legend begins, and how wide it is.
    pub(super) fn legend(&self) -> ((f64, f64), f64) {
        ((20.0, self.legend_top), self.width - 40.0)
    }
}
