//! Checkpoints: members compare their states through the log (specification 5.5, row RS-5).
//!
//! Purpose: every [`Params::ckpt_every`](crate::Params::ckpt_every) instances each member digests the
//! application's state together with what it derived from the log itself, and publishes that in its next
//! proposals. What `f + 1` live members published alike is the state: one of them is honest.
//!
//! Assumes: the runner answers [`Effect::Digest`] with the state after exactly that instance, or not at
//! all; at most `f` members are faulty.
//! Guarantees: (1) the table of published and stable checkpoints follows from the log; (2) up to `f`
//! wrong digests change nothing; (3) a member whose own state differs from a stable checkpoint raises
//! the alarm and says no more: it would answer for a state that the group does not have; (4) nobody
//! publishes a checkpoint twice with two digests, also not across a restart.
//! Bounds: one checkpoint a slot, one digest under way.

use crate::core::Core;
use crate::effect::{Alarm, Effect};
use crate::proposal::Proposal;
use types::limits::MEMBERS_MAX;
use types::{Decode, DecodeError, Encode, Hash, Instance, Reader, Slot, Writer};

/// The state after an instance, by digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Checkpoint {
    /// The last instance that the state contains.
    pub inst: Instance,
    /// Digest of application state, tables and place; zero before the first checkpoint.
    pub digest: Hash,
}

/// What the slots published, folded over the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CheckpointTable {
    published: Vec<Checkpoint>,
    stable: Checkpoint,
}

impl CheckpointTable {
    pub(crate) fn new(slots: usize) -> Self {
        Self { published: vec![Checkpoint::default(); slots], stable: Checkpoint::default() }
    }

    /// The latest that `f + 1` live slots published; the digest is zero if there is none.
    pub(crate) fn stable(&self) -> Checkpoint {
        self.stable
    }

    /// Folds the outcome of instance `no`.
    pub(crate) fn apply(
        &mut self,
        no: Instance,
        sender: Slot,
        decided: Option<&Proposal>,
        live: &[Slot],
        f: usize,
    ) {
        let slots = live.iter().map(|slot| usize::from(slot.0) + 1).max().unwrap_or(0);
        self.published.resize(slots.max(self.published.len()), Checkpoint::default());
        let Some(proposal) = decided else { return };
        let (inst, digest) = proposal.checkpoint;
        let Some(entry) = self.published.get_mut(usize::from(sender.0)) else { return };
        // What is not newer, or not decided yet, is no news.
        if inst >= no || digest == Hash::ZERO || inst < entry.inst {
            return;
        }
        let new = Checkpoint { inst, digest };
        *entry = new;
        let alike = |slot: &&Slot| self.published.get(usize::from(slot.0)) == Some(&new);
        let newer = self.stable.digest == Hash::ZERO || inst > self.stable.inst;
        if newer && live.iter().filter(alike).count() > f {
            self.stable = new;
        }
    }
}

/// Our own part.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct OwnCheckpoint {
    /// What we publish.
    pub(crate) last: Checkpoint,
    /// The instance whose state the runner digests, and the digest of our tables there.
    pending: Option<(Instance, Hash)>,
}

impl Core {
    /// The latest checkpoint that `f + 1` members agree on, if there is one.
    pub fn stable_checkpoint(&self) -> Option<Checkpoint> {
        Some(self.log.checkpoints.stable()).filter(|stable| stable.digest != Hash::ZERO)
    }

    /// An instance was applied: asks for a digest where one is due, and compares.
    pub(crate) fn checkpoint_if_due(&mut self, no: Instance) {
        if no.0.saturating_add(1).is_multiple_of(self.config.params.ckpt_every) {
            let mut tables = Writer::new();
            tables.put(&self.log);
            let tables = Hash::tagged("checkpoint tables", &tables.finish());
            self.checkpoint.pending = Some((no, tables));
            self.out.push(Effect::Digest { inst: no });
        }
        self.compare_checkpoint();
    }

