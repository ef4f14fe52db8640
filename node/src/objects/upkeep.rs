//! The owner's part of the upkeep.

use super::{Objects, lock};
use crate::error::NodeError;
use futures_util::FutureExt;
use futures_util::stream::{FuturesUnordered, StreamExt};
use pib::{Errand, ObjectKey};
use std::time::Duration;
use tokio::time::Instant;

/// Requests on their way at once.
const PARALLEL: usize = 16;
/// Withdrawals or renewed objects taken in one go.
const BATCH: usize = 256;
/// How long one request may take; the next round asks again.
const ANSWER: Duration = Duration::from_secs(10);
/// An interrupted store that nobody takes up again for so long after the start is given up.
const INTERRUPTED_MS: u64 = 10 * 60 * 1000;

impl Objects {
    /// Tells storers that are up what this member no longer needs.
    pub async fn deliver_withdrawals(&self) -> Result<(), NodeError> {
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

    /// Whether all were done.
    async fn send_all(&self, errands: &[Errand]) -> Result<bool, NodeError> {
        let deadline = Instant::now() + ANSWER;
        let mut all = true;
        for some in errands.chunks(PARALLEL) {
            let mut running = FuturesUnordered::new();
            for errand in some {
                running.push(self.deliver(errand, deadline).boxed());
            }
            while let Some(outcome) = running.next().await {
                all &= outcome?.is_ok();
            }
        }
        Ok(all)
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
                self.complete(info.key).await?;
            } else if self.clock.mono().0 > INTERRUPTED_MS && self.never_stored(&info.key) {
                tracing::info!(object = %info.key, "giving up an interrupted store");
                if let Err(error) = self.remove(info.key).await {
                    tracing::warn!(%error, "an interrupted store is not given up");
                }
            }
        }
        Ok(())
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
