//! This member's own objects: stored with others, fetched back, removed.
//!
//! The pure owner core (`pib::Owner`) decides; this module codes, sends, waits and makes durable.
//! One lock guards the core. Records take their place in the order of writes while it is held, so
//! that no record is durable before one that it rests on.
//!
//! Bounds: bytes of objects in work ([`WORK_KIB_MAX`]), bytes of objects kept in memory
//! ([`RECENT_BYTES_MAX`]), one operation an object at a time.

mod error;
mod get;
mod possession;
mod put;
mod recent;
mod summary;
mod upkeep;
mod witnessed;

pub use error::ObjectError;

use crate::error::NodeError;
use crate::store::cache::ObjectCache;
use crate::store::promises::{Promises, Table, Ticket, writes};
use bytes::Bytes;
use error::from_core;
use net::Net;
use pib::{ChunkRef, ObjectKey, ObjectKind, Owner, OwnerConfig, Record};
use recent::Recent;
use replica::Clock;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::Duration;
use tokio::sync::{Notify, Semaphore};
use types::limits::OBJECT_LEN_MAX;
use types::{Encode, Hash, Roster, Size, Slot};

/// KiB of objects that may be in work at once, coded chunks included.
const WORK_KIB_MAX: u32 = 128 * 1024;
/// Bytes of fetched objects kept in memory.
const RECENT_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Bad chunks that are counted for one storer; beyond that it is bad enough.
const BAD_CHUNKS_MAX: usize = 65_536;

/// What the service is made from.
pub struct ObjectsConfig {
    /// The owner core's configuration.
    pub owner: OwnerConfig,
    /// The group's roster.
    pub roster: Arc<Roster>,
    /// How long a store or a fetch waits for members that are away.
    pub patience: Duration,
    /// Mean time between two possession checks of one storer, milliseconds.
    pub possession_check_ms: u64,
    /// The members' names by slot.
    pub names: Vec<String>,
    /// The store of promises.
    pub promises: Promises,
    /// Copies of small objects.
    pub cache: ObjectCache,
    /// The links.
    pub net: Net,
    /// The clocks.
    pub clock: Clock,
    /// Level 1, if the group assigns work.
    pub assigner: Option<Arc<crate::work::Assigner>>,
}

/// The service.
pub struct Objects {
    owner: Mutex<Owner>,
    rules: pib::Rules,
    roster: Arc<Roster>,
    /// Chunks of a new object, and how many may be lost, as the group was founded.
    founded: (usize, usize),
    /// Who takes part now.
    live: Mutex<BTreeSet<Slot>>,
    patience: Duration,
    possession: possession::Possession,
    names: Vec<String>,
    promises: Promises,
    cache: ObjectCache,
    net: Net,
    clock: Clock,
    recent: Mutex<Recent>,
    busy: Mutex<BTreeSet<ObjectKey>>,
    freed: Notify,
    work: Arc<Semaphore>,
    removed: Notify,
    /// Chunks that did not come back as promised, each once however often it was read.
    bad_chunks: Mutex<BTreeMap<Slot, BTreeSet<Hash>>>,
    faults: AtomicU64,
    summary: Mutex<summary::Cached>,
    assigner: Option<Arc<crate::work::Assigner>>,
    /// Storers that are being looked at because they were late.
    suspected: Mutex<BTreeSet<Slot>>,
    myself: Weak<Self>,
}

/// Held while an operation works on an object; others on the same object wait.
struct Claim<'a> {
    objects: &'a Objects,
    key: ObjectKey,
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        lock(&self.objects.busy).remove(&self.key);
        self.objects.freed.notify_waiters();
    }
}

/// A lock whose holder panicked is still good: every change of the state behind it is a single call
/// of a core that asserts before it changes anything.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

