//! Storers that do not answer on the direct path get their work from the group (specification 7.2, 7.3; 6.1).
//!
//! Guarantees: 1. an object counts as stored when all its chunks are receipted but for at most `f`, each of which is in
//! the log as the work of its storer: the group is the witness, and who stays silent is convicted; 2. an answer is
//! checked by the code of the direct path; 3. somebody who owes one such answer is not waited for again.

use super::error::ObjectError;
use super::get::Miss;
use super::put::Failure;
use super::{Objects, lock};
use crate::error::NodeError;
use crate::work::{Assigner, Stage};
use bytes::Bytes;
use pib::assigned::{self, KIND_SIGNED};
use pib::owner::{ChunkSet, Fetch};
use pib::{ChunkRef, Errand, ObjectKey, Part, Response};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

/// How long the direct path to somebody who owes an answer is tried.
pub(super) const SLOW_ATTEMPT: Duration = Duration::from_secs(1);

impl Objects {
    /// Level 1, if the group has it.
    pub(super) fn assigner(&self) -> Option<&Arc<Assigner>> {
        self.assigner.as_ref()
    }

    pub(super) fn is_slow(&self, slot: types::Slot) -> bool {
        self.assigner().is_some_and(|assigner| assigner.is_slow(slot))
    }

    /// The chunks that nobody took: assigned to their storers. The error names those that refuse.
    pub(super) async fn store_witnessed(
        &self,
        key: ObjectKey,
        errands: &[Errand],
        failed: &[Failure],
    ) -> Result<(), ObjectError> {
        let f = lock(&self.owner).lookup(&key).map_or(0, |set| set.f);
        let silent = failed.iter().all(|failure| failure.silent);
        let Some(assigner) = self.assigner().filter(|_| silent && failed.len() <= f) else {
            return Err(self.not_taken(key, errands, failed));
        };
        let deadline = Instant::now() + self.patience;
        for failure in failed {
            let of = |errand: &&Errand| {
                matches!(errand.target, pib::Target::Chunk(id) if usize::from(id.index) == failure.index)
                    && errand.to == failure.slot
            };
            let Some(errand) = errands.iter().find(of) else { continue };
            if assigner.is_slow(errand.to) {
                continue;
            }
            let expires = assigner.expires(self.clock.wall());
            let work = assigned::store(&errand.info, &errand.body, expires);
            let without = Errand { body: Bytes::new(), ..errand.clone() };
            let stage = match work {
                Some(work) => assigner.assign(errand.to, work, Some(without)).await,
                None => None,
            };
            let Some(mut stage) = stage else {
                return Err(self.not_taken(key, errands, failed));
            };
            // A chunk that is too large for the log keeps coming over the direct link meanwhile.
            let direct = self.deliver(errand, deadline);
            let settled = tokio::select! {
                settled = settled(&mut stage, deadline) => settled,
                direct = direct => match direct? {
                    Ok(()) => continue,
                    Err(_) => stage.borrow().clone(),
                },
            };
            match settled {
                Stage::Answered(KIND_SIGNED, ..) => {
                    if let Err(why) = self.take_assigned(errand, &settled).await? {
                        tracing::warn!(
                            peer = self.name(errand.to),
                            why,
                            "assigned work is answered otherwise"
                        );
                        return Err(self.not_taken(key, errands, failed));
                    }
                }
                Stage::Assigned | Stage::Denied => {
                    tracing::warn!(object = %key, peer = self.name(errand.to), "stored but for the chunk of a slow member, with the group as witness");
                }
                Stage::Answered(..) | Stage::Submitted | Stage::Refused(_) => {
                    return Err(self.not_taken(key, errands, failed));
                }
            }
        }
        Ok(())
    }

    fn not_taken(&self, key: ObjectKey, errands: &[Errand], failed: &[Failure]) -> ObjectError {
        let say = |one: &Failure| format!("{}: {}", self.name(one.slot), one.why);
        ObjectError::NotEnoughMembers {
            key,
            reached: errands.len().saturating_sub(failed.len()),
            needed: errands.len(),
            failures: failed.iter().map(say).collect(),
        }
    }

