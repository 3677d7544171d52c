//! Augmented views of a batch, made on the training device: every image has its own parameters.
//!
//! Sampling ([`Views::sample`]) is on the host and applying ([`apply_views`]) on the device of the
//! images. The parameters of a view depend on the run's seed, the epoch, the image's index in the
//! data set and the number of the view, and on nothing else: neither the batch an image falls in
//! nor an interruption of the run changes its views.

use std::f64::consts::TAU;

use burn::config::Config;
use burn::tensor::ops::{GridSampleOptions, GridSamplePaddingMode, InterpolateMode, PadMode};
use burn::tensor::{Device, Tensor, TensorData, s};
use fullrank::HyperParameterError;
use fullrank::internals::require;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Luma weights of ITU-R BT.601, as `rgb_to_grayscale` of torchvision rounds them.
const LUMA: [f32; 3] = [0.2989, 0.587, 0.114];

/// Configuration of [`Views`].
///
/// The operations are those of the SimCLR family of augmentations, in this order: random resized
/// crop with horizontal flip, colour jitter (brightness, contrast, saturation, hue), grayscale,
/// Gaussian blur. torchvision shuffles the four parts of the colour jitter; here their order is
/// fixed.
#[derive(Config, Debug, PartialEq)]
pub struct ViewsConfig {
    /// Smallest crop, as a fraction of the image's area. Default: 0.5
    #[config(default = 0.5)]
    pub min_area: f64,
    /// Largest crop, as a fraction of the image's area. Default: 1.0
    #[config(default = 1.0)]
    pub max_area: f64,
    /// Smallest aspect ratio (width / height) of the crop. Default: 3/4
    #[config(default = "3.0 / 4.0")]
    pub min_aspect: f64,
    /// Largest aspect ratio (width / height) of the crop. Default: 4/3
    #[config(default = "4.0 / 3.0")]
    pub max_aspect: f64,
    /// Probability of a horizontal flip. Default: 0.5
    #[config(default = 0.5)]
    pub flip_probability: f64,
    /// Probability of the colour jitter. Default: 1.0
    #[config(default = 1.0)]
    pub jitter_probability: f64,
    /// Brightness `x`: the factor is uniform in `[max(0, 1 - x), 1 + x]`. Default: 0.4
    #[config(default = 0.4)]
    pub brightness: f64,
    /// Contrast `x`: the factor is uniform in `[max(0, 1 - x), 1 + x]`. Default: 0.4
    #[config(default = 0.4)]
    pub contrast: f64,
    /// Saturation `x`: the factor is uniform in `[max(0, 1 - x), 1 + x]`. Three-channel images
    /// only. Default: 0.0
    #[config(default = 0.0)]
    pub saturation: f64,
    /// Hue `x`, at most 0.5: the shift is uniform in `[-x, x]` turns of the colour circle.
    /// Three-channel images only. Default: 0.0
    #[config(default = 0.0)]
    pub hue: f64,
    /// Probability of the conversion to grayscale. Three-channel images only. Default: 0.0
    #[config(default = 0.0)]
    pub grayscale_probability: f64,
    /// Probability of the Gaussian blur. Default: 0.0
    #[config(default = 0.0)]
    pub blur_probability: f64,
    /// Smallest standard deviation of the blur, in pixels. Default: 0.1
    #[config(default = 0.1)]
    pub min_sigma: f64,
    /// Largest standard deviation of the blur, in pixels. Default: 2.0
    #[config(default = 2.0)]
    pub max_sigma: f64,
}

impl ViewsConfig {
    /// For small grey images (28 x 28): the defaults, and one image in ten blurred.
    pub fn grayscale_images() -> Self {
        Self::new().with_blur_probability(0.1)
    }

    /// For small colour images (32 x 32): crops of 20 % to 100 % of the area, colour jitter
    /// 0.4 / 0.4 / 0.2 / 0.1 with probability 0.8, grayscale with probability 0.2, no blur.
    ///
    /// This is the CIFAR recipe of solo-learn (da Costa et al., JMLR 23, 2022) without
    /// solarization.
    pub fn colour_images() -> Self {
        Self::new()
            .with_min_area(0.2)
            .with_jitter_probability(0.8)
            .with_saturation(0.2)
            .with_hue(0.1)
            .with_grayscale_probability(0.2)
    }

