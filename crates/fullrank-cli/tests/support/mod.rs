//! What the tests of the command share.

use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

use npyz::{Order, WriterBuilder};

/// Writes a .npy file.
pub(crate) fn write<T: npyz::AutoSerialize>(
    path: &Path,
    shape: &[u64],
    order: Order,
    entries: Vec<T>,
) {
    let options = npyz::WriteOptions::new().default_dtype();
    let options = options.shape(shape).order(order);
    let mut writer = options
        .writer(BufWriter::new(File::create(path).unwrap()))
        .begin_nd()
        .unwrap();
    writer.extend(entries).unwrap();
    writer.finish().unwrap();
}