    /// Enters an assigned answer to a store; why it is none is the inner error.
    pub(crate) async fn take_assigned(
        &self,
        errand: &Errand,
        stage: &Stage,
    ) -> Result<Result<(), String>, NodeError> {
        let Stage::Answered(KIND_SIGNED, fields, _) = stage else {
            return Ok(Err("it cannot take the chunk".into()));
        };
        let taken = self.take_answer(errand, &Bytes::from(fields.clone())).await?;
        self.summary_changed();
        Ok(match taken {
            super::put::Answer::Done => Ok(()),
            super::put::Answer::Failed(why) | super::put::Answer::Again(why) => Err(why),
        })
    }

    /// Has the group make a storer return a part of a chunk that it promised; waits until `deadline`.
    pub(super) async fn fetch_witnessed(
        &self,
        chunk: ChunkRef,
        fetch: Fetch,
        deadline: Instant,
    ) -> Result<Result<Bytes, Miss>, ObjectError> {
        let none = |why: &str| Ok(Err(Miss::other(why)));
        let Some(assigner) = self.assigner() else { return none("did not answer") };
        let work = assigned::retrieve(&fetch.request, assigner.expires(self.clock.wall()));
        let Some(work) = work else { return none("the chunk is too large to be assigned") };
        let Some(mut stage) = assigner.assign(chunk.slot, work, None).await else {
            return none("too much is assigned already");
        };
        match settled(&mut stage, deadline).await {
            Stage::Answered(KIND_SIGNED, fields, body) => {
                let Ok((response, _)) = Response::decode(&Bytes::from(fields)) else {
                    return none("its assigned answer is garbage");
                };
                self.check_fetched(chunk, fetch, response, Bytes::from(body)).await
            }
            Stage::Denied => none("the group waited in vain as well"),
            _ => none("slow: the group is the witness"),
        }
    }

    /// The chunks that are missing for an object, from members that are there but silent: with the group as witness.
    pub(super) async fn round_witnessed(
        &self,
        set: &ChunkSet,
        bodies: &mut [Option<Bytes>],
    ) -> Result<(), ObjectError> {
        let (up, deadline) = (self.up(), Instant::now() + self.patience);
        for chunk in &set.chunks {
            let have = bodies[usize::from(chunk.chunk.index)].is_some();
            let promised = chunk.standing == pib::Standing::Held && up.contains(&chunk.slot);
            if have || !promised || chunk.size.0 > assigned::WHOLE_MAX {
                continue;
            }
            let Ok(fetch) = self.prepare(*chunk, Part::Whole).await? else { continue };
            if let Ok(body) = self.fetch_witnessed(*chunk, fetch, deadline).await? {
                bodies[usize::from(chunk.chunk.index)] = Some(body);
            }
        }
        Ok(())
    }

    /// A storer that is late with a chunk: asked for a slice directly, then by the group. One that owes an answer
    /// already is left alone.
    pub(super) fn suspect(&self, chunk: ChunkRef) {
        if self.assigner().is_none() || self.is_slow(chunk.slot) {
            return;
        }
        let Some(objects) = self.myself.upgrade() else { return };
        if !lock(&self.suspected).insert(chunk.slot) {
            return;
        }
        tokio::spawn(async move {
            let part = Part::Slice { start: 0 };
            let until = Instant::now() + objects.patience;
            let direct = timeout_at(until, objects.fetch_part(chunk, part)).await;
            let silent = match &direct {
                Err(_) => true,
                Ok(Ok(Err(miss))) => miss.silent,
                Ok(_) => false,
            };
            if silent
                && objects.up().contains(&chunk.slot)
                && let Ok(Ok(fetch)) = objects.prepare(chunk, part).await
            {
                let deadline = Instant::now() + objects.patience;
                let outcome = objects.fetch_witnessed(chunk, fetch, deadline).await;
                tracing::debug!(
                    peer = objects.name(chunk.slot),
                    ok = matches!(outcome, Ok(Ok(_))),
                    "a slice was assigned"
                );
            }
            lock(&objects.suspected).remove(&chunk.slot);
        });
    }
}

/// Waits until work is answered, denied or refused; at the deadline, where it stands then.
async fn settled(stage: &mut watch::Receiver<Stage>, deadline: Instant) -> Stage {
    let ended = |stage: &Stage| !matches!(stage, Stage::Submitted | Stage::Assigned);
    let _ = timeout_at(deadline, stage.wait_for(ended)).await;
    stage.borrow().clone()
}
