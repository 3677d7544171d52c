//! The IDX format of MNIST and its successors, plain or gzip.
//!
//! ```text
//! 0 0 8 D | D sizes, u32 big-endian | the values, u8, row-major
//! ```
//!
//! Type 8 is unsigned bytes, the only one these sets use. Gzip is told by its first two bytes, not
//! by the file name. No buffer is sized from a header: the sizes must agree with what follows.
//!
//! Source: Y. LeCun, C. Cortes, C. Burges, *The MNIST database of handwritten digits*, "File formats".

use std::io::{ErrorKind, Read};
use std::path::Path;

use flate2::bufread::GzDecoder;

use crate::error::read_file;
use crate::{Error, ImageSet};

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
const UNSIGNED_BYTES: u8 = 8;
/// Deflate's largest expansion: 258 bytes from two bits, so at most 1032 to 1.
const DEFLATE_MAX_RATIO: u64 = 1032;

/// An array of `u8` with `D` dimensions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Idx<const D: usize> {
    /// The size along each dimension.
    pub shape: [usize; D],
    /// The values, row-major.
    pub values: Vec<u8>,
}

/// Reads the file at `path` as an array of `D` dimensions.
///
/// # Errors
///
/// [`Error::Io`], and what [`parse`] returns.
pub fn read<const D: usize>(path: impl AsRef<Path>) -> Result<Idx<D>, Error> {
    let path = path.as_ref();
    parse(&read_file(path)?, path)
}

/// Parses a file's content; `path` names it in errors.
///
/// # Errors
///
/// [`Error::Malformed`] for another type or number of dimensions, for sizes that disagree with the
/// number of values, and for a truncated or corrupt gzip stream.
pub fn parse<const D: usize>(bytes: &[u8], path: &Path) -> Result<Idx<D>, Error> {
    if !bytes.starts_with(&GZIP_MAGIC) {
        return Source {
            reader: bytes,
            path,
            offset: 0,
        }
        .array(bytes.len() as u64);
    }
    let most = (bytes.len() as u64).saturating_mul(DEFLATE_MAX_RATIO);
    let mut members = Members::new(bytes);
    let array = Source {
        reader: &mut members,
        path,
        offset: 0,
    }
    .array(most)?;
    let left = members.left();
    if left > 0 {
        return Err(Error::malformed(
            path,
            (bytes.len() - left) as u64,
            format!("{left} bytes after the end of the gzip stream (of the packed file)"),
        ));
    }
    Ok(array)
}

/// The unpacked content of the gzip members at the start of some bytes, as one.
struct Members<'a> {
    member: GzDecoder<&'a [u8]>,
}

impl<'a> Members<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self {
            member: GzDecoder::new(bytes),
        }
    }

    /// The bytes behind the last member, once all has been read.
    fn left(&self) -> usize {
        self.member.get_ref().len()
    }
}

impl Read for Members<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        loop {
            let count = self.member.read(buffer)?;
            let rest = *self.member.get_ref();
            if count > 0 || buffer.is_empty() || !rest.starts_with(&GZIP_MAGIC) {
                return Ok(count);
            }
            self.member = GzDecoder::new(rest);
        }
    }
}

/// The content of a plain IDX file that holds `values` in the given shape.
///
/// # Panics
///
/// If the shape has more than 255 dimensions or a size beyond `u32`, or does not hold exactly
/// `values`.
pub fn encode(shape: &[usize], values: &[u8]) -> Vec<u8> {
    assert_eq!(
        shape.iter().product::<usize>(),
        values.len(),
        "shape {shape:?} with another number of values"
    );
    let Ok(dimensions) = u8::try_from(shape.len()) else {
        panic!("{} dimensions, at most 255", shape.len());
    };
    let mut bytes = vec![0, 0, UNSIGNED_BYTES, dimensions];
    for &size in shape {
        let Ok(size) = u32::try_from(size) else {
            panic!("size {size} is beyond u32");
        };
        bytes.extend(size.to_be_bytes());
    }
    bytes.extend_from_slice(values);
    bytes
}

