//! What the tests need beyond a Rust toolchain, from Debian, and nextest from crates.io.

use crate::run::{cargo, step};
use anyhow::Result;
use std::process::{Command, Stdio};

/// Package, the program that shows it is there, and why the tests want it.
const PACKAGES: &[(&str, &str, &str)] = &[
    ("gcc", "cc", "the erasure code's vector instructions are C"),
    ("fuse3", "fusermount3", "mounting as a plain user"),
    ("restic", "restic", "reads what PIB wrote, and is the yardstick of the benchmarks"),
    ("e2fsprogs", "mkfs.ext4", "the power-cut test's disk image"),
    ("mount", "losetup", "the power-cut test's loop mount"),
    ("attr", "setfattr", "extended attributes in test trees"),
];

fn runs(program: &str, argument: &str) -> bool {
    let mut command = Command::new(program);
    command.arg(argument).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok()
}

/// Installs what is missing, if this is Debian and we may; otherwise says what will be skipped.
pub fn debian_packages() -> Result<()> {
    let missing: Vec<_> =
        PACKAGES.iter().filter(|(_, program, _)| !runs(program, "--version")).collect();
    if missing.is_empty() {
        return Ok(());
    }
    for (package, program, why) in &missing {
        println!("needs Debian package {package} ({program}): {why}");
    }
    let names: Vec<_> = missing.iter().map(|(package, ..)| *package).collect();
    if !runs("apt-get", "--version") {
        println!("no apt-get here: tests that need these will say that they are skipped");
        return Ok(());
    }
    let apt = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
        command
    };
    let update = step("apt-get update", apt(&["update", "-qq"]));
    let install = [&["install", "-y", "-qq", "--no-install-recommends"], &names[..]].concat();
    if let Err(error) = update.and_then(|()| step("apt-get install", apt(&install))) {
        println!("{error}: tests that need these will say that they are skipped");
    }
    Ok(())
}

/// Installs cargo-nextest if it is missing.
pub fn nextest() -> Result<()> {
    let there = cargo(&["nextest", "--version"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if there {
        return Ok(());
    }
    step("install cargo-nextest", cargo(&["install", "--locked", "cargo-nextest"]))
}
