//! Placing an object: which storers, what is promised to them, and who takes over.

use super::list::{ChunkEntry, Grave, ObjectEntry, Place, Standing};
use super::{Owner, SignedInfo, body_len};
use crate::chunk::{Chunk, ChunkId, ObjectKey};
use crate::error::Error;
use crate::objects::Op;
use crate::record::{Record, Table};
use bytes::Bytes;
use std::cmp::Reverse;
use std::collections::BTreeSet;
use types::{Encode, Hash, KeyedHash, Slot, Stamp};

/// A member that may take chunks, as the runner sees it now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// Who.
    pub slot: Slot,
    /// Bytes it has left, as far as known.
    pub quota_left_hint: u64,
    /// Whether it answers at present.
    pub reachable: bool,
}

/// Where the chunks of one object go. Nothing is reserved or signed yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PutPlan {
    /// The object.
    pub key: ObjectKey,
    /// Its length in bytes.
    pub len: u64,
    /// Its version, for [`crate::Maker::chunks`].
    pub stamp: Stamp,
    /// Chunks that may be lost; a resumed object keeps the code it was begun with.
    pub f: usize,
    /// The storer of each chunk, by index.
    pub slots: Vec<Slot>,
    /// Which chunks are receipted already, by index.
    pub held: Vec<bool>,
}

impl PutPlan {
    /// Whether nothing is left to be sent.
    pub fn is_complete(&self) -> bool {
        self.held.iter().all(|held| *held)
    }

    /// Chunks of the object.
    pub fn x(&self) -> usize {
        self.slots.len()
    }
}

/// What a StoreInfo is about, for the owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// A chunk of an object in the list.
    Chunk(ChunkId),
    /// A chunk that is being withdrawn.
    Withdrawal,
}

/// One request to one storer. Its answer goes to [`crate::check_store`] and [`Owner::apply`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Errand {
    /// The storer.
    pub to: Slot,
    /// What it is about.
    pub target: Target,
    /// What is asked, signed.
    pub info: SignedInfo,
    /// The chunk body of a Put, empty otherwise.
    pub body: Bytes,
}

/// Records that must be durable, and what may be sent then.
#[must_use]
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ErrandStep {
    /// To be written first.
    pub records: Vec<Record>,
    /// To be sent after that, in any order.
    pub errands: Vec<Errand>,
}

impl Owner {
    /// Chooses storers for an object of `len` bytes; an object that was begun keeps its storers
    /// and receipts. Storers with more space left come first; among similar ones a keyed hash of
    /// the object decides, so that objects spread.
    pub fn plan_put(
        &mut self,
        now: Stamp,
        key: ObjectKey,
        len: u64,
        candidates: &[Candidate],
    ) -> Result<PutPlan, Error> {
        if let Some(entry) = self.objects.get(&key) {
            if entry.len != len {
                return Err(Error::ContentDiffers(key));
            }
            return self.resume(key, entry.clone(), candidates);
        }
        let size = self.maker.body_len(len)?;
        let x = self.config.x;
        self.check_quota(size.saturating_mul(x as u64))?;
        let slots = self.choose(&key, size, candidates, &BTreeSet::new());
        if slots.len() < x {
            return Err(Error::NotEnoughMembers { reached: slots.len(), needed: x });
        }
        let stamp = self.stamps.take(now, &mut self.unsaved);
        let slots = slots.into_iter().take(x).collect();
        Ok(PutPlan { key, len, stamp, f: self.config.f, slots, held: vec![false; x] })
    }

    fn resume(
        &self,
        key: ObjectKey,
        entry: ObjectEntry,
        candidates: &[Candidate],
    ) -> Result<PutPlan, Error> {
        let used: BTreeSet<Slot> = entry
            .chunks
            .iter()
            .filter(|chunk| chunk.standing != Standing::Vacant)
            .map(|chunk| chunk.slot)
            .collect();
        let mut spare = self.spares(&key, &entry, candidates, &used)?.into_iter();
        let mut slots = Vec::with_capacity(entry.chunks.len());
        for (index, chunk) in entry.chunks.iter().enumerate() {
            slots.push(match chunk.standing {
                Standing::Pending | Standing::Held => chunk.slot,
                Standing::Vacant => spare.next().ok_or(Error::NotEnoughMembers {
                    reached: used.len() + slots_vacant_before(&entry, index),
                    needed: entry.chunks.len(),
                })?,
            });
        }
        let held = entry.chunks.iter().map(|chunk| chunk.standing == Standing::Held).collect();
        let f = usize::from(entry.f);
        Ok(PutPlan { key, len: entry.len, stamp: entry.stamp, f, slots, held })
    }

