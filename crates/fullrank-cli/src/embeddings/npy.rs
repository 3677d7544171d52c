//! Matrices of numpy's .npy files, and the header of those files.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use npyz::{Endianness, NpyHeader, Order, TypeChar, TypeStr};

use super::{Element, Number, Sink, blocks, matrix_shape};

/// Reads the matrix of a .npy file.
pub(super) fn read_matrix(path: &Path, sink: &mut dyn Sink) -> Result<()> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    let header = Header::read(&mut file, length)?;
    let (shape, element) = (matrix_shape(header.shape())?, header.element()?);
    header.check_length("entries", element.width())?;
    match header.order() {
        Order::C => blocks::by_rows(file, shape, element, sink),
        Order::Fortran => blocks::by_columns(file, header.offset, shape, element, sink),
    }
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
        let text = header_bytes(reader).context("not an .npy file")?;
        let header = NpyHeader::from_reader(&text[..]).context("not an .npy file")?;
        let offset = text.len() as u64;
        Ok(Self {
            header,
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

    pub(crate) fn into_inner(self) -> NpyHeader {
        self.header
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
            .context("expected numbers, found a structured type")?;
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
            _ => bail!("expected f16, f32, f64 or integers, found {dtype}"),
        };
        let big_endian = dtype.endianness() == Endianness::Big;
        Ok(Element { number, big_endian })
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

/// The header as it stands in the file.
fn header_bytes(reader: &mut impl Read) -> Result<Vec<u8>> {
    /// The limit of numpy's reader.
    const LONGEST: usize = 10_000;
    /// A header of a matrix has two.
    const MOST_BRACKETS: usize = 16;
    let mut bytes = vec![0; 10];
    reader.read_exact(&mut bytes).context("no header")?;
    ensure!(bytes.starts_with(b"\x93NUMPY"), "no header");
    let mut length = usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    if bytes[6] > 1 {
        bytes.extend([0; 2]);
        reader.read_exact(&mut bytes[10..]).context("no header")?;
        length |= usize::from(u16::from_le_bytes([bytes[10], bytes[11]])) << 16;
    }
    ensure!(
        length <= LONGEST,
        "a header of {length} bytes: the limit is {LONGEST}"
    );
    let start = bytes.len();
    bytes.resize(start + length, 0);
    reader
        .read_exact(&mut bytes[start..])
        .context("the header is cut off")?;
    // The parser descends into brackets.
    let text = &bytes[start..];
    let brackets = text.iter().filter(|c| b"([{".contains(c)).count();
    ensure!(
        brackets <= MOST_BRACKETS,
        "expected numbers, found a structured type"
    );
    check_product(text)?;
    Ok(bytes)
}

/// Refuses a shape with more entries than 64 bits count, which the parser multiplies unchecked.
fn check_product(text: &[u8]) -> Result<()> {
    let text = String::from_utf8_lossy(text);
    let shape = text.rsplit_once("shape").map_or("", |(_, rest)| rest);
    let shape = shape.split_once(')').map_or(shape, |(shape, _)| shape);
    let numbers = shape.split(|c: char| !c.is_ascii_digit());
    let numbers: Vec<&str> = numbers.filter(|number| !number.is_empty()).collect();
    let product = numbers.iter().try_fold(1u64, |product, number| {
        product.checked_mul(number.parse::<u64>().ok()?.max(1))
    });
    ensure!(
        product.is_some(),
        "the header says {} entries, more than a file can hold",
        numbers.join(" x ")
    );
    Ok(())
}
