//! What a proposal of ours must carry, and when the next standing vow is to be opened (specification 6.3, C.9).
//!
//! Guarantees: (1) what settles a vow is offered here and nowhere else, so it is proposed once although a proposal may
//! become NULL; (2) a proposal with it never breaks a vow, because at least the next part of an overdue one is there.

use crate::command::{Command, Settlement};
use crate::core::Core;
use crate::layout::Blob;
use crate::request::To;
use types::{Decode, Encode, Slot, Stamp};

impl Core {
    /// Commands that our next proposal must carry, given this prefix: what settles our vows, and from a rotation before
    /// the deadline on the default message of those that cannot be kept. `room` is what the proposal has for commands.
    /// At least one part of an overdue vow is given in any case: without it the proposal would break the vow.
    pub fn carry(&self, room: usize) -> Vec<Vec<u8>> {
        let (mut carried, mut used) = (Vec::new(), 0);
        let tau = self.state.tau();
        for pending in self.state.pending().filter(|vow| vow.requester == self.slot) {
            let own = self.vows.get(&pending.vow.root);
            let with = own.and_then(|own| own.settlement.as_ref());
            let with = with.and_then(|with| Settlement::from_bytes(&with.with.0).ok());
            let overdue = tau > pending.vow.due;
            if let Some(with) = with {
                let command = Command::Fulfil { vow: pending.id, with }.to_bytes();
                if used + command.len() + 4 <= room || overdue {
                    used += command.len() + 4;
                    carried.push(command);
                }
                continue;
            }
            if tau.0.saturating_add(self.params.rotation_ms) < pending.vow.due.0 {
                continue;
            }
            for part in pending.paid..pending.parts() {
                let pad = Blob(pending.pad(self.group, part));
                let command = Command::VowDefault { vow: pending.id, part, pad }.to_bytes();
                let must = overdue && part == pending.paid;
                if used + command.len() + 4 > room && !must {
                    break;
                }
                used += command.len() + 4;
                carried.push(command);
            }
        }
        carried
    }

    /// Targets towards which a standing vow is to be opened now (C.9): those of `storers` with whom no vow of ours
    /// stays open for another `ahead_ms`, so that the next one stands before the last one closes.
    pub fn vows_to_open(&self, storers: &[Slot], ahead_ms: u64) -> Vec<Slot> {
        let then = Stamp(self.state.tau().0.saturating_add(ahead_ms));
        let covered = |target: Slot| {
            let own = self.state.pending().filter(|vow| vow.requester == self.slot);
            own.filter(|vow| vow.vow.target == target).any(|vow| vow.is_open(&self.params, then))
        };
        let under_way = |target: Slot| {
            let fresh = self.vows.values().filter(|own| own.id.is_none());
            fresh.into_iter().any(|own| own.work.to() == To::Member(target))
        };
        storers
            .iter()
            .copied()
            .filter(|target| *target != self.slot && self.rosters.current().is_live(*target))
            .filter(|target| !covered(*target) && !under_way(*target))
            .collect()
    }
}
