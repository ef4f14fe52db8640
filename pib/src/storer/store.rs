//! Put, Renew and Tombstone.

use super::list::{FileName, HeldEntry, OwnedName};
use super::{ENTRIES_PER_OWNER_MAX, REFUSED_PER_OWNER_MAX, Storer, WRITES_MAX};
use crate::check::stamp_reuse;
use crate::error::Error;
use crate::evidence::Evidence;
use crate::objects::{Op, RejectReason, StoreInfo, StoreReject};
use crate::record::{Record, Table};
use crate::wire::{Response, Unavailable};
use std::cmp::Reverse;
use types::limits::REJECT_PROOF_MAX;
use types::{Hash, Signed, Slot, Stamp, Unverified, Verified};

/// Permission to write one chunk; room for it is reserved until it is used or given back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket {
    id: u64,
    name: OwnedName,
    /// The file to write, durably, with exactly the body that was checked.
    pub file: FileName,
}

/// A chunk that is being written.
#[derive(Debug)]
pub(super) struct Writing {
    id: u64,
    info: Signed<StoreInfo>,
    pub(super) file: FileName,
}

/// What the runner does for a request to store, in this order: write `records` in one
/// transaction; carry out `action`; delete `remove`.
#[must_use]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StorerStep {
    /// To be durable before the answer leaves.
    pub records: Vec<Record>,
    /// Then.
    pub action: Action,
    /// Files that nothing refers to any more.
    pub remove: Vec<FileName>,
    /// What the owner proved against itself with this request.
    pub evidence: Option<Box<Evidence>>,
}

/// What follows.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "one at a time, on its way out; a box buys nothing")]
pub enum Action {
    /// Write the body, then call [`Storer::on_written`] or [`Storer::on_write_failed`].
    Write(Ticket),
    /// Send this.
    Answer(Response),
    /// Load this record, a reject given before, and send it: [`Storer::stored_answer`].
    AnswerFromRecord(Vec<u8>),
}

impl StorerStep {
    fn answer(response: Response) -> Self {
        Self::then(Action::Answer(response))
    }

    fn then(action: Action) -> Self {
        Self { records: Vec::new(), action, remove: Vec::new(), evidence: None }
    }
}

impl Storer {
    /// Checks a request of the member at the other end of the link, whose signature the caller
    /// verified, with the digest and length of the body that came with it.
    pub fn on_store(
        &mut self,
        now: Stamp,
        from: Slot,
        info: &Verified<Signed<StoreInfo>>,
        body_hash: Hash,
        body_len: u64,
    ) -> StorerStep {
        let name = OwnedName { owner: info.header.slot, name: info.payload.name };
        if let Err(why) = self.may_consider(now, from, info) {
            return StorerStep::answer(Response::Unavailable(why));
        }
        if let Some(step) = self.known(&name, info) {
            return step;
        }
        let former = self.held.get(&name);
        let entries = self.owners.get(&name.owner).map_or(0, |totals| totals.entries);
        if former.is_none() && entries >= ENTRIES_PER_OWNER_MAX {
            return StorerStep::answer(Response::Unavailable(Unavailable::Limit));
        }
        match info.payload.op {
            Op::Put => self.put(now, name, info, body_hash, body_len),
            Op::Tombstone => self.take_over(now, info, Stamp(0)),
            Op::Renew => match former {
                Some(held) if !held.is_tombstone() => {
                    let put = held.put;
                    match info.payload.same_chunk(&held.info().payload) {
                        true => self.take_over(now, info, put),
                        false => StorerStep::answer(Response::Unavailable(Unavailable::BadRenew)),
                    }
                }
                Some(_) => StorerStep::answer(Response::Unavailable(Unavailable::BadRenew)),
                None => StorerStep::answer(Response::Unavailable(Unavailable::Unknown)),
            },
        }
    }

    /// Address and clock (specification 7.4: future stamps are not accepted into the state).
    fn may_consider(
        &self,
        now: Stamp,
        from: Slot,
        info: &Signed<StoreInfo>,
    ) -> Result<(), Unavailable> {
        let rules = &self.config.rules;
        let to_me = info.payload.storer == self.config.slot;
        if info.header.slot != from || !to_me || from == self.config.slot {
            return Err(Unavailable::Misaddressed);
        }
        if rules.too_far_ahead(info.payload.stamp, now).is_some() {
            return Err(Unavailable::FutureStamp);
        }
        // Also keeps a statement out whose withdrawal was forgotten with its lease.
        if rules.is_over(info.payload.stamp, now) {
            return Err(Unavailable::LeaseOver);
        }
        Ok(())
    }

