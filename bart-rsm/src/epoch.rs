//! Epochs: which roster holds in which stretch of the log (specification 5.1, 5.6; pitfall 11).
//!
//! Everything that depends on the roster is looked up by instance: who sends and leads, n, f and q,
//! whose keys verify, the numbers in headers, the digests of values and NULL. Old certificates
//! therefore verify under the roster of their own time.
//!
//! Assumes: an epoch follows from the outcome of its `cause` alone and begins `W` instances later.
//! Guarantees: (1) the same log gives the same epochs; (2) `sender(i)` is the live slot that follows
//! `sender(i-1)` cyclically, across a change too. Bounds: one record an epoch, written once.

use crate::schedule;
use std::sync::Arc;
use types::{Decode, DecodeError, Encode, Instance, Quorum, Reader, Roster, Slot, Writer};

/// One stretch of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Epoch {
    /// The first instance in which it holds.
    pub(crate) first: Instance,
    /// The instance whose outcome made it; none for the founding roster, and at a judge.
    pub(crate) cause: Option<Instance>,
    pub(crate) roster: Arc<Roster>,
    first_sender: usize,
    live: Vec<Slot>,
}

impl Epoch {
    fn founding(roster: Arc<Roster>) -> Self {
        let live = roster.live().collect();
        Self { first: Instance(0), cause: None, first_sender: 0, live, roster }
    }

    /// Slots in rotation, in order.
    pub(crate) fn live(&self) -> &[Slot] {
        &self.live
    }

    /// Instances in one rotation.
    pub(crate) fn rotation(&self) -> u64 {
        self.live.len().max(1) as u64
    }

    fn sender_place(&self, inst: Instance) -> usize {
        let since = inst.0.saturating_sub(self.first.0) % self.rotation();
        (self.first_sender + since as usize) % self.live.len().max(1)
    }

    fn slot_at(&self, place: usize) -> Slot {
        self.live.get(place).copied().unwrap_or_default()
    }
}

/// The sequence of epochs; cheap to copy.
#[derive(Debug, Clone)]
pub(crate) struct Schedule {
    epochs: Arc<Vec<Epoch>>,
}

impl Schedule {
    pub(crate) fn new(roster: &Arc<Roster>) -> Self {
        Self { epochs: Arc::new(vec![Epoch::founding(Arc::clone(roster))]) }
    }

    /// The epoch of an instance. Instances whose epoch is not known yet count to the newest.
    pub(crate) fn at(&self, inst: Instance) -> &Epoch {
        let later = self.epochs.partition_point(|epoch| epoch.first <= inst);
        &self.epochs[later.saturating_sub(1)]
    }

    /// The newest epoch, which may not have begun.
    pub(crate) fn newest(&self) -> &Epoch {
        &self.epochs[self.epochs.len() - 1]
    }

    /// n, f and q of an instance.
    pub(crate) fn quorum(&self, inst: Instance) -> Quorum {
        self.at(inst).roster.quorum()
    }

    /// Slots in rotation in an instance.
    pub(crate) fn live(&self, inst: Instance) -> &[Slot] {
        self.at(inst).live()
    }

    /// Instances in one rotation.
    pub(crate) fn rotation(&self, inst: Instance) -> u64 {
        self.at(inst).rotation()
    }

    /// The one member that may propose in an instance.
    pub(crate) fn sender(&self, inst: Instance) -> Slot {
        let epoch = self.at(inst);
        epoch.slot_at(epoch.sender_place(inst))
    }

    /// The sender in turn 0, then the non-senders in order; the next sender leads last.
    pub(crate) fn leader(&self, inst: Instance, turn: u32) -> Slot {
        let epoch = self.at(inst);
        let place = schedule::leader_place(epoch.live.len(), epoch.sender_place(inst), turn);
        epoch.slot_at(place)
    }

    /// Appends the epoch that the outcome of `cause` makes, from `first` on.
    pub(crate) fn push(&mut self, cause: Instance, first: Instance, roster: Arc<Roster>) -> &Epoch {
        self.append(Some(cause), first, roster)
    }

    /// Takes over an epoch from somebody who followed the log, for a judge, whom its cause does not
    /// concern; whether it follows the newest one that is known.
    pub(crate) fn learn(&mut self, first: Instance, roster: &Arc<Roster>) -> bool {
        let newest = self.newest();
        let follows = newest.first < first
            && newest.roster.group() == roster.group()
            && newest.roster.epoch().0.checked_add(1) == Some(roster.epoch().0);
        if follows {
            self.append(None, first, Arc::clone(roster));
        }
        follows
    }

