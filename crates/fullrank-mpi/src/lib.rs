#![doc = include_str!("../README.md")]

#[cfg(any(feature = "mpi", test))]
mod message;
#[cfg(any(feature = "mpi", test))]
mod rounds;

#[cfg(feature = "mpi")]
mod group;
#[cfg(feature = "mpi")]
mod world;

#[cfg(feature = "mpi")]
pub use group::MpiGroup;
#[cfg(feature = "mpi")]
pub use world::World;
