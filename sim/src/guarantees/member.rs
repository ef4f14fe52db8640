//! One member: an owner and a storer on one disk, which may crash at every durable write.

use super::Setting;
use crate::rng::Random;
use bytes::Bytes;
use pib::storer::{Action, FileName, Reply};
use pib::{
    ChunkId, Owner, OwnerConfig, Record, Response, RetrieveRequest, Rules, Secrets, StoreInfo,
    Storer, StorerConfig,
};
use std::collections::BTreeMap;
use types::{GroupId, Hash, Ident, Signed, Slot, Stamp, Verified};

const DAY_MS: u64 = 24 * 3_600_000;
/// The usual lease and difference of clocks; contributions so small that members become full.
pub const RULES: Rules =
    Rules { lease_ms: 30 * DAY_MS, skew_ms: DAY_MS, contribution_bytes: 24_000 };
/// How far apart honest clocks are at most. Less than is permitted, because a member that died stamps what it
/// signs up to [`pib::stamp::GAP_MS`] ahead of its clock, and so much more for each time that it dies again.
pub const APART_MS: u64 = DAY_MS - 3_600_000;
/// Where virtual time starts; also what a wall clock may show.
const START_MS: u64 = 1_700_000_000_000;
/// Crashes of an honest member, per thousand durable writes.
const CRASH_PER_MILLE: u64 = 15;

/// Whether a member lived through a durable write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Yes.
    Lives,
    /// No; it is running again, with what its disk has.
    Died,
}

/// A member.
pub struct Member {
    /// As an owner.
    pub owner: Owner,
    /// As a storer.
    pub storer: Storer,
    /// Whether it crashes at all.
    pub crashes: bool,
    /// How often it did.
    pub died: u64,
    disk: BTreeMap<Vec<u8>, Vec<u8>>,
    bodies: BTreeMap<FileName, Bytes>,
    ahead_ms: u64,
    durable_first: bool,
    config: (OwnerConfig, StorerConfig),
}

/// The group's name.
pub fn group() -> GroupId {
    GroupId(Hash::of(b"simulated guarantees"))
}

/// A member's secrets.
pub fn secrets(slot: Slot) -> Secrets {
    Secrets::from_master(&[slot.0 as u8 + 1; 32])
}

impl Member {
    /// A member that never ran, whose clock is so much ahead of the slowest.
    pub fn new(setting: &Setting, slot: Slot, ahead_ms: u64) -> Result<Self, String> {
        let key = secrets(slot).identity(Ident(0)).map_err(|error| error.to_string())?;
        let f = types::Quorum::largest_f(setting.nodes);
        // Room to move a chunk elsewhere, but where all members are needed to see that one is too many.
        let spare = if setting.one_too_many { 0 } else { f };
        let owner = OwnerConfig {
            group: group(),
            slot,
            ident: Ident(0),
            secrets: secrets(slot),
            quota_bytes: RULES.contribution_bytes,
            x: setting.nodes - 1 - spare,
            f,
            rules: RULES,
        };
        let storer = StorerConfig { group: group(), slot, ident: Ident(0), key, rules: RULES };
        Ok(Self {
            owner: Owner::new(owner.clone()).map_err(|error| error.to_string())?,
            storer: Storer::new(storer.clone()),
            crashes: true,
            died: 0,
            disk: BTreeMap::new(),
            bodies: BTreeMap::new(),
            ahead_ms,
            durable_first: setting.durable_first,
            config: (owner, storer),
        })
    }

    /// Its clock.
    pub fn now(&self, elapsed_ms: u64) -> Stamp {
        Stamp(START_MS + elapsed_ms + self.ahead_ms)
    }

    /// A record of its disk.
    pub fn record(&self, key: &[u8]) -> Option<&[u8]> {
        self.disk.get(key).map(Vec::as_slice)
    }

    /// The receipt of a chunk.
    pub fn receipt(&self, chunk: ChunkId) -> Option<Vec<u8>> {
        self.record(&Owner::receipt_key(chunk)).map(<[u8]>::to_vec)
    }

