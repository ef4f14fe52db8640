//! Runs the README's own commands, so that they stay true.

use crate::run::step;
use anyhow::{Result, ensure};
use std::process::Command;

/// Marks a shell block of the README that is run as it stands, in the checkout.
const MARK: &str = "```sh run";

/// Runs each marked block in a shell that stops at the first failure.
pub fn commands() -> Result<()> {
    let readme = std::fs::read_to_string("README.md")?;
    let blocks = blocks(&readme);
    ensure!(!blocks.is_empty(), "README.md has no block that starts with {MARK}");
    for block in blocks {
        let mut command = Command::new("bash");
        command.args(["-euo", "pipefail", "-c", &block]);
        step(&format!("README: {}", block.lines().next().unwrap_or_default()), command)?;
    }
    Ok(())
}

fn blocks(text: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line.trim() == MARK {
            let block: Vec<_> = lines.by_ref().take_while(|line| line.trim() != "```").collect();
            blocks.push(block.join("\n"));
        }
    }
    blocks
}

#[cfg(test)]
mod tests {
    #[test]
    fn marked_blocks_only_are_run() {
        let text = "a\n```sh run\none\ntwo\n```\n```sh\nthree\n```\n";
        assert_eq!(super::blocks(text), ["one\ntwo"]);
    }
}
