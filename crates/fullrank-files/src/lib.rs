#![doc = include_str!("../README.md")]

mod error;
pub mod npy;
mod outputs;
mod stderr;
mod whole;

pub use error::FileError;
pub use outputs::{Output, OutputKind, check_outputs};
pub use stderr::note;
pub use whole::{is_same, read_json, remove_temporaries, write_json, write_whole};
