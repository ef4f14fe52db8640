//! One sample of the network: delays, retransmissions, an outage (specification 10.3, "network samples w").
//!
//! Guarantees: *common random numbers*. The delay of a message follows from the sample's seed and the
//! message's name (kind, place, direction, copy), not from the order in which messages were sent. A run in
//! which one member deviates and the run in which it follows meet the same network.

use crate::rng::{Random, Stream};
use std::collections::BTreeMap;
use types::{Hash, Kind, Slot};

/// Added to one message in a hundred: the transport lost a packet and sent it again.
const RETRANSMISSION_MS: u64 = 300;

/// One member that cannot be reached for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outage {
    /// Who.
    pub slot: Slot,
    /// From when on.
    pub from_ms: u64,
    /// Until when.
    pub until_ms: u64,
}

/// What names a message, for the purpose of its delay.
type Name = (Slot, Slot, u8, u64, u32);

/// The network of one run.
#[derive(Debug)]
pub struct Weather {
    seed: u64,
    n: u64,
    medians_ms: Vec<u64>,
    copies: BTreeMap<Name, u64>,
    last_ms: BTreeMap<(Slot, Slot), u64>,
    /// The outage, in one sample of four.
    pub outage: Option<Outage>,
}

/// A number that follows from a seed and some words.
pub fn draw(seed: u64, words: &[u64]) -> u64 {
    let mut bytes = Vec::with_capacity(8 * (words.len() + 1));
    bytes.extend_from_slice(&seed.to_le_bytes());
    for word in words {
        bytes.extend_from_slice(&word.to_le_bytes());
    }
    let hash = Hash::tagged("sample", &bytes);
    let mut first = [0; 8];
    first.copy_from_slice(&hash.as_bytes()[..8]);
    u64::from_le_bytes(first)
}

/// `median` give or take about a seventh, always above a fifth. Integers only: a seed gives the same
/// run on every machine.
fn jittered(median: u64, bits: u64) -> u64 {
    let ones = u64::from((bits as u32).count_ones());
    (median * (4 + ones) / 20).max(1)
}

impl Weather {
    /// The sample of a seed for a group of `n`, with its outage or without.
    pub fn new(seed: u64, n: usize, outages: bool) -> Self {
        let n = n as u64;
        let median = [5, 20, 40, 80][(draw(seed, &[1]) % 4) as usize];
        let mut rng = Random::new(seed, Stream::Network);
        let medians_ms = (0..n * n).map(|_| rng.around(median)).collect();
        let has_outage = outages && draw(seed, &[3]).is_multiple_of(4);
        let outage = has_outage.then(|| {
            let from_ms = 500 + draw(seed, &[4]) % 10_000;
            let until_ms = from_ms + 2_000 + draw(seed, &[5]) % 30_000;
            Outage { slot: Slot((draw(seed, &[6]) % n) as u16), from_ms, until_ms }
        });
        Self { seed, n, medians_ms, copies: BTreeMap::new(), last_ms: BTreeMap::new(), outage }
    }

    /// When a message that leaves now arrives. Links keep order.
    pub fn arrival(
        &mut self,
        now_ms: u64,
        from: Slot,
        to: Slot,
        kind: Kind,
        inst: u64,
        turn: u32,
    ) -> u64 {
        let copy = self.copies.entry((from, to, kind as u8, inst, turn)).or_insert(0);
        let words = [from.0.into(), to.0.into(), kind as u64, inst, turn.into(), *copy];
        *copy += 1;
        let bits = draw(self.seed, &words);
        let (low, high) = (from.min(to), from.max(to));
        let median = self.medians_ms[(u64::from(low.0) * self.n + u64::from(high.0)) as usize];
        let lost = (bits >> 32).is_multiple_of(100);
        let delay = jittered(median, bits) + if lost { RETRANSMISSION_MS } else { 0 };
        let last = self.last_ms.entry((from, to)).or_insert(0);
        *last = (*last).max(now_ms + delay);
        *last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_depend_on_the_message_and_not_on_what_else_was_sent() {
        let arrive = |weather: &mut Weather, inst| {
            weather.arrival(1_000_000 * inst, Slot(0), Slot(1), Kind::Write, inst, 0)
        };
        let (mut one, mut other) = (Weather::new(9, 5, true), Weather::new(9, 5, true));
        for inst in 0..50 {
            if inst % 2 == 0 {
                other.arrival(1_000_000 * inst, Slot(0), Slot(2), Kind::Agree, inst, 0);
            }
            assert_eq!(arrive(&mut one, inst), arrive(&mut other, inst));
        }
    }

    #[test]
    fn samples_differ_and_some_have_an_outage() {
        let outages = (0..400).filter(|seed| Weather::new(*seed, 5, true).outage.is_some()).count();
        assert!((60..140).contains(&outages), "{outages}");
        assert!((0..400).all(|seed| Weather::new(seed, 5, false).outage.is_none()));
    }
}
