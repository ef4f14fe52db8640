//! Tests of the whole core, by what the group does.

mod harness;
mod honest;
