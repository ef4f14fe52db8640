//! Whether storers still have what they promised, and placing again what they lost (specification 7.8, 7.9).
//!
//! At random moments each storer that is up is asked for a random 1 KiB of a random chunk, which proves
//! itself against the digest that this member signed. What a storer lost, by its own unsigned word or by
//! ours, is placed again: the chunk is withdrawn there, and the upkeep completes the object from the others.
//!
//! Assumes: at most `f` chunks of an object are lost before they are placed again. Guarantees: 1. a chunk is
//! withdrawn only after its object was read without it; 2. silence withdraws nothing: an outage makes no
//! traffic here, leases decide about it. Bounds: [`LOST_MAX`] chunks known as lost, [`MEND_MAX`] placed again
//! in a round, and a storer that loses a chunk again gets it again at most once in [`AGAIN_MS`].

use super::{Objects, lock};
use crate::error::NodeError;
use pib::{ChunkId, ChunkRef, Part};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use types::Slot;

/// Chunks known as lost and not placed again yet; what does not fit is found again.
const LOST_MAX: usize = 4096;
/// Chunks placed again in one round: repair never crowds out what members ask for.
const MEND_MAX: usize = 64;
/// Further checks that each failure brings: who lost one chunk may have lost more.
const CHECKS_AFTER_FAILURE: usize = 8;
/// Checks of one storer in one round.
const CHECKS_MAX: usize = 256;
/// A chunk that one storer lost twice within this time stays lost there until it is over.
const AGAIN_MS: u64 = 24 * 3_600_000;

/// What the possession checks have shown since the daemon started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PossessionCounts {
    /// Slices that proved themselves.
    pub passed: u64,
    /// Slices that did not, and chunks that a storer said it does not have.
    pub failed: u64,
    /// Chunks withdrawn from a storer that lost them, to be placed again.
    pub mended: u64,
}

/// The part of the service that knows what is lost.
#[derive(Debug)]
pub(super) struct Possession {
    mean_ms: u64,
    passed: AtomicU64,
    failed: AtomicU64,
    mended: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// When the last round of checks was, by the uptime clock.
    checked_ms: Option<u64>,
    lost: VecDeque<(ChunkId, Slot)>,
    /// When a chunk was withdrawn from a storer because it had lost it.
    mended_at: BTreeMap<(ChunkId, Slot), u64>,
}

impl Possession {
    /// Checks of each storer at random moments, `mean_ms` apart on average.
    pub(super) fn new(mean_ms: u64) -> Self {
        let (passed, failed, mended) = Default::default();
        Self { mean_ms, passed, failed, mended, state: Mutex::default() }
    }

    /// Notes that a storer does not have a chunk.
    pub(super) fn lost(&self, chunk: ChunkRef) {
        let mut state = lock(&self.state);
        let entry = (chunk.chunk, chunk.slot);
        if state.lost.len() < LOST_MAX && !state.lost.contains(&entry) {
            state.lost.push_back(entry);
        }
    }

    /// The chance that a storer is checked now: 1 - exp(-elapsed / mean), without memory, so that
    /// nobody can foresee it and nothing needs to be remembered over a restart.
    fn chance(&self, now_ms: u64) -> f64 {
        let last = lock(&self.state).checked_ms.replace(now_ms).unwrap_or(now_ms);
        -(-(now_ms.saturating_sub(last) as f64) / self.mean_ms as f64).exp_m1()
    }
}

fn random() -> Result<u64, NodeError> {
    getrandom::u64().map_err(|error| NodeError::Record {
        what: "randomness",
        detail: format!("the system gives none: {error}"),
    })
}

impl Objects {
    /// What the checks have shown so far.
    pub fn possession(&self) -> PossessionCounts {
        PossessionCounts {
            passed: self.possession.passed.load(Ordering::Relaxed),
            failed: self.possession.failed.load(Ordering::Relaxed),
            mended: self.possession.mended.load(Ordering::Relaxed),
        }
    }

