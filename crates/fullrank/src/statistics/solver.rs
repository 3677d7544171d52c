//! Where the statistics of a batch are computed.

use burn::tensor::Device;
use serde::{Deserialize, Serialize};

/// Where a loss computes the statistics of its batch. Both ways have the same value and gradient, to the
/// accuracy that each loss states.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Solver {
    /// `Host` on CPU devices, `Device` elsewhere.
    #[default]
    Auto,
    /// On the host, by faer: the fastest on a CPU. From any other device the batch is read back, which
    /// waits for it. Needs the feature `host-solver`.
    Host,
    /// On the embeddings' device, by tensor operations: nothing is read back, and a training step never
    /// waits.
    Device,
}

impl Solver {
    /// Whether to compute on the host for embeddings on `device`: the one place where that is decided.
    pub fn on_host(self, device: &Device) -> bool {
        match self {
            Self::Host => true,
            Self::Device => false,
            Self::Auto => cfg!(feature = "host-solver") && crate::host::is_host(device),
        }
    }
}
