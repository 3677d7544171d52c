#![doc = include_str!("../README.md")]

pub mod data;
pub mod device;
pub mod encoder_args;
pub mod exit;
pub mod run_args;
