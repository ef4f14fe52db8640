//! Tests of the whole core, by what the group does.

mod attacks;
mod away;
mod bounded;
mod checkpoints;
mod costs;
mod crash;
mod forge;
mod forms;
pub(crate) mod harness;
mod honest;
mod penance;
mod pipeline;
mod pom;
mod roles;
mod standing;
mod timely;
mod turns;
