//! The storer: what it holds for whom, and one answer to each statement.
//!
//! Source: specification 7.2 (storer), 7.3, decisions 15 and 19, P4 to P6.
//!
//! A Put takes two calls: [`Storer::on_store`] checks it and reserves the room; the runner writes
//! the body to the ticket's file, durably; [`Storer::on_written`] signs the receipt. A step's
//! records are durable before its answer leaves, and files are removed only after that. Answers of
//! later steps must not overtake the records of earlier ones. A runner that cannot write records
//! any more must stop: the state in memory is ahead of the disk then.
//!
//! Guarantees 2 to 5 of the crate. Bounds: [`ENTRIES_PER_OWNER_MAX`], [`REFUSED_PER_OWNER_MAX`],
//! [`WRITES_MAX`]; an entry takes about 400 bytes of memory.

mod list;
mod retrieve;
mod store;

pub use list::FileName;
pub use retrieve::{Reply, RetrieveStep};
pub use store::{Action, StorerStep, Ticket};

use crate::error::Error;
use crate::objects::{Receipt, StoreInfo, StoreReject, header};
use crate::record::{Record, Table, bad_record, read};
use crate::rules::Rules;
use crate::stamp::{Lane, StampSource};
use list::{HeldEntry, OwnedName};
use std::collections::BTreeMap;
use store::Writing;
use types::{DecodeError, GroupId, Hash, Ident, SecretKey, Signed, SignedPayload, Slot, Stamp};
use types::{Header, Verified};

/// Entries that one owner may have here, remembered withdrawals included.
pub const ENTRIES_PER_OWNER_MAX: u64 = 1 << 18;
/// Rejects that are kept per owner until the refused lease would have ended.
pub const REFUSED_PER_OWNER_MAX: u64 = 1 << 10;
/// Chunks that are being written at one time.
pub const WRITES_MAX: usize = 256;

/// What a storer is configured with.
#[derive(Debug, Clone)]
pub struct StorerConfig {
    /// The group; all signatures name it.
    pub group: GroupId,
    /// The member's slot.
    pub slot: Slot,
    /// The identity that signs; it decides the capacity.
    pub ident: Ident,
    /// The key of that identity.
    pub key: SecretKey,
    /// The group's rules.
    pub rules: Rules,
}

/// What one owner has here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OwnerTotals {
    /// Bytes held.
    pub bytes: u64,
    /// Entries, remembered withdrawals included.
    pub entries: u64,
    /// Rejects kept.
    pub refused: u64,
}

/// Which statement was refused last under a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct RefusedEntry {
    stamp: Stamp,
    digest: Hash,
}

/// The storer's state.
#[derive(Debug)]
pub struct Storer {
    config: StorerConfig,
    stamps: StampSource,
    held: BTreeMap<OwnedName, HeldEntry>,
    refused: BTreeMap<OwnedName, RefusedEntry>,
    writing: BTreeMap<OwnedName, Writing>,
    owners: BTreeMap<Slot, OwnerTotals>,
    used: u64,
    reserved: u64,
    next_ticket: u64,
}

impl Storer {
    /// A storer that holds nothing.
    pub fn new(config: StorerConfig) -> Self {
        Self {
            config,
            stamps: StampSource::new(Lane::Storer),
            held: BTreeMap::new(),
            refused: BTreeMap::new(),
            writing: BTreeMap::new(),
            owners: BTreeMap::new(),
            used: 0,
            reserved: 0,
            next_ticket: 0,
        }
    }

    /// A storer with the state of its durable records, in any order; records of others are
    /// skipped. Files that [`Storer::files`] does not name are left from interrupted writes and may
    /// be deleted.
    pub fn restore<K, V>(
        config: StorerConfig,
        records: impl IntoIterator<Item = (K, V)>,
    ) -> Result<Self, Error>
    where
        K: AsRef<[u8]>,
        V: AsRef<[u8]>,
    {
        let mut storer = Self::new(config);
        for (key, value) in records {
            storer.restore_one(key.as_ref(), value.as_ref())?;
        }
        Ok(storer)
    }

    fn restore_one(&mut self, key: &[u8], value: &[u8]) -> Result<(), Error> {
        let Some((table, rest)) = Table::of(key) else {
            return Err(bad_record(key, DecodeError::Malformed("table")));
        };
        match table {
            Table::Stamp => self.stamps.restore(key, value)?,
            Table::Held => {
                let (name, entry) = (read::<OwnedName>(key, rest)?, read::<HeldEntry>(key, value)?);
                let info = entry.info();
                if (info.header.slot, info.payload.name) != (name.owner, name.name) {
                    return Err(Error::BadState("a receipt lies under the key of another"));
                }
                self.insert(name, entry);
            }
            Table::Refused => {
                let name = read::<OwnedName>(key, rest)?;
                let reject = read::<Signed<StoreReject>>(key, value)?;
                self.remember_refusal(name, &reject.payload.info);
            }
            Table::Object | Table::Receipt | Table::Grave | Table::Reject => {}
        }
        Ok(())
    }

