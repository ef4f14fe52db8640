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

    /// Makes everything written so far durable.
    pub fn sync(&mut self) {
        let all = self.pending.len();
        self.keep(all);
    }

    /// A crash: of the unsynced writes the first few survive, possibly none, possibly all.
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
