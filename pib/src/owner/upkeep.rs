//! What happens to stored objects later: removal, renewal, lapse, and storers that leave.

use super::list::{Place, Standing};
use super::place::{Errand, ErrandStep, Target};
use super::{Owner, body_len};
use crate::chunk::{ChunkId, ObjectKey};
use crate::error::Error;
use crate::objects::Op;
use crate::record::{Record, Table};
use bytes::Bytes;
use types::{Hash, Slot, Stamp};

impl Owner {
    /// Takes an object off the list. Its bytes stay reserved until every storer has confirmed the
    /// withdrawal ([`Owner::withdrawals`]) or has surely let go ([`Owner::expire`]).
    pub fn remove(&mut self, now: Stamp, key: &ObjectKey) -> Result<Vec<Record>, Error> {
        let mut entry = self.objects.get(key).ok_or(Error::UnknownObject(*key))?.clone();
        let mut records = std::mem::take(&mut self.unsaved);
        for index in 0..entry.chunks.len() as u8 {
            self.withdraw(now, ChunkId { object: *key, index }, &mut entry, &mut records)?;
        }
        self.objects.remove(key);
        records.push(Record::delete(Table::Object, key));
        Ok(records)
    }

    /// Tombstones to be delivered to one storer, at most `limit`, in order of names behind
    /// `after`; the identical ones each time until they are confirmed.
    pub fn withdrawals(&self, slot: Slot, after: Option<Hash>, limit: usize) -> Vec<Errand> {
        let from = match after {
            Some(name) => std::ops::Bound::Excluded(Place { slot, name }),
            None => std::ops::Bound::Included(Place { slot, name: Hash::ZERO }),
        };
        let to = std::ops::Bound::Included(Place { slot, name: Hash([255; 32]) });
        let graves = self.graves.range((from, to)).take(limit);
        graves
            .map(|(place, grave)| Errand {
                to: place.slot,
                target: Target::Withdrawal,
                info: self.sign(*place, Op::Tombstone, Hash::ZERO, 0, grave.stamp),
                body: Bytes::new(),
            })
            .collect()
    }

    /// Withdrawals that are not confirmed.
    pub fn withdrawals_open(&self) -> usize {
        self.graves.len()
    }

    /// Renewals of chunks whose lease is half over, for at most `limit` objects in order behind
    /// `after`. An unanswered renewal is asked again with the identical statement for as long as
    /// the storer can still accept it.
    pub fn due_renewals(
        &mut self,
        now: Stamp,
        after: Option<ObjectKey>,
        limit: usize,
    ) -> Result<ErrandStep, Error> {
        let rules = self.config.rules;
        let from = match after {
            Some(key) => std::ops::Bound::Excluded(key),
            None => std::ops::Bound::Unbounded,
        };
        let is_due =
            |standing, stamp| standing == Standing::Held && rules.renewal_due(stamp) <= now;
        let due: Vec<ObjectKey> = self
            .objects
            .range((from, std::ops::Bound::Unbounded))
            .filter(|(_, entry)| entry.chunks.iter().any(|c| is_due(c.standing, c.stamp)))
            .map(|(key, _)| *key)
            .take(limit)
            .collect();
        let mut records = std::mem::take(&mut self.unsaved);
        let mut errands = Vec::new();
        for key in due {
            let Some(mut entry) = self.objects.get(&key).cloned() else { continue };
            let size = body_len(&entry)?;
            let mut changed = false;
            for (index, chunk) in entry.chunks.iter_mut().enumerate() {
                if !is_due(chunk.standing, chunk.stamp) {
                    continue;
                }
                // Once the lease is over nothing more is signed than one last attempt: if the storer
                // does not answer, the chunk lapses for good (`expire`) and is dispersed again.
                let fresh = chunk.renewal == Stamp(0);
                if fresh && rules.is_over(chunk.stamp, now) {
                    continue;
                }
                let relied_on = now <= rules.owner_relies_until(chunk.stamp);
                if fresh || (relied_on && rules.renewal_due(chunk.renewal) <= now) {
                    chunk.renewal = self.stamps.take(now, &mut records);
                    changed = true;
                }
                let id = ChunkId { object: key, index: index as u8 };
                let place = Place { slot: chunk.slot, name: self.maker.name(id, entry.stamp) };
                errands.push(Errand {
                    to: chunk.slot,
                    target: Target::Chunk(id),
                    info: self.sign(place, Op::Renew, chunk.hash, size, chunk.renewal),
                    body: Bytes::new(),
                });
            }
            if changed {
                records.push(Record::set(Table::Object, &key, &entry));
                self.objects.insert(key, entry);
            }
        }
        Ok(ErrandStep { records, errands })
    }