impl Objects {
    /// Restores the OwnList from its records.
    pub fn open(config: ObjectsConfig) -> Result<Arc<Self>, NodeError> {
        let damaged = |error: pib::Error| NodeError::Record {
            what: "own objects",
            detail: error.to_string(),
        };
        let mut records = Vec::new();
        // Receipts stay on disk: they are most of the bytes, and are read when a chunk is fetched.
        config.promises.scan(Table::Own, |key, value| {
            if Owner::is_key_only(key) {
                records.push((key.to_vec(), Vec::new()));
            } else if !Owner::is_cold(key) {
                records.push((key.to_vec(), value.to_vec()));
            }
        })?;
        let (rules, x, f) = (config.owner.rules, config.owner.x, config.owner.f);
        let owner = Owner::restore(config.owner, records).map_err(damaged)?;
        Ok(Arc::new_cyclic(|myself| Self {
            owner: Mutex::new(owner),
            rules,
            live: Mutex::new(config.roster.live().collect()),
            roster: config.roster,
            founded: (x, f),
            patience: config.patience,
            possession: possession::Possession::new(config.possession_check_ms),
            names: config.names,
            promises: config.promises,
            cache: config.cache,
            net: config.net,
            clock: config.clock,
            recent: Mutex::new(Recent::new(RECENT_BYTES_MAX)),
            busy: Mutex::default(),
            freed: Notify::new(),
            work: Arc::new(Semaphore::new(WORK_KIB_MAX as usize)),
            removed: Notify::new(),
            bad_chunks: Mutex::default(),
            faults: AtomicU64::new(0),
            summary: Mutex::default(),
            assigner: config.assigner,
            suspected: Mutex::default(),
            myself: myself.clone(),
        }))
    }

    /// Objects of a kind that can be read, with their sizes, in order of their ids.
    pub fn list(&self, kind: ObjectKind) -> Vec<(Hash, Size)> {
        let owner = lock(&self.owner);
        let readable = owner.list(kind).filter(|info| info.is_readable());
        readable.map(|info| (info.key.id, Size(info.len))).collect()
    }

    /// Removes an object: off the list now and durably; the storers are told by the upkeep.
    pub async fn remove(&self, key: ObjectKey) -> Result<(), ObjectError> {
        let _claim = self.claim(key).await;
        self.remove_claimed(key).await
    }

    /// The same for a caller that has claimed the object.
    async fn remove_claimed(&self, key: ObjectKey) -> Result<(), ObjectError> {
        let ticket = {
            let mut owner = lock(&self.owner);
            let records = owner.remove(self.clock.wall(), &key).map_err(|e| from_core(key, e))?;
            self.enqueue(records)
        };
        lock(&self.recent).remove(&key);
        ticket.durable().await?;
        self.removed.notify_one();
        self.summary_changed();
        Ok(())
    }

    /// The command that puts the digest of the OwnList into the log, its stamp durable.
    pub async fn witness_command(&self) -> Result<Vec<u8>, NodeError> {
        let (command, ticket) = {
            let mut owner = lock(&self.owner);
            let (command, records) = owner.witness(self.clock.wall());
            (command, self.enqueue(records))
        };
        ticket.durable().await?;
        Ok(command.to_bytes())
    }

    /// Completes when an object was removed, so that its withdrawals go out soon.
    pub async fn until_removed(&self) {
        self.removed.notified().await;
    }

    /// Unprovable wrongs of storers since the start.
    pub fn faults(&self) -> u64 {
        self.faults.load(Ordering::Relaxed)
    }

    /// Chunks that came back wrong since the start, all storers together.
    pub fn bad_chunks(&self) -> u64 {
        lock(&self.bad_chunks).values().map(|chunks| chunks.len() as u64).sum()
    }

    /// Chunks that came back wrong since the start from one storer.
    pub fn bad_chunks_of(&self, slot: Slot) -> u64 {
        lock(&self.bad_chunks).get(&slot).map_or(0, |chunks| chunks.len() as u64)
    }

    /// Chunks of a new object, and how many of them may be lost.
    pub fn sizes(&self) -> (usize, usize) {
        let owner = lock(&self.owner);
        let code = owner.maker().code();
        (code.x(), code.f())
    }

