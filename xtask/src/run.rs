//! Runs one step and says what it was and how long it took.

use anyhow::{Context, Result, bail};
use std::borrow::BorrowMut;
use std::process::Command;
use std::time::Instant;

/// A cargo command. The workspace's own build settings hold; colours follow the terminal.
pub fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments);
    command
}

/// Runs a command and fails with its name if it fails.
pub fn step(name: &str, mut command: impl BorrowMut<Command>) -> Result<()> {
    let command = command.borrow_mut();
    println!("\n==> {name}");
    let start = Instant::now();
    let status = command.status().with_context(|| format!("{name}: cannot start {command:?}"))?;
    if !status.success() {
        bail!("{name} failed ({status}): {command:?}");
    }
    println!("==> {name}: {:.0} s", start.elapsed().as_secs_f64());
    Ok(())
}