    /// Makes records durable, all or none of them.
    pub fn commit(&mut self, records: Vec<Record>, rng: &mut Random) -> Result<Fate, String> {
        let dies = self.crashes && !records.is_empty() && rng.per_mille(CRASH_PER_MILLE);
        if !dies || rng.once_in(2) {
            for Record { key, value } in records {
                match value {
                    Some(value) => drop(self.disk.insert(key, value)),
                    None => drop(self.disk.remove(&key)),
                }
            }
        }
        if !dies {
            return Ok(Fate::Lives);
        }
        self.died += 1;
        let (owner, storer) = self.config.clone();
        self.owner = Owner::restore(owner, &self.disk).map_err(|error| error.to_string())?;
        self.storer = Storer::restore(storer, &self.disk).map_err(|error| error.to_string())?;
        let promised: std::collections::BTreeSet<FileName> = self.storer.files().collect();
        self.bodies.retain(|file, _| promised.contains(file));
        Ok(Fate::Died)
    }

    /// Answers a request to store; nothing if it dies before the answer leaves.
    pub fn store(
        &mut self,
        elapsed_ms: u64,
        from: Slot,
        info: &Verified<Signed<StoreInfo>>,
        body: &Bytes,
        rng: &mut Random,
    ) -> Result<Option<Response>, String> {
        let now = self.now(elapsed_ms);
        let (hash, len) = (Hash::of(body), body.len() as u64);
        let mut step = self.storer.on_store(now, from, info, hash, len);
        let mut fate = self.commit(std::mem::take(&mut step.records), rng)?;
        if let (Action::Write(ticket), Fate::Lives) = (&step.action, fate) {
            self.bodies.insert(ticket.file, body.clone());
            let ticket = ticket.clone();
            self.remove(&step.remove);
            step = self.storer.on_written(now, &ticket).map_err(|error| error.to_string())?;
            fate = self.commit(std::mem::take(&mut step.records), rng)?;
        }
        self.remove(&step.remove);
        let answer = match step.action {
            Action::Answer(response) => Some(response),
            Action::AnswerFromRecord(key) => {
                let record = self.record(&key).ok_or("an earlier answer is not on disk")?;
                Some(Storer::stored_answer(&key, record).map_err(|error| error.to_string())?)
            }
            Action::Write(_) => None,
        };
        Ok(answer.filter(|_| fate == Fate::Lives || !self.durable_first))
    }

    /// Answers a request to return a chunk.
    pub fn retrieve(
        &mut self,
        elapsed_ms: u64,
        from: Slot,
        request: &Verified<Signed<RetrieveRequest>>,
        rng: &mut Random,
    ) -> Result<Option<(Response, Bytes)>, String> {
        let step = self.storer.on_retrieve(self.now(elapsed_ms), from, request);
        let fate = self.commit(step.records, rng)?;
        let answer = match step.reply {
            Reply::Answer(response) => (response, Bytes::new()),
            Reply::Read { file, hash, confirm, .. } => match self.bodies.get(&file) {
                Some(body) if Hash::of(body) == hash => (confirm, body.clone()),
                _ => return Err(format!("a promised body is gone: {file}")),
            },
        };
        Ok(Some(answer).filter(|_| fate == Fate::Lives || !self.durable_first))
    }

    /// Lets go of what is over by its own clock.
    pub fn expire(&mut self, elapsed_ms: u64, rng: &mut Random) -> Result<Fate, String> {
        let (records, files) = self.storer.expire(self.now(elapsed_ms));
        let fate = self.commit(records, rng)?;
        if fate == Fate::Lives {
            self.remove(&files);
        }
        Ok(fate)
    }

    fn remove(&mut self, files: &[FileName]) {
        for file in files {
            self.bodies.remove(file);
        }
    }
}

/// What an answer says with a signature.
pub fn statement(response: &Response) -> Option<pib::Statement> {
    Some(match response {
        Response::Receipt(receipt) => pib::Statement::Receipt(receipt.peek().clone()),
        Response::Reject(reject) => pib::Statement::Reject(reject.peek().clone()),
        Response::Confirm(confirm) => pib::Statement::Confirm(confirm.peek().clone()),
        Response::Deny(deny) => pib::Statement::Deny(deny.peek().clone()),
        Response::Unavailable(_) => return None,
    })
}
