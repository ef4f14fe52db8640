//! Many seeds of one scenario, on several threads, with results in seed order.

use crate::check::Violation;
use crate::scenario::Scenario;
use crate::{Outcome, run_seed};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;

/// Failing seeds kept at most.
const FAILURES_MAX: usize = 20;

/// A seed that violated something.
#[derive(Debug, Clone, Serialize)]
pub struct Failure {
    /// The seed.
    pub seed: u64,
    /// The faulty members' strategy; empty when none was faulty.
    pub adversary: String,
    /// The checkers that saw a violation.
    pub checks: BTreeSet<&'static str>,
    /// What was violated.
    pub violations: Vec<String>,
    /// The one command that shows it again.
    pub replay: String,
}

/// The result of a campaign.
#[derive(Debug, Default, Clone, Serialize)]
pub struct Summary {
    /// Members.
    pub nodes: usize,
    /// Seeds run.
    pub seeds: u64,
    /// Instances that all honest members decided, over all seeds.
    pub instances: u64,
    /// Of those, NULL.
    pub nulls: u64,
    /// Seeds that needed a turn above 0.
    pub seeds_with_later_turns: u64,
    /// Crashes survived.
    pub crashes: u64,
    /// Seeds that end with a stable checkpoint.
    pub checkpoints: u64,
    /// Messages.
    pub messages: u64,
    /// Longest virtual time from the end of trouble to the end of a run.
    pub settled_max_ms: u64,
    /// Seeds with a violation.
    pub failed: u64,
    /// Violations by checker.
    pub violations: BTreeMap<&'static str, u64>,
    /// The first failing seeds.
    pub failures: Vec<Failure>,
}

impl Summary {
    /// Whether nothing was violated.
    pub fn is_clean(&self) -> bool {
        self.failed == 0
    }

    fn add(&mut self, scenario: &Scenario, outcome: &Outcome) {
        self.seeds += 1;
        self.instances += outcome.instances;
        self.nulls += outcome.nulls;
        self.seeds_with_later_turns += u64::from(outcome.later_turns);
        self.crashes += outcome.crashes;
        self.checkpoints += u64::from(outcome.checkpoints > 0);
        self.messages += outcome.messages;
        self.settled_max_ms = self.settled_max_ms.max(outcome.settled_ms);
        if outcome.violations.is_empty() {
            return;
        }
        self.failed += 1;
        for Violation { check, .. } in &outcome.violations {
            *self.violations.entry(check).or_insert(0) += 1;
        }
        if self.failures.len() < FAILURES_MAX {
            self.failures.push(Failure {
                seed: scenario.seed,
                adversary: outcome.adversary.to_owned(),
                checks: outcome.violations.iter().map(|violation| violation.check).collect(),
                violations: outcome.violations.iter().map(ToString::to_string).collect(),
                replay: scenario.replay_command(),
            });
        }
    }
}

/// Plays a seed; a panic, of the code under test or of the simulator, is a violation like others.
fn play(scenario: &Scenario) -> Result<Outcome, String> {
    // What a panic leaves behind is dropped with the world; nothing is shared between seeds but
    // verdicts about signatures, which are only ever added whole.
    let played = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run_seed(scenario)));
    played.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let what = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
        Ok(Outcome::panicked(what))
    })
}

/// Plays `count` seeds from `from` on, on `jobs` threads.
pub fn run(scenario: &Scenario, from: u64, count: u64, jobs: usize) -> Result<Summary, String> {
    run_all(scenario, count, jobs, |index| Scenario { seed: from + index, ..scenario.clone() })
}

/// Plays `count` scenarios of one group on `jobs` threads.
pub fn run_all(
    group: &Scenario,
    count: u64,
    jobs: usize,
    scenario: impl Fn(u64) -> Scenario + Sync,
) -> Result<Summary, String> {
    group.validate()?;
    let next = AtomicU64::new(0);
    let (results, arrived) = mpsc::channel();
    let mut summary = Summary { nodes: group.nodes, ..Summary::default() };
    std::thread::scope(|scope| {
        for _ in 0..jobs.clamp(1, 64) {
            let (results, next, scenario) = (results.clone(), &next, &scenario);
            scope.spawn(move || {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    if index >= count {
                        break;
                    }
                    let scenario = scenario(index);
                    let outcome = play(&scenario);
                    if results.send((index, scenario, outcome)).is_err() {
                        break;
                    }
                }
            });
        }
        drop(results);
        let mut early = BTreeMap::new();
        let mut wanted = 0;
        for (index, scenario, outcome) in arrived {
            early.insert(index, (scenario, outcome));
            while let Some((scenario, outcome)) = early.remove(&wanted) {
                summary.add(&scenario, &outcome?);
                wanted += 1;
            }
        }
        Ok::<(), String>(())
    })?;
    Ok(summary)
}
