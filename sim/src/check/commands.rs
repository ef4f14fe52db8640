//! Commands: what an honest member was given is applied in its own proposal, once unless the member
//! crashed meanwhile; and what it reports as committed is where it says.

use super::{Check, End, Observation};
use crate::view;
use std::collections::{BTreeMap, BTreeSet};
use types::{Instance, Slot};

/// See the module.
#[derive(Debug)]
pub struct Commands {
    honest: BTreeSet<Slot>,
    waiting: BTreeSet<(Slot, Vec<u8>)>,
    applied: BTreeMap<(Slot, Vec<u8>), Instance>,
    /// Submitted, and not yet reported as committed to their owner.
    unreported: BTreeSet<(Slot, Vec<u8>)>,
    /// Unreported when their owner crashed. It submits them again, not knowing whether they are in
    /// the log, so they may be there twice.
    uncertain: BTreeSet<(Slot, Vec<u8>)>,
}

impl Commands {
    /// For these honest members.
    pub fn new(honest: BTreeSet<Slot>) -> Self {
        Self {
            honest,
            waiting: BTreeSet::new(),
            unreported: BTreeSet::new(),
            applied: BTreeMap::new(),
            uncertain: BTreeSet::new(),
        }
    }

    fn apply(&mut self, sender: Slot, command: &[u8], inst: Instance) -> Result<(), String> {
        let key = (sender, command.to_vec());
        self.waiting.remove(&key);
        let twice_is_fine = self.uncertain.contains(&key);
        match *self.applied.entry(key).or_insert(inst) {
            first if first == inst || twice_is_fine => Ok(()),
            first => Err(format!("a command of {sender} is in {first} and again in {inst}")),
        }
    }
}

impl Check for Commands {
    fn name(&self) -> &'static str {
        "commands"
    }

    fn observe(&mut self, seen: &Observation<'_>) -> Result<(), String> {
        match *seen {
            Observation::Submitted { slot, command } => {
                let key = (slot, command.to_vec());
                self.unreported.insert(key.clone());
                if !self.applied.contains_key(&key) {
                    self.waiting.insert(key);
                }
                Ok(())
            }
            Observation::Applied { inst, sender, proposal: Some(proposal), .. }
                if self.honest.contains(&sender) =>
            {
                for command in view::commands(proposal) {
                    self.apply(sender, command, inst)?;
                }
                Ok(())
            }
            Observation::Committed { slot, command, inst } => {
                let key = (slot, command.to_vec());
                self.unreported.remove(&key);
                match self.applied.get(&key) {
                    Some(applied) if *applied == inst || self.uncertain.contains(&key) => Ok(()),
                    other => Err(format!("{slot} reports a command in {inst}; it is in {other:?}")),
                }
            }
            Observation::Crashed { slot } => {
                let unknown = self.unreported.iter().filter(|(owner, _)| *owner == slot);
                self.uncertain.extend(unknown.cloned());
                Ok(())
            }
            Observation::Refused { slot, .. } => {
                Err(format!("{slot} refuses a command although it has room"))
            }
            _ => Ok(()),
        }
    }

    fn finish(&mut self, _end: &End) -> Vec<String> {
        let lost = self.waiting.iter();
        lost.map(|(slot, command)| {
            format!("a command of {} bytes of {slot} was never applied", command.len())
        })
        .collect()
    }

    fn is_settled(&self) -> bool {
        self.waiting.is_empty()
    }
}
