//! The application of a simulated member: it folds everything that it is told into one digest.
//!
//! Assumes: effects are carried out in order. Guarantees: 1. an instance is folded once, however often
//! it is told after restarts; 2. a state that is past is not named any more. What was applied is
//! durable at once: an application may be further than the log that feeds it, never behind by more than
//! what is told again.

use crate::view;
use bart_rsm::Proposal;
use std::sync::Arc;
use types::{Hash, Instance, Slot, Stamp};

/// See the module.
#[derive(Debug, Clone, Default)]
pub struct App {
    next: u64,
    state: Hash,
}

impl App {
    /// Executes an instance, unless it has.
    pub fn apply(
        &mut self,
        inst: Instance,
        sender: Slot,
        proposal: Option<&Arc<Proposal>>,
        tau: Stamp,
    ) {
        if inst.0 != self.next {
            return;
        }
        let mut input = self.state.as_bytes().to_vec();
        input.extend(inst.0.to_le_bytes());
        input.extend(sender.0.to_le_bytes());
        input.extend(tau.0.to_le_bytes());
        for command in proposal.iter().flat_map(|proposal| view::commands(proposal)) {
            input.extend(Hash::of(command).as_bytes());
        }
        self.state = Hash::tagged("simulated application", &input);
        self.next += 1;
    }

    /// The state after exactly this instance; none if it is another one.
    pub fn digest(&self, inst: Instance) -> Option<Hash> {
        (self.next == inst.0 + 1).then_some(self.state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn application_told_an_instance_again_skips_it_and_names_only_its_present_state() {
        let mut app = App::default();
        let apply = |app: &mut App, inst| app.apply(Instance(inst), Slot(0), None, Stamp(7));
        assert_eq!(app.digest(Instance(0)), None);
        apply(&mut app, 0);
        let first = app.digest(Instance(0));
        assert!(first.is_some());
        apply(&mut app, 0);
        assert_eq!(app.digest(Instance(0)), first);
        apply(&mut app, 1);
        assert_eq!(app.digest(Instance(0)), None);
        assert_ne!(app.digest(Instance(1)), first);
    }
}
