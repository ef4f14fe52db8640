//! `closed_upto` and the horizon of garbage collection (specification 5.5, row RS-4).
//!
//! Purpose: all members agree, from the log alone, below which instance nobody needs help.
//!
//! Assumes: an honest member publishes what holds: it decided everything below, and nothing is open
//! in either direction with any peer that it does not list as overdue.
//! Guarantees: (1) the horizon is equal at all members after the same instance and never falls;
//! (2) it passes no instance that a live member calls open; (3) a member that publishes too much only
//! forfeits help for itself, because others also keep what they themselves call open.
//! Bounds: one number a slot.

use crate::core::Core;
use crate::proposal::Proposal;
use types::limits::MEMBERS_MAX;
use types::{Decode, DecodeError, Encode, Instance, Reader, Slot, Writer};

/// What the slots published, folded over the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ClosedTable {
    published: Vec<Instance>,
    horizon: Instance,
}

impl ClosedTable {
    pub(crate) fn new(slots: usize) -> Self {
        Self { published: vec![Instance(0); slots], horizon: Instance(0) }
    }

    /// No live member needs anything below this.
    pub(crate) fn horizon(&self) -> Instance {
        self.horizon
    }

    /// Folds the outcome of instance `no`.
    pub(crate) fn apply(
        &mut self,
        no: Instance,
        sender: Slot,
        decided: Option<&Proposal>,
        live: &[Slot],
    ) {
        // A member that was admitted later has closed nothing yet.
        let slots = live.iter().map(|slot| usize::from(slot.0) + 1).max().unwrap_or(0);
        self.published.resize(slots.max(self.published.len()), Instance(0));
        if let Some(proposal) = decided
            && let Some(published) = self.published.get_mut(usize::from(sender.0))
        {
            // Nothing is closed that is not decided, whatever the proposal says.
            *published = proposal.closed_upto.min(no).max(*published);
        }
        let least = live.iter().filter_map(|slot| self.published.get(usize::from(slot.0))).min();
        // A member that is reinstated starts far below; what is gone stays gone.
        self.horizon = self.horizon.max(least.copied().unwrap_or_default());
    }
}

impl Core {
    /// What we publish: all instances below are decided here, and closed with every other member.
    pub(crate) fn closed_upto(&self) -> Instance {
        let marks = self.others().into_iter().filter_map(|peer| self.peer_ref(peer));
        marks.map(|peer| peer.all_closed()).min().unwrap_or(self.current).min(self.current)
    }
}

impl Encode for ClosedTable {
    fn encode(&self, out: &mut Writer) {
        out.list(&self.published);
        out.put(&self.horizon);
    }
}

impl Decode for ClosedTable {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { published: input.list("closed marks", MEMBERS_MAX)?, horizon: input.get()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use types::Stamp;

    fn told(table: &mut ClosedTable, no: u64, slot: u16, closed: u64, live: &[Slot]) {
        let mut proposal = Proposal::plain(3, Stamp(1), vec![]);
        proposal.closed_upto = Instance(closed);
        table.apply(Instance(no), Slot(slot), Some(&proposal), live);
    }

    #[test]
    fn horizon_is_the_least_of_the_live_slots_and_never_falls() {
        let live: Vec<_> = (0..3).map(Slot).collect();
        let mut table = ClosedTable::new(3);
        told(&mut table, 9, 0, 8, &live);
        told(&mut table, 10, 1, 9, &live);
        assert_eq!(table.horizon(), Instance(0));
        told(&mut table, 11, 2, 5, &live);
        assert_eq!(table.horizon(), Instance(5));
        told(&mut table, 12, 2, 1, &live);
        assert_eq!(table.horizon(), Instance(5), "a smaller value later changes nothing");
        table.apply(Instance(13), Slot(0), None, &live[..2]);
        assert_eq!(table.horizon(), Instance(8), "a slot that is not live does not count");
        table.apply(Instance(14), Slot(0), None, &live);
        assert_eq!(table.horizon(), Instance(8));
    }

    #[test]
    fn horizon_waits_for_a_member_that_was_admitted_later() {
        let mut table = ClosedTable::new(2);
        told(&mut table, 9, 0, 4, &[Slot(0), Slot(1)]);
        told(&mut table, 10, 1, 4, &[Slot(0), Slot(1)]);
        let live: Vec<_> = (0..3).map(Slot).collect();
        told(&mut table, 11, 0, 9, &live);
        told(&mut table, 12, 1, 9, &live);
        assert_eq!(table.horizon(), Instance(4));
        told(&mut table, 13, 2, 8, &live);
        assert_eq!(table.horizon(), Instance(8));
    }

    #[test]
    fn nothing_is_closed_before_it_is_decided() {
        let live = [Slot(0)];
        let mut table = ClosedTable::new(1);
        told(&mut table, 4, 0, u64::MAX, &live);
        assert_eq!(table.horizon(), Instance(4));
    }
}