    /// Whether every hyper-parameter is in its range.
    ///
    /// # Errors
    ///
    /// If a probability is outside `[0, 1]`, a range is empty or not positive, `max_area` exceeds
    /// 1, `hue` is outside `[0, 0.5]`, or another strength is negative or not finite.
    pub fn check(&self) -> Result<(), HyperParameterError> {
        for (name, [low, high]) in [
            ("area", [self.min_area, self.max_area]),
            ("aspect", [self.min_aspect, self.max_aspect]),
            ("sigma", [self.min_sigma, self.max_sigma]),
        ] {
            require(0.0 < low && low <= high && high.is_finite(), || {
                format!("the range of {name} must be positive and not empty, got {low}..{high}")
            })?;
        }
        require(self.max_area <= 1.0, || {
            format!("max_area must be at most 1, got {}", self.max_area)
        })?;
        for (name, probability) in [
            ("flip_probability", self.flip_probability),
            ("jitter_probability", self.jitter_probability),
            ("grayscale_probability", self.grayscale_probability),
            ("blur_probability", self.blur_probability),
        ] {
            require((0.0..=1.0).contains(&probability), || {
                format!("{name} must be in [0, 1], got {probability}")
            })?;
        }
        for (name, strength) in [
            ("brightness", self.brightness),
            ("contrast", self.contrast),
            ("saturation", self.saturation),
        ] {
            require(strength >= 0.0 && strength.is_finite(), || {
                format!("{name} must be finite and not negative, got {strength}")
            })?;
        }
        require((0.0..=0.5).contains(&self.hue), || {
            format!("hue must be in [0, 0.5], got {}", self.hue)
        })?;
        Ok(())
    }

    /// Builds the sampler of views.
    ///
    /// # Panics
    ///
    /// If [`check`](Self::check) finds an error.
    pub fn init(&self) -> Views {
        self.check().unwrap_or_else(|error| panic!("{error}"));
        Views {
            config: self.clone(),
        }
    }
}

/// The box of an image that a view shows, in whole pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CropBox {
    /// First row.
    pub top: usize,
    /// First column.
    pub left: usize,
    /// Number of rows.
    pub height: usize,
    /// Number of columns.
    pub width: usize,
}

/// What is done to one image to make one view of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ViewParameters {
    /// The box that is stretched to the size of the image.
    pub crop: CropBox,
    /// Whether the columns are reversed.
    pub flip: bool,
    /// Factor on all values; 1 leaves the image as it is.
    pub brightness: f32,
    /// Factor on the distance from the image's mean luma; 1 leaves the image as it is.
    pub contrast: f32,
    /// Factor on the distance from the pixel's luma; 1 leaves the image as it is.
    pub saturation: f32,
    /// Shift along the colour circle, in turns; 0 leaves the image as it is.
    pub hue: f32,
    /// Whether the channels are replaced by their luma.
    pub grayscale: bool,
    /// Standard deviation of the Gaussian blur in pixels, if the image is blurred.
    pub blur: Option<f32>,
}

impl ViewParameters {
    /// The view that is the image itself, for images of `height` by `width` pixels.
    pub fn identity([height, width]: [usize; 2]) -> Self {
        Self {
            crop: CropBox {
                top: 0,
                left: 0,
                height,
                width,
            },
            flip: false,
            brightness: 1.0,
            contrast: 1.0,
            saturation: 1.0,
            hue: 0.0,
            grayscale: false,
            blur: None,
        }
    }
}

/// Samples and applies augmented views; made by [`ViewsConfig::init`].
#[derive(Clone, Debug)]
pub struct Views {
    config: ViewsConfig,
}

impl Views {
    /// The configuration these views were made with.
    pub fn config(&self) -> &ViewsConfig {
        &self.config
    }

    /// Parameters of one view of one image of `height` by `width` pixels.
    ///
    /// # Arguments
    ///
    /// - `seed`: the run's seed.
    /// - `epoch`: number of the epoch.
    /// - `key`: index of the image in its data set.
    /// - `view`: number of the view, 0 or 1 in [`Self::two_views`].
    pub fn sample(
        &self,
        [height, width]: [usize; 2],
        seed: u64,
        epoch: usize,
        key: u64,
        view: usize,
    ) -> ViewParameters {
        let config = &self.config;
        let mut rng = view_rng(seed, epoch, key, view);

        // Every number is drawn whether it is used or not: switching one operation on or off
        // leaves the others of the same view as they were.
        let flip = rng.random::<f64>() < config.flip_probability;
        let jitter = rng.random::<f64>() < config.jitter_probability;
        let [brightness, contrast, saturation] =
            [config.brightness, config.contrast, config.saturation]
                .map(|x| between(&mut rng, (1.0 - x).max(0.0), 1.0 + x) as f32);
        let hue = between(&mut rng, -config.hue, config.hue) as f32;
        let grayscale = rng.random::<f64>() < config.grayscale_probability;
        let blurred = rng.random::<f64>() < config.blur_probability;
        let sigma = between(&mut rng, config.min_sigma, config.max_sigma) as f32;
        let crop = self.sample_crop([height, width], &mut rng);

        ViewParameters {
            crop,
            flip,
            brightness: if jitter { brightness } else { 1.0 },
            contrast: if jitter { contrast } else { 1.0 },
            saturation: if jitter { saturation } else { 1.0 },
            hue: if jitter { hue } else { 0.0 },
            grayscale,
            blur: blurred.then_some(sigma),
        }
    }