    /// The runner's answer. Of a state that it does not have any more there is none.
    pub(crate) fn on_digest(&mut self, inst: Instance, state: Hash) {
        let Some((no, tables)) = self.checkpoint.pending.take_if(|(no, _)| *no == inst) else {
            return;
        };
        let mut whole = Writer::new();
        whole.put(&self.config.roster.group());
        whole.put(&no);
        whole.put(&tables);
        whole.put(&state);
        let digest = Hash::tagged("checkpoint", &whole.finish());
        self.checkpoint.last = Checkpoint { inst: no, digest };
        self.save_log = true;
        self.compare_checkpoint();
    }

    fn compare_checkpoint(&mut self) {
        let (own, stable) = (self.checkpoint.last, self.log.checkpoints.stable());
        let both = own.digest != Hash::ZERO && stable.digest != Hash::ZERO;
        if both && own.inst == stable.inst && own.digest != stable.digest {
            self.alarm(Alarm::OtherState(own.inst));
        }
    }
}

impl Encode for Checkpoint {
    fn encode(&self, out: &mut Writer) {
        out.put(&self.inst);
        out.put(&self.digest);
    }
}

impl Decode for Checkpoint {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { inst: input.get()?, digest: input.get()? })
    }
}

impl Encode for CheckpointTable {
    fn encode(&self, out: &mut Writer) {
        out.list(&self.published);
        out.put(&self.stable);
    }
}

impl Decode for CheckpointTable {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { published: input.list("checkpoints", MEMBERS_MAX)?, stable: input.get()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use types::Stamp;

    fn told(table: &mut CheckpointTable, no: u64, slot: u16, inst: u64, digest: u8) {
        let live: Vec<_> = (0..5).map(Slot).collect();
        let mut proposal = Proposal::plain(5, Stamp(1), vec![]);
        proposal.checkpoint = (Instance(inst), Hash([digest; 32]));
        table.apply(Instance(no), Slot(slot), Some(&proposal), &live, 1);
    }

    #[test]
    fn checkpoint_is_stable_when_more_than_f_members_published_it_alike() {
        let mut table = CheckpointTable::new(5);
        told(&mut table, 20, 0, 9, 7);
        told(&mut table, 20, 0, 9, 7);
        assert_eq!(table.stable(), Checkpoint::default(), "one member, twice");
        told(&mut table, 21, 1, 9, 8);
        assert_eq!(table.stable(), Checkpoint::default(), "a wrong digest changes nothing");
        told(&mut table, 22, 2, 9, 7);
        let stable = Checkpoint { inst: Instance(9), digest: Hash([7; 32]) };
        assert_eq!(table.stable(), stable);
        told(&mut table, 23, 3, 9, 8);
        assert_eq!(table.stable(), stable, "not even as many wrong ones, once it is stable");
        told(&mut table, 24, 1, 4, 7);
        told(&mut table, 25, 2, 4, 7);
        assert_eq!(table.stable(), stable, "an older one");
    }

    #[test]
    fn checkpoint_of_an_instance_that_is_not_decided_is_no_news() {
        let mut table = CheckpointTable::new(5);
        for slot in 0..5 {
            told(&mut table, 20, slot, 20, 7);
            told(&mut table, 20, slot, u64::MAX, 7);
        }
        assert_eq!(table, CheckpointTable::new(5));
    }

    #[test]
    fn slots_that_are_not_live_do_not_count() {
        let mut table = CheckpointTable::new(5);
        for slot in 0..2 {
            let mut proposal = Proposal::plain(5, Stamp(1), vec![]);
            proposal.checkpoint = (Instance(9), Hash([7; 32]));
            table.apply(Instance(20), Slot(slot), Some(&proposal), &[Slot(0), Slot(2)], 1);
        }
        assert_eq!(table.stable(), Checkpoint::default());
    }
}
