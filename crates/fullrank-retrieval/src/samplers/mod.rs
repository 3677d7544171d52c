//! Which rows a batch holds.

mod class_balanced;

pub use class_balanced::{
    ClassBalancedDataset, ClassBalancedLoader, ClassBalancedSampler, ClassBalancedSamplerConfig,
    StepBatcher,
};
