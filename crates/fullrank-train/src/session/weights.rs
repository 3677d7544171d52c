//! The weights of a module: drawn from a seed, checked, saved and loaded.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Tensor};
use fullrank_files::{FileError, write_whole};

/// The module that `init` makes on the device that it is given, moved to `device`. The initial weights are drawn on
/// `host` and depend on the seed and, beside the architecture, on nothing else: every backend has a generator of its
/// own, and a training is to start alike on each.
pub fn seeded<M: Module>(
    seed: u64,
    host: &Device,
    device: &Device,
    init: impl FnOnce(&Device) -> M,
) -> M {
    if device == host {
        return drawn(seed, device, init);
    }
    // A tensor that moves keeps its autodiff, or the lack of it.
    let host = match device.is_autodiff() {
        true => host.clone().autodiff(),
        false => host.clone().without_autodiff(),
    };
    drawn(seed, &host, init).fork(device)
}

fn drawn<M: Module>(seed: u64, device: &Device, init: impl FnOnce(&Device) -> M) -> M {
    // Burn draws initial weights from one generator for all devices of a backend, and only
    // when a weight is first used. The lock keeps what another thread draws out of it.
    static DRAWING: Mutex<()> = Mutex::new(());
    let _drawing = DRAWING.lock().unwrap_or_else(PoisonError::into_inner);
    device.seed(seed);
    let module = init(device);
    module.visit(&mut Draw);
    module
}

/// Makes lazy parameters draw their initial values.
struct Draw;

impl ModuleVisitor for Draw {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        param.val();
    }
}

/// Whether every weight and running statistic is a finite number.
pub fn are_finite(module: &impl Module) -> bool {
    values(module).into_iter().all(f64::is_finite)
}

/// The parameters and running statistics of a module, one after the other.
pub fn values(module: &impl Module) -> Vec<f64> {
    struct Values(Vec<f64>);

    impl ModuleVisitor for Values {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.0.extend(param.val().into_data().iter::<f64>());
        }
    }

    let mut values = Values(Vec::new());
    module.visit(&mut values);
    values.0
}

/// Saves a module to `path` as Burnpack; the file is whole or not there.
///
/// # Errors
///
/// If the file cannot be written.
pub fn save<M: Module>(module: M, path: &Path) -> Result<(), FileError> {
    let bytes = module.into_record().into_bytes();
    write_whole(path, &bytes.map_err(FileError::write(path))?)
}

/// The module with the weights of the file.
///
/// # Errors
///
/// If the file cannot be read or is of another module.
pub fn load<M: Module>(module: M, path: &Path) -> Result<M, FileError> {
    module.try_load_file(path).map_err(FileError::read(path))
}