/// Reads a file of grayscale images and the file of their labels as one set.
///
/// # Errors
///
/// What [`read`] returns, and [`Error::Malformed`] if there is no image, the counts differ or a
/// label names no class.
pub fn read_image_set(
    images: impl AsRef<Path>,
    labels: impl AsRef<Path>,
    classes: &[&str],
) -> Result<ImageSet, Error> {
    let (images, labels) = (images.as_ref(), labels.as_ref());
    image_set(
        (&read_file(images)?, images),
        (&read_file(labels)?, labels),
        classes,
    )
}

/// A set from the contents of its two files, each with the path that names it in errors.
pub(crate) fn image_set(
    (image_bytes, image_path): (&[u8], &Path),
    (label_bytes, label_path): (&[u8], &Path),
    classes: &[&str],
) -> Result<ImageSet, Error> {
    let images: Idx<3> = parse(image_bytes, image_path)?;
    let labels: Idx<1> = parse(label_bytes, label_path)?;
    let [count, height, width] = images.shape;
    if images.values.is_empty() {
        let problem = format!("no pixels: {count} images of {height} x {width}");
        return Err(Error::malformed(image_path, 4, problem));
    }
    if labels.shape != [count] {
        let problem = format!(
            "{} labels for the {count} images of {}",
            labels.shape[0],
            image_path.display()
        );
        return Err(Error::malformed(label_path, 4, problem));
    }
    if let Some(at) = labels
        .values
        .iter()
        .position(|&label| usize::from(label) >= classes.len())
    {
        let problem = format!(
            "label {} of image {at}, of {} classes",
            labels.values[at],
            classes.len()
        );
        return Err(Error::malformed(label_path, 8 + at as u64, problem));
    }
    Ok(ImageSet::new(
        [1, height, width],
        images.values,
        labels.values.into_iter().map(usize::from).collect(),
        classes.iter().map(|&name| name.to_owned()).collect(),
    ))
}

/// Unpacked bytes, with the place reached in them.
struct Source<'a, R> {
    reader: R,
    path: &'a Path,
    offset: u64,
}