    /// `RandomResizedCrop.get_params` of torchvision: ten tries, then the largest centred box
    /// whose aspect ratio is in range.
    fn sample_crop(&self, [height, width]: [usize; 2], rng: &mut ChaCha8Rng) -> CropBox {
        let config = &self.config;
        let area = (height * width) as f64;
        for _ in 0..10 {
            let target = area * between(rng, config.min_area, config.max_area);
            let aspect = between(rng, config.min_aspect.ln(), config.max_aspect.ln()).exp();
            let w = (target * aspect).sqrt().round() as usize;
            let h = (target / aspect).sqrt().round() as usize;
            if (1..=width).contains(&w) && (1..=height).contains(&h) {
                let top = rng.random_range(0..=height - h);
                let left = rng.random_range(0..=width - w);
                return CropBox {
                    top,
                    left,
                    height: h,
                    width: w,
                };
            }
        }

        let aspect = width as f64 / height as f64;
        let (w, h) = if aspect < config.min_aspect {
            (width, (width as f64 / config.min_aspect).round() as usize)
        } else if aspect > config.max_aspect {
            ((height as f64 * config.max_aspect).round() as usize, height)
        } else {
            (width, height)
        };
        let (w, h) = (w.clamp(1, width), h.clamp(1, height));
        CropBox {
            top: (height - h) / 2,
            left: (width - w) / 2,
            height: h,
            width: w,
        }
    }

    /// Two views of each image of a batch.
    ///
    /// # Arguments
    ///
    /// - `images`: values in `[0, 1]`; on the training device.
    /// - `keys`: index of each image in its data set.
    /// - `seed`: the run's seed.
    /// - `epoch`: number of the epoch.
    ///
    /// # Shapes
    ///
    /// - images: `[n, channels, height, width]`, channels 1 or 3
    /// - output: two times the shape of the images, values in `[0, 1]`, on their device
    ///
    /// # Panics
    ///
    /// If there are not as many keys as images, and where [`apply_views`] does.
    pub fn two_views(
        &self,
        images: Tensor<4>,
        keys: &[u64],
        seed: u64,
        epoch: usize,
    ) -> [Tensor<4>; 2] {
        let [n, _, height, width] = images.dims();
        assert_eq!(n, keys.len(), "{n} images, but {} keys", keys.len());
        [0, 1].map(|view| {
            let parameters: Vec<_> = keys
                .iter()
                .map(|&key| self.sample([height, width], seed, epoch, key, view))
                .collect();
            apply_views(images.clone(), &parameters)
        })
    }
}

/// The generator of one view: its four numbers are the 32 bytes of the ChaCha key.
fn view_rng(seed: u64, epoch: usize, key: u64, view: usize) -> ChaCha8Rng {
    let mut bytes = [0; 32];
    for (chunk, number) in bytes
        .chunks_exact_mut(8)
        .zip([seed, epoch as u64, key, view as u64])
    {
        chunk.copy_from_slice(&number.to_le_bytes());
    }
    ChaCha8Rng::from_seed(bytes)
}

fn between(rng: &mut ChaCha8Rng, low: f64, high: f64) -> f64 {
    low + (high - low) * rng.random::<f64>()
}

/// Applies one view to each image.
///
/// Crop and flip are one bilinear resampling without anti-aliasing: output column `x` shows the
/// column `left + (x + 1/2) w / W - 1/2` of the image, kept inside the crop. Brightness, contrast
/// and saturation are torchvision's; the hue is turned by the linear `hue-rotate` matrix of the W3C
/// Filter Effects specification, which keeps the luma of a pixel, not its HSV value. The blur has
/// the kernel of SimCLR (a tenth of the image's side, made odd, at least three) with the border
/// pixels repeated. Values are clamped to `[0, 1]` after each step that can leave the range. The
/// result is a constant to automatic differentiation.
///
/// # Shapes
///
/// - images: `[n, channels, height, width]`, values in `[0, 1]`, channels 1 or 3
/// - output: the shape of the images, on their device
///
/// # Panics
///
/// If there are not as many parameters as images, the number of channels is neither 1 nor 3, a side
/// is shorter than 2 pixels, or a crop is empty or leaves the image.
pub fn apply_views(images: Tensor<4>, parameters: &[ViewParameters]) -> Tensor<4> {
    let [n, channels, height, width] = images.dims();
    assert_eq!(
        n,
        parameters.len(),
        "{n} images, but parameters of {} views",
        parameters.len()
    );
    assert!(
        channels == 1 || channels == 3,
        "images must have 1 or 3 channels, got {channels}"
    );
    assert!(
        height >= 2 && width >= 2,
        "images must be 2 x 2 at least, got {height} x {width}"
    );

    // Nothing here is differentiated, and a plain device has the fused resampling.
    let strategy = images.gradient_checkpointing_strategy();
    let mut x = images.without_autodiff();

    x = crop_and_flip(x, parameters);
    x = adjust_brightness(x, parameters);
    x = adjust_contrast(x, parameters);
    if channels == 3 {
        x = adjust_saturation(x, parameters);
        x = rotate_hue(x, parameters);
    }
    x = blur(x, parameters);

    match strategy {
        Some(strategy) => x.autodiff().with_gradient_checkpointing_strategy(strategy),
        None => x,
    }
}

