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

/// What became of one broken rule set.
#[derive(Debug, Clone)]
pub struct Verdict {
    /// The rules.
    pub rules: RuleSet,
    /// The first seed that caught them.
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
        let name = self.rules.name();
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

/// The setting in which a broken rule set must fail.
pub fn setting(rules: RuleSet) -> Scenario {
    let base = Scenario { faulty: Some(1), rules, ..Scenario::new(5, 0) };
    match rules {
        RuleSet::Resolved => base,
        RuleSet::UnsignedInstance => Scenario {
            adversary: Choice::Named("replay"),
            trouble: Trouble::Asynchronous,
            instances: 12,
            ..base
        },
        RuleSet::NoStartOnPol => Scenario {
            adversary: Choice::Named("selective-show-quorum"),
            trouble: Trouble::Asynchronous,
            instances: 8,
            ..base
        },
        RuleSet::SetTurnBlocks => Scenario { trouble: Trouble::Asynchronous, ..base },
        RuleSet::ShortQuorums => Scenario {
            adversary: Choice::Named("equivocate"),
            trouble: Trouble::Asynchronous,
            ..base
        },
        RuleSet::LeaderNotCounted => {
            Scenario { adversary: Choice::Named("silent"), trouble: Trouble::Asynchronous, ..base }
        }
    }
}

/// Runs a broken rule set until it is caught, at most over `seeds` seeds, and then the resolved
/// rules over the seeds that were tried.
pub fn check(rules: RuleSet, seeds: u64, jobs: usize) -> Result<Verdict, String> {
    let broken = setting(rules);
    let mut tried = 0;
    let mut caught = None;
    while tried < seeds && caught.is_none() {
        let batch = BATCH.min(seeds - tried);
        let summary = campaign::run(&broken, tried, batch, jobs)?;
        caught = summary.failures.into_iter().next();
        tried = match &caught {
            Some(failure) => failure.seed + 1,
            None => tried + batch,
        };
    }
    let resolved = Scenario { rules: RuleSet::Resolved, ..broken };
    let resolved = campaign::run(&resolved, 0, tried.max(RESOLVED_MIN), jobs)?;
    Ok(Verdict { rules, caught, tried, resolved })
}
