//! Probabilistic consistent broadcast (algorithm 8): a member delivers what it echoed when enough of
//! its sample echo the same.

use std::collections::{BTreeMap, BTreeSet};
use types::{Hash, Slot};

/// The echo layer of one instance.
#[derive(Debug, Clone)]
pub struct Echo {
    sample: BTreeSet<Slot>,
    threshold: usize,
    /// At most all members.
    subscribers: BTreeSet<Slot>,
    echo: Option<Hash>,
    /// The first reply of each member of the sample (line 40).
    replies: BTreeMap<Slot, Hash>,
    delivered: bool,
}

impl Echo {
    /// Line 19.
    pub fn new(sample: BTreeSet<Slot>, threshold: usize) -> Self {
        Self {
            sample,
            threshold,
            subscribers: BTreeSet::new(),
            echo: None,
            replies: BTreeMap::new(),
            delivered: false,
        }
    }

    /// Lines 21 to 26: the echo that a late subscriber is sent at once.
    pub fn subscribed(&mut self, peer: Slot) -> Option<Hash> {
        self.subscribers.insert(peer);
        self.echo
    }

    /// Lines 31 to 36: the gossip layer delivered. It does so once, so a member echoes once.
    pub fn echo(&mut self, digest: Hash) -> Vec<Slot> {
        assert!(self.echo.is_none(), "the gossip layer delivers once");
        self.echo = Some(digest);
        self.subscribers.iter().copied().collect()
    }

    /// Lines 39 to 41. Whether the peer contradicted its earlier reply.
    pub fn reply(&mut self, peer: Slot, digest: Hash) -> bool {
        if !self.sample.contains(&peer) {
            return false;
        }
        *self.replies.entry(peer).or_insert(digest) != digest
    }

    /// Lines 44 to 47: what is delivered now.
    pub fn delivery(&mut self) -> Option<Hash> {
        let echo = self.echo?;
        let count = self.replies.values().filter(|reply| **reply == echo).count();
        if self.delivered || count < self.threshold {
            return None;
        }
        self.delivered = true;
        Some(echo)
    }
}