/// One number per image, to be broadcast over channels, rows and columns: `[n, 1, 1, 1]`.
fn per_image(values: impl Iterator<Item = f32>, device: &Device) -> Tensor<4> {
    let values: Vec<f32> = values.collect();
    let n = values.len();
    Tensor::from_data(TensorData::new(values, [n, 1, 1, 1]), device)
}

fn crop_and_flip(images: Tensor<4>, parameters: &[ViewParameters]) -> Tensor<4> {
    let [n, _, height, width] = images.dims();
    if parameters
        .iter()
        .all(|p| !p.flip && p.crop == ViewParameters::identity([height, width]).crop)
    {
        return images;
    }

    let mut rows = Vec::with_capacity(n * height);
    let mut columns = Vec::with_capacity(n * width);
    for ViewParameters { crop, flip, .. } in parameters {
        assert!(
            crop.height > 0
                && crop.width > 0
                && crop.top + crop.height <= height
                && crop.left + crop.width <= width,
            "{crop:?} is empty or leaves the image of {height} x {width}"
        );
        rows.extend(grid_coordinates(crop.top, crop.height, height, false));
        columns.extend(grid_coordinates(crop.left, crop.width, width, *flip));
    }
    let device = images.device();
    let rows = Tensor::<3>::from_data(TensorData::new(rows, [n, height, 1]), &device);
    let columns = Tensor::<3>::from_data(TensorData::new(columns, [n, 1, width]), &device);
    let shape = [n, height, width];
    let grid = Tensor::stack::<4>(vec![columns.expand(shape), rows.expand(shape)], 3);

    let options = GridSampleOptions::new(InterpolateMode::Bilinear)
        .with_padding_mode(GridSamplePaddingMode::Border)
        .with_align_corners(true);
    images.grid_sample_2d(grid, options)
}

/// Where each of `size` output pixels of one axis is read, as `grid_sample` with aligned corners
/// wants it: -1 is the centre of the first pixel of the image and 1 that of the last.
fn grid_coordinates(
    start: usize,
    length: usize,
    size: usize,
    reverse: bool,
) -> impl Iterator<Item = f32> {
    let scale = length as f64 / size as f64;
    (0..size).map(move |i| {
        let i = if reverse { size - 1 - i } else { i };
        let inside = ((i as f64 + 0.5) * scale - 0.5).clamp(0.0, (length - 1) as f64);
        (2.0 * (start as f64 + inside) / (size - 1) as f64 - 1.0) as f32
    })
}

fn adjust_brightness(images: Tensor<4>, parameters: &[ViewParameters]) -> Tensor<4> {
    if parameters.iter().all(|p| p.brightness == 1.0) {
        return images;
    }
    let factor = per_image(parameters.iter().map(|p| p.brightness), &images.device());
    (images * factor).clamp(0.0, 1.0)
}

fn adjust_contrast(images: Tensor<4>, parameters: &[ViewParameters]) -> Tensor<4> {
    if parameters.iter().all(|p| p.contrast == 1.0) {
        return images;
    }
    let factor = per_image(parameters.iter().map(|p| p.contrast), &images.device());
    let mean = luma(images.clone()).mean_dims(&[2, 3]);
    ((images - mean.clone()) * factor + mean).clamp(0.0, 1.0)
}

/// Saturation and grayscale: a grey image is one without saturation.
fn adjust_saturation(images: Tensor<4>, parameters: &[ViewParameters]) -> Tensor<4> {
    let factors = || {
        parameters
            .iter()
            .map(|p| if p.grayscale { 0.0 } else { p.saturation })
    };
    if factors().all(|factor| factor == 1.0) {
        return images;
    }
    let factor = per_image(factors(), &images.device());
    let luma = luma(images.clone());
    ((images - luma.clone()) * factor + luma).clamp(0.0, 1.0)
}

