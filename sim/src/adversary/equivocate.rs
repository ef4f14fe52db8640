//! Two engines under one key, each talking with a part of the group: the sender proposes two
//! values, the acceptor votes twice, the leader chooses two read quorums (rows AG-D1, AG-D4, AA-D1,
//! RD-D2, RA-D6).

use super::{Board, Entry, Strategy};
use std::collections::BTreeSet;
use types::Slot;

struct Equivocate {
    first: BTreeSet<Slot>,
    second: BTreeSet<Slot>,
}

impl Strategy for Equivocate {
    fn seats(&self) -> usize {
        2
    }

    fn serves(&self, seat: usize, peer: Slot) -> bool {
        if seat == 0 { self.first.contains(&peer) } else { self.second.contains(&peer) }
    }
}

pub(super) const ENTRY: Entry = Entry {
    name: "equivocate",
    what: "two engines under one key: two proposals, two votes, two read quorums",
    make: |board: &mut Board, me: Slot| {
        let others = board.others(me);
        let size = board.rng.between(1, others.len() as u64 - 1) as usize;
        let first = board.rng.sample(&others, size);
        // Faulty friends and, sometimes, one honest member talk with both.
        let both = board.rng.sample(&board.honest(), 1);
        let overlap = board.rng.once_in(3);
        let second = others.iter().copied().filter(|peer| {
            !first.contains(peer)
                || board.keys.contains_key(peer)
                || (overlap && both.contains(peer))
        });
        let second = second.collect();
        Box::new(Equivocate { first, second })
    },
};
