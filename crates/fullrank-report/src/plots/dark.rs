use std::fmt::Write;

use plotters::style::{RGBColor, WHITE};

use super::canvas::{AXIS, GRID, INK, hex};
use super::palette::{BASELINE, OKABE_ITO};

/// What stands for each color of [`OKABE_ITO`] on a dark ground.
const OKABE_ITO_ON_DARK: [RGBColor; 7] = [
    RGBColor(0x4A, 0xA8, 0xE8),
    RGBColor(0xF5, 0x8B, 0x3C),
    RGBColor(0x2F, 0xC7, 0x9A),
    RGBColor(0xE3, 0x9D, 0xC6),
    RGBColor(0xF2, 0xB6, 0x32),
    RGBColor(0x9A, 0xD5, 0xF7),
    RGBColor(0xF2, 0xF2, 0xF2),
];

/// A style sheet that gives plots inside an HTML document the colors of a dark page, where the
/// reader asked for one. The plots themselves stay as they are.
pub(crate) fn dark_style() -> String {
    let others = [
        (INK, RGBColor(0xE8, 0xE8, 0xE8)),
        (AXIS, RGBColor(0x9C, 0x9C, 0x9C)),
        (GRID, RGBColor(0x34, 0x39, 0x3E)),
        (BASELINE, RGBColor(0xA8, 0xA8, 0xA8)),
    ];
    let pairs = OKABE_ITO.into_iter().zip(OKABE_ITO_ON_DARK).chain(others);
    let mut css = String::from("@media screen and (prefers-color-scheme: dark) {\n");
    for (light, dark) in pairs {
        let (light, dark) = (hex(light), hex(dark));
        let _ = writeln!(
            css,
            "  svg [fill=\"{light}\"] {{ fill: {dark}; }} svg [stroke=\"{light}\"] {{ stroke: {dark}; }}"
        );
    }
    let _ = writeln!(css, "  svg [fill=\"{}\"] {{ fill: none; }}\n}}", hex(WHITE));
    css
}