/// Grey values: `[n, 1, height, width]`.
fn luma(images: Tensor<4>) -> Tensor<4> {
    match images.dims()[1] {
        1 => images,
        _ => {
            let weights = TensorData::new(LUMA.to_vec(), [1, 3, 1, 1]);
            (images.clone() * Tensor::from_data(weights, &images.device())).sum_dim(1)
        }
    }
}

fn rotate_hue(images: Tensor<4>, parameters: &[ViewParameters]) -> Tensor<4> {
    // A grey pixel stays as it is under the matrix, but only up to rounding.
    let turns = || {
        parameters
            .iter()
            .map(|p| if p.grayscale { 0.0 } else { p.hue })
    };
    if turns().all(|turn| turn == 0.0) {
        return images;
    }
    let [n, channels, height, width] = images.dims();
    let matrices: Vec<f32> = turns().flat_map(hue_matrix).collect();
    let matrices = Tensor::<3>::from_data(TensorData::new(matrices, [n, 3, 3]), &images.device());
    matrices
        .matmul(images.reshape([n, channels, height * width]))
        .clamp(0.0, 1.0)
        .reshape([n, channels, height, width])
}

/// `feColorMatrix type="hueRotate"` of the W3C Filter Effects Module, row by row.
fn hue_matrix(turn: f32) -> [f32; 9] {
    const GREY: [f64; 9] = [
        0.213, 0.715, 0.072, 0.213, 0.715, 0.072, 0.213, 0.715, 0.072,
    ];
    const COS: [f64; 9] = [
        0.787, -0.715, -0.072, -0.213, 0.285, -0.072, -0.213, -0.715, 0.928,
    ];
    const SIN: [f64; 9] = [
        -0.213, -0.715, 0.928, 0.143, 0.140, -0.283, -0.787, 0.715, 0.072,
    ];
    let (sin, cos) = (f64::from(turn) * TAU).sin_cos();
    std::array::from_fn(|i| (GREY[i] + cos * COS[i] + sin * SIN[i]) as f32)
}

/// Taps on each side of the centre of the blur's kernel.
fn blur_radius(side: usize) -> usize {
    (side / 10 / 2).max(1)
}

fn blur(images: Tensor<4>, parameters: &[ViewParameters]) -> Tensor<4> {
    if parameters.iter().all(|p| p.blur.is_none()) {
        return images;
    }
    let [_, _, height, width] = images.dims();
    let radius = blur_radius(height.min(width));
    let device = images.device();

    // The kernel of an image that is not blurred is one at the centre and zero elsewhere.
    let kernels: Vec<Vec<f32>> = parameters
        .iter()
        .map(|p| gaussian(p.blur, radius))
        .collect();
    let taps: Vec<Tensor<4>> = (0..=radius)
        .map(|offset| per_image(kernels.iter().map(|kernel| kernel[offset]), &device))
        .collect();

    let rows = images.pad([(radius, radius), (0, 0)], PadMode::Edge);
    let row = |shift: usize| rows.clone().slice(s![.., .., shift..shift + height, ..]);
    let mut x = row(radius) * taps[0].clone();
    for (offset, tap) in taps.iter().enumerate().skip(1) {
        x = x + (row(radius - offset) + row(radius + offset)) * tap.clone();
    }

    let columns = x.pad([(0, 0), (radius, radius)], PadMode::Edge);
    let column = |shift: usize| columns.clone().slice(s![.., .., .., shift..shift + width]);
    let mut x = column(radius) * taps[0].clone();
    for (offset, tap) in taps.iter().enumerate().skip(1) {
        x = x + (column(radius - offset) + column(radius + offset)) * tap.clone();
    }
    x.clamp(0.0, 1.0)
}

/// The centre of a Gaussian kernel and the taps on one side of it; the whole kernel sums to 1.
fn gaussian(sigma: Option<f32>, radius: usize) -> Vec<f32> {
    let weight = |offset: usize| match sigma {
        Some(sigma) => (-0.5 * (offset as f64 / f64::from(sigma)).powi(2)).exp(),
        None => f64::from(u8::from(offset == 0)),
    };
    let total = weight(0) + 2.0 * (1..=radius).map(weight).sum::<f64>();
    (0..=radius)
        .map(|offset| (weight(offset) / total) as f32)
        .collect()
}

#[cfg(test)]
mod tests {
    use burn::tensor::Tolerance;

    use super::*;

    /// Values that all differ, in `[0, 1]`.
    fn images(shape: [usize; 4]) -> Tensor<4> {
        let len: usize = shape.iter().product();
        let values: Vec<f32> = (0..len).map(|i| (i * 37 % 101) as f32 / 100.0).collect();
        Tensor::from_data(TensorData::new(values, shape), &Device::default())
    }

