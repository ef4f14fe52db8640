//! Entering checked answers into the OwnList.

use super::list::{ChunkEntry, ObjectEntry, Place, RefusedKey, Standing};
use super::{Errand, Owner, Target, body_len};
use crate::check::{Outcome, StoreOutcome, accept_and_reject, cites_what_it_refused};
use crate::chunk::ChunkId;
use crate::error::{Error, Fault};
use crate::evidence::{Evidence, Statement};
use crate::objects::{Op, Receipt, RejectReason, StoreReject};
use crate::record::{Record, Table};
use types::{Decode, Signed, Stamp, Verified};

/// What an answer changed.
#[must_use]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnerStep {
    /// To be written in one transaction.
    pub records: Vec<Record>,
    /// The result.
    pub applied: Applied,
}

/// The result of entering an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Applied {
    /// The chunk is held, or held for another lease.
    Held {
        /// Whether all chunks of the object are held.
        stored: bool,
    },
    /// The chunk was legally refused and is vacant; a refused renewal leaves the old lease.
    Refused,
    /// A withdrawal is confirmed and its bytes are free.
    Released,
    /// The answer proves that its signer broke the rules. The chunk stands as before: replace it.
    Evidence(Box<Evidence>),
    /// The answer contradicts an earlier one: load the record and call [`contradiction`].
    Contradiction {
        /// Key of the record with the earlier answer.
        record: Vec<u8>,
        /// The later answer.
        later: Box<Statement>,
    },
    /// Not an answer.
    NoAnswer(Fault),
    /// A legal answer to something that is no longer wanted.
    Stale,
}

/// The evidence in a record of an earlier answer and a later one of the same storer.
pub fn contradiction(earlier: &[u8], later: &Statement) -> Option<Evidence> {
    let own = Verified::<Signed<StoreReject>>::from_own_store;
    match later {
        Statement::Receipt(receipt) => {
            let reject = own(Signed::from_bytes(earlier).ok()?);
            accept_and_reject(&Verified::from_own_store(receipt.clone()), &reject)
        }
        Statement::Reject(reject) => {
            let reject = own(reject.clone());
            if let Ok(receipt) = Signed::<Receipt>::from_bytes(earlier) {
                return accept_and_reject(&Verified::from_own_store(receipt), &reject);
            }
            cites_what_it_refused(&own(Signed::from_bytes(earlier).ok()?), &reject)
        }
        Statement::Info(_) | Statement::Confirm(_) | Statement::Deny(_) => None,
    }
}

impl Owner {
    /// Enters the outcome of an errand.
    pub fn apply(&mut self, errand: &Errand, outcome: StoreOutcome) -> Result<OwnerStep, Error> {
        let mut records = Vec::new();
        let applied = match outcome {
            Outcome::Good(receipt) => self.on_receipt(errand, receipt, &mut records)?,
            Outcome::Refused(reject) => self.on_reject(errand, reject, &mut records)?,
            Outcome::Evidence(evidence) => Applied::Evidence(evidence),
            Outcome::NoAnswer(fault) => Applied::NoAnswer(fault),
        };
        Ok(OwnerStep { records, applied })
    }

    fn on_receipt(
        &mut self,
        errand: &Errand,
        receipt: Verified<Signed<Receipt>>,
        records: &mut Vec<Record>,
    ) -> Result<Applied, Error> {
        let info = &errand.info.payload;
        let place = Place { slot: errand.to, name: info.name };
        let refused = RefusedKey { place, stamp: info.stamp };
        if self.refused.contains(&refused) {
            let later = Box::new(Statement::Receipt(receipt.into_inner()));
            return Ok(Applied::Contradiction { record: Table::Reject.key(&refused), later });
        }
        let id = match errand.target {
            Target::Withdrawal => return Ok(self.on_released(place, info.stamp, records)),
            Target::Chunk(id) => id,
        };
        let Some((mut entry, chunk)) = self.chunk_at(id, place) else {
            return Ok(Applied::Stale);
        };
        let size = body_len(&entry)?;
        let slot = &mut entry.chunks[usize::from(id.index)];
        match (info.op, chunk.standing) {
            (Op::Put, Standing::Pending) if chunk.stamp == info.stamp => {
                slot.standing = Standing::Held;
                self.pending -= size;
                self.held += size;
            }
            // The same answer a second time.
            (_, Standing::Held) if chunk.stamp == info.stamp => {
                return Ok(Applied::Held { stored: is_stored(&entry) });
            }
            (Op::Renew, Standing::Held) if chunk.renewal == info.stamp => {
                slot.stamp = info.stamp;
                slot.renewal = Stamp(0);
            }
            _ => return Ok(Applied::Stale),
        }
        let stored = is_stored(&entry);
        records.push(Record::set(Table::Receipt, &id, &receipt));
        records.push(Record::set(Table::Object, &id.object, &entry));
        self.objects.insert(id.object, entry);
        Ok(Applied::Held { stored })
    }

