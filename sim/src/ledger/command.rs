//! `sim ledger`: many seeds of a ledger, and whether its checkers catch what is broken on purpose.
//!
//! The command tells how long it took; what it runs has virtual time only.
#![allow(clippy::disallowed_methods)]

use super::campaign;
use super::{Rules, Scenario};
use clap::Args;
use std::time::Instant;

/// Seeds after which a control counts as not caught.
const CONTROL_SEEDS: u64 = 2_000;
/// Seeds of one step of a control.
const STEP: u64 = 50;

/// Options of `sim ledger`.
#[derive(Debug, Args)]
pub struct LedgerArgs {
    /// Members.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(4..=40))]
    nodes: u16,
    /// How many seeds.
    #[arg(long, default_value_t = 1_000)]
    seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Anything but `sound` is a negative control.
    #[arg(long, default_value = "sound", value_parser = Rules::parse)]
    rules: Rules,
    /// Checks the checkers instead: each broken rule must be caught.
    #[arg(long)]
    controls: bool,
    /// Threads [default: all cores].
    #[arg(long)]
    jobs: Option<usize>,
}

/// Runs it; whether all is as it should be.
pub fn run(args: &LedgerArgs) -> Result<bool, String> {
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
    let jobs = args.jobs.unwrap_or(cores);
    let first = Scenario { nodes: args.nodes.into(), seed: args.from, rules: args.rules };
    if args.controls {
        let mut good = true;
        for rules in Rules::CONTROLS {
            good &= control(Scenario { rules, ..first }, jobs);
        }
        return Ok(good);
    }
    let start = Instant::now();
    let summary = campaign::run(first, args.seeds, jobs);
    let seconds = start.elapsed().as_secs_f64();
    println!("{:.1} s, {:.1} seeds a second", seconds, args.seeds as f64 / seconds.max(0.001));
    println!("{summary}");
    Ok(summary.failed == 0)
}

fn control(first: Scenario, jobs: usize) -> bool {
    let name = first.rules.name();
    for step in 0..CONTROL_SEEDS / STEP {
        let first = Scenario { seed: first.seed + step * STEP, ..first };
        let found = campaign::run(first, STEP, jobs);
        if let Some((scenario, outcome)) = found.failures.first() {
            println!("{name}: CAUGHT by seed {}", scenario.seed);
            outcome.violations.iter().take(2).for_each(|violation| println!("  {violation}"));
            println!("  {}", scenario.replay());
            return true;
        }
    }
    println!("{name}: NOT CAUGHT in {CONTROL_SEEDS} seeds");
    false
}