    /// An image whose value is `column / 10`.
    fn ramp(height: usize, width: usize) -> Tensor<4> {
        let values = (0..height * width)
            .map(|i| (i % width) as f32 / 10.0)
            .collect::<Vec<_>>();
        Tensor::from_data(
            TensorData::new(values, [1, 1, height, width]),
            &Device::default(),
        )
    }

    fn colour(rgb: [f32; 3]) -> Tensor<4> {
        let pixel = Tensor::<1>::from_floats(rgb, &Device::default());
        pixel.reshape([1, 3, 1, 1]).expand([1, 3, 2, 2])
    }

    fn pixel(image: Tensor<4>) -> [f32; 3] {
        let values = image
            .slice(s![.., .., 0..1, 0..1])
            .into_data()
            .try_to_vec::<f32>()
            .unwrap();
        values.try_into().unwrap()
    }

    fn close(left: Tensor<4>, right: Tensor<4>, tolerance: f32) {
        left.into_data()
            .assert_approx_eq::<f32>(&right.into_data(), Tolerance::absolute(tolerance));
    }

    fn assert_pixel(image: Tensor<4>, expected: [f32; 3]) {
        for (value, expected) in pixel(image).into_iter().zip(expected) {
            approx::assert_abs_diff_eq!(value, expected, epsilon = 1e-5);
        }
    }

    #[test]
    fn identity_parameters_return_the_images() {
        let images = images([3, 3, 7, 9]);
        let views = apply_views(images.clone(), &[ViewParameters::identity([7, 9]); 3]);
        views.into_data().assert_eq(&images.into_data(), true);
    }

    #[test]
    fn identity_next_to_a_changed_image_is_exact_to_rounding() {
        let images = images([2, 3, 12, 12]);
        let identity = ViewParameters::identity([12, 12]);
        let changed = ViewParameters {
            crop: CropBox {
                top: 1,
                left: 2,
                height: 5,
                width: 6,
            },
            flip: true,
            brightness: 1.3,
            contrast: 0.7,
            saturation: 1.2,
            hue: 0.1,
            grayscale: false,
            blur: Some(1.0),
        };
        let views = apply_views(images.clone(), &[changed, identity]);
        close(views.slice(s![1..2]), images.slice(s![1..2]), 1e-5);
    }

    #[test]
    fn flip_reverses_the_columns() {
        let images = images([2, 3, 6, 5]);
        let flip = ViewParameters {
            flip: true,
            ..ViewParameters::identity([6, 5])
        };
        let views = apply_views(images.clone(), &[flip; 2]);
        close(views, images.flip([3]), 1e-5);
    }

    #[test]
    fn crop_of_a_ramp_is_a_ramp() {
        // Column x of the view shows column 2 + (x + 1/2) 4/8 - 1/2 of the image, kept in [2, 5].
        let crop = CropBox {
            top: 1,
            left: 2,
            height: 3,
            width: 4,
        };
        let parameters = ViewParameters {
            crop,
            ..ViewParameters::identity([6, 8])
        };
        let expected = [0.2, 0.225, 0.275, 0.325, 0.375, 0.425, 0.475, 0.5];
        let expected = Tensor::<1>::from_floats(expected, &Device::default());
        let view = apply_views(ramp(6, 8), &[parameters]);
        close(
            view,
            expected.clone().reshape([1, 1, 1, 8]).expand([1, 1, 6, 8]),
            1e-5,
        );

        let flipped = apply_views(
            ramp(6, 8),
            &[ViewParameters {
                flip: true,
                ..parameters
            }],
        );
        let expected = expected
            .flip([0])
            .reshape([1, 1, 1, 8])
            .expand([1, 1, 6, 8]);
        close(flipped, expected, 1e-5);
    }

    #[test]
    fn rows_of_the_crop_are_not_its_columns() {
        // Row y of the view shows row 1 + (y + 1/2) 2/4 - 1/2 of the image, kept in [1, 2].
        let crop = CropBox {
            top: 1,
            left: 0,
            height: 2,
            width: 6,
        };
        let parameters = ViewParameters {
            crop,
            ..ViewParameters::identity([4, 6])
        };
        let image = ramp(6, 4).swap_dims(2, 3);
        let expected = Tensor::<1>::from_floats([0.1, 0.125, 0.175, 0.2], &Device::default());
        close(
            apply_views(image, &[parameters]),
            expected.reshape([1, 1, 4, 1]).expand([1, 1, 4, 6]),
            1e-5,
        );
    }

