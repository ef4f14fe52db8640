//! Storing an object: plan, code, reserve, send, collect receipts, replace who does not answer.

use super::error::{ObjectError, from_core};
use super::get::SLOW_BYTES_S;
use super::witnessed::SLOW_ATTEMPT;
use super::{Objects, lock};
use crate::error::NodeError;
use bytes::Bytes;
use futures_util::stream::{FuturesUnordered, StreamExt};
use pib::{
    Applied, Candidate, Chunk, Errand, ErrandStep, ObjectKey, ObjectKind, PutPlan, Request,
    Response, Target, Unavailable, check_store,
};
use std::time::Duration;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};
use types::Slot;

/// How often a member that is away is looked for again.
const RETRY: Duration = Duration::from_millis(100);
/// Longest wait for one answer; a chunk that takes longer is sent again.
const ANSWER_MAX: Duration = Duration::from_secs(60);

/// Why a storer did not take its chunk.
pub(super) struct Failure {
    pub(super) index: usize,
    pub(super) slot: Slot,
    pub(super) why: String,
    /// It said nothing at all.
    pub(super) silent: bool,
}

/// Why a request was not done.
pub(super) struct Undone {
    pub(super) why: String,
    /// There was no answer, or none that means anything.
    pub(super) silent: bool,
}

impl Objects {
    /// Stores an object. `Ok(true)` when all `x` storers have promised their chunks and the
    /// receipts are durable here; `Ok(false)` when that was the case before.
    pub async fn put(&self, key: ObjectKey, body: Bytes) -> Result<bool, ObjectError> {
        Self::check_len(body.len())?;
        let _claim = self.claim(key).await;
        let known = lock(&self.owner).info(&key);
        if let Some(info) = known
            && info.is_stored()
        {
            // Entered does not mean durable yet: the store that did it may still be waiting.
            self.promises.barrier().await?;
            let same = info.len == body.len() as u64 && !self.has_lapsed(&key);
            return if same { Ok(false) } else { Err(ObjectError::Conflict(key)) };
        }
        let checked = body.clone();
        let named = tokio::task::spawn_blocking(move || is_named(key, &checked)).await;
        if !named.unwrap_or(false) {
            return Err(ObjectError::WrongName(key));
        }
        match self.store(key, body.clone()).await {
            // The group became smaller meanwhile: there are fewer members than chunks. What has enough of
            // them stays as it is, anything else is coded anew for those that are left.
            Err(ObjectError::NotEnoughMembers { .. }) if self.is_too_wide(&key) => {
                if self.is_leftover(&key) {
                    self.remove_claimed(key).await?;
                    return self.store(key, body).await;
                }
                self.promises.barrier().await?;
                tracing::warn!(object = %key, "stored with fewer chunks than it was coded for: the group became smaller");
                self.remember(key, &body, false);
                self.summary_changed();
                Ok(true)
            }
            other => other,
        }
    }

    /// Whether an object of the list has more chunks than there are members to hold them.
    pub(super) fn is_too_wide(&self, key: &ObjectKey) -> bool {
        let others = lock(&self.live).len().saturating_sub(1);
        lock(&self.owner).info(key).is_some_and(|info| info.x > others)
    }

    async fn store(&self, key: ObjectKey, body: Bytes) -> Result<bool, ObjectError> {
        // The object, and x/(x-f) of it as chunks.
        let (x, f) = self.sizes();
        let coded = body.len() / (x - f).max(1) * x;
        let _room = self.room(body.len() + coded).await;
        let mut plan = self.plan(key, body.len() as u64, Instant::now() + self.patience).await?;
        let mut chunks = self.code(&plan, body.clone()).await?;
        let mut failures = Vec::new();
        loop {
            let step = match self.reserve(&plan, &chunks).await {
                // Left from a store of other content that never came to its end, for which only
                // the repository's config has a chance: it has a fixed name.
                Err(ObjectError::Conflict(_)) if self.is_leftover(&key) => {
                    self.remove_claimed(key).await?;
                    let until = Instant::now() + self.patience;
                    plan = self.plan(key, body.len() as u64, until).await?;
                    chunks = self.code(&plan, body.clone()).await?;
                    continue;
                }
                other => other?,
            };
            // A storer of its own time for each attempt: one that is silent leaves some to the next.
            let failed = self.deliver_all(&step, Instant::now() + self.attempt()).await?;
            let mut left = Vec::new();
            let mut moved = false;
            for failure in failed {
                match self.move_chunk(&mut plan, &failure, &mut failures).await {
                    Ok(()) => moved = true,
                    // Nobody else can take it: its storer must, with the group as witness.
                    Err(ObjectError::NotEnoughMembers { .. })
                        if failure.silent && self.assigner().is_some() =>
                    {
                        left.push(failure);
                    }
                    Err(error) => return Err(error),
                }
            }
            if moved {
                continue;
            }
            if !left.is_empty() {
                self.store_witnessed(key, &step.errands, &left).await?;
            }
            self.remember(key, &body, false);
            self.summary_changed();
            return Ok(true);
        }
    }

