//! The files of the set: a sheet of drawings and a table of its rows for each part.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder};

use crate::matching::Class;
use crate::package::sha256;
use crate::render::Rendered;

/// A file's name and its content.
pub(crate) type NamedFile = (String, Vec<u8>);

/// The sheet and the table of one part.
pub(crate) fn encode(
    part: &str,
    vendors: &[&str],
    classes: &[Class],
    rendered: &[Vec<Rendered>],
    side: u32,
) -> Result<Vec<NamedFile>> {
    let (width, height) = (vendors.len() as u32 * side, classes.len() as u32 * side);
    let row_bytes = 3 * side as usize;
    let mut pixels = vec![255; 3 * (width * height) as usize];
    let mut table = format!("code_points,name,{}\n", vendors.join(","));
    for (row, (class, drawings)) in classes.iter().zip(rendered).enumerate() {
        let hex: Vec<String> = class.code_points.iter().map(|c| format!("{c:x}")).collect();
        write!(table, "{},{}", hex.join("-"), class.name)?;
        for (column, drawing) in drawings.iter().enumerate() {
            write!(table, ",{}", u8::from(drawing.is_some()))?;
            for (line, values) in drawing
                .iter()
                .flat_map(|d| d.chunks_exact(row_bytes))
                .enumerate()
            {
                let start = ((row * side as usize + line) * vendors.len() + column) * row_bytes;
                pixels[start..][..row_bytes].copy_from_slice(values);
            }
        }
        table.push('\n');
    }
    let mut png = Vec::new();
    PngEncoder::new_with_quality(&mut png, CompressionType::Best, FilterType::Adaptive)
        .write_image(&pixels, width, height, ExtendedColorType::Rgb8)?;
    Ok(vec![
        (format!("{part}.png"), png),
        (format!("{part}.csv"), table.into_bytes()),
    ])
}

/// Writes the files to `out`, and `SHA256SUMS` as `sha256sum --check` reads it.
pub(crate) fn write(out: &Path, files: &[NamedFile]) -> Result<()> {
    fs::create_dir_all(out).with_context(|| out.display().to_string())?;
    let mut sums = String::new();
    for (name, bytes) in files {
        writeln!(sums, "{}  {name}", sha256(bytes))?;
    }
    let sums = ("SHA256SUMS".to_owned(), sums.into_bytes());
    for (name, bytes) in files.iter().chain([&sums]) {
        let path = out.join(name);
        fs::write(&path, bytes).with_context(|| path.display().to_string())?;
        println!("{}: {} bytes", path.display(), bytes.len());
    }
    Ok(())
}
