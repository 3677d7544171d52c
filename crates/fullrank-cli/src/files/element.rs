//! The numbers a matrix is stored as.

use anyhow::{Context, Result, ensure};
use half::{bf16, f16};

/// The type of a stored number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Number {
    F16,
    Bf16,
    F32,
    F64,
    I8,
    I16,
    I32,
    I64,
    U8,
    U16,
    U32,
    U64,
}

/// How an entry is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Element {
    pub(crate) number: Number,
    pub(crate) big_endian: bool,
}

impl Element {
    pub(crate) fn little_endian(number: Number) -> Self {
        Self {
            number,
            big_endian: false,
        }
    }

    /// Bytes of an entry.
    pub(crate) fn width(self) -> usize {
        match self.number {
            Number::I8 | Number::U8 => 1,
            Number::F16 | Number::Bf16 | Number::I16 | Number::U16 => 2,
            Number::F32 | Number::I32 | Number::U32 => 4,
            Number::F64 | Number::I64 | Number::U64 => 8,
        }
    }

    /// The relative spacing of the numbers, as [`Accumulator::entry_epsilon`] takes it; integers
    /// are exact.
    ///
    /// [`Accumulator::entry_epsilon`]: fullrank::diagnostics::Accumulator::entry_epsilon
    pub(crate) fn epsilon(self) -> f64 {
        match self.number {
            Number::F16 => f64::from(f16::EPSILON),
            Number::Bf16 => f64::from(bf16::EPSILON),
            Number::F32 => f64::from(f32::EPSILON),
            _ => f64::EPSILON,
        }
    }

    /// The whole numbers that `bytes` holds, of integers or of floats that are whole.
    ///
    /// # Errors
    ///
    /// If a number is not whole, or is above the largest i64.
    pub(crate) fn whole(self, bytes: &[u8]) -> Result<Vec<i64>> {
        match self.number {
            // Not by way of f64, which has not all of them.
            Number::I64 | Number::U64 => (bytes.chunks_exact(8).enumerate())
                .map(|(i, word)| {
                    let mut word = <[u8; 8]>::try_from(word).unwrap_or_default();
                    if self.big_endian {
                        word.reverse();
                    }
                    if self.number == Number::I64 {
                        return Ok(i64::from_le_bytes(word));
                    }
                    let label = u64::from_le_bytes(word);
                    label.try_into().with_context(|| {
                        format!("label {i} is {label}, above the largest signed number of 64 bits")
                    })
                })
                .collect(),
            _ => {
                let mut numbers = Vec::new();
                self.decode(bytes, &mut numbers);
                (numbers.into_iter().enumerate())
                    .map(|(i, number)| whole(number).with_context(|| format!("label {i}")))
                    .collect()
            }
        }
    }

    /// Appends the entries that `bytes` holds.
    pub(crate) fn decode(self, bytes: &[u8], entries: &mut Vec<f64>) {
        macro_rules! numbers {
            ($type:ty, $to_f64:expr) => {{
                const WIDTH: usize = size_of::<$type>();
                let words = bytes.chunks_exact(WIDTH).map(|word| {
                    let mut bytes = [0; WIDTH];
                    bytes.copy_from_slice(word);
                    bytes
                });
                let to_f64: fn($type) -> f64 = $to_f64;
                if self.big_endian {
                    entries.extend(words.map(|word| to_f64(<$type>::from_be_bytes(word))));
                } else {
                    entries.extend(words.map(|word| to_f64(<$type>::from_le_bytes(word))));
                }
            }};
        }
        match self.number {
            Number::F16 => numbers!(f16, f64::from),
            Number::Bf16 => numbers!(bf16, f64::from),
            Number::F32 => numbers!(f32, f64::from),
            Number::F64 => numbers!(f64, |x| x),
            Number::I8 => numbers!(i8, f64::from),
            Number::I16 => numbers!(i16, f64::from),
            Number::I32 => numbers!(i32, f64::from),
            Number::I64 => numbers!(i64, |x| x as f64),
            Number::U8 => numbers!(u8, f64::from),
            Number::U16 => numbers!(u16, f64::from),
            Number::U32 => numbers!(u32, f64::from),
            Number::U64 => numbers!(u64, |x| x as f64),
        }
    }
}

/// A label that is stored as a float.
pub(super) fn whole(number: f64) -> Result<i64> {
    /// Beyond it not every whole number is one of f64.
    const MOST: f64 = 9_007_199_254_740_992.0;
    ensure!(
        number.fract() == 0.0 && number.abs() <= MOST,
        "{number} is not a whole number: labels are whole, embeddings go before --labels"
    );
    Ok(number as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_in_both_orders() {
        let decoded = |number, big_endian, bytes: &[u8]| {
            let mut entries = Vec::new();
            let element = Element { number, big_endian };
            assert_eq!(bytes.len(), element.width());
            element.decode(bytes, &mut entries);
            entries
        };
        assert_eq!(decoded(Number::F16, false, &[0x00, 0x3e]), [1.5]);
        assert_eq!(decoded(Number::F16, true, &[0x3e, 0x00]), [1.5]);
        assert_eq!(decoded(Number::Bf16, false, &[0xc0, 0x3f]), [1.5]);
        assert_eq!(decoded(Number::F32, false, &1.5f32.to_le_bytes()), [1.5]);
        assert_eq!(decoded(Number::F64, true, &1.5f64.to_be_bytes()), [1.5]);
        assert_eq!(decoded(Number::I8, false, &[0xfe]), [-2.0]);
        assert_eq!(decoded(Number::U8, false, &[0xfe]), [254.0]);
        assert_eq!(decoded(Number::I16, true, &[0xff, 0xfe]), [-2.0]);
        assert_eq!(decoded(Number::U16, false, &[0xff, 0xfe]), [65279.0]);
        assert_eq!(decoded(Number::I32, false, &(-7i32).to_le_bytes()), [-7.0]);
        assert_eq!(decoded(Number::U32, true, &7u32.to_be_bytes()), [7.0]);
        assert_eq!(decoded(Number::I64, false, &(-7i64).to_le_bytes()), [-7.0]);
        assert_eq!(decoded(Number::U64, false, &7u64.to_le_bytes()), [7.0]);
    }

    #[test]
    fn labels_are_whole_whatever_their_type() {
        let whole = |number, big_endian, bytes: &[u8]| Element { number, big_endian }.whole(bytes);
        let most = i64::MAX - 1;
        assert_eq!(
            whole(Number::I64, true, &most.to_be_bytes()).unwrap(),
            [most]
        );
        assert_eq!(whole(Number::I8, false, &[0xfe, 3]).unwrap(), [-2, 3]);
        assert_eq!(
            whole(Number::F32, false, &(-3f32).to_le_bytes()).unwrap(),
            [-3]
        );
        for (number, bytes, message) in [
            (
                Number::U64,
                u64::MAX.to_le_bytes(),
                "label 0 is 18446744073709551615, above",
            ),
            (
                Number::F64,
                0.5f64.to_le_bytes(),
                "0.5 is not a whole number",
            ),
            (
                Number::F64,
                f64::NAN.to_le_bytes(),
                "NaN is not a whole number",
            ),
            (Number::F64, 1e300f64.to_le_bytes(), "is not a whole number"),
        ] {
            let error = format!("{:#}", whole(number, false, &bytes).unwrap_err());
            assert!(error.contains(message), "{error}");
        }
    }
}