    /// The mean time between two checks of one storer.
    pub fn check_mean(&self) -> Duration {
        Duration::from_millis(self.possession.mean_ms)
    }

    /// Asks some of the storers that are up for a random slice each, and those that fail for more.
    pub async fn check_possession(&self) -> Result<(), NodeError> {
        let chance = self.possession.chance(self.clock.mono().0);
        for slot in self.up() {
            // 53 random bits are a fraction between 0 and 1.
            if (random()? >> 11) as f64 / (1_u64 << 53) as f64 >= chance {
                continue;
            }
            let mut left = 1;
            let mut asked = BTreeSet::new();
            while left > 0 && asked.len() < CHECKS_MAX {
                left -= 1;
                let drawn = lock(&self.owner).draw(slot, random()?);
                let Some((chunk, start)) = drawn else { break };
                if asked.insert(chunk.chunk) && !self.has_slice(chunk, start).await? {
                    left += CHECKS_AFTER_FAILURE;
                }
            }
        }
        Ok(())
    }

    /// False if the storer lost the chunk.
    async fn has_slice(&self, chunk: ChunkRef, start: u64) -> Result<bool, NodeError> {
        match self.fetch_part(chunk, Part::Slice { start }).await {
            Ok(Ok(_)) => {
                self.possession.passed.fetch_add(1, Ordering::Relaxed);
                Ok(true)
            }
            Ok(Err(miss)) if miss.lost => {
                self.possession.failed.fetch_add(1, Ordering::Relaxed);
                Ok(false)
            }
            Err(super::ObjectError::Node(error)) => Err(error),
            // Away or busy: that says nothing about the chunk.
            Ok(Err(_)) | Err(_) => Ok(true),
        }
    }

    /// Withdraws chunks from storers that lost them, so that they are placed again. Returns how many.
    pub async fn mend(&self) -> Result<usize, NodeError> {
        let mut mended = 0;
        for _ in 0..MEND_MAX {
            let Some((chunk, slot)) = lock(&self.possession.state).lost.pop_front() else { break };
            mended += usize::from(self.mend_one(chunk, slot).await?);
        }
        if mended > 0 {
            self.summary_changed();
        }
        Ok(mended)
    }

    async fn mend_one(&self, id: ChunkId, slot: Slot) -> Result<bool, NodeError> {
        let now_ms = self.clock.mono().0;
        {
            let mut state = lock(&self.possession.state);
            state.mended_at.retain(|_, at| now_ms < at.saturating_add(AGAIN_MS));
            if state.mended_at.contains_key(&(id, slot)) || state.mended_at.len() >= LOST_MAX {
                return Ok(false);
            }
        }
        // Only what can be read without this chunk is given up there.
        if let Err(error) = self.get(id.object).await {
            tracing::warn!(object = %id.object, %error, "a lost chunk cannot be made anew now");
            return Ok(false);
        }
        let _claim = self.claim(id.object).await;
        let ticket = {
            let mut owner = lock(&self.owner);
            let given_up = owner.give_up_chunk(self.clock.wall(), id, slot);
            match given_up.map_err(|error| NodeError::Record {
                what: "own objects",
                detail: error.to_string(),
            })? {
                Some(records) => self.enqueue(records),
                None => return Ok(false),
            }
        };
        ticket.durable().await?;
        lock(&self.possession.state).mended_at.insert((id, slot), now_ms);
        self.possession.mended.fetch_add(1, Ordering::Relaxed);
        tracing::info!(object = %id.object, peer = self.name(slot), "a lost chunk is placed again");
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chance_of_a_check_follows_the_time_since_the_last_round() {
        let possession = Possession::new(1000);
        assert_eq!(possession.chance(5000), 0.0, "nothing is known before the first round");
        let one = possession.chance(6000);
        assert!((one - (1.0 - (-1.0_f64).exp())).abs() < 1e-12, "{one}");
        assert!(possession.chance(6010) < 0.011);
        assert_eq!(possession.chance(6010), 0.0);
        assert!(possession.chance(100_000) > 0.999_999);
    }
}