    #[test]
    fn brightness_is_a_factor_clamped_to_one() {
        let parameters = ViewParameters {
            brightness: 1.5,
            ..ViewParameters::identity([2, 2])
        };
        assert_pixel(
            apply_views(colour([0.2, 0.4, 0.8]), &[parameters]),
            [0.3, 0.6, 1.0],
        );
    }

    #[test]
    fn contrast_moves_values_from_the_mean_luma() {
        // Columns 0, 0.1, 0.2, 0.3 have the mean 0.15.
        let parameters = ViewParameters {
            contrast: 0.5,
            ..ViewParameters::identity([2, 4])
        };
        let expected = Tensor::<1>::from_floats([0.075, 0.125, 0.175, 0.225], &Device::default());
        close(
            apply_views(ramp(2, 4), &[parameters]),
            expected.reshape([1, 1, 1, 4]).expand([1, 1, 2, 4]),
            1e-6,
        );
    }

    #[test]
    fn grayscale_and_saturation_use_the_luma() {
        // 0.2989 * 0.2 + 0.587 * 0.4 + 0.114 * 0.8 = 0.38578
        let image = colour([0.2, 0.4, 0.8]);
        let identity = ViewParameters::identity([2, 2]);
        let grey = ViewParameters {
            grayscale: true,
            saturation: 1.3,
            hue: 0.1,
            ..identity
        };
        assert_pixel(apply_views(image.clone(), &[grey]), [0.38578; 3]);

        let pale = ViewParameters {
            saturation: 0.5,
            ..identity
        };
        assert_pixel(apply_views(image, &[pale]), [0.29289, 0.39289, 0.59289]);
    }

    #[test]
    fn quarter_turn_of_the_hue() {
        // feColorMatrix hueRotate(90): rows (0, 0, 1), (0.356, 0.855, -0.211),
        // (-0.574, 1.43, 0.144), worked out from the specification's three matrices.
        let parameters = ViewParameters {
            hue: 0.25,
            ..ViewParameters::identity([2, 2])
        };
        let expected = [0.6, 0.356 * 0.4 + 0.855 * 0.5 - 0.211 * 0.6, 0.5718];
        assert_pixel(
            apply_views(colour([0.4, 0.5, 0.6]), &[parameters]),
            expected,
        );
        assert_pixel(apply_views(colour([0.3; 3]), &[parameters]), [0.3; 3]);
    }

    #[test]
    fn blur_keeps_a_constant_and_spreads_a_point() {
        let device = Device::default();
        let blurred = ViewParameters {
            blur: Some(1.0),
            ..ViewParameters::identity([40, 40])
        };
        let constant = Tensor::<4>::full([1, 1, 40, 40], 0.7, &device);
        close(apply_views(constant.clone(), &[blurred]), constant, 1e-6);

        // Radius 2 at 40 pixels: weights e^0, e^-0.5, e^-2 over their sum 2.483732.
        assert_eq!(blur_radius(40), 2);
        let point = Tensor::<4>::zeros([1, 1, 40, 40], &device).slice_assign(
            s![.., .., 20..21, 20..21],
            Tensor::ones([1, 1, 1, 1], &device),
        );
        let view = apply_views(point, &[blurred]).slice(s![.., .., 20, 17..22]);
        let values = view.into_data().try_to_vec::<f32>().unwrap();
        let taps = [0.0, 0.054_488, 0.244_201, 0.402_620, 0.244_201];
        for (value, tap) in values.into_iter().zip(taps) {
            approx::assert_abs_diff_eq!(value, tap * 0.402_620, epsilon = 1e-5);
        }
    }

    #[test]
    fn a_view_depends_on_its_four_numbers() {
        let views = ViewsConfig::colour_images().init();
        let view = |seed, epoch, key, view| views.sample([32, 32], seed, epoch, key, view);
        let first = view(7, 3, 41, 0);
        assert_eq!(first, view(7, 3, 41, 0));
        for other in [
            view(8, 3, 41, 0),
            view(7, 4, 41, 0),
            view(7, 3, 42, 0),
            view(7, 3, 41, 1),
        ] {
            assert_ne!(first, other);
        }
    }

    #[test]
    fn views_do_not_depend_on_the_batch() {
        let views = ViewsConfig::colour_images()
            .with_blur_probability(0.5)
            .init();
        let images = images([6, 3, 20, 20]);
        let keys = [10, 11, 12, 13, 14, 15];
        let batch = views.two_views(images.clone(), &keys, 1, 2);

        let reversed: Vec<u64> = keys.iter().rev().copied().collect();
        let reversed = views.two_views(images.clone().flip([0]), &reversed, 1, 2);
        let alone = views.two_views(images.slice(s![3..4]), &[13], 1, 2);
        for view in 0..2 {
            close(batch[view].clone().flip([0]), reversed[view].clone(), 1e-6);
            close(
                batch[view].clone().slice(s![3..4]),
                alone[view].clone(),
                1e-5,
            );
        }
        let difference = (batch[0].clone() - batch[1].clone())
            .abs()
            .mean()
            .into_scalar::<f32>();
        assert!(difference > 0.01, "the two views are alike: {difference}");
    }

