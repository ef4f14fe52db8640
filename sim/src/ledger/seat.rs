//! One member with its disk: what leaves it waits until what was written before is durable.

use super::Rules;
use crate::rng::Random;
use ledger::broadcast::quorum::{self, Config, Spread};
use ledger::member::Effect;
use ledger::{Account, Checkpoint, Committee, Member, Record};
use std::collections::VecDeque;
use std::sync::Arc;
use types::{Decode, Encode, Millis, SecretKey, Slot};

/// What survives, and what would not yet.
#[derive(Debug, Default)]
struct Disk {
    durable: Vec<Record>,
    /// Log entries that `durable` covers.
    log: usize,
    unsynced: Vec<Record>,
}

/// A member, running or down.
#[derive(Debug)]
pub(super) struct Seat {
    pub slot: Slot,
    pub key: SecretKey,
    committee: Arc<Committee>,
    spread: Spread,
    rules: Rules,
    pub member: Option<Member>,
    disk: Disk,
    /// Effects that wait for the disk, in order.
    outbox: VecDeque<Effect>,
    pub syncing: bool,
    /// The last checkpoint, to write the disk anew upon when nothing is under way.
    compact: Option<Checkpoint>,
    /// The next log entry to execute.
    pub log_next: usize,
    pub log_scheduled: bool,
    pub wake_at: Option<Millis>,
    /// Counts restarts: what was scheduled for an earlier life is void.
    pub life: u32,
}

impl Seat {
    pub fn new(
        slot: Slot,
        key: SecretKey,
        committee: Arc<Committee>,
        spread: Spread,
        rules: Rules,
    ) -> Self {
        Self {
            slot,
            key,
            committee,
            spread,
            rules,
            member: None,
            disk: Disk::default(),
            outbox: VecDeque::new(),
            syncing: false,
            compact: None,
            log_next: 0,
            log_scheduled: false,
            wake_at: None,
            life: 0,
        }
    }

    /// Starts from the disk; the first effects.
    pub fn boot(&mut self, now: Millis) -> Vec<Effect> {
        let (committee, me, spread) = (Arc::clone(&self.committee), self.slot, self.spread);
        let config = Config { committee, me, spread, seed: [self.slot.0 as u8; 32] };
        let account = Some(Account(self.slot.0.into()));
        let mut member = Member::new(config, self.key.clone(), account);
        let lost = |record: &&Record| match record {
            Record::Issued(_) => self.rules == Rules::LostOrders,
            Record::Broadcast(quorum::Record::Echoed { .. }) => self.rules == Rules::LostEchoes,
            _ => false,
        };
        // All that is read back went through its encoding.
        let read = self.disk.durable.iter().filter(|record| !lost(record)).map(|record| {
            Record::from_bytes(&record.to_bytes()).expect("a record has one encoding")
        });
        member.restore(read);
        self.log_next = self.disk.log;
        self.log_scheduled = false;
        self.life += 1;
        let effects = member.start(now);
        self.member = Some(member);
        effects
    }

    /// Power fails: memory is gone, and of what was not synced all but the first few records, which are returned.
    pub fn crash(&mut self, dice: &mut Random) -> Vec<Record> {
        self.member = None;
        self.outbox.clear();
        self.syncing = false;
        self.compact = None;
        self.wake_at = None;
        let kept = dice.index(self.disk.unsynced.len() + 1);
        self.disk.unsynced.truncate(kept);
        self.sync()
    }

    /// Takes effects up to be carried out in order.
    pub fn push(&mut self, effects: Vec<Effect>) {
        self.outbox.extend(effects);
    }

    /// The next effect that may be carried out now; writes are made on the way. `None` when the disk is to be
    /// waited for, or nothing is left.
    pub fn next(&mut self) -> Option<Effect> {
        let early = self.rules == Rules::EarlySend;
        let waits = match self.outbox.front()? {
            Effect::Persist(_) => false,
            Effect::Send { .. } if early => false,
            _ => self.is_dirty(),
        };
        let effect = if waits { None } else { self.outbox.pop_front() }?;
        match &effect {
            Effect::Persist(record) => self.disk.unsynced.push(record.clone()),
            Effect::Settled(checkpoint) | Effect::Adopted(checkpoint) => {
                self.compact = Some(checkpoint.clone());
            }
            _ => {}
        }
        Some(effect)
    }

    /// Whether the disk has something to sync.
    pub fn is_dirty(&self) -> bool {
        !self.disk.unsynced.is_empty()
    }

    /// Everything written is durable from now on.
    pub fn sync(&mut self) -> Vec<Record> {
        let written = std::mem::take(&mut self.disk.unsynced);
        self.disk.log += written.iter().filter(|it| matches!(it, Record::Event(_))).count();
        self.disk.durable.extend(written.iter().cloned());
        written
    }

    /// Writes the disk anew after a checkpoint, in one step, when nothing is under way.
    pub fn compact(&mut self) {
        if !self.is_still() {
            return;
        }
        let (Some(member), Some(checkpoint)) = (&self.member, self.compact.take()) else { return };
        self.disk.durable = member.compact(&checkpoint);
        self.disk.log = self.log_next;
    }

    /// Whether all that it did is durable and out: only then is its state told to anybody.
    pub fn is_still(&self) -> bool {
        self.member.is_some() && self.outbox.is_empty() && self.disk.unsynced.is_empty()
    }
}
