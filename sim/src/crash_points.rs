//! A crash at every point of an honest member's work (specification 11.3).
//!
//! A scenario is played once to count each honest member's effects; then once for every effect of
//! every honest member and either fate of what was not synced, with a crash right before it. The
//! runs are the same up to the crash, so every durable write and every send of that run is met.

use crate::campaign::{self, Summary};
use crate::run_seed;
use crate::scenario::{CrashPoint, Scenario};

/// Plays every crash point of a scenario; at most every `step`-th effect.
pub fn run(scenario: &Scenario, step: usize, jobs: usize) -> Result<Summary, String> {
    let whole = run_seed(scenario)?;
    if !whole.violations.is_empty() {
        return Err(format!("violated without a crash already: {:?}", whole.violations));
    }
    let mut scenarios = Vec::new();
    for (&slot, &effects) in &whole.effects {
        for effect in (1..=effects).step_by(step.max(1)) {
            for keep in [false, true] {
                let crash_point = Some(CrashPoint { slot, effect, keep });
                scenarios.push(Scenario { crash_point, ..scenario.clone() });
            }
        }
    }
    campaign::run_all(scenario, scenarios.len() as u64, jobs, |index| {
        scenarios[index as usize].clone()
    })
}
