//! Probabilistic broadcast (algorithm 6): a message spreads along random links, both ways.

use crate::broadcast::Payload;
use std::collections::BTreeSet;
use types::Slot;

/// The gossip layer of one instance.
#[derive(Debug, Clone)]
pub struct Gossip {
    /// Own sample and those who subscribed (lines 12 and 22): at most all members.
    links: BTreeSet<Slot>,
    delivered: Option<Payload>,
}

impl Gossip {
    /// Line 12.
    pub fn new(sample: BTreeSet<Slot>) -> Self {
        Self { links: sample, delivered: None }
    }

    /// Lines 17 to 22: what the new link is sent at once.
    pub fn subscribed(&mut self, peer: Slot) -> Option<Payload> {
        self.links.insert(peer);
        self.delivered.clone()
    }

    /// Lines 32 to 40, for an admitted payload: whom to tell, if it is the first.
    pub fn dispatch(&mut self, payload: &Payload) -> Option<Vec<Slot>> {
        if self.delivered.is_some() {
            return None;
        }
        self.delivered = Some(payload.clone());
        Some(self.links.iter().copied().collect())
    }

    /// What was delivered to the layer above.
    pub fn delivered(&self) -> Option<&Payload> {
        self.delivered.as_ref()
    }
}
