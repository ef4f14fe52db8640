//! `cargo xtask fuzz`: every target of the `fuzz` crate under libFuzzer, for a bounded time.
//!
//! It needs no nightly compiler: coverage comes from LLVM's own pass, which the stable compiler takes as
//! an option; only the address sanitizer would need nightly, and there is no unsafe code to sanitize.

use crate::run::{cargo, step};
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What makes the compiler count which edges an input takes, and note what bytes are compared with.
const COVERAGE: [&str; 6] = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Ccodegen-units=1",
];

/// Set while cargo calls this program in the compiler's place, for the workspace's own crates: only
/// they are measured, and everything else is taken as it is built already.
pub const WRAPPER: &str = "XTASK_FUZZ_COMPILES";

/// Compiles one crate of ours with coverage.
pub fn compile() -> Result<()> {
    let mut arguments = std::env::args_os().skip(1);
    let compiler = arguments.next().context("cargo names the compiler")?;
    let mut command = Command::new(compiler);
    let status = command.args(arguments).args(COVERAGE).status().context("cannot start rustc")?;
    std::process::exit(status.code().unwrap_or(1));
}

/// Seconds that each target runs at least.
const SECONDS_MIN: u64 = 1;

/// Builds the targets and runs each for its share of `seconds`.
pub fn run(seconds: u64, only: Option<&str>) -> Result<()> {
    let mut build = cargo(&["build", "--release", "-p", "fuzz", "--features", "engine"]);
    build.env("RUSTC_WORKSPACE_WRAPPER", std::env::current_exe()?).env(WRAPPER, "1");
    step("build with coverage", build)?;
    let program = PathBuf::from("target/release/fuzz");
    let names = names(&program)?;
    let names: Vec<&String> = names.iter().filter(|name| only.is_none_or(|o| o == *name)).collect();
    if names.is_empty() {
        bail!("no such target; without --target all of them run");
    }
    let each = (seconds / names.len() as u64).max(SECONDS_MIN);
    println!("\n{} targets, {each} s each", names.len());
    let mut failed = Vec::new();
    for name in names {
        let found = target(&program, name, each)?;
        println!(
            "{name:18} {:>10} executions {:>8} a second {:>6} edges {:>6} inputs kept{}",
            found.executions,
            found.executions / each.max(1),
            found.edges,
            found.kept,
            if found.failed { "  FAILED" } else { "" }
        );
        if found.failed {
            failed.push((name, found.output));
        }
    }
    for (name, output) in &failed {
        let lines: Vec<&str> = output.lines().collect();
        let tail = &lines[lines.len().saturating_sub(40)..];
        println!("\n==> {name}\n{}", tail.join("\n"));
    }
    match failed.is_empty() {
        true => Ok(()),
        false => bail!("{} targets failed; the inputs are in target/fuzz/failures", failed.len()),
    }
}

/// The targets, as the program lists them.
fn names(program: &Path) -> Result<Vec<String>> {
    let output = Command::new(program).env("FUZZ_TARGET", "list").arg("-runs=0").output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.lines().filter_map(|line| line.strip_prefix("target ")).map(str::to_owned).collect())
}

struct Found {
    executions: u64,
    edges: u64,
    kept: u64,
    failed: bool,
    output: String,
}

fn target(program: &Path, name: &str, seconds: u64) -> Result<Found> {
    let corpus: PathBuf = ["target/fuzz/corpus", name].iter().collect();
    let failures = "target/fuzz/failures";
    for folder in [corpus.as_path(), Path::new(failures)] {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make {folder:?}"))?;
    }
    let mut command = Command::new(program);
    command.env("FUZZ_TARGET", name).env("FUZZ_SEEDS", &corpus);
    command.arg(format!("-max_total_time={seconds}"));
    command.arg(format!("-artifact_prefix={failures}/{name}-"));
    command.args(["-print_final_stats=1", "-timeout=20", "-rss_limit_mb=1024", "-max_len=40000"]);
    // What is found goes to the first folder, what the tree holds is only read.
    command.arg(&corpus);
    let tree: PathBuf = ["fuzz/corpus", name].iter().collect();
    if tree.is_dir() {
        command.arg(&tree);
    }
    let output = command.output().with_context(|| format!("cannot start {program:?}"))?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let stat = |what: &str| {
        let line = text.lines().rev().find_map(|line| line.trim().strip_prefix(what));
        line.and_then(|rest| rest.trim().parse().ok()).unwrap_or(0)
    };
    let edges = text.lines().rev().find_map(|line| line.split(" cov: ").nth(1));
    let edges = edges.and_then(|rest| rest.split(' ').next()?.parse().ok()).unwrap_or(0);
    Ok(Found {
        executions: stat("stat::number_of_executed_units:"),
        edges,
        kept: std::fs::read_dir(&corpus)?.count() as u64,
        failed: !output.status.success(),
        output: text,
    })
}
