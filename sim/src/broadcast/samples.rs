//! Who samples whom in one broadcast.

use ledger::params::Sizes;
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};

/// For each member, others; in one allocation.
#[derive(Debug, Clone, Default)]
pub(super) struct Lists {
    /// Where each member's part begins; one more than members.
    starts: Vec<u32>,
    entries: Vec<u16>,
}

impl Lists {
    pub fn of(&self, member: usize) -> &[u16] {
        &self.entries[self.starts[member] as usize..self.starts[member + 1] as usize]
    }

    /// Appends the next member's part.
    pub fn push(&mut self, part: impl IntoIterator<Item = u16>) {
        if self.starts.is_empty() {
            self.starts.push(0);
        }
        self.entries.extend(part);
        self.starts.push(self.entries.len() as u32);
    }

    /// For each member, those in whose part it is.
    pub fn reversed(&self) -> Self {
        let members = self.starts.len() - 1;
        let mut starts = vec![0_u32; members + 1];
        for entry in &self.entries {
            starts[usize::from(*entry) + 1] += 1;
        }
        for at in 0..members {
            starts[at + 1] += starts[at];
        }
        let mut next = starts.clone();
        let mut entries = vec![0; self.entries.len()];
        for member in 0..members {
            for entry in self.of(member) {
                let at = &mut next[usize::from(*entry)];
                entries[*at as usize] = member as u16;
                *at += 1;
            }
        }
        Self { starts, entries }
    }
}

/// The samples of all members in one broadcast.
#[derive(Debug, Clone, Default)]
pub(super) struct Samples {
    pub gossip: Lists,
    pub echo: Lists,
    pub ready: Lists,
    pub delivery: Lists,
}

/// Draws samples of distinct members.
pub(super) struct Draw {
    random: SmallRng,
    /// Some order of all members; its beginning is the sample.
    order: Vec<u16>,
}

impl Draw {
    pub fn new(seed: u64, members: usize) -> Self {
        let order = (0..members).map(|member| member as u16).collect();
        Self { random: SmallRng::seed_from_u64(seed), order }
    }

    /// `size` distinct members, each set equally likely (the first steps of a shuffle).
    pub fn distinct(&mut self, size: usize) -> &[u16] {
        let size = size.min(self.order.len());
        for at in 0..size {
            let other = self.random.random_range(at..self.order.len());
            self.order.swap(at, other);
        }
        &self.order[..size]
    }

    /// As `ledger::broadcast::sampled::draw` does for gossip: a binomial number with mean `size`.
    fn gossip(&mut self, size: usize) -> &[u16] {
        let members = self.order.len();
        let hits = (0..members).filter(|_| self.random.random_range(0..members) < size).count();
        self.distinct(hits)
    }

    /// Of all members.
    pub fn samples(&mut self, sizes: &Sizes) -> Samples {
        let mut made = Samples::default();
        for _ in 0..self.order.len() {
            made.gossip.push(self.gossip(sizes.gossip).iter().copied());
            made.echo.push(self.distinct(sizes.echo).iter().copied());
            made.ready.push(self.distinct(sizes.ready).iter().copied());
            made.delivery.push(self.distinct(sizes.delivery).iter().copied());
        }
        made
    }

    /// The honest members in some order.
    pub fn shuffled(&mut self, honest: usize) -> Vec<u16> {
        let mut order: Vec<u16> = (0..honest).map(|member| member as u16).collect();
        for at in 0..honest {
            let other = self.random.random_range(at..honest);
            order.swap(at, other);
        }
        order
    }
}
