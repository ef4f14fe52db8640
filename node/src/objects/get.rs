//! Fetching an object: the plain pieces first, parity where one is missing, late or wrong.

use super::error::{ObjectError, from_core};
use super::{Objects, lock};
use crate::error::NodeError;
use crate::store::promises::Table;
use bytes::Bytes;
use futures_util::stream::{FuturesUnordered, StreamExt};
use pib::owner::{ChunkSet, Fetch, Standing};
use pib::{
    ChunkRef, Fault, ObjectKey, ObjectKind, Outcome, Owner, Part, Request, Response, Unavailable,
};
use std::collections::VecDeque;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// A chunk that has not come after this long is asked for elsewhere as well.
const HEDGE: Duration = Duration::from_secs(2);
/// Longest wait for one chunk, beside the time that its bytes take.
const CHUNK_MAX: Duration = Duration::from_secs(30);
/// The slowest link that is waited for, bytes a second.
pub(super) const SLOW_BYTES_S: u64 = 16 * 1024;
/// How often members that are away are looked for again.
const RETRY: Duration = Duration::from_millis(200);
/// A fetch gives up after this long even if its member's patience for stores is longer.
const PATIENCE_MAX: Duration = Duration::from_secs(30);

/// Why a chunk did not come.
#[derive(Debug)]
pub(super) struct Miss {
    pub why: String,
    /// The storer does not have it, by its own word or by ours; otherwise nothing is known.
    pub lost: bool,
    /// It said nothing.
    pub silent: bool,
}

impl Miss {
    pub(super) fn other(why: impl ToString) -> Self {
        Self { why: why.to_string(), lost: false, silent: false }
    }

    fn silent(why: impl ToString) -> Self {
        Self { why: why.to_string(), lost: false, silent: true }
    }
}

impl Objects {
    /// Fetches an object from whoever has it. Every chunk is checked against the hash that
    /// this member signed; the layer above authenticates the contents once more.
    pub async fn get(&self, key: ObjectKey) -> Result<Bytes, ObjectError> {
        if let Some(body) = self.at_hand(key) {
            return Ok(body);
        }
        let _claim = self.claim(key).await;
        if let Some(body) = self.at_hand(key) {
            return Ok(body);
        }
        let set = lock(&self.owner).lookup(&key).ok_or(ObjectError::NotFound(key))?;
        let _room = self.room(2 * set.len as usize).await;
        let body = self.fetch(&set).await?;
        self.remember(key, &body, true);
        Ok(body)
    }

    fn at_hand(&self, key: ObjectKey) -> Option<Bytes> {
        lock(&self.owner).info(&key)?;
        if let Some(body) = lock(&self.recent).get(&key) {
            return Some(body);
        }
        if key.kind == ObjectKind::Pack {
            return None;
        }
        self.cache.get(&self.copy_name(&key)?)
    }

    async fn fetch(&self, set: &ChunkSet) -> Result<Bytes, ObjectError> {
        let needed = set.chunks.len() - set.f;
        let mut bodies: Vec<Option<Bytes>> = vec![None; set.chunks.len()];
        let mut failures = Vec::new();
        let deadline = Instant::now() + self.patience.min(PATIENCE_MAX);
        let mut witnessed = self.assigner().is_none();
        loop {
            let up = self.up();
            let missing = set.chunks.iter().filter(|chunk| {
                let have = bodies[usize::from(chunk.chunk.index)].is_some();
                !have && chunk.standing == Standing::Held && up.contains(&chunk.slot)
            });
            let waiting: VecDeque<ChunkRef> = missing.copied().collect();
            let got = |bodies: &[Option<Bytes>]| bodies.iter().flatten().count();
            if got(&bodies) + waiting.len() >= needed {
                failures.clear();
                self.round(waiting, needed, &mut bodies, &mut failures).await?;
            }
            if got(&bodies) >= needed {
                return self.decode(set, bodies).await;
            }
            if Instant::now() >= deadline && !witnessed {
                witnessed = true;
                self.round_witnessed(set, &mut bodies).await?;
                continue;
            }
            if Instant::now() >= deadline {
                let mut away = 0;
                for chunk in &set.chunks {
                    if !up.contains(&chunk.slot) {
                        away += usize::from(chunk.standing == Standing::Held);
                        failures.push(format!("{} is away", self.name(chunk.slot)));
                    }
                }
                let got = got(&bodies);
                return Err(ObjectError::Unreadable { key: set.key, got, away, needed, failures });
            }
            sleep(RETRY).await;
        }
    }

    /// Asks for chunks in order, as many at once as are still needed, one more for each that
    /// fails or is late, until enough are there or nobody is left to ask.
    async fn round(
        &self,
        mut waiting: VecDeque<ChunkRef>,
        needed: usize,
        bodies: &mut [Option<Bytes>],
        failures: &mut Vec<String>,
    ) -> Result<(), ObjectError> {
        let mut running = FuturesUnordered::new();
        let mut asked: Vec<ChunkRef> = Vec::new();
        let mut extra = 0;
        loop {
            let have = bodies.iter().flatten().count();
            if have >= needed {
                return Ok(());
            }
            while have + running.len() < needed + extra {
                let Some(chunk) = waiting.pop_front() else { break };
                asked.push(chunk);
                running.push(async move { (chunk, self.fetch_chunk(chunk).await) });
            }
            let next = timeout(HEDGE, running.next()).await;
            if let Ok(Some((chunk, _))) = &next {
                asked.retain(|one| one.chunk != chunk.chunk);
            }
            match next {
                Ok(Some((chunk, Ok(Ok(body))))) => {
                    bodies[usize::from(chunk.chunk.index)] = Some(body);
                }
                Ok(Some((chunk, Ok(Err(miss))))) => {
                    if miss.silent {
                        self.suspect(chunk);
                    }
                    failures.push(format!("{}: {}", self.name(chunk.slot), miss.why));
                }
                Ok(Some((_, Err(error)))) => return Err(error),
                Ok(None) => return Ok(()),
                Err(_) => {
                    // What is still under way is late; whoever stays silent gets it as assigned work.
                    asked.iter().for_each(|chunk| self.suspect(*chunk));
                    extra += 1;
                }
            }
        }
    }