    fn append(&mut self, cause: Option<Instance>, first: Instance, roster: Arc<Roster>) -> &Epoch {
        let last = self.sender(Instance(first.0.saturating_sub(1)));
        let live: Vec<Slot> = roster.live().collect();
        let first_sender = live.iter().position(|slot| *slot > last).unwrap_or(0);
        let epoch = Epoch { first, cause, roster, first_sender, live };
        assert!(self.newest().first < first, "an epoch begins before the one it follows");
        Arc::make_mut(&mut self.epochs).push(epoch);
        self.newest()
    }

    /// Takes an epoch back from its record; whether it fits after those that are known.
    pub(crate) fn restore(&mut self, epoch: Epoch) -> bool {
        let newest = self.newest();
        let fits = newest.first < epoch.first
            && newest.cause < epoch.cause
            && newest.roster.group() == epoch.roster.group()
            && newest.roster.epoch().0.checked_add(1) == Some(epoch.roster.epoch().0)
            && epoch.first_sender < epoch.live.len();
        if fits {
            Arc::make_mut(&mut self.epochs).push(epoch);
        }
        fits
    }

    /// Every epoch in order.
    #[cfg(test)]
    pub(crate) fn all(&self) -> &[Epoch] {
        &self.epochs
    }
}

impl Encode for Epoch {
    fn encode(&self, out: &mut Writer) {
        out.put(&self.first);
        out.put(&self.cause);
        out.put(&*self.roster);
        out.u16(self.first_sender as u16);
    }
}

impl Decode for Epoch {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (first, cause) = (input.get()?, input.get()?);
        let roster: Roster = input.get()?;
        let live = roster.live().collect();
        let first_sender = usize::from(input.u16()?);
        Ok(Self { first, cause, roster: Arc::new(roster), first_sender, live })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::harness::roster;
    use types::Standing;

    fn without(roster: &Roster, gone: &[u16]) -> Arc<Roster> {
        let mut members: Vec<_> = roster.all().filter_map(|s| roster.member(s).cloned()).collect();
        for slot in gone {
            members[usize::from(*slot)].standing = Standing::Suspended;
        }
        let (next, quorum) = (types::Epoch(roster.epoch().0 + 1), roster.quorum());
        let (group, f) = (roster.group(), quorum.f());
        Arc::new(Roster::new(group, next, f, quorum.mode(), members).unwrap())
    }

    #[test]
    fn sender_follows_the_one_before_over_the_live_slots_across_epochs() {
        let founding = roster(5);
        let mut schedule = Schedule::new(&founding);
        schedule.push(Instance(6), Instance(7), without(&founding, &[2]));
        let second = Arc::clone(&schedule.newest().roster);
        schedule.push(Instance(10), Instance(11), without(&second, &[0]));
        let senders: Vec<u16> = (0..16).map(|no| schedule.sender(Instance(no)).0).collect();
        // 2 would have sent at 7, 0 at 11; who follows moves up, nobody is skipped or doubled.
        assert_eq!(senders, [0, 1, 2, 3, 4, 0, 1, 3, 4, 0, 1, 3, 4, 1, 3, 4]);
        assert_eq!(schedule.at(Instance(10)).roster, second);
        assert_eq!(schedule.rotation(Instance(11)), 3);
    }

    #[test]
    fn epoch_comes_back_from_its_record_and_only_in_its_place() {
        let founding = roster(5);
        let mut schedule = Schedule::new(&founding);
        let second = schedule.push(Instance(6), Instance(7), without(&founding, &[2])).clone();
        let third = schedule.push(Instance(8), Instance(9), without(&second.roster, &[3])).clone();
        let copy = |epoch: &Epoch| {
            let record = crate::record::epoch_record(epoch);
            assert_eq!(record.key, crate::RecordKey::Epoch(epoch.first));
            crate::record::read_epoch(&record.value).unwrap()
        };
        let mut restored = Schedule::new(&founding);
        assert!(!restored.restore(copy(&third)));
        assert!(restored.restore(copy(&second)));
        assert!(!restored.restore(copy(&second)));
        assert!(restored.restore(copy(&third)));
        assert_eq!(restored.all(), schedule.all());
    }
}
