//! Deadlines in uptime: a wait counts only while we run and the peer can reach us (specification 6.1, issue W5).
//!
//! One counter a peer; a deadline is a reading of it. Guarantees: (1) the time in which we were away, or in which the
//! gate between the two was shut, never makes a peer late; (2) after a crash the counter goes on from the last
//! reading that was saved, so a crash only puts deadlines off. Bounds: one record a peer and [`SAVE_MS`].

use std::collections::BTreeMap;
use types::{Millis, Slot};

/// How much counted time a crash may forget.
pub const SAVE_MS: u64 = 60_000;

#[derive(Debug, Clone, Copy, Default)]
struct Counter {
    total_ms: u64,
    since: Option<Millis>,
    saved_ms: u64,
}

/// The counters.
#[derive(Debug, Clone, Default)]
pub(crate) struct Uptime {
    peers: BTreeMap<Slot, Counter>,
}

impl Uptime {
    /// The gate between a peer and us opens or shuts.
    pub(crate) fn gate(&mut self, now: Millis, peer: Slot, open: bool) {
        let counter = self.peers.entry(peer).or_default();
        if let Some(since) = counter.since {
            counter.total_ms = counter.total_ms.saturating_add(now.since(since));
        }
        counter.since = open.then_some(now);
    }

    /// The reading for a peer.
    pub(crate) fn read(&self, now: Millis, peer: Slot) -> u64 {
        self.peers.get(&peer).map_or(0, |counter| {
            let running = counter.since.map_or(0, |since| now.since(since));
            counter.total_ms.saturating_add(running)
        })
    }

    /// Peers whose counters have moved by [`SAVE_MS`] since they were saved.
    pub(crate) fn take_unsaved(&mut self, now: Millis) -> Vec<Slot> {
        let peers: Vec<Slot> = self.peers.keys().copied().collect();
        let moved = |peer: &Slot| {
            let saved = self.peers.get(peer).map_or(0, |counter| counter.saved_ms);
            self.read(now, *peer).saturating_sub(saved) >= SAVE_MS
        };
        let moved: Vec<Slot> = peers.into_iter().filter(moved).collect();
        for peer in &moved {
            let reading = self.read(now, *peer);
            if let Some(counter) = self.peers.get_mut(peer) {
                counter.saved_ms = reading;
            }
        }
        moved
    }

    /// What is saved for a peer.
    pub(crate) fn saved(&self, peer: Slot) -> u64 {
        self.peers.get(&peer).map_or(0, |counter| counter.saved_ms)
    }

    /// A saved reading comes back; the gate is shut until it is said to be open.
    pub(crate) fn restore(&mut self, peer: Slot, saved_ms: u64) {
        self.peers.insert(peer, Counter { total_ms: saved_ms, since: None, saved_ms });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: Slot = Slot(3);

    #[test]
    fn time_with_a_shut_gate_does_not_count() {
        let mut uptime = Uptime::default();
        uptime.gate(Millis(1000), PEER, true);
        uptime.gate(Millis(1500), PEER, false);
        assert_eq!(uptime.read(Millis(9000), PEER), 500);
        uptime.gate(Millis(9000), PEER, true);
        // Said again, it is not counted twice.
        uptime.gate(Millis(9200), PEER, true);
        assert_eq!(uptime.read(Millis(9300), PEER), 800);
        assert_eq!(uptime.read(Millis(9300), Slot(1)), 0);
    }

    #[test]
    fn reading_after_a_crash_is_never_ahead_of_the_true_one() {
        let mut uptime = Uptime::default();
        uptime.gate(Millis(0), PEER, true);
        assert!(uptime.take_unsaved(Millis(SAVE_MS - 1)).is_empty());
        assert_eq!(uptime.take_unsaved(Millis(SAVE_MS + 5)), [PEER]);
        let saved = uptime.saved(PEER);
        let mut again = Uptime::default();
        again.restore(PEER, saved);
        assert_eq!(again.read(Millis(1 << 40), PEER), SAVE_MS + 5);
    }
}
