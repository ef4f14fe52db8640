//! How safe everything is, at a glance. Computed from the OwnList when asked for, at most every
//! few seconds, because it looks at every chunk.

use super::{Objects, lock};
use pib::owner::Standing;
use std::collections::BTreeMap;
use std::sync::Arc;
use types::{Slot, Stamp};

/// A summary may be this old, in milliseconds.
const AGE_MAX_MS: u64 = 5_000;

/// What is stored where.
#[derive(Debug, Clone, Default)]
pub struct Summary {
    /// Objects in the list.
    pub objects: u64,
    /// Objects of which not every chunk is receipted.
    pub incomplete: u64,
    /// When the first lease ends.
    pub first_lease_end: Option<Stamp>,
    bytes_at: BTreeMap<Slot, u64>,
    /// Which members hold a chunk (a bit each), and how many chunks suffice: how many objects.
    spread: BTreeMap<(u64, usize), u64>,
}

impl Summary {
    /// Bytes that a member holds for this one.
    pub fn bytes_at(&self, slot: Slot) -> u64 {
        self.bytes_at.get(&slot).copied().unwrap_or(0)
    }
}

/// The last summary, and when it was made.
#[derive(Default)]
pub(super) struct Cached {
    made_ms: Option<u64>,
    cost_ms: u64,
    summary: Arc<Summary>,
}

impl Objects {
    /// The summary; at most a few seconds old.
    pub fn summary(&self) -> Arc<Summary> {
        let now = self.clock.mono().0;
        let mut cached = lock(&self.summary);
        if cached.made_ms.is_none_or(|made| now >= made + AGE_MAX_MS.max(50 * cached.cost_ms)) {
            cached.summary = Arc::new(self.summarize());
            cached.cost_ms = self.clock.mono().0 - now;
            cached.made_ms = Some(now);
        }
        cached.summary.clone()
    }

    /// The next summary is made anew, if the last one is not from just now.
    pub(super) fn summary_changed(&self) {
        let now = self.clock.mono().0;
        let mut cached = lock(&self.summary);
        // However many objects there are, it takes a small share of the time.
        let age_min = (AGE_MAX_MS / 10).max(50 * cached.cost_ms);
        if cached.made_ms.is_some_and(|made| now > made + age_min) {
            cached.made_ms = None;
        }
    }

    fn summarize(&self) -> Summary {
        let now = self.clock.wall();
        let owner = lock(&self.owner);
        let mut summary = Summary::default();
        for set in owner.sets() {
            let mut holders = 0u64;
            summary.objects += 1;
            for chunk in set.chunks.iter().filter(|chunk| chunk.standing == Standing::Held) {
                if chunk.relies_until >= now {
                    holders |= 1 << chunk.slot.0;
                }
                *summary.bytes_at.entry(chunk.slot).or_default() += chunk.size.0;
                let end = summary.first_lease_end.get_or_insert(chunk.relies_until);
                *end = (*end).min(chunk.relies_until);
            }
            if holders.count_ones() as usize != set.chunks.len() {
                summary.incomplete += 1;
            }
            *summary.spread.entry((holders, set.chunks.len() - set.f)).or_default() += 1;
        }
        summary
    }

    /// How many more members may be lost before an object cannot be read, if those that are
    /// not `up` are lost already. Negative: an object cannot be read now.
    pub fn can_lose(&self, up: &[Slot]) -> i64 {
        let up = up.iter().fold(0u64, |bits, slot| bits | 1 << slot.0);
        let summary = self.summary();
        let least = summary
            .spread
            .keys()
            .map(|(holders, needed)| i64::from((holders & up).count_ones()) - *needed as i64);
        least.min().unwrap_or(self.sizes().1 as i64)
    }

    /// Bytes held, bytes reserved, and withdrawals that are not confirmed.
    pub fn totals(&self) -> (pib::Totals, u64) {
        let owner = lock(&self.owner);
        (owner.totals(), owner.withdrawals_open() as u64)
    }
}
