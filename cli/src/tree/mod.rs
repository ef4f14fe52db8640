//! Folders for trying things out: generated from a seed, and compared down to the last attribute.

mod compare;
mod generate;

pub use compare::{Aspects, Comparison, compare};
pub use generate::{Generated, bulk, everyday, small_files};
