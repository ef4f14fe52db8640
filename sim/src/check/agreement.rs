//! Agreement: the sequences that honest members apply are prefixes of one another, byte for byte,
//! in order and without gaps; a member that starts again never applies something else.

use super::{Check, Observation};
use crate::view;
use std::collections::BTreeMap;
use types::{Hash, Instance, Slot, Stamp};

#[derive(Debug, PartialEq, Eq)]
struct Entry {
    sender: Slot,
    value: Option<Hash>,
    tau: Stamp,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Agreement {
    log: Vec<(Slot, Entry)>,
    next: BTreeMap<Slot, u64>,
}

impl Check for Agreement {
    fn name(&self) -> &'static str {
        "agreement"
    }

    fn observe(&mut self, seen: &Observation<'_>) -> Result<(), String> {
        let Observation::Applied { slot, inst: Instance(inst), sender, proposal, tau } = *seen
        else {
            return Ok(());
        };
        let next = self.next.entry(slot).or_insert(0);
        if inst > *next {
            return Err(format!("{slot} applies instance {inst} before instance {next}"));
        }
        *next = (*next).max(inst + 1);
        let value = proposal.map(|proposal| Hash::of(&view::proposal_bytes(proposal)));
        let entry = Entry { sender, value, tau };
        match self.log.get(inst as usize) {
            Some((_, known)) if *known == entry => Ok(()),
            Some((first, known)) => Err(format!(
                "instance {inst}: {first} applied {known:?} and {slot} applies {entry:?}"
            )),
            None => {
                assert_eq!(self.log.len() as u64, inst, "no member skips an instance");
                self.log.push((slot, entry));
                Ok(())
            }
        }
    }
}
