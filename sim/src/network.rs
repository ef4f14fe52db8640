//! Links between members: delays, order, loss, cuts.
//!
//! A link is up while nothing blocks it (a drop, a partition, an end that is down). Each time it
//! comes up it has a new generation; messages of an older generation are lost, as on a broken
//! connection. Losses without any notice exist too, before stabilisation.

use crate::plan::Plan;
use crate::rng::Random;
use types::Slot;

/// Upper bound of a delay before stabilisation, and of the delivery of what was sent then.
pub const WILD_DELAY_MS: u64 = 40_000;

#[derive(Debug, Clone, Copy)]
struct Link {
    blockers: u32,
    generation: u32,
}

/// All links of a group.
#[derive(Debug)]
pub struct Network {
    n: usize,
    links: Vec<Link>,
    /// Last delivery of each ordered pair, for links that keep order.
    last_ms: Vec<u64>,
    delays_ms: Vec<u64>,
    reorder: bool,
    loss_per_mille: u64,
    stable_from_ms: u64,
    rng: Random,
}

/// When a message arrives, and over which connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Passage {
    /// Virtual time of the delivery.
    pub at_ms: u64,
    /// The connection; if it is gone by then, the message is lost.
    pub generation: u32,
}

impl Network {
    /// The links of a plan, all up.
    pub fn new(nodes: usize, plan: &Plan, rng: Random) -> Self {
        Self {
            n: nodes,
            links: vec![Link { blockers: 0, generation: 1 }; nodes * nodes],
            last_ms: vec![0; nodes * nodes],
            delays_ms: plan.delays_ms.clone(),
            reorder: plan.reorder,
            loss_per_mille: plan.loss_per_mille,
            stable_from_ms: plan.stable_from_ms,
            rng,
        }
    }

    fn pair(&self, a: Slot, b: Slot) -> usize {
        let (low, high) = (a.min(b), a.max(b));
        usize::from(low.0) * self.n + usize::from(high.0)
    }

    /// Whether messages pass.
    pub fn is_up(&self, a: Slot, b: Slot) -> bool {
        self.links[self.pair(a, b)].blockers == 0
    }

    /// Number of the current connection.
    pub fn generation(&self, a: Slot, b: Slot) -> u32 {
        self.links[self.pair(a, b)].generation
    }

    /// Adds a reason for the link to be down; true if it went down.
    pub fn block(&mut self, a: Slot, b: Slot) -> bool {
        let pair = self.pair(a, b);
        self.links[pair].blockers += 1;
        self.links[pair].blockers == 1
    }

    /// Takes a reason away; true if the link came up.
    pub fn unblock(&mut self, a: Slot, b: Slot) -> bool {
        let pair = self.pair(a, b);
        let link = &mut self.links[pair];
        assert!(link.blockers > 0, "a link is unblocked as often as it was blocked");
        link.blockers -= 1;
        if link.blockers == 0 {
            link.generation += 1;
        }
        link.blockers == 0
    }

    /// Hands a message to the link; `None` if it is lost.
    pub fn send(&mut self, now_ms: u64, from: Slot, to: Slot) -> Option<Passage> {
        if !self.is_up(from, to) {
            return None;
        }
        let stable = now_ms >= self.stable_from_ms;
        if !stable && self.rng.per_mille(self.loss_per_mille) {
            return None;
        }
        let delay = self.delay(from, to, stable);
        let ordered = usize::from(from.0) * self.n + usize::from(to.0);
        let mut at_ms = now_ms + delay;
        if !self.reorder {
            at_ms = at_ms.max(self.last_ms[ordered]);
            self.last_ms[ordered] = at_ms;
        }
        Some(Passage { at_ms, generation: self.generation(from, to) })
    }

    fn delay(&mut self, from: Slot, to: Slot, stable: bool) -> u64 {
        let median = self.delays_ms[self.pair(from, to)];
        let usual = self.rng.around(median).min(WILD_DELAY_MS);
        if stable {
            return usual;
        }
        match self.rng.between(0, 2) {
            0 => usual,
            1 => self.rng.between(100, 5_000),
            _ => self.rng.between(1_000, WILD_DELAY_MS),
        }
    }

    /// How long an end takes to notice that a link changed.
    pub fn notice_ms(&mut self) -> u64 {
        self.rng.around(50)
    }
}
