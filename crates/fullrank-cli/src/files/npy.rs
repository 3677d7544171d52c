//! Matrices of numpy's .npy files, and the header of those files.

use std::io::Read;

use anyhow::{Context, Result, bail, ensure};
use npyz::{Endianness, NpyHeader, Order, TypeChar, TypeStr};

use super::header::{Claims, Descr};
use super::labels::numbered;
use super::source::Source;
use super::{Element, Number, Sink, blocks, labels_shape, matrix_shape};

/// Reads the matrix of a .npy file.
pub(super) fn read_matrix(mut source: Source, sink: &mut dyn Sink) -> Result<()> {
    let header = Header::read(&mut source.reader, source.length)?;
    let (element, shape) = (header.element()?, matrix_shape(header.shape())?);
    header.check_length("entries", element.width())?;
    match header.order() {
        Order::C => blocks::by_rows(source.reader, shape, element, sink),
        Order::Fortran => blocks::by_columns(source.reader, header.offset, shape, element, sink),
    }
}

/// Reads the labels of a .npy file.
pub(super) fn read_labels(mut source: Source) -> Result<Vec<i64>> {
    let header = Header::read(&mut source.reader, source.length)?;
    header.labels(source.reader)
}

/// The header of a .npy file, and what follows it.
pub(crate) struct Header {
    header: NpyHeader,
    /// Where the entries begin.
    pub(crate) offset: u64,
    /// Bytes of the entries.
    body: u64,
}

impl Header {
    /// Reads the header from the start of a file of `length` bytes; the reader is then at the first
    /// entry.
    ///
    /// # Errors
    ///
    /// If it is no header. Nothing longer than numpy itself reads is allocated or parsed.
    pub(crate) fn read(reader: &mut impl Read, length: u64) -> Result<Self> {
        let bytes = header_bytes(reader).context("not an .npy file")?;
        let claims = Claims::parse(&String::from_utf8_lossy(&bytes.text));
        let claims = claims.context("not an .npy file that numpy reads")?;
        check_product(&claims.shape)?;
        if let Descr::Plain(descr) = &claims.descr
            && descr.starts_with("|O")
        {
            bail!(
                "expected numbers, found pickled Python objects: save a plain array, \
                 np.stack(rows).astype(np.float32)"
            );
        }
        let offset = bytes.offset;
        Ok(Self {
            header: canonical_header(&claims).context("not an .npy file")?,
            offset,
            body: length.checked_sub(offset).context("not an .npy file")?,
        })
    }

    pub(crate) fn shape(&self) -> &[u64] {
        self.header.shape()
    }

    pub(crate) fn order(&self) -> Order {
        self.header.order()
    }

    /// The type of the entries, if it is not structured.
    pub(crate) fn dtype(&self) -> Option<TypeStr> {
        match self.header.dtype() {
            npyz::DType::Plain(dtype) => Some(dtype),
            _ => None,
        }
    }

    pub(super) fn element(&self) -> Result<Element> {
        let dtype = self
            .dtype()
            .context("expected numbers, found a structured type: save one of its fields")?;
        let number = match (dtype.type_char(), dtype.size_field()) {
            (TypeChar::Float, 2) => Number::F16,
            (TypeChar::Float, 4) => Number::F32,
            (TypeChar::Float, 8) => Number::F64,
            (TypeChar::Int, 1) => Number::I8,
            (TypeChar::Int, 2) => Number::I16,
            (TypeChar::Int, 4) => Number::I32,
            (TypeChar::Int, 8) => Number::I64,
            (TypeChar::Uint, 1) => Number::U8,
            (TypeChar::Uint, 2) => Number::U16,
            (TypeChar::Uint, 4) => Number::U32,
            (TypeChar::Uint, 8) => Number::U64,
            (kind, _) => bail!(
                "expected f16, f32, f64 or integers, found {dtype}{}",
                match kind {
                    TypeChar::Bool => ", true or false: save it with .astype(np.uint8)",
                    TypeChar::Complex =>
                        ", complex numbers: save the real and imaginary parts as dimensions",
                    TypeChar::Float => ", a long double: save it with .astype(np.float64)",
                    TypeChar::ByteStr | TypeChar::UnicodeStr => ", text",
                    TypeChar::DateTime | TypeChar::TimeDelta => ", times",
                    _ => "",
                }
            ),
        };
        let big_endian = dtype.endianness() == Endianness::Big;
        Ok(Element { number, big_endian })
    }

