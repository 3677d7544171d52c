//! The device a command computes on.

use anyhow::{Result, bail};
use burn::tensor::Device;
use clap::ValueEnum;

/// A backend by name, as in `--device wgpu`.
///
/// Every name is always accepted by the parser; one whose backend was not compiled in is an error
/// that says which cargo feature adds it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum DeviceArg {
    /// Burn's own CPU backend, the default
    #[default]
    Flex,
    /// The older CPU backend on the ndarray crate
    Ndarray,
    /// Any GPU through wgpu, with the driver it finds
    Wgpu,
    /// A GPU through Vulkan
    Vulkan,
    /// An Apple GPU through Metal
    Metal,
    /// A GPU through WebGPU
    Webgpu,
    /// An NVIDIA GPU through CUDA
    Cuda,
    /// An AMD GPU through ROCm
    Rocm,
    /// The CPU through CubeCL's compiler
    Cpu,
}

impl DeviceArg {
    /// Whether the backend computes in f64. Vulkan, Metal and WebGPU shaders have no f64 functions,
    /// whatever a driver says of the type.
    pub fn computes_in_f64(self) -> bool {
        !matches!(self, Self::Wgpu | Self::Vulkan | Self::Metal | Self::Webgpu)
    }

    /// The first device of this backend.
    ///
    /// # Errors
    ///
    /// If the backend was not compiled in.
    pub fn device(self) -> Result<Device> {
        match self {
            #[cfg(feature = "flex")]
            Self::Flex => Ok(Device::flex()),
            #[cfg(feature = "ndarray")]
            #[allow(deprecated, reason = "offered until Burn removes it in 0.23")]
            Self::Ndarray => Ok(Device::ndarray()),
            #[cfg(feature = "wgpu")]
            Self::Wgpu => Ok(Device::wgpu(burn::tensor::DeviceKind::DefaultDevice)),
            #[cfg(feature = "vulkan")]
            Self::Vulkan => Ok(Device::vulkan(burn::tensor::DeviceKind::DefaultDevice)),
            #[cfg(feature = "metal")]
            Self::Metal => Ok(Device::metal(burn::tensor::DeviceKind::DefaultDevice)),
            #[cfg(feature = "webgpu")]
            Self::Webgpu => Ok(Device::webgpu(burn::tensor::DeviceKind::DefaultDevice)),
            #[cfg(feature = "cuda")]
            Self::Cuda => Ok(Device::cuda(0)),
            #[cfg(feature = "rocm")]
            Self::Rocm => Ok(Device::rocm(0)),
            #[cfg(feature = "cpu")]
            Self::Cpu => Ok(Device::cpu()),
            #[allow(
                unreachable_patterns,
                reason = "reached unless every backend is compiled in"
            )]
            other => {
                let name = other
                    .to_possible_value()
                    .expect("no skipped value")
                    .get_name()
                    .to_owned();
                bail!("the backend '{name}' was not compiled in: build with --features {name}")
            }
        }
    }
}