    /// Asks one storer for its chunk. The inner error says in words why there is none.
    async fn fetch_chunk(&self, chunk: ChunkRef) -> Result<Result<Bytes, Miss>, ObjectError> {
        self.fetch_part(chunk, Part::Whole).await
    }

    /// Asks the storer for a chunk or a slice of it, and checks what comes.
    pub(super) async fn fetch_part(
        &self,
        chunk: ChunkRef,
        part: Part,
    ) -> Result<Result<Bytes, Miss>, ObjectError> {
        let fetch = match self.prepare(chunk, part).await? {
            Ok(fetch) => fetch,
            Err(miss) => return Ok(Err(miss)),
        };
        let head = Bytes::from(Request::retrieve(&fetch.request).head());
        // A slow link is not a dead one: the larger the chunk, the longer it may take.
        let wait = CHUNK_MAX + Duration::from_secs(chunk.size.0 / SLOW_BYTES_S);
        let frame = match self.net.request(chunk.slot, vec![head], wait).await {
            Ok(frame) => frame,
            Err(error) => return Ok(Err(Miss::silent(error))),
        };
        match Response::decode(&frame) {
            Ok((response, body)) => self.check_fetched(chunk, fetch, response, body).await,
            Err(error) => {
                self.fault(chunk.slot, &error.to_string());
                Ok(Err(Miss::other("its answer is garbage")))
            }
        }
    }

    /// What is asked for a part of a chunk; its stamp is durable.
    pub(super) async fn prepare(
        &self,
        chunk: ChunkRef,
        part: Part,
    ) -> Result<Result<Fetch, Miss>, ObjectError> {
        let Some(receipt) = self.promises.get(Table::Own, &Owner::receipt_key(chunk.chunk))? else {
            return Ok(Err(Miss::other("there is no receipt")));
        };
        let (fetch, ticket) = {
            let mut owner = lock(&self.owner);
            let request = owner.retrieve_request(self.clock.wall(), chunk.chunk, &receipt, part);
            let mut fetch = match request {
                Ok(fetch) => fetch,
                Err(error) => return Ok(Err(Miss::other(error))),
            };
            let ticket = self.enqueue(std::mem::take(&mut fetch.records));
            (fetch, ticket)
        };
        ticket.durable().await?;
        Ok(Ok(fetch))
    }

    /// Checks what a storer answered, on whichever path.
    pub(super) async fn check_fetched(
        &self,
        chunk: ChunkRef,
        fetch: Fetch,
        response: Response,
        body: Bytes,
    ) -> Result<Result<Bytes, Miss>, ObjectError> {
        let (key, part) = (chunk.chunk.object, fetch.part);
        let (rules, roster, now) = (self.rules, self.roster.clone(), self.clock.wall());
        let check = tokio::task::spawn_blocking(move || {
            pib::check_retrieve(&rules, &roster, now, &fetch.receipt, part, response, body)
        });
        let outcome = check.await.map_err(|error| NodeError::Record {
            what: "own objects",
            detail: format!("checking {key} stopped: {error}"),
        })?;
        self.judge(chunk, outcome).await.map_err(ObjectError::from)
    }

    async fn judge(
        &self,
        chunk: ChunkRef,
        outcome: pib::RetrieveOutcome,
    ) -> Result<Result<Bytes, Miss>, NodeError> {
        Ok(match outcome {
            Outcome::Good(body) => Ok(body),
            Outcome::Refused(deny) => {
                Err(Miss::other(format!("refused: {:?}", deny.payload.reason)))
            }
            Outcome::Evidence(evidence) => {
                self.bad_chunk(chunk, "its signed answer contradicts its receipt");
                self.promises.keep_evidence(&self.roster, &self.rules, *evidence).await?;
                Err(Miss { why: "broke its promise, signed".into(), lost: true, silent: false })
            }
            Outcome::NoAnswer(fault) => {
                let damaged = Fault::Unavailable(Unavailable::Damaged);
                let lost = Fault::Unavailable(Unavailable::Unknown);
                let lost = fault == Fault::WrongBody || fault == damaged || fault == lost;
                if lost {
                    self.bad_chunk(chunk, &fault.to_string());
                } else {
                    self.fault(chunk.slot, &fault.to_string());
                }
                Err(Miss { why: fault.to_string(), lost, silent: false })
            }
        })
    }

    async fn decode(
        &self,
        set: &ChunkSet,
        bodies: Vec<Option<Bytes>>,
    ) -> Result<Bytes, ObjectError> {
        let (key, len) = (set.key, set.len);
        let maker = lock(&self.owner)
            .maker_for(set.chunks.len(), set.f)
            .map_err(|error| from_core(key, error))?;
        let work = tokio::task::spawn_blocking(move || maker.object(len, &bodies));
        let object = work.await.map_err(|error| NodeError::Record {
            what: "own objects",
            detail: format!("decoding stopped: {error}"),
        })?;
        Ok(Bytes::from(object.map_err(|error| from_core(key, error))?))
    }
}
