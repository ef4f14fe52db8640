//! Many seeds on several threads; the sum does not depend on their number.

use super::{Outcome, Scenario, run_seed};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;

/// Failing seeds that are told in full.
const FAILURES_MAX: usize = 5;

/// What came of many seeds.
#[derive(Debug, Clone, Default)]
pub(super) struct Summary {
    pub nodes: usize,
    pub seeds: u64,
    pub total: Outcome,
    pub runs_with_convictions: u64,
    pub failed: u64,
    /// Failed seeds by checker.
    pub checks: BTreeMap<&'static str, u64>,
    pub failures: Vec<(Scenario, Outcome)>,
}

impl Summary {
    fn add(&mut self, scenario: Scenario, outcome: Outcome) {
        self.seeds += 1;
        let total = &mut self.total;
        total.transfers += outcome.transfers;
        total.faulty_transfers += outcome.faulty_transfers;
        total.failed += outcome.failed;
        total.reads += outcome.reads;
        total.crashes += outcome.crashes;
        total.settled += outcome.settled;
        total.adopted += outcome.adopted;
        total.messages += outcome.messages;
        total.trace = total.trace.rotate_left(7) ^ outcome.trace;
        self.runs_with_convictions += u64::from(outcome.convicted > 0);
        if outcome.violations.is_empty() {
            return;
        }
        self.failed += 1;
        let checks: std::collections::BTreeSet<_> =
            outcome.violations.iter().map(|it| it.check).collect();
        for check in checks {
            *self.checks.entry(check).or_default() += 1;
        }
        if self.failures.len() < FAILURES_MAX {
            self.failures.push((scenario, outcome));
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total = &self.total;
        writeln!(
            out,
            "{} members, {} seeds: {} transfers of honest accounts and {} of faulty ones applied, {} refused for want \
             of credits, {} reads, {} crashes, {} checkpoints settled and {} fetched, somebody convicted in {} seeds, \
             {} messages, trace {:016x}",
            self.nodes,
            self.seeds,
            total.transfers,
            total.faulty_transfers,
            total.failed,
            total.reads,
            total.crashes,
            total.settled,
            total.adopted,
            self.runs_with_convictions,
            total.messages,
            total.trace,
        )?;
        if self.failed == 0 {
            return write!(out, "violations: none");
        }
        write!(out, "violations in {} seeds: {:?}", self.failed, self.checks)?;
        for (scenario, outcome) in &self.failures {
            write!(out, "\nseed {}:", scenario.seed)?;
            for violation in outcome.violations.iter().take(4) {
                write!(out, "\n  {violation}")?;
            }
            write!(out, "\n  {}", scenario.replay())?;
        }
        Ok(())
    }
}

/// A panic, of the code under test or of the simulator, is a violation like others.
fn play(scenario: Scenario) -> Outcome {
    let played = std::panic::catch_unwind(|| run_seed(&scenario));
    played.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let what = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
        let violations = vec![super::Violation { check: "panic", what: what.into() }];
        Outcome { violations, ..Outcome::default() }
    })
}

/// Plays `count` seeds from the scenario's on, in order of the seeds.
pub(super) fn run(first: Scenario, count: u64, jobs: usize) -> Summary {
    let next = AtomicU64::new(0);
    let (results, arrived) = mpsc::channel();
    let mut summary = Summary { nodes: first.nodes, ..Summary::default() };
    std::thread::scope(|scope| {
        for _ in 0..jobs.clamp(1, 64) {
            let (results, next) = (results.clone(), &next);
            scope.spawn(move || {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let scenario = Scenario { seed: first.seed + index, ..first };
                    if index >= count || results.send((index, scenario, play(scenario))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(results);
        let (mut early, mut wanted) = (BTreeMap::new(), 0);
        for (index, scenario, outcome) in arrived {
            early.insert(index, (scenario, outcome));
            while let Some((scenario, outcome)) = early.remove(&wanted) {
                summary.add(scenario, outcome);
                wanted += 1;
            }
        }
    });
    summary
}
