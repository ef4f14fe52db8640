//! The owner's part of the upkeep.

use super::{Objects, lock};
use crate::error::NodeError;
use futures_util::FutureExt;
use futures_util::stream::{FuturesUnordered, StreamExt};
use pib::{Errand, ObjectKey};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;
use types::Slot;

/// Requests on their way to one storer at once.
const PARALLEL: usize = 4;
/// Withdrawals or renewed objects taken in one go.
const BATCH: usize = 256;
/// How long one request may take; the next round asks again.
const ANSWER: Duration = Duration::from_secs(10);
/// An interrupted store that nobody takes up again for so long after the start is given up.
const INTERRUPTED_MS: u64 = 10 * 60 * 1000;

impl Objects {
    /// Tells storers that are up what this member no longer needs.
    pub async fn deliver_withdrawals(&self) -> Result<(), NodeError> {
        // A removal is in the list as soon as it is decided, and may not be durable yet.
        self.promises.barrier().await?;
        for slot in self.up() {
            let mut after = None;
            loop {
                let errands = lock(&self.owner).withdrawals(slot, after, BATCH);
                let Some(last) = errands.last() else { break };
                after = Some(last.info.payload.name);
                if !self.send_all(&errands).await? {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Renews leases that are half over. No body is sent.
    pub async fn renew(&self) -> Result<(), NodeError> {
        let mut after = None;
        loop {
            let (step, ticket) = {
                let mut owner = lock(&self.owner);
                let due = owner.due_renewals(self.clock.wall(), after, BATCH);
                let mut step = due.map_err(|error| NodeError::Record {
                    what: "own objects",
                    detail: error.to_string(),
                })?;
                let ticket = self.enqueue(std::mem::take(&mut step.records));
                (step, ticket)
            };
            ticket.durable().await?;
            let Some(pib::Target::Chunk(last)) = step.errands.last().map(|errand| errand.target)
            else {
                return Ok(());
            };
            after = Some(last.object);
            let up = self.up();
            let errands: Vec<_> =
                step.errands.into_iter().filter(|errand| up.contains(&errand.to)).collect();
            self.send_all(&errands).await?;
            self.summary_changed();
        }
    }

    /// Whether all were done. Each storer has a queue of its own, which ends at its first failure:
    /// one that does not answer costs the others nothing and itself one wait.
    async fn send_all(&self, errands: &[Errand]) -> Result<bool, NodeError> {
        let mut queues: BTreeMap<Slot, Vec<&Errand>> = BTreeMap::new();
        for errand in errands {
            queues.entry(errand.to).or_default().push(errand);
        }
        let mut running = FuturesUnordered::new();
        for queue in queues.into_values() {
            running.push(self.send_queue(queue).boxed());
        }
        let mut all = true;
        while let Some(outcome) = running.next().await {
            all &= outcome?;
        }
        Ok(all)
    }

    async fn send_queue(&self, queue: Vec<&Errand>) -> Result<bool, NodeError> {
        for some in queue.chunks(PARALLEL) {
            let deadline = Instant::now() + ANSWER;
            let mut running = FuturesUnordered::new();
            for errand in some {
                running.push(self.deliver(errand, deadline).boxed());
            }
            let mut all = true;
            while let Some(outcome) = running.next().await {
                all &= outcome?.is_ok();
            }
            if !all {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Objects of which not every chunk is receipted: one that can be read is completed (its store
    /// was interrupted near the end, or it lost a chunk); one that never became readable is given
    /// up some time after the start, unless it is being stored right now.
    pub async fn finish_interrupted(&self) -> Result<(), NodeError> {
        let incomplete: Vec<_> = lock(&self.owner).incomplete().collect();
        for info in incomplete {
            if lock(&self.busy).contains(&info.key) {
                continue;
            }
            if info.is_readable() {
                // Nobody is left for the last chunks of what was coded for a larger group.
                if !self.is_too_wide(&info.key) && self.can_complete(&info.key) {
                    self.complete(info.key).await?;
                }
            } else if self.clock.mono().0 > INTERRUPTED_MS {
                self.give_up(info.key).await?;
            }
        }
        Ok(())
    }

    /// Whether those that were promised a chunk and have not answered can be asked now.
    fn can_complete(&self, key: &ObjectKey) -> bool {
        let up = self.up();
        let set = lock(&self.owner).lookup(key);
        set.is_some_and(|set| {
            let pending = |chunk: &&pib::ChunkRef| chunk.standing == pib::Standing::Pending;
            set.chunks.iter().filter(pending).all(|chunk| up.contains(&chunk.slot))
        })
    }

    /// Looked at again under the claim: a store that was taken up meanwhile may be complete by now.
    async fn give_up(&self, key: ObjectKey) -> Result<(), NodeError> {
        let _claim = self.claim(key).await;
        let readable = lock(&self.owner).info(&key).is_none_or(|info| info.is_readable());
        if readable || !self.never_stored(&key) {
            return Ok(());
        }
        tracing::info!(object = %key, "giving up an interrupted store");
        match self.remove_claimed(key).await {
            Err(super::ObjectError::Node(error)) => Err(error),
            _ => Ok(()),
        }
    }

    /// A store that was interrupted has pending chunks; one that lost its storers has vacant ones.
    fn never_stored(&self, key: &ObjectKey) -> bool {
        let set = lock(&self.owner).lookup(key);
        set.is_some_and(|set| {
            set.chunks.iter().any(|chunk| chunk.standing == pib::Standing::Pending)
        })
    }

    async fn complete(&self, key: ObjectKey) -> Result<(), NodeError> {
        let outcome = async {
            let body = self.get(key).await?;
            self.put(key, body).await
        };
        match outcome.await {
            Ok(_) => tracing::info!(object = %key, "completed an interrupted store"),
            Err(super::ObjectError::Node(error)) => return Err(error),
            Err(error) => tracing::debug!(%error, "an interrupted store waits"),
        }
        Ok(())
    }

    /// Releases reservations that no storer can still hold.
    pub async fn expire(&self) -> Result<(), NodeError> {
        let ticket = {
            let mut owner = lock(&self.owner);
            let records = owner.expire(self.clock.wall()).map_err(|error| NodeError::Record {
                what: "own objects",
                detail: error.to_string(),
            })?;
            self.enqueue(records)
        };
        ticket.durable().await
    }
}
