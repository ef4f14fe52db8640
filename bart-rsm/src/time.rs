//! What follows from the log alone: state machine time, idle count, base timeout (specification
//! 3.7, 5.2, 5.3).
//!
//! Guarantees: equal at all members after the same instance; tau never decreases, and with at most
//! f wrong clocks it lies within the range of honest ones.

use crate::checkpoint::CheckpointTable;
use crate::closed_upto::ClosedTable;
use crate::proposal::Proposal;
use crate::standing::StandingTable;
use crate::timeout::BaseTimeout;
use types::limits::MEMBERS_MAX;
use types::{Decode, DecodeError, Encode, Instance, Reader, Slot, Stamp, Writer};

/// Folded over decided instances in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LogState {
    /// The first instance that is not applied.
    pub(crate) next: Instance,
    /// State machine time.
    pub(crate) tau: Stamp,
    /// Consecutive decided proposals without commands; NULL changes nothing.
    pub(crate) idle: u64,
    /// The base timeout of turns.
    pub(crate) timeout: BaseTimeout,
    stamps: Vec<Stamp>,
    /// What the slots called closed.
    pub(crate) closed: ClosedTable,
    /// What the slots say about the state.
    pub(crate) checkpoints: CheckpointTable,
    /// What is known about orders.
    pub(crate) standing: StandingTable,
}

impl LogState {
    pub(crate) fn new(slots: usize) -> Self {
        Self {
            next: Instance(0),
            tau: Stamp(0),
            idle: 0,
            timeout: BaseTimeout::default(),
            stamps: vec![Stamp(0); slots],
            closed: ClosedTable::new(slots),
            checkpoints: CheckpointTable::new(slots),
            standing: StandingTable::new(slots),
        }
    }

    /// The latest decided stamp of a slot.
    pub(crate) fn stamp_of(&self, slot: Slot) -> Stamp {
        self.stamps.get(usize::from(slot.0)).copied().unwrap_or_default()
    }

    pub(crate) fn slots(&self) -> usize {
        self.stamps.len()
    }

    /// Applies the outcome of instance `next`.
    pub(crate) fn apply(&mut self, sender: Slot, decided: Option<&Proposal>, live: &[Slot]) {
        if let Some(proposal) = decided {
            if let Some(stamp) = self.stamps.get_mut(usize::from(sender.0)) {
                *stamp = proposal.stamp.max(*stamp);
            }
            let idle = proposal.is_idle();
            self.idle = if idle { self.idle.saturating_add(1) } else { 0 };
        }
        let mut stamps: Vec<Stamp> = live.iter().map(|slot| self.stamp_of(*slot)).collect();
        stamps.sort_unstable();
        if let Some(median) = stamps.get(stamps.len().saturating_sub(1) / 2) {
            self.tau = self.tau.max(*median);
        }
        self.closed.apply(self.next, sender, decided, live);
        self.next = Instance(self.next.0 + 1);
    }
}

impl Encode for LogState {
    fn encode(&self, out: &mut Writer) {
        out.put(&self.next);
        out.put(&self.tau);
        out.u64(self.idle);
        out.put(&self.timeout);
        out.list(&self.stamps);
        out.put(&self.closed);
        out.put(&self.checkpoints);
        out.put(&self.standing);
    }
}

impl Decode for LogState {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            next: input.get()?,
            tau: input.get()?,
            idle: input.u64()?,
            timeout: input.get()?,
            stamps: input.list("stamps", MEMBERS_MAX)?,
            closed: input.get()?,
            checkpoints: input.get()?,
            standing: input.get()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tau_is_the_lower_median_and_never_falls() {
        let live: Vec<_> = (0..4).map(Slot).collect();
        let mut log = LogState::new(4);
        for (slot, stamp) in [(0, 40), (1, 10), (2, u64::MAX), (3, 30)] {
            log.apply(Slot(slot), Some(&Proposal::plain(4, Stamp(stamp), vec![])), &live);
        }
        assert_eq!(log.tau, Stamp(30));
        log.apply(Slot(0), None, &live);
        assert_eq!((log.tau, log.next, log.idle), (Stamp(30), Instance(5), 4));
    }
}
