//! Development tasks: `cargo xtask test|lint|bench|campaign|fuzz`.
//!
//! `test` is the whole check of a clean checkout: it installs what the tests need from Debian
//! (where it may), then runs formatting, lints, documentation, unit and end-to-end tests,
//! doctests, a bounded number of simulation seeds, and the README's own commands.

mod fuzz;
mod install;
mod readme;
mod run;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use run::{cargo, step};

#[derive(Parser)]
#[command(about = "Development tasks of PIB")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Everything a clean checkout must pass.
    Test,
    /// Formatting, clippy and documentation, warnings denied.
    Lint,
    /// The benchmarks against stock restic, as JSON lines.
    Bench {
        /// Bytes to back up in the large-data benchmarks.
        #[arg(long, default_value = "1GiB")]
        size: String,
        /// Runs of each; the median is reported.
        #[arg(long, default_value_t = 3)]
        runs: u32,
    },
    /// Every decoder and the step function under libFuzzer, with executions per target.
    Fuzz {
        /// Seconds for all targets together.
        #[arg(long, default_value_t = 60)]
        seconds: u64,
        /// Only this target.
        #[arg(long)]
        target: Option<String>,
    },
    /// A long simulation campaign: all adversaries at n = 5, 8 and 11.
    Campaign {
        /// Seeds at n = 5; a tenth of it at 8 and 11.
        #[arg(long, default_value_t = 100_000)]
        seeds: u64,
        /// First seed.
        #[arg(long, default_value_t = 0)]
        from: u64,
    },
}

fn main() -> Result<()> {
    if std::env::var_os(fuzz::WRAPPER).is_some() {
        return fuzz::compile();
    }
    // Run from the workspace root whatever the caller's folder is.
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("no workspace")?;
    std::env::set_current_dir(root)?;
    match Arguments::parse().task {
        Task::Test => test(),
        Task::Lint => lint(),
        Task::Bench { size, runs } => bench(&size, runs),
        Task::Fuzz { seconds, target } => fuzz::run(seconds, target.as_deref()),
        Task::Campaign { seeds, from } => campaign(seeds, from),
    }
}

fn lint() -> Result<()> {
    step("format", cargo(&["fmt", "--all", "--check"]))?;
    step(
        "clippy",
        cargo(&[
            "clippy",
            "--release",
            "--workspace",
            "--all-targets",
            "--locked",
            "--",
            "-D",
            "warnings",
        ]),
    )?;
    step(
        "documentation",
        cargo(&["doc", "--release", "--workspace", "--no-deps", "--locked"])
            .env("RUSTDOCFLAGS", "-D warnings"),
    )
}

fn test() -> Result<()> {
    install::debian_packages()?;
    step("build", cargo(&["build", "--release", "--workspace", "--all-targets", "--locked"]))?;
    lint()?;
    install::nextest()?;
    step("tests", cargo(&["nextest", "run", "--release", "--workspace", "--locked"]))?;
    step("documentation tests", cargo(&["test", "--release", "--workspace", "--doc", "--locked"]))?;
    for (nodes, seeds) in [("5", "2000"), ("8", "300")] {
        let run =
            ["run", "--release", "-p", "sim", "--", "run", "--nodes", nodes, "--seeds", seeds];
        step(&format!("simulation of {nodes} members, {seeds} seeds"), cargo(&run))?;
    }
    let controls = ["run", "--release", "-p", "sim", "--", "controls"];
    step("simulation: broken rules are caught", cargo(&controls))?;
    let explore = ["run", "--release", "-p", "sim", "--", "explore", "--limit", "1500000"];
    step("every interleaving of one instance", cargo(&explore))?;
    let deviations = ["run", "--release", "-p", "sim", "--", "deviations", "--small"];
    step("selfish members in small", cargo(&deviations))?;
    readme::commands()?;
    println!("\nall checks passed");
    Ok(())
}

fn bench(size: &str, runs: u32) -> Result<()> {
    install::debian_packages()?;
    step("build", cargo(&["build", "--release", "--locked"]))?;
    let runs = runs.to_string();
    let pib = |arguments: &[&str]| {
        let mut command = cargo(&["run", "--release", "--locked", "--", "bench"]);
        command.args(arguments).args(["--json"]);
        command
    };
    let ten = ["--nodes", "10", "--faulty", "2", "--size", size, "--runs", &runs];
    let large = ["--nodes", "23", "--faulty", "7", "--size", size, "--runs", "1"];
    step("backup, 10 members", pib(&[&["backup"], &ten[..]].concat()))?;
    step("restore, 10 members, 2 dead", pib(&[&["restore"], &ten[..]].concat()))?;
    step("20,000 small files", pib(&["tree", "--files", "20000", "--runs", &runs]))?;
    step("backup, 23 members", pib(&[&["backup"], &large[..]].concat()))?;
    step("state machine", pib(&["rsm", "--nodes", "5,8,20,32"]))
}

fn campaign(seeds: u64, from: u64) -> Result<()> {
    for (nodes, seeds) in [("5", seeds), ("8", seeds / 10), ("11", seeds / 10)] {
        let (count, first) = (seeds.to_string(), from.to_string());
        let run = [
            "run",
            "--release",
            "-p",
            "sim",
            "--",
            "run",
            "--nodes",
            nodes,
            "--seeds",
            &count,
            "--from",
            &first,
        ];
        step(&format!("{nodes} members, {count} seeds"), cargo(&run))?;
    }
    Ok(())
}