    /// `C_j`: bytes that this identity must hold.
    pub fn capacity(&self) -> u64 {
        self.config.rules.capacity(self.config.ident)
    }

    /// Bytes held.
    pub fn used(&self) -> u64 {
        self.used
    }

    /// Bytes that are neither held nor reserved for chunks being written.
    pub fn free(&self) -> u64 {
        self.capacity().saturating_sub(self.used).saturating_sub(self.reserved)
    }

    /// What each owner has here.
    pub fn owners(&self) -> &BTreeMap<Slot, OwnerTotals> {
        &self.owners
    }

    /// Every file that must be kept.
    pub fn files(&self) -> impl Iterator<Item = FileName> + '_ {
        let held = self.held.values().filter_map(HeldEntry::file);
        held.chain(self.writing.values().map(|writing| writing.file))
    }

    /// Lets go of what is over by this member's own clock (issue P6): lease, and the permitted
    /// clock difference. Returns records to write and, after that, files to delete.
    pub fn expire(&mut self, now: Stamp) -> (Vec<Record>, Vec<FileName>) {
        let rules = self.config.rules;
        let over = |info: &Signed<StoreInfo>| rules.is_over(info.payload.stamp, now);
        let (mut records, mut files) = (Vec::new(), Vec::new());
        let gone: Vec<OwnedName> = self
            .held
            .iter()
            .filter(|(name, entry)| over(entry.info()) && !self.writing.contains_key(name))
            .map(|(name, _)| *name)
            .collect();
        for name in gone {
            files.extend(self.take(&name).and_then(|entry| entry.file()));
            records.push(Record::delete(Table::Held, &name));
        }
        let old: Vec<OwnedName> = self
            .refused
            .iter()
            .filter(|(_, entry)| rules.is_over(entry.stamp, now))
            .map(|(name, _)| *name)
            .collect();
        for name in old {
            self.forget_refusal(&name, &mut records);
        }
        (records, files)
    }

    /// Enters an entry in the place of the one under its name, which is returned.
    fn insert(&mut self, name: OwnedName, entry: HeldEntry) -> Option<HeldEntry> {
        let former = self.take(&name);
        let totals = self.owners.entry(name.owner).or_default();
        totals.bytes += entry.size();
        totals.entries += 1;
        self.used += entry.size();
        self.held.insert(name, entry);
        former
    }

    fn take(&mut self, name: &OwnedName) -> Option<HeldEntry> {
        let entry = self.held.remove(name)?;
        let totals = self.owners.entry(name.owner).or_default();
        totals.bytes -= entry.size();
        totals.entries -= 1;
        self.used -= entry.size();
        Some(entry)
    }

    fn remember_refusal(&mut self, name: OwnedName, info: &Signed<StoreInfo>) {
        let entry = RefusedEntry { stamp: info.payload.stamp, digest: info.digest() };
        if self.refused.insert(name, entry).is_none() {
            self.owners.entry(name.owner).or_default().refused += 1;
        }
    }

    fn forget_refusal(&mut self, name: &OwnedName, records: &mut Vec<Record>) {
        if self.refused.remove(name).is_some() {
            self.owners.entry(name.owner).or_default().refused -= 1;
            records.push(Record::delete(Table::Refused, name));
        }
    }

    fn header(&self) -> Header {
        header(self.config.slot, self.config.ident)
    }

    fn sign<T: SignedPayload>(&self, payload: T) -> Verified<Signed<T>> {
        Signed::new(&self.config.key, &self.config.group, self.header(), payload)
    }

    /// Signs the receipt of a statement whose chunk is durable, and enters it.
    fn accept(
        &mut self,
        now: Stamp,
        info: Signed<StoreInfo>,
        put: Stamp,
        records: &mut Vec<Record>,
    ) -> (Verified<Signed<Receipt>>, Option<FileName>) {
        let name = OwnedName { owner: info.header.slot, name: info.payload.name };
        let stamp = self.stamps.take(now, records);
        let receipt = self.sign(Receipt { info, stamp });
        let entry = HeldEntry { receipt: Box::new((*receipt).clone()), put };
        records.push(Record::set(Table::Held, &name, &entry));
        let keeps = entry.file();
        // Older than what is held now: a request for it is answered as stale.
        self.forget_refusal(&name, records);
        let former = self.insert(name, entry).and_then(|former| former.file());
        (receipt, former.filter(|file| Some(*file) != keeps))
    }
}

#[cfg(test)]
mod tests;
