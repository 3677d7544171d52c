//! Raster images inside documents.

use std::io::Cursor;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use image::{DynamicImage, ImageFormat};

/// `image` as a PNG in a `data:` URI, to stand in a document that fetches nothing.
pub(crate) fn data_uri(image: DynamicImage) -> String {
    let mut png = Cursor::new(Vec::new());
    image
        .write_to(&mut png, ImageFormat::Png)
        .expect("a PNG in memory takes every image of at least one pixel");
    format!(
        "data:image/png;base64,{}",
        STANDARD.encode(png.into_inner())
    )
}
