//! Checkpoints: honest members name one state at equal prefixes of the log, and what becomes stable
//! is the state that an honest member published (specification 5.5, row RS-5).

use super::{Check, End, Observation};
use bart_rsm::message::Message;
use bart_rsm::{Checkpoint, Proposal};
use std::collections::BTreeMap;
use types::{Decode, Hash, Instance, Slot};

/// See the module.
#[derive(Debug, Default)]
pub struct Checkpoints {
    /// What honest members published, with the first that did.
    published: BTreeMap<Instance, (Slot, Hash)>,
}

impl Check for Checkpoints {
    fn name(&self) -> &'static str {
        "checkpoints"
    }

    fn observe(&mut self, seen: &Observation<'_>) -> Result<(), String> {
        let Observation::Sent { slot, message: Message::Agree(agree), .. } = *seen else {
            return Ok(());
        };
        if agree.value.statement.header.slot != slot {
            return Ok(());
        }
        let Ok(proposal) = Proposal::from_bytes(&agree.value.body) else { return Ok(()) };
        let (inst, digest) = proposal.checkpoint;
        if digest == Hash::ZERO {
            return Ok(());
        }
        let (first, known) = *self.published.entry(inst).or_insert((slot, digest));
        match known == digest {
            true => Ok(()),
            false => Err(format!("after {inst} {first} names the state {known}, {slot} {digest}")),
        }
    }

    fn finish(&mut self, end: &End) -> Vec<String> {
        let wrong = |(slot, stable): &(Slot, Checkpoint)| {
            let Checkpoint { inst, digest } = *stable;
            match self.published.get(&inst) {
                Some((_, known)) if *known == digest => None,
                Some((first, known)) => Some(format!(
                    "{slot} holds {digest} for the state after {inst}; honest {first} named {known}"
                )),
                None => {
                    Some(format!("{slot} holds a state after {inst} that no honest member named"))
                }
            }
        };
        end.stable.iter().filter_map(wrong).collect()
    }
}
