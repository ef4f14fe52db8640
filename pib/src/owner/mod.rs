//! The owner: what it promised to whom, never more than its quota, and nothing forgotten.
//!
//! Source: specification 7.2 (owner), 7.3, P4, P5, P18.
//!
//! The way of an object: [`Owner::plan_put`] picks storers; [`Maker::chunks`] codes it, on any
//! thread; [`Owner::requests`] reserves and signs; [`crate::check_store`] checks each answer, on any
//! thread; [`Owner::apply`] enters the result. The object is stored when all `x` chunks are held.
//! After a crash the same calls resume: receipted chunks are not sent again, and a pending one is
//! sent again byte for byte (ed25519 is deterministic, and all that is signed is in the record).
//!
//! Guarantees 1 and 2 of the crate. The runner writes a step's records, durably and in one
//! transaction, before it sends the step's errands.
//! Bounds: an object of 9 chunks takes less than 1 KiB of memory; receipts are only in records.

mod answer;
mod fetch;
mod list;
mod place;
mod upkeep;

pub use answer::{Applied, OwnerStep, contradiction};
pub use fetch::{ChunkRef, ChunkSet, Fetch, ObjectInfo};
pub use list::Standing;
pub use place::{Candidate, Errand, ErrandStep, PutPlan, Target};

use crate::chunk::{Maker, ObjectKey};
use crate::code::Code;
use crate::error::Error;
use crate::keys::Secrets;
use crate::objects::{Op, StoreInfo, header};
use crate::record::{Record, Table, bad_record, read};
use crate::rules::Rules;
use crate::stamp::{Lane, StampSource};
use list::{Grave, ObjectEntry, Place, RefusedKey};
use std::collections::{BTreeMap, BTreeSet};
use types::{DecodeError, GroupId, Hash, Ident, SecretKey, Signed, Size, Slot, Stamp, Verified};

/// What an owner is configured with.
#[derive(Debug, Clone)]
pub struct OwnerConfig {
    /// The group; all signatures name it.
    pub group: GroupId,
    /// The member's slot.
    pub slot: Slot,
    /// The identity that signs.
    pub ident: Ident,
    /// The member's secrets.
    pub secrets: Secrets,
    /// `Q`: pending and held bytes together never exceed it.
    pub quota_bytes: u64,
    /// Chunks of a new object.
    pub x: usize,
    /// Chunks of a new object that may be lost.
    pub f: usize,
    /// The group's rules.
    pub rules: Rules,
}

/// How much is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// Objects in the list, complete or not.
    pub objects: u64,
    /// Bytes that storers receipted.
    pub held_bytes: u64,
    /// Bytes reserved for chunks on their way and for withdrawals that are not confirmed.
    pub pending_bytes: u64,
    /// The quota.
    pub quota_bytes: u64,
}

/// The owner's state.
#[derive(Debug)]
pub struct Owner {
    config: OwnerConfig,
    key: SecretKey,
    maker: Maker,
    stamps: StampSource,
    /// Marks of stamps that were taken for plans and are not written yet.
    unsaved: Vec<Record>,
    objects: BTreeMap<ObjectKey, ObjectEntry>,
    graves: BTreeMap<Place, Grave>,
    refused: BTreeSet<RefusedKey>,
    pending: u64,
    held: u64,
}

impl Owner {
    /// An owner that never stored anything.
    pub fn new(config: OwnerConfig) -> Result<Self, Error> {
        let key = config.secrets.identity(config.ident)?;
        let maker = Maker::new(Code::new(config.x, config.f)?, config.secrets.clone());
        Ok(Self {
            config,
            key,
            maker,
            stamps: StampSource::new(Lane::Owner),
            unsaved: Vec::new(),
            objects: BTreeMap::new(),
            graves: BTreeMap::new(),
            refused: BTreeSet::new(),
            pending: 0,
            held: 0,
        })
    }

    /// An owner with the state of its durable records, in any order; records of others are skipped.
    pub fn restore<K, V>(
        config: OwnerConfig,
        records: impl IntoIterator<Item = (K, V)>,
    ) -> Result<Self, Error>
    where
        K: AsRef<[u8]>,
        V: AsRef<[u8]>,
    {
        let mut owner = Self::new(config)?;
        for (key, value) in records {
            owner.restore_one(key.as_ref(), value.as_ref())?;
        }
        owner.count()?;
        Ok(owner)
    }

    fn restore_one(&mut self, key: &[u8], value: &[u8]) -> Result<(), Error> {
        let Some((table, rest)) = Table::of(key) else {
            return Err(bad_record(key, DecodeError::Malformed("table")));
        };
        match table {
            Table::Stamp => self.stamps.restore(key, value)?,
            Table::Object => {
                self.objects.insert(read(key, rest)?, read(key, value)?);
            }
            Table::Grave => {
                self.graves.insert(read(key, rest)?, read(key, value)?);
            }
            Table::Reject => {
                self.refused.insert(read(key, rest)?);
            }
            Table::Receipt | Table::Held | Table::Refused => {}
        }
        Ok(())
    }

