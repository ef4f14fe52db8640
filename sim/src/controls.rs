//! Negative controls: a checker that has never caught anything proves nothing.
//!
//! Each broken rule set of section 3.13 is run in the setting in which it must fail, until a
//! checker catches it; then the resolved rules go through the very same seeds and must be clean.

use crate::campaign::{self, Failure, Summary};
use crate::scenario::{Choice, RuleSet, Scenario, Trouble};
use std::fmt;

/// Seeds run before looking whether one was caught.
const BATCH: u64 = 16;

/// Seeds run with the resolved rules at least, however fast the broken ones are caught.
const RESOLVED_MIN: u64 = 32;

/// A broken rule set and the setting in which it must fail.
#[derive(Debug, Clone)]
pub struct Control {
    /// Its name.
    pub name: &'static str,
    /// Everything but the seed.
    pub setting: Scenario,
}

/// What became of one control.
#[derive(Debug, Clone)]
pub struct Verdict {
    /// The control.
    pub name: &'static str,
    /// The first seed that caught it.
    pub caught: Option<Failure>,
    /// Seeds tried until then.
    pub tried: u64,
    /// The resolved rules over the same seeds.
    pub resolved: Summary,
}

impl Verdict {
    /// The broken rules were caught, and the resolved rules are clean where they were.
    pub fn is_good(&self) -> bool {
        self.caught.is_some() && self.resolved.is_clean()
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name;
        match &self.caught {
            Some(failure) => {
                let checks: Vec<&str> = failure.checks.iter().copied().collect();
                writeln!(
                    out,
                    "{name}: CAUGHT by seed {} after {} seeds, by the checkers {}",
                    failure.seed,
                    self.tried,
                    checks.join(", ")
                )?;
                for violation in failure.violations.iter().take(3) {
                    writeln!(out, "  {violation}")?;
                }
                writeln!(out, "  {}", failure.replay)?;
            }
            None => writeln!(out, "{name}: NOT CAUGHT in {} seeds", self.tried)?,
        }
        if self.resolved.is_clean() {
            return write!(
                out,
                "  resolved rules over the same seeds ({} in all): clean",
                self.resolved.seeds
            );
        }
        write!(out, "  resolved rules over the same seeds: {} FAILED", self.resolved.failed)?;
        for failure in self.resolved.failures.iter().take(3) {
            write!(out, "\n  {:?}\n  {}", failure.violations, failure.replay)?;
        }
        Ok(())
    }
}

fn control(
    name: &'static str,
    rules: RuleSet,
    adversary: Option<&'static str>,
    trouble: Trouble,
    instances: u64,
) -> Control {
    let choice = adversary.map_or(Choice::Mix, Choice::Named);
    let setting = Scenario {
        rules,
        adversary: choice,
        faulty: Some(1),
        trouble,
        instances,
        ..Scenario::new(5, 0)
    };
    Control { name, setting }
}

/// Every control. The two of the literal reading are the runs that the reference model lost: nobody
/// faulty and a late stabilisation; and in synchrony a quorum shown to one member only (SQ-N2).
pub fn all() -> Vec<Control> {
    use Trouble::{Asynchronous, Calm};
    let show_one = Some("selective-show-quorum");
    let honest = control("literal-reading", RuleSet::LiteralReading, None, Asynchronous, 6);
    vec![
        control("unsigned-instance", RuleSet::UnsignedInstance, Some("replay"), Asynchronous, 12),
        control("no-start-on-pol", RuleSet::NoStartOnPol, show_one, Asynchronous, 8),
        control("set-turn-blocks", RuleSet::SetTurnBlocks, None, Asynchronous, 6),
        control("leader-not-counted", RuleSet::LeaderNotCounted, Some("silent"), Asynchronous, 6),
        control("short-quorums", RuleSet::ShortQuorums, Some("equivocate"), Asynchronous, 6),
        control("large-quorum", RuleSet::LargeQuorum, Some("silent"), Calm, 6),
        Control { setting: Scenario { faulty: Some(0), ..honest.setting }, ..honest },
        control("literal-show-to-one", RuleSet::LiteralReading, show_one, Calm, 12),
    ]
}

/// Runs a broken rule set until it is caught, at most over `seeds` seeds, and then the resolved
/// rules over the seeds that were tried.
pub fn check(control: &Control, seeds: u64, jobs: usize) -> Result<Verdict, String> {
    let broken = &control.setting;
    let mut tried = 0;
    let mut caught = None;
    while tried < seeds && caught.is_none() {
        let batch = BATCH.min(seeds - tried);
        let summary = campaign::run(broken, tried, batch, jobs)?;
        caught = summary.failures.into_iter().next();
        tried = match &caught {
            Some(failure) => failure.seed + 1,
            None => tried + batch,
        };
    }
    let resolved = Scenario { rules: RuleSet::Resolved, ..broken.clone() };
    let resolved = campaign::run(&resolved, 0, tried.max(RESOLVED_MIN), jobs)?;
    Ok(Verdict { name: control.name, caught, tried, resolved })
}