    /// The labels of which this is the header, and `reader` at the first.
    pub(super) fn labels(&self, reader: impl Read) -> Result<Vec<i64>> {
        labels_shape(self.shape())?;
        let dtype = self
            .dtype()
            .context("expected labels, found a structured type")?;
        let bytes = |width: usize| -> Result<Vec<u8>> {
            self.check_length("labels", width)?;
            let mut bytes = Vec::new();
            reader.take(self.body).read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        let size = usize::try_from(dtype.size_field())?;
        match dtype.type_char() {
            TypeChar::Bool => Element::little_endian(Number::U8).whole(&bytes(1)?),
            TypeChar::UnicodeStr if (1..=MOST_CHARACTERS).contains(&size) => {
                let big_endian = dtype.endianness() == Endianness::Big;
                let names = bytes(4 * size)?;
                let names = names.chunks_exact(4 * size);
                Ok(numbered(
                    names.map(|name| utf32(name, big_endian)).collect(),
                ))
            }
            TypeChar::ByteStr if (1..=MOST_CHARACTERS).contains(&size) => {
                let names = bytes(size)?;
                let name = |name: &[u8]| {
                    let name = String::from_utf8_lossy(name);
                    name.trim_end_matches('\0').to_owned()
                };
                Ok(numbered(names.chunks_exact(size).map(name).collect()))
            }
            _ => {
                let element = self.element()?;
                element.whole(&bytes(element.width())?)
            }
        }
    }

    /// Holds the shape that the header claims against the bytes that follow it.
    ///
    /// # Errors
    ///
    /// If they are fewer or more than that many `things` of `width` bytes.
    pub(crate) fn check_length(&self, things: &str, width: usize) -> Result<()> {
        let shape = self.shape();
        let expected = shape
            .iter()
            .try_fold(width as u64, |n, k| n.checked_mul(*k));
        let claim: Vec<String> = shape.iter().map(u64::to_string).collect();
        ensure!(
            expected == Some(self.body),
            "the header says {} {things} of {width} bytes, but {} bytes follow it at byte {}",
            claim.join(" x "),
            self.body,
            self.offset
        );
        Ok(())
    }
}

/// The longest name of a class, in characters.
const MOST_CHARACTERS: usize = 1 << 16;

/// A string as numpy stores it: four bytes a character, zeros after the last.
fn utf32(bytes: &[u8], big_endian: bool) -> String {
    let code = |word: &[u8]| {
        let word = <[u8; 4]>::try_from(word).unwrap_or_default();
        if big_endian {
            u32::from_be_bytes(word)
        } else {
            u32::from_le_bytes(word)
        }
    };
    let name: String = (bytes.chunks_exact(4))
        .map(|word| char::from_u32(code(word)).unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect();
    name.trim_end_matches('\0').to_owned()
}

/// The header as it stands in the file.
struct HeaderBytes {
    /// The dictionary, with what pads it.
    text: Vec<u8>,
    /// Where the entries begin.
    offset: u64,
}

fn header_bytes(reader: &mut impl Read) -> Result<HeaderBytes> {
    /// The limit of numpy's reader.
    const LONGEST: usize = 10_000;
    /// A header of a matrix has three.
    const MOST_BRACKETS: usize = 16;
    let mut start = vec![0; 10];
    reader.read_exact(&mut start).context("no header")?;
    ensure!(start.starts_with(b"\x93NUMPY"), "no header");
    ensure!(
        matches!(start[6], 1..=3),
        "version {} of the format: 1, 2 and 3 are read",
        start[6]
    );
    let mut length = usize::from(u16::from_le_bytes([start[8], start[9]]));
    if start[6] > 1 {
        start.extend([0; 2]);
        reader.read_exact(&mut start[10..]).context("no header")?;
        length |= usize::from(u16::from_le_bytes([start[10], start[11]])) << 16;
    }
    ensure!(
        length <= LONGEST,
        "a header of {length} bytes: the limit is {LONGEST}"
    );
    let mut text = vec![0; length];
    reader
        .read_exact(&mut text)
        .context("the header is cut off")?;
    // The parser of structured types descends into brackets.
    let brackets = text.iter().filter(|c| b"([{".contains(c)).count();
    ensure!(
        brackets <= MOST_BRACKETS,
        "expected numbers, found a structured type"
    );
    Ok(HeaderBytes {
        text,
        offset: (start.len() + length) as u64,
    })
}

/// The header as numpy's own writer would have put it, for a parser that reads no other.
fn canonical_header(claims: &Claims) -> Result<NpyHeader> {
    let text = claims.canonical();
    let length = u16::try_from(text.len())?;
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend(length.to_le_bytes());
    bytes.extend(text.bytes());
    Ok(NpyHeader::from_reader(&bytes[..])?)
}

/// Refuses a shape with more entries than 64 bits count, which the parser multiplies unchecked.
fn check_product(shape: &[u64]) -> Result<()> {
    let product = shape
        .iter()
        .try_fold(1u64, |product, size| product.checked_mul((*size).max(1)));
    let sizes: Vec<String> = shape.iter().map(u64::to_string).collect();
    ensure!(
        product.is_some(),
        "the header says {} entries, more than a file can hold",
        sizes.join(" x ")
    );
    Ok(())
}
