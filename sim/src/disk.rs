//! A simulated disk: a key-value store whose unsynced writes a crash may lose.
//!
//! The contract of the core is that a record is durable before any later effect is carried out.
//! The runner calls [`Disk::sync`] before each effect that leaves the machine; what was written
//! since the last sync is lost, kept, or kept up to some record when the machine crashes.

use crate::rng::Random;
use bart_rsm::{Record, RecordKey};
use std::collections::{BTreeMap, BTreeSet};
use types::Instance;

/// A write that is not durable yet.
#[derive(Debug, Clone)]
enum Write {
    Put(Record),
    Erase(RecordKey),
}

/// One member's disk.
#[derive(Debug, Clone, Default)]
pub struct Disk {
    durable: BTreeMap<RecordKey, Vec<u8>>,
    pending: Vec<Write>,
    full: bool,
}

impl Disk {
    /// Writes a record; not durable yet.
    pub fn put(&mut self, record: Record) {
        self.pending.push(Write::Put(record));
    }

    /// Erases the records of instances `from..to`, each by itself; not durable yet.
    pub fn erase(&mut self, from: Instance, to: Instance) {
        let ranges = RecordKey::of_instances(from, to);
        let pending = self.pending.iter().filter_map(|write| match write {
            Write::Put(record) => Some(record.key),
            Write::Erase(_) => None,
        });
        let mut keys: BTreeSet<RecordKey> =
            pending.filter(|key| ranges.iter().any(|range| range.contains(key))).collect();
        for range in ranges {
            keys.extend(self.durable.range(range).map(|(key, _)| *key));
        }
        self.pending.extend(keys.into_iter().map(Write::Erase));
    }

    /// Bytes of keys and values, unsynced writes not counted.
    pub fn bytes(&self) -> usize {
        self.durable.iter().map(|(key, value)| key.to_bytes().len() + value.len()).sum()
    }

    /// Whether something is not durable yet.
    pub fn is_dirty(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Makes everything written so far durable. Without space nothing of it becomes durable, and
    /// the member must stop: it may not let anything out that rests on it.
    #[must_use]
    pub fn sync(&mut self) -> bool {
        let room = !self.full;
        self.settle(room);
        room
    }

    /// Whether there is no space from now on.
    pub fn set_full(&mut self, full: bool) {
        self.full = full;
    }

    /// Ends all uncertainty about what was not synced: it survives, or it does not.
    pub fn settle(&mut self, keep: bool) {
        let count = if keep { self.pending.len() } else { 0 };
        self.keep(count);
    }

    /// A crash: of the unsynced writes the first few survive, possibly none, possibly all. One that
    /// was torn by the crash counts as not written: the real store is transactional.
    pub fn crash(&mut self, rng: &mut Random) {
        let survive = match rng.between(0, 2) {
            0 => 0,
            1 => self.pending.len(),
            _ => rng.between(0, self.pending.len() as u64) as usize,
        };
        self.keep(survive);
    }

    fn keep(&mut self, count: usize) {
        for write in self.pending.drain(..).take(count) {
            match write {
                Write::Put(record) => {
                    self.durable.insert(record.key, record.value);
                }
                Write::Erase(key) => {
                    self.durable.remove(&key);
                }
            }
        }
    }

    /// Reads a record as a running process sees it, unsynced writes included.
    pub fn get(&self, key: &RecordKey) -> Option<Record> {
        let last = self.pending.iter().rev().find_map(|write| match write {
            Write::Put(record) if record.key == *key => Some(Some(record.value.clone())),
            Write::Erase(erased) if erased == key => Some(None),
            _ => None,
        });
        let value = last.unwrap_or_else(|| self.durable.get(key).cloned())?;
        Some(Record { key: *key, value })
    }

    /// What a restarted process finds.
    pub fn records(&self) -> Vec<Record> {
        let pair =
            |(key, value): (&RecordKey, &Vec<u8>)| Record { key: *key, value: value.clone() };
        self.durable.iter().map(pair).collect()
    }

    /// Durable records.
    pub fn len(&self) -> usize {
        self.durable.len()
    }

    /// Whether nothing is durable.
    pub fn is_empty(&self) -> bool {
        self.durable.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Stream;
    use types::Instance;

    fn record(inst: u64, value: u8) -> Record {
        Record { key: RecordKey::Instance(Instance(inst)), value: vec![value] }
    }

    #[test]
    fn full_disk_keeps_what_was_durable_and_nothing_else() {
        let mut disk = Disk::default();
        disk.put(record(0, 1));
        assert!(disk.sync());
        disk.put(record(0, 2));
        disk.put(record(1, 1));
        disk.set_full(true);
        assert!(!disk.sync());
        assert_eq!(disk.records(), [record(0, 1)]);
        disk.set_full(false);
        disk.put(record(1, 3));
        assert!(disk.sync());
        assert_eq!(disk.records(), [record(0, 1), record(1, 3)]);
    }

    #[test]
    fn crash_keeps_a_beginning_of_what_was_not_synced() {
        let mut seen = std::collections::BTreeSet::new();
        for seed in 0..64 {
            let mut disk = Disk::default();
            for inst in 0..3 {
                disk.put(record(inst, 9));
            }
            disk.crash(&mut Random::new(seed, Stream::Disk));
            let expected: Vec<Record> = (0..disk.len() as u64).map(|i| record(i, 9)).collect();
            assert_eq!(disk.records(), expected);
            seen.insert(disk.len());
        }
        assert_eq!(seen.into_iter().collect::<Vec<_>>(), [0, 1, 2, 3]);
    }
}
