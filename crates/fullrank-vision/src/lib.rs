#![doc = include_str!("../README.md")]

pub mod encoder;
pub mod expander;
pub mod loader;
pub mod resnet;
pub mod small_cnn;
pub mod views;