    fn on_released(&mut self, place: Place, stamp: Stamp, records: &mut Vec<Record>) -> Applied {
        match self.graves.get(&place) {
            Some(grave) if grave.stamp == stamp => {
                self.pending -= grave.size;
                self.graves.remove(&place);
                records.push(Record::delete(Table::Grave, &place));
                Applied::Released
            }
            _ => Applied::Stale,
        }
    }

    fn on_reject(
        &mut self,
        errand: &Errand,
        reject: Verified<Signed<StoreReject>>,
        records: &mut Vec<Record>,
    ) -> Result<Applied, Error> {
        let info = &errand.info.payload;
        let place = Place { slot: errand.to, name: info.name };
        if let Some(record) = self.contradicted(errand, place, &reject) {
            let later = Box::new(Statement::Reject(reject.into_inner()));
            return Ok(Applied::Contradiction { record, later });
        }
        // Kept until the lease would have ended: it shows why the chunk is not in the list (X1).
        let refused = RefusedKey { place, stamp: info.stamp };
        if self.refused.insert(refused) {
            records.push(Record::set(Table::Reject, &refused, &reject));
        }
        let Target::Chunk(id) = errand.target else { return Ok(Applied::Refused) };
        let Some((mut entry, chunk)) = self.chunk_at(id, place) else {
            return Ok(Applied::Stale);
        };
        let slot = &mut entry.chunks[usize::from(id.index)];
        match chunk.standing {
            Standing::Pending if chunk.stamp == info.stamp => {
                slot.standing = Standing::Vacant;
                self.pending -= body_len(&entry)?;
            }
            // The same renewal is not signed anew at once: a storer that refuses each would make a
            // record grow from each.
            Standing::Held if chunk.renewal == info.stamp => return Ok(Applied::Refused),
            _ => return Ok(Applied::Stale),
        }
        records.push(Record::set(Table::Object, &id.object, &entry));
        self.objects.insert(id.object, entry);
        Ok(Applied::Refused)
    }

    /// The record that this reject contradicts: the receipt of the very statement, or the reject
    /// of a statement of ours that it now cites as held.
    fn contradicted(
        &self,
        errand: &Errand,
        place: Place,
        reject: &Verified<Signed<StoreReject>>,
    ) -> Option<Vec<u8>> {
        if let Target::Chunk(id) = errand.target
            && let Some((_, chunk)) = self.chunk_at(id, place)
            && chunk.standing == Standing::Held
            && chunk.stamp == errand.info.payload.stamp
        {
            return Some(Table::Receipt.key(&id));
        }
        let RejectReason::Full { proof } = &reject.payload.reason else { return None };
        let cited = proof.iter().filter(|info| info.header.slot == self.config.slot);
        cited
            .map(|info| {
                let place = Place { slot: errand.to, name: info.payload.name };
                RefusedKey { place, stamp: info.payload.stamp }
            })
            .find(|key| self.refused.contains(key))
            .map(|key| Table::Reject.key(&key))
    }

    /// A copy of the entry and of the chunk, if the chunk is (still) placed there.
    fn chunk_at(&self, id: ChunkId, place: Place) -> Option<(ObjectEntry, ChunkEntry)> {
        let entry = self.objects.get(&id.object)?;
        let chunk = *entry.chunks.get(usize::from(id.index))?;
        let same = chunk.slot == place.slot && self.maker.name(id, entry.stamp) == place.name;
        same.then(|| (entry.clone(), chunk))
    }
}

fn is_stored(entry: &ObjectEntry) -> bool {
    entry.chunks.iter().all(|chunk| chunk.standing == Standing::Held)
}