    /// Totals from scratch, after a restore.
    fn count(&mut self) -> Result<(), Error> {
        (self.pending, self.held) = (0, 0);
        let overflow = Error::BadState("sizes exceed the range");
        for entry in self.objects.values() {
            let size = body_len(entry)?;
            for chunk in &entry.chunks {
                let total = match chunk.standing {
                    Standing::Vacant => continue,
                    Standing::Pending => &mut self.pending,
                    Standing::Held => &mut self.held,
                };
                *total = total.checked_add(size).ok_or(overflow.clone())?;
            }
        }
        for grave in self.graves.values() {
            self.pending = self.pending.checked_add(grave.size).ok_or(overflow.clone())?;
        }
        self.pending.checked_add(self.held).ok_or(overflow)?;
        Ok(())
    }

    /// Codes and decodes objects of the present code; clones work on other threads.
    pub fn maker(&self) -> &Maker {
        &self.maker
    }

    /// New objects become `x` chunks of which `f` may be lost; those that are stored keep their code.
    pub fn set_code(&mut self, x: usize, f: usize) -> Result<(), Error> {
        if (x, f) != (self.maker.code().x(), self.maker.code().f()) {
            self.maker = Maker::new(Code::new(x, f)?, self.config.secrets.clone());
            (self.config.x, self.config.f) = (x, f);
        }
        Ok(())
    }

    /// Codes and decodes objects of another code: those stored before the group's `x` or `f`
    /// changed.
    pub fn maker_for(&self, x: usize, f: usize) -> Result<Maker, Error> {
        if (x, f) == (self.maker.code().x(), self.maker.code().f()) {
            return Ok(self.maker.clone());
        }
        Ok(Maker::new(Code::new(x, f)?, self.config.secrets.clone()))
    }

    /// How much is stored.
    pub fn totals(&self) -> Totals {
        Totals {
            objects: self.objects.len() as u64,
            held_bytes: self.held,
            pending_bytes: self.pending,
            quota_bytes: self.config.quota_bytes,
        }
    }

    /// Digest of the OwnList, for the witness command: equal lists, equal digests.
    pub fn own_list_digest(&self) -> Hash {
        let mut digest = Hash::tagged("own list", &[]);
        for (key, entry) in &self.objects {
            digest = list::link(&digest, key, entry);
        }
        for (place, grave) in &self.graves {
            let mut out = types::Writer::new();
            out.put(&digest);
            out.put(place);
            out.put(grave);
            digest = Hash::tagged("own list withdrawal", &out.finish());
        }
        digest
    }

    /// The witness command for the present list, with the records its stamp may need.
    pub fn witness(&mut self, now: Stamp) -> (crate::rsm::Command, Vec<Record>) {
        let mut records = std::mem::take(&mut self.unsaved);
        let witness = crate::rsm::Witness {
            own_list: self.own_list_digest(),
            objects: self.objects.len() as u64,
            bytes: Size(self.pending + self.held),
            stamp: self.stamps.take(now, &mut records),
        };
        (crate::rsm::Command::Witness(witness), records)
    }

    /// Reserves bytes, or says that they do not fit.
    fn reserve(&mut self, bytes: u64) -> Result<(), Error> {
        // A quota that was lowered below what is stored stops new promises only.
        if bytes == 0 {
            return Ok(());
        }
        self.check_quota(bytes)?;
        self.pending += bytes;
        assert!(self.pending + self.held <= self.config.quota_bytes, "reserved beyond the quota");
        Ok(())
    }

    fn check_quota(&self, needed: u64) -> Result<(), Error> {
        let quota = self.config.quota_bytes;
        let left = quota.saturating_sub(self.pending + self.held);
        if needed > left {
            return Err(Error::QuotaFull { needed, left, quota });
        }
        Ok(())
    }

    /// Signs a StoreInfo; the same fields give the same bytes.
    fn sign(&self, place: Place, op: Op, hash: Hash, size: u64, stamp: Stamp) -> SignedInfo {
        let Place { slot, name } = place;
        let info = StoreInfo { op, storer: slot, name, hash, size: Size(size), stamp };
        let header = header(self.config.slot, self.config.ident);
        Signed::new(&self.key, &self.config.group, header, info)
    }
}

type SignedInfo = Verified<Signed<StoreInfo>>;

/// Bytes of each chunk body of an object.
fn body_len(entry: &ObjectEntry) -> Result<u64, Error> {
    let needed = entry.chunks.len().saturating_sub(usize::from(entry.f)).max(1) as u64;
    let max = types::limits::OBJECT_LEN_MAX as u64;
    if entry.len > max {
        return Err(Error::TooLarge { len: entry.len, max });
    }
    Ok(entry.len.div_ceil(needed).max(1) + crate::label::LABEL_LEN as u64)
}

#[cfg(test)]
mod tests;