    /// How long one storer may take: all the patience there is if nobody else could take its chunk.
    fn attempt(&self) -> Duration {
        let others = lock(&self.live).len().saturating_sub(1);
        if others > self.sizes().0 { self.patience / 4 } else { self.patience }
    }

    /// Never readable, hence never acknowledged.
    fn is_leftover(&self, key: &ObjectKey) -> bool {
        lock(&self.owner).info(key).is_some_and(|info| !info.is_readable())
    }

    /// Whether a lease is over, so that a storer may have let go.
    fn has_lapsed(&self, key: &ObjectKey) -> bool {
        let now = self.clock.wall();
        let set = lock(&self.owner).lookup(key);
        set.is_some_and(|set| set.chunks.iter().any(|chunk| chunk.relies_until < now))
    }

    /// Waits for enough members, until the deadline.
    async fn plan(
        &self,
        key: ObjectKey,
        len: u64,
        deadline: Instant,
    ) -> Result<PutPlan, ObjectError> {
        loop {
            let candidates = self.candidates();
            let planned = lock(&self.owner).plan_put(self.clock.wall(), key, len, &candidates);
            match planned {
                Err(pib::Error::ContentDiffers(_)) if self.is_leftover(&key) => {
                    self.remove_claimed(key).await?;
                }
                Ok(plan) => return Ok(plan),
                Err(pib::Error::NotEnoughMembers { reached, needed }) => {
                    if Instant::now() >= deadline || self.is_too_wide(&key) {
                        let away = candidates.iter().filter(|candidate| !candidate.reachable);
                        let failures =
                            away.map(|c| format!("{} is away", self.name(c.slot))).collect();
                        return Err(ObjectError::NotEnoughMembers {
                            key,
                            reached,
                            needed,
                            failures,
                        });
                    }
                    sleep(RETRY).await;
                }
                Err(error) => return Err(from_core(key, error)),
            }
        }
    }

    /// Every other live member, with what it has left as far as this member knows.
    fn candidates(&self) -> Vec<Candidate> {
        let placed = self.summary();
        let up = self.up();
        let live = lock(&self.live).clone();
        let (own, known) = (lock(&self.owner).slot(), self.names.len());
        live.into_iter()
            .filter(|slot| *slot != own && usize::from(slot.0) < known)
            .map(|slot| Candidate {
                slot,
                quota_left_hint: self
                    .rules
                    .contribution_bytes
                    .saturating_sub(placed.bytes_at(slot)),
                reachable: up.contains(&slot),
            })
            .collect()
    }

    /// Members whose bulk link is up.
    pub(super) fn up(&self) -> Vec<Slot> {
        let peers = self.net.peer_status();
        peers.into_iter().filter(|peer| peer.bulk_up).map(|peer| peer.slot).collect()
    }

    async fn code(&self, plan: &PutPlan, body: Bytes) -> Result<Vec<Chunk>, ObjectError> {
        let maker = lock(&self.owner)
            .maker_for(plan.x(), plan.f)
            .map_err(|error| from_core(plan.key, error))?;
        let (key, stamp) = (plan.key, plan.stamp);
        let work = tokio::task::spawn_blocking(move || maker.chunks(key, stamp, &body));
        let chunks = work.await.map_err(|error| NodeError::Record {
            what: "own objects",
            detail: format!("coding stopped: {error}"),
        })?;
        chunks.map_err(|error| from_core(key, error))
    }

    /// The reservation is durable before a StoreInfo leaves.
    async fn reserve(&self, plan: &PutPlan, chunks: &[Chunk]) -> Result<ErrandStep, ObjectError> {
        let (mut step, ticket) = {
            let mut owner = lock(&self.owner);
            let mut step = owner
                .requests(self.clock.wall(), plan, chunks)
                .map_err(|error| from_core(plan.key, error))?;
            let ticket = self.enqueue(std::mem::take(&mut step.records));
            (step, ticket)
        };
        ticket.durable().await?;
        step.records.clear();
        Ok(step)
    }

    async fn deliver_all(
        &self,
        step: &ErrandStep,
        deadline: Instant,
    ) -> Result<Vec<Failure>, ObjectError> {
        let mut running: FuturesUnordered<_> = step
            .errands
            .iter()
            .map(|errand| {
                // Somebody who owes the group an answer is not waited for again.
                let slow = Instant::now() + SLOW_ATTEMPT;
                let until = if self.is_slow(errand.to) { slow.min(deadline) } else { deadline };
                async move { (errand, self.deliver(errand, until).await) }
            })
            .collect();
        let mut failed = Vec::new();
        while let Some((errand, outcome)) = running.next().await {
            if let Err(Undone { why, silent }) = outcome? {
                let Target::Chunk(id) = errand.target else { continue };
                failed.push(Failure { index: usize::from(id.index), slot: errand.to, why, silent });
            }
        }
        Ok(failed)
    }