    /// Releases what no honest storer can still hold, however clocks differ: chunks that were not
    /// renewed become vacant, withdrawals are forgotten, old rejects are dropped.
    pub fn expire(&mut self, now: Stamp) -> Result<Vec<Record>, Error> {
        let rules = self.config.rules;
        let gone = |stamp| now > rules.surely_gone_after(stamp);
        let mut records = Vec::new();
        let lapsed = |_: Slot, latest: Stamp| gone(latest);
        self.vacate(lapsed, &mut records)?;
        self.drop_graves(|_, held_stamp| gone(held_stamp), &mut records);
        let old: Vec<_> = self.refused.iter().filter(|key| gone(key.stamp)).copied().collect();
        for key in old {
            self.refused.remove(&key);
            records.push(Record::delete(Table::Reject, &key));
        }
        Ok(records)
    }

    /// A storer left the group for good: its chunks become vacant and its withdrawals moot. The
    /// objects appear in [`Owner::incomplete`] and should be dispersed again at once (7.8).
    pub fn forget_storer(&mut self, gone: Slot) -> Result<Vec<Record>, Error> {
        let mut records = Vec::new();
        self.vacate(|slot, _| slot == gone, &mut records)?;
        self.drop_graves(|slot, _| slot == gone, &mut records);
        Ok(records)
    }

    /// A storer that lost or spoiled a chunk, by its own unsigned word or by ours, does not hold it any
    /// more: the chunk is withdrawn there and becomes vacant, so that [`Owner::plan_put`] places it again,
    /// with another storer or, once the withdrawal is confirmed, with the same one. False if the chunk is
    /// not held there (any more). Call it only when the object can be read without this chunk.
    pub fn give_up_chunk(
        &mut self,
        now: Stamp,
        id: ChunkId,
        at: Slot,
    ) -> Result<Option<Vec<Record>>, Error> {
        let Some(mut entry) = self.objects.get(&id.object).cloned() else { return Ok(None) };
        let chunk = entry.chunks.get(usize::from(id.index));
        let held = chunk.is_some_and(|c| c.slot == at && c.standing == Standing::Held);
        if !held {
            return Ok(None);
        }
        let mut records = std::mem::take(&mut self.unsaved);
        self.withdraw(now, id, &mut entry, &mut records)?;
        records.push(Record::set(Table::Object, &id.object, &entry));
        self.objects.insert(id.object, entry);
        Ok(Some(records))
    }

    fn vacate(
        &mut self,
        lost: impl Fn(Slot, Stamp) -> bool,
        records: &mut Vec<Record>,
    ) -> Result<(), Error> {
        for (key, entry) in &mut self.objects {
            let size = body_len(entry)?;
            let mut changed = false;
            for (index, chunk) in entry.chunks.iter_mut().enumerate() {
                if !lost(chunk.slot, chunk.latest()) {
                    continue;
                }
                match chunk.standing {
                    Standing::Vacant => continue,
                    Standing::Pending => self.pending -= size,
                    Standing::Held => {
                        self.held -= size;
                        let id = ChunkId { object: *key, index: index as u8 };
                        records.push(Record::delete(Table::Receipt, &id));
                    }
                }
                (chunk.standing, chunk.renewal) = (Standing::Vacant, Stamp(0));
                changed = true;
            }
            if changed {
                records.push(Record::set(Table::Object, key, entry));
            }
        }
        Ok(())
    }

    fn drop_graves(&mut self, moot: impl Fn(Slot, Stamp) -> bool, records: &mut Vec<Record>) {
        let pending = &mut self.pending;
        self.graves.retain(|place, grave| {
            let drop = moot(place.slot, grave.held_stamp);
            if drop {
                *pending -= grave.size;
                records.push(Record::delete(Table::Grave, place));
            }
            !drop
        });
    }
}
