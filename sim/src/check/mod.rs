//! Checkers: they watch a run from outside and share no code with what they check.
//!
//! Each is fed with what leaves the honest members and with what the runner did to them. What
//! faulty members do is no checker's business.

use bart_rsm::message::Message;
use bart_rsm::pom::Pom;
use bart_rsm::{Alarm, Checkpoint, Fault, Proposal, Stats};
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use types::{Instance, Roster, Slot, Stamp};

mod agreement;
mod alarm;
mod blame;
mod checkpoints;
mod commands;
mod innocence;
mod integrity;
mod memory;
mod nontrivial;
mod reference;
mod sign_once;
mod standing;
mod state;
mod termination;
#[cfg(test)]
mod tests;

/// Something that an honest member did, or that was done to it; and what faulty members send.
#[derive(Debug)]
pub enum Observation<'a> {
    /// It sent a message.
    Sent {
        /// Who.
        slot: Slot,
        /// To whom.
        to: Slot,
        /// What.
        message: &'a Message,
    },
    /// A faulty member put a message on a link.
    Thrown {
        /// What.
        message: &'a Message,
    },
    /// It applied a decided instance.
    Applied {
        /// Who.
        slot: Slot,
        /// Which.
        inst: Instance,
        /// Its sender, as the member understands the rotation.
        sender: Slot,
        /// The value; `None` is NULL.
        proposal: Option<&'a Arc<Proposal>>,
        /// State-machine time.
        tau: Stamp,
    },
    /// It was given a command.
    Submitted {
        /// Who.
        slot: Slot,
        /// The bytes.
        command: &'a [u8],
    },
    /// It reports that a command is in the log.
    Committed {
        /// Who.
        slot: Slot,
        /// The bytes of the command.
        command: &'a [u8],
        /// Where.
        inst: Instance,
    },
    /// It will not carry a command.
    Refused {
        /// Who.
        slot: Slot,
        /// The bytes of the command.
        command: &'a [u8],
    },
    /// It raised an alarm.
    Alarmed {
        /// Who.
        slot: Slot,
        /// Which.
        alarm: &'a Alarm,
    },
    /// It lost its memory.
    Crashed {
        /// Who.
        slot: Slot,
    },
    /// It was told who takes part from an instance on.
    Roster {
        /// Who.
        slot: Slot,
        /// From where on.
        first: Instance,
        /// Who takes part.
        roster: &'a Arc<Roster>,
    },
    /// It has a proof of misbehavior.
    Convicted {
        /// Who.
        slot: Slot,
        /// The proof.
        pom: &'a Pom,
    },
    /// It found fault with a peer.
    Blamed {
        /// Who.
        slot: Slot,
        /// The peer.
        peer: Slot,
        /// With what.
        fault: &'a Fault,
    },
    /// It counted what it holds in memory.
    Measured {
        /// Who.
        slot: Slot,
        /// The counts.
        stats: &'a Stats,
    },
}

/// Why a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// Everything that must happen has happened.
    Done,
    /// The time after the end of all trouble is used up.
    OutOfTime,
    /// Too many events: the members keep each other busy.
    OutOfEvents,
    /// A checker saw a violation.
    Violation,
}

/// The state at the end of a run.
#[derive(Debug)]
pub struct End {
    /// Why the run ended.
    pub stop: Stop,
    /// Virtual time.
    pub now_ms: u64,
    /// Instances that must be decided.
    pub target: u64,
    /// Honest members with the number of instances each has applied.
    pub applied: Vec<(Slot, u64)>,
    /// Duties below the target that one honest member expects from another: who expects, from
    /// whom, and what.
    pub residual: Vec<(Slot, Slot, String)>,
    /// The stable checkpoints that honest members hold.
    pub stable: Vec<(Slot, Checkpoint)>,
}

/// A property that did not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Which checker saw it.
    pub check: &'static str,
    /// When.
    pub at_ms: u64,
    /// What it saw.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} at {} ms: {}", self.check, self.at_ms, self.what)
    }
}

/// One property.
pub trait Check {
    /// Its name in reports.
    fn name(&self) -> &'static str;

    /// Looks at an observation; an error says what is wrong.
    fn observe(&mut self, _seen: &Observation<'_>) -> Result<(), String> {
        Ok(())
    }

    /// Looks at the end of the run.
    fn finish(&mut self, _end: &End) -> Vec<String> {
        Vec::new()
    }

    /// Whether everything that this property waits for has happened.
    fn is_settled(&self) -> bool {
        true
    }
}

/// All properties of section 3.13 and more.
pub struct Checks {
    checks: Vec<Box<dyn Check>>,
    found: Vec<Violation>,
}

impl Checks {
    /// The checks of a group whose honest members are known; `calm` if nothing goes wrong.
    pub fn new(nodes: usize, honest: &[Slot], calm: bool) -> Self {
        let set: BTreeSet<Slot> = honest.iter().copied().collect();
        Self {
            checks: vec![
                Box::new(agreement::Agreement::default()),
                Box::new(state::EqualStates::default()),
                Box::new(reference::Reference::new(nodes, set.clone())),
                Box::new(standing::SameRosters::new(nodes, set.clone())),
                Box::new(nontrivial::NonTriviality::new(calm)),
                Box::new(integrity::Integrity::new(set.clone())),
                Box::new(sign_once::SignOnce::default()),
                Box::new(commands::Commands::new(set.clone())),
                Box::new(checkpoints::Checkpoints::default()),
                Box::new(memory::Memory::new(nodes)),
                Box::new(alarm::NoAlarm),
                Box::new(blame::NoBlame::new(set)),
                Box::new(termination::Termination),
                Box::new(termination::NoResidualDuty),
            ],
            found: Vec::new(),
        }
    }

    /// Shows also everything that was ever signed to a judge. Only for honest members that keep the
    /// resolved rules: others may well be convicted.
    pub fn with_innocence(mut self, roster: &Roster, honest: &[Slot]) -> Self {
        let honest = honest.iter().copied().collect();
        self.checks.push(Box::new(innocence::Innocence::new(roster, honest)));
        self
    }

    /// Shows an observation to every check.
    pub fn observe(&mut self, at_ms: u64, seen: &Observation<'_>) {
        for check in &mut self.checks {
            if let Err(what) = check.observe(seen) {
                self.found.push(Violation { check: check.name(), at_ms, what });
            }
        }
    }

    /// Whether a violation was seen.
    pub fn is_violated(&self) -> bool {
        !self.found.is_empty()
    }

    /// Whether no check waits for anything.
    pub fn is_settled(&self) -> bool {
        self.checks.iter().all(|check| check.is_settled())
    }

    /// Closes the run.
    pub fn finish(mut self, end: &End) -> Vec<Violation> {
        // After a violation the run was cut short; what is missing then says nothing.
        if end.stop != Stop::Violation {
            for check in &mut self.checks {
                let name = check.name();
                let found = check.finish(end).into_iter();
                self.found.extend(found.map(|what| Violation {
                    check: name,
                    at_ms: end.now_ms,
                    what,
                }));
            }
        }
        self.found
    }
}
