//! The `pib` command.
fn main() {}