    /// Gives a failed chunk to another member, or fails with everybody who did not take one.
    async fn move_chunk(
        &self,
        plan: &mut PutPlan,
        failure: &Failure,
        failures: &mut Vec<String>,
    ) -> Result<(), ObjectError> {
        failures.push(format!("{}: {}", self.name(failure.slot), failure.why));
        let candidates = self.candidates();
        let (records, ticket) = {
            let mut owner = lock(&self.owner);
            let now = self.clock.wall();
            match owner.replace(now, plan, failure.index, &candidates) {
                Ok(records) => (Ok(()), self.enqueue(records)),
                Err(error) => (Err(error), self.enqueue(Vec::new())),
            }
        };
        ticket.durable().await?;
        match records {
            Ok(()) => Ok(()),
            Err(pib::Error::NotEnoughMembers { reached, needed }) => {
                Err(ObjectError::NotEnoughMembers {
                    key: plan.key,
                    reached,
                    needed,
                    failures: std::mem::take(failures),
                })
            }
            Err(error) => Err(from_core(plan.key, error)),
        }
    }

    /// Sends one request until it is answered or the deadline passes. The inner error says in
    /// words why the storer did not do it.
    pub(super) async fn deliver(
        &self,
        errand: &Errand,
        deadline: Instant,
    ) -> Result<Result<(), Undone>, NodeError> {
        let head = Bytes::from(Request::store(&errand.info).head());
        loop {
            let slow = Duration::from_secs(errand.body.len() as u64 / SLOW_BYTES_S);
            let limit = (Instant::now() + ANSWER_MAX + slow).min(deadline);
            let wait = limit.saturating_duration_since(Instant::now());
            let parts = vec![head.clone(), errand.body.clone()];
            let answer = timeout_at(limit, self.net.request(errand.to, parts, wait)).await;
            let last = match answer {
                Ok(Ok(frame)) => match self.take_answer(errand, &frame).await? {
                    Answer::Done => return Ok(Ok(())),
                    Answer::Failed(why) => return Ok(Err(Undone { why, silent: false })),
                    Answer::Again(why) => why,
                },
                Ok(Err(error)) => error.to_string(),
                Err(_) => "did not answer in time".to_owned(),
            };
            if Instant::now() + RETRY >= deadline {
                return Ok(Err(Undone { why: last, silent: true }));
            }
            sleep_until(Instant::now() + RETRY).await;
        }
    }

    /// Checks an answer and enters it; the receipt is durable when this returns `Done`.
    pub(super) async fn take_answer(
        &self,
        errand: &Errand,
        frame: &Bytes,
    ) -> Result<Answer, NodeError> {
        let response = match Response::decode(frame) {
            Ok((response, _)) => response,
            Err(error) => {
                self.fault(errand.to, &error.to_string());
                return Ok(Answer::Failed("its answer is garbage".into()));
            }
        };
        if let Response::Unavailable(Unavailable::Busy | Unavailable::NotYet) = response {
            return Ok(Answer::Again("is busy".into()));
        }
        // A proof of fullness may cite very many statements.
        let (rules, roster, now) = (self.rules, self.roster.clone(), self.clock.wall());
        let info = errand.info.clone();
        let check = move || check_store(&rules, &roster, now, &info, response);
        let outcome =
            tokio::task::spawn_blocking(check).await.map_err(|error| NodeError::Record {
                what: "own objects",
                detail: format!("checking an answer stopped: {error}"),
            })?;
        let (applied, ticket) = {
            let mut owner = lock(&self.owner);
            let step = owner.apply(errand, outcome).map_err(|error| NodeError::Record {
                what: "own objects",
                detail: error.to_string(),
            })?;
            (step.applied, self.enqueue(step.records))
        };
        ticket.durable().await?;
        Ok(match applied {
            Applied::Held { .. } | Applied::Released => Answer::Done,
            Applied::Refused => Answer::Failed("has no space left by the rules".into()),
            Applied::Stale => Answer::Failed("answered something that is no longer wanted".into()),
            Applied::NoAnswer(fault) => {
                self.fault(errand.to, &fault.to_string());
                Answer::Failed(fault.to_string())
            }
            Applied::Evidence(evidence) => {
                self.promises.keep_evidence(&self.roster, &self.rules, *evidence).await?;
                Answer::Failed("broke the rules".into())
            }
            Applied::Contradiction { record, later } => {
                let earlier = self.promises.get(crate::store::promises::Table::Own, &record)?;
                let evidence =
                    earlier.and_then(|earlier| pib::owner::contradiction(&earlier, &later));
                if let Some(evidence) = evidence {
                    self.promises.keep_evidence(&self.roster, &self.rules, evidence).await?;
                }
                Answer::Failed("contradicted itself".into())
            }
        })
    }
}

/// Objects are named by the SHA-256 of their contents, but for the repository's config. A difference
/// is damage on the way here, which must not be stored as if it were the object.
fn is_named(key: ObjectKey, body: &[u8]) -> bool {
    use sha2::Digest;
    key.kind == ObjectKind::Config || sha2::Sha256::digest(body).as_slice() == key.id.as_bytes()
}

pub(super) enum Answer {
    Done,
    Failed(String),
    Again(String),
}
