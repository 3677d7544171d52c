#![doc = include_str!("../README.md")]

pub mod data;
pub mod device;
pub mod run_args;
