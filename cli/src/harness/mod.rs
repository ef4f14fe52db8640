//! A whole group of real member processes on this machine's loopback, for the demo, the
//! benchmarks and the end-to-end tests.
//!
//! Everything is done by the commands that people use: `init`, `group create`, `group admit`,
//! `join`, `daemon`. Guarantees: (1) daemons and commands started here end when this process ends,
//! however it ends; (2) nothing listens on anything but loopback.

mod group;
mod ports;
mod process;

pub use group::{Group, GroupSpec, MARK};
pub use process::{Interrupt, Measured, Usage, measure, usage};
