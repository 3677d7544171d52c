//! Whether a device computes on the host's own cores.

use burn::tensor::Device;

/// Whether tensors on `device` live in the host's memory, so that statistics are best taken there.
///
/// Burn has no question to ask a device for its kind without the feature of its backend; its name
/// tells.
pub fn is_host(device: &Device) -> bool {
    const CPU: [&str; 4] = ["Flex", "NdArray", "LibTorch(Cpu", "Cube(Cpu"];
    let name = format!("{:?}", device.clone().without_autodiff());
    let name = name.trim_start_matches("Device<");
    CPU.iter().any(|cpu| name.starts_with(cpu))
}