    /// Storers that can take over chunks of this object, best first: not in use for it, and not
    /// still holding a chunk of it that is being withdrawn.
    fn spares(
        &self,
        key: &ObjectKey,
        entry: &ObjectEntry,
        candidates: &[Candidate],
        used: &BTreeSet<Slot>,
    ) -> Result<Vec<Slot>, Error> {
        let names: Vec<Hash> = (0..entry.chunks.len() as u8)
            .map(|index| self.maker.name(ChunkId { object: *key, index }, entry.stamp))
            .collect();
        let mut chosen = self.choose(key, body_len(entry)?, candidates, used);
        chosen.retain(|slot| {
            !names.iter().any(|name| self.graves.contains_key(&Place { slot: *slot, name: *name }))
        });
        Ok(chosen)
    }

    /// Usable candidates, best first, each once.
    fn choose(
        &self,
        key: &ObjectKey,
        size: u64,
        candidates: &[Candidate],
        used: &BTreeSet<Slot>,
    ) -> Vec<Slot> {
        let draw = |slot: Slot| {
            KeyedHash::new(self.config.secrets.names())
                .update(b"placement")
                .update(&key.to_bytes())
                .update(&slot.to_bytes())
                .finish()
        };
        let mut usable: Vec<_> = candidates
            .iter()
            .filter(|candidate| {
                candidate.reachable
                    && candidate.slot != self.config.slot
                    && candidate.quota_left_hint >= size
                    && !used.contains(&candidate.slot)
            })
            .map(|candidate| {
                // Hints are coarse and soon stale: within a factor of two all count the same.
                let room = candidate.quota_left_hint.max(1).ilog2();
                (Reverse(room), draw(candidate.slot), candidate.slot)
            })
            .collect();
        usable.sort();
        let mut seen = BTreeSet::new();
        usable.into_iter().map(|(.., slot)| slot).filter(|slot| seen.insert(*slot)).collect()
    }

    /// Reserves, and signs the StoreInfos of all chunks that are not receipted. A chunk that is
    /// pending already is sent again with the identical StoreInfo.
    pub fn requests(
        &mut self,
        now: Stamp,
        plan: &PutPlan,
        chunks: &[Chunk],
    ) -> Result<ErrandStep, Error> {
        let wrong = |what, got: usize| Error::WrongShape {
            what,
            got: got as u64,
            expected: plan.x() as u64,
        };
        if chunks.len() != plan.x() {
            return Err(wrong("the list of chunks", chunks.len()));
        }
        let mut entry = match self.objects.get(&plan.key) {
            Some(entry) => entry.clone(),
            None => fresh_entry(plan, chunks),
        };
        self.check_plan(plan, &entry, chunks)?;
        let size = body_len(&entry)?;
        let vacant = entry.chunks.iter().filter(|chunk| chunk.standing == Standing::Vacant);
        self.reserve(size * vacant.count() as u64)?;
        let mut records = std::mem::take(&mut self.unsaved);
        for (chunk, slot) in entry.chunks.iter_mut().zip(&plan.slots) {
            if chunk.standing == Standing::Vacant {
                let stamp = self.stamps.take(now, &mut records);
                let (hash, renewal) = (chunk.hash, Stamp(0));
                let standing = Standing::Pending;
                *chunk = ChunkEntry { slot: *slot, standing, hash, stamp, renewal };
            }
        }
        records.push(Record::set(Table::Object, &plan.key, &entry));
        let mut errands = Vec::new();
        for (index, chunk) in entry.chunks.iter().enumerate() {
            if chunk.standing == Standing::Pending {
                let id = ChunkId { object: plan.key, index: index as u8 };
                let name = self.maker.name(id, entry.stamp);
                let place = Place { slot: chunk.slot, name };
                errands.push(Errand {
                    to: chunk.slot,
                    target: Target::Chunk(id),
                    info: self.sign(place, Op::Put, chunk.hash, size, chunk.stamp),
                    body: chunks[index].body.clone(),
                });
            }
        }
        self.objects.insert(plan.key, entry);
        Ok(ErrandStep { records, errands })
    }

