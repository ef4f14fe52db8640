//! Seeded randomness. Every consumer has a stream of its own, so that a change in how one part
//! draws numbers does not shift the others. Integer arithmetic only: a seed gives the same run on
//! every machine.

use rand::seq::SliceRandom;
use rand::{Rng as _, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeSet;

/// What a stream is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// The scenario: who is faulty, what breaks when.
    Plan = 1,
    /// Delays and losses.
    Network = 2,
    /// The faulty members' choices.
    Adversary = 3,
    /// Disks: latency, and what survives a crash.
    Disk = 4,
    /// Full disks and wrong clocks.
    Machines = 5,
    /// Checkpoints.
    Checkpoints = 6,
}

/// A deterministic source of numbers.
#[derive(Debug, Clone)]
pub struct Random(ChaCha8Rng);

impl Random {
    /// The stream of a run's seed.
    pub fn new(seed: u64, stream: Stream) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(stream as u64);
        Self(rng)
    }

    /// A number of `low..=high`; `low` when the range is empty.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        if high <= low { low } else { self.0.random_range(low..=high) }
    }

    /// An index of `0..len`; 0 when there is none.
    pub fn index(&mut self, len: usize) -> usize {
        self.between(0, (len as u64).saturating_sub(1)) as usize
    }

    /// True once in `of` draws.
    pub fn once_in(&mut self, of: u64) -> bool {
        self.between(1, of) == 1
    }

    /// True with a probability of so many thousandths.
    pub fn per_mille(&mut self, chance: u64) -> bool {
        self.between(0, 999) < chance
    }

    /// One of the items.
    pub fn pick<T: Clone>(&mut self, items: &[T]) -> Option<T> {
        if items.is_empty() { None } else { Some(items[self.index(items.len())].clone()) }
    }

    /// Any order is equally likely.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        items.shuffle(&mut self.0);
    }

    /// `count` distinct items, or all of them.
    pub fn sample<T: Clone + Ord>(&mut self, items: &[T], count: usize) -> BTreeSet<T> {
        let mut items = items.to_vec();
        items.shuffle(&mut self.0);
        items.truncate(count);
        items.into_iter().collect()
    }

    /// Random bytes.
    pub fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.0.random::<u8>()).collect()
    }

    /// About log-normal around `median`: the exponent is a binomial with standard deviation 0.7
    /// octaves, cut at four octaves.
    pub fn around(&mut self, median: u64) -> u64 {
        /// 1024 * 2^(k/4).
        const QUARTERS: [u64; 4] = [1024, 1218, 1448, 1722];
        let exponent = i64::from(self.0.random::<u32>().count_ones()) - 16;
        let scaled = median * QUARTERS[exponent.rem_euclid(4) as usize] / 1024;
        let octaves = exponent.div_euclid(4);
        let value =
            if octaves >= 0 { scaled << octaves.min(4) } else { scaled >> (-octaves).min(4) };
        value.max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_of_one_seed_differ_and_repeat() {
        let mut first = Random::new(7, Stream::Plan);
        let mut again = Random::new(7, Stream::Plan);
        let mut other = Random::new(7, Stream::Network);
        let draws: Vec<_> = (0..8).map(|_| first.between(0, 1 << 40)).collect();
        assert_eq!(draws, (0..8).map(|_| again.between(0, 1 << 40)).collect::<Vec<_>>());
        assert_ne!(draws, (0..8).map(|_| other.between(0, 1 << 40)).collect::<Vec<_>>());
    }

    #[test]
    fn around_stays_within_four_octaves() {
        let mut rng = Random::new(1, Stream::Network);
        for _ in 0..10_000 {
            let value = rng.around(100);
            assert!((100 >> 4..=100 << 5).contains(&value), "{value}");
        }
    }
}
