//! Integrity: a decided value of an honest sender is one that it proposed for this instance; every
//! decided value comes from the sender whose turn it is.

use super::{Check, Observation};
use crate::view;
use std::collections::{BTreeMap, BTreeSet};
use types::{Hash, Slot};

/// See the module.
#[derive(Debug)]
pub struct Integrity {
    honest: BTreeSet<Slot>,
    /// What honest senders proposed, by instance.
    proposed: BTreeMap<u64, (Slot, Hash)>,
}

impl Integrity {
    /// For these honest members.
    pub fn new(honest: BTreeSet<Slot>) -> Self {
        Self { honest, proposed: BTreeMap::new() }
    }
}

impl Check for Integrity {
    fn name(&self) -> &'static str {
        "integrity"
    }

    fn observe(&mut self, seen: &Observation<'_>) -> Result<(), String> {
        match *seen {
            Observation::Sent { slot, message, .. } => {
                let Some((inst, body)) = view::own_proposal(slot, message) else { return Ok(()) };
                let digest = Hash::of(body);
                let (sender, known) = *self.proposed.entry(inst).or_insert((slot, digest));
                if (sender, known) != (slot, digest) {
                    return Err(format!(
                        "instance {inst}: {sender} proposed {known} and {slot} proposes {digest}"
                    ));
                }
                Ok(())
            }
            Observation::Applied { slot, inst, sender, proposal: Some(proposal), .. } => {
                if !self.honest.contains(&sender) {
                    return Ok(());
                }
                let digest = Hash::of(&view::proposal_bytes(proposal));
                match self.proposed.get(&inst.0) {
                    Some(known) if *known == (sender, digest) => Ok(()),
                    known => Err(format!(
                        "{inst}: {slot} applies {digest} of honest {sender}, which proposed {known:?}"
                    )),
                }
            }
            _ => Ok(()),
        }
    }
}
