//! Image files brought to one shape.

use std::path::{Path, PathBuf};

use image::imageops::{self, FilterType};
use image::{DynamicImage, ImageReader, Rgb, RgbImage};
use rayon::prelude::*;

use crate::image_folder::ImageFolderOptions;
use crate::{Error, ImageSet};

/// The set of the images in `files`, decoded in parallel; the first that fails is the one reported.
pub(crate) fn image_set(
    files: &[PathBuf],
    labels: Vec<usize>,
    classes: Vec<String>,
    options: ImageFolderOptions,
) -> Result<ImageSet, Error> {
    let shape = [options.channels, options.height, options.width];
    let size: usize = shape.iter().product();
    let mut pixels = vec![0; files.len() * size];
    let failed = pixels
        .par_chunks_exact_mut(size)
        .zip(files)
        .find_map_first(|(planes, path)| decode(path, options, planes).err());
    match failed {
        Some(error) => Err(error),
        None => Ok(ImageSet::new(shape, pixels, labels, classes)),
    }
}

/// Decodes the image at `path` into `planes`, `[channels, height, width]`.
fn decode(path: &Path, options: ImageFolderOptions, planes: &mut [u8]) -> Result<(), Error> {
    let image = ImageReader::open(path)
        .and_then(ImageReader::with_guessed_format)
        .map_err(|source| Error::io(path, source))?
        .decode()
        .map_err(|source| Error::Image {
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
