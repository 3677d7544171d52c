#![doc = include_str!("../README.md")]

pub mod cifar;
mod error;
pub mod fashion_mnist;
pub mod idx;
pub mod image_folder;
mod image_set;

pub use error::Error;
pub use image_set::{ImageSet, TrainTest};
