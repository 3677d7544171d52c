//! A trained network and its embeddings for other tools.

use std::path::Path;

use anyhow::{Result, anyhow};
use burn::tensor::Tensor;
use burn_store::{BurnToPyTorchAdapter, ModuleSnapshot, SafetensorsStore};
use datasets::ImageSet;
use fullrank_files::npy::{write_labels, write_matrix};
use fullrank_files::write_whole;

use crate::model::Embedder;

/// The network, with names and layouts as PyTorch has them.
pub const NETWORK: &str = "encoder.safetensors";
/// The embeddings of the test images, one row each, of unit length.
pub const EMBEDDINGS: &str = "test-embeddings.npy";
/// The classes of the test images.
pub const LABELS: &str = "test-labels.npy";

/// Writes the network to [`NETWORK`] in `folder`; the file is whole or not there.
pub fn network(embedder: &Embedder, folder: &Path) -> Result<()> {
    let path = folder.join(NETWORK);
    let mut store = SafetensorsStore::from_bytes(None)
        .skip_enum_variants(true)
        .with_to_adapter(BurnToPyTorchAdapter);
    let saved = embedder.save_into(&mut store);
    let bytes = saved.and_then(|_| store.get_bytes());
    let bytes = bytes.map_err(|error| anyhow!("writing {}: {error}", path.display()))?;
    Ok(write_whole(&path, &bytes)?)
}

/// Writes the embeddings of the test images to [`EMBEDDINGS`] and their classes to [`LABELS`] in `folder`,
/// as `fullrank score` reads them.
///
/// # Shapes
///
/// - embeddings: `[test.len(), dimensions]`
pub fn test_embeddings(embeddings: &Tensor<2>, test: &ImageSet, folder: &Path) -> Result<()> {
    write_matrix(&folder.join(EMBEDDINGS), embeddings)?;
    write_labels(&folder.join(LABELS), test.labels())?;
    Ok(())
}
