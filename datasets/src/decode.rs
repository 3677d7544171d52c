//! Image files brought to one shape.

use std::fs;
use std::io::{self, Cursor, ErrorKind};
use std::path::{Path, PathBuf};

use image::error::{LimitError, LimitErrorKind};
use image::imageops::{self, FilterType};
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Rgb, RgbImage};
use rayon::prelude::*;

use crate::options::{ImageFolderOptions, LoadOptions};
use crate::{Error, ImageSet, SkippedImage};

/// The first bytes of a file that [`is_image`] looks at.
pub(crate) const START: usize = 16;

/// The set of the images in `files`, decoded in parallel; the first that fails is the one reported,
/// unless those are skipped.
pub(crate) fn image_set(
    files: &[PathBuf],
    labels: Vec<usize>,
    classes: Vec<String>,
    options: LoadOptions,
) -> Result<ImageSet, Error> {
    let shape = [
        options.shape.channels,
        options.shape.height,
        options.shape.width,
    ];
    let size: usize = shape.iter().product();
    let mut pixels = vec![0; files.len() * size];
    let images = pixels.par_chunks_exact_mut(size).zip(files);
    let decoded = images.map(|(planes, path)| decode(path, options.shape, planes));
    if !options.skip_bad_images {
        return match decoded.find_map_first(Result::err) {
            Some(error) => Err(error),
            None => Ok(ImageSet::new(shape, pixels, labels, classes)),
        };
    }
    let results: Vec<Result<(), Error>> = decoded.collect();
    let (mut kept, mut kept_labels, mut skipped) = (0, Vec::new(), Vec::new());
    for (index, result) in results.into_iter().enumerate() {
        match result {
            Ok(()) => {
                pixels.copy_within(index * size..(index + 1) * size, kept * size);
                kept += 1;
                kept_labels.push(labels[index]);
            }
            Err(reason) => skipped.push((index, reason)),
        }
    }
    pixels.truncate(kept * size);
    let mut left = vec![false; classes.len()];
    for &label in &kept_labels {
        left[label] = true;
    }
    if let Some((index, reason)) = skipped.iter().find(|(index, _)| !left[labels[*index]]) {
        let problem = format!(
            "no image of the class {:?} can be read, the first for this: {reason}",
            classes[labels[*index]]
        );
        let folder = files[*index].parent().unwrap_or(&files[*index]);
        return Err(Error::folder(folder, problem));
    }
    let skipped = skipped.into_iter().map(|(index, reason)| SkippedImage {
        path: files[index].clone(),
        reason: reason.to_string(),
    });
    Ok(ImageSet::new(shape, pixels, kept_labels, classes).with_skipped(skipped.collect()))
}

/// Whether the first [`START`] bytes of a file are those of an image that is read here.
pub(crate) fn is_image(start: &[u8]) -> bool {
    image::guess_format(start).is_ok_and(|format| format.reading_enabled())
}

/// Decodes the image at `path` into `planes`, `[channels, height, width]`.
fn decode(path: &Path, options: ImageFolderOptions, planes: &mut [u8]) -> Result<(), Error> {
    let bytes = fs::read(path).map_err(|source| match source.kind() {
        ErrorKind::NotFound if path.is_symlink() => {
            Error::missing(path, "this is a link to a file that is not there")
        }
        _ => Error::io(path, source),
    })?;
    let image = decode_bytes(&bytes).map_err(|source| Error::Image {
        path: path.to_path_buf(),
        source,
    })?;
    let image = if image.color().has_alpha() {
        DynamicImage::ImageRgb8(over_white(&image))
    } else {
        image
    };
    let (width, height) = (options.width as u32, options.height as u32);
    let pixels = if options.channels == 1 {
        imageops::resize(&image.to_luma8(), width, height, FilterType::Triangle).into_raw()
    } else {
        imageops::resize(&image.to_rgb8(), width, height, FilterType::Triangle).into_raw()
    };
    let plane_size = options.height * options.width;
    for (channel, plane) in planes.chunks_exact_mut(plane_size).enumerate() {
        let values = pixels.iter().skip(channel).step_by(options.channels);
        for (to, &from) in plane.iter_mut().zip(values) {
            *to = from;
        }
    }
    Ok(())
}

/// The image, the first of an animation, turned as its EXIF orientation says.
fn decode_bytes(bytes: &[u8]) -> Result<DynamicImage, ImageError> {
    /// Bytes of a decoded image.
    const LARGEST: u64 = 1 << 29;
    let reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format()?;
    let Some(format) = reader.format() else {
        return Err(io::Error::new(ErrorKind::InvalidData, what_it_is(bytes)).into());
    };
    if format == ImageFormat::Jpeg && is_cut_off(bytes) {
        let problem = "the JPEG is cut off: it has no end marker";
        return Err(io::Error::new(ErrorKind::UnexpectedEof, problem).into());
    }
    let mut decoder = reader.into_decoder()?;
    if decoder.total_bytes() > LARGEST {
        let kind = LimitErrorKind::InsufficientMemory;
        return Err(ImageError::Limits(LimitError::from_kind(kind)));
    }
    let orientation = decoder.orientation();
    let mut image = DynamicImage::from_decoder(decoder)?;
    image.apply_orientation(orientation.unwrap_or(Orientation::NoTransforms));
    Ok(image)
}

/// What a file is that is no image, in words.
fn what_it_is(bytes: &[u8]) -> &'static str {
    let text = bytes.trim_ascii_start();
    let starts = |tag: &[u8]| {
        text.get(..tag.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(tag))
    };
    if bytes.is_empty() {
        "the file is empty"
    } else if bytes.get(4..8) == Some(b"ftyp") {
        "the file is HEIC, AVIF or a film: save it as PNG or JPEG"
    } else if starts(b"<svg") || starts(b"<?xml") {
        "the file is SVG or other XML: draw it to PNG"
    } else if starts(b"<!doctype html") || starts(b"<html") {
        "the file is a web page, as failed downloads are"
    } else {
        "the content is no PNG, JPEG, GIF, WebP or BMP"
    }
}

/// Whether a JPEG ends before its end marker. Decoders fill the rest with gray. What stands behind the
/// marker, a film for example, does not count.
fn is_cut_off(bytes: &[u8]) -> bool {
    const END: u8 = 0xd9;
    let mut at = 2;
    loop {
        // Between segments, and through the entropy-coded data of a scan, to the next marker.
        let Some(marker) = bytes.get(at..).and_then(|rest| {
            let is_marker = |pair: &[u8]| pair[0] == 0xff && !matches!(pair[1], 0 | 0xff);
            rest.windows(2).position(is_marker)
        }) else {
            return true;
        };
        at += marker + 2;
        match bytes[at - 1] {
            END => return false,
            // Markers that stand alone: of restarts, of the start.
            0x01 | 0xd0..=0xd8 => {}
            _ => match bytes.get(at..at + 2) {
                Some(length) => at += usize::from(u16::from_be_bytes([length[0], length[1]])),
                None => return true,
            },
        }
    }
}

fn over_white(image: &DynamicImage) -> RgbImage {
    let rgba = image.to_rgba8();
    let mut rgb = RgbImage::new(rgba.width(), rgba.height());
    for (to, from) in rgb.pixels_mut().zip(rgba.pixels()) {
        let alpha = u32::from(from.0[3]);
        let blend =
            |value: u8| ((u32::from(value) * alpha + 255 * (255 - alpha) + 127) / 255) as u8;
        *to = Rgb([blend(from.0[0]), blend(from.0[1]), blend(from.0[2])]);
    }
    rgb
}