impl<R: Read> Source<'_, R> {
    /// The array, which must fill the source; the whole file cannot hold more than `most` bytes.
    fn array<const D: usize>(mut self, most: u64) -> Result<Idx<D>, Error> {
        let header = self.take(4, "the magic number")?;
        let dimensions = u8::try_from(D).unwrap_or(u8::MAX);
        let expected = [0, 0, UNSIGNED_BYTES, dimensions];
        if header != expected {
            let problem = format!(
                "magic number {header:02x?}, not {expected:02x?} (unsigned bytes, {D} dimensions)"
            );
            return Err(Error::malformed(self.path, 0, problem));
        }
        let sizes: Vec<u32> = self
            .take(4 * u64::from(dimensions), "the sizes")?
            .chunks_exact(4)
            .map(|size| u32::from_be_bytes([size[0], size[1], size[2], size[3]]))
            .collect();
        let claimed = sizes
            .iter()
            .try_fold(1_u64, |product, &size| product.checked_mul(u64::from(size)))
            .filter(|&values| values <= most);
        let Some(claimed) = claimed else {
            let problem = format!("sizes {sizes:?}: more values than the file can hold");
            return Err(Error::malformed(self.path, 4, problem));
        };
        let values = self.take(claimed, "the values")?;
        if !self.read_up_to(1)?.is_empty() {
            let problem = format!("bytes after the {claimed} values of sizes {sizes:?}");
            return Err(Error::malformed(self.path, self.offset - 1, problem));
        }
        let mut shape = [0; D];
        for (side, size) in shape.iter_mut().zip(sizes) {
            *side = size as usize;
        }
        Ok(Idx { shape, values })
    }

    /// Exactly `count` bytes.
    fn take(&mut self, count: u64, what: &str) -> Result<Vec<u8>, Error> {
        let bytes = self.read_up_to(count)?;
        if (bytes.len() as u64) < count {
            let problem = format!("ends within {what}: {} of {count} bytes", bytes.len());
            return Err(Error::malformed(self.path, self.offset, problem));
        }
        Ok(bytes)
    }

    /// `count` bytes, or fewer at the end.
    fn read_up_to(&mut self, count: u64) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        let result = (&mut self.reader).take(count).read_to_end(&mut bytes);
        self.offset += bytes.len() as u64;
        match result {
            Ok(_) => Ok(bytes),
            Err(error) => {
                let problem = match error.kind() {
                    ErrorKind::UnexpectedEof => "the gzip stream is truncated".to_owned(),
                    _ => format!("the gzip stream is corrupt: {error}"),
                };
                Err(Error::malformed(self.path, self.offset, problem))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};
    use proptest::prelude::*;

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    /// Two images of 2 x 3.
    fn images() -> Vec<u8> {
        encode(&[2, 2, 3], &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12])
    }

    fn parse3(bytes: &[u8]) -> Result<Idx<3>, Error> {
        parse(bytes, Path::new("images"))
    }

    /// The offset and problem of a malformed file.
    fn malformed<T: std::fmt::Debug>(result: Result<T, Error>) -> (u64, String) {
        match result {
            Err(Error::Malformed {
                offset, problem, ..
            }) => (offset, problem),
            other => panic!("expected a malformed file, got {other:?}"),
        }
    }

    /// The format's definition: 0 0 8 3 is the magic number 2051 of MNIST's image files.
    #[test]
    fn header_is_mnists() {
        let bytes = images();
        assert_eq!(u32::from_be_bytes(bytes[..4].try_into().unwrap()), 2051);
        assert_eq!(bytes[4..16], [0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 3]);
        assert_eq!(encode(&[0], &[])[..4], 2049_u32.to_be_bytes());
    }

    #[test]
    fn plain_and_gzip_read_alike() {
        let expected = Idx {
            shape: [2, 2, 3],
            values: (1..=12).collect(),
        };
        assert_eq!(parse3(&images()).unwrap(), expected);
        assert_eq!(parse3(&gzip(&images())).unwrap(), expected);
    }

    #[test]
    fn bad_magic_is_at_byte_0() {
        let (offset, problem) = malformed(parse::<1>(&images(), Path::new("labels")));
        assert_eq!(offset, 0);
        assert!(
            problem.contains("[00, 00, 08, 03], not [00, 00, 08, 01]"),
            "{problem}"
        );
        // 0x0d is the type of f32 values.
        assert_eq!(malformed(parse3(&[0, 0, 0x0d, 3])).0, 0);
    }

    #[test]
    fn truncation_is_at_the_end_of_the_file() {
        let bytes = images();
        assert_eq!(malformed(parse3(&[])).0, 0);
        assert_eq!(malformed(parse3(&bytes[..3])).0, 3);
        assert_eq!(malformed(parse3(&bytes[..15])).0, 15);
        let (offset, problem) = malformed(parse3(&bytes[..27]));
        assert_eq!(
            (offset, problem.as_str()),
            (27, "ends within the values: 11 of 12 bytes")
        );
        assert_eq!(malformed(parse3(&gzip(&bytes[..27]))).0, 27);
    }

    #[test]
    fn trailing_bytes_are_an_error() {
        let mut bytes = images();
        bytes.extend([0, 0]);
        assert_eq!(malformed(parse3(&bytes)).0, 28);
        assert_eq!(malformed(parse3(&gzip(&bytes))).0, 28);
        let mut packed = gzip(&images());
        let end = packed.len() as u64;
        packed.push(0);
        let (offset, problem) = malformed(parse3(&packed));
        assert_eq!(offset, end);
        assert!(
            problem.contains("1 bytes after the end of the gzip stream"),
            "{problem}"
        );
    }

    #[test]
    fn gzip_of_several_members_is_one() {
        let bytes = images();
        let expected = parse3(&bytes).unwrap();
        for cut in [0, 1, 16, 20, bytes.len()] {
            let parts = [&bytes[..cut], &bytes[cut..], &[]];
            let packed: Vec<u8> = parts.into_iter().flat_map(gzip).collect();
            assert_eq!(parse3(&packed).unwrap(), expected, "{cut}");
            let (_, problem) = malformed(parse3(&packed[..packed.len() - 1]));
            assert!(problem.contains("gzip stream"), "{problem}");
        }
    }

    #[test]
    fn claims_beyond_the_file_are_refused_before_reading() {
        for sizes in [[u32::MAX; 3], [u32::MAX, 28, 28], [60_000, 28, 28]] {
            let mut bytes = vec![0, 0, 8, 3];
            bytes.extend(sizes.iter().flat_map(|size| size.to_be_bytes()));
            bytes.extend([0; 100]);
            for content in [bytes.clone(), gzip(&bytes)] {
                let (offset, problem) = malformed(parse3(&content));
                assert_eq!(offset, 4);
                assert!(
                    problem.ends_with("more values than the file can hold"),
                    "{problem}"
                );
            }
        }
    }

    #[test]
    fn wrong_gzip_checksum_is_an_error() {
        let mut packed = gzip(&images());
        let checksum = packed.len() - 8;
        packed[checksum] ^= 1;
        let (offset, problem) = malformed(parse3(&packed));
        assert_eq!(offset, 28);
        assert!(
            problem.starts_with("the gzip stream is corrupt"),
            "{problem}"
        );
    }

    #[test]
    fn images_and_labels_form_a_set() {
        let set = |labels: &[u8]| {
            image_set(
                (&images(), Path::new("images")),
                (&encode(&[labels.len()], labels), Path::new("labels")),
                &["a", "b"],
            )
        };
        let good = set(&[1, 0]).unwrap();
        assert_eq!((good.shape(), good.labels()), ([1, 2, 3], &[1, 0][..]));
        assert_eq!(good.image(1), [7, 8, 9, 10, 11, 12]);

        let error = set(&[1, 0, 1]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "labels: at byte 4: 3 labels for the 2 images of images"
        );
        let error = set(&[1, 2]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "labels: at byte 9: label 2 of image 1, of 2 classes"
        );
    }

    #[test]
    fn set_without_pixels_is_an_error() {
        for shape in [[0, 28, 28], [1, 0, 28]] {
            let images = encode(&shape, &[]);
            let labels = encode(&[shape[0]], &vec![0; shape[0]]);
            let set = image_set((&images, "i".as_ref()), (&labels, "l".as_ref()), &["a"]);
            assert_eq!(malformed(set).0, 4);
        }
    }

    #[test]
    fn missing_file_is_named() {
        let error = read::<3>("no/such/file").unwrap_err();
        assert!(error.to_string().starts_with("no/such/file: "), "{error}");
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_parse_only_if_they_are_idx(
            tail in prop::collection::vec(any::<u8>(), 0..200),
            prefix in 0_usize..3,
        ) {
            let mut bytes = [&[][..], &[0, 0, 8, 1], &[0x1f, 0x8b, 8, 0]][prefix].to_vec();
            bytes.extend(tail);
            if let Ok(array) = parse::<1>(&bytes, Path::new("x")) {
                prop_assert_eq!(array.values.len(), array.shape[0]);
                if prefix == 1 {
                    prop_assert_eq!(encode(&array.shape, &array.values), bytes);
                }
            }
        }

        #[test]
        fn flipped_bit_of_gzip_never_changes_the_values(
            values in prop::collection::vec(any::<u8>(), 1..300),
            at in any::<prop::sample::Index>(),
            bit in 0_u32..8,
        ) {
            let whole = gzip(&encode(&[1, 1, values.len()], &values));
            let mut flipped = whole.clone();
            flipped[at.index(whole.len())] ^= 1_u8 << bit;
            if let Ok(array) = parse3(&flipped) {
                prop_assert_eq!(array.values, values);
            }
        }

        #[test]
        fn flipped_bit_of_a_plain_header_is_an_error(
            values in prop::collection::vec(any::<u8>(), 1..300),
            at in 0_usize..16,
            bit in 0_u32..8,
        ) {
            let mut bytes = encode(&[1, 1, values.len()], &values);
            bytes[at] ^= 1_u8 << bit;
            prop_assert!(parse3(&bytes).is_err());
        }

        #[test]
        fn truncated_file_is_an_error(
            values in prop::collection::vec(any::<u8>(), 1..300),
            at in any::<prop::sample::Index>(),
        ) {
            let plain = encode(&[values.len(), 1, 1], &values);
            for whole in [gzip(&plain), plain] {
                prop_assert!(parse3(&whole[..at.index(whole.len())]).is_err());
            }
        }
    }
}
