//! The weights of a module: drawn from a seed, checked, saved and loaded.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Tensor};
use fullrank_files::{FileError, write_whole};

/// The module that `init` makes, whose initial weights depend on the seed and, beside the
/// architecture, on nothing else.
pub fn seeded<M: Module>(seed: u64, device: &Device, init: impl FnOnce() -> M) -> M {
    // Burn draws initial weights from one generator for all devices of a backend, and only
    // when a weight is first used. The lock keeps what another thread draws out of it.
    static DRAWING: Mutex<()> = Mutex::new(());
    let _drawing = DRAWING.lock().unwrap_or_else(PoisonError::into_inner);
    device.seed(seed);
    let module = init();
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
    struct Finite(bool);

    impl ModuleVisitor for Finite {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.0 = self.0 && param.val().into_data().iter::<f32>().all(f32::is_finite);
        }
    }

    let mut finite = Finite(true);
    module.visit(&mut finite);
    finite.0
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