    #[test]
    fn sampled_parameters_are_in_range_and_as_frequent_as_configured() {
        let config = ViewsConfig::colour_images().with_blur_probability(0.3);
        let views = config.init();
        let n = 4000;
        let all: Vec<_> = (0..n)
            .map(|key| views.sample([32, 32], 0, 0, key, 0))
            .collect();
        for p in &all {
            let CropBox {
                top,
                left,
                height,
                width,
            } = p.crop;
            assert!(top + height <= 32 && left + width <= 32);
            // Half a pixel of rounding on each side.
            let (h, w) = (height as f64, width as f64);
            assert!((h + 0.5) * (w + 0.5) >= 0.2 * 1024.0);
            assert!((w + 0.5) / (h - 0.5) >= 0.75 && (w - 0.5) / (h + 0.5) <= 4.0 / 3.0);
            assert!((0.6..=1.4).contains(&p.brightness) && (0.6..=1.4).contains(&p.contrast));
            assert!((0.8..=1.2).contains(&p.saturation) && (-0.1..=0.1).contains(&p.hue));
            assert!(p.blur.is_none_or(|sigma| (0.1..=2.0).contains(&sigma)));
        }
        // Four standard deviations of a frequency of 4000 draws are at most 0.032.
        let frequency = |condition: fn(&ViewParameters) -> bool| {
            all.iter().filter(|p| condition(p)).count() as f64 / n as f64
        };
        approx::assert_abs_diff_eq!(frequency(|p| p.flip), 0.5, epsilon = 0.032);
        approx::assert_abs_diff_eq!(frequency(|p| p.brightness != 1.0), 0.8, epsilon = 0.032);
        approx::assert_abs_diff_eq!(frequency(|p| p.grayscale), 0.2, epsilon = 0.032);
        approx::assert_abs_diff_eq!(frequency(|p| p.blur.is_some()), 0.3, epsilon = 0.032);
        approx::assert_abs_diff_eq!(
            frequency(|p| p.crop.width > p.crop.height),
            0.5,
            epsilon = 0.06
        );
    }

    #[test]
    fn crop_that_never_fits_is_the_centre() {
        // The whole area at an aspect ratio of 2 leaves every square image.
        let views = ViewsConfig::new()
            .with_min_area(1.0)
            .with_min_aspect(2.0)
            .with_max_aspect(2.0)
            .init();
        let view = views.sample([28, 28], 0, 0, 0, 0);
        assert_eq!(
            view.crop,
            CropBox {
                top: 7,
                left: 0,
                height: 14,
                width: 28
            }
        );
    }

    #[test]
    fn views_stay_in_range_and_on_the_device() {
        let device = Device::default().autodiff().gradient_checkpointing();
        for (channels, config) in [
            (1, ViewsConfig::grayscale_images()),
            (3, ViewsConfig::colour_images()),
        ] {
            let images = images([32, channels, 16, 16]).into_data();
            let images = Tensor::<4>::from_data(images, &device);
            let keys: Vec<u64> = (0..32).collect();
            for view in config.init().two_views(images.clone(), &keys, 0, 0) {
                assert_eq!(view.dims(), [32, channels, 16, 16]);
                assert!(view.device().is_autodiff());
                // Panics if the view lost the checkpointing strategy of its images.
                let _ = view.clone() + images.clone();
                view.into_data()
                    .assert_within_range_inclusive(0.0_f32..=1.0);
            }
        }
    }

    #[test]
    #[should_panic(expected = "flip_probability must be in [0, 1], got 1.5")]
    fn probability_above_one_is_rejected() {
        ViewsConfig::new().with_flip_probability(1.5).init();
    }

    #[test]
    #[should_panic(expected = "the range of area must be positive and not empty, got 0.5..0.4")]
    fn empty_range_is_rejected() {
        ViewsConfig::new().with_max_area(0.4).init();
    }

    #[test]
    #[should_panic(expected = "leaves the image of 4 x 4")]
    fn crop_outside_the_image_is_rejected() {
        let crop = CropBox {
            top: 0,
            left: 2,
            height: 4,
            width: 3,
        };
        let parameters = ViewParameters {
            crop,
            ..ViewParameters::identity([4, 4])
        };
        apply_views(images([1, 1, 4, 4]), &[parameters]);
    }
}
