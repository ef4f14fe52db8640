//! State: an application that folds everything it is told into one digest. After the same number of
//! instances all honest members have the same state, also those that started again and skipped what
//! they had.

use super::{Check, Observation};
use crate::view;
use std::collections::BTreeMap;
use types::{Hash, Slot};

/// See the module.
#[derive(Debug, Default)]
pub struct EqualStates {
    /// Number of instances and state, by member.
    states: BTreeMap<Slot, (u64, Hash)>,
    /// The state after each instance, as the first member had it.
    chain: Vec<(Slot, Hash)>,
}

impl Check for EqualStates {
    fn name(&self) -> &'static str {
        "equal-states"
    }

    fn observe(&mut self, seen: &Observation<'_>) -> Result<(), String> {
        let Observation::Applied { slot, inst, sender, proposal, tau } = *seen else {
            return Ok(());
        };
        let (next, state) = self.states.entry(slot).or_insert((0, Hash::ZERO));
        if inst.0 < *next {
            return Ok(());
        }
        let mut input = state.as_bytes().to_vec();
        input.extend(inst.0.to_le_bytes());
        input.extend(sender.0.to_le_bytes());
        input.extend(tau.0.to_le_bytes());
        for command in proposal.iter().flat_map(|proposal| view::commands(proposal)) {
            input.extend(Hash::of(command).as_bytes());
        }
        *state = Hash::tagged("simulated state", &input);
        *next = inst.0 + 1;
        let state = *state;
        match self.chain.get(inst.0 as usize) {
            Some((_, known)) if *known == state => Ok(()),
            Some((first, known)) => {
                Err(format!("after {inst} {first} has the state {known} and {slot} has {state}"))
            }
            None => {
                self.chain.push((slot, state));
                Ok(())
            }
        }
    }
}
