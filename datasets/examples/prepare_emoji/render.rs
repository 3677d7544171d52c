//! Drawings as pixels.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use rayon::prelude::*;
use resvg::tiny_skia::{Color, Pixmap, Transform};
use resvg::usvg::{Options, Tree};

use crate::matching::Class;
use crate::package::Package;

/// A drawing's pixels, red, green and blue interleaved, rows from the top; none where the vendor
/// has not drawn the class.
pub(crate) type Rendered = Option<Vec<u8>>;

/// Renders every drawing on white, `side` x `side` pixels: a row of `packages` per class.
pub(crate) fn all(
    packages: &[Package],
    classes: &[Class],
    side: u32,
) -> Result<Vec<Vec<Rendered>>> {
    classes
        .par_iter()
        .map(|class| {
            let pairs = packages.iter().zip(&class.drawings);
            pairs
                .map(|(package, drawing)| {
                    let Some(drawing) = drawing else {
                        return Ok(None);
                    };
                    let of = || format!("{} of {}", drawing.0, package.vendor.name);
                    svg(&package.svg(drawing, side), side)
                        .with_context(of)
                        .map(Some)
                })
                .collect()
        })
        .collect()
}

/// The pixels of an SVG document of `side` x `side`, on white.
fn svg(document: &str, side: u32) -> Result<Vec<u8>> {
    let tree = Tree::from_str(document, &Options::default())?;
    let mut canvas = Pixmap::new(side, side).context("no canvas of this size")?;
    canvas.fill(Color::WHITE);
    resvg::render(&tree, Transform::identity(), &mut canvas.as_mut());
    let rgb: Vec<u8> = canvas
        .data()
        .chunks_exact(4)
        .flat_map(|p| &p[..3])
        .copied()
        .collect();
    ensure!(
        rgb.iter().any(|&value| value != 255),
        "the drawing is blank"
    );
    Ok(rgb)
}

/// The classes without those that share a drawing: where a vendor drew two emoji alike, pixel for
/// pixel, only the first of them stays a class.
pub(crate) fn without_repeats(
    classes: Vec<Class>,
    rendered: Vec<Vec<Rendered>>,
) -> (Vec<Class>, Vec<Vec<Rendered>>) {
    let mut seen: BTreeMap<Vec<u8>, String> = BTreeMap::new();
    let mut kept = (Vec::new(), Vec::new());
    for (class, row) in classes.into_iter().zip(rendered) {
        let repeated = row.iter().flatten().find_map(|pixels| seen.get(pixels));
        if let Some(first) = repeated {
            println!("{}: drawn like {first}, left out", class.name);
            continue;
        }
        for pixels in row.iter().flatten() {
            seen.insert(pixels.clone(), class.name.clone());
        }
        kept.0.push(class);
        kept.1.push(row);
    }
    kept
}