    /// What was answered to this statement before, if anything; without its body.
    pub fn answered(&self, info: &Verified<Signed<StoreInfo>>) -> Option<Action> {
        let name = OwnedName { owner: info.header.slot, name: info.payload.name };
        let action = self.known(&name, info)?.action;
        let signed = match &action {
            Action::Answer(response) => !matches!(response, Response::Unavailable(_)),
            Action::AnswerFromRecord(_) => true,
            Action::Write(_) => false,
        };
        signed.then_some(action)
    }

    /// The answer, if it follows from what was said about this name before.
    fn known(&self, name: &OwnedName, info: &Verified<Signed<StoreInfo>>) -> Option<StorerStep> {
        let unavailable = |why| Some(StorerStep::answer(Response::Unavailable(why)));
        if let Some(writing) = self.writing.get(name) {
            let same = writing.info.digest() == info.digest();
            return unavailable(if same { Unavailable::NotYet } else { Unavailable::Busy });
        }
        let held = self.held.get(name);
        if let Some(held) = held
            && held.info().digest() == info.digest()
        {
            let receipt = Unverified::new((*held.receipt).clone());
            return Some(StorerStep::answer(Response::Receipt(receipt)));
        }
        if let Some(refused) = self.refused.get(name)
            && info.payload.stamp <= refused.stamp
        {
            if info.digest() == refused.digest {
                let key = Table::Refused.key(name);
                return Some(StorerStep::then(Action::AnswerFromRecord(key)));
            }
            return unavailable(Unavailable::Stale);
        }
        let held = held?;
        if info.payload.stamp > held.info().payload.stamp {
            return None;
        }
        let mut step = StorerStep::answer(Response::Unavailable(Unavailable::Stale));
        let earlier = Verified::from_own_store(held.info().clone());
        step.evidence = stamp_reuse(&earlier, info).map(Box::new);
        Some(step)
    }

    fn put(
        &mut self,
        now: Stamp,
        name: OwnedName,
        info: &Verified<Signed<StoreInfo>>,
        body_hash: Hash,
        body_len: u64,
    ) -> StorerStep {
        let size = info.payload.size.0;
        if body_hash != info.payload.hash {
            return self.reject(now, name, info, RejectReason::BadRequest { body: body_hash });
        }
        if body_len != size {
            // The right digest with a wrong length: the statement itself is false, and no legal
            // reject says so.
            return StorerStep::answer(Response::Unavailable(Unavailable::Unknown));
        }
        if self.writing.len() >= WRITES_MAX {
            return StorerStep::answer(Response::Unavailable(Unavailable::Busy));
        }
        let (mut records, mut remove) = (Vec::new(), Vec::new());
        if !self.fits(&name, size) {
            (records, remove) = self.expire(now);
        }
        let mut step = if self.fits(&name, size) {
            self.reserved += size;
            self.next_ticket += 1;
            let (id, file) = (self.next_ticket, name.file(info.payload.stamp));
            self.writing.insert(name, Writing { id, info: (**info).clone(), file });
            StorerStep::then(Action::Write(Ticket { id, name, file }))
        } else {
            self.reject_full(now, name, info)
        };
        records.append(&mut step.records);
        (step.records, step.remove) = (records, remove);
        step
    }

    /// Whether the chunk fits when it takes the place of what its name holds now.
    fn fits(&self, name: &OwnedName, size: u64) -> bool {
        let former = self.held.get(name).map_or(0, HeldEntry::size);
        let others = u128::from(self.used - former) + u128::from(self.reserved);
        others + u128::from(size) <= u128::from(self.capacity())
    }

