//! What the command does, a file for each of its subcommands.

pub(crate) mod bounds;
mod comparison;
pub(crate) mod inspect;
pub(crate) mod loss;
mod neighbours;
mod over;
pub(crate) mod score;
mod settings;