    /// The plan still describes the object, no storer is used twice, and the content is the same.
    fn check_plan(
        &self,
        plan: &PutPlan,
        entry: &ObjectEntry,
        chunks: &[Chunk],
    ) -> Result<(), Error> {
        let distinct: BTreeSet<&Slot> = plan.slots.iter().collect();
        let same_shape = entry.chunks.len() == plan.x()
            && entry.stamp == plan.stamp
            && entry.len == plan.len
            && distinct.len() == plan.x();
        let same_storers =
            entry.chunks.iter().zip(&plan.slots).enumerate().all(|(index, (chunk, slot))| {
                let id = ChunkId { object: plan.key, index: index as u8 };
                match chunk.standing {
                    Standing::Pending | Standing::Held => chunk.slot == *slot,
                    // Not where the same chunk is still being withdrawn.
                    Standing::Vacant => {
                        let name = self.maker.name(id, entry.stamp);
                        !self.graves.contains_key(&Place { slot: *slot, name })
                    }
                }
            });
        if !same_shape || !same_storers {
            return Err(Error::StalePlan(plan.key));
        }
        let size = body_len(entry)?;
        let same_content = entry
            .chunks
            .iter()
            .zip(chunks)
            .all(|(known, chunk)| known.hash == chunk.hash && chunk.body.len() as u64 == size);
        if same_content { Ok(()) } else { Err(Error::ContentDiffers(plan.key)) }
    }

    /// Gives a chunk that was refused or not answered to another storer. What may have reached
    /// the former one is withdrawn; its bytes stay reserved until that is confirmed. Call
    /// [`Owner::requests`] with the changed plan after that.
    pub fn replace(
        &mut self,
        now: Stamp,
        plan: &mut PutPlan,
        index: usize,
        candidates: &[Candidate],
    ) -> Result<Vec<Record>, Error> {
        let key = plan.key;
        let mut entry = self.objects.get(&key).ok_or(Error::UnknownObject(key))?.clone();
        if entry.stamp != plan.stamp || index >= entry.chunks.len() {
            return Err(Error::StalePlan(key));
        }
        let used: BTreeSet<Slot> =
            entry.chunks.iter().map(|chunk| chunk.slot).chain(plan.slots.iter().copied()).collect();
        let spare = self.spares(&key, &entry, candidates, &used)?;
        let next = *spare.first().ok_or(Error::NotEnoughMembers {
            reached: entry.chunks.len() - 1,
            needed: entry.chunks.len(),
        })?;
        let mut records = std::mem::take(&mut self.unsaved);
        let id = ChunkId { object: key, index: index as u8 };
        self.withdraw(now, id, &mut entry, &mut records)?;
        plan.slots[index] = next;
        plan.held[index] = false;
        records.push(Record::set(Table::Object, &key, &entry));
        self.objects.insert(key, entry);
        Ok(records)
    }

    /// Turns a promised chunk into a vacant one and a withdrawal. Totals: the bytes stay pending.
    pub(super) fn withdraw(
        &mut self,
        now: Stamp,
        id: ChunkId,
        entry: &mut ObjectEntry,
        records: &mut Vec<Record>,
    ) -> Result<(), Error> {
        let size = body_len(entry)?;
        let name = self.maker.name(id, entry.stamp);
        let chunk = &mut entry.chunks[usize::from(id.index)];
        if chunk.standing == Standing::Vacant {
            return Ok(());
        }
        if chunk.standing == Standing::Held {
            self.held -= size;
            self.pending += size;
            records.push(Record::delete(Table::Receipt, &id));
        }
        let place = Place { slot: chunk.slot, name };
        let stamp = self.stamps.take(now, records);
        let grave = Grave { size, held_stamp: chunk.latest(), stamp };
        records.push(Record::set(Table::Grave, &place, &grave));
        // Vacant chunks avoid storers with an open withdrawal, so there is no earlier one here.
        assert!(self.graves.insert(place, grave).is_none(), "one withdrawal per storer and name");
        *chunk = ChunkEntry { standing: Standing::Vacant, renewal: Stamp(0), ..*chunk };
        Ok(())
    }
}

fn fresh_entry(plan: &PutPlan, chunks: &[Chunk]) -> ObjectEntry {
    let chunks = chunks.iter().zip(&plan.slots).map(|(chunk, slot)| ChunkEntry {
        slot: *slot,
        standing: Standing::Vacant,
        hash: chunk.hash,
        stamp: Stamp(0),
        renewal: Stamp(0),
    });
    let chunks = chunks.collect();
    ObjectEntry { stamp: plan.stamp, len: plan.len, f: plan.f as u8, chunks }
}

fn slots_vacant_before(entry: &ObjectEntry, index: usize) -> usize {
    entry.chunks[..index].iter().filter(|chunk| chunk.standing == Standing::Vacant).count()
}
