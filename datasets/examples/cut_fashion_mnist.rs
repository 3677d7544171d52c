//! Cuts the Fashion-MNIST files that ship with this crate from the full set.
//!
//! ```text
//! cargo run --release -p fullrank-datasets --example cut_fashion_mnist -- \
//!     /usr/share/datasets/fashion-mnist datasets/data/fashion-mnist-mini
//! ```

use std::error::Error;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use flate2::{Compression, GzBuilder};
use fullrank_datasets::{ImageSet, fashion_mnist, idx};

const TRAIN_PER_CLASS: usize = 600;
const TEST_PER_CLASS: usize = 100;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [full, out] = &arguments[..] else {
        return Err("usage: cut_fashion_mnist <folder of the full set> <folder to write>".into());
    };
    let set = fashion_mnist::load(full)?;
    fs::create_dir_all(out)?;
    write(out, "train", &set.train, TRAIN_PER_CLASS)?;
    write(out, "t10k", &set.test, TEST_PER_CLASS)
}

/// Writes the first `per_class` images of each class as the two files of `part`.
fn write(out: &Path, part: &str, set: &ImageSet, per_class: usize) -> Result<(), Box<dyn Error>> {
    if let Some(few) = set.class_counts().iter().find(|&&count| count < per_class) {
        return Err(format!("{part}: a class has {few} images, fewer than {per_class}").into());
    }
    let cut = set.first_per_class(per_class);
    let [_, height, width] = cut.shape();
    let labels: Vec<u8> = cut.labels().iter().map(|&label| label as u8).collect();
    let images = idx::encode(&[cut.len(), height, width], cut.pixels());
    write_gz(&out.join(format!("{part}-images-idx3-ubyte.gz")), &images)?;
    write_gz(
        &out.join(format!("{part}-labels-idx1-ubyte.gz")),
        &idx::encode(&[cut.len()], &labels),
    )
}

fn write_gz(path: &Path, bytes: &[u8]) -> Result<(), Box<dyn Error>> {
    let mut gz = GzBuilder::new()
        .mtime(0)
        .write(File::create(path)?, Compression::best());
    gz.write_all(bytes)?;
    let size = gz.finish()?.metadata()?.len();
    println!("{}: {size} bytes", path.display());
    Ok(())
}
