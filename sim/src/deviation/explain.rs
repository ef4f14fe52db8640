//! Why a row is worth what it is: what it sends and receives more or less than following, by kind of message.
//!
//! Guarantees: the same runs that the experiment plays, on the same seeds; nothing is estimated.

use super::experiment::Options;
use super::frame::Frame;
use super::meter::Prices;
use super::rows;
use super::trial::{self, Worth};
use std::collections::BTreeMap;
use types::{Kind, Quorum};

/// Differences smaller than this, in units, are not told.
const TOLD_MIN: f64 = 0.05;

/// Tells it about every row whose name begins with `row`, against each behaviour.
#[allow(clippy::print_stdout)] // The command's result.
pub fn print(options: &Options, row: &str) -> Result<(), String> {
    for strategy in rows::all().iter().filter(|s| s.name().starts_with(row)) {
        let f = Quorum::largest_f(options.nodes);
        let frame = Frame::new(options.nodes, f, strategy.mode, options.rotations)?;
        let premises = frame.premises();
        for foe in &options.foes {
            let mut items: BTreeMap<(Kind, bool), [f64; 2]> = BTreeMap::new();
            let (mut gain, mut other, mut worst) = (0.0, 0.0, Vec::new());
            let count = options.seeds as f64;
            for seed in options.from..options.from + options.seeds {
                let runs = [Some(strategy), None].map(|who| trial::play(&frame, who, *foe, seed));
                let [own, follow] = runs;
                let (own, follow) = (own?, follow?);
                for (run, sign) in [(&own, 1.0), (&follow, -1.0)] {
                    let worth = Worth::of(&frame, &premises, &Prices::FULL, *foe, run);
                    gain += sign * worth.utility(0.0) / count;
                    other += sign * f64::from(u8::from(worth.standing)) / count;
                    for (item, [sent, received]) in &run.spent {
                        let sum = items.entry(*item).or_default();
                        sum[0] -= sign * Prices::FULL.bytes(*sent as f64, 0.0) / count;
                        sum[1] -= sign * Prices::FULL.bytes(0.0, *received as f64) / count;
                    }
                }
                let of = |run: &super::arena::Run| {
                    Worth::of(&frame, &premises, &Prices::FULL, *foe, run).utility(0.0)
                };
                worst.push((of(&own) - of(&follow), seed, own, follow));
            }
            println!(
                "{} against {}: {gain:+.2} without continuation, standing {other:+.2}",
                strategy.name(),
                foe.name()
            );
            for ((kind, later), [sent, received]) in items {
                if sent.abs() + received.abs() >= TOLD_MIN {
                    let turn = if later { ", turn above 0" } else { "" };
                    println!("    {kind:?}{turn}: sent {sent:+.2}, received {received:+.2}");
                }
            }
            worst.sort_by(|a, b| b.0.abs().total_cmp(&a.0.abs()));
            for (gain, seed, own, follow) in worst.iter().take(2) {
                println!(
                    "    seed {seed}: {gain:+.2}; turns {} (follow {}), NULL {} ({}), own decided {} ({}), {} ms ({} ms), owes {:?}",
                    own.turns,
                    follow.turns,
                    own.nulls,
                    follow.nulls,
                    own.own_decided,
                    follow.own_decided,
                    own.took_ms,
                    follow.took_ms,
                    own.owes
                );
            }
        }
    }
    Ok(())
}
