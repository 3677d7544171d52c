#![doc = include_str!("../README.md")]

pub mod cars196;
pub mod cifar;
pub mod cub200;
mod decode;
pub mod emoji;
mod error;
pub mod fashion_mnist;
pub mod idx;
pub mod image_folder;
mod image_set;
mod lines;
pub mod manifest;
mod options;
pub mod stanford_online_products;
mod table;
mod zero_shot;

pub use error::Error;
pub use image_set::{ImageSet, SkippedImage, TrainTest};
pub use zero_shot::ZeroShot;
