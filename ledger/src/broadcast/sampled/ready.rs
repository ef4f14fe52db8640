//! Probabilistic secure broadcast (algorithm 9): readiness spreads like a contagion; a member delivers
//! when its delivery sample shows that it has spread far enough.
//!
//! Deviations: line 60 reads an undefined `echo`; what is delivered is the message that reached the
//! threshold. The set `ready` is capped at [`READY_MAX`], and each peer's replies too: a peer could
//! otherwise make a member remember, and resend, without bound. The message of the member's own echo
//! layer is always taken. Infection by others takes one place only: an infection with a message that no
//! honest member delivered from its echo layer has a chance below epsilon already.

use std::collections::{BTreeMap, BTreeSet};
use types::{Hash, Slot};

/// Messages that one member is ready for, and replies that are kept of one peer.
pub const READY_MAX: usize = 2;

/// The ready layer of one instance.
#[derive(Debug, Clone)]
pub struct Ready {
    ready_sample: BTreeSet<Slot>,
    ready_threshold: usize,
    delivery_sample: BTreeSet<Slot>,
    delivery_threshold: usize,
    /// At most all members.
    subscribers: BTreeSet<Slot>,
    own: Option<Hash>,
    infected: Option<Hash>,
    replies: BTreeMap<Slot, BTreeSet<Hash>>,
    delivered: Option<Hash>,
}

impl Ready {
    /// Lines 21 and 22.
    pub fn new(
        (ready_sample, ready_threshold): (BTreeSet<Slot>, usize),
        (delivery_sample, delivery_threshold): (BTreeSet<Slot>, usize),
    ) -> Self {
        Self {
            ready_sample,
            ready_threshold,
            delivery_sample,
            delivery_threshold,
            subscribers: BTreeSet::new(),
            own: None,
            infected: None,
            replies: BTreeMap::new(),
            delivered: None,
        }
    }

    /// What this member is ready for.
    pub fn ready(&self) -> BTreeSet<Hash> {
        self.own.into_iter().chain(self.infected).collect()
    }

    /// Lines 24 to 28: what a late subscriber is sent at once.
    pub fn subscribed(&mut self, peer: Slot) -> BTreeSet<Hash> {
        self.subscribers.insert(peer);
        self.ready()
    }

    fn tell(&self) -> Vec<Slot> {
        self.subscribers.iter().copied().collect()
    }

    /// Lines 33 to 38: the echo layer delivered. Whom to tell, if this is new.
    pub fn own(&mut self, digest: Hash) -> Option<Vec<Slot>> {
        let new = !self.ready().contains(&digest);
        self.own = Some(digest);
        new.then(|| self.tell())
    }

    /// Lines 41 to 50. Whether the peer said more than an honest one does.
    pub fn reply(&mut self, peer: Slot, digest: Hash) -> bool {
        if !self.ready_sample.contains(&peer) && !self.delivery_sample.contains(&peer) {
            return false;
        }
        let replies = self.replies.entry(peer).or_default();
        if replies.len() == READY_MAX && !replies.contains(&digest) {
            return true;
        }
        replies.insert(digest);
        false
    }

    fn count(&self, sample: &BTreeSet<Slot>, digest: Hash) -> usize {
        let said = |slot: &&Slot| self.replies.get(slot).is_some_and(|set| set.contains(&digest));
        sample.iter().filter(said).count()
    }

    /// Lines 52 to 56, after a reply for `digest`: whom to tell that this member is ready too.
    pub fn contagion(&mut self, digest: Hash) -> Option<Vec<Slot>> {
        let enough = self.count(&self.ready_sample, digest) >= self.ready_threshold;
        if !enough || self.infected.is_some() || self.own == Some(digest) {
            return None;
        }
        self.infected = Some(digest);
        Some(self.tell())
    }

    /// Lines 58 to 61, after a reply for `digest`: whether it is delivered now.
    pub fn delivery(&mut self, digest: Hash) -> bool {
        let enough = self.count(&self.delivery_sample, digest) >= self.delivery_threshold;
        if !enough || self.delivered.is_some() {
            return false;
        }
        self.delivered = Some(digest);
        true
    }

    /// What was delivered.
    pub fn delivered(&self) -> Option<Hash> {
        self.delivered
    }

    /// Takes back what was written down. A member that sampled itself hears itself again.
    pub fn restore(
        &mut self,
        own: Option<Hash>,
        infected: Option<Hash>,
        delivered: Option<Hash>,
        me: Slot,
    ) {
        self.own = self.own.or(own);
        self.infected = self.infected.or(infected);
        self.delivered = self.delivered.or(delivered);
        if self.subscribers.contains(&me) {
            for digest in self.ready() {
                self.reply(me, digest);
            }
        }
    }
}