    /// The shortest proof of fullness: the largest live chunks. What is still being written is not
    /// cited, because citing is receipting; if it is what fills the space, there is no answer yet.
    fn reject_full(
        &mut self,
        now: Stamp,
        name: OwnedName,
        info: &Verified<Signed<StoreInfo>>,
    ) -> StorerStep {
        let rules = self.config.rules;
        // Our stamps may run ahead of our clock by the gap: cited leases must outlast that, too.
        let horizon = Stamp(now.0.saturating_add(2 * crate::stamp::GAP_MS));
        let mut live: Vec<(Reverse<u64>, &OwnedName)> = self
            .held
            .iter()
            .filter(|(key, entry)| {
                **key != name
                    && entry.size() > 0
                    && !rules.is_over(entry.info().payload.stamp, horizon)
            })
            .map(|(key, entry)| (Reverse(entry.size()), key))
            .collect();
        live.sort();
        let (mut proof, mut cited, mut proven) = (Vec::new(), 0u128, false);
        for (Reverse(size), key) in live.into_iter().take(REJECT_PROOF_MAX) {
            proof.extend(self.held.get(key).map(|entry| entry.info().clone()));
            cited += u128::from(size);
            proven = rules.exceeds(self.config.ident, cited, info.payload.size);
            if proven {
                break;
            }
        }
        // A chunk that is larger than everything I must contribute needs no citation.
        if !proven && !rules.exceeds(self.config.ident, cited, info.payload.size) {
            return StorerStep::answer(Response::Unavailable(Unavailable::Busy));
        }
        self.reject(now, name, info, RejectReason::Full { proof })
    }

    /// Signs a reject and keeps it: the statement is never receipted after that (PB4), and the
    /// same request gets the same answer, also after a restart.
    fn reject(
        &mut self,
        now: Stamp,
        name: OwnedName,
        info: &Verified<Signed<StoreInfo>>,
        reason: RejectReason,
    ) -> StorerStep {
        let kept = self.owners.get(&name.owner).map_or(0, |totals| totals.refused);
        if kept >= REFUSED_PER_OWNER_MAX && !self.refused.contains_key(&name) {
            return StorerStep::answer(Response::Unavailable(Unavailable::Limit));
        }
        let mut records = Vec::new();
        let stamp = self.stamps.take(now, &mut records);
        let reject = self.sign(StoreReject { info: (**info).clone(), reason, stamp });
        records.push(Record::set(Table::Refused, &name, &reject));
        self.remember_refusal(name, info);
        let response = Response::Reject(Unverified::new(reject.into_inner()));
        StorerStep { records, ..StorerStep::answer(response) }
    }

    /// Accepts a statement that brings no body.
    fn take_over(
        &mut self,
        now: Stamp,
        info: &Verified<Signed<StoreInfo>>,
        put: Stamp,
    ) -> StorerStep {
        let mut records = Vec::new();
        let (receipt, former) = self.accept(now, (**info).clone(), put, &mut records);
        let response = Response::Receipt(Unverified::new(receipt.into_inner()));
        let remove = former.into_iter().collect();
        StorerStep { records, remove, ..StorerStep::answer(response) }
    }

    /// The ticket's body is durable: signs the receipt.
    pub fn on_written(&mut self, now: Stamp, ticket: &Ticket) -> Result<StorerStep, Error> {
        let writing = self.end_writing(ticket)?;
        let put = writing.info.payload.stamp;
        let mut records = Vec::new();
        let (receipt, former) = self.accept(now, writing.info, put, &mut records);
        assert!(self.used <= self.capacity(), "accepted beyond the capacity");
        let response = Response::Receipt(Unverified::new(receipt.into_inner()));
        let remove = former.into_iter().collect();
        Ok(StorerStep { records, remove, ..StorerStep::answer(response) })
    }

    /// The body could not be written: nothing was promised, and nothing is said.
    pub fn on_write_failed(&mut self, ticket: &Ticket) -> Result<StorerStep, Error> {
        let writing = self.end_writing(ticket)?;
        let mut step = StorerStep::answer(Response::Unavailable(Unavailable::NoSpace));
        step.remove.push(writing.file);
        Ok(step)
    }

    fn end_writing(&mut self, ticket: &Ticket) -> Result<Writing, Error> {
        match self.writing.remove(&ticket.name) {
            Some(writing) if writing.id == ticket.id => {
                self.reserved -= writing.info.payload.size.0;
                Ok(writing)
            }
            other => {
                if let Some(writing) = other {
                    self.writing.insert(ticket.name, writing);
                }
                Err(Error::UnknownTicket)
            }
        }
    }

    /// The answer in a record that [`Action::AnswerFromRecord`] named.
    pub fn stored_answer(key: &[u8], value: &[u8]) -> Result<Response, Error> {
        let reject: Signed<StoreReject> = crate::record::read(key, value)?;
        Ok(Response::Reject(Unverified::new(reject)))
    }
}
