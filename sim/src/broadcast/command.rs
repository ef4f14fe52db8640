//! `sim broadcast`: measured rates of violation against epsilon, messages a member, and a sweep over sizes.
//!
//! The command tells how long it took; nothing that it plays has a clock.
#![allow(clippy::disallowed_methods)]

use super::report::{self, Row};
use clap::Args;
use ledger::params::Target;
use std::path::PathBuf;
use std::time::Instant;

/// Sizes of the sweep.
const SIZES: [usize; 7] = [30, 100, 300, 1_000, 2_000, 5_000, 10_000];

/// Options of `sim broadcast`.
#[derive(Debug, Args)]
pub struct BroadcastArgs {
    /// Members.
    #[arg(long, default_value_t = 1_000)]
    members: usize,
    /// The fraction of them that is Byzantine.
    #[arg(long, default_value_t = 0.1)]
    byzantine: f64,
    /// The chance of a violation of each property that the sizes are computed for.
    #[arg(long, default_value_t = 1e-2)]
    epsilon: f64,
    /// Broadcasts of each kind.
    #[arg(long, default_value_t = 2_000)]
    runs: u64,
    /// Chooses the samples.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Measures at sizes from 30 to 10,000 instead, with fewer runs at large ones, and writes
    /// `broadcast.md`, `.csv`, `.svg` and `.png`.
    #[arg(long)]
    sweep: bool,
    /// Where a sweep writes.
    #[arg(long, default_value = "docs/results")]
    out: PathBuf,
}

/// Runs it; whether the measured rate is at or under epsilon, and in a sweep, whether none is above it by more than chance.
pub fn run(args: &BroadcastArgs) -> Result<bool, String> {
    let BroadcastArgs { byzantine, epsilon, seed, runs, .. } = *args;
    let target = |members| Target { members, byzantine, epsilon };
    if runs == 0 {
        return Err("at least one run".into());
    }
    if !args.sweep {
        let row = timed(target(args.members), runs, seed)?;
        return Ok(row.worst().0 <= epsilon);
    }
    let mut rows = Vec::new();
    for members in SIZES {
        // The same number of samples at each size beyond a thousand members.
        let runs = (runs * 1_000 / members.max(1_000) as u64).max(1);
        rows.push(timed(target(members), runs, seed)?);
    }
    let command = format!(
        "cargo run --release -p sim -- broadcast --sweep --byzantine {byzantine} --epsilon {epsilon:e} --runs {runs} --seed {seed}"
    );
    let written = report::write(&rows, &command, &args.out)?;
    written.iter().for_each(|path| println!("wrote {}", path.display()));
    // A few runs at a large size cannot tell a rate of epsilon from a little more.
    Ok(!rows.iter().any(Row::exceeds))
}

fn timed(target: Target, runs: u64, seed: u64) -> Result<Row, String> {
    let start = Instant::now();
    let row = report::measure(target, runs, seed)?;
    let Target { members, byzantine, epsilon } = target;
    let (sizes, rate) =
        (&row.sizes, |count: u64| format!("{count} ({:.1e})", count as f64 / runs as f64));
    println!(
        "{members} members, {byzantine} Byzantine, epsilon {epsilon:e}: G {} E {}/{} R {}/{} D {}/{}, fan-out {}; {runs} \
         runs, {:.1} s",
        sizes.gossip,
        sizes.echo_threshold,
        sizes.echo,
        sizes.ready_threshold,
        sizes.ready,
        sizes.delivery_threshold,
        sizes.delivery,
        row.fanout,
        start.elapsed().as_secs_f64()
    );
    println!(
        "  violations: validity {}, consistency {} (two messages from echo layers: {}), totality {}; certificate missed \
         somebody: {}; quorum: none, always",
        rate(row.validity),
        rate(row.consistency),
        row.echo_consistency,
        rate(row.totality),
        rate(row.missed),
    );
    let bounds = &row.plan.bounds;
    println!(
        "  computed bounds: validity {:.1e}, consistency {:.1e}, totality {:.1e}",
        bounds.validity(),
        bounds.consistency(),
        bounds.totality()
    );
    println!(
        "  messages of a member: sampled {:.1} (and {:.1} subscriptions), certified gossip {:.1}, quorum {:.1} (its owner \
         {}), Bracha {}",
        row.sampled,
        row.subscriptions,
        row.gossip,
        row.quorum,
        row.quorum_owner,
        target.bracha_sends()
    );
    let (worst, property) = row.worst();
    let verdict = match (worst <= epsilon, row.exceeds()) {
        (true, _) => "at or under",
        (false, false) => "above, but by no more than chance with so few runs,",
        (false, true) => "ABOVE",
    };
    println!("  worst measured rate {worst:.1e} ({property}): {verdict} epsilon");
    Ok(row)
}