    /// The log changed who takes part: what members hold that were taken out is placed again, and new
    /// objects are coded for those that are left (specification 7.8).
    pub async fn follow_roster(&self, roster: Arc<Roster>) -> Result<(), NodeError> {
        let refused = |error: pib::Error| NodeError::Record {
            what: "own objects",
            detail: error.to_string(),
        };
        let gone = |slot: &Slot| {
            roster.member(*slot).is_none_or(|m| m.standing == types::Standing::Expelled)
        };
        let mut tickets = Vec::new();
        {
            let mut owner = lock(&self.owner);
            let others = roster.live().filter(|slot| *slot != owner.slot()).count();
            let (x, f) = self.founded;
            // Redundancy is kept as long as there is anybody to hold it.
            let x = x.min(others.max(1));
            owner.set_code(x, f.min(x - 1)).map_err(refused)?;
            for slot in self.roster.all().filter(gone) {
                let records = owner.forget_storer(slot).map_err(refused)?;
                tickets.push(self.enqueue(records));
            }
        }
        *lock(&self.live) = roster.live().collect();
        for ticket in tickets {
            ticket.durable().await?;
        }
        self.summary_changed();
        Ok(())
    }

    fn enqueue(&self, records: Vec<Record>) -> Ticket {
        self.promises.enqueue(writes(Table::Own, records))
    }

    /// Waits for other operations on the same object.
    async fn claim(&self, key: ObjectKey) -> Claim<'_> {
        loop {
            // Registered before the look, so that a release in between is not missed.
            let freed = self.freed.notified();
            if lock(&self.busy).insert(key) {
                return Claim { objects: self, key };
            }
            freed.await;
        }
    }

    /// Room for `bytes` of work; waits until others are done.
    async fn room(&self, bytes: usize) -> tokio::sync::OwnedSemaphorePermit {
        let kib = u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX).clamp(1, WORK_KIB_MAX);
        match self.work.clone().acquire_many_owned(kib).await {
            Ok(permit) => permit,
            Err(_) => unreachable!("the semaphore is never closed"),
        }
    }

    fn name(&self, slot: Slot) -> &str {
        self.names.get(usize::from(slot.0)).map_or("?", String::as_str)
    }

    fn fault(&self, slot: Slot, what: &str) {
        self.faults.fetch_add(1, Ordering::Relaxed);
        tracing::warn!(peer = self.name(slot), what, "a storer's answer is not accepted");
    }

    fn bad_chunk(&self, chunk: ChunkRef, what: &str) {
        let slot = chunk.slot;
        let mut bad = lock(&self.bad_chunks);
        let bad = bad.entry(slot).or_default();
        if bad.len() < BAD_CHUNKS_MAX {
            bad.insert(chunk.name);
        }
        self.possession.lost(chunk);
        tracing::warn!(peer = self.name(slot), what, "a chunk did not come back as promised");
    }

    /// The name of a copy of this version of an object.
    fn copy_name(&self, key: &ObjectKey) -> Option<Vec<u8>> {
        let stamp = lock(&self.owner).lookup(key)?.stamp;
        Some([key.to_bytes(), stamp.to_bytes()].concat())
    }

    fn check_len(len: usize) -> Result<(), ObjectError> {
        if len > OBJECT_LEN_MAX {
            return Err(ObjectError::TooLarge { len: len as u64, max: OBJECT_LEN_MAX as u64 });
        }
        Ok(())
    }

    /// Keeps what was just stored or fetched: small metadata on disk, anything in memory.
    fn remember(&self, key: ObjectKey, body: &Bytes, in_memory: bool) {
        if key.kind != ObjectKind::Pack
            && let Some(name) = self.copy_name(&key)
        {
            self.cache.put(&name, body);
        }
        if in_memory {
            lock(&self.recent).put(key, body.clone());
        }
    }
}
